//! The sources of events: the terminal, signals, replies, and the deadline of the application.

use std::io::stdin;

use crossterm::event::{Event as TerminalEvent, EventStream};
use futures_util::StreamExt;
use rustix::event::{PollFd, PollFlags, poll};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc::{UnboundedReceiver, UnboundedSender},
};

use crate::{
    app::state::App,
    messages::event::Event,
    view::events::{is_relevant_mouse_event, translate},
};

/// The sources of events. Terminal events have their own channel: they are translated only when they are handled,
/// because their meaning depends on what the screen shows at that moment.
pub(super) struct Inbox {
    pub(super) events: UnboundedReceiver<Event>,
    pub(super) terminal: UnboundedReceiver<TerminalEvent>,
}

impl Inbox {
    /// Waits for the next event or for the deadline of the application.
    pub(super) async fn next(&mut self, app: &App) -> Event {
        let deadline = app.deadline();
        let tick = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(tick);
        loop {
            tokio::select! {
                // The main loop holds a sender of each channel, so the channels never close.
                Some(event) = self.events.recv() => return event,
                Some(event) = self.terminal.recv() => {
                    if let Some(event) = translate(app, event) {
                        return event;
                    }
                }
                () = &mut tick => return Event::Tick,
            }
        }
    }

    /// Returns the next event if one is already waiting.
    pub(super) fn try_next(&mut self, app: &App) -> Option<Event> {
        while let Ok(event) = self.terminal.try_recv() {
            if let Some(event) = translate(app, event) {
                return Some(event);
            }
        }
        self.events.try_recv().ok()
    }
}

/// The sending ends of the inbox.
#[derive(Clone)]
pub(super) struct Senders {
    pub(super) events: UnboundedSender<Event>,
    pub(super) terminal: UnboundedSender<TerminalEvent>,
}

pub(super) async fn forward_terminal(senders: Senders) {
    let mut stream = EventStream::new();
    while let Some(Ok(event)) = stream.next().await {
        if let TerminalEvent::Mouse(event) = &event
            && !is_relevant_mouse_event(event.kind)
        {
            continue;
        }
        if senders.terminal.send(event).is_err() {
            return;
        }
    }
    // The terminal is gone.
    let _ = senders.events.send(Event::Terminate);
}

pub(super) async fn forward_signals(events: UnboundedSender<Event>) {
    let (Ok(mut terminate), Ok(mut hangup)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    ) else {
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    let _ = events.send(Event::Terminate);
}

/// Sends [`Event::Terminate`] when the terminal is gone. Reading cannot detect this: a lost terminal looks like one
/// without input. The thread sleeps until then, and ends with the process.
pub(super) fn watch_terminal(events: UnboundedSender<Event>) {
    std::thread::spawn(move || {
        let stdin = stdin();
        // Without flags, `poll` returns only on a hang-up or an error.
        let mut terminal = [PollFd::new(&stdin, PollFlags::empty())];
        loop {
            match poll(&mut terminal, None) {
                Err(rustix::io::Errno::INTR) => {}
                // A descriptor that cannot be polled cannot report a hang-up.
                Err(_) => return,
                Ok(_) => break,
            }
        }
        // Sending fails only if the client is already quitting.
        let _ = events.send(Event::Terminate);
    });
}

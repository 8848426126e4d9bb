//! The main loop: wait for an event, update the state, execute the effects, draw. An idle client draws nothing.

use std::{
    io::{IsTerminal, stdin, stdout},
    time::{Duration, Instant},
};

use crossterm::event::{Event as TerminalEvent, EventStream};
use futures_util::StreamExt;
use rustix::event::{PollFd, PollFlags, poll};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinHandle,
};

use crate::{
    app::state::App,
    cli::settings::Settings,
    io::{
        api::Api, clipboard::Clipboard, editor, link, log, pending_exports::PendingExports,
        terminal::Screen,
    },
    messages::{
        event::{Effect, Event, MouseMode},
        request::Toast,
    },
    model::text::Zone,
    settings::{config::Config, memory::Memory},
    view::{
        events::{is_relevant_mouse_event, translate},
        frame,
    },
};

/// Maximum number of waiting events that are handled before the next draw.
const MAX_EVENTS: usize = 200;

/// A turn of the loop that takes longer is noticeable, and is logged.
const STALL: Duration = Duration::from_millis(50);

/// Why the client could not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Settings(String),
    #[error("{0}; for scripts there are commands, such as `stockroom orders list`")]
    NoTerminal(&'static str),
    #[error(
        "the terminal does not work: {0}; without one there are commands, see stockroom --help"
    )]
    Terminal(#[from] std::io::Error),
    #[error("the connection cannot be set up: {0}")]
    Connection(#[from] reqwest::Error),
}

/// Runs the client until the user leaves.
///
/// # Errors
/// If the client cannot start, or the terminal is lost.
pub async fn run(settings: &Settings) -> Result<(), Error> {
    require_terminal()?;
    let _log = log::begin();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "begins");
    let config = Config::read().map_err(Error::Settings)?;
    let (server, local) = settings.server(&config).map_err(Error::Settings)?;
    let new_shop = local.as_ref().filter(|local| !local.has_shop());
    let new_shop = new_shop.map(|local| local.data_dir().to_owned());
    if new_shop.is_some() {
        settings.check_folder().map_err(Error::Settings)?;
    }
    let preferences = settings.preferences(&config).map_err(Error::Settings)?;
    let (sender, events) = mpsc::unbounded_channel();
    let (terminal_sender, terminal) = mpsc::unbounded_channel();
    let mut inbox = Inbox { events, terminal };
    let senders = Senders {
        events: sender.clone(),
        terminal: terminal_sender,
    };
    let api = Api::new(&server, sender.clone())?;
    let mut screen = Screen::take()?;
    let size = screen.terminal.size()?;
    let size = (size.width, size.height);
    let mut app = App::new(server.to_string(), Zone::Local, size, preferences);
    let (memory, fault) = Memory::load();
    app.restore(memory);
    app.toast = fault.map(Toast::Error);
    app.connection.new_shop = new_shop;
    let mut exports = PendingExports::of(server.address());
    app.track_exports(exports.take_over());
    screen.set_title(&format!("Stockroom · {}", app.connection.server))?;
    screen.terminal.draw(|frame| frame::draw(frame, &app))?;

    if app.preferences.has_mouse {
        screen.set_mouse(MouseMode::Client)?;
    }
    tokio::spawn(link::keep_connected(server, local, sender.clone()));
    tokio::spawn(forward_signals(sender.clone()));
    watch_terminal(sender.clone());
    let keys = tokio::spawn(forward_terminal(senders.clone()));
    let mut runner = EffectRunner {
        api,
        exports,
        clipboard: Clipboard::new(),
        screen,
        senders,
        keys,
        heartbeat: Heartbeat::default(),
    };
    let mut effects = Vec::new();
    let mut is_quitting = false;
    while !is_quitting {
        let event = inbox.next(&app).await;
        let turn = Instant::now();
        app.update(event, Instant::now(), &mut effects);
        // Handle the events that are already waiting before the draw. Their number is limited, because the user is
        // waiting for the draw.
        for _ in 0..MAX_EVENTS {
            let Some(event) = inbox.try_next(&app) else {
                break;
            };
            app.update(event, Instant::now(), &mut effects);
        }
        for effect in effects.drain(..) {
            is_quitting |= matches!(effect, Effect::Quit);
            runner.execute(effect).await?;
        }
        let terminal = &mut runner.screen.terminal;
        terminal.draw(|frame| frame::draw(frame, &app))?;
        runner.heartbeat.record(turn.elapsed());
    }
    let (mut exports, heartbeat) = runner.shut_down().await;
    // The server may have queued an export while the client was quitting. Record it, so that the next run saves it.
    while let Some(event) = inbox.try_next(&app) {
        app.update(event, Instant::now(), &mut effects);
    }
    for effect in effects {
        if let Effect::TrackExport(job, file) = effect {
            exports.track(job, &file);
        }
    }
    // This must be the last line of the log.
    heartbeat.log();
    Ok(())
}

/// Checks that standard input and output are a terminal that can show the screens.
fn require_terminal() -> Result<(), Error> {
    if !stdin().is_terminal() || !stdout().is_terminal() {
        return Err(Error::NoTerminal(
            "the client needs a terminal on both ends",
        ));
    }
    match std::env::var("TERM").as_deref() {
        Ok("dumb") => Err(Error::NoTerminal(
            "this terminal (TERM=dumb) cannot show a screen",
        )),
        _ => Ok(()),
    }
}

/// Sends [`Event::Terminate`] when the terminal is gone. Reading cannot detect this: a lost terminal looks like one
/// without input. The thread sleeps until then, and ends with the process.
fn watch_terminal(events: UnboundedSender<Event>) {
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

/// Executes effects.
struct EffectRunner {
    api: Api,
    exports: PendingExports,
    clipboard: Clipboard,
    screen: Screen,
    senders: Senders,
    /// The task that reads the terminal.
    keys: JoinHandle<()>,
    heartbeat: Heartbeat,
}

impl EffectRunner {
    async fn execute(&mut self, effect: Effect) -> Result<(), Error> {
        match effect {
            Effect::Send(call) => self.api.send(call),
            Effect::Follow { ticket, path } => self.api.follow(ticket, &path),
            Effect::Download { ticket, path, file } => self.api.download(ticket, &path, file),
            Effect::Upload { ticket, upload } => self.api.upload(ticket, upload),
            Effect::Cancel(owner) => self.api.cancel(owner),
            Effect::Copy(text) => self.clipboard.copy(&text),
            Effect::SetMouse(mode) => self.screen.set_mouse(mode)?,
            Effect::TrackExport(job, file) => self.exports.track(job, &file),
            Effect::UntrackExport(job) => self.exports.untrack(job),
            Effect::Remember(memory) => {
                let sender = self.senders.events.clone();
                tokio::task::spawn_blocking(move || {
                    if let Err(fault) = memory.save() {
                        // Sending fails only after the loop has ended.
                        let _ = sender.send(Event::NotRemembered(fault));
                    }
                });
            }
            Effect::Edit(text) => {
                // Only the editor may read the terminal while it runs.
                self.keys.abort();
                let edited = self.screen.lend(editor::edit(&text)).await?;
                self.resume_terminal(Event::Edited(edited));
            }
            Effect::Repaint => self.screen.terminal.clear()?,
            Effect::Suspend => {
                // Only the shell may read the terminal while the client is suspended.
                self.keys.abort();
                self.screen.suspend()?;
                let size = self.screen.terminal.size()?;
                self.resume_terminal(Event::Resize(size.width, size.height));
            }
            // The main loop handles this.
            Effect::Quit => {}
        }
        Ok(())
    }

    /// Sends an event that results from the pause, and starts to read the terminal again.
    fn resume_terminal(&mut self, event: Event) {
        self.heartbeat.skip();
        // Sending fails only after the loop has ended.
        let _ = self.senders.events.send(event);
        self.keys = tokio::spawn(forward_terminal(self.senders.clone()));
    }

    /// Restores the terminal and waits briefly for writes in progress. Returns the pending exports, so that the caller
    /// can record more of them for the next run.
    async fn shut_down(mut self) -> (PendingExports, Heartbeat) {
        drop(self.screen);
        self.api.finish().await;
        (self.exports, self.heartbeat)
    }
}

/// Measures how long the turns of the loop take. During a turn the client does not react to keys.
#[derive(Debug, Default)]
struct Heartbeat {
    turns: u64,
    longest: Duration,
    is_skipped: bool,
}

impl Heartbeat {
    fn record(&mut self, took: Duration) {
        if std::mem::take(&mut self.is_skipped) {
            return;
        }
        self.turns += 1;
        self.longest = self.longest.max(took);
        if took > STALL {
            tracing::warn!(millis = took.as_millis(), "the loop stalled");
        }
    }

    /// Leaves this turn out of the measurement, because another program had the terminal.
    fn skip(&mut self) {
        self.is_skipped = true;
    }

    fn log(&self) {
        let (turns, longest_micros) = (self.turns, self.longest.as_micros());
        tracing::info!(turns, longest_micros, "ends");
    }
}

/// The sources of events. Terminal events have their own channel: they are translated only when they are handled,
/// because their meaning depends on what the screen shows at that moment.
struct Inbox {
    events: UnboundedReceiver<Event>,
    terminal: UnboundedReceiver<TerminalEvent>,
}

impl Inbox {
    /// Waits for the next event or for the deadline of the application.
    async fn next(&mut self, app: &App) -> Event {
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
                // `EffectRunner` holds a sender of each channel, so the channels never close.
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
    fn try_next(&mut self, app: &App) -> Option<Event> {
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
struct Senders {
    events: UnboundedSender<Event>,
    terminal: UnboundedSender<TerminalEvent>,
}

async fn forward_terminal(senders: Senders) {
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

async fn forward_signals(events: UnboundedSender<Event>) {
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

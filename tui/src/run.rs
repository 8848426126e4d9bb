//! The loop: draw what has changed, sleep until something happens, update, carry out the effects. An
//! idle client draws nothing.

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
    cli::settings::{Config, Settings},
    io::{
        api::Api, clipboard::Clipboard, editor, link, log, pending_exports::Awaited,
        terminal::Screen,
    },
    messages::{
        context::Toast,
        event::{Effect, Event, Mouse},
    },
    model::text::Zone,
    settings::memory::Memory,
    view::frame,
};

/// Events that one picture takes in.
const MOST_EVENTS: usize = 200;

/// A turn of the loop that takes longer is felt.
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
/// Where it could not start, or the terminal is lost.
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
    let (sender, mut events) = mpsc::unbounded_channel();
    let api = Api::new(&server, sender.clone())?;
    let mut screen = Screen::take()?;
    let size = screen.terminal.size()?;
    let size = (size.width, size.height);
    let mut app = App::new(server.to_string(), Zone::Local, size, preferences);
    let (memory, fault) = Memory::load();
    app.remember_from(memory);
    app.toast = fault.map(Toast::Bad);
    app.new_shop = new_shop;
    let mut awaited = Awaited::of(server.place());
    app.await_exports(awaited.take_over());
    screen.set_title(&format!("Stockroom · {}", app.server))?;
    screen.terminal.draw(|frame| frame::draw(frame, &app))?;

    if app.preferences.has_mouse {
        screen.set_mouse(Mouse::Ours)?;
    }
    tokio::spawn(link::hold(server, local, sender.clone()));
    tokio::spawn(forward_signals(sender.clone()));
    watch_terminal(sender.clone());
    let keys = tokio::spawn(forward_terminal(sender.clone()));
    let mut hands = Hands {
        api,
        awaited,
        clipboard: Clipboard::new(),
        screen,
        sender,
        keys,
        heartbeat: Heartbeat::default(),
    };
    let mut effects = Vec::new();
    let mut is_leaving = false;
    while !is_leaving {
        let event = next_event(&app, &mut events).await;
        let turn = Instant::now();
        app.update(event, Instant::now(), &mut effects);
        // What came meanwhile belongs into the same picture, but somebody waits for that.
        for _ in 0..MOST_EVENTS {
            let Ok(event) = events.try_recv() else { break };
            app.update(event, Instant::now(), &mut effects);
        }
        for effect in effects.drain(..) {
            is_leaving |= matches!(effect, Effect::Quit);
            hands.carry_out(effect).await?;
        }
        let terminal = &mut hands.screen.terminal;
        terminal.draw(|frame| frame::draw(frame, &app))?;
        hands.heartbeat.beat(turn.elapsed());
    }
    let (mut awaited, heartbeat) = hands.leave().await;
    // What was asked for last may have been granted meanwhile: the next client saves it.
    while let Ok(event) = events.try_recv() {
        app.update(event, Instant::now(), &mut effects);
    }
    for effect in effects {
        if let Effect::Await(job, file) = effect {
            awaited.keep(job, &file);
        }
    }
    // The last line of the log, whatever came meanwhile.
    heartbeat.tell();
    Ok(())
}

/// Checks that keys come from a terminal and that the screen can be drawn on one.
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

/// Says when the terminal is gone. Reading it would not: its end looks like input that never comes. The thread sleeps
/// until then, and ends with the process.
fn watch_terminal(events: UnboundedSender<Event>) {
    std::thread::spawn(move || {
        let stdin = stdin();
        let mut terminal = [PollFd::new(&stdin, PollFlags::empty())];
        loop {
            match poll(&mut terminal, None) {
                Err(rustix::io::Errno::INTR) => {}
                // Without a terminal there is nothing that could hang up.
                Err(_) => return,
                Ok(_) => break,
            }
        }
        // A client that leaves does not listen any more.
        let _ = events.send(Event::Terminate);
    });
}

/// What carries out the effects.
struct Hands {
    api: Api,
    awaited: Awaited,
    clipboard: Clipboard,
    screen: Screen,
    sender: UnboundedSender<Event>,
    /// Who reads the terminal.
    keys: JoinHandle<()>,
    heartbeat: Heartbeat,
}

impl Hands {
    async fn carry_out(&mut self, effect: Effect) -> Result<(), Error> {
        match effect {
            Effect::Send(call) => self.api.send(call),
            Effect::Follow { ticket, path } => self.api.follow(ticket, &path),
            Effect::Download { ticket, path, file } => self.api.download(ticket, &path, file),
            Effect::Upload { ticket, upload } => self.api.upload(ticket, upload),
            Effect::Cancel(owner) => self.api.cancel(owner),
            Effect::Copy(text) => self.clipboard.copy(&text),
            Effect::Mouse(mouse) => self.screen.set_mouse(mouse)?,
            Effect::Await(job, file) => self.awaited.keep(job, &file),
            Effect::Forget(job) => self.awaited.forget(job),
            Effect::Remember(memory) => {
                let sender = self.sender.clone();
                tokio::task::spawn_blocking(move || {
                    if let Err(fault) = memory.save() {
                        // It is received as long as the loop runs.
                        let _ = sender.send(Event::NotRemembered(fault));
                    }
                });
            }
            Effect::Edit(text) => {
                // Nobody but the editor may read the terminal meanwhile.
                self.keys.abort();
                let edited = self.screen.lend(editor::edit(&text)).await?;
                self.is_back(Event::Edited(edited));
            }
            Effect::Repaint => self.screen.terminal.clear()?,
            Effect::Suspend => {
                // Nobody but the shell may read the terminal meanwhile.
                self.keys.abort();
                self.screen.suspend()?;
                let size = self.screen.terminal.size()?;
                let resized = TerminalEvent::Resize(size.width, size.height);
                self.is_back(Event::Terminal(resized));
            }
            // The loop sees to it.
            Effect::Quit => {}
        }
        Ok(())
    }

    /// The terminal is ours again, and this is what has come of it.
    fn is_back(&mut self, event: Event) {
        self.heartbeat.skip();
        // It is received as long as the loop runs.
        let _ = self.sender.send(event);
        self.keys = tokio::spawn(forward_terminal(self.sender.clone()));
    }

    /// Gives the terminal back and lets what is on its way arrive; gives what the next run is to wait for.
    async fn leave(mut self) -> (Awaited, Heartbeat) {
        drop(self.screen);
        self.api.finish().await;
        (self.awaited, self.heartbeat)
    }
}

/// How long the turns of the loop take. While one lasts no key is answered.
#[derive(Debug, Default)]
struct Heartbeat {
    turns: u64,
    longest: Duration,
    is_skipped: bool,
}

impl Heartbeat {
    fn beat(&mut self, took: Duration) {
        if std::mem::take(&mut self.is_skipped) {
            return;
        }
        self.turns += 1;
        self.longest = self.longest.max(took);
        if took > STALL {
            tracing::warn!(millis = took.as_millis(), "the loop stalled");
        }
    }

    /// Another program had the terminal during this turn.
    fn skip(&mut self) {
        self.is_skipped = true;
    }

    fn tell(&self) {
        let (turns, longest_micros) = (self.turns, self.longest.as_micros());
        tracing::info!(turns, longest_micros, "ends");
    }
}

async fn next_event(app: &App, events: &mut UnboundedReceiver<Event>) -> Event {
    let deadline = app.deadline();
    let tick = async {
        match deadline {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // This function holds a sender through its caller, so the channel never closes.
        event = events.recv() => event.unwrap_or(Event::Terminate),
        () = tick => Event::Tick,
    }
}

async fn forward_terminal(events: UnboundedSender<Event>) {
    let mut stream = EventStream::new();
    while let Some(event) = stream.next().await {
        if let Ok(TerminalEvent::Mouse(event)) = &event
            && !frame::is_telling(event.kind)
        {
            // The mouse only passes by.
            continue;
        }
        let event = event.map_or(Event::Terminate, Event::Terminal);
        if events.send(event).is_err() {
            return;
        }
    }
    // The terminal is gone.
    let _ = events.send(Event::Terminate);
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

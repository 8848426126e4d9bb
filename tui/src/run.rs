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

/// Events that one picture takes in.
const MAX_EVENTS: usize = 200;

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
    let mut exports = PendingExports::of(server.place());
    app.track_exports(exports.take_over());
    screen.set_title(&format!("Stockroom · {}", app.connection.server))?;
    screen.terminal.draw(|frame| frame::draw(frame, &app))?;

    if app.preferences.has_mouse {
        screen.set_mouse(MouseMode::Client)?;
    }
    tokio::spawn(link::hold(server, local, sender.clone()));
    tokio::spawn(forward_signals(sender.clone()));
    watch_terminal(sender.clone());
    let keys = tokio::spawn(forward_terminal(senders.clone()));
    let mut effect_handler = Effects {
        api,
        exports,
        clipboard: Clipboard::new(),
        screen,
        senders,
        keys,
        heartbeat: Heartbeat::default(),
    };
    let mut effects = Vec::new();
    let mut is_leaving = false;
    while !is_leaving {
        let event = inbox.next(&app).await;
        let turn = Instant::now();
        app.update(event, Instant::now(), &mut effects);
        // What came meanwhile belongs into the same picture, but somebody waits for that.
        for _ in 0..MAX_EVENTS {
            let Some(event) = inbox.try_next(&app) else {
                break;
            };
            app.update(event, Instant::now(), &mut effects);
        }
        for effect in effects.drain(..) {
            is_leaving |= matches!(effect, Effect::Quit);
            effect_handler.execute(effect).await?;
        }
        let terminal = &mut effect_handler.screen.terminal;
        terminal.draw(|frame| frame::draw(frame, &app))?;
        effect_handler.heartbeat.beat(turn.elapsed());
    }
    let (mut exports, heartbeat) = effect_handler.leave().await;
    // What was asked for last may have been granted meanwhile: the next client saves it.
    while let Some(event) = inbox.try_next(&app) {
        app.update(event, Instant::now(), &mut effects);
    }
    for effect in effects {
        if let Effect::TrackExport(job, file) = effect {
            exports.keep(job, &file);
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
struct Effects {
    api: Api,
    exports: PendingExports,
    clipboard: Clipboard,
    screen: Screen,
    senders: Senders,
    /// The task that reads the terminal.
    keys: JoinHandle<()>,
    heartbeat: Heartbeat,
}

impl Effects {
    async fn execute(&mut self, effect: Effect) -> Result<(), Error> {
        match effect {
            Effect::Send(call) => self.api.send(call),
            Effect::Follow { ticket, path } => self.api.follow(ticket, &path),
            Effect::Download { ticket, path, file } => self.api.download(ticket, &path, file),
            Effect::Upload { ticket, upload } => self.api.upload(ticket, upload),
            Effect::Cancel(owner) => self.api.cancel(owner),
            Effect::Copy(text) => self.clipboard.copy(&text),
            Effect::SetMouse(mode) => self.screen.set_mouse(mode)?,
            Effect::TrackExport(job, file) => self.exports.keep(job, &file),
            Effect::UntrackExport(job) => self.exports.forget(job),
            Effect::Remember(memory) => {
                let sender = self.senders.events.clone();
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
                self.is_back(Event::Resize(size.width, size.height));
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
        let _ = self.senders.events.send(event);
        self.keys = tokio::spawn(forward_terminal(self.senders.clone()));
    }

    /// Gives the terminal back and lets what is on its way arrive; gives what the next run is to wait for.
    async fn leave(mut self) -> (PendingExports, Heartbeat) {
        drop(self.screen);
        self.api.finish().await;
        (self.exports, self.heartbeat)
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

/// Where events come from: those of the terminal mean something only together with what it shows.
struct Inbox {
    events: UnboundedReceiver<Event>,
    terminal: UnboundedReceiver<TerminalEvent>,
}

impl Inbox {
    /// Waits for the next event, or for the deadline of the application.
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
                // The effects hold a sender of each, so the channels never close.
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

    /// The next event, if one is there already.
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

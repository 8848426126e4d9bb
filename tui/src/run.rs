//! The loop: draw what has changed, sleep until something happens, update, carry out the effects. An
//! idle client draws nothing.

use std::time::{Duration, Instant};

use crossterm::event::{Event as TerminalEvent, EventStream};
use futures_util::StreamExt;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
};

use crate::{
    api::Api,
    app::App,
    awaited::Awaited,
    clipboard::Clipboard,
    editor,
    event::{Effect, Event, Mouse},
    link, log,
    memory::Memory,
    settings::{Config, Settings},
    terminal::Screen,
    text::Zone,
    view,
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
    log::begin();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "begins");
    let config = Config::read().map_err(Error::Settings)?;
    let (server, local) = settings.server(&config).map_err(Error::Settings)?;
    let preferences = settings.preferences(&config).map_err(Error::Settings)?;
    let (sender, mut events) = mpsc::unbounded_channel();
    let mut api = Api::new(&server, sender.clone())?;
    let mut screen = Screen::take()?;
    let size = screen.terminal.size()?;
    let size = (size.width, size.height);
    let mut app = App::new(server.to_string(), Zone::Local, size, preferences);
    app.remember_from(Memory::load());
    let mut awaited = Awaited::of(server.place());
    app.await_exports(awaited.take_over());
    screen.set_title(&format!("Stockroom · {}", app.server))?;
    screen.terminal.draw(|frame| view::draw(frame, &app))?;

    if app.preferences.has_mouse {
        screen.set_mouse(Mouse::Ours)?;
    }
    let mut clipboard = Clipboard::new();
    tokio::spawn(link::hold(server, local, sender.clone()));
    tokio::spawn(forward_signals(sender.clone()));
    let mut keys = tokio::spawn(forward_terminal(sender.clone()));
    let mut effects = Vec::new();
    let mut heartbeat = Heartbeat::default();
    loop {
        let event = next_event(&app, &mut events).await;
        let turn = Instant::now();
        app.update(event, Instant::now(), &mut effects);
        // What came meanwhile belongs into the same picture, but somebody waits for that.
        for _ in 0..MOST_EVENTS {
            let Ok(event) = events.try_recv() else { break };
            app.update(event, Instant::now(), &mut effects);
        }
        for effect in effects.drain(..) {
            match effect {
                Effect::Send(call) => api.send(call),
                Effect::Follow { ticket, path } => api.follow(ticket, &path),
                Effect::Download { ticket, path, file } => api.download(ticket, &path, file),
                Effect::Upload { ticket, upload } => api.upload(ticket, upload),
                Effect::Cancel(owner) => api.cancel(owner),
                Effect::Copy(text) => clipboard.copy(&text),
                Effect::Mouse(mouse) => screen.set_mouse(mouse)?,
                Effect::Await(job, file) => {
                    if let Err(error) = awaited.keep(job, &file) {
                        tracing::warn!(%error, "an export is forgotten when the client leaves");
                    }
                }
                Effect::Forget(job) => awaited.forget(job),
                Effect::Remember(memory) => {
                    tokio::task::spawn_blocking(move || memory.save());
                }
                Effect::Edit(text) => {
                    // Nobody but the editor may read the terminal meanwhile.
                    keys.abort();
                    let edited = screen.lend(editor::edit(&text)).await?;
                    heartbeat.skip();
                    let _ = sender.send(Event::Edited(edited));
                    keys = tokio::spawn(forward_terminal(sender.clone()));
                }
                Effect::Suspend => {
                    // Nobody but the shell may read the terminal meanwhile.
                    keys.abort();
                    screen.suspend()?;
                    heartbeat.skip();
                    let size = screen.terminal.size()?;
                    let resized = TerminalEvent::Resize(size.width, size.height);
                    // Nothing is sent back: the sender lives in this function.
                    let _ = sender.send(Event::Terminal(resized));
                    keys = tokio::spawn(forward_terminal(sender.clone()));
                }
                Effect::Quit => {
                    drop(screen);
                    api.finish().await;
                    heartbeat.tell();
                    return Ok(());
                }
            }
        }
        screen.terminal.draw(|frame| view::draw(frame, &app))?;
        heartbeat.beat(turn.elapsed());
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
            && !view::is_telling(event.kind)
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

//! The main loop: wait for an event, update the state, execute the effects, draw. An idle client draws nothing.

pub mod effects;

mod inbox;
mod process;

use std::{
    io::{IsTerminal, stdin, stdout},
    time::Instant,
};

use tokio::sync::mpsc;

use self::{
    effects::Effects,
    inbox::{Inbox, Senders, forward_signals, watch_terminal},
    process::Process,
};
use crate::{
    app::state::App,
    cli::settings::Settings,
    io::{link, log, pending_exports::PendingExports, server::Http, terminal::Screen},
    messages::{
        event::{Effect, MouseMode},
        request::Toast,
    },
    model::text::Zone,
    settings::{config::Config, memory::Memory},
    view::frame,
};

/// Maximum number of waiting events that are handled before the next draw.
const MAX_EVENTS: usize = 200;

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
    let credentials = settings.credentials(&server, local.as_ref());
    let http = Http::new(&server, credentials.map_err(Error::Settings)?)?;
    let mut screen = Screen::take()?;
    let size = screen.terminal.size()?;
    let size = (size.width, size.height);
    let mut app = App::new(server.to_string(), Zone::Local, size, preferences);
    let (memory, fault) = Memory::load();
    app.restore(memory);
    app.toast = fault.map(Toast::Error);
    app.connection.new_shop = new_shop;
    app.connection.is_local = local.is_some();
    let mut exports = PendingExports::of(server.address());
    app.track_exports(exports.take_over());
    screen.set_title(&format!("Stockroom · {}", app.connection.server))?;
    screen.terminal.draw(|frame| frame::draw(frame, &app))?;

    if app.preferences.has_mouse {
        screen.set_mouse(MouseMode::Client)?;
    }
    tokio::spawn(link::keep_connected(http.clone(), local, sender.clone()));
    tokio::spawn(forward_signals(sender.clone()));
    watch_terminal(sender.clone());
    let mut process = Process::new(http, exports, screen, senders);
    let mut executor = Effects::default();
    let mut effects = Vec::new();
    while !executor.is_quitting {
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
            executor.execute(effect, &mut process).await?;
        }
        let terminal = &mut process.screen.terminal;
        terminal.draw(|frame| frame::draw(frame, &app))?;
        process.heartbeat.record(turn.elapsed());
    }
    let (mut exports, heartbeat) = process.shut_down().await;
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

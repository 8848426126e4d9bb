//! The [`Environment`] of a running client: the real server, terminal, clipboard and disk.

use std::time::Duration;

use stockroom_common::Secret;
use tokio::task::{AbortHandle, JoinHandle};
use uuid::Uuid;

use super::{
    Error,
    effects::Environment,
    inbox::{Senders, forward_terminal},
};
use crate::{
    io::{
        api::Api, clipboard::Clipboard, credentials::Credentials, editor,
        pending_exports::PendingExports, server::Http, terminal::Screen,
    },
    messages::{
        call::{Call, Ticket},
        event::{Event, MouseMode},
    },
    model::intent::Upload,
    settings::memory::Memory,
};

/// The environment of a running client.
pub(super) struct Process {
    api: Api,
    credentials: Credentials,
    exports: PendingExports,
    clipboard: Clipboard,
    pub(super) screen: Screen,
    senders: Senders,
    /// The task that reads the terminal.
    keys: JoinHandle<()>,
    pub(super) heartbeat: Heartbeat,
}

impl Environment for Process {
    type Read = AbortHandle;
    type Error = Error;

    fn read(&mut self, call: Call) -> AbortHandle {
        self.api.read(call)
    }

    fn write(&mut self, call: Call) {
        self.api.write(call);
    }

    fn follow(&mut self, ticket: Ticket, path: String) -> AbortHandle {
        self.api.follow(ticket, &path)
    }

    fn abort(&mut self, read: AbortHandle) {
        read.abort();
    }

    fn download(&mut self, ticket: Ticket, path: String, file: String) {
        self.api.download(ticket, &path, file);
    }

    fn upload(&mut self, ticket: Ticket, upload: Upload) {
        self.api.upload(ticket, upload);
    }

    fn track_export(&mut self, job: Uuid, file: String) {
        self.exports.track(job, &file);
    }

    fn untrack_export(&mut self, job: Uuid) {
        self.exports.untrack(job);
    }

    fn remember(&mut self, memory: Memory) {
        let sender = self.senders.events.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(fault) = memory.save() {
                // Sending fails only after the loop has ended.
                let _ = sender.send(Event::NotRemembered(fault));
            }
        });
    }

    fn log_in(&mut self, secret: Secret) {
        if let Err(fault) = self.credentials.log_in(secret) {
            // Sending fails only after the loop has ended.
            let _ = self.senders.events.send(Event::NotRemembered(fault));
        }
    }

    fn copy(&mut self, text: String) {
        self.clipboard.copy(&text);
    }

    async fn edit(&mut self, text: String) -> Result<(), Error> {
        // Only the editor may read the terminal while it runs.
        self.keys.abort();
        let edited = self.screen.lend(editor::edit(&text)).await?;
        self.resume_terminal(Event::Edited(edited));
        Ok(())
    }

    fn set_mouse(&mut self, mode: MouseMode) -> Result<(), Error> {
        Ok(self.screen.set_mouse(mode)?)
    }

    fn suspend(&mut self) -> Result<(), Error> {
        // Only the shell may read the terminal while the client is suspended.
        self.keys.abort();
        self.screen.suspend()?;
        let size = self.screen.terminal.size()?;
        self.resume_terminal(Event::Resize(size.width, size.height));
        Ok(())
    }

    fn repaint(&mut self) -> Result<(), Error> {
        Ok(self.screen.terminal.clear()?)
    }
}

impl Process {
    pub(super) fn new(
        http: Http,
        exports: PendingExports,
        screen: Screen,
        senders: Senders,
    ) -> Self {
        Self {
            credentials: http.credentials.clone(),
            api: Api::new(http, senders.events.clone()),
            exports,
            clipboard: Clipboard::new(),
            screen,
            keys: tokio::spawn(forward_terminal(senders.clone())),
            senders,
            heartbeat: Heartbeat::default(),
        }
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
    pub(super) async fn shut_down(mut self) -> (PendingExports, Heartbeat) {
        drop(self.screen);
        self.api.finish().await;
        (self.exports, self.heartbeat)
    }
}

/// A turn of the loop that takes longer is noticeable, and is logged.
const STALL: Duration = Duration::from_millis(50);

/// Measures how long the turns of the loop take. During a turn the client does not react to keys.
#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    turns: u64,
    longest: Duration,
    is_skipped: bool,
}

impl Heartbeat {
    pub(super) fn record(&mut self, took: Duration) {
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

    pub(super) fn log(&self) {
        let (turns, longest_micros) = (self.turns, self.longest.as_micros());
        tracing::info!(turns, longest_micros, "ends");
    }
}

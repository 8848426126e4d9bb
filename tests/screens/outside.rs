//! The environment of a driven client: it records what the client does to the server, the terminal and the disk.

use std::{collections::BTreeMap, convert::Infallible};

use stockroom_common::Secret;
use stockroom_tui::{
    messages::{
        call::{Call, Ticket},
        event::MouseMode,
    },
    model::intent::Upload,
    run::effects::Environment,
    settings::memory::Memory,
};
use uuid::Uuid;

/// Records what the client does to the server, the terminal and the disk.
#[derive(Default)]
pub(crate) struct Outside {
    /// The calls that are not answered yet.
    pub(crate) pending: Vec<Call>,
    /// The event stream that is being followed.
    pub(crate) followed: Option<(Ticket, String)>,
    /// The requested download: ticket, path on the server, and file.
    pub(crate) download: Option<(Ticket, String, String)>,
    /// The requested upload.
    pub(crate) upload: Option<(Ticket, Upload)>,
    /// The text that the user's editor was opened with.
    pub(crate) edited: Option<String>,
    /// The text last copied to the clipboard.
    pub(crate) copied: Option<String>,
    /// Exports that the next run must wait for, by job.
    pub(crate) exports: BTreeMap<Uuid, String>,
    /// The state that is kept for the next run.
    pub(crate) remembered: Option<Memory>,
    /// The token that the user has logged in with.
    pub(crate) token: Option<Secret>,
    /// How often a full redraw was requested.
    pub(crate) repaints: usize,
}

impl Environment for Outside {
    type Read = Ticket;
    type Error = Infallible;

    fn read(&mut self, call: Call) -> Ticket {
        let ticket = call.ticket;
        self.pending.push(call);
        ticket
    }

    fn write(&mut self, call: Call) {
        self.pending.push(call);
    }

    fn follow(&mut self, ticket: Ticket, path: String) -> Ticket {
        self.followed = Some((ticket, path));
        ticket
    }

    fn abort(&mut self, read: Ticket) {
        self.pending.retain(|call| call.ticket != read);
        self.followed.take_if(|(ticket, _)| *ticket == read);
    }

    fn download(&mut self, ticket: Ticket, path: String, file: String) {
        self.download = Some((ticket, path, file));
    }

    fn upload(&mut self, ticket: Ticket, upload: Upload) {
        self.upload = Some((ticket, upload));
    }

    fn track_export(&mut self, job: Uuid, file: String) {
        self.exports.insert(job, file);
    }

    fn untrack_export(&mut self, job: Uuid) {
        self.exports.remove(&job);
    }

    fn remember(&mut self, memory: Memory) {
        self.remembered = Some(memory);
    }

    fn log_in(&mut self, secret: Secret) {
        self.token = Some(secret);
    }

    fn copy(&mut self, text: String) {
        self.copied = Some(text);
    }

    async fn edit(&mut self, text: String) -> Result<(), Infallible> {
        self.edited = Some(text);
        Ok(())
    }

    fn set_mouse(&mut self, _: MouseMode) -> Result<(), Infallible> {
        Ok(())
    }

    fn suspend(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn repaint(&mut self) -> Result<(), Infallible> {
        self.repaints += 1;
        Ok(())
    }
}

//! Executes effects on an [`Environment`]: the server, the terminal and the disk, or what a test puts in their place.

use std::collections::HashMap;

use reqwest::Method;
use stockroom_common::Secret;
use uuid::Uuid;

use crate::{
    messages::{
        call::{Call, Owner, Ticket},
        event::{Effect, MouseMode},
    },
    model::intent::Upload,
    settings::memory::Memory,
};

/// What effects act on.
pub trait Environment {
    /// A read or an event stream in progress.
    type Read;
    /// Why the client cannot go on.
    type Error;

    /// Sends a call that only reads.
    fn read(&mut self, call: Call) -> Self::Read;
    /// Sends a call that writes; it always runs to completion.
    fn write(&mut self, call: Call);
    fn follow(&mut self, ticket: Ticket, path: String) -> Self::Read;
    /// Stops a read or a stream; it may have ended already.
    fn abort(&mut self, read: Self::Read);
    fn download(&mut self, ticket: Ticket, path: String, file: String);
    fn upload(&mut self, ticket: Ticket, upload: Upload);
    fn track_export(&mut self, job: Uuid, file: String);
    fn untrack_export(&mut self, job: Uuid);
    fn remember(&mut self, memory: Memory);
    fn log_in(&mut self, secret: Secret);
    fn copy(&mut self, text: String);
    /// # Errors
    /// If the terminal is gone; so for all that follow.
    fn edit(&mut self, text: String) -> impl Future<Output = Result<(), Self::Error>>;
    fn set_mouse(&mut self, mode: MouseMode) -> Result<(), Self::Error>;
    fn suspend(&mut self) -> Result<(), Self::Error>;
    fn repaint(&mut self) -> Result<(), Self::Error>;
}

/// Executes effects, and knows which reads are in progress.
#[derive(Debug)]
pub struct Effects<Read> {
    reads: HashMap<Owner, Read>,
    /// Whether the application has asked to quit.
    pub is_quitting: bool,
}

impl<Read> Default for Effects<Read> {
    fn default() -> Self {
        Self {
            reads: HashMap::new(),
            is_quitting: false,
        }
    }
}

impl<Read> Effects<Read> {
    /// # Errors
    /// If the terminal is gone.
    pub async fn execute<E: Environment<Read = Read>>(
        &mut self,
        effect: Effect,
        environment: &mut E,
    ) -> Result<(), E::Error> {
        match effect {
            // A read or stream aborts the earlier one of its owner, because nothing waits for that reply any more.
            Effect::Send(call) if call.method == Method::GET => {
                let owner = call.ticket.owner;
                let read = environment.read(call);
                if let Some(earlier) = self.reads.insert(owner, read) {
                    environment.abort(earlier);
                }
            }
            Effect::Follow { ticket, path } => {
                let read = environment.follow(ticket, path);
                if let Some(earlier) = self.reads.insert(ticket.owner, read) {
                    environment.abort(earlier);
                }
            }
            Effect::Cancel(owner) => {
                if let Some(read) = self.reads.remove(&owner) {
                    environment.abort(read);
                }
            }
            Effect::Send(call) => environment.write(call),
            Effect::Download { ticket, path, file } => environment.download(ticket, path, file),
            Effect::Upload { ticket, upload } => environment.upload(ticket, upload),
            Effect::TrackExport(job, file) => environment.track_export(job, file),
            Effect::UntrackExport(job) => environment.untrack_export(job),
            Effect::Remember(memory) => environment.remember(*memory),
            Effect::LogIn(secret) => environment.log_in(secret),
            Effect::Copy(text) => environment.copy(text),
            Effect::Edit(text) => environment.edit(text).await?,
            Effect::SetMouse(mode) => environment.set_mouse(mode)?,
            Effect::Suspend => environment.suspend()?,
            Effect::Repaint => environment.repaint()?,
            Effect::Quit => self.is_quitting = true,
        }
        Ok(())
    }
}

//! What a screen or dialog can do besides changing its own state: call the server, and send requests to the application
//! that affect other parts of it.

use std::time::Instant;

use crate::{
    messages::{
        call::{Call, Owner, Ticket},
        event::Effect,
        request::{Confirm, Dialog, Request, Toast},
    },
    model::text::Zone,
};

pub struct Context<'a> {
    pub now: Instant,
    /// The number of list rows that fit on the screen.
    pub rows: usize,
    pub zone: Zone,
    /// Whether the client may change the shop.
    pub may_change: bool,
    pub runs: &'a mut u64,
    pub effects: &'a mut Vec<Effect>,
    pub requests: &'a mut Vec<Request>,
}

impl Context<'_> {
    /// Creates a ticket for a new run of the owner.
    pub fn ticket(&mut self, owner: Owner) -> Ticket {
        *self.runs += 1;
        Ticket {
            owner,
            run: *self.runs,
        }
    }

    pub fn send(&mut self, call: Call) {
        self.effects.push(Effect::Send(call));
    }

    /// Downloads an answer to a file; returns the run of the reply.
    pub fn download(&mut self, owner: Owner, path: String, file: String) -> u64 {
        let ticket = self.ticket(owner);
        self.effects.push(Effect::Download { ticket, path, file });
        ticket.run
    }

    /// Follows an event stream; returns the run of its events.
    pub fn follow(&mut self, owner: Owner, path: String) -> u64 {
        let ticket = self.ticket(owner);
        self.effects.push(Effect::Follow { ticket, path });
        ticket.run
    }

    pub fn request(&mut self, request: Request) {
        self.requests.push(request);
    }

    pub fn open(&mut self, dialog: Dialog) {
        self.request(Request::Open(Box::new(dialog)));
    }

    pub fn confirm(&mut self, confirm: Confirm) {
        self.open(Dialog::Confirm(confirm));
    }

    pub fn error(&mut self, message: impl Into<String>) {
        self.request(Request::Show(Toast::Error(message.into())));
    }

    pub fn info(&mut self, message: impl Into<String>) {
        self.request(Request::Show(Toast::Info(message.into())));
    }
}

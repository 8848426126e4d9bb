//! What a screen may do besides changing itself: call the server, and ask the application for
//! something that concerns others.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stockroom_common::job::Job;
use uuid::Uuid;

use crate::{
    app::{
        bulk::{Bulk, Outcomes},
        undo::Undo,
    },
    dialogs::{import, overlay::Overlay, picker::Picker},
    messages::event::{Call, Effect, Owner, Ticket},
    model::{
        entity::{Reference, Tab, Target},
        text::Zone,
    },
    screens::{
        jobs::{Begin, Then},
        list::{Deletion, Query},
    },
    settings::keys::Command,
};

pub struct Context<'a> {
    pub now: Instant,
    /// Rows of a list that fit on the screen.
    pub rows: usize,
    pub zone: Zone,
    /// Whether the client may change the shop.
    pub may_change: bool,
    pub runs: &'a mut u64,
    pub effects: &'a mut Vec<Effect>,
    pub wishes: &'a mut Vec<Wish>,
}

/// What a screen asks of the application.
#[derive(Debug)]
pub enum Wish {
    Open(Overlay),
    Picker(Box<Picker>),
    Review(import::Review),
    Outcomes(Outcomes),
    /// Closes the topmost overlay.
    Close,
    /// Closes the picker and hands its row to the form below.
    Picked {
        id: Uuid,
        label: String,
    },
    /// Hands what was typed or chosen to the list that is shown.
    SearchFor(String),
    Goto(String),
    SortBy(String),
    Views(Views),
    /// How lists are arranged has changed.
    Remember,
    Bulk(Box<Bulk>),
    /// Take back the last write.
    Undo,
    ClearMarks(Tab),
    ExportRows(Tab, Vec<Uuid>),
    FilterBy(Vec<Chip>),
    Delete(Box<Deletion>),
    /// Sends the form of a seed again, for a shop in which people have written rows.
    SeedAnyway,
    /// The question about partitions was answered with yes.
    WorkOnPartitions,
    /// Puts a job into the server's queue.
    Begin(Begin),
    /// A job is in the queue now.
    Begun(Box<Job>, Then),
    /// Saves the export of a job under that name.
    SaveExport(Uuid, String),
    /// A row was written: the lists read again, its name is forgotten. No row where it is gone.
    Written {
        tab: Tab,
        row: Option<Value>,
        toast: String,
        /// How it is taken back.
        undo: Option<Undo>,
    },
    /// A row was created by a form: whoever was about to choose one takes it.
    TakeCreated {
        tab: Tab,
        row: Value,
    },
    /// Something may have changed anywhere: every list is read again when it is seen.
    Expire,
    /// The form has done its work: it goes, with whatever lies over it.
    CloseForm,
    Follow(Target),
    /// Back to where a link was followed from.
    Return,
    /// Runs a command where the keys go now.
    Run(Command),
    Toast(Toast),
}

/// What is wished of the saved views of a list.
#[derive(Debug)]
pub enum Views {
    Menu(Tab),
    AskName,
    Save(String),
    Show(Box<Query>),
    Forget(Tab, usize),
}

/// A filter that is set, with the words that show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chip {
    pub name: String,
    pub value: String,
    pub label: String,
    /// The row whose name says more than the label.
    pub reference: Option<Reference>,
}

/// A line about what just happened; it stays until the next key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Toast {
    Good(String),
    Bad(String),
}

impl Context<'_> {
    /// A ticket for a new run of the owner.
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

    /// Writes an answer to a file; gives the run that tells of it.
    pub fn download(&mut self, owner: Owner, path: String, file: String) -> u64 {
        let ticket = self.ticket(owner);
        self.effects.push(Effect::Download { ticket, path, file });
        ticket.run
    }

    /// Follows an event stream; gives the run of its events.
    pub fn follow(&mut self, owner: Owner, path: String) -> u64 {
        let ticket = self.ticket(owner);
        self.effects.push(Effect::Follow { ticket, path });
        ticket.run
    }

    pub fn wish(&mut self, wish: Wish) {
        self.wishes.push(wish);
    }

    pub fn bad(&mut self, message: impl Into<String>) {
        self.wish(Wish::Toast(Toast::Bad(message.into())));
    }

    pub fn good(&mut self, message: impl Into<String>) {
        self.wish(Wish::Toast(Toast::Good(message.into())));
    }
}

//! The two ends of `App::update`: events go in, effects come out.

use crossterm::event::KeyEvent;
use stockroom_common::change::ChangeEvent;
use uuid::Uuid;

use crate::{
    messages::call::{Call, Owner, Reply, Ticket},
    model::{intent::Upload, tab::Tab},
    settings::memory::Memory,
};

/// All events come through one channel.
#[derive(Debug)]
pub enum Event {
    Key(KeyEvent),
    Paste(String),
    Mouse(MouseAction),
    /// The terminal has that many columns and rows now.
    Resize(u16, u16),
    Reply(Reply),
    Link(Link),
    /// Somebody, perhaps this client, has changed something in the shop.
    Change(Box<ChangeEvent>),
    /// Changes were missed, and the server can no longer list them.
    Missed,
    /// The arrangement of the lists could not be saved, and why.
    NotRemembered(String),
    /// Text that was in the user's editor, or what went wrong there.
    Edited(Result<String, String>),
    /// The deadline that the application asked for has come.
    Tick,
    /// The system asks the client to quit.
    Terminate,
}

/// What the mouse did, and to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MouseAction {
    Click(Hit),
    ScrollUp,
    ScrollDown,
}

/// What lies under the mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    Tab(Tab),
    /// A row of the list, counted from the first one on the screen.
    Row(usize),
    /// An item of the topmost dialog.
    Item(usize),
}

/// What the loop does for the application.
#[derive(Debug)]
pub enum Effect {
    Send(Call),
    /// Follows an event stream: each event comes as a reply, and its end as a failure.
    Follow {
        ticket: Ticket,
        path: String,
    },
    /// Writes an answer to a new file. The reply says how large it is.
    Download {
        ticket: Ticket,
        path: String,
        file: String,
    },
    /// Sends a file. The reply is the import job.
    Upload {
        ticket: Ticket,
        upload: Upload,
    },
    /// Stops waiting for an answer.
    Cancel(Owner),
    /// Opens text in the user's editor; it comes back as [`Event::Edited`].
    Edit(String),
    /// Puts text on the clipboard.
    Copy(String),
    SetMouse(MouseMode),
    /// Records that the export of a job must be saved in that file, by this run or the next.
    TrackExport(Uuid, String),
    /// The export is saved, or never will be.
    UntrackExport(Uuid),
    /// Saves how the lists are arranged for the next run.
    Remember(Box<Memory>),
    Suspend,
    /// Draws the whole screen again: something else has written to it.
    Repaint,
    Quit,
}

/// Who handles the mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MouseMode {
    Client,
    /// The terminal, with its own selection.
    Terminal,
}

/// The state of the connection to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    Connecting,
    Up,
    Down(String),
}

//! Input and output of `App::update`: events go in, effects come out.

use crossterm::event::KeyEvent;
use stockroom_common::{Secret, access::WhoAmI, change::ChangeEvent};
use uuid::Uuid;

use crate::{
    messages::call::{Call, Owner, Reply, Ticket},
    model::{intent::Upload, tab::Tab},
    settings::memory::Memory,
};

/// Everything that `App::update` reacts to.
#[derive(Debug)]
pub enum Event {
    Key(KeyEvent),
    Paste(String),
    Mouse(MouseAction),
    /// The new size of the terminal, in columns and rows.
    Resize(u16, u16),
    Reply(Reply),
    Link(Link),
    /// Who the user is to the server.
    Identity(WhoAmI),
    /// A change in the shop, made by any client including this one.
    Change(Box<ChangeEvent>),
    /// Changes were missed, and the server can no longer list them.
    Missed,
    /// The layout of the lists could not be saved; contains the reason.
    NotRemembered(String),
    /// The text from the user's editor, or an error message.
    Edited(Result<String, String>),
    /// The deadline that the application set has passed.
    Tick,
    /// The client must quit: it received a signal, or the terminal is gone.
    Terminate,
}

/// An action of the mouse, with its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MouseAction {
    Click(Hit),
    ScrollUp,
    ScrollDown,
}

/// The element under the mouse pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    Tab(Tab),
    /// A row of the list, counted from the first row on the screen.
    Row(usize),
    /// An item of the topmost dialog.
    Item(usize),
}

/// What the main loop does for the application.
#[derive(Debug)]
pub enum Effect {
    Send(Call),
    /// Follows an event stream. Each event arrives as a reply; the end of the stream arrives as a failure.
    Follow {
        ticket: Ticket,
        path: String,
    },
    /// Downloads an answer to a new file. The reply contains the size of the file.
    Download {
        ticket: Ticket,
        path: String,
        file: String,
    },
    /// Uploads a file. The reply is the import job.
    Upload {
        ticket: Ticket,
        upload: Upload,
    },
    /// Stops waiting for an answer.
    Cancel(Owner),
    /// Opens text in the user's editor. The result arrives as [`Event::Edited`].
    Edit(String),
    /// Copies text to the clipboard.
    Copy(String),
    SetMouse(MouseMode),
    /// Records that the export of a job must be saved to this file, by this run or the next.
    TrackExport(Uuid, String),
    /// Removes that record: the export is saved, or never will be.
    UntrackExport(Uuid),
    /// Saves the layout of the lists for the next run.
    Remember(Box<Memory>),
    /// Uses this token from now on, and saves it.
    LogIn(Secret),
    Suspend,
    /// Redraws the whole screen, because another program has written to it.
    Repaint,
    Quit,
}

/// Who handles the mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MouseMode {
    Client,
    /// The terminal, with its own text selection.
    Terminal,
}

/// The state of the connection to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    Connecting,
    Up,
    Down(String),
    /// The server refuses the user's token, or there is none; contains the reason.
    LoggedOut(String),
}

//! The terminal: taken when the client starts, given back however it ends.

use std::io::{self, Stdout, Write, stdout};

use crossterm::{
    cursor::Show,
    event::{DisableBracketedPaste, EnableBracketedPaste},
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use ratatui::{Terminal, backend::CrosstermBackend};

/// The terminal while it is ours; dropping it gives it back.
pub(crate) struct Screen {
    pub terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal. A panic will give it back before it speaks.
    ///
    /// # Errors
    /// Where there is no terminal.
    pub(crate) fn take() -> io::Result<Self> {
        let speak = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            speak(panic);
        }));
        enter()?;
        let terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        Ok(Self { terminal })
    }

    /// Gives the terminal to the shell until it brings us to the foreground again.
    ///
    /// # Errors
    /// Where the terminal is gone.
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        // The whole job stops, as it would if the terminal had handled the key.
        let group = rustix::process::getpgrp();
        rustix::process::kill_process_group(group, rustix::process::Signal::TSTP)?;
        enter()?;
        // A new one knows that the screen is empty.
        self.terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)
}

fn give_back() {
    // There is nothing left to do about a terminal that does not answer.
    let _ = disable_raw_mode();
    let _ = execute!(stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _ = stdout().flush();
}

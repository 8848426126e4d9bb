//! The terminal: set up when the client starts, and restored however the client ends.

use std::io::{self, Stdout, Write, stdout};

use crossterm::{
    cursor::Show,
    event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture},
    execute,
    terminal::{
        EnterAlternateScreen, LeaveAlternateScreen, SetTitle, disable_raw_mode, enable_raw_mode,
    },
};
use ratatui::{Terminal, backend::CrosstermBackend};

use crate::{messages::event::MouseMode, model::text};

/// The terminal while the client uses it. Dropping this restores the terminal.
pub(crate) struct Screen {
    has_mouse: bool,
    pub terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Sets up the terminal. A panic restores it before the panic message is printed.
    ///
    /// # Errors
    /// If no terminal is available.
    pub(crate) fn take() -> io::Result<Self> {
        let speak = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            speak(panic);
        }));
        enter()?;
        let terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        let has_mouse = false;
        Ok(Self {
            has_mouse,
            terminal,
        })
    }

    /// Sets the title of the terminal window.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(crate) fn set_title(&self, title: &str) -> io::Result<()> {
        execute!(stdout(), SetTitle(text::clean(title)))
    }

    /// Sets whether the client or the terminal handles the mouse.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(crate) fn set_mouse(&mut self, mode: MouseMode) -> io::Result<()> {
        self.has_mouse = mode == MouseMode::Client;
        match mode {
            MouseMode::Client => execute!(stdout(), EnableMouseCapture),
            MouseMode::Terminal => execute!(stdout(), DisableMouseCapture),
        }
    }

    /// Restores the terminal for another program, and sets it up again when that program has ended.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(crate) async fn lend<T>(&mut self, program: impl Future<Output = T>) -> io::Result<T> {
        give_back();
        let outcome = program.await;
        self.take_again()?;
        Ok(outcome)
    }

    fn take_again(&mut self) -> io::Result<()> {
        enter()?;
        if self.has_mouse {
            self.set_mouse(MouseMode::Client)?;
        }
        // A new `Terminal` starts from an empty screen, so the next draw is complete.
        self.terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        Ok(())
    }

    /// Gives the terminal to the shell until the client is in the foreground again.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        // Stop the whole process group, as the terminal would do if it handled the key.
        let group = rustix::process::getpgrp();
        rustix::process::kill_process_group(group, rustix::process::Signal::TSTP)?;
        self.take_again()
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
    // Errors are ignored: nothing more can be done about a terminal that does not respond.
    let _ = disable_raw_mode();
    let _ = execute!(
        stdout(),
        DisableMouseCapture,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        Show
    );
    let _ = stdout().flush();
}

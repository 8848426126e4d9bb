//! The terminal: taken when the client starts, given back however it ends.

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

/// The terminal while it is ours; dropping it gives it back.
pub(crate) struct Screen {
    has_mouse: bool,
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
        let has_mouse = false;
        Ok(Self {
            has_mouse,
            terminal,
        })
    }

    /// Says on the frame of the terminal what runs in it.
    ///
    /// # Errors
    /// Where the terminal is gone.
    pub(crate) fn set_title(&self, words: &str) -> io::Result<()> {
        execute!(stdout(), SetTitle(text::clean(words)))
    }

    /// Takes the mouse, or leaves it to the terminal.
    ///
    /// # Errors
    /// Where the terminal is gone.
    pub(crate) fn set_mouse(&mut self, mode: MouseMode) -> io::Result<()> {
        self.has_mouse = mode == MouseMode::Client;
        match mode {
            MouseMode::Client => execute!(stdout(), EnableMouseCapture),
            MouseMode::Terminal => execute!(stdout(), DisableMouseCapture),
        }
    }

    /// Lends the terminal to another program until that has ended.
    ///
    /// # Errors
    /// Where the terminal is gone.
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
        // A new one knows that the screen is empty.
        self.terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        Ok(())
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
    // There is nothing left to do about a terminal that does not answer.
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

//! The client in a real pty, with a terminal emulator that reads its screen.

use std::{
    io::{Read, Write},
    path::Path,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::{admin_token, process::binary};

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Option<Box<dyn MasterPty + Send>>,
    writer: Box<dyn Write + Send>,
    seen: Arc<Mutex<Seen>>,
    reader: Option<JoinHandle<()>>,
}

struct Seen {
    parser: vt100::Parser,
    /// Everything that the client wrote to the terminal.
    bytes: Vec<u8>,
    /// Time of the last write.
    written_at: Instant,
    /// Texts to wait for, and when the screen first showed each.
    wanted: Vec<(String, Option<Instant>)>,
}

impl Seen {
    fn take(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        self.bytes.extend_from_slice(bytes);
        self.written_at = Instant::now();
        if self.wanted.iter().any(|(_, at)| at.is_none()) {
            let screen = self.parser.screen().contents();
            for (words, at) in &mut self.wanted {
                if at.is_none() && screen.contains(words.as_str()) {
                    *at = Some(self.written_at);
                }
            }
        }
    }
}

impl Terminal {
    /// Starts the client with these arguments on a terminal of this size, with `home` as its home folder.
    pub fn open(columns: u16, rows: u16, arguments: &[&str], home: &Path) -> Self {
        let mut command = CommandBuilder::new(binary("stockroom"));
        command.args(arguments);
        Self::start(columns, rows, command, home, &[])
    }

    /// Like [`Terminal::open`] at the usual size, with additional environment variables.
    pub fn open_as(environment: &[(&str, &str)], arguments: &[&str], home: &Path) -> Self {
        let mut command = CommandBuilder::new(binary("stockroom"));
        command.args(arguments);
        for (name, value) in environment {
            command.env(name, value);
        }
        Self::start(80, 24, command, home, &[])
    }

    /// Starts the client and returns how long it took until the screen showed each of the texts.
    pub fn time(
        (columns, rows): (u16, u16),
        arguments: &[&str],
        home: &Path,
        wanted: &[&str],
    ) -> (Self, Vec<Duration>) {
        let mut command = CommandBuilder::new(binary("stockroom"));
        command.args(arguments);
        let began = Instant::now();
        let terminal = Self::start(columns, rows, command, home, wanted);
        let times = crate::eventually("all that is wanted", || {
            let seen = terminal.seen.lock().unwrap();
            let times = seen.wanted.iter().map(|(_, at)| Some((*at)? - began));
            times.collect::<Option<Vec<Duration>>>()
        });
        (terminal, times)
    }

    /// Sends keys and returns how long it took until the client wrote something.
    pub fn answers(&mut self, keys: &str) -> Duration {
        let before = self.written();
        let began = Instant::now();
        self.send(keys);
        loop {
            let seen = self.seen.lock().unwrap();
            if seen.bytes.len() > before {
                return seen.written_at - began;
            }
            drop(seen);
            assert!(began.elapsed() < PATIENCE, "nothing was written");
            std::thread::yield_now();
        }
    }

    /// Starts a shell with job control and the prompt `prompt>`.
    pub fn shell(columns: u16, rows: u16, home: &Path) -> Self {
        let mut command = CommandBuilder::new("bash");
        command.args(["--norc", "--noprofile", "-i"]);
        command.env("PS1", "prompt>");
        Self::start(columns, rows, command, home, &[])
    }

    fn start(
        columns: u16,
        rows: u16,
        mut command: CommandBuilder,
        home: &Path,
        wanted: &[&str],
    ) -> Self {
        let size = PtySize {
            rows,
            cols: columns,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pty = native_pty_system().openpty(size).unwrap();
        command.env_remove("DATABASE_URL");
        command.env("HOME", home);
        command.env("XDG_CONFIG_HOME", home);
        command.env("TERM", "xterm-256color");
        command.env("TZ", "UTC");
        command.env("STOCKROOM_LOG", "warn");
        if command.get_env("STOCKROOM_TOKEN").is_none() {
            command.env("STOCKROOM_TOKEN", admin_token().expose());
        }
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let seen = Arc::new(Mutex::new(Seen {
            parser: vt100::Parser::new(rows, columns, 0),
            bytes: Vec::new(),
            written_at: Instant::now(),
            wanted: wanted
                .iter()
                .map(|words| ((*words).to_owned(), None))
                .collect(),
        }));
        let reader = std::thread::spawn({
            let (mut source, seen) = (pty.master.try_clone_reader().unwrap(), seen.clone());
            move || {
                let mut buffer = [0; 4096];
                // Reading a closed pty returns an error, not an end of file.
                while let Ok(count @ 1..) = source.read(&mut buffer) {
                    seen.lock().unwrap().take(&buffer[..count]);
                }
            }
        });
        Self {
            child,
            writer: pty.master.take_writer().unwrap(),
            master: Some(pty.master),
            seen,
            reader: Some(reader),
        }
    }

    /// Types text or control characters.
    pub fn send(&mut self, text: &str) {
        self.writer.write_all(text.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        let size = PtySize {
            rows,
            cols: columns,
            pixel_width: 0,
            pixel_height: 0,
        };
        self.seen
            .lock()
            .unwrap()
            .parser
            .screen_mut()
            .set_size(rows, columns);
        self.master.as_ref().unwrap().resize(size).unwrap();
    }

    pub fn screen(&self) -> String {
        self.seen.lock().unwrap().parser.screen().contents()
    }

    /// The number of bytes that the client has written.
    pub fn written(&self) -> usize {
        self.seen.lock().unwrap().bytes.len()
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.seen.lock().unwrap().bytes.clone()
    }

    /// Whether the alternate screen is active, as it is while the client owns the terminal.
    pub fn is_taken(&self) -> bool {
        self.seen.lock().unwrap().parser.screen().alternate_screen()
    }

    /// Waits until the screen shows this text; returns the screen.
    #[track_caller]
    pub fn sees(&self, wanted: &str) -> String {
        self.waits(wanted, |screen| screen.contains(wanted))
    }

    /// Waits until the screen no longer shows this text; returns the screen.
    #[track_caller]
    pub fn loses(&self, unwanted: &str) -> String {
        self.waits(&format!("no {unwanted}"), |screen| {
            !screen.contains(unwanted)
        })
    }

    #[track_caller]
    pub fn waits(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if condition(&screen) {
                return screen;
            }
            assert!(
                Instant::now() < deadline,
                "no `{what}` in {PATIENCE:?}:\n{screen}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.process_id().unwrap()).unwrap()
    }

    /// Waits until the client has ended; returns whether it succeeded.
    pub fn wait(&mut self) -> bool {
        let status = crate::eventually("the end of the client", || self.child.try_wait().unwrap());
        // Closes our side of the pty, so that the reader thread ends after it has read all output.
        self.master = None;
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status.success()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Fails if the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

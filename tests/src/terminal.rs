//! The client in a real pty, its screen read by a terminal emulator.

use std::{
    io::{Read, Write},
    path::Path,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::process::binary;

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
    /// Everything that was written to the terminal.
    bytes: Vec<u8>,
    /// When something was written last.
    written_at: Instant,
    /// Words that are waited for, and when the screen showed them first.
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
    /// Starts the client with these arguments on a terminal of that size, in a home of its own.
    pub fn open(columns: u16, rows: u16, arguments: &[&str], home: &Path) -> Self {
        let mut command = CommandBuilder::new(binary("stockroom"));
        command.args(arguments);
        Self::start(columns, rows, command, home, &[])
    }

    /// As [`Terminal::open`] at the usual size, with this in its environment.
    pub fn open_as(environment: &[(&str, &str)], arguments: &[&str], home: &Path) -> Self {
        let mut command = CommandBuilder::new(binary("stockroom"));
        command.args(arguments);
        for (name, value) in environment {
            command.env(name, value);
        }
        Self::start(80, 24, command, home, &[])
    }

    /// Starts the client, and tells how long it took until the screen showed each of these.
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

    /// Sends keys; tells how long it took until something was written.
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

    /// Starts a shell with job control, whose prompt is `prompt>`.
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
                // The pty ends with an error, not with an end of file.
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

    /// How many bytes the client has written.
    pub fn written(&self) -> usize {
        self.seen.lock().unwrap().bytes.len()
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.seen.lock().unwrap().bytes.clone()
    }

    /// Whether the alternate screen is shown, as it is while the client owns the terminal.
    pub fn is_taken(&self) -> bool {
        self.seen.lock().unwrap().parser.screen().alternate_screen()
    }

    /// Waits until the screen shows this; gives the screen.
    #[track_caller]
    pub fn sees(&self, wanted: &str) -> String {
        self.waits(wanted, |screen| screen.contains(wanted))
    }

    /// Waits until the screen does not show this any more.
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

    /// Waits until the client has ended; true where it ended well.
    pub fn wait(&mut self) -> bool {
        let status = crate::eventually("the end of the client", || self.child.try_wait().unwrap());
        // All that it wrote is read once its side of the pty is closed.
        self.master = None;
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status.success()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has usually ended by now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

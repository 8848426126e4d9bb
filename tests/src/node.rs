//! A server process of a fleet: others share its database and its Redis.

use std::{
    fs::File,
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::process::{binary, eventually, free_port, tied};

pub struct Node {
    pub address: SocketAddr,
    program: &'static str,
    environment: Vec<(&'static str, String)>,
    child: Child,
}

/// Where Debian and Fedora keep it.
const FAKETIME: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
];

/// How a server is started, where not as usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Odd {
    #[default]
    No,
    /// It logs every request to a disk that is full.
    LogIsFull,
    /// It logs every request to a pipe that nobody reads.
    LogIsUnread,
    /// It may have so few files and sockets open.
    FewSockets(u32),
}

impl Node {
    /// Starts `stockroom-server`, or the `testbed`, and waits until it listens.
    pub fn start(program: &'static str, environment: Vec<(&'static str, String)>) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let child = spawn(program, address, &environment, Odd::No);
        let mut node = Self {
            address,
            program,
            environment,
            child,
        };
        node.wait_until_it_listens();
        node
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended; tells whether well.
    pub fn wait(&mut self) -> bool {
        eventually("the end of the server", || self.child.try_wait().unwrap()).success()
    }

    /// Starts it again on the same port.
    pub fn restart(&mut self) {
        self.restart_as(Odd::No);
    }

    /// Starts it again on the same port, and not as usual.
    pub fn restart_as(&mut self, odd: Odd) {
        self.child = spawn(self.program, self.address, &self.environment, odd);
        self.wait_until_it_listens();
    }

    /// Tries to start it with its clock that many days off; gives its last words where it ended by itself, none
    /// where this machine has no `libfaketime`.
    pub fn start_with_clock_off(&mut self, days: i32) -> Option<String> {
        let library = FAKETIME
            .iter()
            .find(|path| std::path::Path::new(path).is_file())?;
        let output = command(self.program, self.address, &self.environment)
            .env("LD_PRELOAD", library)
            .env("FAKETIME", format!("{days:+}d"))
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert!(
            !output.status.success(),
            "a server whose clock is {days} days off started"
        );
        Some(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn wait_until_it_listens(&mut self) {
        let (child, address) = (&mut self.child, self.address);
        eventually("listening", || {
            let ended = child.try_wait().unwrap();
            assert_eq!(ended, None, "the server ended before it listened");
            TcpStream::connect(address).ok()
        });
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It has usually ended by now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(
    program: &str,
    address: SocketAddr,
    environment: &[(&'static str, String)],
    odd: Odd,
) -> Child {
    let mut command = match odd {
        Odd::FewSockets(limit) => {
            let mut shell = tied(Command::new("sh"));
            let limited = format!("ulimit -n {limit}; exec \"$0\"");
            shell.args(["-c", &limited]).arg(binary(program));
            prepare(shell, address, environment)
        }
        _ => command(program, address, environment),
    };
    match odd {
        Odd::LogIsFull => {
            let full = File::options().write(true).open("/dev/full").unwrap();
            command.env("STOCKROOM_LOG", "info").stderr(full);
        }
        Odd::LogIsUnread => {
            // The end that would be read is kept with the process, and left alone.
            command.env("STOCKROOM_LOG", "info").stderr(Stdio::piped());
        }
        Odd::No | Odd::FewSockets(_) => {}
    }
    command.spawn().unwrap()
}

fn command(program: &str, address: SocketAddr, environment: &[(&'static str, String)]) -> Command {
    prepare(tied(Command::new(binary(program))), address, environment)
}

fn prepare(
    mut command: Command,
    address: SocketAddr,
    environment: &[(&'static str, String)],
) -> Command {
    command
        .env("STOCKROOM_LOG", "error")
        .env("STOCKROOM_LISTEN", address.to_string())
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null());
    command
}

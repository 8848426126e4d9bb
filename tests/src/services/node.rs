//! A server process of a fleet that shares one database and one Redis.

use std::{
    fs::File,
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    admin_token,
    process::{binary, eventually, free_port, tied},
};

pub struct Node {
    pub address: SocketAddr,
    program: &'static str,
    environment: Vec<(&'static str, String)>,
    child: Child,
}

/// Install locations of `libfaketime` on Debian and Fedora.
const FAKETIME: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
];

/// A deviation from the usual way to start a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartMode {
    #[default]
    No,
    /// Logs every request to a full disk.
    LogIsFull,
    /// Logs every request to a pipe that nobody reads.
    LogIsUnread,
    /// Limits the number of open files and sockets.
    FewSockets(u32),
}

impl Node {
    /// Starts `stockroom-server` or `testbed` and waits until it listens.
    pub fn start(program: &'static str, environment: Vec<(&'static str, String)>) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let child = spawn(program, address, &environment, StartMode::No);
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

    /// Waits until the process has ended; returns whether it succeeded.
    pub fn wait(&mut self) -> bool {
        eventually("the end of the server", || self.child.try_wait().unwrap()).success()
    }

    /// Starts the server again on the same port.
    pub fn restart(&mut self) {
        self.restart_as(StartMode::No);
    }

    /// Starts the server again on the same port, with a deviation.
    pub fn restart_as(&mut self, odd: StartMode) {
        self.child = spawn(self.program, self.address, &self.environment, odd);
        self.wait_until_it_listens();
    }

    /// Starts the server with its clock shifted by `days`, checks that it exits with a failure, and returns its
    /// standard error. `None` if `libfaketime` is not installed.
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
        // Fails if the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(
    program: &str,
    address: SocketAddr,
    environment: &[(&'static str, String)],
    odd: StartMode,
) -> Child {
    let mut command = match odd {
        StartMode::FewSockets(limit) => {
            let mut shell = tied(Command::new("sh"));
            let limited = format!("ulimit -n {limit}; exec \"$0\"");
            shell.args(["-c", &limited]).arg(binary(program));
            prepare(shell, address, environment)
        }
        _ => command(program, address, environment),
    };
    match odd {
        StartMode::LogIsFull => {
            let full = File::options().write(true).open("/dev/full").unwrap();
            command.env("STOCKROOM_LOG", "info").stderr(full);
        }
        StartMode::LogIsUnread => {
            // The read end stays open as long as the process handle, and nothing reads from it.
            command.env("STOCKROOM_LOG", "info").stderr(Stdio::piped());
        }
        StartMode::No | StartMode::FewSockets(_) => {}
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
        .env("STOCKROOM_ADMIN_TOKEN", admin_token().expose())
        .env("STOCKROOM_LISTEN", address.to_string())
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null());
    command
}

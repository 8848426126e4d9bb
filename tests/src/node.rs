//! A server process of a fleet: others share its database and its Redis.

use std::{
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

impl Node {
    /// Starts `stockroom-server`, or the `testbed`, and waits until it listens.
    pub fn start(program: &'static str, environment: Vec<(&'static str, String)>) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let child = spawn(program, address, &environment);
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

    /// Starts it again on the same port.
    pub fn restart(&mut self) {
        self.child = spawn(self.program, self.address, &self.environment);
        self.wait_until_it_listens();
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

fn spawn(program: &str, address: SocketAddr, environment: &[(&'static str, String)]) -> Child {
    tied(Command::new(binary(program)))
        .env("STOCKROOM_LOG", "error")
        .env("STOCKROOM_LISTEN", address.to_string())
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

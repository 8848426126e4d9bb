//! The connection to the server, as the status line and the dashboard show it.

use std::{collections::VecDeque, path::PathBuf, time::Duration};

use crate::messages::{
    call::{Failure, Owner, Reply, Source},
    event::Link,
};

/// Response times that are kept.
const MAX_LATENCIES: usize = 120;

#[derive(Debug)]
pub struct Connection {
    pub link: Link,
    /// The server, as people call it.
    pub server: String,
    /// How long the last page took, and where the server read it from.
    pub latency: Option<(Duration, Option<Source>)>,
    /// How long the last answers took, the newest last.
    pub latencies: VecDeque<Duration>,
    /// The folder of a shop that is being created; the user is told once it answers.
    pub new_shop: Option<PathBuf>,
}

impl Connection {
    pub const fn new(server: String) -> Self {
        Self {
            link: Link::Connecting,
            server,
            latency: None,
            latencies: VecDeque::new(),
            new_shop: None,
        }
    }

    pub fn is_up(&self) -> bool {
        self.link == Link::Up
    }

    /// Records how long an answer took.
    pub(super) fn measure(&mut self, reply: &Reply) {
        let owner = reply.ticket.owner;
        if let (Owner::List(_) | Owner::Save | Owner::Delete(_), Ok(_)) = (owner, &reply.result) {
            if self.latencies.len() == MAX_LATENCIES {
                self.latencies.pop_front();
            }
            self.latencies.push_back(reply.took);
        }
        match (&reply.result, owner) {
            (Ok(answer), Owner::List(_)) => self.latency = Some((reply.took, answer.source)),
            // Only pages come from the cache.
            (Ok(_) | Err(Failure::Refused(_)), Owner::Save | Owner::Delete(_)) => {
                self.latency = Some((reply.took, None));
            }
            _ => {}
        }
    }
}

//! The state of the connection to the server, for the status line and the dashboard.

use std::{collections::VecDeque, path::PathBuf, time::Duration};

use stockroom_common::{Role, access::WhoAmI};

use crate::messages::{
    call::{Failure, Owner, Reply, Source},
    event::Link,
};

/// How many response times are kept.
const MAX_LATENCIES: usize = 120;

#[derive(Debug)]
pub struct Connection {
    pub link: Link,
    /// The name of the server to show.
    pub server: String,
    /// Whether it is a shop on this machine, which only its user can reach.
    pub is_local: bool,
    /// How long the last page, save or delete took, and, for a page, whether the server read it from the cache.
    pub latency: Option<(Duration, Option<Source>)>,
    /// How long the last successful pages, saves and deletes took, newest last.
    pub latencies: VecDeque<Duration>,
    /// Who the user is to the server; `None` until the server has said so.
    pub identity: Option<WhoAmI>,
    /// The folder of a shop that is being created. Shown to the user once its server is connected.
    pub new_shop: Option<PathBuf>,
}

impl Connection {
    pub const fn new(server: String) -> Self {
        Self {
            link: Link::Connecting,
            server,
            is_local: false,
            latency: None,
            latencies: VecDeque::new(),
            identity: None,
            new_shop: None,
        }
    }

    /// The user's role. While it is not known nothing is hidden: the server checks each request anyway.
    pub(super) fn role(&self) -> Role {
        let identity = self.identity.as_ref();
        identity.map_or(Role::Admin, |identity| identity.role)
    }

    pub fn is_up(&self) -> bool {
        self.link == Link::Up
    }

    /// Records how long a reply took.
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
            // Writes have no cache status.
            (Ok(_) | Err(Failure::Refused(_)), Owner::Save | Owner::Delete(_)) => {
                self.latency = Some((reply.took, None));
            }
            _ => {}
        }
    }
}

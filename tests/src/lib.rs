//! The test harness: a private PostgreSQL per test binary, a database per test, the server over a real socket, and
//! the binaries as processes. Everything that it starts ends with the test process, however that ends, and leaves no
//! file behind.

mod answer;
mod deadline;
mod events;
pub mod figures;
mod process;
pub mod sabotage;
mod shop;
mod terminal;

/// What a server depends on, and servers in processes of their own.
mod services {
    pub(crate) mod node;
    pub(crate) mod pooler;
    pub(crate) mod postgres;
    pub mod proxy;
    pub(crate) mod redis;
}

pub use crate::{
    answer::Answer,
    deadline::Deadline,
    events::{Event, Events},
    process::{ServerProcess, binary, eventually, free_port, temp_dir},
    services::{
        node::{Node, StartMode},
        pooler::Pooler,
        postgres::{
            OtherCluster, close_database, connect, database_url, empty_database, fresh_database,
            open_database, shared_redis, throw_out,
        },
        proxy,
        redis::RedisProcess,
    },
    shop::{SharedShop, Shop, admin_token, caching_in, client_with, http_client, path, with_token},
    terminal::Terminal,
};

/// Prints a line to the real standard output, which the test runner does not capture.
pub fn say(line: &str) {
    use std::io::Write;

    // Fails if standard output is closed.
    let _ = std::io::stdout().write_all(format!("{line}\n").as_bytes());
}

//! The harness: a private PostgreSQL for each test binary, a database for each test, the server over
//! a real socket, and the binaries as processes. Whatever it starts ends with the test process,
//! however that ends, and leaves no file behind.

mod answer;
mod events;
pub mod figures;
mod node;
mod pooler;
mod postgres;
mod process;
pub mod proxy;
mod redis;
pub mod sabotage;
mod shop;
mod terminal;

pub use crate::{
    answer::Answer,
    events::{Event, Events},
    node::{Node, Odd},
    pooler::Pooler,
    postgres::{
        OtherCluster, close_database, connect, database_url, empty_database, fresh_database,
        open_database, shared_redis, throw_out,
    },
    process::{ServerProcess, binary, eventually, free_port, temp_dir},
    redis::RedisProcess,
    shop::{SharedShop, Shop, caching_in, http_client, path},
    terminal::Terminal,
};

/// Prints a line of figures, past what tests keep to themselves.
pub fn say(line: &str) {
    use std::io::Write;

    // Nobody may be listening.
    let _ = std::io::stdout().write_all(format!("{line}\n").as_bytes());
}

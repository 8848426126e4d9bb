//! The harness: a private PostgreSQL for each test binary, a database for each test, the server over
//! a real socket, and the binaries as processes. Whatever it starts ends with the test process,
//! however that ends, and leaves no file behind.

mod answer;
mod postgres;
mod process;
mod shop;
mod terminal;

pub use crate::{
    answer::Answer,
    postgres::{fresh_database, shared_redis},
    process::{ServerProcess, binary, eventually, temp_dir},
    shop::{SharedShop, Shop, path},
    terminal::Terminal,
};

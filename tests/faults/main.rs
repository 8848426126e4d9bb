//! Everyday faults that must not take the shop down: a database that is slow, locked, read-only, down or unreachable;
//! a wrong clock; a log that nobody reads; clients that read or send nothing; and a server that shuts down.

mod callers;
mod clock;
mod database;
mod files;
mod leaving;
mod log;
mod poolers;
mod start;
mod tls;

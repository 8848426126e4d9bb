//! Everyday causes that must not take the shop down: a database that is slow, locked, read-only, away or out of
//! reach, a wrong clock, a log that nobody reads, callers who take or send nothing, and a server that leaves.

mod callers;
mod clock;
mod database;
mod files;
mod leaving;
mod log;
mod poolers;
mod start;

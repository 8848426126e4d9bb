//! The REST API over a real socket and a real PostgreSQL. The files mirror the resources.

mod archive;
mod bad_input;
mod bulk;
mod categories;
mod changes;
mod customers;
mod export;
mod export_jobs;
mod feed;
mod history;
mod import;
mod jobs;
mod lists;
mod migrations;
mod orders;
mod partition_files;
mod partitions;
mod products;
mod pruning;
mod readme;
mod seed;
mod server;
mod silence;
mod strictness;
mod takeover;

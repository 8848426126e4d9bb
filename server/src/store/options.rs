//! What an operator or a test decides about a server.

use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};
use stockroom_common::LogSink;

use crate::{
    http::origin::Hosts,
    process::clock::Clock,
    store::{
        cache::CacheOptions,
        partitions::{Age, Interval, Retention},
    },
};

/// What may differ between servers and between tests.
#[derive(Clone, Debug)]
pub struct Options {
    pub clock: Clock,
    /// No order may be placed before this instant.
    pub orders_from: DateTime<Utc>,
    /// Largest body of a request, in bytes.
    pub body_limit: usize,
    /// Largest file that is imported, in bytes as it is sent.
    pub import_limit: u64,
    /// Bytes of files that may lie on this server's disk while they are imported.
    pub spool_limit: u64,
    /// How long a caller may take to send the head of a request, and a connection be without one.
    pub head_limit: Duration,
    /// Longest time that a request may take.
    pub request_timeout: Duration,
    /// How long the server keeps answering after the signal to stop, with `/readyz` at 503.
    pub leave_delay: Duration,
    /// How long requests and exports in progress may then take to finish.
    pub drain_limit: Duration,
    /// How often an event stream without news says that it lives.
    pub heartbeat: Duration,
    /// The names under which the server may be called.
    pub hosts: Hosts,
    /// Whether PUT, PATCH and DELETE must say which version they mean (428 otherwise).
    pub require_if_match: bool,
    pub cache: CacheOptions,
    /// How finely new partitions are cut.
    pub partition_interval: Interval,
    pub orders_retention: Retention,
    pub changes_retention: Retention,
    /// How often partitions that are due are made and those that have come of age taken off.
    pub sweep_every: Duration,
    /// Where the log goes, to tell what of it was lost.
    pub log: Option<LogSink>,
    /// Whether the log of requests leaves their queries out, which may hold names and e-mail addresses.
    pub log_without_queries: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            orders_from: Utc.timestamp_opt(946_684_800, 0).unwrap(),
            body_limit: 256 * 1024,
            import_limit: 4 << 30,
            spool_limit: 16 << 30,
            head_limit: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            leave_delay: Duration::ZERO,
            drain_limit: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
            hosts: Hosts::Local(Vec::new()),
            require_if_match: false,
            cache: CacheOptions::default(),
            partition_interval: Interval::default(),
            orders_retention: Retention::Keep,
            changes_retention: Retention::Drop(Age::Days(90)),
            sweep_every: Duration::from_secs(3_600),
            log: None,
            log_without_queries: false,
        }
    }
}

//! The options of a server, set by an operator or a test.

use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};
use stockroom_common::{LogSink, Secret};

use crate::{
    http::origin::Hosts,
    process::clock::Clock,
    store::{
        cache::CacheOptions,
        partitions::{Age, Interval, Retention},
    },
};

/// The options of one server. Sizes are in bytes.
#[derive(Clone, Debug)]
pub struct Options {
    pub clock: Clock,
    /// No order may be placed before this instant.
    pub orders_from: DateTime<Utc>,
    /// Largest request body.
    pub body_limit: usize,
    /// Largest import file, as it is sent (before a gzipped file is unpacked).
    pub import_limit: u64,
    /// Most disk space on this server for files that are being imported, all together.
    pub spool_limit: u64,
    /// How long a client may take to send the head of a request, and how long a connection may be idle.
    pub head_limit: Duration,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How long the server still accepts requests after the signal to stop, while `/readyz` answers 503.
    pub leave_delay: Duration,
    /// How long requests and exports in progress may take to finish after that.
    pub drain_limit: Duration,
    /// How often an event stream without news sends a heartbeat.
    pub heartbeat: Duration,
    /// The host names that requests may address.
    pub hosts: Hosts,
    /// Whether PUT, PATCH and DELETE require `If-Match` (428 without it).
    pub require_if_match: bool,
    pub cache: CacheOptions,
    /// The length of new partitions.
    pub partition_interval: Interval,
    pub orders_retention: Retention,
    pub changes_retention: Retention,
    /// How often due partitions are created and those past their retention age archived or deleted.
    pub sweep_every: Duration,
    /// The sink of the server's log, for the metric of lost lines.
    pub log: Option<LogSink>,
    /// The secrets of tokens with the role admin that are not in the database.
    pub admin_tokens: Vec<Secret>,
    /// Whether requests without a token may do everything, so that a benchmark can measure what tokens cost. No flag
    /// of the binary sets it.
    pub is_open: bool,
    /// Whether the request log omits query strings, which may hold names and e-mail addresses.
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
            admin_tokens: Vec::new(),
            is_open: false,
            log_without_queries: false,
        }
    }
}

//! `GET /metrics`: the metrics for Prometheus, in the OpenMetrics text format.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

use crate::store::Store;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) async fn get(State(store): State<Store>) -> Response {
    // Built for each answer. The counters are shared references, so no global registry is needed.
    let mut registry = Registry::with_prefix("stockroom");
    store.cache.register(&mut registry);
    if let Some(is_up) = store.cache.is_up() {
        let open = Gauge::<i64>::default();
        open.set(i64::from(!is_up));
        let help = "1 while the cache's store does not answer and is bypassed";
        registry.register("cache_breaker_open", help, open);
    }
    let pools = store.database.pools();
    let open = pools.iter().map(|pool| pool.open_connections() as i64);
    let most = pools.iter().map(|pool| i64::from(pool.size()));
    for (name, help, value) in [
        (
            "database_connections",
            "Connections to PostgreSQL",
            open.sum(),
        ),
        (
            "database_connections_max",
            "Maximum connections to PostgreSQL",
            most.sum::<i64>(),
        ),
    ] {
        let gauge = Gauge::<i64>::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    }
    if let Some(log) = &store.options.log {
        let lines_lost = Counter::<u64>::default();
        lines_lost.inc_by(log.lines_lost());
        let help = "Log lines that could not be written in time";
        registry.register("log_lines_lost", help, lines_lost);
    }
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = encode(&mut text, &registry);
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
}

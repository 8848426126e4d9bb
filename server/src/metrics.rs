//! `GET /metrics`: what Prometheus reads, in the OpenMetrics text format.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use prometheus_client::{encoding::text::encode, metrics::gauge::Gauge, registry::Registry};

use crate::state::AppState;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) async fn get(State(state): State<AppState>) -> Response {
    // Made for each answer: the counters are shared, and nothing is global.
    let mut registry = Registry::with_prefix("stockroom");
    state.cache.register(&mut registry);
    if let Some(is_up) = state.cache.is_up() {
        let open = Gauge::<i64>::default();
        open.set(i64::from(!is_up));
        let help = "1 while the store of the cache does not answer and is not asked";
        registry.register("cache_breaker_open", help, open);
    }
    let (used, most) = (
        state.pool.size(),
        state.pool.options().get_max_connections(),
    );
    for (name, help, value) in [
        ("database_connections", "Connections to PostgreSQL", used),
        (
            "database_connections_max",
            "Connections to PostgreSQL at the most",
            most,
        ),
    ] {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::from(value));
        registry.register(name, help, gauge);
    }
    let mut text = String::new();
    // Into a string this cannot fail.
    let _ = encode(&mut text, &registry);
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
}

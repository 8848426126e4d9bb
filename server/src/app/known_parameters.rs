//! Which routes take parameters at all.

use axum::{
    extract::{MatchedPath, Request},
    http::Method,
};
use stockroom_common::{Category, Customer, Order, Product, Resource};

use crate::http::{error::Result, parameters::Parameters};

/// Refuses parameters where a route takes none: one that is passed over, such as `dry_run`, would do what it should
/// keep from being done.
///
/// # Errors
/// 400.
pub(crate) fn check_query(request: &Request) -> Result<()> {
    let query = request.uri().query().unwrap_or_default();
    let path = request.extensions().get::<MatchedPath>();
    match path {
        Some(path) if !query.is_empty() && !takes_query(request.method(), path.as_str()) => {
            Parameters::read(query)?.refuse_rest(&[])
        }
        _ => Ok(()),
    }
}

/// Whether the handler of a route reads its query, and so refuses what it does not know itself.
fn takes_query(method: &Method, path: &str) -> bool {
    match path.rsplit('/').next().unwrap_or_default() {
        "bulk" | "bulk-delete" | "export" | "history" | "import" | "similar" | "alike" => true,
        "changes" | "stats" => true,
        "seed-jobs" => *method == Method::POST,
        name => {
            let lists = [Category::PATH, Product::PATH, Customer::PATH, Order::PATH];
            lists.contains(&name) && *method != Method::POST
        }
    }
}

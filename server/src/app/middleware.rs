//! The layers around every request: a request id, a log line, a time limit, the checks of origin and parameters, and
//! problem answers for panics and unknown routes.

use std::{any::Any, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, Uri, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use stockroom_common::Kind;
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
    trace::TraceLayer,
};
use tracing::{Level, Span, field::Empty};
use uuid::Uuid;

use crate::{
    access::guard::holds_secret,
    app::{entities::ENTITIES, state::AppState},
    http::{
        actor::Actor,
        error::{Error, OUTCOME_UNKNOWN, Result},
        listener::Caller,
        origin,
        parameters::Parameters,
    },
    store::write,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Maximum length of a request id, in bytes.
const MAX_REQUEST_ID: usize = 128;

/// Adds the time limit to these routes.
pub fn limit_time(routes: Router<AppState>, state: &AppState) -> Router<AppState> {
    routes.layer(from_fn_with_state(state.clone(), end_in_time))
}

/// Adds the other layers to the routes. In the `ServiceBuilder` the outermost comes first.
pub fn wrap(routes: Router<AppState>, state: &AppState) -> Router<AppState> {
    let without_queries = state.options.log_without_queries;
    let trace = TraceLayer::new_for_http()
        .make_span_with(move |request: &Request| {
            if !tracing::enabled!(Level::INFO) {
                return Span::none();
            }
            let header = |name| {
                let value = request.headers().get(name).map(HeaderValue::as_bytes);
                String::from_utf8_lossy(value.unwrap_or_default())
            };
            let (id, actor) = (header(REQUEST_ID.as_str()), header(Actor::HEADER));
            let uri = if holds_secret(request.uri()) {
                "(a URL with a token)".to_owned()
            } else if without_queries {
                request.uri().path().to_owned()
            } else {
                request.uri().to_string()
            };
            let caller = request.extensions().get::<ConnectInfo<Caller>>();
            let caller = caller.map_or_else(String::new, |ConnectInfo(caller)| caller.to_string());
            // As strings they are logged in quotes: text from callers must not end the line or look like another field.
            let (id, actor) = (&*id, &*actor);
            tracing::info_span!(
                "request",
                id,
                caller,
                token = Empty,
                actor,
                method = %request.method(),
                uri
            )
        })
        .on_request(())
        .on_response(|response: &Response, took: Duration, _: &Span| {
            let (status, micros) = (response.status().as_u16(), took.as_micros() as u64);
            match status {
                500 => tracing::error!(status, micros, "failed"),
                _ => tracing::info!(status, micros, "answered"),
            }
        })
        .on_failure(());
    let routes = routes
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(from_fn_with_state(state.clone(), admit));
    routes.layer(
        ServiceBuilder::new()
            .map_request(cut_request_id)
            .layer(SetRequestIdLayer::new(REQUEST_ID, NewRequestId))
            .layer(trace)
            .layer(PropagateRequestIdLayer::new(REQUEST_ID)),
    )
}

/// Refuses requests for other hosts or from other origins, and parameters on routes that accept none. Answers without
/// `Cache-Control` get `no-store`, so that intermediate caches do not store them; all get headers for browsers.
async fn admit(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let checked = origin::check(&request, &state.options.hosts);
    let mut response = match checked.and_then(|()| check_query(&request)) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    // Browsers must not guess another content type, run scripts in an answer, or show it in a frame.
    let no_guess = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, no_guess);
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// Shortens the request id of the caller and removes unprintable characters, because it is logged and sent back.
fn cut_request_id<B>(mut request: axum::http::Request<B>) -> axum::http::Request<B> {
    if let Some(id) = request.headers().get(REQUEST_ID) {
        let is_plain = id.as_bytes().iter().all(u8::is_ascii_graphic);
        if id.is_empty() || !is_plain || id.len() > MAX_REQUEST_ID {
            let id: Vec<u8> = id
                .as_bytes()
                .iter()
                .copied()
                .filter(u8::is_ascii_graphic)
                .collect();
            let cut = HeaderValue::from_bytes(&id[..id.len().min(MAX_REQUEST_ID)]);
            match cut {
                Ok(cut) if !id.is_empty() => request.headers_mut().insert(REQUEST_ID, cut),
                _ => request.headers_mut().remove(REQUEST_ID),
            };
        }
    }
    request
}

pub(crate) async fn not_found(uri: Uri) -> Error {
    let detail = format!(
        "There is nothing at {}; resources are under /v1/.",
        uri.path()
    );
    Error::refused(Kind::NotFound, detail)
}

/// Ends a request that takes too long. A write that has begun continues in its own task. A caller who repeats it may
/// write twice, so the answer must not say "try again".
async fn end_in_time(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let limit = state.options.request_timeout;
    let (answer, is_begun) = write::watched(tokio::time::timeout(limit, next.run(request))).await;
    match answer {
        Ok(response) => response,
        Err(_) if is_begun => Error::refused(Kind::OutcomeUnknown, OUTCOME_UNKNOWN).into_response(),
        Err(_) => Error::refused(
            Kind::Unavailable,
            format!("The request took longer than {limit:?}; try again or ask for less."),
        )
        .into_response(),
    }
}

fn answer_panic(_: Box<dyn Any + Send>) -> Response {
    // The panic hook has logged the message and the location.
    Error::refused(
        Kind::Internal,
        "The server failed. The server's log has the details.",
    )
    .into_response()
}

#[derive(Clone, Copy)]
struct NewRequestId;

impl MakeRequestId for NewRequestId {
    fn make_request_id<B>(&mut self, _: &axum::http::Request<B>) -> Option<RequestId> {
        Uuid::now_v7().to_string().parse().ok().map(RequestId::new)
    }
}

/// Refuses parameters on routes that accept none. If a parameter such as `dry_run` were ignored, the request would do
/// what the parameter is meant to prevent.
///
/// # Errors
/// 400 if the route accepts no parameters and the request has one.
fn check_query(request: &Request) -> Result<()> {
    let query = request.uri().query().unwrap_or_default();
    let path = request.extensions().get::<MatchedPath>();
    match path {
        Some(path) if !query.is_empty() && !takes_query(request.method(), path.as_str()) => {
            Parameters::read(query)?.refuse_rest(&[])
        }
        _ => Ok(()),
    }
}

/// Whether the handler of a route parses the query, and so refuses unknown parameters itself.
fn takes_query(method: &Method, path: &str) -> bool {
    match path.rsplit('/').next().unwrap_or_default() {
        "bulk" | "bulk-delete" | "export" | "history" | "import" | "similar" | "alike" => true,
        "changes" | "stats" => true,
        "seed-jobs" => *method == Method::POST,
        name => {
            let is_list = ENTITIES.iter().any(|entity| entity.path == name);
            is_list && *method != Method::POST
        }
    }
}

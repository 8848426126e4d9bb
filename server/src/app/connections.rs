//! Accepts connections and serves HTTP on them. Callers who send nothing, or only part of a request, are disconnected
//! after a while, and the number of connections is limited by the file descriptors of this process. Otherwise a few
//! hundred idle connections would keep everyone out.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    serve::Listener,
};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use rustix::process::{Resource, getrlimit};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::http::listener::{Caller, Timed};

/// The interval of HTTP/2 keep-alive pings, and the time limit for the answer to one.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Time limit for a request to begin, and for its head to end, while more than half of the connections are in use.
const CROWDED_HEAD_LIMIT: Duration = Duration::from_secs(2);
/// File descriptors reserved for the database, Redis, files of imports and the log.
const RESERVED_FILES: usize = 128;
/// The most connections, and the fewest that are allowed whatever the limit on file descriptors is.
const MAX_CONNECTIONS: usize = 20_000;
const MIN_CONNECTIONS: usize = 16;

/// Serves until `leaving` resolves, then lets the requests in progress finish.
pub(crate) async fn serve<L: Listener>(
    mut listener: L,
    router: Router,
    head_limit: Duration,
    leaving: impl Future<Output = ()>,
) where
    L::Addr: std::fmt::Debug,
{
    let max = max_connections();
    let permits = Arc::new(Semaphore::new(max));
    let connections = GracefulShutdown::new();
    let mut leaving = std::pin::pin!(leaving);
    loop {
        let accept = async {
            // The place comes first: a connection that waits to be accepted costs this process nothing.
            let permit = permits.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, (io, address)) = tokio::select! {
            accepted = accept => accepted,
            () = &mut leaving => break,
        };
        // While more than half of the places are taken, a new connection must not hold one for long without a request.
        let is_crowded = permits.available_permits() < max / 2;
        let head_limit = if is_crowded {
            head_limit.min(CROWDED_HEAD_LIMIT)
        } else {
            head_limit
        };
        let caller = ConnectInfo(Caller::new(&address));
        let router = router
            .clone()
            .map_request(move |request: Request<Incoming>| {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(caller.clone());
                request
            });
        let io = TokioIo::new(Timed::new(io, head_limit));
        let connection = builder(head_limit)
            .serve_connection(io, TowerToHyperService::new(router))
            .into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // A connection that the caller closed, or that timed out, is not an error of the server.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    connections.shutdown().await;
}

fn builder(head_limit: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head_limit);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY);
    builder
}

fn max_connections() -> usize {
    let files = getrlimit(Resource::Nofile).current;
    let files = files.and_then(|files| usize::try_from(files).ok());
    let files = files.unwrap_or(usize::MAX).saturating_sub(RESERVED_FILES);
    files.clamp(MIN_CONNECTIONS, MAX_CONNECTIONS)
}

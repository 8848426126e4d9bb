//! Receives files and stores them on this server's disk. The number of uploads at a time, the minimum rate of each, and
//! their total size are limited, so that no caller can fill the disk or block others by being slow.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use futures_util::StreamExt;
use stockroom_common::{Kind, format::Format};
use tokio::{io::AsyncWriteExt, time::Instant};

use super::{
    file::File,
    space::{DiskSpace, cannot_store},
};
use crate::{
    http::error::{Error, Result},
    jobs::{FileChunks, Run},
    process::interrupted::Interrupted,
    store::Store,
};

/// How long an upload waits for its turn. Most files arrive within moments.
const TURN_LIMIT: Duration = Duration::from_secs(10);
/// Bytes that must arrive in each [`SPAN`] until the file is complete.
const MIN_BYTES: u64 = 16 << 10;
const SPAN: Duration = Duration::from_secs(30);

/// Receives a body.
///
/// # Errors
/// 408 if too little of it arrives, 413 if it is too large, 400 if it breaks off, 503 if the server has no room for it
/// now.
pub(crate) async fn receive(
    store: &Store,
    body: Body,
    format: Format,
    interrupted: Interrupted,
) -> Result<File> {
    // Check the announced size before reading the body, which asks the caller to send it.
    check_size(body.size_hint().lower(), store.options.import_limit)?;
    let wait = TURN_LIMIT.min(store.options.request_timeout / 2);
    let turn = tokio::time::timeout(wait, store.spool.uploads.acquire()).await;
    let Ok(Ok(_upload)) = turn else {
        let detail = "Too many files are being received. Try again when one has arrived.";
        return Err(Error::refused(Kind::Unavailable, detail));
    };
    let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(cannot_store)?);
    let mut space = DiskSpace::of(store);
    let mut chunks = body.into_data_stream();
    // A caller that sends less than `MIN_BYTES` in a span is refused, because it might never end.
    let span = SPAN.min(store.options.request_timeout);
    let (mut until, mut arrived) = (Instant::now() + span, 0);
    loop {
        let Ok(next) = tokio::time::timeout_at(until, chunks.next()).await else {
            if arrived >= MIN_BYTES {
                (until, arrived) = (Instant::now() + span, 0);
                continue;
            }
            let detail = format!(
                "Only {arrived} bytes of the file arrived within {} s. Use a faster connection, or gzip it.",
                span.as_secs()
            );
            return Err(Error::refused(Kind::Timeout, detail));
        };
        let Some(chunk) = next else { break };
        let chunk =
            chunk.map_err(|_| Error::refused(Kind::Unreadable, "The file is incomplete."))?;
        arrived += chunk.len() as u64;
        space.grow(chunk.len())?;
        check_size(space.bytes(), space.file_limit())?;
        file.write_all(&chunk).await.map_err(cannot_store)?;
    }
    file.flush().await.map_err(cannot_store)?;
    Ok(File::new(file.into_std().await, format, space, interrupted))
}

fn check_size(bytes: u64, limit: u64) -> Result<()> {
    if bytes <= limit {
        return Ok(());
    }
    let detail = format!("The file has more than the allowed {limit} bytes; split it.");
    Err(Error::refused(Kind::TooLarge, detail))
}

/// Copies the file of a job to this server's disk.
pub(super) async fn copy_of_job(
    run: &Run,
    format: Format,
    interrupted: Interrupted,
) -> Result<File> {
    let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(cannot_store)?);
    let mut space = DiskSpace::of(&run.store);
    let mut pieces = FileChunks::of(run);
    while let Some(piece) = pieces.next().await? {
        space.grow(piece.len())?;
        file.write_all(&piece).await.map_err(cannot_store)?;
    }
    file.flush().await.map_err(cannot_store)?;
    Ok(File::new(file.into_std().await, format, space, interrupted))
}

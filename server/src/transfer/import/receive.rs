//! Files on their way to this server's disk. So many are received at a time, each has to keep moving, and
//! together they may take so much room: no caller fills the disk or keeps others out by being slow.

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

/// How long one more waits for its turn: most files arrive within moments.
const TURN_LIMIT: Duration = Duration::from_secs(10);
/// Bytes that must arrive in each such span until the file is whole.
const MIN_BYTES: u64 = 16 << 10;
const SPAN: Duration = Duration::from_secs(30);

/// Takes in a body.
///
/// # Errors
/// 408 where too little of it comes, 413 where it is too large, 400 where it breaks off, 503 where there is no
/// room for it now.
pub(crate) async fn receive(
    store: &Store,
    body: Body,
    format: Format,
    interrupted: Interrupted,
) -> Result<File> {
    // Before anything of it is asked for.
    check_size(body.size_hint().lower(), store.options.import_limit)?;
    let wait = TURN_LIMIT.min(store.options.request_timeout / 2);
    let turn = tokio::time::timeout(wait, store.spool.uploads.acquire()).await;
    let Ok(Ok(_upload)) = turn else {
        let detail = "As many files as may be are being received; try again when one has arrived.";
        return Err(Error::refused(Kind::Unavailable, detail));
    };
    let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(cannot_store)?);
    let mut space = DiskSpace::of(store);
    let mut chunks = body.into_data_stream();
    // Whoever takes a whole span for less than that never ends.
    let span = SPAN.min(store.options.request_timeout);
    let (mut until, mut arrived) = (Instant::now() + span, 0);
    loop {
        let Ok(next) = tokio::time::timeout_at(until, chunks.next()).await else {
            if arrived >= MIN_BYTES {
                (until, arrived) = (Instant::now() + span, 0);
                continue;
            }
            let detail = format!(
                "Only {arrived} bytes of the file have come in {} s; send it from nearer, or gzipped.",
                span.as_secs()
            );
            return Err(Error::refused(Kind::Timeout, detail));
        };
        let Some(chunk) = next else { break };
        let chunk = chunk
            .map_err(|_| Error::refused(Kind::Unreadable, "The file did not arrive whole."))?;
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
    let detail =
        format!("The file has more than the {limit} bytes that the server takes; split it.");
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

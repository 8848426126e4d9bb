//! The files of jobs, stored in chunks in the database, so that another server has them if one fails.

use std::io::{self, Read};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, header},
    response::Response,
};
use futures_util::stream;

use stockroom_common::{
    Id, Kind,
    job::{Job, JobRequest, JobState},
};

use super::{find, queue::MAX_CHUNKS, run::Run};
use crate::{
    http::{
        error::{Error, Result},
        extract::RowId,
        respond::attachment,
    },
    store::{
        Store,
        database::{Connection, Pool},
    },
};

/// The size of a chunk in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// `GET /v1/jobs/{id}/file`: the file that an export has written or an import has received.
pub(crate) async fn fetch(State(store): State<Store>, RowId(id): RowId<Job>) -> Result<Response> {
    let job = find(&store.database.background, id).await?;
    let (format, name) = match &job.request {
        JobRequest::Import(request) => (request.format, &request.resource),
        JobRequest::Export(request) => (request.format, &request.resource),
        JobRequest::Seed(_) | JobRequest::Partitions(_) => {
            let detail = format!("The job ({}) has no file.", job.request);
            return Err(Error::refused(Kind::NotFound, detail));
        }
    };
    let Some(bytes) = job.file_bytes else {
        let (kind, detail) = match job.state {
            JobState::Queued | JobState::Running => (
                Kind::Conflict,
                "The file is not complete yet. Wait until the job is done.",
            ),
            JobState::Done => (Kind::Gone, "The file has expired."),
            JobState::Cancelled | JobState::Failed => {
                (Kind::NotFound, "The job did not finish; it has no file.")
            }
        };
        return Err(Error::refused(kind, detail));
    };
    let chunks = stream::try_unfold((store, 0), move |(store, number)| async move {
        let chunk = select(&store.database.background, id, number).await;
        let chunk = chunk.map_err(|error| io::Error::other(error.to_string()))?;
        Ok::<_, io::Error>(chunk.map(|bytes| (Bytes::from(bytes), (store, number + 1))))
    });
    let mut response = attachment(Body::from_stream(chunks), name, format);
    // If the file is deleted during the download, the body ends early. The length shows that it is incomplete.
    let length = HeaderValue::from(bytes);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length);
    Ok(response)
}

/// Stores a received file, in the transaction that creates its job.
pub(crate) async fn store_file(
    conn: &mut Connection,
    id: Id<Job>,
    mut file: std::fs::File,
) -> Result<()> {
    for number in 0.. {
        let read = move || {
            let mut chunk = Vec::new();
            file.by_ref()
                .take(CHUNK_BYTES as u64)
                .read_to_end(&mut chunk)?;
            Ok::<_, io::Error>((file, chunk))
        };
        let (rest, chunk) = tokio::task::spawn_blocking(read)
            .await?
            .map_err(unreadable)?;
        if chunk.is_empty() {
            break;
        }
        file = rest;
        sqlx::query("insert into job_pieces (job_id, number, bytes) values ($1, $2, $3)")
            .bind(id.uuid())
            .bind(number)
            .bind(chunk)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// Reads the file of a job chunk by chunk.
pub(crate) struct FileChunks<'a> {
    run: &'a Run,
    number: i32,
}

impl<'a> FileChunks<'a> {
    pub(crate) const fn of(run: &'a Run) -> Self {
        Self { run, number: 0 }
    }

    /// The next chunk; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let chunk = select(
            &self.run.store.database.background,
            self.run.id,
            self.number,
        )
        .await?;
        self.number += 1;
        Ok(chunk)
    }
}

/// Writes the file of a job, in place of what another server may have left of it.
pub(crate) struct ChunkWriter<'a> {
    run: &'a Run,
    number: i32,
    bytes: i64,
    /// Bytes that do not fill a chunk yet.
    rest: Vec<u8>,
}

impl<'a> ChunkWriter<'a> {
    pub(crate) async fn begin(run: &'a Run) -> Result<Self> {
        let delete = async || {
            let deleted = sqlx::query(
                "delete from job_pieces where job_id = $1 and number in (
                    select number from job_pieces
                    where job_id = $1 and exists (
                        select from jobs where id = $1 and runner = $2 and state = 'running'
                    )
                    limit $3
                )",
            )
            .bind(run.id.uuid())
            .bind(run.runner)
            .bind(MAX_CHUNKS)
            .execute(&mut *run.store.database.background.acquire().await?)
            .await?;
            Ok::<_, Error>(deleted.rows_affected())
        };
        while delete().await? > 0 {}
        Ok(Self {
            run,
            number: 0,
            bytes: 0,
            rest: Vec::with_capacity(CHUNK_BYTES),
        })
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// Writes the full chunks.
    pub(crate) async fn store(&mut self) -> Result<()> {
        while self.rest.len() >= CHUNK_BYTES {
            let after = self.rest.split_off(CHUNK_BYTES);
            let chunk = std::mem::replace(&mut self.rest, after);
            self.put(chunk).await?;
        }
        Ok(())
    }

    /// Writes the rest and returns the size of the file in bytes.
    pub(crate) async fn end(mut self) -> Result<i64> {
        self.store().await?;
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() {
            self.put(rest).await?;
        }
        Ok(self.bytes)
    }

    async fn put(&mut self, chunk: Vec<u8>) -> Result<()> {
        self.bytes += chunk.len() as i64;
        // Only if this server still runs the job: one that was presumed dead must not mix its chunks with those of the
        // server that has taken over.
        let put = sqlx::query(
            "insert into job_pieces (job_id, number, bytes)
            select id, $3, $4 from jobs
            where id = $1 and runner = $2 and state = 'running' for share",
        )
        .bind(self.run.id.uuid())
        .bind(self.run.runner)
        .bind(self.number)
        .bind(chunk)
        .execute(&mut *self.run.store.database.background.acquire().await?)
        .await?;
        if put.rows_affected() == 0 {
            return Err(self.run.ownership_lost());
        }
        self.number += 1;
        Ok(())
    }
}

async fn select(pool: &Pool, id: Id<Job>, number: i32) -> Result<Option<Vec<u8>>> {
    let bytes =
        sqlx::query_scalar("select bytes from job_pieces where job_id = $1 and number = $2")
            .bind(id.uuid())
            .bind(number)
            .fetch_optional(&mut *pool.acquire().await?)
            .await?;
    Ok(bytes)
}

fn unreadable(error: io::Error) -> Error {
    tracing::error!(%error, "a received file cannot be read");
    Error::refused(
        Kind::Unavailable,
        "The server cannot read the received file.",
    )
}

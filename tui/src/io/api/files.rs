//! Downloads to files and uploads of files.

use reqwest::{Method, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{actor, local, refusal, unreachable};
use crate::{
    io::server::Http,
    messages::call::{Answer, Failure, Written},
    model::paths::absolute_path,
};

/// The size in bytes of the chunks in which a file is uploaded.
const CHUNK: usize = 1 << 16;

/// Downloads the body of an answer to a new file. If the download fails, nothing is left behind.
pub(crate) async fn download(http: &Http, path: &str, file: String) -> Result<Answer, Failure> {
    let response = begin(http, path).await?;
    let failed = |error: std::io::Error| {
        let problem = match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                format!("{file} already exists; choose another name.")
            }
            _ => format!("{file} cannot be written: {error}."),
        };
        local(problem)
    };
    if tokio::fs::try_exists(&file).await.map_err(failed)? {
        return Err(failed(std::io::ErrorKind::AlreadyExists.into()));
    }
    // If the client quits during the download, the name of the leftover file shows that it is incomplete.
    let part = format!("{file}.{}.part", std::process::id());
    let mut out = tokio::fs::File::create(&part).await.map_err(failed)?;
    let written = async {
        let bytes = copy_body(response, &mut out, failed).await?;
        tokio::fs::rename(&part, &file).await.map_err(failed)?;
        Ok(bytes)
    };
    let bytes = match written.await {
        Ok(bytes) => bytes,
        Err(failure) => {
            let _ = tokio::fs::remove_file(&part).await;
            return Err(failure);
        }
    };
    let body = serde_json::to_vec(&Written { file, bytes }).unwrap_or_default();
    Ok(Answer {
        body,
        ..Answer::default()
    })
}

/// Writes the body of an answer to `out` as it arrives; returns the number of bytes.
pub(crate) async fn download_to(
    http: &Http,
    path: &str,
    mut out: impl AsyncWrite + Unpin,
) -> Result<i64, Failure> {
    let failed = |error: std::io::Error| match error.kind() {
        // The reader (`| head`) has closed the pipe: it has all that it needs.
        std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        _ => local(format!("Cannot write: {error}.")),
    };
    copy_body(begin(http, path).await?, &mut out, failed).await
}

async fn begin(http: &Http, path: &str) -> Result<Response, Failure> {
    let response = http
        .request(Method::GET, path)
        .send()
        .await
        .map_err(unreachable)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response.bytes().await.map_err(unreachable)?;
    Err(refusal(status, true, &body))
}

async fn copy_body(
    mut response: Response,
    out: &mut (impl AsyncWrite + Unpin),
    failed: impl Fn(std::io::Error) -> Failure,
) -> Result<i64, Failure> {
    let mut bytes = 0;
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        bytes += chunk.len() as i64;
        out.write_all(&chunk).await.map_err(&failed)?;
    }
    out.flush().await.map_err(&failed)?;
    Ok(bytes)
}

/// Uploads a file for import in chunks (`-` is standard input). The answer is the import job.
pub(crate) async fn upload_file(http: &Http, path: &str, file: &str) -> Result<Answer, Failure> {
    let opened: Box<dyn AsyncRead + Send + Sync + Unpin> = match file {
        "-" => Box::new(tokio::io::stdin()),
        file => {
            let opened = tokio::fs::File::open(&absolute_path(file)).await;
            Box::new(opened.map_err(|error| local(format!("{file} cannot be read: {error}.")))?)
        }
    };
    let chunks = futures_util::stream::try_unfold(opened, |mut file| async {
        let mut chunk = vec![0; CHUNK];
        let read = file.read(&mut chunk).await?;
        chunk.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then_some((chunk, file)))
    });
    let mut request = http
        .request(Method::POST, path)
        .header("prefer", "respond-async");
    if let Some(actor) = actor() {
        request = request.header("stockroom-actor", actor);
    }
    let body = reqwest::Body::wrap_stream(chunks);
    let response = request.body(body).send().await.map_err(unreachable)?;
    let status = response.status();
    let body = response.bytes().await.map_err(unreachable)?;
    if !status.is_success() {
        return Err(refusal(status, true, &body));
    }
    Ok(Answer {
        body: body.to_vec(),
        ..Answer::default()
    })
}

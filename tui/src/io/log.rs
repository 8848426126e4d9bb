//! The log file of the client: a terminal that is drawn on is no place to tell what went wrong.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use stockroom_common::LogSink;
use tracing_subscriber::{EnvFilter, fmt};

/// A file larger than this begins anew, in bytes; the one before is kept.
const MOST: u64 = 4 << 20;
const VARIABLE: &str = "STOCKROOM_CLIENT_LOG";

/// Where it is; none where the system tells no home.
pub fn path() -> Option<PathBuf> {
    let memory = crate::settings::memory::Memory::path()?;
    Some(memory.with_file_name("client.log"))
}

/// How long the last lines may take to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The log, as long as this is held; dropped it waits for the last lines.
#[derive(Debug)]
pub struct Log(LogSink);

impl Drop for Log {
    fn drop(&mut self) {
        self.0.drain(LAST_LINES);
    }
}

/// Begins to write it. Without a place for it there is none.
pub fn begin() -> Option<Log> {
    let file = path().and_then(|path| open(&path).ok())?;
    let filter = EnvFilter::try_from_env(VARIABLE);
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("warn,stockroom_tui=info"));
    let sink = LogSink::start(file).ok()?;
    let writer = sink.clone();
    let log = fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        // A disk that is full or a share that hangs must not show on the screen or stop the client.
        .log_internal_errors(false);
    // Fails if there is one already, which is as good.
    let _ = log.try_init();
    Some(Log(sink))
}

fn open(path: &Path) -> std::io::Result<File> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    if std::fs::metadata(path).is_ok_and(|file| file.len() > MOST) {
        std::fs::rename(path, path.with_extension("log.old"))?;
    }
    File::options().create(true).append(true).open(path)
}

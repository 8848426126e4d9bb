//! The client's log file. The client draws on the whole terminal, so it cannot print messages there.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use stockroom_common::LogSink;
use tracing_subscriber::{EnvFilter, fmt};

/// The maximum size of the file in bytes. A larger file is renamed at the next start, and a new one is begun; only the
/// latest old file is kept.
const MAX_BYTES: u64 = 4 << 20;
const VARIABLE: &str = "STOCKROOM_CLIENT_LOG";

/// The path of the file; `None` if the home folder is unknown.
pub fn path() -> Option<PathBuf> {
    let memory = crate::settings::memory::Memory::path()?;
    Some(memory.with_file_name("client.log"))
}

/// How long to wait for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Keeps the log open. Dropping this waits for the last lines to be written.
#[derive(Debug)]
pub struct Log(LogSink);

impl Drop for Log {
    fn drop(&mut self) {
        self.0.drain(LAST_LINES);
    }
}

/// Starts the log. `None` if the file cannot be opened; the client then runs without a log.
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
        // A full disk or a network share that hangs must not disturb the screen or stop the client.
        .log_internal_errors(false);
    // Fails only if a subscriber is already set, which is fine.
    let _ = log.try_init();
    Some(Log(sink))
}

fn open(path: &Path) -> std::io::Result<File> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    if std::fs::metadata(path).is_ok_and(|file| file.len() > MAX_BYTES) {
        std::fs::rename(path, path.with_extension("log.old"))?;
    }
    File::options().create(true).append(true).open(path)
}

//! Exports that were requested but are not saved yet, remembered across runs. Each has a small file, which is locked by
//! the client that waits for the export. If no client holds the lock, the next client of that server takes over.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::settings::memory::Memory;

/// Older records are removed, because the server does not keep the file of an export for that long.
const KEEP: Duration = Duration::from_secs(2 * 24 * 3_600);

#[derive(Debug)]
pub(crate) struct PendingExports {
    /// `None` if the home folder is unknown; exports are then not remembered across runs.
    folder: Option<PathBuf>,
    server: String,
    held: HashMap<Uuid, File>,
}

#[derive(Serialize, Deserialize)]
struct Export {
    server: String,
    file: String,
}

impl PendingExports {
    pub(crate) fn of(server: String) -> Self {
        let memory = Memory::path();
        let folder = memory.and_then(|path| Some(path.parent()?.join("exports")));
        Self::in_folder(folder, server)
    }

    fn in_folder(folder: Option<PathBuf>, server: String) -> Self {
        let held = HashMap::new();
        Self {
            folder,
            server,
            held,
        }
    }

    /// Records that the export of a job must be saved to this file. If the folder is not writable, only this run knows
    /// about the export.
    pub(crate) fn track(&mut self, job: Uuid, file: &str) {
        if let Err(error) = self.write(job, file) {
            tracing::warn!(%error, "an export is not tracked beyond this run");
        }
    }

    fn write(&mut self, job: Uuid, file: &str) -> io::Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        if self.held.contains_key(&job) {
            return Ok(());
        }
        fs::create_dir_all(folder)?;
        let options = OpenOptions::new().write(true).create_new(true).clone();
        let mut record = options.open(folder.join(job.to_string()))?;
        record.try_lock()?;
        let (server, file) = (self.server.clone(), file.to_owned());
        serde_json::to_writer(&record, &Export { server, file })?;
        record.flush()?;
        self.held.insert(job, record);
        Ok(())
    }

    /// Removes the record of an export that is saved or never will be.
    pub(crate) fn untrack(&mut self, job: Uuid) {
        if let (Some(folder), Some(_held)) = (&self.folder, self.held.remove(&job)) {
            // If this fails, a later client finds the record, and then that the server no longer has the job.
            let _ = fs::remove_file(folder.join(job.to_string()));
        }
    }

    /// Takes over the exports of clients that are gone.
    pub(crate) fn take_over(&mut self) -> Vec<(Uuid, String)> {
        let folder = self
            .folder
            .as_ref()
            .and_then(|path| fs::read_dir(path).ok());
        let names = folder.into_iter().flatten().flatten();
        let paths: Vec<PathBuf> = names.map(|entry| entry.path()).collect();
        let mut taken = Vec::new();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Ok(job) = name.parse()
                && let Some((held, file)) = self.take(&path)
            {
                self.held.insert(job, held);
                taken.push((job, file));
            }
        }
        taken
    }

    /// Locks and reads one record, if no client holds it and it belongs to this server.
    fn take(&self, path: &Path) -> Option<(File, String)> {
        let mut held = File::open(path).ok()?;
        held.try_lock().ok()?;
        // The previous holder may have removed the file just before the lock; `metadata` fails then.
        let age = fs::metadata(path).ok()?.modified().ok()?.elapsed();
        if age.is_ok_and(|age| age > KEEP) {
            let _ = fs::remove_file(path);
            return None;
        }
        let mut text = String::new();
        held.read_to_string(&mut text).ok()?;
        let export: Export = serde_json::from_str(&text).ok()?;
        (export.server == self.server).then_some((held, export.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_at_a_time_waits_for_an_export() {
        let folder = std::env::temp_dir().join(format!("stockroom-awaited-{}", Uuid::now_v7()));
        let client = |server: &str| PendingExports::in_folder(Some(folder.clone()), server.into());
        let job = Uuid::now_v7();
        let mut first = client("shop");
        first.track(job, "/tmp/orders.csv");
        let mut second = client("shop");
        assert_eq!(second.take_over(), [], "the first client waits for it");
        drop(first);
        assert_eq!(client("another").take_over(), []);
        assert_eq!(second.take_over(), [(job, "/tmp/orders.csv".to_owned())]);
        assert_eq!(client("shop").take_over(), []);
        second.untrack(job);
        drop(second);
        assert_eq!(client("shop").take_over(), []);
        fs::remove_dir_all(folder).unwrap();
    }
}

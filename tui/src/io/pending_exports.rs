//! Exports that were asked for and are not saved yet, over the end of a run: a small file for each, locked
//! by the client that waits. One that nobody holds any more is taken over by the next client of that server.

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

/// The server keeps no file for longer.
const KEEP: Duration = Duration::from_secs(2 * 24 * 3_600);

#[derive(Debug)]
pub(crate) struct PendingExports {
    /// None where the system tells no home: then nothing outlives the run.
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

    /// Keeps in mind that the export of a job is to be saved in that file. Where the folder cannot be written
    /// to, only this run knows.
    pub(crate) fn keep(&mut self, job: Uuid, file: &str) {
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
        let mut kept = options.open(folder.join(job.to_string()))?;
        kept.try_lock()?;
        let (server, file) = (self.server.clone(), file.to_owned());
        serde_json::to_writer(&kept, &Export { server, file })?;
        kept.flush()?;
        self.held.insert(job, kept);
        Ok(())
    }

    /// It is saved, or never will be.
    pub(crate) fn forget(&mut self, job: Uuid) {
        if let (Some(folder), Some(_held)) = (&self.folder, self.held.remove(&job)) {
            // Whoever finds it later finds that the server has the job no more.
            let _ = fs::remove_file(folder.join(job.to_string()));
        }
    }

    /// Takes over what clients that are gone have waited for.
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

    /// One of them, if nobody holds it and it is of this server.
    fn take(&self, path: &Path) -> Option<(File, String)> {
        let mut held = File::open(path).ok()?;
        held.try_lock().ok()?;
        // Whoever held it may have removed it just now.
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
        first.keep(job, "/tmp/orders.csv");
        let mut second = client("shop");
        assert_eq!(second.take_over(), [], "the first client waits for it");
        drop(first);
        assert_eq!(client("another").take_over(), []);
        assert_eq!(second.take_over(), [(job, "/tmp/orders.csv".to_owned())]);
        assert_eq!(client("shop").take_over(), []);
        second.forget(job);
        drop(second);
        assert_eq!(client("shop").take_over(), []);
        fs::remove_dir_all(folder).unwrap();
    }
}

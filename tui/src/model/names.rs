//! Names of rows that others refer to, so that the screens show `Ada Lovelace` and not a UUID.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::tab::Tab;

/// Names that are kept; beyond this all are dropped, and those on the screen are requested again.
const MAX_NAMES: usize = 20_000;

/// Another row, whose name is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reference {
    pub tab: Tab,
    pub id: Uuid,
}

/// The names that are known, and the rows whose names the screen lacks.
#[derive(Debug, Default)]
pub struct Names {
    known: HashMap<Uuid, String>,
    wanted: HashMap<Tab, HashSet<Uuid>>,
}

impl Names {
    pub fn get(&self, id: Uuid) -> Option<&str> {
        self.known.get(&id).map(String::as_str)
    }

    /// Asks for the name of a row, unless it is known.
    pub fn want(&mut self, reference: Reference) {
        if !self.known.contains_key(&reference.id) {
            let wanted = self.wanted.entry(reference.tab).or_default();
            wanted.insert(reference.id);
        }
    }

    pub fn insert(&mut self, id: Uuid, name: String) {
        self.known.insert(id, name);
    }

    /// Drops a name that may have changed.
    pub fn remove(&mut self, id: Uuid) {
        self.known.remove(&id);
    }

    /// Drops all names: any of them may have changed.
    pub fn clear(&mut self) {
        self.known.clear();
    }

    /// The tabs of the rows whose names are wanted.
    pub fn wanted_tabs(&self) -> Vec<Tab> {
        let wanted = self.wanted.iter().filter(|(_, ids)| !ids.is_empty());
        wanted.map(|(tab, _)| *tab).collect()
    }

    /// Takes at most `limit` of the wanted rows of a tab, for one request.
    pub fn take_wanted(&mut self, tab: Tab, limit: usize) -> Vec<Uuid> {
        let Some(wanted) = self.wanted.get_mut(&tab) else {
            return Vec::new();
        };
        let mut batch: Vec<Uuid> = wanted.iter().copied().take(limit).collect();
        batch.sort();
        for id in &batch {
            wanted.remove(id);
        }
        batch
    }

    /// Makes room for that many more names.
    pub fn make_room(&mut self, more: usize) {
        if self.known.len() + more > MAX_NAMES {
            self.known.clear();
        }
    }

    /// Records rows that the server no longer has, so that they are not requested again and again.
    pub fn insert_missing(&mut self, ids: Vec<Uuid>) {
        for id in ids {
            self.known.entry(id).or_insert_with(|| "(deleted)".into());
        }
    }
}

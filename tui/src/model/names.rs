//! Names of referenced rows, so that the screens show `Ada Lovelace` instead of a UUID.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::tab::Tab;

/// Maximum number of known names. Beyond it all are dropped, and those on the screen are requested again.
const MAX_NAMES: usize = 20_000;

/// A reference to another row, which the screen shows by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reference {
    pub tab: Tab,
    pub id: Uuid,
}

/// The known names, and the rows whose names the screen still needs.
#[derive(Debug, Default)]
pub struct Names {
    known: HashMap<Uuid, String>,
    wanted: HashMap<Tab, HashSet<Uuid>>,
}

impl Names {
    pub fn get(&self, id: Uuid) -> Option<&str> {
        self.known.get(&id).map(String::as_str)
    }

    /// Marks the name of a row as wanted, unless it is known.
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

    /// Drops all names, because any of them may have changed.
    pub fn clear(&mut self) {
        self.known.clear();
    }

    /// The tabs that have rows with wanted names.
    pub fn wanted_tabs(&self) -> Vec<Tab> {
        let wanted = self.wanted.iter().filter(|(_, ids)| !ids.is_empty());
        wanted.map(|(tab, _)| *tab).collect()
    }

    /// Removes and returns at most `limit` wanted rows of a tab, for one request.
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

    /// Makes room for `more` names: drops all known names if the maximum would be exceeded.
    pub fn make_room(&mut self, more: usize) {
        if self.known.len() + more > MAX_NAMES {
            self.known.clear();
        }
    }

    /// Records rows that the server no longer has, so that their names are not requested repeatedly.
    pub fn insert_missing(&mut self, ids: Vec<Uuid>) {
        for id in ids {
            self.known.entry(id).or_insert_with(|| "(deleted)".into());
        }
    }
}

//! The rows of a call that exist already, locked while the call writes.

use std::collections::HashMap;

use serde_json::Value;
use stockroom_common::{
    Id,
    bulk::{BulkRow, Outcome},
};
use uuid::Uuid;

use super::{InputRow, row::Row};
use crate::{
    http::error::Result,
    rows::{entity::Entity, list::select},
    store::write::Write,
};

/// The rows of a call that exist already, by id and by natural key.
pub(super) struct ExistingRows<E> {
    pub(super) by_id: HashMap<Uuid, E>,
    by_key: HashMap<String, Uuid>,
    key_of: HashMap<Uuid, String>,
    /// The natural key of each row that was sent, in the order sent.
    keys: Vec<Option<String>>,
}

impl<E: Entity> ExistingRows<E> {
    pub(super) async fn lock(write: &mut Write, rows: &[InputRow<E>]) -> Result<Self> {
        let sent = || rows.iter().map(|sent| sent.row.as_ref().ok());
        let named: Vec<Option<&str>> = sent().map(|row| row?.key()).collect();
        let keys = match E::NATURAL_KEY {
            Some(key) => {
                let named = named.iter().flatten().map(|name| (*name).to_owned());
                select::unique_parts(write.conn()?, key, &named.collect::<Vec<_>>()).await?
            }
            None => Vec::new(),
        };
        let mut ids: Vec<Id<E>> = sent().filter_map(|row| row?.id).collect();
        ids.sort();
        ids.dedup();
        let locked = if ids.is_empty() && keys.is_empty() {
            Vec::new()
        } else {
            E::lock_many(write.conn()?, &ids, &keys).await?
        };
        let old: Vec<&E> = locked.iter().map(|(row, _)| row).collect();
        let new: Vec<&Value> = sent().filter_map(|row| Some(&row?.fields)).collect();
        E::lock_shared(write, &old, &new).await?;
        let mut keys = keys.into_iter();
        let mut existing = Self {
            by_id: HashMap::new(),
            by_key: HashMap::new(),
            key_of: HashMap::new(),
            keys: named
                .iter()
                .map(|name| name.and_then(|_| keys.next()))
                .collect(),
        };
        for (row, key) in locked {
            existing.key_of.insert(row.id().uuid(), key.clone());
            existing.by_key.insert(key, row.id().uuid());
            existing.by_id.insert(row.id().uuid(), row);
        }
        Ok(existing)
    }

    /// The order in which to write the rows: the order sent, except that the rows to be created are sorted by key among
    /// the positions that they have. Two calls that create the same rows then cannot deadlock.
    pub(super) fn order(&self, rows: &[InputRow<E>]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        let id_of = |index: usize| rows[index].row.as_ref().ok().and_then(|row| row.id);
        let mut named: HashMap<Uuid, usize> = HashMap::new();
        for id in order.iter().filter_map(|index| id_of(*index)) {
            *named.entry(id.uuid()).or_default() += 1;
        }
        let is_new = |index: &usize| {
            // If an id occurs more than once, its rows keep their order: the later ones change the first.
            let is_first = id_of(*index).is_none_or(|id| named[&id.uuid()] == 1);
            let row = rows[*index].row.as_ref();
            is_first && row.is_ok_and(|row| self.of(*index, row).is_none())
        };
        let positions: Vec<usize> = order.iter().copied().filter(is_new).collect();
        let mut sorted = positions.clone();
        sorted.sort_by_key(|index| (&self.keys[*index], id_of(*index)));
        for (position, index) in positions.into_iter().zip(sorted) {
            order[position] = index;
        }
        order
    }

    pub(super) fn of(&self, index: usize, row: &Row<E>) -> Option<&E> {
        let id = match (row.id, &self.keys[index]) {
            (Some(id), _) => id.uuid(),
            (None, Some(key)) => *self.by_key.get(key)?,
            (None, None) => return None,
        };
        self.by_id.get(&id)
    }

    /// Records the new state of a row for later rows of the call, which may name it again.
    pub(super) fn record(&mut self, index: usize, outcome: Outcome, row: E) -> BulkRow {
        let (id, version) = (row.id().uuid(), row.version());
        if let Some(key) = &self.keys[index] {
            if let Some(old) = self.key_of.insert(id, key.clone()) {
                self.by_key.remove(&old);
            }
            self.by_key.insert(key.clone(), id);
        }
        self.by_id.insert(id, row);
        BulkRow {
            outcome,
            id: Some(id),
            version: Some(version),
            problem: None,
        }
    }
}

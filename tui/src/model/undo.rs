//! How a write is undone.

use serde_json::{Value, json};
use stockroom_common::{OrderStatus, document};
use uuid::Uuid;

use crate::model::tab::Tab;

#[derive(Clone, Debug)]
pub struct Undo {
    pub tab: Tab,
    pub id: Uuid,
    /// The name of the row, for messages.
    pub label: String,
    pub action: UndoAction,
    /// The fields that the write changed but undo does not restore.
    pub excluded: Vec<ExcludedField>,
}

#[derive(Clone, Debug)]
pub enum UndoAction {
    /// Undo restores nothing. The write is recorded so that undo does not skip to an earlier write.
    None,
    /// Restores the earlier values of fields if the row is still at this version.
    Change { patch: Value, version: i64 },
    /// Creates the deleted row again under its id. It was at this version when it was deleted.
    Create { document: Value, version: i64 },
    /// Deletes the created row if it is still at this version.
    Delete { version: i64 },
    /// Restores many rows in one call.
    Bulk { rows: Vec<Value>, kind: BulkKind },
}

/// What a bulk write did to the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkKind {
    Changed,
    Deleted,
}

/// A field that undo does not restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExcludedField {
    /// Orders may have changed the stock since.
    Stock,
    /// An order cannot return to an earlier status.
    Status,
}

impl ExcludedField {
    pub const fn field(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Status => "status",
        }
    }

    pub const fn reason(self) -> &'static str {
        match self {
            Self::Stock => "stock stays, because orders may have changed it since",
            Self::Status => "an order cannot return to an earlier status",
        }
    }
}

impl Undo {
    /// Undoes a change from `before` to `after`; `row` holds the version after the change. `None` if nothing changed.
    pub fn of_change(tab: Tab, row: &Value, before: &Value, after: &Value) -> Option<Self> {
        let mut patch = document::difference(after, before);
        let excluded = split_excluded(tab, after, &mut patch);
        let is_empty = patch == json!({});
        let action = if !is_empty {
            let version = row["version"].as_i64()?;
            UndoAction::Change { patch, version }
        } else if excluded.is_empty() {
            return None;
        } else {
            UndoAction::None
        };
        let undo = Self::of(tab, row, action)?;
        Some(Self { excluded, ..undo })
    }

    pub fn of_creation(tab: Tab, row: &Value) -> Option<Self> {
        let version = row["version"].as_i64()?;
        Self::of(tab, row, UndoAction::Delete { version })
    }

    fn of(tab: Tab, row: &Value, action: UndoAction) -> Option<Self> {
        let label = row["number"].as_str().or(row["name"].as_str());
        Some(Self {
            tab,
            id: row["id"].as_str()?.parse().ok()?,
            label: label.unwrap_or_default().into(),
            action,
            excluded: Vec::new(),
        })
    }

    /// Whether undo changes anything.
    pub const fn is_possible(&self) -> bool {
        !matches!(self.action, UndoAction::None)
    }

    /// Names the fields that undo does not restore, such as ", except its stock"; empty if it restores all.
    pub fn exception(&self, whose: &str) -> String {
        if self.excluded.is_empty() {
            return String::new();
        }
        let excluded: Vec<&str> = self
            .excluded
            .iter()
            .map(|excluded| excluded.field())
            .collect();
        format!(", except {whose} {}", excluded.join(" and "))
    }
}

/// Removes the fields that undo does not restore from its patch, and returns them: the stock of a product, and the
/// status of an order if an order may not return to the earlier status.
pub fn split_excluded(tab: Tab, after: &Value, patch: &mut Value) -> Vec<ExcludedField> {
    let status = |document: &Value| document["status"].as_str()?.parse::<OrderStatus>().ok();
    let excluded = match tab {
        Tab::Products => ExcludedField::Stock,
        Tab::Orders => match (status(after), status(patch)) {
            (Some(now), Some(before)) if !now.may_become(before) => ExcludedField::Status,
            _ => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    let members = patch.as_object_mut();
    let removed = members.and_then(|members| members.remove(excluded.field()));
    removed.map(|_| excluded).into_iter().collect()
}

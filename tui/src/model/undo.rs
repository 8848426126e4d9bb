//! How a write is undone.

use serde_json::{Value, json};
use stockroom_common::{OrderStatus, document};
use uuid::Uuid;

use crate::model::tab::Tab;

#[derive(Clone, Debug)]
pub struct Undo {
    pub tab: Tab,
    pub id: Uuid,
    /// What the row is called.
    pub label: String,
    pub action: UndoAction,
    /// What the write changed and undoing leaves as it is.
    pub kept: Vec<Kept>,
}

#[derive(Clone, Debug)]
pub enum UndoAction {
    /// All that was changed stays. It is recorded so that undo does not skip to an earlier write.
    None,
    /// Gives fields their earlier values, if the row is still at that version.
    Change { patch: Value, version: i64 },
    /// Creates the row again, under its id, that was deleted at that version.
    Create { document: Value, version: i64 },
    /// Deletes what was created, if it is still at that version.
    Delete { version: i64 },
    /// Writes many rows as they were, in one call.
    Bulk { rows: Vec<Value>, kind: BulkKind },
}

/// What was done to many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkKind {
    Changed,
    Deleted,
}

/// A field that undo leaves alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Orders change it meanwhile.
    Stock,
    /// An order cannot return to an earlier status.
    Status,
}

impl Kept {
    pub const fn field(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Status => "status",
        }
    }

    pub const fn reason(self) -> &'static str {
        match self {
            Self::Stock => "stock is not taken back, for orders may have changed it since",
            Self::Status => "an order cannot return to an earlier status",
        }
    }
}

impl Undo {
    /// Of a change from one document to another, which gave the row this version. None where nothing changed.
    pub fn of_change(tab: Tab, row: &Value, before: &Value, after: &Value) -> Option<Self> {
        let mut patch = document::difference(after, before);
        let kept = split_kept(tab, after, &mut patch);
        let is_empty = patch == json!({});
        let action = if !is_empty {
            let version = row["version"].as_i64()?;
            UndoAction::Change { patch, version }
        } else if kept.is_empty() {
            return None;
        } else {
            UndoAction::None
        };
        let undo = Self::of(tab, row, action)?;
        Some(Self { kept, ..undo })
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
            kept: Vec::new(),
        })
    }

    /// Whether undoing changes anything.
    pub const fn is_possible(&self) -> bool {
        !matches!(self.action, UndoAction::None)
    }

    /// What stays as it is, such as ", except its stock"; empty where nothing does.
    pub fn exception(&self, whose: &str) -> String {
        if self.kept.is_empty() {
            return String::new();
        }
        let kept: Vec<&str> = self.kept.iter().map(|kept| kept.field()).collect();
        format!(", except {whose} {}", kept.join(" and "))
    }
}

/// Removes from an undo's patch what undo leaves alone, and says what that is: the stock of a product, and a status that
/// the rules of orders do not let an order return to.
pub fn split_kept(tab: Tab, after: &Value, patch: &mut Value) -> Vec<Kept> {
    let status = |document: &Value| document["status"].as_str()?.parse::<OrderStatus>().ok();
    let kept = match tab {
        Tab::Products => Kept::Stock,
        Tab::Orders => match (status(after), status(patch)) {
            (Some(now), Some(before)) if !now.may_become(before) => Kept::Status,
            _ => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    let members = patch.as_object_mut();
    let removed = members.and_then(|members| members.remove(kept.field()));
    removed.map(|_| kept).into_iter().collect()
}

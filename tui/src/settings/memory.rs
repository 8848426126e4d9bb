//! What the client remembers from one run to the next: how columns are arranged, how lists are sorted,
//! which views were saved. Losing it costs nothing but that.

use std::{
    collections::BTreeMap,
    fmt::Display,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::model::{query::Query, tab::Tab};

/// Views that one list may have.
pub const MAX_VIEWS: usize = 50;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// By resource, as in paths.
    pub lists: BTreeMap<String, ListMemory>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListMemory {
    /// Empty where they are as they come.
    pub columns: Vec<ColumnLayout>,
    pub sort: String,
    pub views: Vec<View>,
}

/// How somebody has arranged a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnLayout {
    pub title: String,
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_hidden: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u16>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// A search with its filters and order, under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub name: String,
    pub query: Query,
}

impl Memory {
    /// The saved views of a list.
    pub fn views(&self, tab: Tab) -> &[View] {
        let list = self.lists.get(tab.path());
        list.map_or(&[], |list| &list.views)
    }

    /// Saves a view, in the place of another of the same name.
    pub fn save_view(&mut self, tab: Tab, name: String, query: Query) {
        let views = &mut self.lists.entry(tab.path().into()).or_default().views;
        views.retain(|view| view.name != name);
        if views.len() >= MAX_VIEWS {
            // The oldest makes room.
            views.remove(0);
        }
        views.push(View { name, query });
    }

    pub fn delete_view(&mut self, tab: Tab, index: usize) {
        if let Some(list) = self.lists.get_mut(tab.path())
            && index < list.views.len()
        {
            list.views.remove(index);
        }
    }

    /// Where it is kept; none where the system tells no home.
    pub fn path() -> Option<PathBuf> {
        let dirs = directories::ProjectDirs::from("", "", "stockroom")?;
        let dir = dirs.state_dir().unwrap_or(dirs.data_local_dir());
        Some(dir.join("client.json"))
    }

    /// Reads it. One that cannot be read is as good as none, but that is told, and what it says is put aside: it holds
    /// views that somebody has saved.
    pub fn load() -> (Self, Option<String>) {
        match Self::read() {
            Ok(memory) => (memory, None),
            Err(fault) => {
                let aside = Self::path().and_then(|path| {
                    let aside = path.with_extension("json.unreadable");
                    std::fs::rename(&path, &aside).ok().map(|()| aside)
                });
                let kept = aside.map_or_else(String::new, |aside| {
                    format!(" It was renamed to {}.", aside.display())
                });
                (
                    Self::default(),
                    Some(format!("{fault}.{kept} Saved views are not loaded.")),
                )
            }
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with the file; that it is not there is well.
    pub fn read() -> Result<Self, String> {
        let Some(path) = Self::path() else {
            return Ok(Self::default());
        };
        let fault = |error: &dyn Display| format!("{} cannot be read: {error}", path.display());
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| fault(&error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(fault(&error)),
        }
    }

    /// Writes it in one piece.
    ///
    /// # Errors
    /// A sentence, where the folder cannot be written to.
    pub fn save(&self) -> Result<(), String> {
        let Some(path) = Self::path() else {
            return Ok(());
        };
        self.write(&path).map_err(|error| {
            let path = path.display();
            format!("Views and columns are not saved: {path} cannot be written: {error}.")
        })
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        let dir = path.parent().unwrap_or(path);
        std::fs::create_dir_all(dir)?;
        let part = path.with_extension(format!("{}.part", std::process::id()));
        let mut file = std::fs::File::create(&part)?;
        file.write_all(&serde_json::to_vec_pretty(self).unwrap_or_default())?;
        std::fs::rename(part, path)
    }
}

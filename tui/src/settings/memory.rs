//! What the client remembers between runs: the layout of columns, the sort order of lists, and saved views. Nothing
//! else depends on the file.

use std::{
    collections::BTreeMap,
    fmt::Display,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::model::{query::Query, tab::Tab};

/// Maximum number of saved views per list.
pub const MAX_VIEWS: usize = 50;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// The key is the resource name in URL paths.
    pub lists: BTreeMap<String, ListMemory>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListMemory {
    /// Empty for the default layout.
    pub columns: Vec<ColumnLayout>,
    pub sort: String,
    pub views: Vec<View>,
}

/// The user's layout of a column.
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

/// A saved query: search, filters and sort order under a name.
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

    /// Saves a view. It replaces a view with the same name.
    pub fn save_view(&mut self, tab: Tab, name: String, query: Query) {
        let views = &mut self.lists.entry(tab.path().into()).or_default().views;
        views.retain(|view| view.name != name);
        if views.len() >= MAX_VIEWS {
            // Drop the oldest view to make room.
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

    /// The path of the file; `None` if the home folder is unknown.
    pub fn path() -> Option<PathBuf> {
        let dirs = directories::ProjectDirs::from("", "", "stockroom")?;
        let dir = dirs.state_dir().unwrap_or(dirs.data_local_dir());
        Some(dir.join("client.json"))
    }

    /// Reads the file. If it cannot be read, returns the defaults and a message for the user. The file is then renamed
    /// instead of overwritten, because it contains the user's saved views.
    pub fn load() -> (Self, Option<String>) {
        match Self::read() {
            Ok(memory) => (memory, None),
            Err(fault) => {
                let aside = Self::path().and_then(|path| {
                    let aside = path.with_extension("json.unreadable");
                    std::fs::rename(&path, &aside).ok().map(|()| aside)
                });
                let renamed = aside.map_or_else(String::new, |aside| {
                    format!(" It was renamed to {}.", aside.display())
                });
                (
                    Self::default(),
                    Some(format!("{fault}.{renamed} Saved views are not loaded.")),
                )
            }
        }
    }

    /// Reads the file. A missing file gives the defaults.
    ///
    /// # Errors
    /// If the file exists but cannot be read or parsed: a message for the user.
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

    /// Writes a temporary file and renames it, so that the file is never half written.
    ///
    /// # Errors
    /// If the file cannot be written: a message for the user.
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

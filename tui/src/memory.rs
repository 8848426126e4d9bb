//! What the client remembers from one run to the next: how columns are arranged, how lists are sorted,
//! which views were saved. Losing it costs nothing but that.

use std::{collections::BTreeMap, io::Write, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    entity::Tab,
    list::{Arranged, Query},
    overlay::{Choice, Menu},
    text,
};

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
    pub columns: Vec<Arranged>,
    pub sort: String,
    pub views: Vec<View>,
}

/// A search with its filters and order, under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub name: String,
    pub query: Query,
}

impl Memory {
    /// The views of a list, and the way to a new one.
    pub fn menu(&self, tab: Tab) -> Menu {
        let views = self.lists.get(tab.path()).map(|list| &list.views);
        let views = views.into_iter().flatten().enumerate();
        let mut lines: Vec<(String, Choice)> = views
            .map(|(index, view)| {
                let choice = Choice::View(tab, index, Box::new(view.query.clone()));
                (text::clean(&view.name).into_owned(), choice)
            })
            .collect();
        lines.push(("save what is shown…".into(), Choice::SaveView));
        Menu {
            title: "Views".into(),
            lines,
            selected: 0,
        }
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

    pub fn forget_view(&mut self, tab: Tab, index: usize) {
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

    /// Reads it. One that cannot be read is as good as none.
    pub fn load() -> Self {
        let text = Self::path().and_then(|path| std::fs::read(path).ok());
        text.and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// Writes it in one piece.
    ///
    /// # Errors
    /// Where the folder cannot be written to.
    pub fn save(&self) -> std::io::Result<()> {
        let Some(path) = Self::path() else {
            return Ok(());
        };
        let dir = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(dir)?;
        let part = path.with_extension(format!("{}.part", std::process::id()));
        let mut file = std::fs::File::create(&part)?;
        file.write_all(&serde_json::to_vec_pretty(self).unwrap_or_default())?;
        std::fs::rename(part, path)
    }
}

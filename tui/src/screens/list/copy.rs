//! What of a list goes to the clipboard, as it is shown.

use super::ListScreen;
use crate::{
    model::{entity::Entity, show::Show},
    settings::keys::Command,
};

impl<R: Entity> ListScreen<R> {
    /// The selected cell, or row with tabs between its cells, or id; in the detail pane the line.
    pub(super) fn text_to_copy(&self, what: Command, show: Show<'_>) -> Option<String> {
        let row = self.window.selected()?;
        match what {
            Command::CopyId => Some(row.id().to_string()),
            Command::CopyRow => {
                let columns = self.columns.shown::<R>();
                let cells = columns
                    .iter()
                    .map(|(column, _)| show.words(&(column.cell)(row)));
                Some(cells.collect::<Vec<_>>().join("\t"))
            }
            Command::CopyCell => {
                if let (Some(pane), Some(details)) = (self.detail, self.details()) {
                    let mut links = details.iter().filter(|detail| detail.target.is_some());
                    let line = links.nth(pane.link).or(details.first())?;
                    return Some(show.words(&line.value));
                }
                let column = self.columns.selected_column::<R>()?;
                Some(show.words(&(column.cell)(row)))
            }
            _ => None,
        }
    }
}

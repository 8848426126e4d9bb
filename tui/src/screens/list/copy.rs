//! The text that a list copies to the clipboard, formatted as on the screen.

use super::ListScreen;
use crate::{
    model::{entity::Entity, show::Formatter},
    settings::keys::Command,
};

impl<R: Entity> ListScreen<R> {
    /// The id, the row (visible cells separated by tabs) or the cell that is selected. While the detail pane is open,
    /// the cell is the selected link, or the first line if no link is selected.
    pub(super) fn text_to_copy(&self, what: Command, formatter: Formatter<'_>) -> Option<String> {
        let row = self.window.selected()?;
        match what {
            Command::CopyId => Some(row.id().to_string()),
            Command::CopyRow => {
                let columns = self.columns.shown::<R>();
                let cells = columns
                    .iter()
                    .map(|(column, _)| formatter.format(&(column.cell)(row)));
                Some(cells.collect::<Vec<_>>().join("\t"))
            }
            Command::CopyCell => {
                if let (Some(pane), Some(details)) = (self.detail, self.details()) {
                    let mut links = details.iter().filter(|detail| detail.target.is_some());
                    let line = links.nth(pane.link).or(details.first())?;
                    return Some(formatter.format(&line.value));
                }
                let column = self.columns.selected_column::<R>()?;
                Some(formatter.format(&(column.cell)(row)))
            }
            _ => None,
        }
    }
}

//! Colours and weights, by what they mean. Nothing is told by colour alone.

use ratatui::style::{Color, Modifier, Style};
use stockroom_common::OrderStatus;

pub(crate) const PLAIN: Style = Style::new();
pub(crate) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
pub(crate) const DIM: Style = Style::new().add_modifier(Modifier::DIM);
pub(crate) const SELECTED: Style = Style::new().add_modifier(Modifier::REVERSED);
pub(crate) const HEADER: Style = Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD);
pub(crate) const ACTIVE_TAB: Style = Style::new()
    .fg(Color::Cyan)
    .add_modifier(Modifier::BOLD.union(Modifier::REVERSED));
pub(crate) const LABEL: Style = Style::new().fg(Color::Cyan);
pub(crate) const LINK: Style = Style::new()
    .fg(Color::Blue)
    .add_modifier(Modifier::UNDERLINED);
pub(crate) const GOOD: Style = Style::new().fg(Color::Green);
pub(crate) const BAD: Style = Style::new().fg(Color::Red);
pub(crate) const WARN: Style = Style::new().fg(Color::Yellow);
pub(crate) const INPUT: Style = Style::new().add_modifier(Modifier::UNDERLINED);

pub(crate) const fn status(status: OrderStatus) -> Style {
    match status {
        OrderStatus::Pending => WARN,
        OrderStatus::Paid | OrderStatus::Shipped => LABEL,
        OrderStatus::Delivered => GOOD,
        OrderStatus::Cancelled | OrderStatus::Returned => DIM,
    }
}

//! The context for drawing.

use crate::{
    model::{names::Names, text::Zone},
    settings::{keys::Keymap, theme::Theme},
};

/// What every part of the view needs to draw values: names, time zone, colours and keys.
#[derive(Clone, Copy)]
pub(crate) struct RenderContext<'a> {
    pub(crate) names: &'a Names,
    pub(crate) zone: Zone,
    pub(crate) theme: &'a Theme,
    pub(crate) keys: &'a Keymap,
    pub(crate) is_plain: bool,
}

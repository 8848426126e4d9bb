//! A menu: a choice from a few items.

use crate::{
    messages::{
        context::Context,
        request::{Menu, Request},
    },
    settings::keys::Command,
};

pub(super) fn command(menu: &mut Menu, command: Command, ctx: &mut Context<'_>) {
    match command {
        Command::Up => menu.selected = menu.selected.saturating_sub(1),
        Command::Down => menu.selected = (menu.selected + 1).min(menu.items.len() - 1),
        Command::Open => {
            let item = menu.items.swap_remove(menu.selected);
            ctx.request(Request::Close);
            ctx.request(item.on_select);
        }
        Command::Delete => {
            if let Some(delete) = menu.items[menu.selected].on_delete.take() {
                ctx.request(Request::Close);
                ctx.request(delete);
            }
        }
        Command::Back => ctx.request(Request::Close),
        _ => {}
    }
}

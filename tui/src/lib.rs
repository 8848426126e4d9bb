//! Stockroom's terminal client. Events come in on one channel, [`app::App::update`] turns them into a
//! new state and effects, [`view::draw`] shows the state. Screens never touch the network.

pub mod api;
pub mod app;
pub mod bulk;
mod category;
mod clipboard;
pub mod command;
pub mod context;
mod customer;
pub mod entity;
pub mod event;
pub mod form;
pub mod import;
mod input;
pub mod keys;
mod link;
pub mod list;
mod local;
pub mod memory;
mod names;
mod order;
pub mod overlay;
mod palette;
mod partitions;
mod picker;
pub mod preferences;
mod product;
pub mod run;
mod screen;
mod seed;
pub mod settings;
mod terminal;
pub mod text;
pub mod theme;
pub mod touched;
pub mod undo;
pub mod view;

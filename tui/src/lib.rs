//! Stockroom's terminal client. `App::update` turns each event into a new state and effects, and `view` draws the
//! state. Screens never access the network.
//!
//! The modules form layers, listed here from the lowest up. Each uses only itself and the layers below it
//! (`docs/architecture.md`).

pub mod model {
    pub mod entities;
    pub mod entity;
    pub mod form_spec;
    pub mod intent;
    pub mod labels;
    pub mod names;
    pub mod paths;
    pub mod query;
    pub mod show;
    pub mod tab;
    pub mod text;
    pub mod undo;
}

pub mod settings {
    pub mod config;
    pub mod keys;
    pub mod memory;
    pub mod preferences;
    pub mod theme;
}

pub mod messages {
    pub mod call;
    pub mod context;
    pub mod event;
    pub mod request;
}

pub mod io {
    pub mod api;
    pub(crate) mod clipboard;
    pub mod credentials;
    pub(crate) mod editor;
    pub(crate) mod link;
    pub(crate) mod local;
    pub mod log;
    pub(crate) mod pending_exports;
    pub mod server;
    pub(crate) mod terminal;
}

pub mod screens {
    pub mod dashboard;
    pub mod jobs;
    pub mod list;
    pub mod partitions;
    pub mod screen;
}

pub mod dialogs {
    pub mod confirm;
    pub mod export;
    pub mod form;
    pub mod help;
    pub mod import;
    pub mod line;
    mod menu;
    pub mod outcome;
    pub mod overlay;
    pub mod palette;
    pub mod picker;
    pub mod prompt;
}

pub mod app {
    mod bulk;
    mod changes;
    pub mod connection;
    mod deletions;
    mod input;
    mod links;
    mod names;
    pub mod navigation;
    mod refresh;
    mod requests;
    pub mod screens;
    pub mod state;
    mod undo;
    mod views;
}

pub mod cli {
    pub mod arguments;
    pub mod command;
    mod doctor;
    mod jobs;
    mod login;
    mod output;
    mod rows;
    pub mod settings;
    mod shop;
    mod table;
    mod transfer;
}

pub mod view {
    mod bar;
    mod cell;
    mod chrome;
    mod dialogs {
        mod confirm;
        mod conflict;
        mod form;
        mod help;
        mod import;
        mod menu;
        mod outcome;
        pub(super) mod overlay;
        mod palette;
        mod panel;
        mod picker;
    }
    pub mod events;
    pub mod frame;
    mod plain;
    mod render;
    mod screens {
        pub(super) mod dashboard;
        mod detail;
        mod history;
        pub(super) mod jobs;
        pub(super) mod list;
        pub(super) mod partitions;
    }
}

pub mod run;

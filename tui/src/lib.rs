//! Stockroom's terminal client. Events come in on one channel, `App::update` turns them into a new state and effects,
//! and `view` draws the state. Screens never touch the network.
//!
//! The modules lie on floors, from the ground up; each uses only what lies below it (`docs/architecture.md`).

pub mod model {
    pub mod entities {
        mod category;
        mod customer;
        mod order;
        mod product;
    }
    pub mod entity;
    pub mod names;
    pub mod text;
}

pub mod settings {
    pub mod keys;
    pub mod memory;
    pub mod preferences;
    pub mod theme;
}

pub mod messages {
    pub mod context;
    pub mod event;
}

pub mod io {
    pub mod api;
    pub(crate) mod clipboard;
    pub(crate) mod editor;
    pub(crate) mod link;
    pub(crate) mod local;
    pub mod log;
    pub(crate) mod pending_exports;
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
    pub mod form;
    pub mod import;
    pub mod line;
    pub mod overlay;
    pub mod palette;
    pub mod picker;
}

pub mod app {
    pub mod bulk;
    mod changes;
    mod input;
    pub mod refresh;
    mod requests;
    pub mod state;
    pub mod undo;
}

pub mod cli {
    pub mod arguments;
    pub mod command;
    mod doctor;
    mod jobs;
    mod output;
    mod rows;
    pub mod settings;
    mod shop;
    mod table;
}

pub mod view {
    mod bar;
    mod cell;
    pub mod frame;
    mod look;
    mod plain;
    mod dialogs {
        pub(super) mod conflict;
        pub(super) mod form;
        pub(super) mod import;
        pub(super) mod overlay;
        pub(super) mod palette;
    }
    mod screens {
        pub(super) mod dashboard;
        pub(super) mod detail;
        pub(super) mod history;
        pub(super) mod jobs;
        pub(super) mod list;
        pub(super) mod partitions;
    }
}

pub mod run;

//! The REST API over a real socket with a real PostgreSQL. One file per resource or subject, in folders by area.

mod changes;
mod feed;
mod migrations;
mod readme;
mod server;

/// Who gets in, and what each role may do.
mod access {
    mod requests;
    pub(crate) mod tokens;
}

/// What lists and single rows of each resource answer.
mod entities {
    mod categories;
    mod customers;
    mod history;
    mod lists;
    mod order_stock;
    mod orders;
    mod products;
}

/// What is refused, and in which words.
mod input {
    pub(crate) mod bad_input;
    mod ignored_input;
    mod misleading_input;
    mod preconditions;
    mod unreadable_input;
}

/// Jobs that run on after their caller has left.
mod background {
    mod job_kinds;
    pub(crate) mod jobs;
    mod seed;
    mod takeover;
}

/// Many rows at once: bulk calls, exports and imports.
mod transfer {
    mod bulk;
    mod bulk_effects;
    mod export;
    mod export_jobs;
    mod import;
    mod import_effects;
    mod restore;
}

/// Orders by month: partitions and the archive.
mod months {
    mod archive;
    mod archive_under_load;
    mod partition_files;
    mod partitions;
    mod pruning;
}

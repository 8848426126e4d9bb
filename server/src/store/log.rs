//! The change log. Each write appends its entries in its own transaction. Two steps follow after the commit, so that
//! writers do not wait for them: entries get the positions by which readers follow the log, and the relay deletes the
//! cache tags that a writer could not delete itself.

mod change;
mod position;
pub(crate) mod relay;
mod run;

pub(crate) use self::{
    change::{Change, Difference, append, append_all, last_of, unrelayed_tags},
    run::{LogRun, RelayQueue},
};

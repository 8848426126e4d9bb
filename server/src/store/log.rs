//! The change log: what writes did, written in their own transactions; what is seen to afterwards off their path:
//! positions, by which others follow the log, and cached answers that a writer could not end itself.

mod change;
mod position;
pub(crate) mod relay;
mod run;

pub(crate) use self::{
    change::{Change, Difference, append, append_all, last_of, unrelayed_tags},
    run::{Done, LogRun},
};

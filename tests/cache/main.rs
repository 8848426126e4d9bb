//! The cache over a real Redis: what it answers, what it costs, and that it is never stale after an
//! acknowledged write, whatever goes wrong.

mod answers;
mod chaos;
mod flights;
mod model;
mod outages;
mod topologies;

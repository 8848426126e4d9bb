//! The cache with a real Redis: what it returns, what it costs, and that it is never stale after an acknowledged
//! write, whatever fails.

mod answers;
mod chaos;
mod flights;
mod model;
mod months;
mod outages;
mod relay;
mod topologies;

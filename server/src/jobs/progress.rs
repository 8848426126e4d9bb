//! How far a job is, step by step.

use std::time::Instant;

use stockroom_common::job::{JobRequest, Step};

/// The steps of a job, and since when each is worked on.
#[derive(Debug)]
pub(crate) struct Progress {
    counts: Vec<Count>,
    /// Whether this server knows how far the job is: another may have had it before.
    is_known: bool,
}

#[derive(Clone, Debug)]
struct Count {
    step: String,
    done: i64,
    total: Option<i64>,
    /// Done before this server took the job.
    found: i64,
    since: Option<Instant>,
    until: Option<Instant>,
}

impl Progress {
    /// A job of which nothing is done yet.
    pub(super) fn of(request: &JobRequest) -> Self {
        let steps = request.steps().into_iter();
        let counts = steps.map(|(step, total)| Count {
            step,
            done: 0,
            total,
            found: 0,
            since: None,
            until: None,
        });
        Self {
            counts: counts.collect(),
            is_known: false,
        }
    }

    fn at(&mut self, step: usize) -> &mut Count {
        self.is_known = true;
        &mut self.counts[step]
    }

    /// Counts what was done already.
    pub(crate) fn found(&mut self, step: usize, done: i64) {
        let count = self.at(step);
        count.done += done;
        count.found += done;
    }

    /// Begins a step, where it is not begun yet.
    pub(crate) fn began(&mut self, step: usize) {
        self.at(step).since.get_or_insert_with(Instant::now);
    }

    /// Begins a step anew.
    pub(crate) fn restart(&mut self, step: usize) {
        let count = self.at(step);
        (count.done, count.found) = (0, 0);
        (count.since, count.until) = (Some(Instant::now()), None);
    }

    pub(crate) fn expect(&mut self, step: usize, total: i64) {
        self.at(step).total = Some(total);
    }

    pub(crate) fn done(&mut self, step: usize, done: i64) {
        let count = self.at(step);
        count.done += done;
        // An estimate may be met on the way.
        count.until = (Some(count.done) == count.total).then(Instant::now);
    }

    /// Ends a step: what was done is all there was.
    pub(crate) fn ended(&mut self, step: usize) -> i64 {
        let count = self.at(step);
        count.total = Some(count.done);
        count.until.get_or_insert_with(Instant::now);
        count.done
    }

    pub(super) fn steps(&self) -> Vec<Step> {
        self.counts.iter().map(Count::step).collect()
    }

    /// The same, where this server knows it.
    pub(super) fn known(&self) -> Option<Vec<Step>> {
        self.is_known.then(|| self.steps())
    }
}

impl Count {
    fn step(&self) -> Step {
        let rate = self.rate();
        let left = self.total.map(|total| (total - self.done).max(0) as f64);
        let left = left.filter(|_| rate > 0.0);
        Step {
            step: self.step.clone(),
            done: self.done,
            total: self.total,
            rows_per_second: rate.round(),
            eta_seconds: left.map(|left| (left / rate).ceil()),
        }
    }

    /// Rows a second since this server began with them.
    fn rate(&self) -> f64 {
        let Some(since) = self.since else {
            return 0.0;
        };
        let until = self.until.unwrap_or_else(Instant::now);
        let seconds = until.duration_since(since).as_secs_f64().max(1e-3);
        (self.done - self.found) as f64 / seconds
    }
}

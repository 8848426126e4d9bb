//! The progress of a job, step by step.

use std::time::Instant;

use stockroom_common::job::{JobRequest, Step};

/// The steps of a job, with the counts and times of each.
#[derive(Debug)]
pub(crate) struct Progress {
    counts: Vec<Count>,
    /// Whether this server has counted anything yet. Until then, the progress that another server saved is better.
    is_known: bool,
}

#[derive(Clone, Debug)]
struct Count {
    step: String,
    done: i64,
    total: Option<i64>,
    /// The part of `done` from before this server took the job. It does not count in the rate.
    found: i64,
    since: Option<Instant>,
    until: Option<Instant>,
}

impl Progress {
    /// The progress of a job that has not begun.
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

    /// Counts what was done before this server took the job.
    pub(crate) fn found(&mut self, step: usize, done: i64) {
        let count = self.at(step);
        count.done += done;
        count.found += done;
    }

    /// Begins a step if it has not begun yet.
    pub(crate) fn began(&mut self, step: usize) {
        self.at(step).since.get_or_insert_with(Instant::now);
    }

    /// Begins a step again from 0.
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
        // The total may be an estimate. If the count exceeds it, the step has not ended.
        count.until = (Some(count.done) == count.total).then(Instant::now);
    }

    /// Ends a step. Its count becomes its total, and is returned.
    pub(crate) fn ended(&mut self, step: usize) -> i64 {
        let count = self.at(step);
        count.total = Some(count.done);
        count.until.get_or_insert_with(Instant::now);
        count.done
    }

    pub(super) fn steps(&self) -> Vec<Step> {
        self.counts.iter().map(Count::step).collect()
    }

    /// The steps, if this server has counted anything yet.
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

    /// Rows per second since this server began the step.
    fn rate(&self) -> f64 {
        let Some(since) = self.since else {
            return 0.0;
        };
        let until = self.until.unwrap_or_else(Instant::now);
        let seconds = until.duration_since(since).as_secs_f64().max(1e-3);
        (self.done - self.found) as f64 / seconds
    }
}

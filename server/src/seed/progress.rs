//! How far a running job is.

use std::time::Instant;

use stockroom_common::seed::{NewSeedJob, SeedProgress};

use super::batch::Entity;

/// What each entity has come to, and since when it is worked on.
#[derive(Debug)]
pub(super) struct Progress {
    entities: [Count; Entity::ALL.len()],
}

#[derive(Clone, Copy, Debug)]
struct Count {
    done: i64,
    total: i64,
    /// Done before this server took the job.
    found: i64,
    since: Option<Instant>,
    until: Option<Instant>,
}

impl Progress {
    pub(super) fn new(request: &NewSeedJob) -> Self {
        let entities = Entity::ALL.map(|entity| Count {
            done: 0,
            total: entity.rows(request),
            found: 0,
            since: None,
            until: None,
        });
        Self { entities }
    }

    /// Counts rows that were in the shop already.
    pub(super) fn found(&mut self, entity: Entity, rows: i64) {
        let count = &mut self.entities[entity as usize];
        count.done += rows;
        count.found += rows;
    }

    pub(super) fn began(&mut self, entity: Entity) {
        self.entities[entity as usize].since = Some(Instant::now());
    }

    pub(super) fn loaded(&mut self, entity: Entity, rows: i64) {
        let count = &mut self.entities[entity as usize];
        count.done += rows;
        if count.done == count.total {
            count.until = Some(Instant::now());
        }
    }

    pub(super) fn rows(&self) -> i64 {
        self.entities.iter().map(|count| count.done).sum()
    }

    pub(super) fn told(&self) -> Vec<SeedProgress> {
        let told = Entity::ALL.iter().zip(&self.entities);
        told.map(|(entity, count)| count.told(*entity)).collect()
    }
}

impl Count {
    fn told(&self, entity: Entity) -> SeedProgress {
        let rate = self.rate();
        let left = (self.total - self.done) as f64;
        SeedProgress {
            entity: entity.path().into(),
            done: self.done,
            total: self.total,
            rows_per_second: rate.round(),
            eta_seconds: (rate > 0.0).then(|| (left / rate).ceil()),
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

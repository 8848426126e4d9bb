//! Loads the rows of a seed job, several batches at a time. Skips batches that are already loaded.

use std::{collections::HashSet, sync::Arc};

use futures_util::{StreamExt, stream};

use stockroom_common::{change::Op, partition::Family, seed::NewSeedJob};

use super::{
    batch::Batch,
    batch_spec::{BatchSpec, SeedEntity},
    generate::Generator,
    job,
    rate_limit::RateLimit,
};
use crate::{
    http::error::Result,
    jobs::{JobError, Outcome, Run, StopReason},
    store::{
        cache::Invalidation,
        log::{self, Change},
    },
};

/// Batches in progress at a time: one is generated while others are loaded. A job with a rate loads one after the
/// other, so that it does not disturb other users.
const MAX_CONCURRENT: usize = 3;

/// A seed job that this server runs.
struct Task<'a> {
    run: &'a Run,
    at_once: usize,
    generator: Arc<Generator>,
    pace: RateLimit,
}

/// Loads the rows of the job.
pub(crate) async fn load(run: &Arc<Run>, request: &NewSeedJob) -> Result<Outcome, JobError> {
    let of = request.clone();
    let generate = move || Generator::new(&of, of.until.unwrap_or_default());
    let task = Task {
        run,
        at_once: request.rate.map_or(MAX_CONCURRENT, |_| 1),
        generator: Arc::new(tokio::task::spawn_blocking(generate).await?),
        pace: RateLimit::new(request.rate),
    };
    let done = task.find_done().await?;
    task.load_all(done).await?;
    Ok(Outcome::default())
}

impl Task<'_> {
    async fn load_all(&self, done: HashSet<i64>) -> Result<(), JobError> {
        let store = &self.run.store;
        let partitions = &store.partitions;
        // Other servers may have changed the partitions since they were read.
        partitions
            .reload(&mut *store.database.bulk.acquire().await?)
            .await?;
        // Create all partitions now, before the new rows cause a vacuum: attaching a partition locks the tables that
        // it refers to, and a vacuum would delay that lock.
        partitions
            .ensure_all(&store.database.bulk, Family::Orders, self.generator.span())
            .await?;
        // Load one entity after the other, because rows refer to earlier entities.
        for entity in SeedEntity::ALL {
            self.run.progress().began(entity as usize);
            let parts = self.parts().filter(|part| part.entity == entity);
            self.load_each(parts.filter(|part| !done.contains(&part.number)))
                .await?;
        }
        for table in [
            "categories",
            "products",
            "customers",
            "orders",
            "order_items",
        ] {
            self.run.check_running()?;
            self.analyze(table).await?;
        }
        Ok(())
    }

    /// Loads several batches at a time. If one fails or the job is stopped, no further batch starts, and those in
    /// progress are finished.
    async fn load_each(&self, parts: impl Iterator<Item = BatchSpec>) -> Result<(), JobError> {
        let parts = parts.take_while(|_| self.run.check_running().is_ok());
        let mut loads = stream::iter(parts)
            .map(|part| self.load(part))
            .buffer_unordered(self.at_once);
        let mut first = None;
        while let Some(loaded) = loads.next().await {
            if let Err(error) = loaded {
                self.run.request_stop(StopReason::Failed);
                first.get_or_insert(error);
            }
        }
        first.map_or_else(|| self.run.check_running(), Err)
    }

    /// Finds the batches that are already loaded, and counts them as progress.
    async fn find_done(&self) -> Result<HashSet<i64>> {
        let done = job::select_batches(&self.run.store.database.bulk, self.run.id).await?;
        let done: HashSet<i64> = done.into_iter().collect();
        if !done.is_empty() {
            let mut progress = self.run.progress();
            for part in self.parts().filter(|part| done.contains(&part.number)) {
                progress.found(part.entity as usize, part.len());
            }
        }
        Ok(done)
    }

    /// Generates and loads one batch, with its entry in the change log and its row in `seed_batches`.
    async fn load(&self, part: BatchSpec) -> Result<(), JobError> {
        tokio::select! {
            () = self.pace.wait(part.len()) => {}
            () = self.run.until_stopped() => {}
        }
        self.run.check_running()?;
        let run = self.run;
        let (generator, store, of) = (self.generator.clone(), run.store.clone(), part.clone());
        let generate = move || Batch::generate(&generator, &store.partitions, &of);
        let batch = tokio::task::spawn_blocking(generate).await??;
        let store = &run.store;
        let mut transaction = store.database.bulk.begin().await?;
        // Insert this row first. If the previous server of the job is still loading the same batch, the insert waits
        // for that transaction, and fails with a duplicate key if it commits.
        let number = (part.number, part.len());
        match job::insert_batch(&mut transaction, run.id, number).await {
            Err(error) if error.is_unique_violation_of("seed_batches_pkey") => {
                transaction.rollback().await?;
                run.progress().done(part.entity as usize, part.len());
                return Ok(());
            }
            inserted => inserted?,
        }
        for table in &batch.tables {
            table.load(&mut transaction).await?;
        }
        let change = Change {
            entity: part.entity.name(),
            entity_id: None,
            op: Op::Seed,
            version: None,
            before: None,
            after: Some(serde_json::json!({"job": run.id, "rows": part.len()})),
            tags: part.tags(),
        };
        let now = store.options.clock.now();
        let logged = log::append(&mut transaction, now, &run.actor, &change).await?;
        transaction.commit().await?;
        run.progress().done(part.entity as usize, part.len());
        if store.cache.invalidate(&change.tags).await == Invalidation::Done {
            store.relay.push([logged]);
        }
        Ok(())
    }

    /// Updates the planner's statistics instead of waiting for autovacuum. One table at a time, because the locks are
    /// held until the statement ends.
    async fn analyze(&self, table: &'static str) -> Result<()> {
        let mut transaction = self.run.store.database.bulk.begin().await?;
        let sql = format!("set local statement_timeout = 0; analyze {table}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    fn parts(&self) -> impl Iterator<Item = BatchSpec> + Send {
        self.generator.parts(self.run.batch_rows)
    }
}

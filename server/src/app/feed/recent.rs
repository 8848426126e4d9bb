//! The newest entries of the change log, read once for all its followers on this server.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{Row, postgres::PgRow};
use stockroom_common::change::{ChangeEvent, TouchedRow};
use tokio::sync::watch;

use super::last_position;
use crate::{
    app::entities::ENTITIES,
    http::error::Result,
    store::{Store, database::Pool, log::Difference},
};

/// How often the log is checked for new entries. Polling is needed, because any server may add them.
const POLL_INTERVAL: Duration = Duration::from_millis(150);
/// Maximum entries per read.
const PAGE: i64 = 500;
/// Entries kept in memory for followers that are almost up to date.
const KEPT: usize = 2_000;

/// Shared by all followers of the log.
#[derive(Debug)]
pub(crate) struct Feed {
    /// The last position that this server has seen.
    last: watch::Sender<i64>,
    recent: Mutex<VecDeque<Arc<ChangeEvent>>>,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            last: watch::Sender::new(0),
            recent: Mutex::default(),
        }
    }
}

impl Feed {
    /// Notifies its holder of each new position. The log is polled only while a receiver exists.
    pub(super) fn subscribe(&self) -> watch::Receiver<i64> {
        self.last.subscribe()
    }

    /// Entries after a position, from memory or from the database: all of them, or the first [`PAGE`].
    pub(super) async fn after(&self, pool: &Pool, position: i64) -> Result<Vec<Arc<ChangeEvent>>> {
        if let Some(entries) = self.recent_after(position) {
            return Ok(entries);
        }
        select_after(pool, position).await
    }

    /// All entries after a position, if they are in memory.
    fn recent_after(&self, position: i64) -> Option<Vec<Arc<ChangeEvent>>> {
        if *self.last.borrow() == position {
            return Some(Vec::new());
        }
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let first = recent.front()?.position;
        let known = usize::try_from(position + 1 - first).ok()?;
        (known < recent.len()).then(|| recent.range(known..).cloned().collect())
    }

    /// Reads the entries that are new in the log.
    async fn read_new(&self, pool: &Pool) -> Result<()> {
        let last = last_position(&mut *pool.acquire().await?).await?;
        let known = *self.last.borrow();
        if last == known {
            return Ok(());
        }
        // If there are too many new entries, each follower reads them from the database.
        let is_near = (1..=PAGE).contains(&(last - known));
        let events = if is_near {
            select_after(pool, known).await?
        } else {
            Vec::new()
        };
        let reached = events.last().map_or(last, |event| event.position);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if events.is_empty() {
            // The next entries would follow with a gap, and the kept ones must have none.
            recent.clear();
        }
        recent.extend(events);
        let surplus = recent.len().saturating_sub(KEPT);
        recent.drain(..surplus);
        drop(recent);
        self.last.send_replace(reached);
        Ok(())
    }
}

/// Polls the log while anyone follows it. Runs until it is aborted.
pub(crate) async fn run(store: Store, feed: Arc<Feed>) {
    let mut ticks = tokio::time::interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if feed.last.receiver_count() == 0 {
            continue;
        }
        if let Err(error) = feed.read_new(&store.database.background).await {
            tracing::warn!(%error, "the change log could not be read");
        }
    }
}

async fn select_after(pool: &Pool, position: i64) -> Result<Vec<Arc<ChangeEvent>>> {
    let events = sqlx::query(
        "select position, at, actor, on_behalf_of, entity, entity_id, op, version, before, after, tags from changes
        where position > $1
        order by position
        limit $2",
    )
    .bind(position)
    .bind(PAGE)
    .try_map(|row: PgRow| read(&row).map(Arc::new))
    .fetch_all(&mut *pool.acquire().await?)
    .await?;
    Ok(events)
}

fn read(row: &PgRow) -> sqlx::Result<ChangeEvent> {
    let difference = Difference::from_row(row)?;
    let entity_id = row.try_get("entity_id")?;
    let tags: Vec<String> = row.try_get("tags")?;
    let touched = tags.iter().filter_map(|tag| row_named_by(tag));
    Ok(ChangeEvent {
        position: row.try_get("position")?,
        at: row.try_get("at")?,
        actor: row.try_get("actor")?,
        on_behalf_of: row.try_get("on_behalf_of")?,
        entity: row.try_get("entity")?,
        op: difference.op,
        version: row.try_get("version")?,
        changed: difference
            .fields
            .into_iter()
            .map(|change| change.pointer)
            .collect(),
        row: difference.after,
        touched: touched
            .filter(|touched| Some(touched.id) != entity_id)
            .collect(),
        entity_id,
    })
}

/// The row that a tag names, if it names one.
fn row_named_by(tag: &str) -> Option<TouchedRow> {
    let (entity, id) = tag.split_once(':')?;
    let entity = ENTITIES.iter().find(|known| known.name == entity)?.name;
    Some(TouchedRow {
        entity: entity.into(),
        id: id.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_names_a_row_or_none() {
        let id = "0192d3f0-0000-7000-8000-000000000000";
        let named = row_named_by(&format!("product:{id}")).unwrap();
        assert_eq!(
            (named.entity.as_str(), named.id.to_string()),
            ("product", id.into())
        );
        for tag in [
            "products",
            "epoch",
            "orders:2026-11",
            &format!("customer:{id}:orders"),
        ] {
            assert_eq!(row_named_by(tag), None, "{tag}");
        }
    }
}

//! Maintains partitions: creates those that are due, and archives or drops those that have reached their retention age.

use chrono::{DateTime, Utc};
use stockroom_common::partition::{Family, PartitionState};

use super::actions as archive;
use crate::{
    http::{actor::Actor, error::Result},
    store::{
        Store,
        database::Connection,
        partitions::{catalogue::PartitionInfo, policy::Retention},
    },
};

/// Maximum number of partitions that one sweep deletes, so that there is time to stop a policy that deletes too much.
const MAX_DROPS: usize = 2;

/// Creates the partitions that are due, restores those that are needed again, and archives or drops those that have
/// reached their retention age.
pub(crate) async fn enforce(store: &Store) -> Result<()> {
    let now = store.options.clock.now();
    let partitions = &store.partitions;
    partitions
        .make_ahead(&store.database.background, now)
        .await?;
    // A partition that still receives rows can only be archived if a clock was wrong.
    let known = partitions.known();
    let is_due = |partition: &&PartitionInfo| {
        partition.state == PartitionState::Archived && partition.range.end > now
    };
    for partition in known.all().filter(is_due) {
        let name = partition.name();
        tracing::warn!(
            partition = name,
            "an archived partition is needed again; restoring it"
        );
        archive::restore(store, &Actor::server("retention"), &name).await?;
    }
    sweep(store).await
}

/// Archives or drops the partitions that have reached their retention age. The next sweep retries those that fail.
async fn sweep(store: &Store) -> Result<()> {
    let actor = Actor::server("retention");
    let policies = [
        (Family::Orders, store.options.orders_retention),
        (Family::Changes, store.options.changes_retention),
    ];
    let mut conn = store.database.background.acquire().await?;
    store.partitions.reload(&mut conn).await?;
    let now = present(&mut conn, store.options.clock.now()).await?;
    drop(conn);
    let Some(now) = now else { return Ok(()) };
    let known = store.partitions.known();
    for (name, policy) in due(known.all(), &policies, now) {
        let is_drop = matches!(policy, Retention::Drop(_));
        if is_drop && !store.partitions.announced.announce(&name) {
            tracing::warn!(
                partition = name,
                %policy,
                "has reached its retention age and will be deleted in an hour, unless the policy is changed"
            );
            continue;
        }
        let mut gone = archive::archive(store, &actor, &name).await;
        if gone.is_ok() && is_drop {
            gone = archive::delete(store, &actor, &name).await;
        }
        match gone {
            Ok(_) => store.partitions.announced.forget(&name),
            Err(error) => tracing::warn!(partition = name, %error, "not detached yet"),
        }
    }
    Ok(())
}

/// The partitions that a sweep archives or drops, the oldest of each family first, each with its policy.
fn due<'p>(
    partitions: impl Iterator<Item = &'p PartitionInfo> + Clone,
    policies: &[(Family, Retention)],
    now: DateTime<Utc>,
) -> Vec<(String, Retention)> {
    let mut due = Vec::new();
    for &(family, policy) in policies {
        let (Retention::Archive(age) | Retention::Drop(age)) = policy else {
            continue;
        };
        let of_age = partitions.clone().filter(|partition| {
            let is_old = age
                .before(now)
                .is_some_and(|limit| partition.range.end <= limit);
            // A partition to drop may already be archived, by hand or by an earlier sweep.
            let is_due = match policy {
                Retention::Drop(_) => partition.state != PartitionState::Dropped,
                _ => partition.state == PartitionState::Attached,
            };
            partition.family == family && is_due && is_old
        });
        due.extend(of_age.map(|partition| (partition.name(), policy)));
    }
    let mut drops = 0;
    due.retain(|(_, policy)| {
        drops += usize::from(matches!(policy, Retention::Drop(_)));
        !matches!(policy, Retention::Drop(_)) || drops <= MAX_DROPS
    });
    due
}

/// The instant from which ages are counted: the earliest of this server's clock, the clock of the database, and the
/// last change in the shop. So nothing becomes old because a clock is ahead, not even both clocks; a shop without
/// changes keeps its partitions. None if the change log is empty.
async fn present(conn: &mut Connection, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    let (last, database): (Option<DateTime<Utc>>, DateTime<Utc>) =
        sqlx::query_as("select (select max(at) from changes), clock_timestamp()")
            .fetch_one(conn)
            .await?;
    Ok(last.map(|last| last.min(database).min(now)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::partitions::policy::Age;

    #[test]
    fn a_sweep_drops_two_partitions_at_most_and_archives_any_number() {
        let at = |month: u32| -> DateTime<Utc> {
            format!("2020-{month:02}-01T00:00:00Z").parse().unwrap()
        };
        let partition = |family, month, state| PartitionInfo {
            family,
            suffix: format!("2020_{month:02}"),
            range: at(month)..at(month + 1),
            state,
        };
        let mut partitions = Vec::new();
        for month in 1..=6 {
            partitions.push(partition(Family::Changes, month, PartitionState::Attached));
            partitions.push(partition(Family::Orders, month, PartitionState::Attached));
        }
        partitions[0].state = PartitionState::Dropped;
        let now = at(6);
        let names = |orders, changes| -> Vec<String> {
            let policies = [(Family::Orders, orders), (Family::Changes, changes)];
            let due = due(partitions.iter(), &policies, now).into_iter();
            due.map(|(name, _)| name).collect()
        };
        let day = Age::Days(1);
        let drop_one_by_one = names(Retention::Keep, Retention::Drop(day));
        assert_eq!(drop_one_by_one, ["changes_2020_02", "changes_2020_03"]);
        let both = names(Retention::Drop(day), Retention::Drop(day));
        assert_eq!(both, ["orders_2020_01", "orders_2020_02"], "two in all");
        // The month that ends now is not a day old yet, and the one that begins now is even younger.
        assert_eq!(names(Retention::Archive(day), Retention::Keep).len(), 4);
        assert_eq!(names(Retention::Keep, Retention::Keep), [""; 0]);
    }
}

//! Archives, restores and deletes partitions. All tables of a partition are detached in one short transaction and kept
//! in the schema `archive` with their foreign keys, so that the rows that they refer to cannot be deleted meanwhile.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use stockroom_common::{
    Kind,
    change::Op,
    partition::{Family, PartitionState},
};

use crate::{
    http::{
        actor::Actor,
        error::{Error, Result},
    },
    store::{
        Store,
        cache::{Invalidation, Tag},
        database::Connection,
        log::Change,
        partitions::{
            attach,
            catalogue::{Catalogue, PartitionInfo, day},
            execute,
            lock::{self, Mode},
            referenced, tables,
        },
        write::Write,
    },
};

/// The schema of archived tables.
pub(crate) const SCHEMA: &str = "archive";
/// Longer than any write takes. A large import may take longer, but it keeps its partition locked until it commits.
const SETTLES_IN: TimeDelta = TimeDelta::minutes(15);

/// Detaches a partition. Does nothing if it is already archived.
///
/// # Errors
/// 404 if the partition never existed; 409 if it still receives rows, has changes that are not relayed to the cache
/// yet, or was dropped; 503 if its tables are never free for a moment.
pub(crate) async fn archive(store: &Store, actor: &Actor, name: &str) -> Result<Invalidation> {
    let done = lock::with_lock_retry(|| detach(store, actor, name)).await?;
    // Nobody reads the partition now, so validate its range: then it can be attached without a scan.
    if let Err(error) = validate(store, name).await {
        // The partition is archived anyway, and `restore` validates it again.
        tracing::warn!(partition = name, %error, "the bounds are not checked yet");
    }
    Ok(done)
}

/// Attaches an archived partition again. Does nothing if it is attached.
///
/// # Errors
/// 404 if the partition never existed; 409 if it was dropped; 503 as for [`archive`].
pub(crate) async fn restore(store: &Store, actor: &Actor, name: &str) -> Result<Invalidation> {
    validate(store, name).await?;
    lock::with_lock_retry(|| reattach(store, actor, name)).await
}

/// Deletes an archived partition permanently. Does nothing if it was deleted before.
///
/// # Errors
/// 404 if the partition never existed; 409 if it is still attached; 503 as for [`archive`].
pub(crate) async fn delete(store: &Store, actor: &Actor, name: &str) -> Result<Invalidation> {
    lock::with_lock_retry(|| drop_tables(store, actor, name)).await
}

/// Begins a write to the partition with that name. No other server changes partitions until it ends.
async fn begin(store: &Store, actor: &Actor, name: &str) -> Result<(Write, PartitionInfo)> {
    let mut write = Write::bulk(store.clone(), actor.clone());
    write.begin().await?;
    let conn = write.conn()?;
    lock::lock_partition_ddl(conn).await?;
    let partition = find(conn, name).await?;
    Ok((write, partition))
}

async fn detach(store: &Store, actor: &Actor, name: &str) -> Result<Invalidation> {
    let (mut write, partition) = begin(store, actor, name).await?;
    let at = write.at;
    let conn = write.conn()?;
    match partition.state {
        PartitionState::Archived => return acknowledge(store).await,
        PartitionState::Dropped => return Err(dropped(name)),
        PartitionState::Attached => {
            // A server whose clock is ahead must not archive a partition that still receives rows.
            let database: DateTime<Utc> = sqlx::query_scalar("select clock_timestamp()")
                .fetch_one(&mut *conn)
                .await?;
            check_archivable(conn, &partition, at.min(database)).await?;
        }
    }
    let own: Vec<String> = partition.tables().collect();
    let parents = tables(partition.family);
    // First keep vacuums away: they may hold the locks for minutes. Then take all locks at once.
    lock::hold_off_vacuum(conn, parents).await?;
    lock::hold_off_vacuum(conn, &own).await?;
    lock::hold_off_vacuum(conn, referenced(partition.family)).await?;
    let parents = parents.iter().map(|table| (*table).to_owned());
    let from_all = parents.chain(own).map(|table| (table, Mode::Everybody));
    let from_writers = referenced(partition.family).iter();
    let from_writers = from_writers.map(|table| ((*table).to_owned(), Mode::Writers));
    lock::take(conn, from_all.chain(from_writers).collect()).await?;

    let (from, to) = (
        partition.range.start.to_rfc3339(),
        partition.range.end.to_rfc3339(),
    );
    for parent in tables(partition.family) {
        let (table, column) = (
            format!("{parent}_{}", partition.suffix),
            time_column(partition.family),
        );
        let statement = format!(
            "alter table {parent} detach partition {table};
            alter table {table} add constraint {table}_range_check
                check ({column} >= '{from}' and {column} < '{to}') not valid;
            alter table {table} set schema {SCHEMA}"
        );
        execute(conn, &statement).await?;
    }
    sqlx::query(
        "insert into archived_partitions (name, family, lower, upper, state, at)
        values ($1, $2, $3, $4, 'archived', $5)",
    )
    .bind(name)
    .bind(partition.family.as_str())
    .bind(partition.range.start)
    .bind(partition.range.end)
    .bind(at)
    .execute(&mut *conn)
    .await?;
    commit(write, Op::Archive, name).await
}

async fn reattach(store: &Store, actor: &Actor, name: &str) -> Result<Invalidation> {
    let (mut write, partition) = begin(store, actor, name).await?;
    let conn = write.conn()?;
    match partition.state {
        PartitionState::Attached => return acknowledge(store).await,
        PartitionState::Dropped => return Err(dropped(name)),
        PartitionState::Archived => {}
    }
    lock::hold_off_vacuum(conn, tables(partition.family)).await?;
    take_archived(conn, &partition).await?;

    let home: String = sqlx::query_scalar("select quote_ident(current_schema())")
        .fetch_one(&mut *conn)
        .await?;
    for table in partition.tables() {
        execute(
            conn,
            &format!("alter table {SCHEMA}.{table} set schema {home}"),
        )
        .await?;
    }
    attach(conn, partition.family, &partition.suffix, &partition.range).await?;
    for table in partition.tables() {
        let statement = format!("alter table {table} drop constraint {table}_range_check");
        execute(conn, &statement).await?;
    }
    sqlx::query("delete from archived_partitions where name = $1")
        .bind(name)
        .execute(&mut *conn)
        .await?;
    commit(write, Op::Restore, name).await
}

async fn drop_tables(store: &Store, actor: &Actor, name: &str) -> Result<Invalidation> {
    let (mut write, partition) = begin(store, actor, name).await?;
    let at = write.at;
    let conn = write.conn()?;
    match partition.state {
        PartitionState::Dropped => return acknowledge(store).await,
        PartitionState::Archived => {}
        PartitionState::Attached => {
            let detail = format!("{name} is in use; archive it first.");
            return Err(Error::refused(Kind::Conflict, detail));
        }
    }
    take_archived(conn, &partition).await?;
    let tables: Vec<_> = partition
        .tables()
        .map(|table| format!("{SCHEMA}.{table}"))
        .collect();
    execute(conn, &format!("drop table {}", tables.join(", "))).await?;
    sqlx::query("update archived_partitions set state = 'dropped', at = $2 where name = $1")
        .bind(name)
        .bind(at)
        .execute(&mut *conn)
        .await?;
    commit(write, Op::Drop, name).await
}

/// Locks the tables of an archived partition, then the tables that they refer to, which lose the foreign key triggers
/// that belong to this partition alone.
async fn take_archived(conn: &mut Connection, partition: &PartitionInfo) -> Result<()> {
    let own: Vec<String> = partition
        .tables()
        .map(|table| format!("{SCHEMA}.{table}"))
        .collect();
    let referenced = referenced(partition.family)
        .iter()
        .map(|table| (*table).to_owned());
    let wanted: Vec<String> = own.into_iter().chain(referenced).collect();
    lock::hold_off_vacuum(conn, &wanted).await?;
    let wanted = wanted.into_iter().map(|table| (table, Mode::Everybody));
    lock::take(conn, wanted.collect()).await
}

pub(crate) async fn commit(mut write: Write, op: Op, name: &str) -> Result<Invalidation> {
    let store = write.store.clone();
    write.log(Change {
        entity: "partition",
        entity_id: None,
        op,
        version: None,
        before: None,
        after: Some(json!({"name": name})),
        // Any cached answer may contain a row of the partition, or lack one.
        tags: vec![Tag::epoch()],
    });
    let done = write.commit().await?;
    let reloaded = async {
        store
            .partitions
            .reload(&mut *store.database.bulk.acquire().await?)
            .await
    };
    if let Err(error) = reloaded.await {
        // The next statement that finds the map of partitions outdated reloads it.
        tracing::warn!(%error, "the partitions could not be reloaded");
    }
    tracing::info!(partition = name, op = op.as_str(), "partition changed");
    Ok(done)
}

/// For a change that was already made. The server that made it may have failed before it invalidated the cache, so this
/// invalidates the cache before the change is acknowledged.
async fn acknowledge(store: &Store) -> Result<Invalidation> {
    Ok(store.cache.invalidate(&[Tag::epoch()]).await)
}

/// Checks that an archived partition has no rows outside its range. Fast if it was validated before.
async fn validate(store: &Store, name: &str) -> Result<()> {
    let mut transaction = store.database.bulk.begin().await?;
    let partition = find(&mut transaction, name).await?;
    if partition.state != PartitionState::Archived {
        return Ok(());
    }
    execute(&mut transaction, "set local statement_timeout = 0").await?;
    for table in partition.tables() {
        let statement =
            format!("alter table {SCHEMA}.{table} validate constraint {table}_range_check");
        execute(&mut transaction, &statement).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Refuses partitions that must not be archived yet.
async fn check_archivable(
    conn: &mut Connection,
    partition: &PartitionInfo,
    now: DateTime<Utc>,
) -> Result<()> {
    let name = partition.name();
    let refuse = |detail| Err(Error::refused(Kind::Conflict, detail));
    // A write that began before the end of a partition of the log may not have committed yet.
    let settled = match partition.family {
        Family::Orders => now,
        Family::Changes => now - SETTLES_IN,
    };
    if partition.range.end > settled {
        let end = day(partition.range.end);
        return refuse(format!(
            "{name} still receives rows; it can be archived from {end} on."
        ));
    }
    if partition.family == Family::Changes {
        let sql = format!("select exists (select from {name} where relayed_at is null)");
        let unrelayed: bool = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(conn)
            .await?;
        if unrelayed {
            return refuse(format!(
                "{name} has changes that are not relayed to the cache yet. Try again later."
            ));
        }
    }
    Ok(())
}

pub(crate) async fn find(conn: &mut Connection, name: &str) -> Result<PartitionInfo> {
    let catalogue = Catalogue::read(conn).await?;
    let partition = catalogue.named(name).ok_or_else(|| unknown(name))?;
    if !partition.is_plain() {
        let detail = format!(
            "{name} was attached by hand under an unsupported name; rename its tables to lower-case \
            letters, digits and underscores."
        );
        return Err(Error::refused(Kind::Conflict, detail));
    }
    Ok(partition.clone())
}

pub(crate) fn unknown(name: &str) -> Error {
    let detail = format!("There is no partition {name}; GET /v1/partitions lists them.");
    Error::refused(Kind::NotFound, detail)
}

fn dropped(name: &str) -> Error {
    Error::refused(Kind::Conflict, format!("{name} was deleted permanently."))
}

/// The column that a family is partitioned by.
pub(crate) const fn time_column(family: Family) -> &'static str {
    match family {
        Family::Orders => "placed_at",
        Family::Changes => "at",
    }
}

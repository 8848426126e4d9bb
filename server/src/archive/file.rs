//! Partitions of orders as files. An archived partition can be exported, deleted, and later imported from its file. It
//! is archived then, and can be restored.

use axum::{body::Body, extract::State, http::HeaderMap, response::Response};

use stockroom_common::{
    Id, Kind, Order,
    change::Op,
    partition::{Family, PartitionState},
};

use super::actions::{self, SCHEMA, time_column};
use crate::{
    http::{
        actor::Actor,
        error::{Error, Result},
        extract::Name,
        parameters::Parameters,
    },
    rows::crud::with_invalidation_header,
    shop::order,
    store::{
        Store,
        cache::Invalidation,
        database::Connection,
        partitions::{
            catalogue::PartitionInfo,
            execute,
            lock::{self, Mode},
            referenced, tables,
        },
        write::{Write, detached},
    },
    transfer::{
        export::{self, Source},
        import::{Import, ImportParams, PARAMETERS, receive::receive, report::Report, restore},
        interrupt::Interrupt,
        parameters::parse_format,
    },
};

/// `GET /v1/partitions/{name}/export?format`
pub(crate) async fn export(
    State(store): State<Store>,
    Name(name): Name,
    mut parameters: Parameters,
) -> Result<Response> {
    let format = parameters.take("format");
    let format = parse_format(format.as_deref().unwrap_or("ndjson"))?;
    parameters.refuse_rest(&["format"])?;
    let partition = of_orders(&mut *store.database.bulk.acquire().await?, &name).await?;
    let tables = match partition.state {
        PartitionState::Attached => named(&partition, ""),
        PartitionState::Archived => named(&partition, &format!("{SCHEMA}.")),
        PartitionState::Dropped => {
            let detail = format!("{name} was deleted; there is nothing to export.");
            return Err(Error::refused(Kind::Gone, detail));
        }
    };
    let after = None;
    export::respond(&store, Partition { tables, after }, format, &name).await
}

/// The orders of a partition as the source of an export.
struct Partition {
    tables: [String; 2],
    after: Option<Id<Order>>,
}

impl Source for Partition {
    type Row = Order;

    async fn next(&mut self, conn: &mut Connection) -> Result<(Vec<Order>, bool)> {
        let rows = order::select_partition(conn, &self.tables, self.after, export::BATCH).await?;
        self.after = rows.last().map(|order| order.id);
        let is_over = rows.len() < export::BATCH as usize;
        Ok((rows, is_over))
    }
}

/// `POST /v1/partitions/{name}/import?format&dry_run&report`
pub(crate) async fn import(
    State(store): State<Store>,
    Name(name): Name,
    parameters: Parameters,
    actor: Actor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    parameters.refuse_rest(PARAMETERS)?;
    let partition = of_orders(&mut *store.database.bulk.acquire().await?, &name).await?;
    refuse_unless_dropped(&partition)?;
    let asked = ImportParams::take(parameters, &headers, &name)?;
    let (interrupt, _waiting) = Interrupt::of_caller(&store);
    let interrupted = interrupt.interrupted.clone();
    let file = receive(&store, body, asked.request.format, interrupted).await?;
    let import = Import::new(store, actor, asked, (file, interrupt));
    let (report, done) = detached(async move { import_dropped(&import, partition).await }).await?;
    Ok(with_invalidation_header(done, report.respond()?))
}

/// Loads the orders of a deleted partition into tables that nobody else uses, then marks the partition as archived.
///
/// # Errors
/// The errors in the file; 409 if the partition exists; 503 if the tables that orders refer to are never free for a
/// moment.
async fn import_dropped(
    import: &Import,
    partition: PartitionInfo,
) -> Result<(Report, Invalidation)> {
    let _turn = crate::transfer::import::turn(&import.store).await?;
    restore::refuse_faults::<Order>(import, Some(&partition.range)).await?;
    lock::with_lock_retry(|| make_tables(&import.store, &partition)).await?;
    let loaded = load(import, &partition).await;
    if import.is_dry_run() || loaded.is_err() {
        let dropped = lock::with_lock_retry(|| drop_tables(&import.store, &partition)).await;
        if let Err(error) = dropped {
            // They do no harm, and the next import of the partition drops them.
            tracing::warn!(%error, "empty tables of a partition remain");
        }
    }
    loaded
}

/// Creates the empty tables, with all the keys and checks that the tables of an archived partition have.
async fn make_tables(store: &Store, partition: &PartitionInfo) -> Result<()> {
    let mut transaction = store.database.bulk.begin().await?;
    lock::lock_partition_ddl(&mut transaction).await?;
    refuse_unless_dropped(&actions::find(&mut transaction, &partition.name()).await?)?;
    take_referenced(&mut transaction, partition).await?;
    let [orders, items] = named(partition, &format!("{SCHEMA}."));
    let suffix = &partition.suffix;
    execute(
        &mut transaction,
        &format!(
            "drop table if exists {items}, {orders};
            create table {orders} (like orders including all);
            create table {items} (like order_items including all);
            alter table {orders} add constraint orders_customer_id_fkey
                foreign key (customer_id) references customers (id);
            alter table {items} add constraint order_items_product_id_fkey
                foreign key (product_id) references products (id);
            alter table {items} add constraint order_items_{suffix}_order_fkey
                foreign key (placed_at, order_id) references {orders} (placed_at, id)
                on delete cascade"
        ),
    )
    .await?;
    let (from, to) = (
        partition.range.start.to_rfc3339(),
        partition.range.end.to_rfc3339(),
    );
    for (table, own) in named(partition, &format!("{SCHEMA}."))
        .iter()
        .zip(partition.tables())
    {
        let column = time_column(partition.family);
        let statement = format!(
            "alter table {table} add constraint {own}_range_check
                check ({column} >= '{from}' and {column} < '{to}')"
        );
        execute(&mut transaction, &statement).await?;
    }
    transaction.commit().await?;
    Ok(())
}

async fn drop_tables(store: &Store, partition: &PartitionInfo) -> Result<()> {
    let mut transaction = store.database.bulk.begin().await?;
    lock::lock_partition_ddl(&mut transaction).await?;
    refuse_unless_dropped(&actions::find(&mut transaction, &partition.name()).await?)?;
    take_referenced(&mut transaction, partition).await?;
    let [orders, items] = named(partition, &format!("{SCHEMA}."));
    execute(
        &mut transaction,
        &format!("drop table if exists {items}, {orders}"),
    )
    .await?;
    transaction.commit().await?;
    Ok(())
}

async fn load(import: &Import, partition: &PartitionInfo) -> Result<(Report, Invalidation)> {
    let name = partition.name();
    let tables = named(partition, &format!("{SCHEMA}."));
    let mut report = import.report()?;
    let mut write = Write::bulk(import.store.clone(), import.actor.clone());
    write.begin().await?;
    let copy = |orders: Vec<Order>| order::copy_to(orders.into_iter(), |_| Ok(tables.clone()));
    restore::load_all(import, &mut write, &mut report, copy).await?;
    if import.is_dry_run() {
        write.abandon().await?;
        return Ok((report, Invalidation::Done));
    }
    let at = write.at;
    let conn = write.conn()?;
    execute(conn, "set local statement_timeout = '90s'").await?;
    lock::wait_for_turn(conn).await?;
    let updated = sqlx::query(
        "update archived_partitions set state = 'archived', at = $2
        where name = $1 and state = 'dropped'",
    )
    .bind(&name)
    .bind(at)
    .execute(conn)
    .await?;
    if updated.rows_affected() == 0 {
        let detail = format!("{name} has just been imported by another request.");
        return Err(Error::refused(Kind::Conflict, detail));
    }
    let done = actions::commit(write, Op::Import, &name).await?;
    restore::analyze(&import.store, &tables.join(", ")).await;
    Ok((report, done))
}

/// Locks the tables that orders refer to. Adding or dropping a foreign key needs them for a moment.
async fn take_referenced(conn: &mut Connection, partition: &PartitionInfo) -> Result<()> {
    let referenced = referenced(partition.family);
    lock::hold_off_vacuum(conn, referenced).await?;
    let wanted = referenced.iter().map(|table| (*table, Mode::Everybody));
    lock::take(conn, wanted.collect()).await
}

/// The names of the two tables of a partition: orders and their lines.
fn named(partition: &PartitionInfo, schema: &str) -> [String; 2] {
    let parents = tables(Family::Orders);
    [parents[0], parents[1]].map(|parent| format!("{schema}{parent}_{}", partition.suffix))
}

async fn of_orders(conn: &mut Connection, name: &str) -> Result<PartitionInfo> {
    let partition = actions::find(conn, name).await?;
    if partition.family == Family::Orders {
        return Ok(partition);
    }
    let detail = format!(
        "{name} is a partition of changes; only partitions of orders can be exported and imported."
    );
    Err(Error::refused(Kind::Conflict, detail))
}

fn refuse_unless_dropped(partition: &PartitionInfo) -> Result<()> {
    let what = match partition.state {
        PartitionState::Dropped => return Ok(()),
        PartitionState::Archived => "is archived; restore it, or delete it first",
        PartitionState::Attached => "is in use; only a deleted partition can be imported",
    };
    let detail = format!("{} {what}.", partition.name());
    Err(Error::refused(Kind::Conflict, detail))
}

//! Finds which time ranges are archived or deleted, to explain why rows are missing.

use std::ops::Range;

use chrono::{DateTime, Utc};
use stockroom_common::{
    Kind,
    partition::{Family, PartitionState},
};

use super::catalogue::{Catalogue, day};
use crate::{
    http::error::{Error, Result},
    store::database::Connection,
};

/// The 410 for a row that was not found, if its partition is archived or deleted.
pub(crate) async fn gone_error(
    conn: &mut Connection,
    family: Family,
    at: DateTime<Utc>,
) -> Result<Option<Error>> {
    let catalogue = Catalogue::read_archived(conn).await?;
    let Some(partition) = catalogue.find(family, at) else {
        return Ok(None);
    };
    let (name, from, to) = (
        partition.name(),
        day(partition.range.start),
        day(partition.range.end),
    );
    let what = match partition.state {
        PartitionState::Dropped => {
            format!("were deleted. POST /v1/partitions/{name}/import restores them from an export.")
        }
        _ => {
            format!("are archived as {name}; POST /v1/partitions/{name}/restore restores them.")
        }
    };
    let detail = format!("All {family} from {from} to before {to} {what}");
    Ok(Some(Error::refused(Kind::Gone, detail)))
}

/// The end of the newest archived or deleted partition: older rows may be missing from lists.
pub(crate) async fn archived_before(
    conn: &mut Connection,
    family: Family,
) -> Result<Option<DateTime<Utc>>> {
    let newest = sqlx::query_scalar("select max(upper) from archived_partitions where family = $1")
        .bind(family.as_str())
        .fetch_one(conn)
        .await?;
    Ok(newest)
}

/// Whether the range overlaps an archived or deleted partition.
pub(crate) async fn is_archived(
    conn: &mut Connection,
    family: Family,
    range: Range<DateTime<Utc>>,
) -> Result<bool> {
    let is_archived = sqlx::query_scalar(
        "select exists (
            select from archived_partitions where family = $1 and lower < $3 and upper > $2
        )",
    )
    .bind(family.as_str())
    .bind(range.start)
    .bind(range.end)
    .fetch_one(conn)
    .await?;
    Ok(is_archived)
}

/// Whether any partition is archived; deleted ones do not count.
pub(crate) async fn is_any(conn: &mut Connection) -> Result<bool> {
    let is_any = sqlx::query_scalar(
        "select exists (select from archived_partitions where state = 'archived')",
    )
    .fetch_one(conn)
    .await?;
    Ok(is_any)
}

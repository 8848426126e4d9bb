//! Which ranges of time are archived or deleted, for those who look for rows of then.

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

/// What to say of a row that is not there, where its partition is archived or dropped.
pub(crate) async fn gone(
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
        PartitionState::Dropped => format!(
            "were deleted. POST /v1/partitions/{name}/import brings them back from an export, where \
            there is one."
        ),
        _ => {
            format!("are archived as {name}; POST /v1/partitions/{name}/restore brings them back.")
        }
    };
    let detail = format!("All {family} from {from} to before {to} {what}");
    Ok(Some(Error::refused(Kind::Gone, detail)))
}

/// The end of the newest partition that is not attached: what is older may be missing from lists.
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

/// Whether rows of that range lie in partitions that were taken off.
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

/// Whether any partition is archived.
pub(crate) async fn is_any(conn: &mut Connection) -> Result<bool> {
    let is_any = sqlx::query_scalar(
        "select exists (select from archived_partitions where state = 'archived')",
    )
    .fetch_one(conn)
    .await?;
    Ok(is_any)
}

//! The number of rows in a list: an exact count, which reads all of them, or the planner's estimate.

use serde_json::Value;
use sqlx::QueryBuilder;
use stockroom_common::Total;

use crate::{http::error::Result, rows::table::Table, store::database::Connection};

/// Counts the rows exactly, which reads all of them.
pub(crate) async fn count<E: Table>(
    conn: &mut Connection,
    filter: &E::Filter,
    search: Option<&str>,
) -> Result<Total> {
    let mut sql = QueryBuilder::new("select count(*) from ");
    sql.push(E::TABLE).push(" where true");
    E::filter(&mut sql, filter, search)?;
    let value = sql.build_query_scalar().fetch_one(conn).await?;
    Ok(Total { value, exact: true })
}

/// Below this number of rows an estimate says little, so the rows are counted instead, unless the planner expects a
/// cost of `COUNTED_COST` or more. That cost is about ten milliseconds.
const COUNTED_BELOW: i64 = 1_000;
const COUNTED_COST: f64 = 20_000.0;

/// Estimates the number of rows from the query plan, which reads none of them. Small lists are counted exactly.
pub(crate) async fn estimate<E: Table>(
    conn: &mut Connection,
    filter: &E::Filter,
    search: Option<&str>,
) -> Result<Total> {
    let mut sql = QueryBuilder::new("explain (format json) select 1 from ");
    sql.push(E::TABLE).push(" where true");
    E::filter(&mut sql, filter, search)?;
    let plan: Value = sql.build_query_scalar().fetch_one(&mut *conn).await?;
    let plan = &plan[0]["Plan"];
    let value = plan["Plan Rows"].as_f64().unwrap_or_default() as i64;
    let is_cheap = plan["Total Cost"]
        .as_f64()
        .is_some_and(|cost| cost < COUNTED_COST);
    if is_cheap {
        // The estimate may be far too low, or outdated and too high.
        let counted = count_up_to::<E>(conn, filter, search, COUNTED_BELOW).await?;
        return Ok(if counted < COUNTED_BELOW {
            Total {
                value: counted,
                exact: true,
            }
        } else {
            Total {
                value: value.max(counted),
                exact: false,
            }
        });
    }
    Ok(Total {
        value,
        exact: false,
    })
}

async fn count_up_to<E: Table>(
    conn: &mut Connection,
    filter: &E::Filter,
    search: Option<&str>,
    limit: i64,
) -> Result<i64> {
    let mut sql = QueryBuilder::new("select count(*) from (select 1 from ");
    sql.push(E::TABLE).push(" where true");
    E::filter(&mut sql, filter, search)?;
    sql.push(format_args!(" limit {limit}) as few"));
    Ok(sql.build_query_scalar().fetch_one(conn).await?)
}

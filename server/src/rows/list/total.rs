//! How many rows a list has: exactly, which reads all of them, or by the planner's estimate.

use serde_json::Value;
use sqlx::QueryBuilder;
use stockroom_common::Total;

use crate::{http::error::Result, rows::table::Table, store::database::Connection};

/// How many rows there are: reads every one of them.
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

/// Rows below which an estimate says little, and a count that costs no more than this, as the planner sees it, is
/// better: some ten milliseconds.
const COUNTED_BELOW: i64 = 1_000;
const COUNTED_COST: f64 = 20_000.0;

/// How many rows there are by the planner's guess, which reads none of them; few are counted.
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
        // The guess may be far too low, or from when there were more.
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

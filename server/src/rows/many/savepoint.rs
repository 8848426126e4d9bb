//! Savepoints: each of many rows can be undone without the others.

use crate::{
    http::error::Result,
    store::{database::Connection, write::Write},
};
use stockroom_common::Kind;

/// Sets the savepoint to which [`undo_row`] returns.
pub(super) async fn begin_row(write: &mut Write) -> Result<()> {
    if let Some(stock) = &mut write.stock {
        stock.begin_row();
    }
    execute(write.conn()?, "savepoint row").await
}

/// Keeps what was done since the savepoint, or undoes it if the row was refused.
pub(super) async fn end_row<T>(write: &mut Write, outcome: Result<T>) -> Result<T> {
    match outcome {
        Ok(done) => {
            execute(write.conn()?, "release savepoint row").await?;
            Ok(done)
        }
        // The whole write starts again, so undoing the row is pointless.
        Err(error) if error.is_lost_race() => Err(error),
        Err(error) => {
            let problem = error.into_problem();
            if !problem.is(Kind::Internal) && !problem.is(Kind::Unavailable) {
                undo_row(write).await?;
            }
            Err(problem.into())
        }
    }
}

pub(super) async fn undo_row(write: &mut Write) -> Result<()> {
    if let Some(stock) = &mut write.stock {
        stock.undo_row();
    }
    let undo = "rollback to savepoint row; release savepoint row";
    execute(write.conn()?, undo).await
}

async fn execute(conn: &mut Connection, statement: &'static str) -> Result<()> {
    sqlx::raw_sql(statement).execute(conn).await?;
    Ok(())
}

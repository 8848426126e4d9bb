//! What rows need to be there before the transaction that writes them, such as the partition of an order.

use stockroom_common::bulk::OnError;

use super::{InputRow, refuse};
use crate::{
    http::error::Result,
    rows::entity::{Entity, Prepare},
    store::Store,
};

/// Prepares rows that are written together. Where one refusal is that of all, nothing is made before it is known that
/// none is refused.
///
/// # Errors
/// What is wrong with the rows by themselves, with [`OnError::RejectAll`].
pub(crate) async fn prepare_all<E: Entity>(
    store: &Store,
    rows: &mut [InputRow<E>],
    on_error: OnError,
) -> Result<()> {
    if on_error == OnError::RejectAll {
        for row in &mut *rows {
            row.prepare(store, Prepare::Check).await?;
        }
        refuse(rows.iter().filter_map(InputRow::errors).collect())?;
    }
    for row in rows {
        row.prepare(store, Prepare::Create).await?;
    }
    Ok(())
}

//! Creates what rows need before the transaction that writes them, such as the partition of an order.

use stockroom_common::bulk::OnError;

use super::{InputRow, refuse};
use crate::{
    http::error::Result,
    rows::entity::{Entity, Prepare},
    store::Store,
};

/// Prepares rows that are written together. If one refused row refuses all, everything is checked before anything is
/// created.
///
/// # Errors
/// With [`OnError::RejectAll`], the faults that the rows have before any is written.
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

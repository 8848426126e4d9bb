//! Many rows in one transaction: `POST /v1/{r}/bulk` writes them, `POST /v1/{r}/bulk-delete` deletes them. A call may
//! take as long as its rows need, up to the limit in `interrupt.rs`. If its caller disconnects, it ends and writes
//! nothing.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde_json::Value;
use stockroom_common::{
    Kind,
    bulk::{BulkReport, MAX_ROWS, RowToDelete},
};

use crate::{
    http::{
        actor::Actor,
        error::{Error, Result},
        extract::Documents,
        parameters::Parameters,
    },
    rows::{
        crud::with_invalidation_header,
        entity::Entity,
        many::{self, ATTEMPTS, InputRow, RowLocation},
    },
    store::{
        Store,
        write::{Write, detached},
    },
    transfer::{interrupt::Interrupt, parameters::take_on_error},
};

/// `POST /v1/{r}/bulk?on_error`
pub(crate) async fn bulk<E: Entity>(
    State(store): State<Store>,
    mut parameters: Parameters,
    actor: Actor,
    Documents {
        rows: values,
        permit,
    }: Documents<Value>,
) -> Result<Response> {
    let on_error = take_on_error(&mut parameters)?;
    parameters.refuse_rest(&["on_error"])?;
    check_size(values.len())?;
    let read = |(index, value)| InputRow::<E>::read(RowLocation::Index(index), Ok(value));
    let mut rows: Vec<InputRow<E>> = values.into_iter().enumerate().map(read).collect();
    let (interrupt, _waiting) = Interrupt::of_caller(&store);
    let (report, done) = detached(async move {
        let _permit = permit;
        // Do everything that needs other connections before the transaction, which must never wait for one.
        many::prepare_all(&store, &mut rows, on_error).await?;
        let mut attempt = 1;
        let (written, write) = loop {
            let write = Write::bulk(store.clone(), actor.clone());
            let mut write = write.until(interrupt.interrupted.clone());
            write.begin().await?;
            match many::write_all(&mut write, &rows, on_error).await {
                // Other writers were faster. The same write may succeed from its start; `ATTEMPTS` limits the retries.
                Err(error) if error.is_lost_race() && attempt < ATTEMPTS => attempt += 1,
                written => break (written?, write),
            }
        };
        let mut report = BulkReport::default();
        written.into_iter().for_each(|(_, row)| report.push(row));
        Ok((report, write.commit().await?))
    })
    .await?;
    Ok(with_invalidation_header(done, Json(report).into_response()))
}

/// `POST /v1/{r}/bulk-delete?on_error`
pub(crate) async fn delete<E: Entity>(
    State(store): State<Store>,
    mut parameters: Parameters,
    actor: Actor,
    Documents {
        rows: targets,
        permit,
    }: Documents<RowToDelete>,
) -> Result<Response> {
    let on_error = take_on_error(&mut parameters)?;
    parameters.refuse_rest(&["on_error"])?;
    check_size(targets.len())?;
    let (interrupt, _waiting) = Interrupt::of_caller(&store);
    let (report, done) = detached(async move {
        let _permit = permit;
        let mut write = Write::bulk(store, actor).until(interrupt.interrupted.clone());
        write.begin().await?;
        let mut report = BulkReport::default();
        for row in many::delete_all::<E>(&mut write, &targets, on_error).await? {
            report.push(row);
        }
        Ok((report, write.commit().await?))
    })
    .await?;
    Ok(with_invalidation_header(done, Json(report).into_response()))
}

fn check_size(rows: usize) -> Result<()> {
    if rows <= MAX_ROWS {
        return Ok(());
    }
    let detail = format!("There are {rows} rows; one call takes {MAX_ROWS}.");
    Err(Error::refused(Kind::TooLarge, detail))
}

//! Why a row cannot be deleted: other rows refer to it.

use stockroom_common::{Id, Kind};

use crate::{
    http::error::{Error, Result},
    rows::entity::Entity,
    store::{database::Connection, partitions::archived},
};

/// Above this number, referring rows are not counted exactly.
const COUNT_CAP: i64 = 1_000;

/// The refusal to delete a row because other rows refer to it, with their number and what to do about them.
pub(crate) async fn referenced<E: Entity>(conn: &mut Connection, id: Id<E>) -> Result<Error> {
    let mut reasons = Vec::new();
    for reference in E::REFERENCES {
        let count = sqlx::query(reference.select)
            .bind(id.uuid())
            .fetch_all(&mut *conn)
            .await?
            .len() as i64;
        let count = match count {
            0 => continue,
            count if count > COUNT_CAP => "1,000+".to_owned(),
            count => count.to_string(),
        };
        reasons.push(format!("{}: {count}; {}", reference.what, reference.advice));
    }
    if reasons.is_empty() {
        reasons.push(if archived::is_any(conn).await? {
            "orders in an archived partition may refer to it; restore that first".into()
        } else {
            // The row that referred to it was deleted after the database refused.
            "another row still refers to it; try again".into()
        });
    }
    let detail = format!("The {} cannot be deleted: {}.", E::NAME, reasons.join(". "));
    Ok(Error::refused(Kind::Conflict, detail))
}

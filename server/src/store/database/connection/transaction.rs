//! A transaction on a connection, or on one that a pool has lent.

use std::ops::{Deref, DerefMut};

use super::Connection;
use crate::http::error::Result;

/// A transaction on an owned or borrowed connection. If it is dropped before [`Transaction::commit`], nothing is
/// written: the connection is rolled back before anyone else uses it.
#[derive(Debug)]
pub(crate) struct Transaction<C>(C);

impl<C: DerefMut<Target = Connection>> Transaction<C> {
    pub(in crate::store::database) async fn begin(
        mut conn: C,
        statement: &'static str,
    ) -> Result<Self> {
        if conn.in_transaction {
            conn.recover().await?;
        }
        conn.open_transaction(statement).await?;
        Ok(Self(conn))
    }

    pub(crate) async fn commit(self) -> Result<()> {
        self.end("commit").await
    }

    pub(crate) async fn rollback(self) -> Result<()> {
        self.end("rollback").await
    }

    async fn end(mut self, statement: &'static str) -> Result<()> {
        Ok(self.0.end_transaction(statement).await?)
    }
}

impl<C: DerefMut<Target = Connection>> Deref for Transaction<C> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl<C: DerefMut<Target = Connection>> DerefMut for Transaction<C> {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

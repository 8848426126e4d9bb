//! Customers in PostgreSQL.

use sqlx::{Postgres, QueryBuilder, Row, postgres::PgRow, types::Json};
use stockroom_common::{Customer, CustomerFilter, Id, NewCustomer};

use crate::{
    http::error::{Constraint, Result},
    rows::{
        entity::{Entity, Identity, Reference},
        list::select,
        table::{KeyKind, NaturalKey, SortKey, Table},
    },
    store::{
        cache::Tag,
        copy::{CopyRows, TableRows},
        partitions::Partitions,
        write::Write,
    },
};

/// The expression of the search index.
const SEARCHED: &str = "(name || ' ' || email)";

impl Table for Customer {
    const TABLE: &'static str = "customers";
    const COLUMNS: &'static str =
        "id, version, created_at, updated_at, name, email, phone, address";
    const SORT_KEYS: &'static [SortKey] = &[
        SortKey {
            expression: "lower(name)",
            kind: KeyKind::Text,
        },
        SortKey {
            expression: "lower(email)",
            kind: KeyKind::Text,
        },
        SortKey {
            expression: "created_at",
            kind: KeyKind::Time,
        },
    ];
    const CONSTRAINTS: &'static [Constraint] = &[Constraint {
        name: "customers_email_key",
        pointer: "/email",
        message: "another customer has this e-mail address",
    }];
    const NATURAL_KEY: Option<NaturalKey> = Some(NaturalKey {
        field: "email",
        expression: "lower(email)",
    });
    const SEARCHED: Option<&'static str> = Some(SEARCHED);

    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let Json(address) = row.try_get("address")?;
        Ok(Self {
            id: Id::new(row.try_get("id")?),
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            name: row.try_get("name")?,
            email: row.try_get("email")?,
            phone: row.try_get("phone")?,
            address,
        })
    }

    fn filter(
        sql: &mut QueryBuilder<Postgres>,
        CustomerFilter {}: &CustomerFilter,
        search: Option<&str>,
    ) -> Result<()> {
        if let Some(text) = search {
            select::search(sql, SEARCHED, text);
        }
        Ok(())
    }
}

impl Entity for Customer {
    const REFERENCES: &'static [Reference] = &[Reference {
        select: "select 1 from orders where customer_id = $1 limit 1001",
        what: "orders of theirs",
        advice: "delete those first",
    }];

    fn tags(&self) -> Vec<Tag> {
        vec![Tag::row(self.id), Tag::list::<Self>()]
    }

    async fn insert(write: &mut Write, identity: Identity<Self>, new: NewCustomer) -> Result<Self> {
        write.begin().await?;
        let at = write.at;
        let (id, version) = identity.resolve(at);
        let row = sqlx::query(
            "insert into customers
                (id, version, created_at, updated_at, name, email, phone, address)
            values ($1, $2, $3, $3, $4, $5, $6, $7)
            returning *",
        )
        .bind(id.uuid())
        .bind(version)
        .bind(at)
        .bind(new.name)
        .bind(new.email)
        .bind(new.phone)
        .bind(Json(new.address))
        .try_map(|row| Self::from_row(&row))
        .fetch_one(write.conn()?)
        .await?;
        Ok(row)
    }

    async fn update(write: &mut Write, old: &Self, new: NewCustomer) -> Result<Self> {
        let at = write.at;
        let row = sqlx::query(
            "update customers
            set version = version + 1, updated_at = $2, name = $3, email = $4, phone = $5,
                address = $6
            where id = $1
            returning *",
        )
        .bind(old.id.uuid())
        .bind(at)
        .bind(new.name)
        .bind(new.email)
        .bind(new.phone)
        .bind(Json(new.address))
        .try_map(|row| Self::from_row(&row))
        .fetch_one(write.conn()?)
        .await?;
        Ok(row)
    }

    fn copy(_: &Partitions, rows: impl Iterator<Item = Self>) -> Result<Vec<TableRows>> {
        let mut copied = CopyRows::new();
        for row in rows {
            copied
                .row(8)
                .uuid(row.id.uuid())
                .i64(row.version)
                .time(row.created_at)
                .time(row.updated_at)
                .text(&row.name)
                .text(&row.email)
                .text(&row.phone)
                .jsonb(&row.address);
        }
        Ok(vec![copied.finish(Self::TABLE, Self::COLUMNS)])
    }
}

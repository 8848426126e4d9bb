//! Categories in PostgreSQL.

use sqlx::{Postgres, QueryBuilder, Row, postgres::PgRow};
use stockroom_common::{Category, CategoryFilter, Id, NewCategory};

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
const SEARCHED: &str = "name";

impl Table for Category {
    const TABLE: &'static str = "categories";
    const COLUMNS: &'static str = "id, version, created_at, updated_at, name, description";
    const SORT_KEYS: &'static [SortKey] = &[
        SortKey {
            expression: "lower(name)",
            kind: KeyKind::Text,
        },
        SortKey {
            expression: "created_at",
            kind: KeyKind::Time,
        },
    ];
    const CONSTRAINTS: &'static [Constraint] = &[Constraint {
        name: "categories_name_key",
        pointer: "/name",
        message: "another category has this name",
    }];
    const NATURAL_KEY: Option<NaturalKey> = Some(NaturalKey {
        field: "name",
        expression: "lower(name)",
    });
    const SEARCHED: Option<&'static str> = Some(SEARCHED);

    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: Id::new(row.try_get("id")?),
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            name: row.try_get("name")?,
            description: row.try_get("description")?,
        })
    }

    fn filter(
        sql: &mut QueryBuilder<Postgres>,
        CategoryFilter {}: &CategoryFilter,
        search: Option<&str>,
    ) -> Result<()> {
        if let Some(text) = search {
            select::search(sql, SEARCHED, text);
        }
        Ok(())
    }
}

impl Entity for Category {
    const REFERENCES: &'static [Reference] = &[Reference {
        select: "select 1 from products where category_id = $1 limit 1001",
        what: "products in it",
        advice: "move or delete them first",
    }];

    fn tags(&self) -> Vec<Tag> {
        vec![Tag::row(self.id), Tag::list::<Self>()]
    }

    async fn insert(write: &mut Write, identity: Identity<Self>, new: NewCategory) -> Result<Self> {
        write.begin().await?;
        let at = write.at;
        let (id, version) = identity.resolve(at);
        let row = sqlx::query(
            "insert into categories (id, version, created_at, updated_at, name, description)
            values ($1, $2, $3, $3, $4, $5)
            returning *",
        )
        .bind(id.uuid())
        .bind(version)
        .bind(at)
        .bind(new.name)
        .bind(new.description)
        .try_map(|row| Self::from_row(&row))
        .fetch_one(write.conn()?)
        .await?;
        Ok(row)
    }

    async fn update(write: &mut Write, old: &Self, new: NewCategory) -> Result<Self> {
        let at = write.at;
        let row = sqlx::query(
            "update categories
            set version = version + 1, updated_at = $2, name = $3, description = $4
            where id = $1
            returning *",
        )
        .bind(old.id.uuid())
        .bind(at)
        .bind(new.name)
        .bind(new.description)
        .try_map(|row| Self::from_row(&row))
        .fetch_one(write.conn()?)
        .await?;
        Ok(row)
    }

    fn copy(_: &Partitions, rows: impl Iterator<Item = Self>) -> Result<Vec<TableRows>> {
        let mut copied = CopyRows::new();
        for row in rows {
            copied
                .row(6)
                .uuid(row.id.uuid())
                .i64(row.version)
                .time(row.created_at)
                .time(row.updated_at)
                .text(&row.name)
                .text(&row.description);
        }
        Ok(vec![copied.finish(Self::TABLE, Self::COLUMNS)])
    }
}

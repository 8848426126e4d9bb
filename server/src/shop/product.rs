//! Products in PostgreSQL.

use sqlx::{Postgres, QueryBuilder, Row, postgres::PgRow};
use stockroom_common::{Id, NewProduct, Product, ProductFilter};

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
const SEARCHED: &str = "(name || ' ' || sku)";

impl Table for Product {
    const TABLE: &'static str = "products";
    const COLUMNS: &'static str = "id, version, created_at, updated_at, category_id, sku, name, \
        description, price_minor, stock, active";
    const SORT_KEYS: &'static [SortKey] = &[
        SortKey {
            expression: "lower(name)",
            kind: KeyKind::Text,
        },
        SortKey {
            expression: "sku",
            kind: KeyKind::Text,
        },
        SortKey {
            expression: "price_minor",
            kind: KeyKind::Integer,
        },
        SortKey {
            expression: "stock",
            kind: KeyKind::Integer,
        },
        SortKey {
            expression: "created_at",
            kind: KeyKind::Time,
        },
    ];
    const CONSTRAINTS: &'static [Constraint] = &[
        Constraint {
            name: "products_sku_key",
            pointer: "/sku",
            message: "another product has this SKU",
        },
        Constraint {
            name: "products_category_id_fkey",
            pointer: "/category_id",
            message: "there is no such category",
        },
        Constraint {
            name: "products_price_minor_check",
            pointer: "/price_minor",
            message: "must not be negative",
        },
        Constraint {
            name: "products_stock_check",
            pointer: "/stock",
            message: "must not be negative",
        },
    ];
    const NATURAL_KEY: Option<NaturalKey> = Some(NaturalKey {
        field: "sku",
        expression: "sku",
    });
    const SEARCHED: Option<&'static str> = Some(SEARCHED);

    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: Id::new(row.try_get("id")?),
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            category_id: Id::new(row.try_get("category_id")?),
            sku: row.try_get("sku")?,
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            price_minor: row.try_get("price_minor")?,
            stock: row.try_get("stock")?,
            active: row.try_get("active")?,
        })
    }

    fn filter(
        sql: &mut QueryBuilder<Postgres>,
        filter: &ProductFilter,
        search: Option<&str>,
    ) -> Result<()> {
        if let Some(category_id) = filter.category_id {
            sql.push(" and category_id = ")
                .push_bind(category_id.uuid());
        }
        if let Some(active) = filter.active {
            sql.push(" and active = ").push_bind(active);
        }
        if let Some(text) = search {
            select::search(sql, SEARCHED, text);
        }
        Ok(())
    }
}

impl Entity for Product {
    const REFERENCES: &'static [Reference] = &[Reference {
        select: "select 1 from order_items where product_id = $1 limit 1001",
        what: "order lines with it",
        advice: "set it inactive instead",
    }];

    fn tags(&self) -> Vec<Tag> {
        vec![Tag::row(self.id), Tag::list::<Self>()]
    }

    async fn insert(write: &mut Write, identity: Identity<Self>, new: NewProduct) -> Result<Self> {
        write.begin().await?;
        let at = write.at;
        let (id, version) = identity.resolve(at);
        let row = sqlx::query(
            "insert into products (id, version, created_at, updated_at,
                category_id, sku, name, description, price_minor, stock, active)
            values ($1, $2, $3, $3, $4, $5, $6, $7, $8, $9, $10)
            returning *",
        )
        .bind(id.uuid())
        .bind(version)
        .bind(at)
        .bind(new.category_id.uuid())
        .bind(new.sku)
        .bind(new.name)
        .bind(new.description)
        .bind(new.price_minor)
        .bind(new.stock)
        .bind(new.active)
        .try_map(|row| Self::from_row(&row))
        .fetch_one(write.conn()?)
        .await?;
        Ok(row)
    }

    async fn update(write: &mut Write, old: &Self, new: NewProduct) -> Result<Self> {
        let at = write.at;
        let row = sqlx::query(
            "update products
            set version = version + 1, updated_at = $2, category_id = $3, sku = $4, name = $5,
                description = $6, price_minor = $7, stock = $8, active = $9
            where id = $1
            returning *",
        )
        .bind(old.id.uuid())
        .bind(at)
        .bind(new.category_id.uuid())
        .bind(new.sku)
        .bind(new.name)
        .bind(new.description)
        .bind(new.price_minor)
        .bind(new.stock)
        .bind(new.active)
        .try_map(|row| Self::from_row(&row))
        .fetch_one(write.conn()?)
        .await?;
        Ok(row)
    }

    fn copy(_: &Partitions, rows: impl Iterator<Item = Self>) -> Result<Vec<TableRows>> {
        let mut copied = CopyRows::new();
        for row in rows {
            copied
                .row(11)
                .uuid(row.id.uuid())
                .i64(row.version)
                .time(row.created_at)
                .time(row.updated_at)
                .uuid(row.category_id.uuid())
                .text(&row.sku)
                .text(&row.name)
                .text(&row.description)
                .i64(row.price_minor)
                .i64(row.stock)
                .bool(row.active);
        }
        Ok(vec![copied.finish(Self::TABLE, Self::COLUMNS)])
    }
}

//! `GET /v1/{r}/similar`: rows with a name similar to a text, the most similar first, for searches with a typing error.
//! Similarity is measured by trigrams. Without the PostgreSQL extension `pg_trgm` no rows are found.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use sqlx::{Postgres, QueryBuilder, postgres::PgRow};
use stockroom_common::{Page, page, table};

use crate::{
    http::{
        error::Result,
        parameters::{Parameters, unreadable},
    },
    rows::{
        entity::Entity,
        list::{ListRequest, parse_limit},
    },
    store::{
        Store,
        cache::{Answer, CacheControl, EntryKey, Loaded, ReadRequest, Tag},
        database::Connection,
    },
};

/// Minimum similarity, from 0 to 1. Swapping two letters of a short word leaves a third of its trigrams.
const MIN_SIMILARITY: f32 = 0.3;

struct SimilarParams<E: Entity> {
    text: String,
    limit: u32,
    filter: E::Filter,
}

/// `GET /v1/{r}/similar?q&limit&<filters>`
pub(crate) async fn similar<E: Entity>(
    State(store): State<Store>,
    mut parameters: Parameters,
    cache_control: CacheControl,
) -> Result<Response> {
    let (cache, now) = (store.cache.clone(), store.options.clock.now());
    let key = format!("similar?{}", parameters.encoded());
    let known: Vec<&str> = ["q", "limit"]
        .into_iter()
        .chain(E::FILTERS.iter().copied())
        .collect();
    parameters.refuse_rest(&known)?;
    let text = parameters.take("q").unwrap_or_default();
    let text = table::composed(&text).into_owned();
    if text.trim().is_empty() || text.contains('\0') {
        let message = "must be the text to search for";
        return Err(unreadable("q", "required", message));
    }
    let limit = parameters.take("limit");
    let limit = limit.map_or(Ok(page::DEFAULT_LIMIT), |limit| parse_limit(&limit))?;
    let filter = ListRequest::<E>::parse_whole_list(parameters, &store.cursor_key)?.filter;
    let params = Arc::new(SimilarParams::<E> {
        text,
        limit,
        filter,
    });
    let request = ReadRequest {
        key: EntryKey::new(E::PATH, &key),
        tags: || vec![Tag::list::<E>()],
        load: || load(store, params.clone()),
    };
    Ok(cache
        .read(request, &cache_control)
        .await?
        .respond(&cache_control, now))
}

async fn load<E: Entity>(store: Store, params: Arc<SimilarParams<E>>) -> Result<Loaded> {
    let mut conn = store.database.reads.acquire().await?;
    let rows = match select(&mut conn, &params).await {
        Err(error) if error.is_missing_function() => Vec::new(),
        rows => rows?,
    };
    Ok(Loaded {
        answer: Answer::of(&Page::whole(rows)),
        depends_on: Some(vec![Tag::list::<E>()]),
    })
}

async fn select<E: Entity>(conn: &mut Connection, params: &SimilarParams<E>) -> Result<Vec<E>> {
    let mut transaction = conn.begin("begin").await?;
    sqlx::query("select set_config('pg_trgm.word_similarity_threshold', $1::text, true)")
        .bind(MIN_SIMILARITY.to_string())
        .execute(&mut *transaction)
        .await?;
    let expression = E::SEARCHED.unwrap_or("''");
    let mut sql = QueryBuilder::<Postgres>::new("select ");
    sql.push(E::COLUMNS)
        .push(format_args!(" from {} where ", E::TABLE))
        .push_bind(&params.text)
        .push(format_args!(" <% {expression}"));
    E::filter(&mut sql, &params.filter, None)?;
    sql.push(" order by ")
        .push_bind(&params.text)
        .push(format_args!(
            " <<-> {expression}, id limit {}",
            params.limit
        ));
    let rows = sql
        .build()
        .try_map(|row: PgRow| E::from_row(&row))
        .fetch_all(&mut *transaction)
        .await?;
    transaction.rollback().await?;
    Ok(rows)
}

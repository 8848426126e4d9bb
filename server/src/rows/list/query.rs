//! Parses the query string of a list. Every parameter must be known and occur once.

use super::{KeyValue, ListRequest};
use crate::{
    http::{
        cursor::{Cursor, CursorKey, Direction},
        error::{Error, Result},
        extract,
        parameters::{Parameters, unreadable},
    },
    rows::table::{KeyKind, SortKey, Table},
};
use stockroom_common::{
    Count, Id, Kind, Resource, document::fault, order::parse_moment, page, table,
};

/// What `GET /v1/{r}` asks for.
pub(crate) enum ListQuery<E: Table> {
    Page(ListRequest<E>),
    /// `?id=a,b,…`: those of these rows that exist.
    Ids(Vec<Id<E>>),
}

impl<E: Table> ListQuery<E> {
    /// Parses the query string. Every parameter must be known and occur once.
    ///
    /// # Errors
    /// 400 if a parameter is unknown or invalid, with `?name` as the pointer.
    pub(crate) fn parse(mut parameters: Parameters, cursor_key: &CursorKey) -> Result<Self> {
        if let Some(ids) = parameters.take("id") {
            parameters.refuse_rest(&["id"])?;
            return Self::parse_ids(&ids).map(Self::Ids);
        }
        ListRequest::take(parameters, &known_parameters::<E>(), cursor_key).map(Self::Page)
    }

    pub(crate) fn parse_ids(text: &str) -> Result<Vec<Id<E>>> {
        let mut ids: Vec<Id<E>> = text
            .split(',')
            .filter(|id| !id.is_empty())
            .map(extract::parse_id)
            .collect::<Result<_>>()?;
        if ids.is_empty() || ids.len() > page::MAX_LIMIT as usize {
            let message = format!(
                "names {} rows; it must name 1 to {}",
                ids.len(),
                page::MAX_LIMIT
            );
            return Err(unreadable("id", "out_of_range", message));
        }
        ids.sort();
        ids.dedup();
        Ok(ids)
    }
}

impl<E: Table> ListRequest<E> {
    /// Parses the parameters of a whole list: those of a page without `limit`, `cursor`, `seek` and `count`.
    ///
    /// # Errors
    /// As [`ListQuery::parse`].
    pub(crate) fn parse_whole_list(parameters: Parameters, cursor_key: &CursorKey) -> Result<Self> {
        let known: Vec<&str> = ["sort", "q"]
            .into_iter()
            .chain(E::FILTERS.iter().copied())
            .collect();
        Self::take(parameters, &known, cursor_key)
    }

    /// Parses the parameters of a page that `known` names, and refuses all others.
    fn take(mut parameters: Parameters, known: &[&str], cursor_key: &CursorKey) -> Result<Self> {
        parameters.refuse_rest(known)?;
        let canonical = parameters.canonical::<E>();
        let limit = match parameters.take("limit") {
            Some(text) => parse_limit(&text)?,
            None => page::DEFAULT_LIMIT,
        };
        let sort = parameters.take("sort");
        let (key, descending) = parse_sort::<E>(sort.as_deref().unwrap_or(E::DEFAULT_SORT))?;
        let search = parameters.take("q").filter(|text| !text.is_empty());
        let search = search.map(|text| table::composed(&text).into_owned());
        if search.as_ref().is_some_and(|text| text.contains('\0')) {
            return Err(unreadable("q", "invalid_text", "has a NUL character"));
        }
        let count = parameters.take("count").unwrap_or_default();
        let count = match count.as_str() {
            "" => Count::None,
            text => text.parse().map_err(|()| {
                let known = Count::ALL.join(", ");
                unreadable(
                    "count",
                    "unknown_value",
                    format!("is `{text}`; it may be {known}"),
                )
            })?,
        };
        let cursor = parameters.take("cursor");
        let seek = parameters.take("seek");
        let filters = parameters.take_all(E::FILTERS);
        let filter = parse_filter(&filters)?;
        let sort = sort.unwrap_or_else(|| E::DEFAULT_SORT.into());
        let binding = format!("{}?{sort}&{search:?}&{filters:?}", E::PATH);
        let cursor = match (cursor, seek) {
            (Some(_), Some(_)) => {
                let message = "cannot be combined with a cursor";
                return Err(unreadable("seek", "repeated", message));
            }
            (Some(text), None) => Some(cursor_key.open(&text, &binding)?),
            (None, Some(text)) => Some(parse_seek(&text, key)?),
            (None, None) => None,
        };
        Ok(Self {
            limit,
            key,
            descending,
            search,
            count,
            filter,
            cursor,
            binding,
            canonical,
        })
    }
}

fn known_parameters<E: Resource>() -> Vec<&'static str> {
    ["id", "limit", "cursor", "seek", "sort", "q", "count"]
        .into_iter()
        .chain(E::FILTERS.iter().copied())
        .collect()
}

pub(crate) fn parse_limit(text: &str) -> Result<u32> {
    let limit = text
        .parse()
        .ok()
        .filter(|n| (1..=page::MAX_LIMIT).contains(n));
    limit.ok_or_else(|| {
        let message = format!("is `{text}`; it must be from 1 to {}", page::MAX_LIMIT);
        unreadable("limit", "out_of_range", message)
    })
}

/// The position before the first row whose sort key is equal to the value or follows it.
fn parse_seek(text: &str, key: SortKey) -> Result<Cursor> {
    let refused = |what: &str| {
        let message = format!("is `{text}`; this list is sorted by {what}");
        unreadable("seek", "wrong_type", message)
    };
    let value = match key.kind {
        KeyKind::Text if text.contains('\0') => {
            return Err(unreadable("seek", "invalid_text", "has a NUL character"));
        }
        KeyKind::Text => table::composed(text).into_owned(),
        KeyKind::Integer => match text.parse::<i64>() {
            Ok(number) => number.to_string(),
            Err(_) => return Err(refused("a whole number")),
        },
        KeyKind::Time => match parse_moment(text) {
            Some(at) => KeyValue::Time(at).to_text(),
            None => {
                return Err(refused(
                    "a time, such as 2026-11-24 or 2026-11-24T09:30:00Z",
                ));
            }
        },
    };
    Ok(Cursor {
        direction: Direction::Forward,
        row: Some((value, None)),
    })
}

fn parse_sort<E: Table>(text: &str) -> Result<(SortKey, bool)> {
    let (name, descending) = match text.strip_prefix('-') {
        Some(name) => (name, true),
        None => (text, false),
    };
    let index = E::SORTS
        .iter()
        .position(|known| *known == name)
        .ok_or_else(|| {
            let known = E::SORTS.join(", ");
            let message =
                format!("is `{text}`; it may be {known}, each optionally with a leading `-`");
            unreadable("sort", "unknown_value", message)
        })?;
    Ok((E::SORT_KEYS[index], descending))
}

fn parse_filter<F: serde::de::DeserializeOwned>(filters: &[(&'static str, String)]) -> Result<F> {
    let parse = |filters: &[(&'static str, String)]| {
        let encoded = serde_urlencoded::to_string(filters).unwrap_or_default();
        serde_urlencoded::from_str::<F>(&encoded)
    };
    // All filters are optional, so each can be parsed alone. This shows which one is invalid.
    for filter in filters {
        if let Err(error) = parse(std::slice::from_ref(filter)) {
            let message = fault::value_message(&error.to_string());
            return Err(unreadable(filter.0, "wrong_type", message));
        }
    }
    parse(filters).map_err(|error| Error::refused(Kind::Unreadable, error.to_string()))
}

//! Commands for the rows of a resource: list, get, create, update, delete, history, export, import.

use std::{io::Read, path::Path};

use clap::Args;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};
use stockroom_common::{
    FieldError, Kind, Page, Problem,
    bulk::{BulkReport, RowToDelete},
    change::{History, HistoryEntry},
    document, page, table,
};
use uuid::Uuid;

use super::{
    arguments::{Action, Fields, ListArgs, Output, RowName},
    table::{aligned, print},
    transfer::{export, import},
};
use crate::{
    cli::{
        output::{eprint_line, unusable, write_out},
        shop::Shop,
    },
    messages::call::{Failure, Precondition},
    model::{
        entity::{Detail, Entity, Target},
        labels::field_label,
        names::{Names, Reference},
        show::{Cell, Formatter},
        tab::Tab,
        text::{self, Zone},
    },
};

/// Runs an action on a resource.
pub(crate) async fn run<R: Entity, F: Args + Serialize>(
    shop: &Shop,
    action: Action<F>,
) -> Result<(), Failure> {
    match action {
        Action::List {
            filters,
            list_args,
            limit,
            all,
            output,
        } => {
            let limit = if all { usize::MAX } else { limit };
            list::<R>(shop, &pairs(&filters, list_args), limit, output).await
        }
        Action::Get { id, json } => {
            let id = id_of::<R>(shop, id).await?;
            let row: Value = shop.get(&format!("/v1/{}/{id}", R::PATH)).await?;
            show_row::<R>(shop, &row, json).await
        }
        Action::Create { fields, json } => {
            let body = Some(read_fields::<R>(fields)?);
            let row: Value = shop
                .call(Method::POST, &format!("/v1/{}", R::PATH), body)
                .await?;
            show_row::<R>(shop, &row, json).await
        }
        Action::Update {
            id,
            fields,
            if_version,
            json,
        } => {
            let id = id_of::<R>(shop, id).await?;
            let body = Some(read_fields::<R>(fields)?);
            let precondition = if_version.map_or(Precondition::None, Precondition::Version);
            let path = format!("/v1/{}/{id}", R::PATH);
            let answer = shop.send(Method::PATCH, &path, body, precondition).await?;
            let row: Value = answer.read().map_err(Failure::NoAnswer)?;
            show_row::<R>(shop, &row, json).await
        }
        Action::Delete { ids, json } => {
            let mut named = Vec::with_capacity(ids.len());
            for id in ids {
                named.push(id_of::<R>(shop, id).await?);
            }
            delete::<R>(shop, &named, json).await
        }
        Action::History { id, json } => history::<R>(shop, id_of::<R>(shop, id).await?, json).await,
        Action::Export {
            file,
            filters,
            list_args,
            format,
        } => export::<R>(shop, &file, pairs(&filters, list_args), format).await,
        Action::Import {
            file,
            format,
            dry_run,
            all_or_nothing,
            restore,
            json,
        } => {
            let mut pairs = Vec::new();
            if dry_run {
                pairs.push(("dry_run", "true"));
            }
            match (restore, all_or_nothing) {
                (true, _) => pairs.push(("mode", "restore")),
                (false, true) => {}
                (false, false) => pairs.push(("on_error", "reject_failed")),
            }
            import::<R>(shop, (&file, format), pairs, json).await
        }
    }
}

/// The filters, search and sort order of a list, as query parameters.
fn pairs(filters: &impl Serialize, list_args: ListArgs) -> Vec<(String, String)> {
    let filters = document::to_value(filters);
    let set = filters.as_object().into_iter().flatten();
    let set = set.filter_map(|(name, value)| {
        let value = value.as_str()?;
        // A day begins at local midnight, because times are printed in local time.
        let at = text::parse_time(value, Zone::Local).filter(|_| name.starts_with("placed_"));
        let value = at.map_or_else(|| value.to_owned(), |at| at.to_rfc3339());
        Some((name.clone(), value))
    });
    let ListArgs { search, sort } = list_args;
    let others = [("q", search), ("sort", sort)];
    let others = others
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    set.chain(others).collect()
}

async fn list<R: Entity>(
    shop: &Shop,
    pairs: &[(String, String)],
    limit: usize,
    output: Output,
) -> Result<(), Failure> {
    let query = serde_urlencoded::to_string(pairs).unwrap_or_default();
    let (mut rows, mut cursor): (Vec<R>, Option<String>) = (Vec::new(), None);
    while rows.len() < limit {
        let least = (limit - rows.len()).min(page::MAX_LIMIT as usize);
        let at = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let path = format!("/v1/{}?limit={least}{at}&{query}", R::PATH);
        let page: Page<R> = shop.get(path.trim_end_matches('&')).await?;
        rows.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let names = names_of(shop, rows.iter().flat_map(R::references).collect()).await;
    let formatter = Formatter {
        names: &names,
        zone: Zone::Local,
    };
    print(&rows, output, formatter)?;
    if cursor.is_some() && !output.json && !output.csv {
        eprint_line("There are more rows; use --limit N or --all.");
    }
    Ok(())
}

/// Reads the names of the referenced rows. A name that cannot be read is shown as `…`.
async fn names_of(shop: &Shop, mut references: Vec<Reference>) -> Names {
    let mut names = Names::default();
    references.sort_by_key(|reference| (reference.tab.path(), reference.id));
    references.dedup();
    for references in references.chunk_by(|one, other| one.tab == other.tab) {
        for some in references.chunks(page::MAX_LIMIT as usize) {
            let ids: Vec<String> = some
                .iter()
                .map(|reference| reference.id.to_string())
                .collect();
            let path = format!("/v1/{}?id={}", some[0].tab.path(), ids.join(","));
            let rows = shop.get::<Page<Value>>(&path).await.map(|page| page.items);
            for row in rows.unwrap_or_default() {
                let id = row["id"].as_str().and_then(|id| id.parse().ok());
                if let (Some(id), Some(name)) = (id, row["name"].as_str()) {
                    names.insert(id, name.to_owned());
                }
            }
        }
    }
    names
}

async fn show_row<R: Entity>(shop: &Shop, row: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return write_out(&row.to_string());
    }
    let row: R = document::from_value(row).map_err(|error| {
        Failure::NoAnswer(format!("The server's answer cannot be read: {error}"))
    })?;
    // Links to lists are only useful on a screen.
    let is_list = |detail: &Detail| matches!(detail.target, Some(Target::List { .. }));
    let details = row.details().into_iter().filter(|detail| !is_list(detail));
    let details: Vec<Detail> = details.collect();
    let references = details.iter().filter_map(|detail| match detail.value {
        Cell::Name(reference) | Cell::Line(_, reference, _) => Some(reference),
        _ => None,
    });
    let names = names_of(shop, references.collect()).await;
    let formatter = Formatter {
        names: &names,
        zone: Zone::Local,
    };
    let lines: Vec<_> = details
        .iter()
        .map(|detail| {
            vec![
                (detail.label.to_owned(), false),
                (formatter.format(&detail.value), false),
            ]
        })
        .collect();
    aligned(&lines)
}

/// Builds the document from `--file` and `--set`; `--set` overrides the file.
fn read_fields<R: Entity>(fields: Fields) -> Result<Value, Failure> {
    let mut body = match fields.file {
        None => json!({}),
        Some(file) => {
            let text = read_all(&file)?;
            document::parse(&text).map_err(refused)?
        }
    };
    let pairs: Vec<(&str, &str)> = fields
        .set
        .iter()
        .map(|pair| {
            pair.split_once('=').ok_or_else(|| {
                let message = format!("`{pair}` has no value; write name=value");
                refused(FieldError::new("", "syntax", message))
            })
        })
        .collect::<Result<_, _>>()?;
    let names = pairs.iter().map(|(name, _)| *name);
    let columns = table::read_header(R::TABLE_COLUMNS, names).map_err(refused)?;
    let cells: Vec<&str> = pairs.iter().map(|(_, value)| *value).collect();
    let set = table::read_row(&columns, &cells).map_err(refused)?;
    if let Value::Object(members) = set
        && !members.is_empty()
    {
        document::merge(&mut body, Value::Object(members));
    }
    if body == json!({}) {
        return Err(unusable(
            "Give the fields, with --set FIELD=VALUE or --file.".into(),
        ));
    }
    Ok(body)
}

fn read_all(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_end(&mut text).map(|_| ())
    } else {
        std::fs::read(file).map(|read| text = read)
    };
    read.map_err(|error| unusable(format!("{} cannot be read: {error}.", file.display())))?;
    Ok(text)
}

/// Finds the id of a row.
async fn id_of<R: Entity>(shop: &Shop, name: RowName) -> Result<Uuid, Failure> {
    let number = match name {
        RowName::Id(id) => return Ok(id),
        RowName::Number(number) if R::TAB == Tab::Orders => number,
        RowName::Number(number) => {
            return Err(unusable(format!(
                "{number} is the number of an order, not of a {}.",
                R::NAME
            )));
        }
    };
    let found: Page<Value> = shop.get(&format!("/v1/orders?q={number}")).await?;
    let ids: Vec<&str> = found
        .items
        .iter()
        .filter_map(|row| row["id"].as_str())
        .collect();
    match ids.as_slice() {
        [id] => id
            .parse()
            .map_err(|_| Failure::NoAnswer("The server's answer cannot be read.".into())),
        [] => Err(unusable(format!("There is no order {number}."))),
        several => {
            let ids = several.join(", ");
            Err(unusable(format!(
                "Several orders have the number {number}; give one of the ids: {ids}."
            )))
        }
    }
}

fn refused(error: FieldError) -> Failure {
    Failure::Refused(Problem::fields(Kind::Unreadable, vec![error]))
}

async fn delete<R: Entity>(shop: &Shop, ids: &[Uuid], json: bool) -> Result<(), Failure> {
    let rows: Vec<RowToDelete> = ids
        .iter()
        .map(|id| RowToDelete {
            id: *id,
            version: None,
        })
        .collect();
    let path = format!("/v1/{}/bulk-delete?on_error=reject_failed", R::PATH);
    let body = Some(document::to_value(&rows));
    let report: BulkReport = shop.call(Method::POST, &path, body).await?;
    if json {
        write_out(&document::to_value(&report).to_string())?;
    }
    let failed = ids.iter().zip(&report.rows);
    for (id, problem) in failed.filter_map(|(id, row)| Some((id, row.problem.as_ref()?))) {
        eprint_line(&format!("{id}: {}", problem.detail));
    }
    let counts_line = format!("{} deleted, {} refused.", report.deleted, report.failed);
    match report.failed {
        0 => {
            eprint_line(&counts_line);
            Ok(())
        }
        _ => Err(unusable(counts_line)),
    }
}

async fn history<R: Entity>(shop: &Shop, id: Uuid, json: bool) -> Result<(), Failure> {
    let mut cursor = String::new();
    loop {
        let path = format!(
            "/v1/{}/{id}/history?limit={}{cursor}",
            R::PATH,
            page::MAX_LIMIT
        );
        let history: History = shop.get(&path).await?;
        for entry in &history.items {
            if json {
                write_out(&document::to_value(entry).to_string())?
            } else {
                write_out(&format_entry(entry))?
            }
        }
        match history.next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    Ok(())
}

fn format_entry(entry: &HistoryEntry) -> String {
    let at = text::time(entry.at, Zone::Local);
    let mut line = format!(
        "{at}  {}  {}",
        text::clean(&entry.author()),
        entry.op.as_str()
    );
    for change in &entry.changes {
        let difference = format!(
            "{}: {} → {}",
            field_label(&change.pointer),
            change.before,
            change.after
        );
        line.push_str(&format!("\n    {}", text::clean(&difference)));
    }
    line
}

//! A dialog to choose a row of another resource. The server searches while the user types.

use std::time::{Duration, Instant};

use frizbee::{Config, Matcher};
use reqwest::Method;
use serde_json::Value;
use stockroom_common::Page;
use uuid::Uuid;

use crate::{
    dialogs::line::Line,
    messages::{
        call::{Call, Owner, Reply},
        context::Context,
        request::{Dialog, PickerFilter, Request},
    },
    model::{entities, tab::Tab, text},
    settings::keys::Command,
};

/// How long the user must pause typing before the search is sent.
const DEBOUNCE: Duration = Duration::from_millis(120);
/// Rows that one search returns at most.
const LIMIT: usize = 50;
/// Characters that a search for similar names needs: a shorter text is similar to too many names.
const MIN_TYPED: usize = 3;

#[derive(Debug)]
pub struct Picker {
    pub tab: Tab,
    filter: PickerFilter,
    pub search: Line,
    pub choices: Vec<Choice>,
    pub selected: usize,
    pub error: Option<String>,
    /// When to send the search; none if no search waits to be sent.
    ask_at: Option<Instant>,
    /// The run of the call, if one is under way.
    run: Option<u64>,
    /// Whether the search found nothing, and the choices are rows with similar names.
    pub shows_similar: bool,
    /// The search text that was last sent.
    shown: String,
    /// Whether Enter was pressed before the reply arrived: then the first choice of the reply is taken.
    takes_first: bool,
}

/// A row that can be chosen.
#[derive(Clone, Debug)]
pub struct Choice {
    pub id: Uuid,
    pub label: String,
    /// Distinguishes the row from others with the same name.
    pub note: String,
}

impl Picker {
    /// A picker that sends its first search at once. Without a search text that lists the first rows of the resource.
    pub fn new(tab: Tab, filter: PickerFilter, search: &str, now: Instant) -> Self {
        Self {
            tab,
            filter,
            search: Line::new(search),
            choices: Vec::new(),
            selected: 0,
            error: None,
            ask_at: Some(now),
            run: None,
            shows_similar: false,
            shown: String::new(),
            takes_first: false,
        }
    }

    pub const fn is_loading(&self) -> bool {
        self.run.is_some() || self.ask_at.is_some()
    }

    pub const fn deadline(&self) -> Option<Instant> {
        self.ask_at
    }

    pub fn typed(&mut self, ctx: &mut Context<'_>) {
        self.takes_first = false;
        self.ask_at = Some(ctx.now + DEBOUNCE);
    }

    pub fn tick(&mut self, ctx: &mut Context<'_>) {
        if self.ask_at.is_none_or(|at| at > ctx.now) {
            return;
        }
        self.ask_at = None;
        self.shown = self.search.text().to_owned();
        self.shows_similar = false;
        self.ask(self.tab.path(), ctx);
    }

    fn ask(&mut self, resource: &str, ctx: &mut Context<'_>) {
        let ticket = ctx.ticket(Owner::Picker);
        self.run = Some(ticket.run);
        let mut query = vec![("limit", LIMIT.to_string()), ("q", self.shown.clone())];
        if self.filter == PickerFilter::Orderable {
            query.push(("active", "true".into()));
        }
        let query = serde_urlencoded::to_string(query).unwrap_or_default();
        ctx.send(Call::new(
            ticket,
            Method::GET,
            format!("/v1/{resource}?{query}"),
        ));
    }

    pub fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        if self.run != Some(reply.ticket.run) {
            return;
        }
        self.run = None;
        match reply.read::<Page<Value>>() {
            Ok(page) if page.items.is_empty() && self.may_be_mistyped() => {
                self.shows_similar = true;
                // A row with a similar name may not be the one that the user meant: it must be chosen explicitly.
                self.takes_first = false;
                self.ask(&format!("{}/similar", self.tab.path()), ctx);
            }
            Ok(page) => {
                self.error = None;
                self.selected = 0;
                let choices: Vec<Choice> = page.items.iter().filter_map(Choice::read).collect();
                self.choices = if self.shows_similar {
                    // The server sorts by similarity.
                    choices
                } else {
                    ranked(choices, &self.shown)
                };
                if std::mem::take(&mut self.takes_first) {
                    self.choose(ctx);
                }
            }
            Err(message) => {
                self.error = Some(message);
                self.choices.clear();
                self.takes_first = false;
            }
        }
    }

    fn may_be_mistyped(&self) -> bool {
        !self.shows_similar && self.shown.trim().chars().count() >= MIN_TYPED
    }

    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::Up => self.selected = self.selected.saturating_sub(1),
            Command::Down => {
                self.selected = (self.selected + 1).min(self.choices.len().saturating_sub(1));
            }
            // The choices may belong to an earlier search: sends the search now, and takes its first choice.
            Command::Open if self.is_loading() => {
                self.takes_first = true;
                self.ask_at = self.ask_at.map(|_| ctx.now);
                self.tick(ctx);
            }
            Command::Open => self.choose(ctx),
            Command::New => self.create(ctx),
            Command::Back => ctx.request(Request::Close),
            _ => {}
        }
    }

    /// Opens a form for a new row with the typed name. Saving the form chooses the row.
    fn create(&mut self, ctx: &mut Context<'_>) {
        self.takes_first = false;
        let name = self.search.text().trim();
        if let Some(entity) = entities::of_tab(self.tab) {
            ctx.open(Dialog::Form((entity.create_form)().with_name(name)));
        }
    }

    fn choose(&self, ctx: &mut Context<'_>) {
        if let Some(choice) = self.choices.get(self.selected) {
            let (id, label) = (choice.id, choice.label.clone());
            ctx.request(Request::Picked { id, label });
        }
    }
}

/// Sorts the choices, the best match for the typed text first.
fn ranked(choices: Vec<Choice>, typed: &str) -> Vec<Choice> {
    if typed.trim().is_empty() {
        return choices;
    }
    let searched: Vec<String> = choices
        .iter()
        .map(|choice| format!("{} {}", choice.label, choice.note).to_lowercase())
        .collect();
    let found =
        Matcher::from_query(&typed.to_lowercase(), &Config::default()).match_list(&searched);
    let score = |index: usize| {
        let found = found.iter().find(|found| found.index as usize == index);
        found.map_or(0, |found| found.score)
    };
    let mut ranked: Vec<(u16, Choice)> = choices
        .into_iter()
        .enumerate()
        .map(|(index, choice)| (score(index), choice))
        .collect();
    ranked.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    ranked.into_iter().map(|(_, choice)| choice).collect()
}

impl Choice {
    pub(crate) fn read(row: &Value) -> Option<Self> {
        let field = |name: &str| row[name].as_str().unwrap_or_default();
        let note = match row["price_minor"].as_i64() {
            Some(price) => {
                let stock = text::integer(row["stock"].as_i64().unwrap_or_default());
                format!(
                    "{} · {} · {stock} in stock",
                    field("sku"),
                    text::money(price)
                )
            }
            None => field("email").to_owned(),
        };
        Some(Self {
            id: field("id").parse().ok()?,
            label: field("name").to_owned(),
            note,
        })
    }
}

//! `GET /v1/changes`: what writes do, as they do it, on whichever server. Whoever loses the connection goes
//! on where it was by `Last-Event-ID`, here or at another server: no entry is left out, none told twice.

mod recent;

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Instant};

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{Stream, stream};

use stockroom_common::{Category, Customer, Kind, Order, Product, Resource, change::ChangeEvent};
use tokio::sync::{OwnedSemaphorePermit, watch};

pub(crate) use self::recent::{Feed, run};
use crate::{
    app::session::{ClientGuard, Sessions},
    http::{
        error::{Error, Result},
        parameters::{Parameters, unreadable},
    },
    process::lifecycle::Phase,
    store::{Store, database::Connection},
};

/// What may be asked for by `entity`.
const ENTITIES: [&str; 4] = [Category::NAME, Product::NAME, Customer::NAME, Order::NAME];

/// Which entries a caller wants.
#[derive(Debug)]
struct ReadRequest(Option<Vec<String>>);

/// One caller's way through the log.
struct Follower {
    store: Store,
    feed: Arc<Feed>,
    wanted: ReadRequest,
    /// The last position that was read.
    position: i64,
    /// The last that the caller knows.
    told: i64,
    ready: VecDeque<Arc<ChangeEvent>>,
    moved: watch::Receiver<i64>,
    /// When something was told last.
    told_at: Instant,
    /// A local server stays while somebody follows it.
    _attached: ClientGuard,
    _permit: OwnedSemaphorePermit,
}

/// Each event is called `change`, its id the position. One without data tells how far the log has come.
pub(crate) async fn changes(
    State(store): State<Store>,
    State(feed): State<Arc<Feed>>,
    State(sessions): State<Arc<Sessions>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let wanted = ReadRequest::parse(query.as_deref().unwrap_or_default())?;
    let after = match headers.get("last-event-id") {
        None => None,
        Some(value) => Some(parse_position(value.as_bytes())?),
    };
    let permit = store.streams.take()?;
    let mut conn = store.database.reads.acquire().await?;
    let last = last_position(&mut conn).await?;
    let position = after.unwrap_or(last);
    check_reach(&mut conn, position, last).await?;
    drop(conn);
    let keep_alive = KeepAlive::new().interval(store.options.heartbeat);
    let follower = Follower {
        wanted,
        position,
        // What the first event tells is where to go on from.
        told: -1,
        ready: VecDeque::new(),
        told_at: Instant::now(),
        _attached: ClientGuard::new(sessions),
        _permit: permit,
        moved: feed.subscribe(),
        store,
        feed,
    };
    let events = stream::unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    });
    Ok(Sse::new(events).keep_alive(keep_alive))
}

impl ReadRequest {
    fn parse(query: &str) -> Result<Self> {
        let mut parameters = Parameters::read(query)?;
        let entities = parameters.take("entity");
        parameters.refuse_rest(&["entity"])?;
        let Some(text) = entities else {
            return Ok(Self(None));
        };
        let names: Vec<String> = text.split(',').map(str::to_owned).collect();
        match names.iter().find(|name| !ENTITIES.contains(&name.as_str())) {
            None => Ok(Self(Some(names))),
            Some(name) => {
                let known = ENTITIES.join(", ");
                let message =
                    format!("is `{name}`; it may be some of {known}, with commas between");
                Err(unreadable("entity", "unknown_value", message))
            }
        }
    }

    /// Whether the entry is about one of them, or changed one along with what it is about. Partitions hold
    /// orders; what is about everything concerns everybody.
    fn takes(&self, event: &ChangeEvent) -> bool {
        let Some(names) = &self.0 else { return true };
        let is_wanted = |entity: &str| names.iter().any(|name| name == entity);
        match event.entity.as_str() {
            "import" => true,
            "partition" => is_wanted(Order::NAME),
            entity => is_wanted(entity) || event.touched.iter().any(|row| is_wanted(&row.entity)),
        }
    }
}

impl Follower {
    /// The next entry that is wanted, or how far the log has come without one. None once the server stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.told = event.position;
                self.told_at = Instant::now();
                let id = event.position.to_string();
                return Event::default()
                    .event("change")
                    .id(id)
                    .json_data(&*event)
                    .ok();
            }
            if self.told < 0 {
                return Some(self.heartbeat());
            }
            self.read().await;
            if !self.ready.is_empty() {
                continue;
            }
            let due = self.told_at + self.store.options.heartbeat;
            tokio::select! {
                _ = tokio::time::timeout_at(due.into(), self.moved.changed()) => {}
                () = self.store.lifecycle.until(Phase::Stopping) => return None,
            }
            // However much is told to others meanwhile.
            if due <= Instant::now() {
                self.told_at = Instant::now();
                if self.told < self.position {
                    return Some(self.heartbeat());
                }
            }
        }
    }

    /// Tells from where to go on, should the connection break.
    fn heartbeat(&mut self) -> Event {
        self.told = self.position;
        Event::default().id(self.told.to_string())
    }

    async fn read(&mut self) {
        while self.ready.is_empty() {
            let read = self
                .feed
                .after(&self.store.database.reads, self.position)
                .await;
            let Ok(events) = read else {
                // A database that is away for a moment is no end of the stream; the next move tries again.
                return;
            };
            let Some(last) = events.last() else { return };
            self.position = last.position;
            let wanted = events.into_iter().filter(|event| self.wanted.takes(event));
            self.ready.extend(wanted);
        }
    }
}

fn parse_position(text: &[u8]) -> Result<i64> {
    let position = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok());
    position.filter(|position| *position >= 0).ok_or_else(|| {
        let detail = "`Last-Event-ID` must be the id of an event of this stream.";
        Error::refused(Kind::Unreadable, detail)
    })
}

async fn last_position(conn: &mut Connection) -> Result<i64> {
    let last = sqlx::query_scalar("select position from feed where id = 1");
    Ok(last.fetch_one(conn).await?)
}

/// Refuses to go on after a position where entries that follow it are no longer there.
///
/// # Errors
/// 410: the caller must read everything again.
async fn check_reach(conn: &mut Connection, position: i64, last: i64) -> Result<()> {
    if position == last {
        return Ok(());
    }
    let first: Option<i64> =
        sqlx::query_scalar("select min(position) from changes where position is not null")
            .fetch_one(conn)
            .await?;
    let is_in_reach = position < last && first.is_some_and(|first| first <= position + 1);
    if is_in_reach {
        return Ok(());
    }
    if position > last {
        let detail = format!(
            "The log has come to position {last}, not to {position}: that is the id of another shop, or of \
            this one before it was restored; read again what you show and follow without `Last-Event-ID`."
        );
        return Err(Error::refused(Kind::Gone, detail));
    }
    let detail = format!(
        "The log does not reach back to position {position} (it holds {} to {last}); \
        read again what you show and follow without `Last-Event-ID`.",
        first.unwrap_or(last)
    );
    Err(Error::refused(Kind::Gone, detail))
}

//! `GET /v1/changes`: the changes of all servers as an event stream. A client that lost its connection continues with
//! `Last-Event-ID`, on this or another server. No entry is left out, and none is sent twice.

mod recent;

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Instant};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{Stream, stream};

use stockroom_common::{Kind, Order, Resource, change::ChangeEvent};
use tokio::sync::{OwnedSemaphorePermit, watch};

pub(crate) use self::recent::{Feed, run};
use crate::{
    app::entities::ENTITIES,
    app::session::{ClientGuard, Sessions},
    http::{
        error::{Error, Result},
        parameters::{Parameters, unreadable},
    },
    process::lifecycle::Phase,
    store::{Store, database::Connection},
};

/// The entities whose entries a caller wants; `None` for all.
#[derive(Debug)]
struct EntityFilter(Option<Vec<String>>);

/// A caller who follows the change log.
struct Follower {
    store: Store,
    feed: Arc<Feed>,
    wanted: EntityFilter,
    /// The last position that was read.
    position: i64,
    /// The last position that was sent to the caller; -1 before the first event.
    last_sent: i64,
    ready: VecDeque<Arc<ChangeEvent>>,
    moved: watch::Receiver<i64>,
    /// When the last event was sent, or a heartbeat was last due.
    told_at: Instant,
    /// A local server keeps running while someone follows the log.
    _attached: ClientGuard,
    _permit: OwnedSemaphorePermit,
}

/// Each event is called `change`, and its id is the position. An event without data has only the current position.
pub(crate) async fn changes(
    State(store): State<Store>,
    State(feed): State<Arc<Feed>>,
    State(sessions): State<Arc<Sessions>>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let wanted = EntityFilter::parse(parameters)?;
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
        // Makes the first event a heartbeat, which has the position to continue from.
        last_sent: -1,
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

impl EntityFilter {
    fn parse(mut parameters: Parameters) -> Result<Self> {
        let entities = parameters.take("entity");
        parameters.refuse_rest(&["entity"])?;
        let Some(text) = entities else {
            return Ok(Self(None));
        };
        let names: Vec<String> = text.split(',').map(str::to_owned).collect();
        let known = ENTITIES.each_ref().map(|entity| entity.name);
        match names.iter().find(|name| !known.contains(&name.as_str())) {
            None => Ok(Self(Some(names))),
            Some(name) => {
                let known = known.join(", ");
                let message =
                    format!("is `{name}`; it may be some of {known}, with commas between");
                Err(unreadable("entity", "unknown_value", message))
            }
        }
    }

    /// Whether the caller wants the entry: it is about one of the entities, or also changed a row of one. Entries about
    /// partitions concern orders; imports concern every entity.
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
    /// The next wanted entry, or the current position if no entry was wanted for a while. `None` once the server stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.last_sent = event.position;
                self.told_at = Instant::now();
                let id = event.position.to_string();
                return Event::default()
                    .event("change")
                    .id(id)
                    .json_data(&*event)
                    .ok();
            }
            if self.last_sent < 0 {
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
            // The time decides, not the result of the wait: entries that this caller does not want end the wait too.
            if due <= Instant::now() {
                self.told_at = Instant::now();
                if self.last_sent < self.position {
                    return Some(self.heartbeat());
                }
            }
        }
    }

    /// An event with only the position to continue from after a lost connection.
    fn heartbeat(&mut self) -> Event {
        self.last_sent = self.position;
        Event::default().id(self.last_sent.to_string())
    }

    async fn read(&mut self) {
        while self.ready.is_empty() {
            let read = self
                .feed
                .after(&self.store.database.reads, self.position)
                .await;
            let Ok(events) = read else {
                // The stream outlives a short outage of the database. The next wait ends with another attempt.
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

/// Checks that the log still has all entries after a position.
///
/// # Errors
/// 410 if it has not, or if the position is beyond its end: the caller must read everything again.
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
            "The change log ends at position {last}, before {position}: that id is from another \
            shop, or from before this one was restored. Read again what you show, and follow \
            without `Last-Event-ID`."
        );
        return Err(Error::refused(Kind::Gone, detail));
    }
    let detail = format!(
        "The change log no longer has position {position} (it has {} to {last}). Read again \
            what you show, and follow without `Last-Event-ID`.",
        first.unwrap_or(last)
    );
    Err(Error::refused(Kind::Gone, detail))
}

//! Row ids: UUIDv7 values typed by their resource, so that a product's id cannot be passed as a customer's id.

use std::{fmt, hash, marker::PhantomData, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// The id of an `R`. On the wire it is a hyphenated UUID.
pub struct Id<R> {
    uuid: Uuid,
    of: PhantomData<fn() -> R>,
}

impl<R> Id<R> {
    /// Accepts any UUID: only the database knows whether a row has it.
    pub const fn new(uuid: Uuid) -> Self {
        Self {
            uuid,
            of: PhantomData,
        }
    }

    /// Makes a UUIDv7 for the instant `at`, in milliseconds, from 80 bits of `random` (the format overwrites 6 of
    /// them).
    pub fn mint(at: DateTime<Utc>, random: [u8; 10]) -> Self {
        let millis = u64::try_from(at.timestamp_millis()).unwrap_or_default();
        Self::new(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    pub const fn uuid(self) -> Uuid {
        self.uuid
    }

    /// The instant that a UUIDv7 was made for, in whole milliseconds; none for other UUID versions.
    pub fn time(self) -> Option<DateTime<Utc>> {
        if self.uuid.get_version_num() != 7 {
            return None;
        }
        let (millis, _) = self.uuid.as_u64_pair();
        DateTime::from_timestamp_millis(i64::try_from(millis >> 16).ok()?)
    }
}

// Derived implementations would require the same traits of `R`, although no `R` is stored.
impl<R> Clone for Id<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Id<R> {}

impl<R> PartialEq for Id<R> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}

impl<R> Eq for Id<R> {}

impl<R> PartialOrd for Id<R> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<R> Ord for Id<R> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.uuid.cmp(&other.uuid)
    }
}

impl<R> hash::Hash for Id<R> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}

impl<R> fmt::Debug for Id<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.uuid, f)
    }
}

impl<R> fmt::Display for Id<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.uuid, f)
    }
}

impl<R> FromStr for Id<R> {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(Uuid::from_str(text)?))
    }
}

impl<R> Serialize for Id<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.uuid.serialize(serializer)
    }
}

impl<'de, R> Deserialize<'de> for Id<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Uuid::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_gives_back_the_millisecond_it_was_minted_for() {
        let at = DateTime::from_timestamp_millis(1_790_000_123_456).unwrap();
        let id = Id::<()>::mint(at, [0xff; 10]);
        assert_eq!(id.time(), Some(at));
        assert_eq!(id.uuid().get_version_num(), 7);
        assert_eq!(Id::<()>::new(Uuid::from_u128(4 << 76)).time(), None);
    }

    #[test]
    fn ids_sort_by_time() {
        let mint =
            |millis| Id::<()>::mint(DateTime::from_timestamp_millis(millis).unwrap(), [0; 10]);
        assert!(mint(1_000) < mint(1_001));
    }
}

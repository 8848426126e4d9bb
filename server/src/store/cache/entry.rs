//! A cached answer: the bytes that are sent, and the nonces that its tags had before it was loaded.

use std::{fmt, time::Duration};

use axum::{body::Bytes, http::HeaderValue};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{nonce::Nonce, tag::Tag};

/// Maximum lifetime of an entry: the last safeguard if a tag could not be deleted.
pub(crate) const TTL: Duration = Duration::from_secs(600);

/// Key of an answer: a hash of the server's version, the resource and the normalised query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryKey([u8; 16]);

impl EntryKey {
    /// Includes the server's version: servers of different versions may answer differently, so they do not
    /// share entries.
    pub(crate) fn new(resource: &str, query: &str) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        Self::hash([version, resource, query].map(str::as_bytes))
    }

    /// Key of the same answer under these nonces. Flights and leases use it, so that a load is shared only
    /// by requests with equal nonces.
    pub(crate) fn with(self, nonces: &[(Tag, Nonce)]) -> Self {
        let nonces = nonces.iter().map(|(_, nonce)| nonce.as_bytes());
        Self::hash(std::iter::once(self.0.as_slice()).chain(nonces))
    }

    fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part);
            hash.update([0]);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        Self(key)
    }
}

impl fmt::Display for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// The content of a response.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) body: Bytes,
    pub(crate) etag: HeaderValue,
    pub(crate) links: Vec<HeaderValue>,
}

impl Answer {
    /// Serialises a wire type as JSON. The ETag is a hash of the bytes; single rows use their version instead.
    pub(crate) fn of(content: &impl Serialize) -> Self {
        // Wire types can always be serialised. `into_boxed_slice` drops spare capacity: a vector that grew may
        // hold up to twice what it needs, and `Entry::weight` would not count the rest.
        let body = serde_json::to_vec(content).unwrap_or_default();
        Self::from_body(body.into_boxed_slice().into())
    }

    pub(crate) fn from_body(body: Bytes) -> Self {
        let hash = Sha256::digest(&body);
        let short = u64::from_be_bytes(hash[..8].try_into().unwrap_or_default());
        let etag = HeaderValue::try_from(format!("\"{short:016x}\""));
        Self {
            body,
            etag: etag.unwrap_or(HeaderValue::from_static("\"0\"")),
            links: Vec::new(),
        }
    }
}

/// An answer in the cache, with its nonces and lifetime.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) answer: Answer,
    /// The tags that the answer depends on, with the nonces that they had before it was loaded.
    pub(crate) nonces: Vec<(Tag, Nonce)>,
    pub(crate) loaded_at: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
}

/// The header that precedes the body in the store.
#[derive(Serialize, Deserialize)]
struct Head {
    etag: Vec<u8>,
    links: Vec<Vec<u8>>,
    nonces: Vec<(Tag, Nonce)>,
    loaded_millis: i64,
    expires_millis: i64,
}

impl Entry {
    pub(crate) fn new(
        answer: Answer,
        nonces: Vec<(Tag, Nonce)>,
        loaded_at: DateTime<Utc>,
        ttl: Duration,
    ) -> Self {
        let ttl = TimeDelta::from_std(ttl).unwrap_or_default();
        Self {
            answer,
            nonces,
            loaded_at,
            expires_at: loaded_at + ttl,
        }
    }

    /// Whether every nonce equals that of its tag in `present`.
    pub(crate) fn is_current<'a>(&self, present: impl Fn(&Tag) -> Option<&'a [u8]>) -> bool {
        self.nonces
            .iter()
            .all(|(tag, nonce)| present(tag) == Some(nonce.as_bytes()))
    }

    pub(crate) fn is_expired(&self, now: DateTime<Utc>) -> bool {
        now >= self.expires_at
    }

    /// Approximate size in memory, in bytes.
    pub(crate) fn weight(&self) -> u64 {
        let nonces: usize = self
            .nonces
            .iter()
            .map(|(tag, nonce)| tag.as_str().len() + nonce.len() + 64)
            .sum();
        let links: usize = self.answer.links.iter().map(|link| link.len() + 64).sum();
        (self.answer.body.len() + nonces + links + 256) as u64
    }

    pub(crate) fn encode(&self) -> Bytes {
        let head = Head {
            etag: self.answer.etag.as_bytes().into(),
            links: (self.answer.links.iter())
                .map(|link| link.as_bytes().into())
                .collect(),
            nonces: self.nonces.clone(),
            loaded_millis: self.loaded_at.timestamp_millis(),
            expires_millis: self.expires_at.timestamp_millis(),
        };
        // Serialising to memory cannot fail, and an entry that cannot be decoded is only a miss.
        let mut bytes = postcard::to_stdvec(&head).unwrap_or_default();
        bytes.reserve_exact(self.answer.body.len());
        bytes.extend_from_slice(&self.answer.body);
        bytes.into_boxed_slice().into()
    }

    /// Decodes what [`Entry::encode`] wrote; `None` for anything else. The body is not copied.
    pub(crate) fn decode(bytes: &Bytes) -> Option<Self> {
        let (head, body) = postcard::take_from_bytes::<Head>(bytes).ok()?;
        let answer = Answer {
            body: bytes.slice_ref(body),
            etag: HeaderValue::from_bytes(&head.etag).ok()?,
            links: (head.links.iter())
                .map(|link| HeaderValue::from_bytes(link).ok())
                .collect::<Option<_>>()?,
        };
        Some(Self {
            answer,
            nonces: head.nonces,
            loaded_at: DateTime::from_timestamp_millis(head.loaded_millis)?,
            expires_at: DateTime::from_timestamp_millis(head.expires_millis)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_comes_back_as_it_was_and_noise_does_not() {
        let at = DateTime::from_timestamp_millis(1_790_000_123_456).unwrap();
        let answer = Answer {
            body: Bytes::from_static(b"{\"name\":\"Tea\"}"),
            etag: HeaderValue::from_static("\"3\""),
            links: vec![HeaderValue::from_static("</v1/products>; rel=\"first\"")],
        };
        let nonces = vec![
            (Tag::epoch(), "run:a".to_owned()),
            ("products".into(), "b".into()),
        ];
        let entry = Entry::new(answer, nonces, at, TTL);
        let bytes = entry.encode();
        let back = Entry::decode(&bytes).unwrap();
        assert_eq!(format!("{back:?}"), format!("{entry:?}"));
        assert_eq!(back.expires_at - back.loaded_at, TimeDelta::seconds(600));
        for length in 0..bytes.len() - back.answer.body.len() {
            assert!(Entry::decode(&bytes.slice(..length)).is_none(), "{length}");
        }
    }

    #[test]
    fn a_body_is_kept_without_room_to_spare() {
        let text = "x".repeat(70_000);
        let answer = Answer::of(&[&text]);
        let length = answer.body.len();
        let entry = Entry::new(answer, Vec::new(), DateTime::default(), TTL);
        let encoded = entry.encode();
        let (own, stored) = (entry.answer.body, encoded.len());
        assert_eq!(own.try_into_mut().unwrap().capacity(), length);
        assert_eq!(encoded.try_into_mut().unwrap().capacity(), stored);
    }

    #[test]
    fn one_other_or_absent_nonce_makes_an_entry_old() {
        let answer = Answer {
            body: Bytes::new(),
            etag: HeaderValue::from_static("\"1\""),
            links: Vec::new(),
        };
        let nonces = vec![
            (Tag::from("a"), "1".to_owned()),
            (Tag::from("b"), "2".to_owned()),
        ];
        let entry = Entry::new(answer, nonces, DateTime::default(), TTL);
        let current = |a: Option<&'static [u8]>, b: Option<&'static [u8]>| {
            entry.is_current(|tag| if tag.as_str() == "a" { a } else { b })
        };
        assert!(current(Some(b"1"), Some(b"2")));
        assert!(!current(Some(b"1"), Some(b"1")));
        assert!(!current(None, Some(b"2")));
    }

    #[test]
    fn keys_keep_their_parts_apart() {
        assert_ne!(EntryKey::new("ab", "c"), EntryKey::new("a", "bc"));
        let key = EntryKey::new("products", "");
        assert_ne!(key, key.with(&[("products".into(), "1".into())]));
        assert_eq!(key.to_string().len(), 32);
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let header = || "[ -~]{0,40}".prop_map(|text| HeaderValue::try_from(text).unwrap());
        let links = proptest::collection::vec(header(), 0..5);
        let nonce = ("[a-z:0-9-]{1,40}", any::<String>());
        let nonces = proptest::collection::vec(
            nonce.prop_map(|(tag, nonce)| (Tag::from(tag.as_str()), nonce)),
            0..9,
        );
        let body = proptest::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from);
        let times = (0..4_000_000_000_000_i64, 0..1_000_000_u64);
        (body, header(), links, nonces, times).prop_map(|(body, etag, links, nonces, times)| {
            let at = DateTime::from_timestamp_millis(times.0).unwrap();
            let answer = Answer { body, etag, links };
            Entry::new(answer, nonces, at, Duration::from_millis(times.1))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_entry_is_decoded_as_it_was_encoded(entry in entry()) {
            let back = Entry::decode(&entry.encode()).unwrap();
            prop_assert_eq!(format!("{back:?}"), format!("{entry:?}"));
        }

        #[test]
        fn noise_in_the_store_is_at_most_a_miss(bytes in any::<Vec<u8>>(), entry in entry(), at in any::<prop::sample::Index>()) {
            // Whatever it is taken for, it does not fail, and is never current without its nonces.
            drop(Entry::decode(&Bytes::from(bytes)));
            let encoded = entry.encode();
            drop(Entry::decode(&encoded.slice(..at.index(encoded.len()))));
        }
    }
}

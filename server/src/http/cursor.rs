//! Cursors: signed positions in a list, so that a cursor cannot be altered or used with another query.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use stockroom_common::Kind;
use uuid::Uuid;

use crate::http::error::{Error, Result};

/// Length of the truncated signature in a cursor, in bytes: 128 bits cannot be guessed.
const SIGNATURE: usize = 16;

/// A position in a list, and the direction to read from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) direction: Direction,
    /// The row next to the page: its sort key as text, and its id. `None` for the end of the list. Without an id, the
    /// page starts with the first row that has this key.
    pub(crate) row: Option<(String, Option<Uuid>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

/// The key that signs cursors. All servers of a database use the same one.
#[derive(Clone)]
pub(crate) struct CursorKey(Vec<u8>);

impl CursorKey {
    /// Creates the key from a secret that all servers of the database share.
    pub(crate) const fn new(secret: Vec<u8>) -> Self {
        Self(secret)
    }

    /// Encodes and signs a cursor for the query that `binding` describes.
    pub(crate) fn seal(&self, cursor: &Cursor, binding: &str) -> String {
        let has_id = !matches!(&cursor.row, Some((_, None)));
        let mut bytes = vec![match (cursor.direction, has_id) {
            (Direction::Forward, true) => b'f',
            (Direction::Backward, true) => b'b',
            (Direction::Forward, false) => b'F',
            (Direction::Backward, false) => b'B',
        }];
        if let Some((key, id)) = &cursor.row {
            bytes.extend(id.iter().flat_map(|id| id.as_bytes()));
            bytes.extend_from_slice(key.as_bytes());
        }
        let signature = self.sign(&bytes, binding).finalize().into_bytes();
        bytes.extend_from_slice(&signature[..SIGNATURE]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Verifies and decodes a cursor.
    ///
    /// # Errors
    /// 400 if it was altered or belongs to another query.
    pub(crate) fn open(&self, text: &str, binding: &str) -> Result<Cursor> {
        let refused = || {
            Error::field(
                Kind::Unreadable,
                "?cursor",
                "invalid_cursor",
                "belongs to another query or was altered; start without a cursor",
            )
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
        let body_length = bytes.len().checked_sub(SIGNATURE).ok_or_else(refused)?;
        let (body, signature) = bytes.split_at(body_length);
        self.sign(body, binding)
            .verify_truncated_left(signature)
            .map_err(|_| refused())?;
        Self::parse(body).ok_or_else(refused)
    }

    fn parse(body: &[u8]) -> Option<Cursor> {
        let (direction, row) = body.split_first()?;
        let (direction, has_id) = match direction {
            b'f' => (Direction::Forward, true),
            b'b' => (Direction::Backward, true),
            b'F' => (Direction::Forward, false),
            b'B' => (Direction::Backward, false),
            _ => return None,
        };
        let text = |key: &[u8]| String::from_utf8(key.to_vec()).ok();
        if !has_id {
            return Some(Cursor {
                direction,
                row: Some((text(row)?, None)),
            });
        }
        if row.is_empty() {
            return Some(Cursor {
                direction,
                row: None,
            });
        }
        let (id, key) = row.split_at_checked(16)?;
        Some(Cursor {
            direction,
            row: Some((text(key)?, Some(Uuid::from_slice(id).ok()?))),
        })
    }

    fn sign(&self, body: &[u8], binding: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes any key length");
        mac.update(body);
        mac.update(&[0]);
        mac.update(binding.as_bytes());
        mac
    }
}

impl std::fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CursorKey")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_opens_only_unaltered_and_for_its_query() {
        let key = CursorKey(vec![7; 32]);
        let of = |id| Some(("Ærø".to_owned(), id));
        for row in [None, of(Some(Uuid::from_u128(5))), of(None)] {
            let cursor = Cursor {
                direction: Direction::Backward,
                row,
            };
            let sealed = key.seal(&cursor, "orders?status=paid");
            assert_eq!(key.open(&sealed, "orders?status=paid").unwrap(), cursor);
            assert!(key.open(&sealed, "orders").is_err());
            for index in 0..sealed.len() {
                let mut altered = sealed.clone().into_bytes();
                altered[index] = if altered[index] == b'A' { b'B' } else { b'A' };
                let altered = String::from_utf8(altered).unwrap();
                assert!(key.open(&altered, "orders?status=paid").is_err(), "{index}");
            }
        }
    }

    fn cursor() -> impl Strategy<Value = Cursor> {
        let direction = prop_oneof![Just(Direction::Forward), Just(Direction::Backward)];
        let id = proptest::option::of(any::<u128>().prop_map(Uuid::from_u128));
        let row = proptest::option::of((any::<String>(), id));
        (direction, row).prop_map(|(direction, row)| Cursor { direction, row })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_cursor_opens_as_it_was_sealed(
            cursor in cursor(),
            query in any::<String>(),
            other in any::<String>(),
            secret in proptest::collection::vec(any::<u8>(), 1..80),
        ) {
            let key = CursorKey(secret);
            let sealed = key.seal(&cursor, &query);
            prop_assert_eq!(key.open(&sealed, &query).unwrap(), cursor);
            prop_assert!(other == query || key.open(&sealed, &other).is_err());
        }

        #[test]
        fn no_other_text_is_a_cursor(text in any::<String>(), bytes in any::<Vec<u8>>()) {
            let key = CursorKey(vec![7; 32]);
            prop_assert!(key.open(&text, "").is_err());
            prop_assert!(key.open(&URL_SAFE_NO_PAD.encode(bytes), "").is_err());
        }
    }
}

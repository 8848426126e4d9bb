//! The order number: a short name that staff can read out on the phone. It is not unique, so it is never a key.

use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Order;
use crate::Id;

/// Digits and letters without I, L, O and U, which are easily mistaken for others (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The minute in which the order was placed, in UTC, and the lowest 20 bits of its id, written `YYMMDD-HHMM-XXXX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OrderNumber {
    minute: DateTime<Utc>,
    low: u32,
}

impl OrderNumber {
    pub fn of(id: Id<Order>) -> Self {
        let placed_at = id.time().unwrap_or_default();
        let into_minute = placed_at.timestamp_millis().rem_euclid(60_000);
        let (_, low) = id.uuid().as_u64_pair();
        Self {
            minute: placed_at - chrono::Duration::milliseconds(into_minute),
            low: (low & 0xf_ffff) as u32,
        }
    }

    /// The start of the minute in which the order was placed.
    pub const fn minute(self) -> DateTime<Utc> {
        self.minute
    }

    /// The lowest 20 bits of the id, as the last five hexadecimal digits of its UUID.
    pub fn last_hex_digits(self) -> String {
        format!("{:05x}", self.low)
    }
}

impl fmt::Display for OrderNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.minute.format("%y%m%d-%H%M"))?;
        for shift in [15, 10, 5, 0] {
            let digit = ALPHABET[(self.low >> shift & 31) as usize];
            fmt::Write::write_char(f, char::from(digit))?;
        }
        Ok(())
    }
}

impl FromStr for OrderNumber {
    type Err = String;

    /// Accepts what people type: any case, with or without the dashes, O for 0, I and L for 1.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused =
            || format!("`{text}` is not an order number; write one like 261124-0930-7K3Q");
        let compact: String = text
            .trim()
            .chars()
            .filter(|c| *c != '-')
            .map(|c| c.to_ascii_uppercase())
            .collect();
        let (minute, low) = compact.split_at_checked(10).ok_or_else(refused)?;
        if low.len() != 4 || !minute.bytes().all(|b| b.is_ascii_digit()) {
            return Err(refused());
        }
        let minute = NaiveDateTime::parse_from_str(&format!("20{minute}"), "%Y%m%d%H%M")
            .map_err(|_| refused())?;
        let mut bits = 0;
        for c in low.bytes() {
            let c = match c {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            let digit = ALPHABET
                .iter()
                .position(|known| *known == c)
                .ok_or_else(refused)?;
            bits = bits << 5 | digit as u32;
        }
        Ok(Self {
            minute: minute.and_utc(),
            low: bits,
        })
    }
}

impl Serialize for OrderNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OrderNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_back_as_people_write_it() {
        let at = "2026-11-24T09:30:41.123Z".parse().unwrap();
        let id = Id::<Order>::mint(at, [0, 0, 0, 0, 0, 0, 0, 0x03, 0x9a, 0x7f]);
        let number = OrderNumber::of(id);
        assert_eq!(number.to_string(), "261124-0930-76KZ");
        assert_eq!(number.last_hex_digits(), id.to_string()[31..]);
        for typed in ["261124-0930-76KZ", " 2611240930-76kz "] {
            assert_eq!(typed.parse(), Ok(number));
        }
    }

    #[test]
    fn other_text_is_refused() {
        for typed in [
            "",
            "261124",
            "261324-0930-76KZ",
            "261124-0930-76KU",
            "é61124-0930-76KZ",
        ] {
            assert!(typed.parse::<OrderNumber>().is_err(), "{typed}");
        }
    }
}

//! The file formats of rows.

use std::{fmt, path::Path, str::FromStr};

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One JSON document per line, as the API returns it.
    Ndjson,
    /// A table with a header (RFC 4180).
    Csv,
}

impl Format {
    pub const ALL: [Self; 2] = [Self::Ndjson, Self::Csv];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }

    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }

    /// The format that a `Content-Type` names.
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        let essence = media_type.split(';').next()?.trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
                Some(Self::Ndjson)
            }
            "text/csv" => Some(Self::Csv),
            _ => None,
        }
    }

    /// The format that the extension of a file stands for; a trailing `.gz` is ignored.
    pub fn of_file(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "gz" => Self::of_file(Path::new(path.file_stem()?)),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "csv" | "tsv" | "txt" => Some(Self::Csv),
            _ => None,
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let format = Self::ALL.into_iter().find(|format| format.as_str() == text);
        format.ok_or_else(|| format!("is `{text}`; it may be csv or ndjson"))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_tell_their_format() {
        let of = |name: &str| Format::of_file(Path::new(name));
        assert_eq!(of("a/orders.csv"), Some(Format::Csv));
        assert_eq!(of("orders.NDJSON.gz"), Some(Format::Ndjson));
        assert_eq!(of("orders.jsonl"), Some(Format::Ndjson));
        assert_eq!(of("orders.gz"), None);
        assert_eq!(of("orders"), None);
    }

    #[test]
    fn media_types_tell_theirs() {
        let of = Format::of_media_type;
        assert_eq!(of("Text/CSV; charset=utf-8"), Some(Format::Csv));
        for format in Format::ALL {
            assert_eq!(of(format.media_type()), Some(format));
        }
        assert_eq!(of("application/json"), None);
    }
}

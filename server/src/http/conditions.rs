//! ETags and the preconditions that compare them (RFC 9110, section 13).

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use stockroom_common::{Kind, Resource};

use crate::http::error::{Error, Result};

/// The ETag of a row, which is its version.
pub(crate) fn etag<R: Resource>(row: &R) -> HeaderValue {
    let text = format!("\"{}\"", row.version());
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("\"0\""))
}

/// The ETags that a condition header names.
#[derive(Clone, Debug, Default)]
pub(crate) enum Tags {
    /// The request does not have the header.
    #[default]
    Absent,
    /// `*`: any existing row.
    Any,
    /// If empty, nothing matches.
    Some(Vec<String>),
}

impl Tags {
    /// Reads `If-Match` or `If-None-Match`.
    pub(crate) fn read(headers: &HeaderMap, name: HeaderName) -> Self {
        let mut values = headers.get_all(name).iter().peekable();
        if values.peek().is_none() {
            return Self::Absent;
        }
        let tags: Vec<&str> = values
            // A tag that is not text matches nothing.
            .map(|value| value.to_str().unwrap_or("?"))
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|tag| !tag.is_empty())
            .collect();
        match tags.as_slice() {
            ["*"] => Self::Any,
            // Compressing proxies turn a strong ETag into a weak one, but the content is still the same.
            tags => Self::Some(
                tags.iter()
                    .map(|tag| tag.strip_prefix("W/").unwrap_or(tag).to_owned())
                    .collect(),
            ),
        }
    }

    /// Whether existing content with this ETag matches.
    fn include(&self, etag: &HeaderValue) -> bool {
        match self {
            Self::Absent => false,
            Self::Any => true,
            Self::Some(tags) => tags.iter().any(|tag| tag.as_bytes() == etag.as_bytes()),
        }
    }

    const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// The conditions of a read.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadConditions {
    matching: Tags,
    known: Tags,
}

/// The outcome of the conditions of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Answer,
    /// The caller already has this answer: 304.
    Known,
    /// The caller asked for another version: 412.
    Failed,
}

impl ReadConditions {
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        Self {
            matching: Tags::read(headers, header::IF_MATCH),
            known: Tags::read(headers, header::IF_NONE_MATCH),
        }
    }

    pub(crate) fn verdict(&self, etag: &HeaderValue) -> Verdict {
        if !self.matching.is_absent() && !self.matching.include(etag) {
            return Verdict::Failed;
        }
        if self.known.include(etag) {
            Verdict::Known
        } else {
            Verdict::Answer
        }
    }
}

/// Whether a PUT may only create the row, not replace it.
///
/// # Errors
/// 412 if the request also requires the row to exist, which is a contradiction.
pub(crate) fn wants_create(headers: &HeaderMap) -> Result<bool> {
    if !matches!(Tags::read(headers, header::IF_NONE_MATCH), Tags::Any) {
        return Ok(false);
    }
    if Tags::read(headers, header::IF_MATCH).is_absent() {
        return Ok(true);
    }
    let detail = "`If-Match` requires the row to exist, `If-None-Match: *` requires it not to.";
    Err(Error::refused(Kind::PreconditionFailed, detail))
}

/// Refuses a write to an existing row if the caller expects another version, or no row.
///
/// # Errors
/// 412 if a condition does not hold, 428 if `If-Match` is absent but `required`.
pub(crate) fn check_version<R: Resource>(
    headers: &HeaderMap,
    row: &R,
    required: bool,
) -> Result<()> {
    let (matching, etag) = (Tags::read(headers, header::IF_MATCH), etag(row));
    if matching.is_absent() && required {
        return Err(Error::refused(
            Kind::PreconditionRequired,
            "Send the ETag of the version that you have read in `If-Match`.",
        ));
    }
    let is_other = !matching.is_absent() && !matching.include(&etag);
    if is_other || Tags::read(headers, header::IF_NONE_MATCH).include(&etag) {
        let detail = format!(
            "The {} is at version {} now. Read it again and repeat the change.",
            R::NAME,
            row.version()
        );
        return Err(Error::refused(Kind::PreconditionFailed, detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_on_reads_follow_the_rfc() {
        let etag = HeaderValue::from_static("\"7\"");
        let verdict = |matching: &[&'static str], known: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in matching {
                headers.append(header::IF_MATCH, HeaderValue::from_static(value));
            }
            for value in known {
                headers.append(header::IF_NONE_MATCH, HeaderValue::from_static(value));
            }
            ReadConditions::read(&headers).verdict(&etag)
        };
        assert_eq!(verdict(&[], &[]), Verdict::Answer);
        for known in ["\"7\"", "W/\"7\"", "*", "\"6\", \"7\""] {
            assert_eq!(verdict(&[], &[known]), Verdict::Known, "{known}");
            assert_eq!(verdict(&[known], &[]), Verdict::Answer, "{known}");
        }
        for other in ["\"6\"", "", ",", "7"] {
            assert_eq!(verdict(&[], &[other]), Verdict::Answer, "{other}");
            assert_eq!(verdict(&[other], &["\"7\""]), Verdict::Failed, "{other}");
        }
        assert_eq!(verdict(&["\"6\"", "\"7\""], &["\"7\""]), Verdict::Known);
    }
}

//! ETags and the preconditions that compare them (RFC 9110, section 13).

use axum::http::{HeaderMap, HeaderValue, header};
use stockroom_common::{Kind, Resource};

use crate::error::{Error, Result};

/// The ETag of a row: its version.
pub(crate) fn etag<R: Resource>(row: &R) -> HeaderValue {
    let text = format!("\"{}\"", row.version());
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("\"0\""))
}

/// Whether a caller whose `If-None-Match` has these values has the answer with this ETag (304).
pub(crate) fn is_known(values: &[HeaderValue], etag: &HeaderValue) -> bool {
    match tags(values) {
        Tags::Absent => false,
        Tags::Any => true,
        Tags::Some(tags) => tags.iter().any(|tag| {
            // Reading compares weakly: a proxy may have weakened our tag on its way.
            tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag.as_bytes()
        }),
    }
}

/// Whether a PUT is to create the row, and only if there is none.
pub(crate) fn wants_create(headers: &HeaderMap) -> bool {
    matches!(tags(headers.get_all(header::IF_NONE_MATCH)), Tags::Any)
}

/// Refuses a write that was made for another version of the row.
///
/// # Errors
/// 412 where `If-Match` names other versions, 428 where it is absent but `required`.
pub(crate) fn check_version<R: Resource>(
    headers: &HeaderMap,
    row: &R,
    required: bool,
) -> Result<()> {
    match tags(headers.get_all(header::IF_MATCH)) {
        Tags::Absent if required => Err(Error::refused(
            Kind::PreconditionRequired,
            "Say which version you mean: send its ETag in `If-Match`.",
        )),
        Tags::Absent | Tags::Any => Ok(()),
        Tags::Some(tags)
            if tags
                .iter()
                .any(|tag| tag.as_bytes() == etag(row).as_bytes()) =>
        {
            Ok(())
        }
        Tags::Some(_) => Err(Error::refused(
            Kind::PreconditionFailed,
            format!(
                "The {} is at version {} by now; read it again and repeat the change.",
                R::NAME,
                row.version()
            ),
        )),
    }
}

enum Tags {
    Absent,
    Any,
    Some(Vec<String>),
}

fn tags<'a>(values: impl IntoIterator<Item = &'a HeaderValue>) -> Tags {
    let values: Vec<&str> = values
        .into_iter()
        // A tag that is not even text matches nothing.
        .map(|value| value.to_str().unwrap_or("?"))
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|tag| !tag.is_empty())
        .collect();
    match values.as_slice() {
        [] => Tags::Absent,
        ["*"] => Tags::Any,
        tags => Tags::Some(tags.iter().map(|&tag| tag.to_owned()).collect()),
    }
}

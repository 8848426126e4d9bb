//! Responses that several features use.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use stockroom_common::format::Format;

/// A response that the caller saves as the file `name`, with the extension of `format`.
pub(crate) fn attachment(body: Body, name: &str, format: Format) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(format.media_type()),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(name) = format!("attachment; filename=\"{name}.{format}\"").parse() {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

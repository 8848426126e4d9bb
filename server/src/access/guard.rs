//! Lets only those requests through whose token has the role that the route takes.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody},
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use stockroom_common::{Kind, access::PREFIX};

use super::{
    known::{Access, Bearer},
    rights::Rights,
};
use crate::{
    http::error::{Error, Result},
    process::clock::Clock,
};

/// What the check needs; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) access: Arc<Access>,
    pub(crate) rights: Arc<Rights>,
    pub(crate) clock: Clock,
}

/// Checks the token of a request, and passes its principal on.
pub(crate) async fn authorize(
    State(guard): State<Guard>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(path) = request.extensions().get::<MatchedPath>() else {
        // There is no such route; everybody may know that.
        return next.run(request).await;
    };
    let Some(role) = guard.rights.find(path.as_str(), request.method()) else {
        return not_allowed(&guard.rights, path.as_str(), request.method());
    };
    if let Err(error) = refuse_in_url(request.uri().query().unwrap_or_default()) {
        return error.into_response();
    }
    let Some(role) = role else {
        return next.run(request).await;
    };
    let secret = match secret(request.headers()) {
        Ok(secret) => secret,
        Err(error) => return challenge(error, false),
    };
    let bearer = match guard.access.check(secret, &guard.clock) {
        Ok(Some(bearer)) => bearer,
        Ok(None) => {
            request.extensions_mut().insert(Access::anonymous());
            return next.run(request).await;
        }
        Err(error) => return challenge(error, secret.is_some()),
    };
    tracing::Span::current().record("token", &*bearer.principal.name);
    if let Err(error) = bearer.principal.require(role) {
        return error.into_response();
    }
    request.extensions_mut().insert(bearer.principal.clone());
    cut_off(next.run(request).await, bearer, guard.clock)
}

/// The secret in the `Authorization` header.
///
/// # Errors
/// 400 if there are several headers, 401 if it is of another scheme.
fn secret(headers: &HeaderMap) -> Result<Option<&str>> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        let detail = "Send one `Authorization` header.";
        return Err(Error::refused(Kind::Unreadable, detail));
    }
    let Some(value) = first else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    match text.split_once(' ') {
        Some((scheme, secret)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(secret.trim())),
        _ => Err(Error::refused(
            Kind::Unauthenticated,
            "Send the token as `Authorization: Bearer sr_…`.",
        )),
    }
}

/// Refuses a token in the URL, because logs and histories of browsers and proxies keep URLs.
fn refuse_in_url(query: &str) -> Result<()> {
    if !holds_secret(query) {
        return Ok(());
    }
    let detail = "A token is in the URL, where logs keep it. Revoke it, and send its successor as `Authorization: Bearer sr_…`.";
    Err(Error::refused(Kind::Unreadable, detail))
}

/// Whether a query string seems to hold a token.
pub(crate) fn holds_secret(query: &str) -> bool {
    query.split('&').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        name.eq_ignore_ascii_case("access_token") || value.starts_with(PREFIX)
    })
}

/// A refusal that says which scheme is expected, if it is a 401 (RFC 6750, section 3).
fn challenge(error: Error, has_token: bool) -> Response {
    let mut response = error.into_response();
    if response.status() != StatusCode::UNAUTHORIZED {
        return response;
    }
    let scheme = if has_token {
        r#"Bearer realm="stockroom", error="invalid_token""#
    } else {
        r#"Bearer realm="stockroom""#
    };
    let value = HeaderValue::from_static(scheme);
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, value);
    response
}

fn not_allowed(rights: &Rights, path: &str, method: &Method) -> Response {
    let mut allowed: Vec<&str> = rights
        .of_path(path)
        .iter()
        .map(|(method, _)| method.as_str())
        .collect();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    let detail = format!("{path} does not take {method}; see the `Allow` header.");
    let mut response = Error::refused(Kind::MethodNotAllowed, detail).into_response();
    if let Ok(allowed) = HeaderValue::try_from(allowed.join(",")) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

/// Ends a response that is still streaming when its token is revoked or expires.
fn cut_off(response: Response, bearer: Arc<Bearer>, clock: Clock) -> Response {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| {
        let end = async move {
            let mut revoked = bearer.revoked.subscribe();
            let expiry = async {
                match bearer.principal.expires_at {
                    Some(at) => {
                        let left = (at - clock.now()).to_std().unwrap_or(Duration::ZERO);
                        tokio::time::sleep(left).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The sender lives in `bearer`.
                _ = revoked.wait_for(|revoked| *revoked) => {}
                () = expiry => {}
            }
        };
        Body::from_stream(body.into_data_stream().take_until(Box::pin(end)))
    })
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt;

    use super::*;
    use crate::access::rights::{GET, POST, PUBLIC, Routes};

    #[test]
    fn a_token_in_a_url_is_found() {
        for query in ["token=sr_abc", "q=x&key=sr_1", "access_token=1", "sr_abc"] {
            assert!(holds_secret(query), "{query}");
        }
        for query in ["", "q=sr", "limit=5&q=s", "q=xsr_"] {
            assert!(!holds_secret(query), "{query}");
        }
    }

    #[tokio::test]
    async fn a_route_without_an_entry_in_the_table_does_not_answer() {
        let routes = Routes::<()>::new()
            .on(PUBLIC, GET, "/listed", async || "listed")
            // Past the table, as nobody should.
            .layered(|routes| routes.route("/listed", axum::routing::post(async || "unlisted")))
            .layered(|routes| routes.route("/unlisted", axum::routing::get(async || "unlisted")));
        let (router, rights) = routes.into_parts();
        let guard = Guard {
            access: Arc::default(),
            rights: Arc::new(rights),
            clock: Clock::system(),
        };
        let router = router.layer(axum::middleware::from_fn_with_state(guard, authorize));
        let status = async |method: Method, path: &str| {
            let request = Request::builder().method(method).uri(path);
            let request = request.body(Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await;
            answer.unwrap().status().as_u16()
        };
        assert_eq!(status(GET, "/listed").await, 200);
        assert_eq!(status(POST, "/listed").await, 405);
        assert_eq!(status(GET, "/unlisted").await, 405);
    }
}

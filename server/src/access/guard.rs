//! Lets only those requests through whose token has the role that the route takes.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, uri::PathAndQuery},
    middleware::Next,
    response::{IntoResponse, Response},
};
use hyper::body::{Frame, SizeHint};
use percent_encoding::percent_decode_str;
use stockroom_common::{
    Kind,
    access::{self, check_secret},
};

use super::{
    known::{Access, Bearer},
    rights::Rights,
};
use crate::{
    http::{
        error::{Error, Result},
        listener::Caller,
    },
    process::clock::Clock,
};

/// A body of at most so many bytes is sent or received before a revocation matters.
const SHORT: u64 = 64 << 10;

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
    if let Err(error) = refuse_in_url(request.uri()) {
        return error.into_response();
    }
    let Some(role) = role else {
        return next.run(request).await;
    };
    let secret = match secret(request.headers()) {
        Ok(secret) => secret,
        Err(error) => return challenge(error, None),
    };
    let caller = request.extensions().get::<ConnectInfo<Caller>>();
    let bearer = match guard.access.check(secret, &guard.clock) {
        Ok(Some(bearer)) => bearer,
        Ok(None) => {
            request.extensions_mut().insert(Access::anonymous());
            return next.run(request).await;
        }
        Err(error) if secret.is_none() => return challenge(error, None),
        Err(error) => {
            let address = caller.map_or("", |ConnectInfo(caller)| caller.host());
            if !guard.access.failures.count(address, Instant::now()) {
                return slow_down();
            }
            tracing::warn!(address, reason = %error, "a token was refused");
            return challenge(error, secret);
        }
    };
    tracing::Span::current().record("token", &*bearer.principal.name);
    if let Err(error) = bearer.principal.require(role) {
        return error.into_response();
    }
    request.extensions_mut().insert(bearer.principal.clone());
    let request = request.map(|body| CutOff::wrap(body, &bearer, &guard.clock));
    let response = next.run(request).await;
    response.map(|body| CutOff::wrap(body, &bearer, &guard.clock))
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
fn refuse_in_url(uri: &Uri) -> Result<()> {
    if !holds_secret(uri) {
        return Ok(());
    }
    let detail = "A token is in the URL, where logs keep it. Revoke it, and send its successor as `Authorization: Bearer sr_…`.";
    Err(Error::refused(Kind::Unreadable, detail))
}

/// Whether a URL holds a token, encoded or not.
pub(crate) fn holds_secret(uri: &Uri) -> bool {
    let text = uri.path_and_query().map_or("", PathAndQuery::as_str);
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    let mut places = decoded.match_indices(access::PREFIX);
    places.any(|(at, _)| {
        let secret = decoded.get(at..at + access::LENGTH);
        secret.is_some_and(|secret| check_secret(secret).is_ok())
    })
}

/// The answer to an address that sends one wrong token after the other.
fn slow_down() -> Response {
    let detail = "Too many tokens from this address were refused. Wait a second.";
    let mut response = Error::refused(Kind::TooMany, detail).into_response();
    let second = HeaderValue::from_static("1");
    response.headers_mut().insert(header::RETRY_AFTER, second);
    response
}

/// A refusal that says which scheme is expected, if it is a 401 (RFC 6750, section 3).
fn challenge(error: Error, secret: Option<&str>) -> Response {
    let mut response = error.into_response();
    if response.status() != StatusCode::UNAUTHORIZED {
        return response;
    }
    let scheme = if secret.is_some() {
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

/// A body that fails when its token is revoked or expires. It fails rather than ends, so that neither side takes what it
/// has for the whole.
struct CutOff {
    body: Body,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl CutOff {
    /// Wraps a body that may take long. Others are returned as they are.
    fn wrap(body: Body, bearer: &Arc<Bearer>, clock: &Clock) -> Body {
        if body.size_hint().exact().is_some_and(|size| size <= SHORT) {
            return body;
        }
        let (bearer, clock) = (bearer.clone(), clock.clone());
        let end = Box::pin(async move { bearer.ended(&clock).await });
        Body::new(Self { body, end })
    }
}

impl HttpBody for CutOff {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.end.as_mut().poll(cx).is_ready() {
            // It must not be polled again.
            self.end = Box::pin(std::future::pending());
            self.body = Body::empty();
            let error = std::io::Error::other("the token was revoked or has expired");
            return Poll::Ready(Some(Err(axum::Error::new(error))));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt;

    use super::*;
    use crate::access::rights::{GET, POST, PUBLIC, Routes};

    #[test]
    fn a_token_in_a_url_is_found_however_it_is_written() {
        let secret = access::secret_of(&"x".repeat(access::RANDOM_LENGTH));
        let secret = secret.expose();
        let holds = |uri: &str| holds_secret(&uri.parse().unwrap());
        for uri in [
            format!("/v1/products?token={secret}"),
            format!("/v1/products?q=a+{secret}"),
            format!("/v1/products?q=%73r_{}", &secret[3..]),
            format!("/v1/products/{secret}"),
            format!("/v1/products?q=sr_{secret}"),
        ] {
            assert!(holds(&uri), "{uri}");
        }
        for uri in [
            "/",
            "/v1/products?q=sr_",
            "/v1/products?sku=sr_1",
            &format!("/x?q={}", &secret[..51]),
        ] {
            assert!(!holds(uri), "{uri}");
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

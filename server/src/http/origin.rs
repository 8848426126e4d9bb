//! Rejects requests from foreign web pages. A browser on this machine lets any page send requests to a local server:
//! by cross-origin requests, or by DNS rebinding, where the page's own host name suddenly resolves to this machine.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, Version, header, uri::Authority},
};
use stockroom_common::Kind;

use crate::http::error::Error;

type Result<T, E = Error> = std::result::Result<T, E>;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The host names that requests may use for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// Any name: the server is meant for other machines, which may know it under any name.
    Any,
    /// Loopback addresses and `localhost` names, and the listed names.
    Local(Vec<String>),
}

/// Parses the value of `--allow-host`.
///
/// # Errors
/// The reason why it is not a host name.
pub(crate) fn parse_host(text: &str) -> Result<String, String> {
    let name = Authority::try_from(text).map_err(|_| format!("`{text}` is not a host name"))?;
    if name.as_str().contains(['@', '*']) {
        return Err(format!(
            "`{text}` is not a host name; write one like shop.example"
        ));
    }
    // The port is ignored: it is that of the proxy that forwards the request.
    Ok(name.host().to_ascii_lowercase())
}

impl Hosts {
    fn include(&self, host: &str) -> bool {
        let Self::Local(further) = self else {
            return true;
        };
        let host = host.trim_end_matches('.');
        let is_loopback = host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
            || host
                .trim_matches(['[', ']'])
                .parse::<Ipv6Addr>()
                .is_ok_and(|ip| ip.to_canonical().is_loopback());
        let host = host.to_ascii_lowercase();
        is_loopback
            || host == "localhost"
            || host.ends_with(".localhost")
            || further
                .iter()
                .any(|known| known.eq_ignore_ascii_case(&host))
    }
}

/// Refuses requests from web pages of other origins, and requests whose host is unclear or not in `hosts`.
///
/// # Errors
/// 400 if the host is missing or unclear, 403 for a page of another origin, 421 if the host is not in `hosts`.
pub(crate) fn check(request: &Request, hosts: &Hosts) -> Result<()> {
    let headers = request.headers();
    let host = host(request)?;
    if let Some(host) = host.as_ref().filter(|host| !hosts.include(host.host())) {
        let detail = format!(
            "This server is not called {}; use 127.0.0.1 or localhost, or start it with --allow-host {}.",
            host.host(),
            host.host()
        );
        return Err(Error::refused(Kind::Misdirected, detail));
    }
    let site = headers.get(SEC_FETCH_SITE).map(|site| site.as_bytes());
    let is_foreign = site.is_some_and(|site| site != b"same-origin" && site != b"none");
    if is_foreign || !is_same_origin(headers, host.as_ref()) {
        let detail = "Web pages of other origins may not use this server.";
        return Err(Error::refused(Kind::Forbidden, detail));
    }
    Ok(())
}

/// The host that the request is for. A request must name it exactly once; only HTTP/1.0 may omit it.
fn host(request: &Request) -> Result<Option<Authority>> {
    let unclear = || {
        Error::refused(
            Kind::Unreadable,
            "Send one `Host` header with the server's name.",
        )
    };
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    // HTTP/2 may name the host only in `:authority`, and a request in absolute form names it in its target.
    let is_in_line = request.uri().authority().is_some();
    let is_missing = host.is_none() && !is_in_line && request.version() >= Version::HTTP_11;
    if is_missing || second.is_some() {
        return Err(unclear());
    }
    // The request target takes precedence over the `Host` header (RFC 9112, section 3.2.2).
    if let Some(authority) = request.uri().authority() {
        return Ok(Some(authority.clone()));
    }
    let host = host.map(|host| Authority::try_from(host.as_bytes()));
    let host = host.transpose().map_err(|_| unclear())?;
    match host {
        // User information is only allowed in URLs.
        Some(host) if host.as_str().contains('@') => Err(unclear()),
        host => Ok(host),
    }
}

/// Whether the request has no `Origin` header, or one that names this server.
fn is_same_origin(headers: &HeaderMap, host: Option<&Authority>) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let origin = origin.to_str().unwrap_or_default();
    let Some((_, origin)) = origin.split_once("://") else {
        return false;
    };
    host.is_some_and(|host| host.as_str().eq_ignore_ascii_case(origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(hosts: &Hosts, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::builder().uri("/v1/categories");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(axum::body::Body::empty()).unwrap();
        check(&request, hosts).map_or_else(|error| error.into_problem().status, |()| 200)
    }

    #[test]
    fn a_local_server_is_called_by_local_names() {
        let local = Hosts::Local(vec!["shop.example".into()]);
        for host in [
            "127.0.0.1:7878",
            "127.9.9.9",
            "[::1]:80",
            "[::ffff:127.0.0.1]:80",
            "localhost",
            "LOCALHOST:7",
            "shop.localhost",
            "Shop.Example:443",
        ] {
            assert_eq!(refusal(&local, &[("host", host)]), 200, "{host}");
        }
        for host in [
            "evil.example",
            "192.0.2.1:7878",
            "localhost.evil.example",
            "[2001:db8::1]",
        ] {
            assert_eq!(refusal(&local, &[("host", host)]), 421, "{host}");
            assert_eq!(refusal(&Hosts::Any, &[("host", host)]), 200, "{host}");
        }
        assert_eq!(refusal(&local, &[]), 400);
        assert_eq!(
            refusal(&local, &[("host", "localhost"), ("host", "localhost")]),
            400
        );
        assert_eq!(refusal(&local, &[("host", "a b")]), 400);
        assert_eq!(refusal(&local, &[("host", "ada@localhost")]), 400);
        let in_line = |uri: &str| {
            let request = Request::builder().uri(uri).version(Version::HTTP_2);
            let request = request.body(axum::body::Body::empty()).unwrap();
            check(&request, &local).map_or_else(|error| error.into_problem().status, |()| 200)
        };
        assert_eq!(in_line("http://localhost:7878/livez"), 200, "HTTP/2");
        assert_eq!(in_line("http://evil.example/livez"), 421);
    }

    #[test]
    fn further_names_are_names() {
        assert_eq!(parse_host("Shop.example:8080").unwrap(), "shop.example");
        for text in ["", "*", "*.example", "http://x", "a b", "ada@shop.example"] {
            parse_host(text).unwrap_err();
        }
    }

    #[test]
    fn pages_from_elsewhere_are_refused() {
        let local = Hosts::Local(Vec::new());
        let from =
            |name: &str, value: &str| refusal(&local, &[("host", "localhost:7878"), (name, value)]);
        assert_eq!(from("origin", "http://localhost:7878"), 200);
        for origin in ["http://evil.example", "null", "http://localhost:3000", ""] {
            assert_eq!(from("origin", origin), 403, "{origin:?}");
        }
        for (site, status) in [
            ("same-origin", 200),
            ("none", 200),
            ("cross-site", 403),
            ("same-site", 403),
        ] {
            assert_eq!(from("sec-fetch-site", site), status, "{site}");
        }
    }
}

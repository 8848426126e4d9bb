//! The address of a server, and HTTP to it with the user's token.

use std::{borrow::Cow, net::IpAddr, path::PathBuf, time::Duration};

use reqwest::{
    Client, Method, RequestBuilder, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};

use super::credentials::Credentials;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept for the next call.
const IDLE_LIMIT: Duration = Duration::from_secs(20);

/// The address of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    Url(String),
    /// The Unix socket of a local server.
    Socket(PathBuf),
}

impl Server {
    /// The full address, which identifies the server. It may contain a password.
    pub fn address(&self) -> String {
        match self {
            Self::Url(url) => url.clone(),
            Self::Socket(path) => path.display().to_string(),
        }
    }

    /// An HTTP client for the server, and the common start of its URLs.
    fn client(&self) -> reqwest::Result<(Client, String)> {
        let builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            // Shorter than the server waits for the next request. Otherwise the client could sometimes send a
            // request on a connection that the server is just closing.
            .pool_idle_timeout(IDLE_LIMIT)
            .user_agent(concat!("stockroom/", env!("CARGO_PKG_VERSION")));
        match self {
            // To a proxy, a loopback address means the proxy's own machine.
            Self::Url(url) if is_loopback(url) => {
                let client = builder.no_proxy().build()?;
                Ok((client, url.trim_end_matches('/').to_owned()))
            }
            Self::Url(url) => Ok((builder.build()?, url.trim_end_matches('/').to_owned())),
            Self::Socket(path) => {
                let client = builder.unix_socket(path.as_path()).build()?;
                Ok((client, "http://localhost".into()))
            }
        }
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(url) => f.write_str(&without_userinfo(url)),
            Self::Socket(_) => f.write_str("local shop"),
        }
    }
}

/// Whether the URL leads to this machine.
pub(crate) fn is_loopback(url: &str) -> bool {
    let url = Url::parse(url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    let host = host.trim_end_matches('.');
    let ip: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let ip = ip.map(|ip| ip.to_canonical());
    host == "localhost" || host.ends_with(".localhost") || ip.is_some_and(|ip| ip.is_loopback())
}

/// The URL without its user name and password, so that it can be shown.
pub(crate) fn without_userinfo(url: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = url.split_once("://") else {
        // Not a URL, but the user may have entered it as one, with a password.
        return url.rsplit_once('@').map_or(url, |(_, host)| host).into();
    };
    let authority = match Url::parse(url) {
        Ok(_) => rest.split(['/', '?', '#']).next().unwrap_or_default(),
        // A slash in the password makes the URL invalid. The error message shows the URL, so look for `@` in all of it.
        Err(_) => rest,
    };
    match authority.rsplit_once('@') {
        Some((userinfo, _)) => format!("{scheme}://{}", &rest[userinfo.len() + 1..]).into(),
        None => url.into(),
    }
}

/// HTTP to one server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    base: String,
    pub credentials: Credentials,
}

impl Http {
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(server: &Server, credentials: Credentials) -> reqwest::Result<Self> {
        let (client, base) = server.client()?;
        Ok(Self {
            client,
            base,
            credentials,
        })
    }

    /// A request with the user's token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let token = self.credentials.token();
        let value = token.and_then(|token| {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        match value {
            // Takes the place of a name and a password in the URL.
            Some(value) => request.headers(HeaderMap::from_iter([(AUTHORIZATION, value)])),
            None => request,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_passwords() {
        for (url, shown) in [
            ("http://ada:s3cret@host:7878/x", "http://host:7878/x"),
            ("https://ada@host", "https://host"),
            ("http://host/a@b", "http://host/a@b"),
            ("http://a:b@c@host", "http://host"),
            ("http://ada:s3/cr@et@host", "http://host"),
            ("nonsense", "nonsense"),
            ("ada:s3cret@host:7878", "host:7878"),
        ] {
            assert_eq!(without_userinfo(url), shown);
            assert_eq!(Server::Url(url.into()).to_string(), shown);
        }
    }
}

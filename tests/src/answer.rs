//! An HTTP response, read whole, with the parts that tests check.

use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Null if the body is empty.
    pub body: Value,
}

impl Answer {
    pub async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap()
        };
        Self {
            status,
            headers,
            body,
        }
    }

    /// Checks the status and returns the body.
    #[track_caller]
    pub fn ok(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{:#}", self.body);
        self.body
    }

    /// Checks that the request was refused with a complete problem document; returns its detail.
    #[track_caller]
    pub fn refused(self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{:#}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["status"], status);
        for member in ["type", "title", "detail"] {
            let text = self.body[member].as_str().unwrap();
            assert!(!text.is_empty(), "{member} is empty");
        }
        self.body["detail"].as_str().unwrap().into()
    }

    /// Checks that the request was refused because of one field.
    #[track_caller]
    pub fn refused_at(self, status: u16, pointer: &str, code: &str) {
        let error = self.body["errors"][0].clone();
        self.refused(status);
        assert_eq!(
            (&error["pointer"], &error["code"]),
            (&pointer.into(), &code.into()),
            "{error}"
        );
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The target of the `Link` header with this relation.
    pub fn link(&self, relation: &str) -> Option<String> {
        let wanted = format!("rel=\"{relation}\"");
        let links = self
            .headers
            .get_all("link")
            .iter()
            .map(|link| link.to_str().unwrap());
        let link = links.into_iter().find(|link| link.ends_with(&wanted))?;
        Some(link[1..link.find('>')?].to_owned())
    }
}

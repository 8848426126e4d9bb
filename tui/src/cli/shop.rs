//! The server as the commands use it: one call at a time.

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    io::{
        api::{self, StreamEvent},
        credentials::Credentials,
        local::LocalServer,
        server::{Http, Server},
    },
    messages::call::{Answer, Call, Failure, Owner, Precondition, Ticket},
};

pub(crate) struct Shop {
    pub(crate) server: Server,
    pub(crate) credentials: Credentials,
    pub(crate) local: Option<LocalServer>,
}

impl Shop {
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<T, Failure> {
        let answer = self.send(method, path, body, Precondition::None).await?;
        answer.read().map_err(Failure::NoAnswer)
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        precondition: Precondition,
    ) -> Result<Answer, Failure> {
        let http = self.http().await?;
        // The ticket is not used: only this function waits for the answer.
        let ticket = Ticket {
            owner: Owner::Job,
            run: 0,
        };
        let call = Call {
            body,
            precondition,
            ..Call::new(ticket, method, path)
        };
        api::exchange(&http, call).await
    }

    /// Follows an event stream, starting after the event with the id `after`; returns why it ended. An event may
    /// contain only an id. `on_progress` returns whether to continue.
    pub(crate) async fn follow<T: DeserializeOwned>(
        &self,
        path: &str,
        after: Option<&str>,
        mut on_progress: impl FnMut(Option<&str>, Option<T>) -> bool,
    ) -> Failure {
        let http = match self.http().await {
            Ok(http) => http,
            Err(failure) => return failure,
        };
        let read = |event: StreamEvent<'_>| {
            if event.data.is_empty() {
                return on_progress(event.id, None);
            }
            match serde_json::from_str(event.data) {
                Ok(value) => on_progress(event.id, Some(value)),
                Err(_) => false,
            }
        };
        api::stream(&http, path, after, read).await
    }

    pub(crate) async fn http(&self) -> Result<Http, Failure> {
        if let Some(local) = &self.local {
            local.ensure().await.map_err(Failure::Unreachable)?;
        }
        let http = Http::new(&self.server, self.credentials.clone());
        http.map_err(|_| Failure::Unreachable("TLS cannot be set up.".into()))
    }
}

//! The server as commands use it: one call after the other.

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    io::{
        api::{self, Server, StreamEvent},
        local::LocalServer,
    },
    messages::call::{Answer, Call, Failure, Owner, Precondition, Ticket},
};

pub(crate) struct Shop {
    pub(crate) server: Server,
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
        let (client, base) = self.client().await?;
        // Nobody else waits for an answer here.
        let ticket = Ticket {
            owner: Owner::Job,
            run: 0,
        };
        let call = Call {
            body,
            precondition,
            ..Call::new(ticket, method, path)
        };
        api::exchange(&client, format!("{base}{path}"), call).await
    }

    /// Follows a stream of events after the one with that id; says why it ended. An event may bear an id
    /// alone. `tell` says whether it goes on.
    pub(crate) async fn follow<T: DeserializeOwned>(
        &self,
        path: &str,
        after: Option<&str>,
        mut tell: impl FnMut(Option<&str>, Option<T>) -> bool,
    ) -> Failure {
        let (client, base) = match self.client().await {
            Ok(client) => client,
            Err(failure) => return failure,
        };
        let read = |event: StreamEvent<'_>| {
            if event.data.is_empty() {
                return tell(event.id, None);
            }
            match serde_json::from_str(event.data) {
                Ok(told) => tell(event.id, Some(told)),
                Err(_) => false,
            }
        };
        api::stream(&client, format!("{base}{path}"), after, read).await
    }

    pub(crate) async fn client(&self) -> Result<(reqwest::Client, String), Failure> {
        if let Some(local) = &self.local {
            local.ensure().await.map_err(Failure::Unreachable)?;
        }
        let client = self.server.client();
        client.map_err(|_| Failure::Unreachable("TLS cannot be set up.".into()))
    }
}

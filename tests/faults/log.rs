//! A log that cannot be written, or that nobody reads, does not block the server.

use std::{
    fs::File,
    io::Read,
    process::{Child, Command, Stdio},
};

use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use stockroom_tests::{
    admin_token, binary, database_url, eventually, free_port, fresh_database, http_client,
};

/// Number of logged requests; their lines amount to several times the capacity of a pipe.
const REQUESTS: usize = 1_500;

struct Server {
    child: Child,
    base: String,
    client: Client,
}

impl Server {
    async fn start(stderr: Stdio) -> Self {
        Self::start_with(stderr, &[]).await
    }

    async fn start_with(stderr: Stdio, environment: &[(&str, &str)]) -> Self {
        let port = free_port();
        let mut child = Command::new(binary("stockroom-server"))
            .env("DATABASE_URL", database_url(&fresh_database().await))
            .env("STOCKROOM_LISTEN", format!("127.0.0.1:{port}"))
            .env("STOCKROOM_LEAVE_DELAY", "0")
            .env("STOCKROOM_LOG", "info")
            .env("STOCKROOM_ADMIN_TOKEN", admin_token().expose())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        eventually("listening", || {
            let ended = child.try_wait().unwrap();
            assert_eq!(ended, None, "the server ended before it listened");
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self {
            child,
            base: format!("http://127.0.0.1:{port}"),
            client: http_client(),
        }
    }

    async fn answers_and_stops(mut self) {
        for _ in 0..REQUESTS {
            let response = self
                .client
                .get(format!("{}/livez", self.base))
                .send()
                .await
                .unwrap();
            assert_eq!(response.status(), 200);
        }
        let metrics = self
            .client
            .get(format!("{}/metrics", self.base))
            .send()
            .await
            .unwrap();
        let metrics = metrics.text().await.unwrap();
        let lost = metrics
            .lines()
            .find(|line| line.starts_with("stockroom_log_lines_lost_total"));
        let lost: u64 = lost.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        assert!(
            lost > 0 || self.child.stderr.is_some(),
            "lines were lost and counted"
        );
        self.stop();
    }

    /// Stops the server as an operator would, so that it first writes its remaining log lines.
    fn stop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let status = eventually("the end of the server", || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails if the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_loses_only_log_lines() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    Server::start(full.into()).await.answers_and_stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_log_pipe_does_not_block_the_server() {
    // The read end stays open and unread until the server has ended.
    Server::start(Stdio::piped())
        .await
        .answers_and_stops()
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_log_pipe_does_not_stop_the_server() {
    let mut server = Server::start(Stdio::piped()).await;
    drop(server.child.stderr.take());
    server.answers_and_stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn log_line_names_caller_and_actor_and_the_query_only_if_allowed() {
    for (variable, shows_query) in [("false", true), ("true", false)] {
        let mut server = Server::start_with(
            Stdio::piped(),
            &[("STOCKROOM_LOG_WITHOUT_QUERIES", variable)],
        )
        .await;
        let request = server
            .client
            .get(format!("{}/v1/customers?q=lovelace", server.base))
            .header("stockroom-actor", "bob");
        assert_eq!(request.send().await.unwrap().status(), 200);
        let leaking = format!("{}/v1/orders?key={}", server.base, admin_token().expose());
        let leaking = server.client.get(leaking).send().await;
        assert_eq!(leaking.unwrap().status(), 400);
        let mut log = server.child.stderr.take().unwrap();
        server.stop();
        let mut text = String::new();
        log.read_to_string(&mut text).unwrap();
        let line = text
            .lines()
            .find(|line| line.contains("/v1/customers"))
            .unwrap();
        for part in [
            "caller=\"127.0.0.1:",
            "token=\"admin\"",
            "actor=\"bob\"",
            "method=GET",
            "status=200",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert_eq!(line.contains("lovelace"), shows_query, "{line}");
        assert!(
            text.contains("(a URL with a token)") && !text.contains("sr_"),
            "{text}"
        );
    }
}

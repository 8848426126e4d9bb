//! TLS: a server on one address and its callers on another, tokens that end, and certificates that are replaced.

use std::{
    fs,
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use reqwest::{Certificate, Client, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use stockroom_tests::{
    Deadline, admin_token, binary, database_url, eventually, free_port, fresh_database, temp_dir,
    with_token,
};

/// The address of the server's machine; the callers are on 127.0.0.1.
const ADDRESS: &str = "127.0.0.2";

/// Writes a new certificate with its key to the folder; returns the certificate.
fn certify(folder: &Path) -> Certificate {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![ADDRESS.to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    // One after the other, as an operator would.
    fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    Certificate::from_pem(certificate.pem().as_bytes()).unwrap()
}

/// A caller that trusts only these certificates.
fn caller(trusted: &[&Certificate], secret: &str) -> Client {
    let headers = with_token(&stockroom_common::Secret::new(secret));
    let trusted = trusted.iter().map(|certificate| (*certificate).clone());
    let builder = Client::builder().default_headers(headers);
    builder.tls_certs_only(trusted).build().unwrap()
}

struct Server {
    child: Child,
    base: String,
}

impl Server {
    async fn spawn(folder: &Path) -> Self {
        // The callers' TLS needs a provider in this process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let port = free_port();
        let child = Command::new(binary("stockroom-server"))
            .env("DATABASE_URL", database_url(&fresh_database().await))
            .env("STOCKROOM_LISTEN", format!("{ADDRESS}:{port}"))
            .env("STOCKROOM_TLS_CERT", folder.join("cert.pem"))
            .env("STOCKROOM_TLS_KEY", folder.join("key.pem"))
            .env("STOCKROOM_ADMIN_TOKEN", admin_token().expose())
            .env("STOCKROOM_LEAVE_DELAY", "0")
            .env(
                "STOCKROOM_LOG",
                "info,stockroom_server::app::middleware=warn",
            )
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let base = format!("https://{ADDRESS}:{port}");
        Self { child, base }
    }

    /// Starts the server and waits until it listens.
    async fn start(folder: &Path) -> Self {
        let mut server = Self::spawn(folder).await;
        let address = server.base.trim_start_matches("https://").to_owned();
        eventually("listening", || {
            let ended = server.child.try_wait().unwrap();
            assert_eq!(ended, None, "the server ended before it listened");
            std::net::TcpStream::connect(&address).ok()
        });
        server
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Stops the server; returns what it logged.
    fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        eventually("the end of the server", || self.child.try_wait().unwrap());
        let mut log = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        log
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
async fn tokens_work_over_tls_and_a_revoked_one_is_cut_off() {
    let folder = temp_dir("tls");
    let trusted = certify(folder.path());
    let server = Server::start(folder.path()).await;
    let admin = caller(&[&trusted], admin_token().expose());
    let mut callers = Vec::new();
    for role in ["viewer", "editor", "admin"] {
        let new = json!({"name": format!("the {role}"), "role": role}).to_string();
        let request = admin.post(format!("{}/v1/tokens", server.base));
        let request = request.header("content-type", "application/json").body(new);
        let created = request.send().await.unwrap().text().await.unwrap();
        let created: Value = serde_json::from_str(&created).unwrap();
        let client = caller(&[&trusted], created["secret"].as_str().unwrap());
        callers.push((
            role,
            client,
            created["token"]["id"].as_str().unwrap().to_owned(),
        ));
    }
    let status = async |client: &Client| {
        let sent = client
            .get(format!("{}/v1/products", server.base))
            .send()
            .await;
        sent.unwrap().status()
    };
    for (role, client, _) in &callers {
        assert_eq!(status(client).await, StatusCode::OK, "{role}");
    }
    let (_, revoked, id) = &callers[0];
    let request = admin.delete(format!("{}/v1/tokens/{id}", server.base));
    assert_eq!(
        request.send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(status(revoked).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&callers[1].1).await, StatusCode::OK);
    // Without TLS, and by callers who trust nobody, nothing is answered.
    let plain = Client::new()
        .get(server.base.replace("https", "http"))
        .send();
    plain.await.unwrap_err();
    let stranger = certify(temp_dir("stranger").path());
    let stranger = caller(&[&stranger], admin_token().expose());
    let sent = stranger.get(format!("{}/livez", server.base)).send().await;
    sent.unwrap_err();
    assert_eq!(status(&admin).await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_is_replaced_without_a_lost_request() {
    let folder = temp_dir("swap");
    let first = certify(folder.path());
    let server = Server::start(folder.path()).await;
    let next = temp_dir("next");
    let second = certify(next.path());
    let (is_over, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let requests = tokio::spawn({
        let (is_over, answered) = (is_over.clone(), answered.clone());
        let (first, second) = (first.clone(), second.clone());
        let url = format!("{}/v1/products", server.base);
        async move {
            while !is_over.load(Relaxed) {
                // A new connection each time, so that each sees the certificate of the moment.
                let client = caller(&[&first, &second], admin_token().expose());
                let sent = client.get(&url).send().await;
                assert_eq!(sent.unwrap().status(), StatusCode::OK);
                answered.fetch_add(1, Relaxed);
            }
        }
    });
    // The new certificate comes before its key; until then the old pair stays in use.
    fs::copy(next.path().join("cert.pem"), folder.path().join("cert.pem")).unwrap();
    server.signal(Signal::HUP);
    let before = answered.load(Relaxed);
    let deadline = Deadline::new("requests with half of a new pair", 60);
    while answered.load(Relaxed) < before + 20 {
        deadline.check();
        tokio::task::yield_now().await;
    }
    fs::copy(next.path().join("key.pem"), folder.path().join("key.pem")).unwrap();
    let deadline = Deadline::new("the new certificate", 60);
    loop {
        let client = caller(&[&second], admin_token().expose());
        if client
            .get(format!("{}/livez", server.base))
            .send()
            .await
            .is_ok()
        {
            break;
        }
        deadline.check();
    }
    is_over.store(true, Relaxed);
    requests.await.unwrap();
    let log = server.stop();
    assert!(log.contains("the old one stays in use"), "{log}");
    assert!(
        log.contains("the TLS certificate was loaded again"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn server_does_not_start_with_a_key_of_another_certificate() {
    let (folder, other) = (temp_dir("mismatch"), temp_dir("other"));
    certify(folder.path());
    certify(other.path());
    fs::copy(other.path().join("key.pem"), folder.path().join("key.pem")).unwrap();
    let mut server = Server::spawn(folder.path()).await;
    let ended = eventually("the end of the server", || server.child.try_wait().unwrap());
    assert!(!ended.success());
    let mut log = String::new();
    server
        .child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    assert!(log.contains("do not fit each other"), "{log}");
}

//! Clients that hang do not block other clients.

use std::time::Duration;

use stockroom_server::Options;
use stockroom_tests::{Shop, admin_token};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Connects to a server with short timeouts for clients.
async fn hurried() -> (Shop, String) {
    let options = Options {
        head_limit: Duration::from_millis(200),
        ..Options::default()
    };
    let shop = Shop::open_with(options).await;
    let address = shop.base.trim_start_matches("http://").to_owned();
    (shop, address)
}

/// Reads until the connection ends.
async fn rest(mut stream: TcpStream) -> String {
    let mut read = Vec::new();
    let ended = stream.read_to_end(&mut read);
    let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
    // A reset also counts as an end.
    let _ = ended.expect("the server ends the connection");
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn connection_without_a_complete_request_head_is_closed() {
    let (shop, address) = hurried().await;
    for begun in [
        "",
        "P",
        "PRI * HTTP/2.0\r\n",
        "GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ",
    ] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        rest(stream).await;
    }
    // A keep-alive connection that sends nothing after its first response.
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let request = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    shop.get("/livez").await.ok(200);
}

#[tokio::test]
async fn request_must_name_exactly_one_allowed_host() {
    let (_shop, address) = hurried().await;
    for (hosts, status) in [
        ("Host: localhost\r\n", 200),
        ("", 400),
        ("Host: localhost\r\nHost: localhost\r\n", 400),
        ("Host: evil.example\r\n", 421),
        ("Host: localhost\r\nOrigin: http://evil.example\r\n", 403),
    ] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let request = format!("GET /livez HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = rest(stream).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{hosts:?}: {answer}"
        );
    }
}

#[tokio::test]
async fn oversized_body_is_refused_before_it_is_sent() {
    let (_shop, address) = hurried().await;
    for (path, length) in [
        ("/v1/categories", 1_u64 << 20),
        ("/v1/categories/import?format=csv", 5 << 30),
    ] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
            Authorization: Bearer {}\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n",
            admin_token().expose()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 64];
        let read = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]);
        assert!(answer.starts_with("HTTP/1.1 413 "), "{path}: {answer}");
    }
}

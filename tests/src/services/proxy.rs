//! A TCP proxy that injects faults: it holds back, delays or drops the bytes of a direction, or closes connections.
//! Only [`Flow::Swallowed`] loses bytes within an open connection, like a firewall that has forgotten a connection
//! which both ends consider open.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::JoinHandle,
};

/// What happens to the bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    #[default]
    Free,
    /// Held back until the fault is healed, then delivered late.
    Held,
    /// Each chunk is delivered this much later.
    Delayed(Duration),
    /// Read and never delivered.
    Swallowed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// From the client to the server.
    pub requests: Flow,
    pub replies: Flow,
    /// A change of this number closes all connections that were opened before it.
    pub generation: u32,
    /// Closes new connections at once.
    pub refuses: bool,
}

/// Where the proxy forwards connections to.
#[derive(Clone)]
enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Listens on its own port and forwards everything.
pub struct Proxy {
    pub address: SocketAddr,
    faults: Arc<watch::Sender<Faults>>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(to: SocketAddr) -> Self {
        Self::start_to(Target::Tcp(to)).await
    }

    /// Starts a proxy in front of the PostgreSQL of a database; also returns the connection options through the
    /// proxy.
    pub async fn start_to_postgres(database: &PgConnectOptions) -> (Self, PgConnectOptions) {
        let dir = database.get_socket().unwrap();
        let socket = dir.join(format!(".s.PGSQL.{}", database.get_port()));
        let proxy = Self::start_to(Target::Unix(socket)).await;
        let through = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(proxy.address.port())
            .username(database.get_username())
            .database(database.get_database().unwrap())
            .ssl_mode(PgSslMode::Disable);
        (proxy, through)
    }

    async fn start_to(to: Target) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let faults = Arc::new(watch::Sender::new(Faults::default()));
        let task = tokio::spawn(accept(listener, to, faults.clone()));
        Self {
            address,
            faults,
            task,
        }
    }

    /// Changes the faults.
    pub fn set(&self, change: impl FnOnce(&mut Faults)) {
        self.faults.send_modify(change);
    }

    /// Removes all faults. Bytes that were held are delivered late.
    pub fn heal(&self) {
        self.set(|faults| {
            *faults = Faults {
                generation: faults.generation,
                ..Faults::default()
            };
        });
    }

    /// Closes every open connection and discards the bytes that it holds.
    pub fn cut(&self) {
        self.set(|faults| faults.generation += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, to: Target, faults: Arc<watch::Sender<Faults>>) {
    while let Ok((client, _)) = listener.accept().await {
        if faults.borrow().refuses {
            continue;
        }
        tokio::spawn(connect(client, to.clone(), faults.subscribe()));
    }
}

async fn connect(client: TcpStream, to: Target, faults: watch::Receiver<Faults>) {
    // Small responses must not be delayed by Nagle's algorithm.
    let _ = client.set_nodelay(true);
    match to {
        Target::Tcp(address) => {
            let Ok(server) = TcpStream::connect(address).await else {
                return;
            };
            let _ = server.set_nodelay(true);
            pass(client, server, faults).await;
        }
        Target::Unix(path) => {
            if let Ok(server) = UnixStream::connect(path).await {
                pass(client, server, faults).await;
            }
        }
    }
}

async fn pass(
    client: TcpStream,
    server: impl AsyncRead + AsyncWrite,
    mut faults: watch::Receiver<Faults>,
) {
    let generation = faults.borrow_and_update().generation;
    let (from_client, to_client) = split(client);
    let (from_server, to_server) = split(server);
    let requests = pump(from_client, to_server, faults.clone(), |faults| {
        faults.requests
    });
    let replies = pump(from_server, to_client, faults.clone(), |faults| {
        faults.replies
    });
    // Both sides close if either end closes, or if `cut` is called.
    tokio::select! {
        () = requests => {}
        () = replies => {}
        _ = faults.wait_for(|faults| faults.generation != generation) => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut faults: watch::Receiver<Faults>,
    flow: fn(&Faults) -> Flow,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let present = flow(&faults.borrow_and_update());
        match present {
            Flow::Free => {}
            Flow::Swallowed => continue,
            Flow::Delayed(delay) => tokio::time::sleep(delay).await,
            Flow::Held => {
                let free = faults.wait_for(|faults| flow(faults) != Flow::Held).await;
                if free.is_err() {
                    return;
                }
            }
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
/// A server that answers every request with these bytes and closes the connection.
pub async fn answering(bytes: &'static [u8]) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        while let Ok((mut caller, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = caller.read(&mut request).await;
                let _ = caller.write_all(bytes).await;
            });
        }
    });
    (base, task)
}

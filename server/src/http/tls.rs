//! TLS for a listener, with a certificate from PEM files that can be replaced while the server runs.

use std::{
    fmt, io,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use axum::serve::Listener;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{Accept, TlsAcceptor, server::TlsStream};

/// How often the files are looked at.
const POLL: Duration = Duration::from_secs(1);

/// The paths of the PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate of the server first, then those that signed it.
    pub certificates: PathBuf,
    pub key: PathBuf,
}

/// The certificate in use. Clones share it.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish()
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// If they cannot be read, or the key does not belong to the certificate: a message for the operator.
    pub fn load(files: TlsFiles) -> Result<Self, String> {
        let current = Arc::new(RwLock::new(read(&files)?));
        Ok(Self { files, current })
    }

    /// Reads the files again whenever they have changed, or `asked` resolves. If that fails, the server keeps the certificate
    /// that it has. Connections keep the certificate with which they began.
    pub async fn follow(self, mut asked: impl AsyncFnMut()) {
        let mut seen = self.modified();
        let mut has_failed = false;
        loop {
            let is_asked = tokio::select! {
                () = asked() => true,
                () = tokio::time::sleep(POLL) => false,
            };
            let now = self.modified();
            if now == seen && !is_asked && !has_failed {
                continue;
            }
            // The two files are replaced one after the other, so the first failure is no news yet.
            let is_news = has_failed && now == seen;
            seen = now;
            let config = read(&self.files);
            has_failed = config.is_err() && !is_news;
            match config {
                Err(_) if !is_news && !is_asked => {}
                Ok(config) => {
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
                    tracing::info!("the TLS certificate was loaded again");
                }
                Err(error) => tracing::error!(
                    error,
                    "the new TLS certificate cannot be used; the old one stays in use"
                ),
            }
        }
    }

    /// When each of the files was last changed.
    fn modified(&self) -> [Option<SystemTime>; 2] {
        [&self.files.certificates, &self.files.key]
            .map(|path| path.metadata().ok()?.modified().ok())
    }

    fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current))
    }
}

fn read(files: &TlsFiles) -> Result<Arc<ServerConfig>, String> {
    let (path, key_path) = (files.certificates.display(), files.key.display());
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&files.certificates)
        .and_then(|certificates| certificates.collect());
    let chain = chain.map_err(|error| format!("{path} holds no certificate: {error}"))?;
    if chain.is_empty() {
        return Err(format!("{path} holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| format!("{key_path} holds no private key: {error}"))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| format!("{path} and {key_path} do not fit each other: {error}"))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A listener whose connections speak TLS.
#[derive(Debug)]
pub struct TlsListener<L> {
    listener: L,
    tls: Tls,
}

impl<L> TlsListener<L> {
    pub const fn new(listener: L, tls: Tls) -> Self {
        Self { listener, tls }
    }
}

impl<L: Listener> Listener for TlsListener<L> {
    type Io = Tunnel<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (io, address) = self.listener.accept().await;
        // The handshake happens when the connection is first read, so that a slow caller keeps nobody waiting.
        let handshake = self.tls.acceptor().accept(io);
        (Tunnel::Handshake(handshake), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection that begins with the handshake.
pub enum Tunnel<S> {
    Handshake(Accept<S>),
    Open(TlsStream<S>),
}

impl<S> fmt::Debug for Tunnel<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake(_) => "Handshake",
            Self::Open(_) => "Open",
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Tunnel<S> {
    /// The stream inside, once the handshake is done.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut TlsStream<S>>>> {
        if let Self::Handshake(handshake) = self {
            let stream = ready!(Pin::new(handshake).poll(cx))?;
            *self = Self::Open(stream);
        }
        match self {
            Self::Open(stream) => Poll::Ready(Ok(Pin::new(stream))),
            // It was opened above.
            Self::Handshake(_) => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Tunnel<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_open(cx))?.poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tunnel<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(cx))?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            // Nothing was written yet.
            Self::Handshake(_) => Poll::Ready(Ok(())),
            Self::Open(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            // There is no TLS connection to close.
            Self::Handshake(_) => Poll::Ready(Ok(())),
            Self::Open(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

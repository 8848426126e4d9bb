//! Connections of callers: their address for the log, and time limits for callers who stop reading, or who connect but
//! send no request.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// Time limit of a write to a caller who reads nothing.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// Length of the HTTP/2 connection preface, in bytes (RFC 9113, section 3.4).
const PREFACE: usize = 24;

/// The address that a request comes from, for the log.
#[derive(Clone, Debug)]
pub(crate) struct Caller(Box<str>);

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Caller {
    pub(crate) fn new(address: &impl fmt::Debug) -> Self {
        Self(format!("{address:?}").into())
    }

    /// The address without the port.
    pub(crate) fn host(&self) -> &str {
        self.0.rsplit_once(':').map_or(&self.0, |(host, _)| host)
    }
}

/// A stream that fails if a write waits for too long, or if the first bytes do not arrive in time. Without this,
/// callers who stop reading would hold memory in the server and in the kernel for ever.
pub(crate) struct Timed<S> {
    stream: S,
    limit: Duration,
    /// Set while a write waits.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Set until enough bytes were read to detect the version of HTTP. From then on, the head of each request has a
    /// separate time limit.
    first: Option<Pin<Box<Sleep>>>,
    received: usize,
}

impl<S> Timed<S> {
    /// Wraps a stream whose first [`PREFACE`] bytes must arrive within `first`.
    pub(crate) fn new(stream: S, first: Duration) -> Self {
        Self {
            stream,
            limit: WRITE_LIMIT,
            deadline: None,
            first: Some(Box::pin(sleep(first))),
            received: 0,
        }
    }

    fn check<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.deadline = None;
            return written;
        }
        let limit = self.limit;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(limit)));
        if deadline.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        // If the caller polls again, that fails at once.
        deadline.as_mut().reset(Instant::now());
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let Some(first) = &mut self.first else {
            return read;
        };
        if read.is_pending() {
            return match first.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                Poll::Pending => Poll::Pending,
            };
        }
        self.received += buffer.filled().len() - before;
        if self.received >= PREFACE {
            self.first = None;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.check(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.check(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.check(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.check(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_write_that_nobody_takes_fails_and_one_that_moves_does_not() {
        let (ours, mut theirs) = duplex(4);
        let mut ours = Timed::new(ours, Duration::MAX);
        ours.limit = Duration::from_millis(50);
        let taking = tokio::spawn(async move {
            let mut byte = [0];
            for _ in 0..8 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                theirs.read_exact(&mut byte).await.unwrap();
            }
            theirs
        });
        // Takes longer than the limit in total, but each byte is written within it.
        ours.write_all(&[7; 12]).await.unwrap();
        let theirs = taking.await.unwrap();
        let error = ours.write_all(&[7; 4]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(theirs);
    }

    #[tokio::test]
    async fn a_caller_has_to_begin_in_time_and_may_be_silent_later() {
        let limit = Duration::from_millis(50);
        let (ours, mut theirs) = duplex(64);
        let mut ours = Timed::new(ours, limit);
        let mut bytes = [0; PREFACE];
        theirs.write_all(b"GET").await.unwrap();
        let error = ours.read_exact(&mut bytes).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let (ours, mut theirs) = duplex(64);
        let mut ours = Timed::new(ours, limit);
        theirs.write_all(&[7; PREFACE]).await.unwrap();
        ours.read_exact(&mut bytes).await.unwrap();
        let silent = tokio::time::timeout(limit * 3, ours.read_u8()).await;
        assert!(silent.is_err(), "it still waits");
    }
}

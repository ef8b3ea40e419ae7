//! When the peer was last heard: the difference between a silent link and a dead one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::Instant;

/// Anything a WebSocket can run over.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Tells when bytes last came from the peer. Every byte counts, also those of a pong or of a message still on its
/// way, so a long download over a slow line is not mistaken for a dead link.
#[derive(Debug, Clone)]
pub struct Pulse(watch::Receiver<Instant>);

impl Pulse {
    /// When bytes last came; at first, when the connection was made.
    pub fn last_heard(&self) -> Instant {
        *self.0.borrow()
    }

    /// Waits until something is heard after `since`, such as the answer to a ping sent then. Pends forever once the
    /// connection is gone, so bound it with a timeout. Cancel-safe.
    pub async fn heard_after(&self, since: Instant) {
        if self.0.clone().wait_for(|at| *at > since).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Passes bytes through and notes when some arrive.
pub(crate) struct Heard {
    io: Box<dyn Duplex>,
    at: watch::Sender<Instant>,
}

impl Heard {
    pub(crate) fn new(io: impl Duplex + 'static) -> (Self, Pulse) {
        let (at, pulse) = watch::channel(Instant::now());
        (Self { io: Box::new(io), at }, Pulse(pulse))
    }
}

impl AsyncRead for Heard {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.at.send_replace(Instant::now());
        }
        outcome
    }
}

impl AsyncWrite for Heard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

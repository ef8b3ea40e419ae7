//! The shared socket under both halves.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::ready;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message as WsMessage};

use super::{LINGER, LinkError, Side};
use crate::Limits;
use crate::heard::{Heard, Pulse};

/// Payload of one frame we send, bytes: with its header it fills one TLS record. Longer messages go out in pieces, so
/// that the write buffer stays this small and pongs get in between.
pub(super) const PIECE: usize = 16 * 1024 - 14;
/// Bytes asked for in one read. The buffer grows to the size of the frame it holds.
const READ_BUFFER: usize = 4 * 1024;
/// Longest explanation in a close frame, bytes (RFC 6455 §5.5: 125 with the code).
const MAX_REASON: usize = 123;

pub(super) struct Socket {
    stream: Mutex<WebSocketStream<Heard>>,
    turn: tokio::sync::Mutex<Turn>,
    write_timeout: Duration,
}

/// Held while a message is being written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Between messages.
    Free,
    /// The peer has a part of a message; only its rest may follow.
    Inside,
    /// Our direction has ended.
    Closed,
}

impl Socket {
    pub(super) async fn new<S>(stream: S, rest: Vec<u8>, side: Side, limits: Limits) -> (Self, Pulse)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (heard, pulse) = Heard::new(stream);
        let role = match side {
            Side::Client => Role::Client,
            Side::Server => Role::Server,
        };
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(limits.max_message))
            .max_frame_size(Some(limits.max_message));
        let stream = WebSocketStream::from_partially_read(heard, rest, role, Some(config)).await;
        let socket = Self {
            stream: Mutex::new(stream),
            turn: tokio::sync::Mutex::new(Turn::Free),
            write_timeout: limits.write_timeout,
        };
        (socket, pulse)
    }

    /// Cancel-safe.
    pub(super) async fn read(&self) -> Option<Result<WsMessage, WsError>> {
        poll_fn(|cx| Pin::new(&mut *self.lock()).poll_next(cx)).await
    }

    /// Writes one text message, in pieces if it is long.
    pub(super) async fn write_message(&self, payload: Bytes) -> Result<(), LinkError> {
        let mut turn = self.turn().await?;
        let mut from = 0;
        loop {
            let to = payload.len().min(from + PIECE);
            let last = to == payload.len();
            let kind = if from == 0 { Data::Text } else { Data::Continue };
            let mut frame = Some(WsMessage::Frame(Frame::message(payload.slice(from..to), OpCode::Data(kind), last)));
            if !last {
                *turn = Turn::Inside;
            }
            self.deadline(self.put(&mut frame), &mut turn).await?;
            if last {
                *turn = Turn::Free;
                return Ok(());
            }
            from = to;
        }
    }

    /// Writes one frame.
    pub(super) async fn write(&self, frame: WsMessage) -> Result<(), LinkError> {
        self.write_from(&mut Some(frame)).await
    }

    /// Writes the frame in `slot`, which is emptied the moment the frame is on its way. Cancel-safe.
    pub(super) async fn write_from(&self, slot: &mut Option<WsMessage>) -> Result<(), LinkError> {
        let mut turn = self.turn().await?;
        self.deadline(self.put(slot), &mut turn).await
    }

    /// Sends a close frame and ends our direction.
    pub(super) async fn close(&self, code: u16, reason: &str) -> Result<(), LinkError> {
        let mut turn = self.turn().await?;
        *turn = Turn::Closed;
        let reason = reason[..reason.floor_char_boundary(MAX_REASON)].to_owned();
        let mut frame = Some(WsMessage::Close(Some(CloseFrame { code: code.into(), reason: reason.into() })));
        let farewell = async {
            self.put(&mut frame).await?;
            poll_fn(|cx| Pin::new(self.lock().get_mut()).poll_shutdown(cx)).await.map_err(LinkError::Lost)
        };
        self.deadline(farewell, &mut turn).await
    }

    /// Closes and waits a little for the peer to notice. What it still sends is read and dropped: unread bytes would
    /// make the kernel reset the connection, and the close frame would be lost with it.
    pub(super) async fn refuse(&self, code: u16, reason: &str) {
        let farewell = async {
            if self.close(code, reason).await.is_ok() {
                poll_fn(|cx| {
                    let mut bytes = [0; 1024];
                    loop {
                        let mut buf = ReadBuf::new(&mut bytes);
                        let outcome = ready!(Pin::new(self.lock().get_mut()).poll_read(cx, &mut buf));
                        if outcome.is_err() || buf.filled().is_empty() {
                            return std::task::Poll::Ready(());
                        }
                    }
                })
                .await;
            }
        };
        let _ = timeout(LINGER, farewell).await; // a peer that does not listen needs no explanation
    }

    /// Gets the queued echo of the peer's close frame out, if the peer still reads.
    pub(super) async fn echo_close(&self) {
        let flush = poll_fn(|cx| Pin::new(&mut *self.lock()).poll_flush(cx));
        let _ = timeout(LINGER, flush).await; // the connection is over either way
    }

    async fn turn(&self) -> Result<tokio::sync::MutexGuard<'_, Turn>, LinkError> {
        let turn = self.turn.lock().await;
        match *turn {
            Turn::Free => Ok(turn),
            Turn::Inside => Err(LinkError::Cut),
            Turn::Closed => Err(LinkError::Closed),
        }
    }

    /// After a timeout or an error nobody may write any more.
    async fn deadline(
        &self,
        work: impl Future<Output = Result<(), LinkError>>,
        turn: &mut Turn,
    ) -> Result<(), LinkError> {
        let outcome = match timeout(self.write_timeout, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(LinkError::WriteTimeout { after: self.write_timeout }),
        };
        if outcome.is_err() && *turn == Turn::Free {
            *turn = Turn::Inside;
        }
        outcome
    }

    /// Hands a frame over (at once, or not at all) and flushes. Cancel-safe: a frame taken from the slot is flushed
    /// by whoever uses the socket next.
    async fn put(&self, slot: &mut Option<WsMessage>) -> Result<(), LinkError> {
        poll_fn(|cx| {
            let mut stream = self.lock();
            let mut stream = Pin::new(&mut *stream);
            if slot.is_some() {
                ready!(stream.as_mut().poll_ready(cx)).map_err(write_error)?;
                if let Some(frame) = slot.take() {
                    stream.as_mut().start_send(frame).map_err(write_error)?;
                }
            }
            stream.as_mut().poll_flush(cx).map_err(write_error)
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, WebSocketStream<Heard>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket")
    }
}

fn write_error(error: WsError) -> LinkError {
    match error {
        WsError::Io(error) => LinkError::Lost(error),
        WsError::ConnectionClosed | WsError::AlreadyClosed | WsError::Protocol(ProtocolError::SendAfterClosing) => {
            LinkError::Closed
        }
        other => LinkError::Protocol(other),
    }
}

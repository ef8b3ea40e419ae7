//! An upgraded connection: messages out of frames and frames out of messages. Source: spec 01 §3.3, §3.4.
//!
//! Both halves share one socket. A short mutex guards it during each poll; an async one keeps the pieces of a long
//! message together. Control frames may come between the pieces.

mod socket;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as WsError, Message as WsMessage};
use wire::message::{Content, Message, MessageError};
use wire::operation::Operation;

use crate::Limits;
use crate::heard::Pulse;
use socket::Socket;

/// How long a refused peer may take to read why.
const LINGER: Duration = Duration::from_secs(1);

/// Close code: message too big.
const TOO_BIG: u16 = 1009;
/// Close code: not a message.
const INVALID: u16 = 1007;

/// Which end of the connection we are; clients mask their frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The edge.
    Client,
    /// The cloud.
    Server,
}

/// Why a connection is of no more use. Every variant is final.
#[derive(Debug, Error)]
pub enum LinkError {
    /// The connection broke.
    #[error("connection lost")]
    Lost(#[source] io::Error),
    /// The peer closed with a code other than 1000 or 1001.
    #[error("peer closed the connection with code {code}: {reason}")]
    ClosedByPeer {
        /// RFC 6455 close code, such as 1008 (refused) or 1009 (message too big).
        code: u16,
        /// Its explanation, possibly empty.
        reason: String,
    },
    /// The peer sent a message beyond the limit; it was told so with code 1009.
    #[error("peer sent a message of more than {limit} bytes")]
    TooBig {
        /// The limit.
        limit: usize,
    },
    /// The peer broke the WebSocket protocol.
    #[error("peer broke the websocket protocol")]
    Protocol(#[source] WsError),
    /// The peer sent something that is not a message.
    #[error("peer sent an unreadable message")]
    Message(#[source] MessageError),
    /// The peer did not take what we sent.
    #[error("peer took no data for {after:?}")]
    WriteTimeout {
        /// The time allowed.
        after: Duration,
    },
    /// A send was cancelled or failed in the middle of a message; nothing more can follow it.
    #[error("an earlier message was cut short")]
    Cut,
    /// Closed by us.
    #[error("connection is closed")]
    Closed,
}

/// A connection ready for messages.
#[derive(Debug)]
pub struct Connection {
    sender: Sender,
    receiver: Receiver,
}

impl Connection {
    /// Wraps a stream on which the upgrade is already done; also the way to link two parties in memory.
    pub async fn from_stream<S>(stream: S, side: Side, limits: Limits) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self::new(stream, Vec::new(), side, limits).await
    }

    /// `rest` is what was read behind the upgrade.
    pub(crate) async fn new<S>(stream: S, rest: Vec<u8>, side: Side, limits: Limits) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (socket, pulse) = Socket::new(stream, rest, side, limits).await;
        let sender = Sender { socket: Arc::new(socket), pulse };
        let receiver = Receiver { sender: sender.clone(), reply: None, end: None, limit: limits.max_message };
        Self { sender, receiver }
    }

    /// The two directions, for two tasks. The connection closes when both are dropped.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// Turns the peer away: sends a close frame and waits up to one second for the peer to read it, throwing away
    /// what it still sends. Code 1008 is for policy. `reason` holds at most 123 bytes; longer text is cut.
    pub async fn refuse(self, code: u16, reason: &str) {
        self.sender.socket.refuse(code, reason).await;
    }
}

/// The outgoing direction. Clones send on the same connection; each message goes out whole, the order between clones
/// is theirs to arrange.
#[derive(Debug, Clone)]
pub struct Sender {
    socket: Arc<Socket>,
    pulse: Pulse,
}

impl Sender {
    /// Sends a message and waits until the operating system has taken all of it.
    ///
    /// Dropping the future in the middle of a long message (over 16 KiB) makes the connection unusable: later sends
    /// return [`LinkError::Cut`]. A shorter message is then either sent or not.
    ///
    /// # Errors
    /// [`LinkError`]: `Lost`, `WriteTimeout`, `Cut`, `Closed`.
    pub async fn send(&self, message: &Message) -> Result<(), LinkError> {
        self.send_text(message.encode()).await
    }

    /// Sends a message that is already encoded, newline included. Otherwise as [`Self::send`].
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_text(&self, text: String) -> Result<(), LinkError> {
        self.socket.write_message(Bytes::from(text)).await
    }

    /// Sends a WebSocket ping. The answer shows as a sign of life in [`Self::pulse`]; peers of every release answer.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn ping(&self) -> Result<(), LinkError> {
        self.socket.write(WsMessage::Ping(Bytes::new())).await
    }

    /// Signs of life of the peer; bytes only count while somebody polls [`Receiver::next`].
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Sends a close frame with `code` (1000: all well, 1001: going away, 1008: refused) and ends our direction. The
    /// receiver then runs dry when the peer has closed too.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn close(&self, code: u16) -> Result<(), LinkError> {
        self.socket.close(code, "").await
    }
}

/// The incoming direction.
#[derive(Debug)]
pub struct Receiver {
    sender: Sender,
    /// An answer of the control filter that is not on its way yet.
    reply: Option<WsMessage>,
    /// The end has come, but the peer has not been told yet.
    end: Option<End>,
    limit: usize,
}

/// Ends that owe the peer a frame.
#[derive(Debug)]
enum End {
    TooBig,
    Unreadable(MessageError),
    /// Its close frame is to be echoed.
    ClosedByPeer(Option<CloseFrame>),
}

impl Receiver {
    /// The next message, or `None` when the peer has closed in good order or is just gone, as Go peers do.
    ///
    /// Pings are answered, and so are messages with operation `config`, `ping` or `pong`, which belong to the link
    /// itself (spec 01 §3.4). Cancel-safe: no message is lost when the future is dropped.
    ///
    /// # Errors
    /// [`LinkError`]; the connection is then of no more use.
    pub async fn next(&mut self) -> Result<Option<Message>, LinkError> {
        loop {
            if let Some(end) = &self.end {
                let socket = &self.sender.socket;
                match end {
                    End::TooBig => socket.refuse(TOO_BIG, "").await,
                    End::Unreadable(_) => socket.refuse(INVALID, "").await,
                    End::ClosedByPeer(_) => socket.echo_close().await,
                }
                return match self.end.take() {
                    Some(End::TooBig) => Err(LinkError::TooBig { limit: self.limit }),
                    Some(End::Unreadable(error)) => Err(LinkError::Message(error)),
                    Some(End::ClosedByPeer(frame)) => closed(frame),
                    None => Ok(None),
                };
            }
            if self.reply.is_some() {
                self.sender.socket.write_from(&mut self.reply).await?;
            }
            let decoded = match self.sender.socket.read().await {
                None => return Ok(None),
                Some(Ok(WsMessage::Text(text))) => Message::decode(text.as_bytes()),
                Some(Ok(WsMessage::Binary(bytes))) => Message::decode(&bytes),
                Some(Ok(WsMessage::Ping(_) | WsMessage::Pong(_) | WsMessage::Frame(_))) => continue,
                Some(Ok(WsMessage::Close(frame))) => {
                    self.end = Some(End::ClosedByPeer(frame));
                    continue;
                }
                Some(Err(error)) => match judge(error) {
                    Judged::Gone => return Ok(None),
                    Judged::TooBig => {
                        self.end = Some(End::TooBig);
                        continue;
                    }
                    Judged::Broken(error) => return Err(error),
                },
            };
            match decoded {
                Ok(message) if is_control(&message) => self.reply = Some(control_reply(&message)),
                Ok(message) => return Ok(Some(message)),
                Err(error) => self.end = Some(End::Unreadable(error)),
            }
        }
    }
}

/// Operations the link keeps for itself. Source: spec 01 §3.4 step 1.
fn is_control(message: &Message) -> bool {
    matches!(&message.route.operation, Operation::Other(word) if matches!(word.as_str(), "config" | "ping" | "pong"))
}

fn control_reply(message: &Message) -> WsMessage {
    let now = jiff::Timestamp::now().as_millisecond();
    WsMessage::Text(message.response(Content::text("ack"), now).encode().into())
}

fn closed(frame: Option<CloseFrame>) -> Result<Option<Message>, LinkError> {
    match frame {
        None => Ok(None),
        Some(frame) if matches!(frame.code, CloseCode::Normal | CloseCode::Away) => Ok(None),
        Some(frame) => Err(LinkError::ClosedByPeer { code: frame.code.into(), reason: frame.reason.to_string() }),
    }
}

enum Judged {
    Gone,
    TooBig,
    Broken(LinkError),
}

fn judge(error: WsError) -> Judged {
    match error {
        WsError::ConnectionClosed
        | WsError::AlreadyClosed
        | WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Judged::Gone,
        WsError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => Judged::Gone,
        WsError::Io(error) => Judged::Broken(LinkError::Lost(error)),
        WsError::Capacity(CapacityError::MessageTooLong { .. }) => Judged::TooBig,
        other => Judged::Broken(LinkError::Protocol(other)),
    }
}

#[cfg(test)]
mod tests;

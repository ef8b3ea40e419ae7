//! Connections that carry wire messages: a WebSocket over TLS, dialled by the edge and accepted by the cloud.
//!
//! Start at [`client::dial`] and [`server::accept`]; both return a [`Connection`], which [`Connection::split`] turns
//! into a [`Sender`] and a [`Receiver`] for two tasks. No task is started here and nothing is buffered beyond one
//! message a direction, so a slow peer slows its sender down.
//!
//! Absent on purpose: reconnecting, the application's keepalive message, and any judgement about who may connect.
//!
//! Source: spec 01 §3.

pub mod client;
mod connection;
mod handshake;
mod heard;
pub mod server;
mod tcp;

use std::time::Duration;

pub use connection::{Connection, LinkError, Receiver, Sender, Side};
pub use heard::Pulse;

/// Bounds of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest message accepted, bytes; a larger one closes the connection with 1009. At most
    /// [`wire::message::MAX_MESSAGE`].
    pub max_message: usize,
    /// Longest time the peer may take to accept 16 KiB of a message we send.
    pub write_timeout: Duration,
}

impl Default for Limits {
    /// 32 MiB and 15 seconds. Source: spec 01 §3.3, §6.1.
    fn default() -> Self {
        Self { max_message: wire::message::MAX_MESSAGE, write_timeout: Duration::from_secs(15) }
    }
}

/// The header by which an edge names its database: a new value tells the cloud that the node lost what it knew. Go
/// peers ignore it.
pub const STORE_GENERATION_HEADER: &str = "Keadm-Store-Generation";

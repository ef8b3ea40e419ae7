//! The joint between a link and the transport that carries it.

use tokio::time::Instant;
use transport::{LinkError, Pulse, Receiver, Sender};
use wire::message::Message;

use super::link::{Incoming, Outgoing};

/// The sending half.
pub(super) struct Sending(pub(super) Sender);

impl Outgoing for Sending {
    type Error = LinkError;

    async fn send(&mut self, message: &Message) -> Result<(), LinkError> {
        self.0.send(message).await
    }

    async fn ping(&mut self) -> Result<(), LinkError> {
        self.0.ping().await
    }
}

/// The receiving half, with its signs of life.
pub(super) struct Receiving {
    receiver: Receiver,
    pulse: Pulse,
}

impl Receiving {
    pub(super) fn new(receiver: Receiver, sender: &Sender) -> Self {
        Self { receiver, pulse: sender.pulse() }
    }
}

impl Incoming for Receiving {
    type Error = LinkError;

    async fn next(&mut self) -> Result<Option<Message>, LinkError> {
        self.receiver.next().await
    }

    fn heard(&self) -> Instant {
        self.pulse.last_heard()
    }
}

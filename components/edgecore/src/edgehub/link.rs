//! One link from handshake to end: a reader and a writer that end together. Source: spec 01 §6.5 to §6.8.
//!
//! The reader routes what comes in and watches whether anything comes in at all; the writer sends, in this order,
//! keepalives, pings, acknowledgements, requests. Only requests pass through the token bucket. Whatever ends either
//! of them ends the link at once.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, info_span};
use wire::message::{Content, Message};
use wire::operation::Operation;

use super::bucket::Bucket;
use super::liveness::{Liveness, Step};
use super::route::{Destination, destination};
use super::uplink::{Delivery, Lanes};
use crate::clock::WallClock;

/// Why a link ended.
#[derive(Debug, Error)]
pub enum LinkEnd<E: std::error::Error + 'static> {
    /// The other end closed it.
    #[error("closed by the cloud")]
    Closed,
    /// Nothing arrived for too long, not even an answer to a ping.
    #[error("the cloud went silent")]
    Silent,
    /// The connection failed.
    #[error("connection failed")]
    Connection(#[source] E),
    /// MetaManager is gone.
    #[error("nobody takes messages")]
    NoReceiver,
    /// A task of the link panicked.
    #[error("link task failed")]
    Task(#[source] JoinError),
}

/// The sending half of a connection.
pub trait Outgoing: Send + 'static {
    /// Why it failed.
    type Error: std::error::Error + Send + Sync + 'static;
    /// Sends one message, within a deadline of its own.
    fn send(&mut self, message: &Message) -> impl Future<Output = Result<(), Self::Error>> + Send;
    /// Asks the other end for a sign of life.
    fn ping(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// The receiving half of a connection.
pub trait Incoming: Send + 'static {
    /// Why it failed.
    type Error: std::error::Error + Send + Sync + 'static;
    /// The next message, `None` at the end. Cancel-safe.
    fn next(&mut self) -> impl Future<Output = Result<Option<Message>, Self::Error>> + Send;
    /// When anything last arrived, be it a message or an answer to a ping.
    fn heard(&self) -> Instant;
}

/// What a link is told.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// Keepalive period.
    pub heartbeat: Duration,
    /// Requests per second; 0 is no limit.
    pub message_qps: u32,
    /// Requests that may pass at once.
    pub message_burst: u32,
}

/// One link.
pub struct Link {
    /// Its numbers.
    pub settings: LinkSettings,
    /// Its waiting room.
    pub lanes: Arc<Lanes>,
    /// Where messages for MetaManager go.
    pub inbox: mpsc::Sender<Delivery>,
    /// For message timestamps.
    pub clock: WallClock,
}

impl Link {
    /// Runs the link until `stop` or its end; no task outlives the call.
    ///
    /// # Errors
    /// [`LinkEnd`]; `Ok` only after `stop`.
    pub async fn run<W, R, E>(
        self,
        writer: W,
        reader: R,
        answers: mpsc::Receiver<Message>,
        stop: &CancellationToken,
    ) -> Result<(), LinkEnd<E>>
    where
        W: Outgoing<Error = E>,
        R: Incoming<Error = E>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let stop = stop.child_token();
        let (ping, pings) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        let Self { settings, lanes, inbox, clock } = self;
        tasks.spawn(read(reader, Arc::clone(&lanes), inbox, ping, stop.clone()).instrument(info_span!("reader")));
        tasks.spawn(
            write(writer, settings, lanes, answers, pings, clock, stop.clone()).instrument(info_span!("writer")),
        );

        let mut outcome = Ok(());
        while let Some(ended) = tasks.join_next().await {
            stop.cancel(); // the first one to end takes the other with it
            outcome = outcome.and(ended.unwrap_or_else(|panic| Err(LinkEnd::Task(panic))));
        }
        outcome
    }
}

async fn read<R, E>(
    mut reader: R,
    lanes: Arc<Lanes>,
    inbox: mpsc::Sender<Delivery>,
    ping: mpsc::Sender<()>,
    stop: CancellationToken,
) -> Result<(), LinkEnd<E>>
where
    R: Incoming<Error = E>,
    E: std::error::Error + Send + Sync + 'static,
{
    let start = Instant::now();
    let mut liveness = Liveness::Hearing(start);
    let mut look = start;
    loop {
        tokio::select! {
            received = reader.next() => {
                let message = received.map_err(LinkEnd::Connection)?.ok_or(LinkEnd::Closed)?;
                let handed = hand_over(message, &lanes, &inbox);
                tokio::select! {
                    handed = handed => handed?,
                    () = stop.cancelled() => return Ok(()),
                }
                // However long it took to hand the message over, the other end is not to blame for it.
                liveness = Liveness::Hearing(Instant::now());
            }
            () = sleep_until(look) => {
                let verdict;
                (liveness, verdict) = liveness.step(reader.heard(), Instant::now());
                look = match verdict {
                    Step::Wait(until) => until,
                    Step::Ping(until) => {
                        // A ping that already waits for the writer is as good as another.
                        let _ = ping.try_send(());
                        until
                    }
                    Step::Dead => return Err(LinkEnd::Silent),
                };
            }
            () = stop.cancelled() => return Ok(()),
        }
    }
}

async fn hand_over<E: std::error::Error + 'static>(
    message: Message,
    lanes: &Arc<Lanes>,
    inbox: &mpsc::Sender<Delivery>,
) -> Result<(), LinkEnd<E>> {
    let message = match destination(&message) {
        Destination::MetaManager => message,
        Destination::Caller => match lanes.deliver(message) {
            None => return Ok(()),
            Some(orphan) => {
                debug!(msg.id = orphan.header.id, resource = orphan.route.resource, "answer nobody waits for");
                orphan
            }
        },
        Destination::Nobody(absent) => {
            debug!(msg.id = message.header.id, resource = message.route.resource, group = message.route.group,
                module = ?absent, "message for a module that does not run here");
            return Ok(());
        }
    };
    let delivery = Delivery { message, link: Arc::clone(lanes) };
    inbox.send(delivery).await.map_err(|_| LinkEnd::NoReceiver)
}

async fn write<W, E>(
    mut writer: W,
    settings: LinkSettings,
    lanes: Arc<Lanes>,
    mut answers: mpsc::Receiver<Message>,
    mut pings: mpsc::Receiver<()>,
    clock: WallClock,
    stop: CancellationToken,
) -> Result<(), LinkEnd<E>>
where
    W: Outgoing<Error = E>,
    E: std::error::Error + Send + Sync + 'static,
{
    let mut keepalive = interval(settings.heartbeat); // the first one is due at once
    keepalive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut bucket = Bucket::new(settings.message_qps, settings.message_burst);
    loop {
        let next_request = lanes.next_request(|| sleep_until(bucket.ready_at(Instant::now())));
        let sent = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            _ = keepalive.tick() => writer.send(&keepalive_message(clock)).await,
            Some(()) = pings.recv() => writer.ping().await,
            Some(answer) = answers.recv() => writer.send(&answer).await,
            request = next_request => {
                bucket.take(Instant::now());
                writer.send(&request).await
            }
        };
        sent.map_err(LinkEnd::Connection)?;
    }
}

/// The one message that counts for liveness at the cloud. Source: spec 01 §6.8.
fn keepalive_message(clock: WallClock) -> Message {
    Message::new("websocket", "resource", Operation::Keepalive, "node", Content::text("ping"), clock.unix_millis())
}

#[cfg(test)]
mod tests;

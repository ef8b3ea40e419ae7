//! One node's session as a state machine: no socket, no clock, no task.
//!
//! Events go in with the time, actions come out. Each object (key) with something to deliver has a slot:
//!
//! | slot      | event                              | becomes                                   |
//! |-----------|------------------------------------|-------------------------------------------|
//! | –         | offer                              | queued                                    |
//! | queued    | ready, needs a record or a body    | preparing (`Prepare`)                     |
//! | queued    | ready                              | flying (`Write`)                          |
//! | preparing | prepared                           | queued, at the front                      |
//! | preparing | preparation failed                 | resting                                   |
//! | flying    | acked                              | gone, or queued with the next parcel      |
//! | flying    | ready, 5 s without an ack          | flying (`Write` again), the 6th time resting |
//! | flying    | refused by the edge                | resting                                   |
//! | resting   | ready after its backoff, or offer  | queued                                    |
//!
//! An answer does not rest: after one round nobody waits for it any more, and the owner plans its object anew.
//! Preparing and flying slots share the window. Messages that need no acknowledgement go before all others.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use wire::message::{Content, Message};
use wire::operation::Operation;

use crate::cloudhub::delivery::{Body, Delivery, Fetched, Payload, Preparation, Receipt, StateChange};
use crate::kind::ObjectKey;

/// Acknowledged messages under way at once, each about another object.
pub const WINDOW: usize = 16;
/// Objects waiting for delivery. Full: refused and remembered; once the lane is empty the owner plans anew.
pub const ACK_CAPACITY: usize = 4096;
/// Parcels waiting for one object. Full: a further answer is sent once instead of until it is acknowledged.
pub const PARCELS_PER_KEY: usize = 8;
/// Fire-and-forget messages waiting. Full: refused, the requester asks again.
pub const NO_ACK_CAPACITY: usize = 512;
/// How long an acknowledgement may take before the message is repeated. Source: spec 01 §5.8.
pub const RESEND: Duration = Duration::from_secs(5);
/// Transmissions before an object rests. Source: spec 01 §5.8.
pub const MAX_SENDS: u8 = 5;
/// First rest of an object that the edge did not take; doubles each round.
pub const MIN_REST: Duration = Duration::from_secs(5);
/// Longest rest.
pub const MAX_REST: Duration = Duration::from_mins(5);

/// The time, twice: for deadlines and for message headers.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Monotonic.
    pub at: Instant,
    /// Unix milliseconds.
    pub unix_ms: i64,
}

/// What can happen to a session.
#[derive(Debug)]
pub enum Event {
    /// Deliver this until it is acknowledged.
    Offer(Box<Delivery>),
    /// Send this once.
    Post(Box<Message>),
    /// The edge acknowledged a message.
    Acked(String),
    /// The edge answered a message with an error.
    Refused(String),
    /// The edge is alive.
    Keepalive,
    /// A preparation ended.
    Prepared {
        /// Whose.
        key: ObjectKey,
        /// What was found; `None` when it failed.
        found: Option<Fetched>,
    },
    /// The writer is free.
    Ready,
}

/// What a session asks of the world.
#[derive(Debug)]
pub enum Action {
    /// Write this message; come back with [`Event::Ready`].
    Write {
        /// The message.
        message: Box<Message>,
        /// Whether it was sent before.
        repeat: bool,
    },
    /// Create a record, read a body; come back with [`Event::Prepared`].
    Prepare(Preparation),
    /// Book an acknowledgement.
    Acknowledged(Receipt),
    /// Everything offered is acknowledged. `behind` when something had been refused since the last time.
    Drained {
        /// Whether the owner must plan anew.
        behind: bool,
    },
    /// A lane was full and something was dropped.
    Overflow,
    /// Nothing to write before this time.
    Sleep {
        /// When [`Event::Ready`] is due at the latest.
        until: Instant,
    },
    /// No keepalive within the window: the session is over.
    Expired,
}

struct Parcel {
    delivery: Delivery,
    id: String,
    sent_at: Option<i64>,
}

enum Phase {
    Queued,
    Preparing,
    Flying { sends: u8, due: Instant },
    Resting { until: Instant },
}

struct Slot {
    parcels: VecDeque<Parcel>,
    phase: Phase,
    rounds: u32,
}

impl Slot {
    /// A parcel that has been written, or is being prepared, is not replaced under the edge's feet.
    fn first_replaceable(&self) -> usize {
        match self.phase {
            Phase::Queued | Phase::Resting { .. } if self.parcels.front().is_none_or(|p| p.sent_at.is_none()) => 0,
            Phase::Queued | Phase::Resting { .. } | Phase::Preparing | Phase::Flying { .. } => 1,
        }
    }

    /// Whether the second parcel makes the first one pointless.
    fn is_superseded(&self) -> bool {
        let (Some(first), Some(second)) = (self.parcels.front(), self.parcels.get(1)) else { return false };
        matches!(first.delivery.payload, Payload::State { .. })
            && matches!(second.delivery.payload, Payload::State { .. })
            && first.delivery.uid == second.delivery.uid
    }
}

/// The state of one session.
pub struct Session {
    keepalive: Duration,
    alive_until: Instant,
    no_ack: VecDeque<Message>,
    slots: HashMap<ObjectKey, Slot>,
    queue: VecDeque<ObjectKey>,
    busy: Vec<ObjectKey>,
    resting: Vec<ObjectKey>,
    ids: HashMap<String, ObjectKey>,
    behind: bool,
}

impl Session {
    /// A session that ends unless a keepalive arrives every `keepalive`.
    pub fn new(keepalive: Duration, now: Now) -> Self {
        Self {
            keepalive,
            alive_until: now.at + keepalive,
            no_ack: VecDeque::new(),
            slots: HashMap::new(),
            queue: VecDeque::new(),
            busy: Vec::new(),
            resting: Vec::new(),
            ids: HashMap::new(),
            behind: false,
        }
    }

    /// Objects and messages waiting or under way.
    pub fn depth(&self) -> usize {
        self.slots.len() + self.no_ack.len()
    }

    /// Takes one event in; see the table above. [`Event::Ready`] yields exactly one action.
    pub fn step(&mut self, event: Event, now: Now) -> Vec<Action> {
        match event {
            Event::Offer(delivery) => self.offer(*delivery),
            Event::Post(message) => self.post(*message),
            Event::Acked(id) => self.acked(&id),
            Event::Refused(id) => self.refused(&id, now),
            Event::Keepalive => {
                self.alive_until = now.at + self.keepalive;
                Vec::new()
            }
            Event::Prepared { key, found } => self.prepared(&key, found, now),
            Event::Ready => vec![self.ready(now)],
        }
    }

    fn offer(&mut self, delivery: Delivery) -> Vec<Action> {
        let key = delivery.key.clone();
        if self.slots.len() >= ACK_CAPACITY && !self.slots.contains_key(&key) {
            self.behind = true;
            let mut actions = vec![Action::Overflow];
            if let Payload::Answer(answer) = delivery.payload {
                actions.extend(self.post(busy(answer)));
            }
            return actions;
        }
        let slot = self.slots.entry(key.clone()).or_insert_with(|| {
            self.queue.push_back(key.clone());
            Slot { parcels: VecDeque::new(), phase: Phase::Queued, rounds: 0 }
        });
        if let Payload::State { .. } = delivery.payload {
            let from = slot.first_replaceable();
            let waiting = slot.parcels.iter_mut().skip(from).find(|parcel| {
                parcel.delivery.uid == delivery.uid && matches!(parcel.delivery.payload, Payload::State { .. })
            });
            if let Some(waiting) = waiting {
                replace(&mut waiting.delivery, delivery);
                self.wake(&key);
                return Vec::new();
            }
        }
        if slot.parcels.len() >= PARCELS_PER_KEY {
            self.behind = true;
            // The answers before it put the object on record and will be acknowledged; whoever asked still waits.
            return match delivery.payload {
                Payload::Answer(answer) => self.post(answer),
                Payload::State { .. } => vec![Action::Overflow],
            };
        }
        let id = delivery.new_id();
        slot.parcels.push_back(Parcel { delivery, id, sent_at: None });
        self.wake(&key);
        Vec::new()
    }

    /// Something new about a resting object is worth another try at once.
    fn wake(&mut self, key: &ObjectKey) {
        if self.slots.get(key).is_some_and(|slot| matches!(slot.phase, Phase::Resting { .. })) {
            self.go_on(key);
        }
    }

    fn post(&mut self, message: Message) -> Vec<Action> {
        if self.no_ack.len() >= NO_ACK_CAPACITY {
            return vec![Action::Overflow];
        }
        self.no_ack.push_back(message);
        Vec::new()
    }

    fn acked(&mut self, id: &str) -> Vec<Action> {
        let Some(key) = self.ids.get(id).cloned() else { return Vec::new() };
        let Some(slot) = self.slots.get_mut(&key) else { return Vec::new() };
        let Some(parcel) = slot.parcels.pop_front_if(|parcel| parcel.id == id) else { return Vec::new() };
        self.ids.remove(id);
        slot.rounds = 0;
        let mut actions = vec![Action::Acknowledged(parcel.delivery.receipt())];
        if let Some(next) = slot.parcels.front_mut() {
            next.delivery.recorded |= !parcel.delivery.is_delete() && next.delivery.uid == parcel.delivery.uid;
        }
        self.go_on(&key);
        actions.extend(self.drained());
        actions
    }

    fn refused(&mut self, id: &str, now: Now) -> Vec<Action> {
        let Some(key) = self.ids.get(id).cloned() else { return Vec::new() };
        if self.slots.get(&key).is_some_and(|slot| matches!(slot.phase, Phase::Flying { .. })) {
            self.rest(&key, now);
        }
        Vec::new()
    }

    fn prepared(&mut self, key: &ObjectKey, found: Option<Fetched>, now: Now) -> Vec<Action> {
        let Some(slot) = self.slots.get_mut(key) else { return Vec::new() };
        if !matches!(slot.phase, Phase::Preparing) {
            return Vec::new();
        }
        let Some(found) = found else {
            self.rest(key, now);
            return Vec::new();
        };
        let superseded = slot.is_superseded();
        let Some(head) = slot.parcels.front_mut() else { return Vec::new() };
        let deliver = head.delivery.prepared(found);
        if superseded || !deliver {
            slot.parcels.pop_front();
            if let Some(next) = slot.parcels.front_mut().filter(|_| superseded) {
                next.delivery.recorded = true;
            }
        }
        self.go_on_first(key);
        self.drained().into_iter().collect()
    }

    fn ready(&mut self, now: Now) -> Action {
        if now.at >= self.alive_until {
            return Action::Expired;
        }
        if let Some(message) = self.no_ack.pop_front() {
            return Action::Write { message: Box::new(message), repeat: false };
        }
        self.wake_resting(now);
        if let Some(action) = self.repeat_one(now) {
            return action;
        }
        while self.busy.len() < WINDOW {
            let Some(key) = self.queue.pop_front() else { break };
            if let Some(action) = self.start(key, now) {
                return action;
            }
        }
        if self.behind
            && let Some(drained) = self.drained()
        {
            return drained;
        }
        Action::Sleep { until: self.next_deadline() }
    }

    /// Starts the first parcel of a queued slot.
    fn start(&mut self, key: ObjectKey, now: Now) -> Option<Action> {
        let slot = self.slots.get_mut(&key)?;
        if slot.is_superseded() {
            let old = slot.parcels.pop_front()?;
            self.ids.remove(&old.id);
            slot.parcels.front_mut()?.delivery.recorded |= old.delivery.recorded;
        }
        let head = slot.parcels.front_mut()?;
        if let Some(preparation) = head.delivery.preparation() {
            slot.phase = Phase::Preparing;
            self.busy.push(key);
            return Some(Action::Prepare(preparation));
        }
        let repeat = head.sent_at.is_some();
        let message = head.delivery.message(&head.id, *head.sent_at.get_or_insert(now.unix_ms));
        self.ids.insert(head.id.clone(), key.clone());
        slot.phase = Phase::Flying { sends: 1, due: now.at + RESEND };
        self.busy.push(key);
        Some(Action::Write { message: Box::new(message), repeat })
    }

    /// Repeats one overdue message, or lets its object rest, or moves on to a newer state of it.
    fn repeat_one(&mut self, now: Now) -> Option<Action> {
        loop {
            let slots = &self.slots;
            let overdue = |key: &&ObjectKey| matches!(slots[*key].phase, Phase::Flying { due, .. } if due <= now.at);
            let key = self.busy.iter().find(overdue)?.clone();
            let slot = self.slots.get_mut(&key)?;
            if slot.is_superseded() {
                if let Some(old) = slot.parcels.pop_front() {
                    self.ids.remove(&old.id);
                }
                if let Some(next) = slot.parcels.front_mut() {
                    next.delivery.recorded = true;
                }
                self.go_on_first(&key);
                continue;
            }
            let Phase::Flying { sends, due } = &mut slot.phase else { return None };
            if *sends >= MAX_SENDS {
                self.rest(&key, now);
                continue;
            }
            *sends += 1;
            *due = now.at + RESEND;
            let head = slot.parcels.front()?;
            let message = head.delivery.message(&head.id, head.sent_at.unwrap_or(now.unix_ms));
            return Some(Action::Write { message: Box::new(message), repeat: true });
        }
    }

    /// Leaves the window and queues the slot behind the others, or forgets it when it is empty.
    fn go_on(&mut self, key: &ObjectKey) {
        if self.leave(key) {
            self.queue.push_back(key.clone());
        }
    }

    /// As [`Session::go_on`], before the others.
    fn go_on_first(&mut self, key: &ObjectKey) {
        if self.leave(key) {
            self.queue.push_front(key.clone());
        }
    }

    /// Returns whether the slot still has something to deliver and has to be queued.
    fn leave(&mut self, key: &ObjectKey) -> bool {
        self.busy.retain(|busy| busy != key);
        self.resting.retain(|resting| resting != key);
        let Some(slot) = self.slots.get_mut(key) else { return false };
        if slot.parcels.is_empty() {
            self.slots.remove(key);
            self.queue.retain(|queued| queued != key);
            return false;
        }
        let queued = matches!(slot.phase, Phase::Queued);
        slot.phase = Phase::Queued;
        !queued
    }

    fn rest(&mut self, key: &ObjectKey, now: Now) {
        self.busy.retain(|busy| busy != key);
        let Some(slot) = self.slots.get_mut(key) else { return };
        let stale = slot.parcels.pop_front_if(|head| matches!(head.delivery.payload, Payload::Answer(_)));
        if let Some(stale) = stale {
            self.ids.remove(&stale.id);
            self.behind = true;
            return self.go_on(key);
        }
        let pause = MIN_REST.saturating_mul(1 << slot.rounds.min(16)).min(MAX_REST);
        slot.rounds += 1;
        slot.phase = Phase::Resting { until: now.at + pause };
        self.resting.push(key.clone());
    }

    fn wake_resting(&mut self, now: Now) {
        let slots = &mut self.slots;
        let queue = &mut self.queue;
        self.resting.retain(|key| {
            let Some(slot) = slots.get_mut(key) else { return false };
            let rests = matches!(slot.phase, Phase::Resting { until } if until > now.at);
            if !rests {
                slot.phase = Phase::Queued;
                queue.push_back(key.clone());
            }
            rests
        });
    }

    fn next_deadline(&self) -> Instant {
        let dues = self.busy.iter().chain(&self.resting).filter_map(|key| match self.slots.get(key)?.phase {
            Phase::Flying { due, .. } => Some(due),
            Phase::Resting { until } => Some(until),
            Phase::Queued | Phase::Preparing => None,
        });
        dues.fold(self.alive_until, Instant::min)
    }

    fn drained(&mut self) -> Option<Action> {
        if !self.slots.is_empty() {
            return None;
        }
        // An idle session keeps no memory of its last burst.
        self.slots.shrink_to_fit();
        self.ids = HashMap::new();
        self.queue = VecDeque::new();
        self.busy = Vec::new();
        self.resting = Vec::new();
        Some(Action::Drained { behind: std::mem::take(&mut self.behind) })
    }
}

/// An answer turned into an error: what it holds could not be kept on record.
fn busy(mut answer: Message) -> Message {
    answer.route.operation = Operation::Error;
    answer.content = Content::text("too many objects are waiting for this node");
    answer.header.resource_version = None;
    answer
}

/// Replaces a waiting state by a newer one of the same object.
fn replace(waiting: &mut Delivery, newer: Delivery) {
    if waiting.is_delete() || (!newer.is_delete() && waiting.version.is_newer_than(&newer.version)) {
        return;
    }
    let unseen = matches!(waiting.payload, Payload::State { change: StateChange::Insert, .. });
    let recorded = waiting.recorded || newer.recorded;
    *waiting = newer;
    waiting.recorded = recorded;
    if let Payload::State { change: change @ StateChange::Update, body } = &mut waiting.payload {
        let deleting = matches!(body, Body::Object(object) if object.meta.deleting);
        if unseen && !deleting {
            *change = StateChange::Insert;
        }
    }
}

#[cfg(test)]
mod tests;

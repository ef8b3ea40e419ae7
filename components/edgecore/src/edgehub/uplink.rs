//! The way up: calls that wait for their answer, and acknowledgements, over whichever link stands now.
//!
//! Nothing is queued for a link that does not exist: a call made while the cloud is away fails at once, and when a
//! link ends every call on it fails, so that the caller decides from present state whether to ask again. What waits
//! while a link stands is bounded, and a newer status patch takes the place of an older one of the same object.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;
use wire::message::Message;
use wire::operation::Operation;

/// Calls in flight or waiting on one link. Full: the next caller waits, status patches replace each other.
pub const CALLS: usize = 128;
/// Acknowledgements waiting for the writer of one link. Full: MetaManager waits.
pub const ANSWERS: usize = 128;

/// Why a call got no answer. The caller may always ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CallError {
    /// There is no link to the cloud.
    #[error("not connected")]
    NotConnected,
    /// The link ended before the answer came.
    #[error("connection lost between EdgeCore and CloudCore")]
    LinkLost,
    /// A newer patch of the same object took this one's place before it was sent.
    #[error("replaced by a newer status")]
    Superseded,
    /// The answer did not come in time.
    #[error("no answer in time")]
    Timeout,
}

/// Handle to the cloud; clones share it.
#[derive(Clone)]
pub struct Uplink {
    current: Arc<Mutex<Option<Arc<Lanes>>>>,
    connected: watch::Sender<bool>,
}

/// The waiting room of one link.
pub struct Lanes {
    id: u64,
    answers: mpsc::Sender<Message>,
    slots: Semaphore,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    closed: bool,
    unsent: VecDeque<Message>,
    waiting: HashMap<String, oneshot::Sender<Result<Message, CallError>>>,
}

/// A message and the link it came over, where its answer belongs.
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// Its link.
    pub link: Arc<Lanes>,
}

impl Uplink {
    /// A handle without a link.
    pub fn new() -> Self {
        Self { current: Arc::default(), connected: watch::Sender::new(false) }
    }

    /// Whether a link stands, and when that changes.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.subscribe()
    }

    /// Number of the link that stands, if one does; no two links of a process share it.
    pub fn link(&self) -> Option<u64> {
        self.lock().as_ref().map(|lanes| lanes.id)
    }

    /// Sends `request` and waits for its answer, at most `deadline`.
    ///
    /// Cancel-safe: a dropped call is forgotten, and its late answer treated as an orphan.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(&self, request: Message, deadline: Duration) -> Result<Delivery, CallError> {
        let link = self.lock().clone().ok_or(CallError::NotConnected)?;
        let message = timeout(deadline, link.call(request)).await.unwrap_or(Err(CallError::Timeout))?;
        Ok(Delivery { message, link })
    }

    /// A link stands: calls go to it until the answer is dropped, and then they fail.
    pub fn stand(&self, lanes: Arc<Lanes>) -> Standing<'_> {
        *self.lock() = Some(Arc::clone(&lanes));
        self.connected.send_replace(true);
        Standing { uplink: self, lanes }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Lanes>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As long as this lives, the link stands.
pub struct Standing<'a> {
    uplink: &'a Uplink,
    lanes: Arc<Lanes>,
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        *self.uplink.lock() = None;
        self.uplink.connected.send_replace(false);
        self.lanes.close();
    }
}

impl Default for Uplink {
    fn default() -> Self {
        Self::new()
    }
}

impl Lanes {
    /// The lanes of link number `id`, and the answers its writer has to send.
    pub fn new(id: u64) -> (Arc<Self>, mpsc::Receiver<Message>) {
        let (answers, outgoing) = mpsc::channel(ANSWERS);
        let lanes = Self { id, answers, slots: Semaphore::new(CALLS), state: Mutex::default(), wake: Notify::new() };
        (Arc::new(lanes), outgoing)
    }

    /// Number of the link.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Hands an acknowledgement to the writer. One for a link that is gone is dropped: the cloud repeats what it
    /// did not see acknowledged.
    pub async fn answer(&self, answer: Message) {
        let _ = self.answers.send(answer).await;
    }

    async fn call(&self, request: Message) -> Result<Message, CallError> {
        let _slot = self.slots.acquire().await.map_err(|_| CallError::LinkLost)?;
        let (done, answer) = oneshot::channel();
        let forget = Forget { lanes: self, id: request.header.id.clone() };
        self.enqueue(request, done)?;
        self.wake.notify_one();
        let outcome = answer.await.unwrap_or(Err(CallError::LinkLost));
        drop(forget);
        outcome
    }

    fn enqueue(&self, request: Message, done: oneshot::Sender<Result<Message, CallError>>) -> Result<(), CallError> {
        let mut state = self.state();
        if state.closed {
            return Err(CallError::LinkLost);
        }
        if request.route.operation == Operation::Patch
            && let Some(at) = state.unsent.iter().position(|older| older.route == request.route)
            && let Some(older) = state.unsent.remove(at)
            && let Some(caller) = state.waiting.remove(&older.header.id)
        {
            let _ = caller.send(Err(CallError::Superseded));
        }
        state.waiting.insert(request.header.id.clone(), done);
        state.unsent.push_back(request);
        Ok(())
    }

    /// Gives an answer to the caller who waits for it; hands it back when nobody does.
    pub fn deliver(&self, answer: Message) -> Option<Message> {
        let caller = answer.header.parent_id.as_ref().and_then(|parent| self.state().waiting.remove(parent));
        match caller {
            Some(caller) => caller.send(Ok(answer)).err().and_then(Result::ok),
            None => Some(answer),
        }
    }

    /// The next request to write, once `admitted` lets it pass.
    ///
    /// Cancel-safe: a request is taken only in the moment it is returned.
    pub async fn next_request<F: Future<Output = ()>>(&self, mut admitted: impl FnMut() -> F) -> Message {
        loop {
            let woken = self.wake.notified();
            if self.state().unsent.is_empty() {
                woken.await;
                continue;
            }
            admitted().await;
            if let Some(request) = self.state().unsent.pop_front() {
                return request;
            }
        }
    }

    fn close(&self) {
        self.slots.close();
        let mut state = self.state();
        state.closed = true;
        state.unsent.clear();
        state.waiting.clear(); // the callers see their sender dropped
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a call when its caller stops waiting, for whatever reason.
struct Forget<'a> {
    lanes: &'a Lanes,
    id: String,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let mut state = self.lanes.state();
        state.waiting.remove(&self.id);
        state.unsent.retain(|request| request.header.id != self.id);
    }
}

#[cfg(test)]
mod tests;

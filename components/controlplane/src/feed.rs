//! Level-triggered feeds for the scheduler and the controllers: a list, then every change, over several resources.
//!
//! A feed never loses its place for its reader: when the log was compacted under it, it lists again and says so with
//! [`Seen::Reset`], and the reader starts from state. No controller depends on having seen an event.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::apiserver::{api::Api, status::ApiError};
use crate::store::StoreError;
use crate::store::watch::{Change, Cursor, Op};

/// How long a feed waits after a store error before it lists again.
const RETRY: Duration = Duration::from_secs(1);

/// What a feed tells its reader.
#[derive(Debug)]
pub enum Seen {
    /// Forget everything: the state follows as [`Seen::Object`]s, then [`Seen::Listed`].
    Reset,
    /// The state is complete.
    Listed,
    /// An object exists in this form.
    Object {
        /// Namespace; empty when cluster-scoped.
        ns: String,
        /// Name.
        name: String,
        /// Canonical JSON.
        body: Bytes,
    },
    /// An object is gone; `body` is its last state.
    Gone {
        /// Namespace; empty when cluster-scoped.
        ns: String,
        /// Name.
        name: String,
        /// Canonical JSON of the last state.
        body: Bytes,
    },
}

/// A list and then a watch of one resource.
pub struct Feed {
    api: Arc<Api>,
    group: &'static str,
    plural: &'static str,
    state: State,
}

enum State {
    Start,
    Listing { items: std::vec::IntoIter<crate::store::Stored>, cursor: Box<Cursor> },
    Watching(Box<Cursor>),
}

impl Feed {
    /// A feed of every object of a built-in resource.
    pub fn new(api: &Arc<Api>, group: &'static str, plural: &'static str) -> Self {
        Self { api: Arc::clone(api), group, plural, state: State::Start }
    }

    /// The next news; waits until there is some. Cancel-safe.
    pub async fn next(&mut self) -> Seen {
        loop {
            match &mut self.state {
                State::Start => match self.list().await {
                    Ok(state) => {
                        self.state = state;
                        return Seen::Reset;
                    }
                    Err(error) => {
                        tracing::warn!(resource = self.plural, error = %error, "list failed");
                        tokio::time::sleep(RETRY).await;
                    }
                },
                State::Listing { items, .. } => {
                    if let Some(item) = items.next() {
                        return Seen::Object { ns: item.ns, name: item.name, body: item.body };
                    }
                    let State::Listing { cursor, .. } = std::mem::replace(&mut self.state, State::Start) else {
                        continue;
                    };
                    self.state = State::Watching(cursor);
                    return Seen::Listed;
                }
                State::Watching(cursor) => match cursor.next().await {
                    Ok(change) => return seen(&change),
                    Err(error) => {
                        if !matches!(error, StoreError::Expired { .. }) {
                            tracing::warn!(resource = self.plural, error = %error, "watch failed");
                            tokio::time::sleep(RETRY).await;
                        }
                        self.state = State::Start;
                    }
                },
            }
        }
    }

    async fn list(&self) -> Result<State, ApiError> {
        let rk = self.api.builtin(self.group, self.plural, "", "").await?.rk;
        let listing = self.api.store.list(rk, None).await?;
        let cursor = Box::new(self.api.store.watch(rk, None, listing.revision));
        Ok(State::Listing { items: listing.items.into_iter(), cursor })
    }
}

fn seen(change: &Change) -> Seen {
    let (ns, name, body) = (change.ns.clone(), change.name.clone(), change.body.clone());
    match change.op {
        Op::Create | Op::Update => Seen::Object { ns, name, body },
        Op::Delete => Seen::Gone { ns, name, body },
    }
}

/// Every object of a built-in resource in one namespace, or in all.
///
/// # Errors
/// Store errors and damaged stored text.
pub async fn list(api: &Api, group: &str, plural: &str, ns: Option<&str>) -> Result<Vec<Value>, ApiError> {
    let rk = api.builtin(group, plural, "", "").await?.rk;
    let mut values = Vec::new();
    for item in api.store.list(rk, ns).await?.items {
        values.push(item.value()?);
    }
    Ok(values)
}

/// Runs `pass` at once, after every change of any of `resources`, and at least every `period`, until `stop`.
///
/// Changes that arrive while a pass runs cause one more pass; changes within `settle` share one. A failed pass is
/// logged and repeated after [`RETRY`].
pub async fn reconcile<F>(
    api: Arc<Api>,
    name: &'static str,
    resources: &[(&'static str, &'static str)],
    period: Duration,
    stop: CancellationToken,
    mut pass: impl FnMut(Arc<Api>) -> F + Send,
) where
    F: Future<Output = Result<(), ApiError>> + Send,
{
    const SETTLE: Duration = Duration::from_millis(20);
    let mut feeds: Vec<Feed> = resources.iter().map(|(group, plural)| Feed::new(&api, group, plural)).collect();
    loop {
        let wait = match pass(Arc::clone(&api)).await {
            Ok(()) => period,
            Err(error) => {
                tracing::warn!(controller = name, error = %error, "pass failed");
                RETRY
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
            () = any(&mut feeds) => {
                tokio::time::sleep(SETTLE).await;
                drain(&mut feeds).await;
            }
        }
    }
}

/// Waits until one of the feeds has news.
async fn any(feeds: &mut [Feed]) {
    let _ = futures_util::future::select_all(feeds.iter_mut().map(|feed| Box::pin(feed.next()))).await;
}

/// Takes what is there now out of every feed; the next pass sees it all in the store.
async fn drain(feeds: &mut [Feed]) {
    for feed in feeds {
        while tokio::time::timeout(Duration::ZERO, feed.next()).await.is_ok() {}
    }
}

//! A watch is a cursor over the log: a resource, a position, and the right to ask for what comes next.
//!
//! Guarantees: changes come in revision order, each at most once, none skipped between the start and the end. A list at
//! revision N followed by a watch from N has no gap. Selectors are the caller's business; [`Change`] carries the old
//! object for them. Source: spec 10 §3.5.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::watch;

use super::{Rk, Store, StoreError, log::Recent};

pub use super::log::{Change, Op};

/// Changes a cursor fetches at once.
const BATCH: usize = 64;

/// A position in the log of one resource; see the module documentation.
pub struct Cursor {
    store: Store,
    rk: Rk,
    ns: Option<String>,
    position: u64,
    fetched: VecDeque<Arc<Change>>,
    /// Where `position` moves when `fetched` is used up.
    fetched_through: u64,
    bell: watch::Receiver<u64>,
}

impl Store {
    /// Starts a cursor behind `from`: the first change it returns has a greater revision.
    ///
    /// The caller usually took `from` from a [`super::read::Listing`]. Nothing is checked here; [`Cursor::next`] reports
    /// [`StoreError::Expired`] for a position that is no longer known.
    pub fn watch(&self, rk: Rk, ns: Option<String>, from: u64) -> Cursor {
        let bell = self.inner.hub.bell(rk);
        Cursor { store: self.clone(), rk, ns, position: from, fetched: VecDeque::new(), fetched_through: from, bell }
    }
}

impl Cursor {
    /// Every change at or below this revision has been returned; good for bookmarks.
    pub fn position(&self) -> u64 {
        if self.fetched.is_empty() { self.fetched_through.max(self.position) } else { self.position }
    }

    /// The next change; waits until there is one. Cancel-safe: a dropped call loses nothing.
    ///
    /// # Errors
    /// [`StoreError::Expired`] when the cursor fell behind compaction; the caller lists again.
    pub async fn next(&mut self) -> Result<Arc<Change>, StoreError> {
        loop {
            if let Some(change) = self.pop() {
                return Ok(change);
            }
            if !self.fetch().await? {
                self.bell.changed().await.map_err(|_| StoreError::Closed)?;
            }
        }
    }

    /// The next change if there is one now.
    ///
    /// # Errors
    /// Those of [`Cursor::next`].
    pub async fn try_next(&mut self) -> Result<Option<Arc<Change>>, StoreError> {
        loop {
            if let Some(change) = self.pop() {
                return Ok(Some(change));
            }
            if !self.fetch().await? {
                return Ok(None);
            }
        }
    }

    fn pop(&mut self) -> Option<Arc<Change>> {
        while let Some(change) = self.fetched.pop_front() {
            self.position = change.rev;
            if self.ns.as_ref().is_none_or(|ns| *ns == change.ns) {
                return Some(change);
            }
        }
        self.position = self.position.max(self.fetched_through);
        None
    }

    /// Fills `fetched`; `false` when there is nothing new.
    async fn fetch(&mut self) -> Result<bool, StoreError> {
        self.bell.borrow_and_update();
        let (changes, through) = match self.store.inner.hub.recent(self.rk, self.position, BATCH) {
            Recent::Known(changes, through) => (changes, through),
            Recent::TooOld => {
                self.store.check_readable(self.position)?;
                let (changes, through) = self.store.replay(self.rk, self.position, BATCH).await?;
                // Compaction may have run in between; what was read is then incomplete.
                self.store.check_readable(self.position)?;
                (changes.into_iter().map(Arc::new).collect(), through)
            }
        };
        self.fetched = changes.into();
        self.fetched_through = through;
        if self.fetched.is_empty() {
            self.position = self.position.max(through);
            return Ok(false);
        }
        Ok(true)
    }
}

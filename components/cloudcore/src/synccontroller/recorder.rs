//! Writes ObjectSync records: created before the first delivery, brought up to date soon after acknowledgements.
//!
//! Acknowledgements of one object within [`FLUSH_DELAY`] cost one write. A write that fails is repeated until it
//! succeeds; losing one in a crash costs a second delivery, never a missing one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::cloudhub::delivery::Receipt;
use crate::kind::ObjectKey;
use crate::kubeapi::{ApiError, ApiPath, KubeApi, PatchKind};
use crate::monitor::metrics::Metrics;
use crate::synccontroller::records::{new_record_body, record_key, record_kind, status_patch};

/// How long acknowledgements are collected before they are written.
pub const FLUSH_DELAY: Duration = Duration::from_millis(300);
/// Bookings waiting to be written. Full: the booking is dropped and counted; the object is delivered once more
/// after the next connect.
pub const CAPACITY: usize = 65_536;
/// Bookings written at once.
const PARALLEL: usize = 16;
/// Pause after a pass in which a write failed.
const RETRY: Duration = Duration::from_secs(2);
/// How long pending bookings may take at the end.
const LAST_FLUSH: Duration = Duration::from_secs(5);
/// A DeleteOptions body without grace.
pub const NO_GRACE: &str = r#"{"gracePeriodSeconds":0}"#;

type Owed = HashMap<(Arc<str>, Arc<str>), Receipt>;

/// See the module's text.
pub struct Recorder {
    api: KubeApi,
    owed: Mutex<Owed>,
    wake: Notify,
    metrics: Arc<Metrics>,
}

impl Recorder {
    /// A recorder that owes nothing.
    pub fn new(api: KubeApi, metrics: Arc<Metrics>) -> Self {
        Self { api, owed: Mutex::default(), wake: Notify::new(), metrics }
    }

    /// Makes sure that a record exists. Another instance may have been faster.
    ///
    /// # Errors
    /// [`ApiError`]; nothing may be delivered then.
    pub async fn ensure(&self, node: &str, uid: &str, object: &ObjectKey) -> Result<(), ApiError> {
        let kind = record_kind(object.namespace.is_some());
        let body = new_record_body(node, uid, object);
        match self.api.create(&kind, object.namespace.as_deref(), body).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_already_exists() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Books an acknowledgement; it is written within moments.
    pub fn book(&self, node: &Arc<str>, receipt: Receipt) {
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (node.clone(), receipt.uid.clone());
        if owed.len() >= CAPACITY && !owed.contains_key(&place) {
            self.metrics.dropped_bookings.inc();
            return;
        }
        owed.insert(place, receipt);
        drop(owed);
        self.wake.notify_one();
    }

    /// Deletes a record.
    ///
    /// # Errors
    /// [`ApiError`], except that a missing record is fine.
    pub async fn delete(&self, node: &str, uid: &str, object: &ObjectKey) -> Result<(), ApiError> {
        match self.api.delete(&record_key(node, uid, object), NO_GRACE.to_owned()).await {
            Err(error) if !error.is_not_found() => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Writes bookings until `stop`, then what is left within a few seconds.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.wake.notified() => {}
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(FLUSH_DELAY) => {}
            }
            if !self.flush().await {
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(RETRY) => {}
                }
                self.wake.notify_one();
            }
        }
        if tokio::time::timeout(LAST_FLUSH, self.flush()).await.is_err() {
            warn!("some acknowledgements were not recorded; their objects will be delivered again");
        }
    }

    /// Writes everything owed once; returns whether all of it succeeded.
    async fn flush(&self) -> bool {
        let owed = std::mem::take(&mut *self.owed.lock().unwrap_or_else(PoisonError::into_inner));
        let failed: Vec<_> = stream::iter(owed)
            .map(|(place, receipt)| async move {
                let outcome = self.write(&place.0, &receipt).await;
                outcome.err().map(|error| (place, receipt, error))
            })
            .buffer_unordered(PARALLEL)
            .filter_map(std::future::ready)
            .collect()
            .await;
        let mut all_written = true;
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, receipt, error) in failed {
            warn!(node = %place.0, resource = %receipt.key, error = %crate::chain(&error), "acknowledgement not recorded yet");
            if error.is_retryable() || error.is_conflict() {
                all_written = false;
                // A later acknowledgement of the same object has the last word.
                owed.entry(place).or_insert(receipt);
            }
        }
        all_written
    }

    async fn write(&self, node: &str, receipt: &Receipt) -> Result<(), ApiError> {
        if receipt.deleted {
            return self.delete(node, &receipt.uid, &receipt.key).await;
        }
        match self.write_status(node, receipt).await {
            Err(error) if error.is_not_found() => {
                match self.ensure(node, &receipt.uid, &receipt.key).await {
                    // Its records go with the namespace.
                    Err(error) if error.is_namespace_terminating() => Ok(()),
                    ensured => {
                        ensured?;
                        self.write_status(node, receipt).await
                    }
                }
            }
            outcome => outcome,
        }
    }

    async fn write_status(&self, node: &str, receipt: &Receipt) -> Result<(), ApiError> {
        let key = record_key(node, &receipt.uid, &receipt.key);
        let path = ApiPath::of(&key)?.subresource("status");
        self.api.patch(&key.kind, path, PatchKind::Merge, status_patch(&receipt.version)).await.map(drop)
    }
}

//! The one task that runs all probes of the node.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::handlers::{Outcome, Prober};
use super::table::{Order, ProbeKey};
use super::{ContainerExec, ProbeUpdate, Shared};

/// Runs probes as they fall due. Does nothing, and wakes for nothing, while no container has one.
#[derive(Debug)]
pub struct ProbeRunner {
    shared: Arc<Shared>,
    prober: Arc<Prober>,
    updates: mpsc::Sender<ProbeUpdate>,
}

impl ProbeRunner {
    pub(super) fn new(shared: Arc<Shared>, exec: Arc<dyn ContainerExec>, updates: mpsc::Sender<ProbeUpdate>) -> Self {
        Self { shared, prober: Arc::new(Prober::new(exec)), updates }
    }

    /// Runs until `stop`; attempts in flight are dropped then. Each probe has at most one attempt in flight.
    pub async fn run(self, stop: CancellationToken) {
        let mut attempts = Attempts::default();
        loop {
            let (orders, next_due, has_news) = {
                let mut table = self.shared.table();
                let orders = table.due(Instant::now());
                (orders, table.next_due(), table.has_news())
            };
            for order in orders {
                attempts.start(&self.prober, order);
            }
            let due = async {
                match next_due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = due => {}
                () = self.shared.changed.notified() => {}
                permit = self.updates.reserve(), if has_news => {
                    let Ok(permit) = permit else { return };
                    if let Some(update) = self.shared.table().take_news() {
                        permit.send(update);
                    }
                }
                Some((key, generation, outcome)) = attempts.next() => {
                    debug!(pod.uid = key.pod_uid, container = key.container, kind = ?key.kind, ?outcome, "probed");
                    let again = self.shared.table().finish(key, generation, &outcome, Instant::now());
                    if let Some(order) = again {
                        attempts.start(&self.prober, order);
                    }
                }
            }
        }
    }
}

/// Attempts in flight and which probe each belongs to.
#[derive(Debug, Default)]
struct Attempts {
    tasks: JoinSet<Outcome>,
    owners: HashMap<Id, (ProbeKey, u64)>,
}

impl Attempts {
    fn start(&mut self, prober: &Arc<Prober>, order: Order) {
        let prober = Arc::clone(prober);
        let Order { key, generation, question } = order;
        let task = self.tasks.spawn(async move { prober.ask(&question).await });
        self.owners.insert(task.id(), (key, generation));
    }

    /// The next attempt that is over; `None` while nothing is in flight. Cancel-safe.
    async fn next(&mut self) -> Option<(ProbeKey, u64, Outcome)> {
        let (id, outcome) = match self.tasks.join_next_with_id().await? {
            Ok(ended) => ended,
            Err(error) => (error.id(), Outcome::Error(format!("attempt ended abnormally: {error}"))),
        };
        let (key, generation) = self.owners.remove(&id)?;
        Some((key, generation, outcome))
    }
}

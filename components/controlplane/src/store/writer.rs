//! The writer thread and the transaction its closures work in.
//!
//! Closures queue up, run one after the other inside one SQLite transaction (each under its own savepoint, so that a
//! failing one undoes only itself and burns no revision), one commit makes the group durable, then the changes are
//! published and only then the callers are answered: whoever gets an answer can read his own write. Source: spec 10 §3.3.

mod allocate;
mod tx;

use std::{sync::Arc, thread};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use super::{
    Durability, Rk, Store, StoreError,
    log::{Change, Hub},
    schema::{set_meta, to_sql},
};

pub use self::tx::Tx;

/// Closures that may wait for the writer. Full: the caller waits.
const QUEUE: usize = 256;

/// Closures per commit. Larger groups would add latency without saving much of the sync.
const GROUP: usize = 64;

/// Revisions reserved ahead; one durable commit per so many changes.
pub const RESERVATION: u64 = 10_000;

/// Largest object the store takes, in bytes of canonical text. Source: spec 10 §2.3.
pub const MAX_OBJECT: usize = 1_572_864;

trait Job: Send {
    fn durability(&self) -> Durability;
    /// Runs the closure; `true` keeps what it did.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Gives the caller his answer; `committed` is false when the commit of the group failed.
    fn answer(self: Box<Self>, committed: bool);
}

struct Closure<F, T, E> {
    durability: Durability,
    work: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Closure<F, T, E>
where
    F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: Send + From<StoreError>,
{
    fn durability(&self) -> Durability {
        self.durability
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let Some(work) = self.work.take() else { return false };
        // A closure that panics must not take the store with it; its savepoint is rolled back and the caller, whose
        // reply channel is dropped unanswered, sees a closed store.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(tx)));
        self.outcome = outcome.ok();
        matches!(self.outcome, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, committed: bool) {
        let answer = match self.outcome {
            Some(Ok(_)) if !committed => Err(E::from(StoreError::Closed)),
            Some(outcome) => outcome,
            None => Err(E::from(StoreError::Closed)),
        };
        // The caller may have given up waiting; the write stands either way.
        let _ = self.reply.send(answer);
    }
}

enum Command {
    Job(Box<dyn Job>),
    /// Carries earlier relaxed commits to the disk.
    Sync,
    /// Runs housekeeping on the write connection, outside of any group.
    Upkeep(Box<dyn FnOnce(&Connection) + Send>),
    Stop(oneshot::Sender<()>),
}

/// The sending side; the thread ends when the last sender is gone.
pub struct Writer {
    queue: mpsc::Sender<Command>,
    relaxed: bool,
}

impl Writer {
    pub(super) fn start(
        db: Connection,
        hub: Hub,
        base: u64,
        reserved: u64,
        relaxed: bool,
        lock: std::fs::File,
    ) -> Result<Self, StoreError> {
        let (queue, commands) = mpsc::channel(QUEUE);
        let thread = Thread { db, hub, last: base, reserved, unsynced: false, full: true, lock };
        thread::Builder::new()
            .name("store-writer".into())
            .stack_size(1 << 20)
            .spawn(move || thread.run(commands))
            .map_err(|source| StoreError::Io { path: "store-writer thread".into(), source })?;
        Ok(Self { queue, relaxed })
    }

    async fn submit<F, T, E>(&self, durability: Durability, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + From<StoreError> + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let durability = if self.relaxed { Durability::Relaxed } else { durability };
        let job = Closure { durability, work: Some(work), outcome: None, reply };
        self.queue.send(Command::Job(Box::new(job))).await.map_err(|_| E::from(StoreError::Closed))?;
        answer.await.unwrap_or_else(|_| Err(E::from(StoreError::Closed)))
    }
}

impl Store {
    /// Runs `work` in a write transaction. An `Err` undoes everything it did.
    ///
    /// The closure runs on the writer thread and holds up every other write: no waiting, no input or output. Cancelling
    /// the returned future does not cancel the write once it is queued.
    ///
    /// # Errors
    /// Those of `work`; [`StoreError::Closed`] when the store is closed or the disk refused the commit.
    pub async fn write<F, T, E>(&self, durability: Durability, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + From<StoreError> + 'static,
    {
        self.inner.writer.submit(durability, work).await
    }

    /// Runs housekeeping with the write connection between two groups.
    pub(super) async fn upkeep<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Upkeep(Box::new(move |db| {
            let _ = reply.send(work(db));
        }));
        self.inner.writer.queue.send(command).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Asks for earlier relaxed commits to be carried to disk.
    pub(super) async fn sync(&self) -> Result<(), StoreError> {
        self.inner.writer.queue.send(Command::Sync).await.map_err(|_| StoreError::Closed)
    }

    /// Finishes the queued writes and marks the file as cleanly closed. Later writes fail with [`StoreError::Closed`].
    pub async fn close(&self) {
        let (done, finished) = oneshot::channel();
        if self.inner.writer.queue.send(Command::Stop(done)).await.is_ok() {
            let _ = finished.await;
        }
    }
}

struct Thread {
    db: Connection,
    hub: Hub,
    /// The newest committed revision.
    last: u64,
    /// Revisions up to here may be used without another durable reservation.
    reserved: u64,
    /// Relaxed commits since the last synced one.
    unsynced: bool,
    /// Whether the connection currently syncs on commit.
    full: bool,
    /// Held for its lock, as long as this thread may write.
    lock: std::fs::File,
}

impl Thread {
    fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(first) = commands.blocking_recv() {
            let mut group: Vec<Box<dyn Job>> = Vec::new();
            let mut next = Some(first);
            while let Some(command) = next.take() {
                match command {
                    Command::Job(job) => group.push(job),
                    Command::Sync => {
                        self.flush(std::mem::take(&mut group));
                        self.sync();
                    }
                    Command::Upkeep(work) => {
                        self.flush(std::mem::take(&mut group));
                        work(&self.db);
                    }
                    Command::Stop(done) => {
                        self.flush(std::mem::take(&mut group));
                        commands.close();
                        self.mark_clean();
                        drop((self.db, self.lock));
                        let _ = done.send(());
                        return;
                    }
                }
                if group.len() < GROUP {
                    next = commands.try_recv().ok();
                }
            }
            self.flush(group);
        }
        self.mark_clean();
    }

    fn flush(&mut self, mut group: Vec<Box<dyn Job>>) {
        if group.is_empty() {
            return;
        }
        let outcome = self.commit(&mut group);
        if let Err(error) = &outcome {
            error!(error = %error, "store commit failed");
            let _ = self.db.execute_batch("ROLLBACK");
        }
        if let Ok(changes) = outcome {
            if let Some(change) = changes.last() {
                self.last = change.rev;
            }
            self.hub.publish(changes);
            for job in group {
                job.answer(true);
            }
        } else {
            for job in group {
                job.answer(false);
            }
        }
    }

    /// Runs the group in one transaction and returns what it changed, in revision order.
    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<Vec<Arc<Change>>, StoreError> {
        let full = group.iter().any(|job| job.durability() == Durability::Full);
        let needs_reservation = self.last + RESERVATION / 2 > self.reserved;
        self.set_full(full || needs_reservation)?;
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        let reserved = self.last + RESERVATION;
        if needs_reservation {
            set_meta(&self.db, "reserved", &reserved.to_string())?;
        }
        let mut tx = Tx::new(&self.db, self.last);
        for job in group.iter_mut() {
            tx.savepoint()?;
            let keep = job.run(&mut tx);
            tx.close_savepoint(keep)?;
        }
        let changes = tx.into_changes();
        let mut through = if needs_reservation { reserved } else { self.reserved };
        let mut extended = false;
        if let Some(change) = changes.last()
            && change.rev > through
        {
            // One group wrote more than half a block (an import): extend the reservation inside the same commit.
            through = change.rev + RESERVATION;
            set_meta(&self.db, "reserved", &through.to_string())?;
            extended = true;
        }
        self.db.execute_batch("COMMIT")?;
        self.reserved = through;
        self.unsynced = !self.full && (self.unsynced || !changes.is_empty());
        if extended {
            self.sync();
        }
        Ok(changes)
    }

    /// Makes earlier relaxed commits durable: an empty synced commit carries the log to disk.
    fn sync(&mut self) {
        if !self.unsynced {
            return;
        }
        let mut carry = || -> Result<(), StoreError> {
            self.set_full(true)?;
            self.db.execute_batch("BEGIN IMMEDIATE; UPDATE meta SET v=v WHERE k='clean'; COMMIT")?;
            self.unsynced = false;
            Ok(())
        };
        if let Err(error) = carry() {
            error!(error = %error, "store sync failed");
            let _ = self.db.execute_batch("ROLLBACK");
        }
    }

    fn set_full(&mut self, full: bool) -> Result<(), StoreError> {
        if self.full != full {
            self.db.execute_batch(if full { "PRAGMA synchronous=FULL" } else { "PRAGMA synchronous=NORMAL" })?;
            self.full = full;
        }
        Ok(())
    }

    /// The clean mark spares the next start the integrity check and the hole.
    fn mark_clean(&mut self) {
        let mark = || -> Result<(), StoreError> {
            self.db.execute_batch("PRAGMA synchronous=FULL; BEGIN IMMEDIATE")?;
            set_meta(&self.db, "last", &self.last.to_string())?;
            set_meta(&self.db, "clean", "1")?;
            self.db.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")?;
            Ok(())
        };
        if let Err(error) = mark() {
            error!(error = %error, "store could not be marked clean");
        }
    }
}

/// Removes history: rows replaced or ended at or before `through`, a slice of revisions `(from, through]`.
pub(super) fn compact_slice(db: &Connection, from: u64, through: u64) -> Result<usize, StoreError> {
    db.execute_batch("BEGIN IMMEDIATE")?;
    let slice = || -> Result<usize, StoreError> {
        let replaced = db
            .prepare_cached("DELETE FROM kv WHERE rev IN (SELECT prev FROM kv WHERE rev>?1 AND rev<=?2 AND prev>0)")?
            .execute([to_sql(from), to_sql(through)])?;
        let ended = db
            .prepare_cached("DELETE FROM kv WHERE rev>?1 AND rev<=?2 AND op=2")?
            .execute([to_sql(from), to_sql(through)])?;
        set_meta(db, "compacted", &through.to_string())?;
        Ok(replaced + ended)
    };
    match slice() {
        Ok(removed) => {
            db.execute_batch("COMMIT")?;
            Ok(removed)
        }
        Err(error) => {
            let _ = db.execute_batch("ROLLBACK");
            Err(error)
        }
    }
}

/// Ids are handed out in order of first use and never change.
fn resource_id(db: &Connection, group: &str, plural: &str) -> Result<Rk, StoreError> {
    db.prepare_cached("INSERT INTO rk(grp,res) VALUES(?1,?2) ON CONFLICT DO NOTHING")?.execute([group, plural])?;
    let id =
        db.prepare_cached("SELECT id FROM rk WHERE grp=?1 AND res=?2")?.query_row([group, plural], |row| row.get(0))?;
    Ok(Rk(id))
}

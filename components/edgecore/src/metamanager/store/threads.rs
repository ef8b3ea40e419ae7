//! The two threads that own the connections.

use std::io;
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::mpsc;
use tracing::warn;

use super::{Outcome, ReadJob, StoreError, WriteJob, rows};

/// Most batches committed in one transaction.
const GROUP: usize = 64;
/// SQLite needs little; a page of the cache lives on the heap.
const STACK: usize = 256 * 1024;

/// The running threads. They end when every handle to the store is gone.
pub struct StoreThreads {
    writer: JoinHandle<()>,
}

impl StoreThreads {
    pub(super) fn start(
        writer: Connection,
        write_queue: mpsc::Receiver<WriteJob>,
        reader: Connection,
        read_queue: mpsc::Receiver<ReadJob>,
    ) -> io::Result<Self> {
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned()).stack_size(STACK);
        let reader = spawn("db-reader").spawn(move || read_loop(&reader, read_queue))?;
        let writer = spawn("db-writer").spawn(move || {
            write_loop(writer, write_queue, reader);
        })?;
        Ok(Self { writer })
    }

    /// Waits for both threads; drop every [`super::Store`] first. Blocks.
    pub fn join(self) {
        if self.writer.join().is_err() {
            warn!("the database writer panicked");
        }
    }
}

fn read_loop(db: &Connection, mut jobs: mpsc::Receiver<ReadJob>) {
    while let Some(job) = jobs.blocking_recv() {
        job(db);
    }
}

fn write_loop(mut db: Connection, mut jobs: mpsc::Receiver<WriteJob>, reader: JoinHandle<()>) {
    let mut group = Vec::with_capacity(GROUP);
    while jobs.blocking_recv_many(&mut group, GROUP) > 0 {
        commit(&mut db, &mut group);
    }
    // The last connection to close folds the log into the file and removes it, for whatever program opens it next.
    if reader.join().is_err() {
        warn!("the database reader panicked");
    }
    if let Err((_, error)) = db.close() {
        warn!(%error, "database did not close");
    }
}

/// Commits the whole group at once; if that fails each batch stands alone, so that a bad one fails alone.
fn commit(db: &mut Connection, group: &mut Vec<WriteJob>) {
    let together = in_transaction(db, |tx| group.iter().map(|job| apply_job(tx, job)).collect::<Result<Vec<_>, _>>());
    match together {
        Ok(outcomes) => {
            for (job, outcome) in group.drain(..).zip(outcomes) {
                // A caller that was cancelled meanwhile does not hear of it.
                let _ = job.done.send(Ok(outcome));
            }
        }
        Err(_) => {
            for job in group.drain(..) {
                let outcome = in_transaction(db, |tx| apply_job(tx, &job)).map_err(StoreError::from);
                let _ = job.done.send(outcome);
            }
        }
    }
}

fn apply_job(tx: &Transaction<'_>, job: &WriteJob) -> Result<Vec<Outcome>, rusqlite::Error> {
    job.writes.iter().map(|write| rows::apply(tx, write)).collect()
}

fn in_transaction<T>(
    db: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error>,
) -> Result<T, rusqlite::Error> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = work(&tx)?;
    tx.commit()?;
    Ok(value)
}

//! The edge database: one writer thread that commits what is queued in one transaction, one reader thread.
//!
//! Tables and columns are the peers' (spec 02 §5), so that a node can move between releases in both directions.
//! An answer of [`Store::write`] means the change is on the disk: the journal is a write-ahead log with full
//! synchronisation, which survives a power cut at any instant.

mod open;
mod rows;
mod salvage;
mod threads;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

pub use rows::{GenericRow, ObjectVersion, Outcome, Row, Write};
pub use threads::StoreThreads;

/// Write batches waiting for the writer thread. Full: the caller waits.
pub const WRITE_QUEUE: usize = 64;
/// Reads waiting for the reader thread. Full: the caller waits.
pub const READ_QUEUE: usize = 32;

/// Why the database did not answer.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file or its directory cannot be created or secured.
    #[error("cannot prepare the database file {path}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("database operation failed")]
    Sqlite(#[from] rusqlite::Error),
    /// The threads were stopped.
    #[error("database is closed")]
    Closed,
}

/// Changes that are committed together, and where to say so.
pub(crate) struct WriteJob {
    pub(crate) writes: Vec<Write>,
    pub(crate) done: oneshot::Sender<Result<Vec<Outcome>, StoreError>>,
}

pub(crate) type ReadJob = Box<dyn FnOnce(&Connection) + Send>;

/// Handle to the edge database; clones share it.
#[derive(Clone)]
pub struct Store {
    writer: mpsc::Sender<WriteJob>,
    reader: mpsc::Sender<ReadJob>,
    generation: Arc<str>,
    incomplete: Arc<AtomicBool>,
}

impl Store {
    /// Opens (or creates) the database and starts its two threads. Blocks: call it off the async threads.
    ///
    /// A file that SQLite finds damaged is moved aside and replaced by one with a new generation, so that the cloud
    /// sends everything again; until then it holds what could be read of the damaged one, and is
    /// [incomplete](Self::is_incomplete).
    ///
    /// # Errors
    /// [`StoreError::File`] and [`StoreError::Sqlite`] when not even an empty database can be had.
    pub fn open(path: PathBuf) -> Result<(Self, StoreThreads), StoreError> {
        let open::Opened { writer, reader, generation, incomplete } = open::open(&path)?;
        let (writes, write_queue) = mpsc::channel(WRITE_QUEUE);
        let (reads, read_queue) = mpsc::channel(READ_QUEUE);
        let threads = StoreThreads::start(writer, write_queue, reader, read_queue)
            .map_err(|source| StoreError::File { path, source })?;
        let incomplete = Arc::new(AtomicBool::new(incomplete));
        Ok((Self { writer: writes, reader: reads, generation: generation.into(), incomplete }, threads))
    }

    /// Random identity of this database, made when it was created. Another value tells the cloud that everything
    /// it delivered is gone.
    pub fn generation(&self) -> &str {
        &self.generation
    }

    /// Whether this database took the place of a damaged one and the cloud may not have sent everything since: what
    /// is not in it may exist all the same. Survives restarts.
    pub fn is_incomplete(&self) -> bool {
        self.incomplete.load(Ordering::Relaxed)
    }

    /// The cloud has sent everything.
    ///
    /// # Errors
    /// [`StoreError`]; the database is still incomplete then.
    pub async fn completed(&self) -> Result<(), StoreError> {
        self.write(vec![Write::Completed]).await?;
        self.incomplete.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Commits `writes` together, in order; the outcomes are in the same order.
    ///
    /// Not cancel-safe in the sense that a dropped call may still be committed.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing of `writes` was changed.
    pub async fn write(&self, writes: Vec<Write>) -> Result<Vec<Outcome>, StoreError> {
        let (done, outcome) = oneshot::channel();
        self.writer.send(WriteJob { writes, done }).await.map_err(|_| StoreError::Closed)?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    /// The value stored under `key`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, key: String) -> Result<Option<String>, StoreError> {
        self.read(move |db| rows::get(db, &key)).await
    }

    /// Key and value of every row of a type.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, kind: &'static str) -> Result<Vec<(String, String)>, StoreError> {
        self.read(move |db| rows::list(db, kind)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (done, answer) = oneshot::channel();
        let job: ReadJob = Box::new(move |db| {
            // Nobody waits any more when the caller was cancelled.
            let _ = done.send(query(db));
        });
        self.reader.send(job).await.map_err(|_| StoreError::Closed)?;
        Ok(answer.await.map_err(|_| StoreError::Closed)??)
    }
}

#[cfg(test)]
mod tests;

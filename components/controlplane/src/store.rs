//! The store: one SQLite file that is an append-only log of revisions plus an index of what is current.
//!
//! * Every change of any object takes the next revision of one store-wide counter; the revision is the object's
//!   `metadata.resourceVersion`. Revisions are never reused, not even after power loss (see [`open`]).
//! * Objects are canonical JSON text with `metadata.resourceVersion` in place, so reads are byte copies.
//! * One writer thread runs closures in groups, one commit per group ([`writer`]); reads use read-only connections and
//!   see committed state only ([`read`]).
//! * A watcher is a cursor over the log, served from a small shared ring of recent changes and, when it is behind, from
//!   the database ([`watch`]). It survives restarts of the process and never holds a queue of its own.
//!
//! Everything here is mechanism: kinds, validation and permissions are the API server's business.
//! Source: spec 10 §3.

mod log;
mod maintain;
mod open;
pub mod read;
mod schema;
pub mod watch;
pub mod writer;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use serde_json::Value;
use thiserror::Error;

pub use self::open::Options;
use self::{log::Hub, read::Readers, writer::Writer};

/// Identifies one resource (API group and plural) inside the store; CRDs add new ones while running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rk(pub(crate) u32);

/// The name of one object: resource, namespace (empty for cluster-scoped resources) and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Which resource.
    pub rk: Rk,
    /// Namespace; empty when the resource is cluster-scoped.
    pub ns: String,
    /// Object name.
    pub name: String,
}

impl Key {
    /// Names one object; `ns` is empty for cluster-scoped resources.
    pub fn new(rk: Rk, ns: impl Into<String>, name: impl Into<String>) -> Self {
        Self { rk, ns: ns.into(), name: name.into() }
    }
}

/// One object as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Namespace; empty when cluster-scoped.
    pub ns: String,
    /// Object name.
    pub name: String,
    /// The revision of the last change; equals `metadata.resourceVersion` inside `body`.
    pub rev: u64,
    /// Canonical JSON text of the storage version.
    pub body: Bytes,
}

impl Stored {
    /// Decodes the body.
    ///
    /// # Errors
    /// [`StoreError::Body`] when the stored text is not JSON, which means the file was edited by hand.
    pub fn value(&self) -> Result<Value, StoreError> {
        serde_json::from_slice(&self.body).map_err(StoreError::Body)
    }
}

/// How much a change may lose when the power fails. Source: spec 10 §3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Synced to disk before the caller gets an answer: everything except heartbeats.
    Full,
    /// On disk within five seconds: leases, events, heartbeat-only node status.
    Relaxed,
}

/// Why the store could not do what was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("database operation failed")]
    Sqlite(#[from] rusqlite::Error),
    /// A file operation beside the database failed.
    #[error("cannot access {path}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Another process has the store open.
    #[error("{path} is in use by another process")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The integrity check after an unclean stop found damage; the file is left as it is.
    #[error("database {path} is damaged: {finding}")]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// First line of SQLite's report.
        finding: String,
    },
    /// The file was written by a newer release.
    #[error("database schema version {found} is newer than {known}")]
    Schema {
        /// Version in the file.
        found: u32,
        /// Newest version this release can read.
        known: u32,
    },
    /// A stored body is not JSON.
    #[error("stored object is not readable")]
    Body(#[source] serde_json::Error),
    /// A stored body is not a JSON object with metadata.
    #[error("object has no metadata")]
    NotAnObject,
    /// The revision asked for has been compacted away or was lost in an unclean stop; the caller lists again.
    #[error("revision {asked} is too old, oldest is {oldest}")]
    Expired {
        /// What the caller asked for.
        asked: u64,
        /// The oldest revision that can still be read.
        oldest: u64,
    },
    /// The revision asked for does not exist yet.
    #[error("revision {asked} is in the future, current is {current}")]
    Future {
        /// What the caller asked for.
        asked: u64,
        /// The newest committed revision.
        current: u64,
    },
    /// The store is closed or its writer ended.
    #[error("store is closed")]
    Closed,
}

/// The handle to the store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    hub: Hub,
    readers: Readers,
    writer: Writer,
    resources: RwLock<HashMap<(String, String), Rk>>,
    /// Everything at or below this revision may have lost history.
    compacted: Arc<AtomicU64>,
    /// Revision ranges `(after, through]` that were reserved but never durably written.
    holes: Vec<(u64, u64)>,
    /// The revision the store had when it was opened.
    base: u64,
    maintenance: maintain::Schedule,
}

impl Store {
    /// The newest published revision.
    pub fn revision(&self) -> u64 {
        self.inner.hub.latest()
    }

    /// The id of a resource if any object of it was ever named, without creating one.
    pub fn known_resource(&self, group: &str, plural: &str) -> Option<Rk> {
        let known = self.inner.resources.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.get(&(group.to_owned(), plural.to_owned())).copied()
    }

    /// The id of a resource, created durably on first use.
    ///
    /// # Errors
    /// Those of a write.
    pub async fn resource(&self, group: &str, plural: &str) -> Result<Rk, StoreError> {
        if let Some(rk) = self.known_resource(group, plural) {
            return Ok(rk);
        }
        let name = (group.to_owned(), plural.to_owned());
        let asked = name.clone();
        let rk = self
            .write(Durability::Full, move |tx| -> Result<Rk, StoreError> { tx.resource(&asked.0, &asked.1) })
            .await?;
        self.inner.resources.write().unwrap_or_else(std::sync::PoisonError::into_inner).insert(name, rk);
        Ok(rk)
    }

    /// Makes many resources known in one write; see [`Store::resource`].
    ///
    /// # Errors
    /// Those of a write.
    pub async fn register(&self, names: Vec<(String, String)>) -> Result<(), StoreError> {
        let missing: Vec<_> =
            names.into_iter().filter(|(group, plural)| self.known_resource(group, plural).is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let known = self
            .write(Durability::Full, move |tx| -> Result<Vec<_>, StoreError> {
                missing.into_iter().map(|name| Ok((tx.resource(&name.0, &name.1)?, name))).collect()
            })
            .await?;
        let mut resources = self.inner.resources.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        resources.extend(known.into_iter().map(|(rk, name)| (name, rk)));
        Ok(())
    }

    /// Whether `revision` can still start a watch or an exact list.
    ///
    /// # Errors
    /// [`StoreError::Expired`] when its history is gone.
    pub fn check_readable(&self, revision: u64) -> Result<(), StoreError> {
        let oldest = self.inner.compacted.load(Ordering::Acquire);
        let in_hole = self.inner.holes.iter().any(|(after, through)| revision > *after && revision <= *through);
        if revision < oldest || in_hole {
            return Err(StoreError::Expired { asked: revision, oldest });
        }
        Ok(())
    }
}

/// Sets `metadata.resourceVersion` of an object.
///
/// # Errors
/// [`StoreError::NotAnObject`] when the value has no metadata object.
pub fn set_resource_version(object: &mut Value, revision: u64) -> Result<(), StoreError> {
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut).ok_or(StoreError::NotAnObject)?;
    metadata.insert("resourceVersion".into(), Value::String(revision.to_string()));
    Ok(())
}

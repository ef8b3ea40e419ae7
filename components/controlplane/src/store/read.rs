//! Reads: single objects, lists of the current state, and lists exactly as they were at an earlier revision.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::Semaphore;

use super::{
    Key, Rk, Store, StoreError, Stored,
    log::{Change, Op},
    schema::{self, from_sql, to_sql},
    set_resource_version,
};

/// Read connections, and so reads that run at the same time. More wait their turn.
const READERS: usize = 3;

/// The pool of read-only connections, opened when first needed.
pub struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    turns: Semaphore,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Vec::new()), turns: Semaphore::new(READERS) }
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| Ok(schema::open_reader(&self.path)?), Ok)
    }

    fn put_back(&self, db: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(db);
    }
}

/// A list and the revision it shows.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The state of the store this list is a snapshot of.
    pub revision: u64,
    /// Objects in (namespace, name) order, bytewise.
    pub items: Vec<Stored>,
}

/// Where a page starts: behind this (namespace, name).
pub type After = (String, String);

/// Which part of a resource a list wants.
#[derive(Clone, Debug, Default)]
pub struct Range {
    /// One namespace only.
    pub ns: Option<String>,
    /// Start behind this object.
    pub after: Option<After>,
    /// Exactly as it was at this revision instead of now.
    pub at: Option<u64>,
    /// At most so many objects.
    pub limit: Option<usize>,
}

impl Store {
    /// Runs `work` on a read connection, off the async threads.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _turn = self.inner.readers.turns.acquire().await.map_err(|_| StoreError::Closed)?;
        let store = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let db = store.inner.readers.take()?;
            let outcome = work(&db);
            store.inner.readers.put_back(db);
            outcome
        });
        task.await.map_err(|_| StoreError::Closed)?
    }

    /// The object as it is now.
    ///
    /// # Errors
    /// Database errors.
    pub async fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        let key = key.clone();
        self.read(move |db| get(db, &key)).await
    }

    /// Every current object of a resource, optionally of one namespace.
    ///
    /// # Errors
    /// Database errors.
    pub async fn list(&self, rk: Rk, ns: Option<&str>) -> Result<Listing, StoreError> {
        self.list_range(rk, Range { ns: ns.map(str::to_owned), ..Range::default() }).await
    }

    /// Visits every current object of a resource without holding more than one of them, in (namespace, name) order, and
    /// returns what `visit` made of `start` together with the revision this was a snapshot of. For passes over many
    /// objects that need little of each; runs off the async threads.
    ///
    /// # Errors
    /// Database errors.
    pub async fn scan<T: Send + 'static>(
        &self,
        rk: Rk,
        ns: Option<&str>,
        start: T,
        mut visit: impl FnMut(&mut T, &str, &str, &[u8]) + Send + 'static,
    ) -> Result<(T, u64), StoreError> {
        let (ns, base) = (ns.map(str::to_owned), self.inner.base);
        self.read(move |db| {
            let snapshot = db.unchecked_transaction()?;
            let revision = newest(&snapshot)?.max(base);
            let mut outcome = start;
            let mut statement = snapshot.prepare_cached(
                "SELECT cur.ns, cur.name, kv.body FROM cur JOIN kv ON kv.rev=cur.rev
                 WHERE cur.rk=?1 AND (?2 IS NULL OR cur.ns=?2) ORDER BY cur.ns, cur.name",
            )?;
            let mut rows = statement.query(params![rk.0, ns])?;
            while let Some(row) = rows.next()? {
                let text =
                    |index: usize| -> Result<&str, StoreError> { Ok(row.get_ref(index)?.as_str().unwrap_or("")) };
                visit(&mut outcome, text(0)?, text(1)?, row.get_ref(2)?.as_blob().unwrap_or_default());
            }
            drop(rows);
            drop(statement);
            Ok((outcome, revision))
        })
        .await
    }

    /// A part of a resource, now or at an earlier revision.
    ///
    /// # Errors
    /// [`StoreError::Expired`] when `range.at` is compacted, [`StoreError::Future`] when it does not exist yet.
    pub async fn list_range(&self, rk: Rk, range: Range) -> Result<Listing, StoreError> {
        let store = self.clone();
        self.read(move |db| {
            let snapshot = db.unchecked_transaction()?;
            let revision = newest(&snapshot)?.max(store.inner.base);
            match range.at {
                Some(asked) if asked > revision => Err(StoreError::Future { asked, current: revision }),
                Some(asked) => {
                    store.check_readable(asked)?;
                    Ok(Listing { revision: asked, items: at_revision(&snapshot, rk, &range, asked)? })
                }
                None => {
                    let items = current(&snapshot, rk, range.ns.as_deref(), range.after.as_ref(), range.limit)?;
                    Ok(Listing { revision, items })
                }
            }
        })
        .await
    }

    /// Who names `uid` as an owner: candidates for garbage collection.
    ///
    /// # Errors
    /// Database errors.
    pub async fn dependents(&self, uid: &str) -> Result<Vec<Key>, StoreError> {
        let uid = uid.to_owned();
        self.read(move |db| {
            let mut statement = db.prepare_cached("SELECT rk, ns, name FROM owner WHERE uid=?1")?;
            let rows = statement
                .query_map([uid], |row| Ok(Key { rk: Rk(row.get(0)?), ns: row.get(1)?, name: row.get(2)? }))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// How many objects a resource has.
    ///
    /// # Errors
    /// Database errors.
    pub async fn count(&self, rk: Rk, ns: Option<&str>) -> Result<usize, StoreError> {
        let ns = ns.map(str::to_owned);
        self.read(move |db| {
            let count: i64 = match ns {
                Some(ns) => db
                    .prepare_cached("SELECT count(*) FROM cur WHERE rk=?1 AND ns=?2")?
                    .query_row(params![rk.0, ns], |row| row.get(0))?,
                None => {
                    db.prepare_cached("SELECT count(*) FROM cur WHERE rk=?1")?.query_row([rk.0], |row| row.get(0))?
                }
            };
            Ok(usize::try_from(count).unwrap_or(0))
        })
        .await
    }

    /// The newest revision in the file; may run ahead of [`Store::revision`] by a commit that is being published.
    ///
    /// # Errors
    /// Database errors.
    pub async fn committed(&self) -> Result<u64, StoreError> {
        let base = self.inner.base;
        self.read(move |db| Ok(newest(db)?.max(base))).await
    }

    /// Changes of `rk` after `revision`, oldest first, and the revision up to which the answer is complete.
    pub(super) async fn replay(&self, rk: Rk, revision: u64, limit: usize) -> Result<(Vec<Change>, u64), StoreError> {
        let base = self.inner.base;
        self.read(move |db| {
            let snapshot = db.unchecked_transaction()?;
            let complete = newest(&snapshot)?.max(base);
            let changes = changes_after(&snapshot, rk, revision, limit)?;
            let through = if changes.len() < limit { complete } else { changes.last().map_or(complete, |c| c.rev) };
            Ok((changes, through.max(revision)))
        })
        .await
    }
}

fn get(db: &Connection, key: &Key) -> Result<Option<Stored>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT kv.rev, kv.body FROM cur JOIN kv ON kv.rev=cur.rev WHERE cur.rk=?1 AND cur.ns=?2 AND cur.name=?3",
    )?;
    let row = statement
        .query_row(params![key.rk.0, key.ns, key.name], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))
        .optional()?;
    Ok(row.map(|(rev, body)| Stored {
        ns: key.ns.clone(),
        name: key.name.clone(),
        rev: from_sql(rev),
        body: Bytes::from(body),
    }))
}

pub(super) fn newest(db: &Connection) -> Result<u64, StoreError> {
    let rev = db.prepare_cached("SELECT coalesce(max(rev),0) FROM kv")?.query_row([], |row| row.get(0))?;
    Ok(from_sql(rev))
}

/// Current objects in (namespace, name) order.
pub(super) fn current(
    db: &Connection,
    rk: Rk,
    ns: Option<&str>,
    after: Option<&After>,
    limit: Option<usize>,
) -> Result<Vec<Stored>, StoreError> {
    let limit = limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    let (after_ns, after_name) = after.map_or(("", ""), |(ns, name)| (ns.as_str(), name.as_str()));
    let sql = if ns.is_some() {
        "SELECT cur.ns, cur.name, kv.rev, kv.body FROM cur JOIN kv ON kv.rev=cur.rev
         WHERE cur.rk=?1 AND cur.ns=?2 AND cur.name>?4 AND ?3=?3 ORDER BY cur.name LIMIT ?5"
    } else {
        "SELECT cur.ns, cur.name, kv.rev, kv.body FROM cur JOIN kv ON kv.rev=cur.rev
         WHERE cur.rk=?1 AND ?2=?2 AND (cur.ns,cur.name)>(?3,?4) ORDER BY cur.ns, cur.name LIMIT ?5"
    };
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params![rk.0, ns.unwrap_or(""), after_ns, after_name, limit], |row| {
        Ok(Stored {
            ns: row.get(0)?,
            name: row.get(1)?,
            rev: from_sql(row.get(2)?),
            body: Bytes::from(row.get::<_, Vec<u8>>(3)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Objects exactly as they were at `revision`: current ones and those deleted since, each followed back along `prev`.
fn at_revision(db: &Connection, rk: Rk, range: &Range, revision: u64) -> Result<Vec<Stored>, StoreError> {
    let mut newest_of: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut statement = db.prepare_cached("SELECT ns, name, rev FROM cur WHERE rk=?1")?;
    let mut rows = statement.query([rk.0])?;
    while let Some(row) = rows.next()? {
        newest_of.insert((row.get(0)?, row.get(1)?), from_sql(row.get(2)?));
    }
    let mut found: BTreeMap<(String, String), Stored> = BTreeMap::new();
    let wanted = |name: &(String, String)| {
        range.ns.as_ref().is_none_or(|ns| *ns == name.0) && range.after.as_ref().is_none_or(|after| name > after)
    };
    let mut deleted = Vec::new();
    let mut statement = db.prepare_cached("SELECT ns, name, prev FROM kv WHERE rk=?1 AND rev>?2 AND op=2")?;
    let mut rows = statement.query(params![rk.0, to_sql(revision)])?;
    while let Some(row) = rows.next()? {
        deleted.push(((row.get(0)?, row.get(1)?), from_sql(row.get(2)?)));
    }
    let candidates = newest_of.into_iter().chain(deleted);
    for (name, newest) in candidates.filter(|(name, _)| wanted(name)) {
        if let Some(stored) = follow(db, &name, newest, revision)? {
            found.insert(name, stored);
        }
        // Current objects come in order, so a full page is complete unless a deleted object sorts before its end;
        // those are few, so the simple way is to collect all and cut at the end.
    }
    let items = found.into_values();
    Ok(match range.limit {
        Some(limit) => items.take(limit).collect(),
        None => items.collect(),
    })
}

fn follow(db: &Connection, name: &(String, String), newest: u64, revision: u64) -> Result<Option<Stored>, StoreError> {
    let mut at = newest;
    while at > 0 {
        if at <= revision {
            let row: Option<Option<Vec<u8>>> = db
                .prepare_cached("SELECT body FROM kv WHERE rev=?1")?
                .query_row([to_sql(at)], |row| row.get(0))
                .optional()?;
            return Ok(row.flatten().map(|body| Stored {
                ns: name.0.clone(),
                name: name.1.clone(),
                rev: at,
                body: Bytes::from(body),
            }));
        }
        let prev: Option<i64> = db
            .prepare_cached("SELECT prev FROM kv WHERE rev=?1")?
            .query_row([to_sql(at)], |row| row.get(0))
            .optional()?;
        at = from_sql(prev.unwrap_or(0));
    }
    Ok(None)
}

fn changes_after(db: &Connection, rk: Rk, revision: u64, limit: usize) -> Result<Vec<Change>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT kv.rev, kv.op, kv.ns, kv.name, kv.body, old.body FROM kv LEFT JOIN kv AS old ON old.rev=kv.prev
         WHERE kv.rk=?1 AND kv.rev>?2 ORDER BY kv.rev LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![rk.0, to_sql(revision), limit])?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        let rev = from_sql(row.get(0)?);
        let op = Op::from_sql(row.get(1)?);
        let body: Option<Vec<u8>> = row.get(4)?;
        let old: Option<Vec<u8>> = row.get(5)?;
        let body = match (body, &old) {
            (Some(body), _) => body,
            (None, Some(old)) => {
                let mut last = serde_json::from_slice(old).map_err(StoreError::Body)?;
                set_resource_version(&mut last, rev)?;
                serde_json::to_vec(&last).map_err(StoreError::Body)?
            }
            (None, None) => continue,
        };
        changes.push(Change {
            rk,
            rev,
            op,
            ns: row.get(2)?,
            name: row.get(3)?,
            body: Bytes::from(body),
            old: old.map(Bytes::from),
        });
    }
    Ok(changes)
}

//! What a write closure can do: read current state, create, replace and delete objects.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Deserialize;
use serde_json::Value;

use super::super::{
    Key, Rk, StoreError, Stored,
    log::{Change, Op},
    schema::{from_sql, to_sql},
    set_resource_version,
};

/// One write transaction; see [`super::super::Store::write`].
pub struct Tx<'db> {
    pub(super) db: &'db Connection,
    last: u64,
    changes: Vec<Arc<Change>>,
    savepoint: (u64, usize),
}

impl<'db> Tx<'db> {
    pub(super) fn new(db: &'db Connection, last: u64) -> Self {
        Self { db, last, changes: Vec::new(), savepoint: (last, 0) }
    }

    pub(super) fn savepoint(&mut self) -> Result<(), StoreError> {
        self.db.prepare_cached("SAVEPOINT one")?.execute([])?;
        self.savepoint = (self.last, self.changes.len());
        Ok(())
    }

    pub(super) fn close_savepoint(&mut self, keep: bool) -> Result<(), StoreError> {
        if !keep {
            self.db.prepare_cached("ROLLBACK TO one")?.execute([])?;
            self.last = self.savepoint.0;
            self.changes.truncate(self.savepoint.1);
        }
        self.db.prepare_cached("RELEASE one")?.execute([])?;
        Ok(())
    }

    pub(super) fn into_changes(self) -> Vec<Arc<Change>> {
        self.changes
    }

    /// The revision of the newest change, committed or made earlier in this transaction.
    pub fn revision(&self) -> u64 {
        self.last
    }

    /// The id of a resource, created on first use.
    ///
    /// # Errors
    /// Database errors.
    pub fn resource(&mut self, group: &str, plural: &str) -> Result<Rk, StoreError> {
        super::resource_id(self.db, group, plural)
    }

    /// The object as it is now, including changes made earlier in this transaction.
    ///
    /// # Errors
    /// Database errors.
    pub fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        Ok(self.current(key)?.map(|(stored, _)| stored))
    }

    fn current(&self, key: &Key) -> Result<Option<(Stored, u64)>, StoreError> {
        let mut statement = self.db.prepare_cached(
            "SELECT kv.rev, kv.body, kv.crev FROM cur JOIN kv ON kv.rev=cur.rev
             WHERE cur.rk=?1 AND cur.ns=?2 AND cur.name=?3",
        )?;
        let row = statement
            .query_row(params![key.rk.0, key.ns, key.name], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, i64>(2)?))
            })
            .optional()?;
        Ok(row.map(|(rev, body, crev)| {
            let stored =
                Stored { ns: key.ns.clone(), name: key.name.clone(), rev: from_sql(rev), body: Bytes::from(body) };
            (stored, from_sql(crev))
        }))
    }

    /// Every current object of a resource, optionally of one namespace, in (namespace, name) order.
    ///
    /// # Errors
    /// Database errors.
    pub fn list(&self, rk: Rk, ns: Option<&str>) -> Result<Vec<Stored>, StoreError> {
        super::super::read::current(self.db, rk, ns, None, None)
    }

    /// Creates or replaces an object; the next revision is written into its metadata.
    ///
    /// # Errors
    /// Database errors and [`StoreError::NotAnObject`].
    pub fn put(&mut self, key: &Key, mut object: Value) -> Result<Stored, StoreError> {
        let rev = self.last + 1;
        set_resource_version(&mut object, rev)?;
        let text = serde_json::to_vec(&object).map_err(StoreError::Body)?;
        self.put_text(key, rev, Bytes::from(text))
    }

    /// Like [`Tx::put`], for an object that expires at `expires_at` (Unix seconds) unless it is written again.
    ///
    /// # Errors
    /// Those of [`Tx::put`].
    pub fn put_expiring(&mut self, key: &Key, object: Value, expires_at: i64) -> Result<Stored, StoreError> {
        let stored = self.put(key, object)?;
        self.db
            .prepare_cached("INSERT OR REPLACE INTO ttl(at,rev) VALUES(?1,?2)")?
            .execute([expires_at, to_sql(stored.rev)])?;
        Ok(stored)
    }

    /// Forgets an expiry mark.
    pub(in super::super) fn drop_expiry(&mut self, at: i64, rev: u64) -> Result<(), StoreError> {
        self.db.prepare_cached("DELETE FROM ttl WHERE at=?1 AND rev=?2")?.execute([at, to_sql(rev)])?;
        Ok(())
    }

    fn put_text(&mut self, key: &Key, rev: u64, body: Bytes) -> Result<Stored, StoreError> {
        let before = self.current(key)?;
        let (op, prev, crev, old) = match before {
            Some((old, crev)) => (Op::Update, old.rev, crev, Some(old.body)),
            None => (Op::Create, 0, rev, None),
        };
        self.append(key, rev, op, prev, crev, Some(&body))?;
        self.db
            .prepare_cached(
                "INSERT INTO cur(rk,ns,name,rev) VALUES(?1,?2,?3,?4)
                 ON CONFLICT(rk,ns,name) DO UPDATE SET rev=excluded.rev",
            )?
            .execute(params![key.rk.0, key.ns, key.name, to_sql(rev)])?;
        self.index_owners(key, old.as_deref(), Some(&body))?;
        self.record(key, rev, op, body.clone(), old);
        Ok(Stored { ns: key.ns.clone(), name: key.name.clone(), rev, body })
    }

    /// Removes an object. Returns its last state carrying the revision of the removal, or `None` if there was none.
    ///
    /// # Errors
    /// Database errors.
    pub fn delete(&mut self, key: &Key) -> Result<Option<Stored>, StoreError> {
        let Some((old, crev)) = self.current(key)? else { return Ok(None) };
        let rev = self.last + 1;
        let mut object = old.value()?;
        set_resource_version(&mut object, rev)?;
        self.remove(key, rev, &old, crev, &object).map(Some)
    }

    /// Removes an object, telling watchers `last` as its final state (a final update and the removal in one change).
    ///
    /// # Errors
    /// Database errors; [`StoreError::NotAnObject`] when `last` has no metadata.
    pub fn delete_with(&mut self, key: &Key, mut last: Value) -> Result<Option<Stored>, StoreError> {
        let Some((old, crev)) = self.current(key)? else { return Ok(None) };
        let rev = self.last + 1;
        set_resource_version(&mut last, rev)?;
        self.remove(key, rev, &old, crev, &last).map(Some)
    }

    fn remove(&mut self, key: &Key, rev: u64, old: &Stored, crev: u64, last: &Value) -> Result<Stored, StoreError> {
        let body = Bytes::from(serde_json::to_vec(last).map_err(StoreError::Body)?);
        self.append(key, rev, Op::Delete, old.rev, crev, None)?;
        self.db
            .prepare_cached("DELETE FROM cur WHERE rk=?1 AND ns=?2 AND name=?3")?
            .execute(params![key.rk.0, key.ns, key.name])?;
        self.index_owners(key, Some(&old.body), None)?;
        self.record(key, rev, Op::Delete, body.clone(), Some(old.body.clone()));
        Ok(Stored { ns: key.ns.clone(), name: key.name.clone(), rev, body })
    }

    fn append(&self, key: &Key, rev: u64, op: Op, prev: u64, crev: u64, body: Option<&[u8]>) -> Result<(), StoreError> {
        self.db
            .prepare_cached("INSERT INTO kv(rev,rk,ns,name,op,prev,crev,body) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)")?
            .execute(params![to_sql(rev), key.rk.0, key.ns, key.name, op.to_sql(), to_sql(prev), to_sql(crev), body])?;
        Ok(())
    }

    fn record(&mut self, key: &Key, rev: u64, op: Op, body: Bytes, old: Option<Bytes>) {
        self.last = rev;
        let change = Change { rk: key.rk, rev, op, ns: key.ns.clone(), name: key.name.clone(), body, old };
        self.changes.push(Arc::new(change));
    }

    fn index_owners(&self, key: &Key, old: Option<&[u8]>, new: Option<&[u8]>) -> Result<(), StoreError> {
        let (before, after) = (owner_uids(old), owner_uids(new));
        for uid in before.difference(&after) {
            self.db
                .prepare_cached("DELETE FROM owner WHERE uid=?1 AND rk=?2 AND ns=?3 AND name=?4")?
                .execute(params![uid, key.rk.0, key.ns, key.name])?;
        }
        for uid in after.difference(&before) {
            self.db
                .prepare_cached("INSERT OR IGNORE INTO owner(uid,rk,ns,name) VALUES(?1,?2,?3,?4)")?
                .execute(params![uid, key.rk.0, key.ns, key.name])?;
        }
        Ok(())
    }
}

fn owner_uids(body: Option<&[u8]>) -> BTreeSet<String> {
    #[derive(Deserialize)]
    struct Object {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        #[serde(default)]
        owner_references: Vec<Reference>,
    }
    #[derive(Deserialize)]
    struct Reference {
        #[serde(default)]
        uid: String,
    }
    const MARK: &[u8] = b"\"ownerReferences\"";
    let Some(body) = body else { return BTreeSet::new() };
    if !body.windows(MARK.len()).any(|window| window == MARK) {
        return BTreeSet::new();
    }
    let Ok(object) = serde_json::from_slice::<Object>(body) else { return BTreeSet::new() };
    object.metadata.owner_references.into_iter().map(|reference| reference.uid).filter(|uid| !uid.is_empty()).collect()
}

//! What can be changed and read, and the rules that protect newer state from older. Source: spec 02 §4.3, §4.4.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;

/// A row of `meta`, with its twin in `meta_v2` when the object has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `<namespace>/<type>/<name>`.
    pub key: String,
    /// The type word.
    pub kind: String,
    /// The object as JSON text, or whatever text came.
    pub value: String,
    /// Identity and version of the object, which guard against going back in time.
    pub version: ObjectVersion,
    /// The row of the generic table.
    pub generic: Option<GenericRow>,
}

/// A row of `meta_v2`; it holds the same value as its row of `meta`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenericRow {
    /// `/<group|core>/<version>/<resource>/<namespace|null>/<name>`.
    pub key: String,
    /// Go's text of a group-version-resource, `/v1, Resource=pods`.
    pub group_version_resource: String,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

/// Identity and version of an object; empty strings when it has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectVersion {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Insert or replace, unless what is stored is the same object in the same or a newer version.
    Put(Row),
    /// Replace, with the same condition, and only if the same object is stored: an answer about an object that may
    /// have been removed meanwhile must not bring it back.
    Refresh {
        /// The row.
        row: Row,
        /// Key of the row that held the patch which led to this version; it is dropped.
        patch_key: String,
    },
    /// Remove a pod and its patch, if the stored pod is the one meant.
    RemovePod {
        /// Key of the pod's row.
        key: String,
        /// Key of its patch's row.
        patch_key: String,
        /// Key of its generic row.
        generic_key: String,
        /// The pod meant; empty means whichever is stored.
        uid: String,
    },
    /// Remove one row.
    Remove {
        /// Key of the row.
        key: String,
        /// Key of its generic row.
        generic_key: Option<String>,
    },
    /// Remove the tokens bound to a pod.
    RemoveTokens {
        /// The pod's UID.
        pod_uid: String,
    },
    /// The database that took the place of a damaged one holds everything again.
    Completed,
}

/// What became of a [`Write`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The database changed.
    Written,
    /// It already held this version.
    Unchanged,
    /// It holds a newer version of the object; this is it.
    Stale {
        /// The stored value.
        stored: String,
    },
    /// A row was removed; the UID of the object it held, empty when it had none.
    Removed {
        /// `metadata.uid` of the removed object.
        uid: String,
    },
    /// There was no such row.
    Absent,
}

impl Outcome {
    /// The variant's name, for logs: a stored value may be a Secret.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Unchanged => "unchanged",
            Self::Stale { .. } => "stale",
            Self::Removed { .. } => "removed",
            Self::Absent => "absent",
        }
    }
}

impl ObjectVersion {
    /// Reads identity and version out of an object's JSON; anything unreadable has neither.
    pub fn of(json: &str) -> Self {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Object {
            metadata: Option<Metadata>,
        }
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Metadata {
            uid: Option<String>,
            #[serde(rename = "resourceVersion")]
            resource_version: Option<String>,
        }
        let object: Object = serde_json::from_str(json).unwrap_or_default();
        let metadata = object.metadata.unwrap_or_default();
        Self { uid: metadata.uid.unwrap_or_default(), resource_version: metadata.resource_version.unwrap_or_default() }
    }

    /// The version as a number, `None` when it is not one.
    pub fn number(&self) -> Option<u64> {
        self.resource_version.parse().ok()
    }
}

/// Whether `new` may replace `stored`.
fn compare(new: &Row, stored: &str) -> Option<Outcome> {
    if new.value == stored {
        return Some(Outcome::Unchanged);
    }
    let old = ObjectVersion::of(stored);
    if old.uid.is_empty() || old.uid != new.version.uid {
        return None;
    }
    match (old.number(), new.version.number()) {
        (Some(old), Some(new)) if old == new => Some(Outcome::Unchanged),
        (Some(old), Some(new)) if old > new => Some(Outcome::Stale { stored: stored.to_owned() }),
        _ => None,
    }
}

/// Applies one change inside the caller's transaction.
pub(super) fn apply(db: &Connection, write: &Write) -> Result<Outcome, rusqlite::Error> {
    match write {
        Write::Put(row) => put(db, row),
        Write::Refresh { row, patch_key } => {
            delete(db, patch_key)?;
            match get(db, &row.key)? {
                Some(stored) if ObjectVersion::of(&stored).uid == row.version.uid => put(db, row),
                _ => Ok(Outcome::Absent),
            }
        }
        Write::RemovePod { key, patch_key, generic_key, uid } => {
            let Some(stored) = get(db, key)? else { return Ok(Outcome::Absent) };
            let stored_uid = ObjectVersion::of(&stored).uid;
            if !uid.is_empty() && *uid != stored_uid {
                return Ok(Outcome::Absent);
            }
            delete(db, key)?;
            delete(db, patch_key)?;
            delete_generic(db, generic_key)?;
            Ok(Outcome::Removed { uid: stored_uid })
        }
        Write::Remove { key, generic_key } => {
            let stored = get(db, key)?;
            if let Some(generic_key) = generic_key {
                delete_generic(db, generic_key)?;
            }
            let Some(stored) = stored else { return Ok(Outcome::Absent) };
            delete(db, key)?;
            Ok(Outcome::Removed { uid: ObjectVersion::of(&stored).uid })
        }
        Write::Completed => {
            let removed = db.execute("DELETE FROM keadm_store WHERE name = 'incomplete'", [])?;
            Ok(if removed == 0 { Outcome::Absent } else { Outcome::Written })
        }
        Write::RemoveTokens { pod_uid } => {
            let removed = db
                .prepare_cached(
                    "DELETE FROM meta WHERE type = 'serviceaccounttoken' AND
                     CASE WHEN json_valid(value) THEN json_extract(value, '$.spec.boundObjectRef.uid') END = ?1",
                )?
                .execute([pod_uid])?;
            Ok(if removed == 0 { Outcome::Absent } else { Outcome::Removed { uid: String::new() } })
        }
    }
}

fn put(db: &Connection, row: &Row) -> Result<Outcome, rusqlite::Error> {
    if let Some(outcome) = get(db, &row.key)?.and_then(|stored| compare(row, &stored)) {
        return Ok(outcome);
    }
    db.prepare_cached("INSERT OR REPLACE INTO meta (key, type, value) VALUES (?1, ?2, ?3)")?
        .execute(params![row.key, row.kind, row.value])?;
    if let Some(generic) = &row.generic {
        let version = row.version.number().and_then(|version| i64::try_from(version).ok()).unwrap_or(0);
        db.prepare_cached(
            "INSERT OR REPLACE INTO meta_v2 (key, group_version_resource, namespace, name, resource_version, value)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            generic.key,
            generic.group_version_resource,
            generic.namespace,
            generic.name,
            version,
            row.value
        ])?;
    }
    Ok(Outcome::Written)
}

fn delete(db: &Connection, key: &str) -> Result<usize, rusqlite::Error> {
    db.prepare_cached("DELETE FROM meta WHERE key = ?1")?.execute([key])
}

fn delete_generic(db: &Connection, key: &str) -> Result<usize, rusqlite::Error> {
    db.prepare_cached("DELETE FROM meta_v2 WHERE key = ?1")?.execute([key])
}

/// The value under `key`; a row without a value does not exist.
pub(super) fn get(db: &Connection, key: &str) -> Result<Option<String>, rusqlite::Error> {
    db.prepare_cached("SELECT value FROM meta WHERE key = ?1 AND value IS NOT NULL")?
        .query_row([key], |row| row.get(0))
        .optional()
}

/// Key and value of every row of a type.
pub(super) fn list(db: &Connection, kind: &str) -> Result<Vec<(String, String)>, rusqlite::Error> {
    db.prepare_cached("SELECT key, value FROM meta WHERE type = ?1 AND value IS NOT NULL ORDER BY key")?
        .query_map([kind], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

//! Taking over what is readable of a damaged database, and remembering that it may not be everything.
//!
//! Until the cloud has sent its part nobody may conclude from a missing row that an object is gone.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};
use serde::de::IgnoredAny;
use tracing::debug;

/// Copies what can be read of the database `damaged` into `db`, which is marked as incomplete in the same
/// transaction; returns the number of rows.
pub(super) fn take_over(damaged: &Path, db: &mut Connection) -> Result<usize, rusqlite::Error> {
    let tx = db.transaction()?;
    tx.execute("INSERT OR REPLACE INTO keadm_store (name, value) VALUES ('incomplete', '1')", [])?;
    // Read-write, so that its log can be read, too.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut rows = 0;
    match Connection::open_with_flags(damaged, flags) {
        // From both ends, each up to the first damaged page.
        Ok(from) => {
            for order in ["ASC", "DESC"] {
                rows += copy(&from, &tx, order)?;
                copy_generic(&from, &tx, order)?;
            }
        }
        Err(error) => debug!(%error, "damaged database does not open"),
    }
    tx.commit()?;
    Ok(rows)
}

/// Whether the cloud has not yet sent everything since the database was born of a damaged one.
pub(super) fn is_incomplete(db: &Connection) -> Result<bool, rusqlite::Error> {
    db.prepare("SELECT 1 FROM keadm_store WHERE name = 'incomplete'")?.exists([])
}

fn is_json(value: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(value).is_ok()
}

/// Errors of the damaged side end the copying; errors of ours are told.
fn copy(from: &Connection, to: &Connection, order: &str) -> Result<usize, rusqlite::Error> {
    let Ok(mut query) = from.prepare(&format!("SELECT key, type, value FROM meta ORDER BY rowid {order}")) else {
        return Ok(0);
    };
    let Ok(mut rows) = query.query([]) else { return Ok(0) };
    let mut insert = to.prepare("INSERT OR IGNORE INTO meta (key, type, value) VALUES (?1, ?2, ?3)")?;
    let mut copied = 0;
    while let Ok(Some(row)) = rows.next() {
        let (Ok(key), Ok(kind), Ok(value)) =
            (row.get::<_, String>(0), row.get::<_, String>(1), row.get::<_, String>(2))
        else {
            continue;
        };
        if is_json(&value) {
            copied += insert.execute(params![key, kind, value])?;
        }
    }
    Ok(copied)
}

fn copy_generic(from: &Connection, to: &Connection, order: &str) -> Result<(), rusqlite::Error> {
    let query = "SELECT key, group_version_resource, namespace, name, resource_version, value FROM meta_v2";
    let Ok(mut query) = from.prepare(&format!("{query} ORDER BY rowid {order}")) else { return Ok(()) };
    let Ok(mut rows) = query.query([]) else { return Ok(()) };
    let mut insert = to.prepare(
        "INSERT OR IGNORE INTO meta_v2 (key, group_version_resource, namespace, name, resource_version, value)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    while let Ok(Some(row)) = rows.next() {
        let text = |at| row.get::<_, String>(at);
        let (Ok(key), Ok(kind), Ok(namespace), Ok(name), Ok(version), Ok(value)) =
            (text(0), text(1), text(2), text(3), row.get::<_, i64>(4), text(5))
        else {
            continue;
        };
        if is_json(&value) {
            insert.execute(params![key, kind, namespace, name, version, value])?;
        }
    }
    Ok(())
}

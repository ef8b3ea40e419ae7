//! The tables of the store file and how connections to it are opened.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// Version written by this release; older files are migrated, newer ones refused.
pub const SCHEMA_VERSION: u32 = 1;

/// Statements each connection may keep prepared; the store uses fewer.
const STATEMENT_CACHE: usize = 40;

/// The tables. Columns are explained in the order of the log row:
///
/// * `kv`: the log. `rev` is the resourceVersion, `rk` the resource, `op` 0 create, 1 update, 2 delete, `prev` the
///   previous revision of the same object (0 for a create), `crev` the revision that created it, `body` canonical JSON
///   or NULL for a delete.
/// * `cur`: where the current revision of each live object is.
/// * `owner`: owner uid to dependents, for garbage collection.
/// * `ttl`: when an event row expires (Unix seconds).
/// * `svcip`, `svcport`: what Services have been given; part of the same transactions, so they need no repair.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS meta(k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rk(id INTEGER PRIMARY KEY, grp TEXT NOT NULL, res TEXT NOT NULL, UNIQUE(grp,res));
CREATE TABLE IF NOT EXISTS kv(rev INTEGER PRIMARY KEY, rk INT NOT NULL, ns TEXT NOT NULL, name TEXT NOT NULL,
  op INT NOT NULL, prev INT NOT NULL, crev INT NOT NULL, body BLOB);
CREATE INDEX IF NOT EXISTS kv_rk ON kv(rk, rev);
CREATE TABLE IF NOT EXISTS cur(rk INT, ns TEXT, name TEXT, rev INT NOT NULL, PRIMARY KEY(rk,ns,name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS owner(uid TEXT, rk INT, ns TEXT, name TEXT, PRIMARY KEY(uid,rk,ns,name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ttl(at INT, rev INT, PRIMARY KEY(at,rev)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS svcip(ip TEXT PRIMARY KEY, ref TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS svcport(port INT, proto TEXT, ref TEXT NOT NULL, PRIMARY KEY(port,proto)) WITHOUT ROWID;
";

/// Opens the one read-write connection and makes sure the tables exist.
pub fn open_writer(path: &Path) -> Result<Connection, rusqlite::Error> {
    let db = Connection::open(path)?;
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.execute_batch(
        "PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
         PRAGMA wal_autocheckpoint=500; PRAGMA journal_size_limit=4194304; PRAGMA cache_size=-1024;
         PRAGMA temp_store=MEMORY;",
    )?;
    db.execute_batch(TABLES)?;
    db.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    Ok(db)
}

/// Opens a read-only connection; the file exists already.
pub fn open_reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.execute_batch("PRAGMA cache_size=-512; PRAGMA temp_store=MEMORY; PRAGMA query_only=1;")?;
    db.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    Ok(db)
}

/// Reads a text value of the `meta` table.
pub fn meta(db: &Connection, key: &str) -> Result<Option<String>, rusqlite::Error> {
    use rusqlite::OptionalExtension as _;
    db.prepare_cached("SELECT v FROM meta WHERE k=?1")?.query_row([key], |row| row.get(0)).optional()
}

/// Writes a text value of the `meta` table.
pub fn set_meta(db: &Connection, key: &str, value: &str) -> Result<(), rusqlite::Error> {
    db.prepare_cached("INSERT INTO meta(k,v) VALUES(?1,?2) ON CONFLICT(k) DO UPDATE SET v=excluded.v")?
        .execute([key, value])?;
    Ok(())
}

/// Revisions are unsigned in the API and signed in SQLite; the counter starts at Unix seconds and cannot reach 2^63.
pub fn to_sql(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

/// The way back from [`to_sql`]; negative numbers never get into the file.
pub fn from_sql(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or(0)
}

//! Opening the file: the first revision of this run, and what an unclean stop leaves behind.
//!
//! Relaxed writes may be lost with the power. If their revisions were used again, a client that saw the lost ones would
//! silently miss changes. So a block of revisions is reserved durably before any of it is used; after an unclean stop
//! numbering continues behind the reservation, and the range between the last durable row and the reservation is
//! remembered as a hole from which nobody may resume. Source: spec 10 §3.1, §3.3.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, RwLock, atomic::AtomicU64},
};

use jiff::Timestamp;
use rusqlite::Connection;

use super::{
    Inner, Rk, Store, StoreError,
    log::Hub,
    maintain::Schedule,
    read::Readers,
    schema::{self, from_sql, meta, set_meta},
    writer::{RESERVATION, Writer},
};

/// Where the store lives and how careful it is.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database file; its directory exists.
    pub path: PathBuf,
    /// Treat every write as [`super::Durability::Relaxed`], for SD cards.
    pub relaxed: bool,
    /// The time a new store starts counting from, so that a re-created store never falls below revisions that clients
    /// of the old one remember.
    pub now: Timestamp,
}

impl Store {
    /// Opens or creates the store and starts its writer thread. Blocks on disk; call it before serving.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it, [`StoreError::Damaged`] when the integrity check after an
    /// unclean stop fails, [`StoreError::Schema`] for a file of a newer release, otherwise I/O.
    pub fn open(options: &Options) -> Result<Self, StoreError> {
        let lock = lock(&options.path)?;
        let db = schema::open_writer(&options.path)?;
        restrict(&options.path)?;
        let start = Start::read(&db, options)?;
        let resources = resource_ids(&db)?;
        let compacted = Arc::new(AtomicU64::new(start.compacted));
        let hub = Hub::new(start.base);
        let readers = Readers::new(options.path.clone());
        let writer = Writer::start(db, hub.clone(), start.base, start.reserved, options.relaxed, lock)?;
        let inner = Inner {
            hub,
            readers,
            writer,
            resources: RwLock::new(resources),
            compacted,
            holes: start.holes,
            base: start.base,
            maintenance: Schedule::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }
}

struct Start {
    base: u64,
    reserved: u64,
    compacted: u64,
    holes: Vec<(u64, u64)>,
}

impl Start {
    fn read(db: &Connection, options: &Options) -> Result<Self, StoreError> {
        let number = |key: &str| -> Result<Option<u64>, StoreError> { Ok(meta(db, key)?.and_then(|v| v.parse().ok())) };
        if let Some(found) = number("schema")? {
            let found = u32::try_from(found).unwrap_or(u32::MAX);
            if found > schema::SCHEMA_VERSION {
                return Err(StoreError::Schema { found, known: schema::SCHEMA_VERSION });
            }
        }
        let newest: i64 = db.query_row("SELECT coalesce(max(rev),0) FROM kv", [], |row| row.get(0))?;
        let mut holes: Vec<(u64, u64)> =
            meta(db, "holes")?.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let first_start = u64::try_from(options.now.as_second()).unwrap_or(1).max(1);
        // What came before the first start was another store, if anything: nobody can resume from there.
        let compacted = number("compacted")?.unwrap_or(first_start);
        let base = match (number("reserved")?, meta(db, "clean")?.as_deref()) {
            (None, _) => first_start,
            (Some(_), Some("1")) => number("last")?.unwrap_or(0).max(from_sql(newest)),
            (Some(reserved), _) => {
                check_integrity(db, &options.path)?;
                let durable = from_sql(newest).max(number("last")?.unwrap_or(0));
                if reserved > durable {
                    holes.push((durable, reserved));
                }
                reserved.max(durable) + 1
            }
        };
        holes.retain(|(_, through)| *through >= compacted);
        let reserved = base + RESERVATION;
        db.execute_batch("BEGIN IMMEDIATE")?;
        set_meta(db, "schema", &schema::SCHEMA_VERSION.to_string())?;
        set_meta(db, "reserved", &reserved.to_string())?;
        set_meta(db, "last", &base.to_string())?;
        set_meta(db, "compacted", &compacted.to_string())?;
        set_meta(db, "clean", "0")?;
        set_meta(db, "holes", &serde_json::to_string(&holes).map_err(StoreError::Body)?)?;
        db.execute_batch("COMMIT")?;
        Ok(Self { base, reserved, compacted, holes })
    }
}

fn check_integrity(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let finding: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if finding == "ok" { Ok(()) } else { Err(StoreError::Damaged { path: path.to_owned(), finding }) }
}

fn resource_ids(db: &Connection) -> Result<HashMap<(String, String), Rk>, StoreError> {
    let mut statement = db.prepare("SELECT id, grp, res FROM rk")?;
    let rows = statement.query_map([], |row| Ok(((row.get(1)?, row.get(2)?), Rk(row.get(0)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn lock(path: &Path) -> Result<std::fs::File, StoreError> {
    let path = path.with_extension("lock");
    let io = |source| StoreError::Io { path: path.clone(), source };
    let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Locked { path }),
        Err(std::fs::TryLockError::Error(source)) => Err(StoreError::Io { path, source }),
    }
}

fn restrict(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(|source| StoreError::Io { path: path.to_owned(), source })
}

//! Opening the database file: permissions, integrity, schema, migration of older files. Source: spec 02 §5.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tracing::{error, info};

use super::{StoreError, salvage};

/// Page cache of each connection, in KiB.
const CACHE_KIB: i64 = 256;
/// The log is folded back into the file after this many pages (4 KiB each): small nodes have small disks.
const CHECKPOINT_PAGES: i64 = 256;
/// The log file is cut back to this size after a checkpoint, bytes.
const JOURNAL_LIMIT: i64 = 1024 * 1024;
/// How long one connection waits for the other, milliseconds.
const BUSY_TIMEOUT_MS: i64 = 10_000;

/// The peers' tables, and one of our own that peers ignore.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS meta (key text, type text, value text, PRIMARY KEY (key));
    CREATE TABLE IF NOT EXISTS meta_v2 (key text, group_version_resource text, namespace text, name text,
        resource_version integer, value text, PRIMARY KEY (key));
    CREATE TABLE IF NOT EXISTS keadm_store (name text PRIMARY KEY, value text NOT NULL);
";

/// Look-up indexes, made once the columns have their present names.
const INDEXES: &str = "
    CREATE INDEX IF NOT EXISTS keadm_meta_type ON meta (type);
    CREATE INDEX IF NOT EXISTS keadm_meta_v2_object ON meta_v2 (group_version_resource, namespace, name);
";

/// Both connections and the identity of what they show.
pub(super) struct Opened {
    pub(super) writer: Connection,
    pub(super) reader: Connection,
    pub(super) generation: String,
    /// The cloud has not said yet what is missing here.
    pub(super) incomplete: bool,
}

/// Opens `path`; a damaged file is moved aside first, and what can still be read of it is taken over.
///
/// While it is taken over the damaged file is called `<file>.salvage`, and `<file>.damaged` afterwards: a power cut in
/// between repeats the work.
pub(super) fn open(path: &Path) -> Result<Opened, StoreError> {
    prepare_file(path)?;
    let salvage = with_suffix(path, ".salvage");
    let mut opened = match open_checked(path) {
        Err(StoreError::Sqlite(damage)) if is_damage(&damage) => {
            error!(path = %path.display(), error = %damage, "edge database is damaged: starting with a new one");
            move_aside(path, &salvage)?;
            prepare_file(path)?;
            open_checked(path)?
        }
        other => other?,
    };
    if salvage.exists() {
        let rows = salvage::take_over(&salvage, &mut opened.writer)?;
        opened.incomplete = true;
        let damaged = with_suffix(path, ".damaged");
        move_aside(&salvage, &damaged)?;
        error!(rows, damaged = %damaged.display(),
            "took over what is readable of the damaged edge database, the cloud will send everything again");
    }
    Ok(opened)
}

fn open_checked(path: &Path) -> Result<Opened, StoreError> {
    let mut writer = connect(path)?;
    let verdict: String = writer.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        let damage = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        return Err(rusqlite::Error::SqliteFailure(damage, Some(verdict)).into());
    }
    writer.pragma_update(None, "journal_mode", "WAL")?;
    writer.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    writer.pragma_update(None, "journal_size_limit", JOURNAL_LIMIT)?;
    let generation = migrate(&mut writer)?;
    let reader = connect(path)?;
    reader.pragma_update(None, "query_only", true)?;
    let incomplete = salvage::is_incomplete(&writer)?;
    Ok(Opened { writer, reader, generation, incomplete })
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.pragma_update(None, "busy_timeout", BUSY_TIMEOUT_MS)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "cache_size", -CACHE_KIB)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(db)
}

/// Brings any file of a peer or of ours to the present schema, in one transaction.
fn migrate(db: &mut Connection) -> Result<String, rusqlite::Error> {
    let tx = db.transaction()?;
    tx.execute_batch(SCHEMA)?;
    for (old, new) in [("groupversionresource", "group_version_resource"), ("resourceversion", "resource_version")] {
        match (has_column(&tx, old)?, has_column(&tx, new)?) {
            // A file of release 1.22 or older.
            (true, false) => tx.execute_batch(&format!("ALTER TABLE meta_v2 RENAME COLUMN {old} TO {new}"))?,
            // A file a 1.23 peer has opened since: it added the new columns and left them empty.
            (true, true) => {
                let filled = tx.execute(
                    &format!(
                        "UPDATE meta_v2 SET {new} = {old} WHERE {old} NOT IN ('', 0) AND ifnull({new}, '') IN ('', 0)"
                    ),
                    [],
                )?;
                if filled > 0 {
                    info!(rows = filled, column = new, "filled a column of an older database");
                }
            }
            (false, _) => {}
        }
    }
    tx.execute_batch(INDEXES)?;
    // Up to 1.22 the node was kept under the namespace `default`.
    tx.execute(
        "UPDATE OR IGNORE meta SET key = 'null/node/' || substr(key, 14) WHERE key LIKE 'default/node/%' AND type = 'node'",
        [],
    )?;
    let fresh = uuid::Uuid::new_v4().to_string();
    tx.execute("INSERT OR IGNORE INTO keadm_store (name, value) VALUES ('generation', ?1)", [fresh])?;
    let generation = tx.query_row("SELECT value FROM keadm_store WHERE name = 'generation'", [], |row| row.get(0))?;
    tx.commit()?;
    Ok(generation)
}

fn has_column(db: &Connection, column: &str) -> Result<bool, rusqlite::Error> {
    db.prepare("SELECT 1 FROM pragma_table_info('meta_v2') WHERE name = ?1")?.exists([column])
}

/// Creates the directory and the file for us alone, and takes an existing file away from everybody else: it holds
/// secrets and tokens in clear.
fn prepare_file(path: &Path) -> Result<(), StoreError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::File { path, source }
    };
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed(parent))?;
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed(path))?;
    let mode = file.metadata().map_err(failed(path))?.permissions().mode();
    if mode & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600)).map_err(failed(path))?;
    }
    Ok(())
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Renames a database with its log, in place of an earlier one, and drops what only belongs to a running process.
fn move_aside(path: &Path, aside: &Path) -> Result<(), StoreError> {
    let unless_absent = |path: PathBuf, outcome: io::Result<()>| match outcome {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StoreError::File { path, source }),
        _ => Ok(()),
    };
    let (log, aside_log) = (with_suffix(path, "-wal"), with_suffix(aside, "-wal"));
    for stale in [aside_log.clone(), with_suffix(path, "-shm")] {
        let outcome = fs::remove_file(&stale);
        unless_absent(stale, outcome)?;
    }
    // The log first: without its file it harms nobody, and a file without its log looks older than it is.
    let outcome = fs::rename(&log, aside_log);
    unless_absent(log, outcome)?;
    fs::rename(path, aside).map_err(|source| StoreError::File { path: path.to_owned(), source })
}

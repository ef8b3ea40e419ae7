//! Writes a set of files so that readers see either all of the old or all of the new ones.
//!
//! Layout (applications and sidecars watch `..data`, spec 08 §11.4):
//! ```text
//! <volume>/..2025_03_01_08_15_30.123456789/   the real files
//! <volume>/..data    -> ..2025_03_01_08_15_30.123456789
//! <volume>/app.yaml  -> ..data/app.yaml
//! <volume>/sub       -> ..data/sub
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use thiserror::Error;

/// Longest path of a projected file, in bytes.
const MAX_PATH: usize = 4096;
/// Longest element of a path, in bytes.
const MAX_NAME: usize = 255;
const DATA: &str = "..data";
const DATA_TMP: &str = "..data_tmp";

/// One file to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectedFile {
    /// Content.
    pub bytes: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// Owner, if not the agent's own user.
    pub uid: Option<u32>,
}

/// Path below the volume → file.
pub type Payload = BTreeMap<String, ProjectedFile>;

/// Why a payload was not written.
#[derive(Debug, Error)]
pub enum AtomicError {
    /// A path that could leave the volume or collide with the layout.
    #[error("invalid path {0:?}: must be relative, without \"..\", and of bearable length")]
    Path(String),
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was being written.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Makes `volume` hold exactly `payload`; returns whether anything was rewritten.
///
/// `fs_group` becomes the group of everything, before readers can see it. Unchanged content and modes are left alone.
/// A crash at any point leaves the old or the new set, and the next call cleans up.
///
/// # Errors
/// [`AtomicError::Path`] before anything is touched; [`AtomicError::Io`] with the old set still in place.
pub fn write(volume: &Path, payload: &Payload, fs_group: Option<u32>, now: Timestamp) -> Result<bool, AtomicError> {
    for path in payload.keys() {
        check_path(path)?;
    }
    let current = fs::read_link(volume.join(DATA)).ok().filter(|link| is_stamp(link)).map(|link| volume.join(link));
    let changed = !current.as_deref().is_some_and(|dir| holds(dir, payload, fs_group));
    if changed {
        let stamp = new_stamp_dir(volume, now)?;
        if let Err(error) = fill(volume, &stamp, payload, fs_group) {
            let _ = fs::remove_dir_all(&stamp);
            return Err(error);
        }
    }
    link_visible(volume, payload)?;
    remove_obsolete(volume, payload)?;
    Ok(changed)
}

/// Whether a set has been written to `volume` before.
pub fn is_written(volume: &Path) -> bool {
    volume.join(DATA).is_dir()
}

fn check_path(path: &str) -> Result<(), AtomicError> {
    let elements_fit = path.split('/').all(|element| element.len() <= MAX_NAME);
    let plain = Path::new(path).components().all(|component| matches!(component, Component::Normal(_)));
    if path.is_empty() || path.len() > MAX_PATH || path.starts_with("..") || !elements_fit || !plain {
        return Err(AtomicError::Path(path.to_owned()));
    }
    Ok(())
}

fn is_stamp(link: &Path) -> bool {
    let mut components = link.components();
    let name = match (components.next(), components.next()) {
        (Some(Component::Normal(name)), None) => name.to_str(),
        _ => None,
    };
    name.is_some_and(|name| name.starts_with("..2") && name != DATA)
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> AtomicError {
    let path = path.to_owned();
    move |source| AtomicError::Io { path, source }
}

/// Whether `dir` holds exactly the files of `payload`.
fn holds(dir: &Path, payload: &Payload, fs_group: Option<u32>) -> bool {
    let mut found = BTreeSet::new();
    if collect_files(dir, Path::new(""), &mut found).is_err() || found.len() != payload.len() {
        return false;
    }
    payload.iter().all(|(path, file)| {
        let full = dir.join(path);
        let Ok(metadata) = fs::symlink_metadata(&full) else { return false };
        metadata.is_file()
            && metadata.mode() & 0o7777 == final_mode(file.mode, fs_group)
            && file.uid.is_none_or(|uid| metadata.uid() == uid)
            && fs_group.is_none_or(|gid| metadata.gid() == gid)
            && metadata.len() == file.bytes.len() as u64
            && fs::read(&full).is_ok_and(|bytes| bytes == file.bytes)
    })
}

fn collect_files(dir: &Path, prefix: &Path, found: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let relative = prefix.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect_files(&entry.path(), &relative, found)?;
        } else {
            found.insert(relative);
        }
    }
    Ok(())
}

/// The mode a file gets: a group that owns a read-only volume may read it. Source: spec 08 §11.8.
fn final_mode(mode: u32, fs_group: Option<u32>) -> u32 {
    if fs_group.is_some() { mode | 0o440 } else { mode }
}

fn new_stamp_dir(volume: &Path, now: Timestamp) -> Result<PathBuf, AtomicError> {
    let seconds = now.strftime("..%Y_%m_%d_%H_%M_%S").to_string();
    let mut digits = u64::try_from(now.subsec_nanosecond()).unwrap_or(0);
    loop {
        let dir = volume.join(format!("{seconds}.{digits}"));
        match DirBuilder::new().mode(0o755).create(&dir) {
            Ok(()) => {
                fs::set_permissions(&dir, Permissions::from_mode(0o755)).map_err(io_at(&dir))?;
                return Ok(dir);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => digits += 1,
            Err(error) => return Err(io_at(&dir)(error)),
        }
    }
}

/// Writes the files below `stamp` and lets `..data` point to it.
fn fill(volume: &Path, stamp: &Path, payload: &Payload, fs_group: Option<u32>) -> Result<(), AtomicError> {
    for (path, file) in payload {
        let full = stamp.join(path);
        let parent = full.parent().unwrap_or(stamp);
        DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(io_at(parent))?;
        fs::write(&full, &file.bytes).map_err(io_at(&full))?;
        if file.uid.is_some() || fs_group.is_some() {
            chown(&full, file.uid, fs_group).map_err(io_at(&full))?;
        }
        // After chown, which may clear bits; and regardless of the umask.
        let mode = Permissions::from_mode(final_mode(file.mode, fs_group));
        fs::set_permissions(&full, mode).map_err(io_at(&full))?;
    }
    set_directories(stamp, fs_group)?;
    let name = stamp.file_name().unwrap_or_default();
    let link = volume.join(DATA_TMP);
    let _ = fs::remove_file(&link); // left over by a crash
    symlink(name, &link).map_err(io_at(&link))?;
    fs::rename(&link, volume.join(DATA)).map_err(io_at(&link))
}

fn set_directories(dir: &Path, fs_group: Option<u32>) -> Result<(), AtomicError> {
    for entry in fs::read_dir(dir).map_err(io_at(dir))? {
        let entry = entry.map_err(io_at(dir))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            set_directories(&entry.path(), fs_group)?;
        }
    }
    let mut mode = 0o755;
    if let Some(gid) = fs_group {
        chown(dir, None, Some(gid)).map_err(io_at(dir))?;
        mode |= 0o2110;
    }
    fs::set_permissions(dir, Permissions::from_mode(mode)).map_err(io_at(dir))
}

fn first_elements(payload: &Payload) -> BTreeSet<&str> {
    payload.keys().filter_map(|path| path.split('/').next()).collect()
}

fn link_visible(volume: &Path, payload: &Payload) -> Result<(), AtomicError> {
    for name in first_elements(payload) {
        let visible = volume.join(name);
        if fs::symlink_metadata(&visible).is_err() {
            symlink(Path::new(DATA).join(name), &visible).map_err(io_at(&visible))?;
        }
    }
    Ok(())
}

/// Removes links to files that are no more, and real directories that `..data` does not point to.
fn remove_obsolete(volume: &Path, payload: &Payload) -> Result<(), AtomicError> {
    let wanted = first_elements(payload);
    let current = fs::read_link(volume.join(DATA)).ok();
    for entry in fs::read_dir(volume).map_err(io_at(volume))?.flatten() {
        let name = entry.file_name();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && is_stamp(Path::new(&name)) {
            if current.as_deref() != Some(Path::new(&name)) {
                fs::remove_dir_all(entry.path()).map_err(io_at(&entry.path()))?;
            }
        } else if kind.is_symlink() && !name.to_str().is_some_and(|n| n.starts_with("..") || wanted.contains(n)) {
            let ours = fs::read_link(entry.path()).is_ok_and(|target| target == Path::new(DATA).join(&name));
            if ours {
                fs::remove_file(entry.path()).map_err(io_at(&entry.path()))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

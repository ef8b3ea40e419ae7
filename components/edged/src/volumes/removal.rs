//! Removes what a pod left on disk, and nothing else: no mount is entered, no symlink followed.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use thiserror::Error;

use super::mounts::Mounter;

/// Deepest nesting that is removed; deeper trees are an error instead of a stack overflow.
const MAX_DEPTH: usize = 512;

/// Why a directory is still there. Nothing outside it was touched; call again later.
#[derive(Debug, Error)]
pub enum RemovalError {
    /// A volume is still in use.
    #[error("cannot unmount {}", path.display())]
    Unmount {
        /// The mount point.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// Something is mounted below the directory, or it is part of another file system.
    #[error("{} is a mount, not removed", .0.display())]
    Mounted(PathBuf),
    /// The file system refused.
    #[error("cannot remove {}", path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

/// Unmounts everything below `dir` (newest first), then removes `dir` recursively. A missing `dir` is a success.
///
/// # Errors
/// See [`RemovalError`]; the call is idempotent.
pub fn remove(dir: &Path, mounter: &dyn Mounter) -> Result<(), RemovalError> {
    let io = |source| RemovalError::Io { path: dir.to_owned(), source };
    match fs::symlink_metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
        Ok(metadata) if !metadata.is_dir() => return fs::remove_file(dir).map_err(io),
        Ok(_) => {}
    }
    let real = fs::canonicalize(dir).map_err(io)?;
    let table = |path: &Path| {
        let points = mounter.mount_points().map_err(|source| RemovalError::Io { path: path.to_owned(), source })?;
        Ok(points.into_iter().filter(|point| point.starts_with(path)).collect::<Vec<_>>())
    };
    for point in table(&real)?.into_iter().rev() {
        mounter.unmount(&point).map_err(|source| RemovalError::Unmount { path: point, source })?;
    }
    if let Some(left) = table(&real)?.pop() {
        return Err(RemovalError::Mounted(left));
    }
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = open(dir, flags, Mode::empty()).map_err(|errno| failed(dir, errno))?;
    let device = fstat(&opened).map_err(|errno| failed(dir, errno))?.st_dev;
    empty(opened.as_fd(), dir, device, 0)?;
    fs::remove_dir(dir).map_err(|source| RemovalError::Io { path: dir.to_owned(), source })
}

fn failed(path: &Path, errno: Errno) -> RemovalError {
    RemovalError::Io { path: path.to_owned(), source: errno.into() }
}

/// Removes all entries of the open directory `dir`, each named relative to it, so that a swapped path cannot lead out.
fn empty(dir: std::os::fd::BorrowedFd<'_>, path: &Path, device: u64, depth: usize) -> Result<(), RemovalError> {
    if depth > MAX_DEPTH {
        return Err(failed(path, Errno::ELOOP));
    }
    // Listed through the open descriptor, and collected first: a listing may skip entries of a directory that shrinks.
    let by_descriptor = format!("/proc/self/fd/{}", dir.as_raw_fd());
    let listing = fs::read_dir(by_descriptor).map_err(|source| RemovalError::Io { path: path.to_owned(), source })?;
    let names: Vec<_> = listing.flatten().map(|entry| entry.file_name()).collect();
    for name in names {
        let child = path.join(&name);
        let status = match fstatat(dir, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(status) => status,
            Err(Errno::ENOENT) => continue,
            Err(errno) => return Err(failed(&child, errno)),
        };
        if status.st_dev != device {
            return Err(RemovalError::Mounted(child));
        }
        let is_dir = SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFDIR;
        if is_dir {
            let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let opened: OwnedFd =
                openat(dir, name.as_os_str(), flags, Mode::empty()).map_err(|errno| failed(&child, errno))?;
            empty(opened.as_fd(), &child, device, depth + 1)?;
        }
        let flags = if is_dir { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir };
        match unlinkat(dir, name.as_os_str(), flags) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(failed(&child, errno)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::mounts::fake::FakeMounter;
    use super::*;

    #[test]
    fn trees_are_removed_and_links_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let outside = root.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("precious"), "x").unwrap();
        let dir = root.path().join("pod");
        fs::create_dir_all(dir.join("a/b")).unwrap();
        fs::write(dir.join("a/b/f"), "x").unwrap();
        symlink(&outside, dir.join("a/link")).unwrap();
        remove(&dir, &FakeMounter::default()).unwrap();
        assert!(!dir.exists());
        assert!(outside.join("precious").exists());
        remove(&dir, &FakeMounter::default()).unwrap();
    }

    #[test]
    fn mounts_are_unmounted_newest_first_and_a_busy_one_stops_everything() {
        let root = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(root.path()).unwrap().join("pod");
        fs::create_dir_all(dir.join("vol/data")).unwrap();
        fs::write(dir.join("vol/data/f"), "x").unwrap();
        let mounter = FakeMounter::default();
        mounter.table.lock().unwrap().extend([dir.join("vol"), dir.join("vol"), root.path().join("pod-other")]);
        *mounter.busy.lock().unwrap() = true;
        assert!(matches!(remove(&dir, &mounter), Err(RemovalError::Unmount { .. })));
        assert!(dir.join("vol/data/f").exists());
        *mounter.busy.lock().unwrap() = false;
        remove(&dir, &mounter).unwrap();
        assert!(!dir.exists());
        assert_eq!(mounter.table.lock().unwrap().len(), 1);
    }

    #[test]
    fn another_file_system_is_not_entered() {
        // /proc is another device than the root directory of every test machine; nothing is removed from it.
        let root = open("/", OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).unwrap();
        let status = fstat(&root).unwrap();
        let proc = fstatat(&root, "proc", AtFlags::AT_SYMLINK_NOFOLLOW).unwrap();
        assert_ne!(status.st_dev, proc.st_dev);
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), "x").unwrap();
        let opened = open(dir.path(), OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).unwrap();
        let other_device = fstat(&opened).unwrap().st_dev + 1;
        assert!(matches!(empty(opened.as_fd(), dir.path(), other_device, 0), Err(RemovalError::Mounted(_))));
        assert!(dir.path().join("f").exists());
    }
}

//! subPath mounts: one file or directory inside a volume, without ever leaving the volume.
//!
//! The path is resolved, proved to be inside, opened again element by element without following symlinks, and bound
//! from the open descriptor, so that a container that swaps a symlink meanwhile gains nothing. Source: spec 08 §11.8.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::Uid;

use super::mounts::Mounter;

/// Makes `sub_path` of the volume at `volume` visible at `target` and returns `target`.
///
/// A missing `sub_path` is made as directories with the volume's own mode.
///
/// # Errors
/// When the path would leave the volume, or the kernel refuses. The text is for the log; users are told less.
pub fn bind(volume: &Path, sub_path: &str, target: &Path, mounter: &dyn Mounter) -> io::Result<()> {
    let relative = check(sub_path)?;
    let root = fs::canonicalize(volume)?;
    if !root.is_dir() {
        return Err(refused("the volume is not a directory"));
    }
    let inside = make(&root, relative)?;
    let source = open_inside(&root, &inside)?;
    let by_descriptor = PathBuf::from(format!("/proc/self/fd/{}", source.as_raw_fd()));
    let source_status = fs::metadata(&by_descriptor)?;
    if let Some(parent) = target.parent() {
        DirBuilder::new().recursive(true).mode(0o750).create(parent)?;
    }
    // A mount left by an earlier container is good only if it still shows the same thing.
    while mounter.is_mount_point(target)? {
        let shown = fs::metadata(target)?;
        if (shown.dev(), shown.ino()) == (source_status.dev(), source_status.ino()) {
            return Ok(());
        }
        mounter.unmount(target)?;
    }
    match fs::symlink_metadata(target) {
        Ok(existing) if existing.is_dir() != source_status.is_dir() => {
            if existing.is_dir() {
                fs::remove_dir(target)?;
            } else {
                fs::remove_file(target)?;
            }
            make_target(target, source_status.is_dir())?;
        }
        Ok(_) => {}
        Err(_) => make_target(target, source_status.is_dir())?,
    }
    mounter.bind(&by_descriptor, target)
}

fn make_target(target: &Path, is_dir: bool) -> io::Result<()> {
    if is_dir { DirBuilder::new().mode(0o750).create(target) } else { File::create_new(target).map(drop) }
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why.to_owned())
}

fn check(sub_path: &str) -> io::Result<&Path> {
    let path = Path::new(sub_path);
    let fine = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if sub_path.is_empty() || !fine {
        return Err(refused("subPath must be relative and without \"..\""));
    }
    Ok(path)
}

/// Resolves `relative` below `root`, making what is missing; returns the resolved path relative to `root`.
fn make(root: &Path, relative: &Path) -> io::Result<PathBuf> {
    let mut existing = root.to_owned();
    let mut missing = Vec::new();
    for part in relative.components().filter(|part| matches!(part, Component::Normal(_))) {
        let next = existing.join(part);
        if missing.is_empty() && fs::symlink_metadata(&next).is_ok() {
            // Resolves symlinks; a dangling one is an error, not something to create through.
            existing = fs::canonicalize(&next)?;
        } else {
            missing.push(part);
        }
    }
    let inside = existing.strip_prefix(root).map_err(|_| refused("subPath leaves the volume"))?.to_owned();
    if missing.is_empty() {
        return Ok(inside);
    }
    let volume = fs::metadata(root)?;
    let mode = Mode::from_bits_truncate(volume.mode() & 0o7777);
    let mut dir = open_inside(root, &inside)?;
    let mut resolved = inside;
    for part in missing {
        let name: &Path = part.as_ref();
        match mkdirat(&dir, name, mode) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        dir = openat(
            &dir,
            name,
            OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?;
        let by_descriptor = format!("/proc/self/fd/{}", dir.as_raw_fd());
        fs::set_permissions(&by_descriptor, volume.permissions())?;
        if Uid::effective().is_root() {
            std::os::unix::fs::chown(&by_descriptor, None, Some(volume.gid()))?;
        }
        resolved.push(name);
    }
    Ok(resolved)
}

/// Opens `inside` below `root` element by element; a symlink on the way is an error.
fn open_inside(root: &Path, inside: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut current = open(root, flags | OFlag::O_DIRECTORY, Mode::empty())?;
    for part in inside.components() {
        current = openat(&current, Path::new(part.as_os_str()), flags, Mode::empty())?;
        let kind = fs::metadata(format!("/proc/self/fd/{}", current.as_raw_fd()));
        // O_PATH with O_NOFOLLOW opens a symlink itself; its descriptor then reads as a link.
        let is_link = nix::sys::stat::fstat(&current)?.st_mode & 0o170_000 == 0o120_000;
        if is_link || kind.is_err() {
            return Err(refused("subPath changed into a symlink"));
        }
    }
    Ok(current)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::mounts::fake::FakeMounter;
    use super::*;

    fn bound(volume: &Path, sub_path: &str) -> io::Result<String> {
        let mounter = FakeMounter::default();
        let targets = tempfile::tempdir().unwrap();
        bind(volume, sub_path, &targets.path().join("vol/c/0"), &mounter)?;
        let root = fs::canonicalize(volume).unwrap();
        let log = mounter.log.lock().unwrap().join(";");
        Ok(log.replace(root.to_str().unwrap(), "VOL"))
    }

    #[test]
    fn files_directories_and_inner_links_are_bound() {
        let volume = tempfile::tempdir().unwrap();
        fs::create_dir_all(volume.path().join("..ts/deep")).unwrap();
        fs::write(volume.path().join("..ts/app.yaml"), "x").unwrap();
        symlink("..ts", volume.path().join("..data")).unwrap();
        symlink("..data/app.yaml", volume.path().join("app.yaml")).unwrap();
        assert_eq!(bound(volume.path(), "app.yaml").unwrap(), "bind VOL/..ts/app.yaml");
        assert_eq!(bound(volume.path(), "..ts/deep").unwrap_or_default(), "bind VOL/..ts/deep");
    }

    #[test]
    fn missing_parts_are_made_with_the_mode_of_the_volume() {
        let volume = tempfile::tempdir().unwrap();
        fs::set_permissions(volume.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        assert_eq!(bound(volume.path(), "a/./b").unwrap(), "bind VOL/a/b");
        assert_eq!(fs::metadata(volume.path().join("a/b")).unwrap().mode() & 0o7777, 0o777);
    }

    #[test]
    fn nothing_outside_the_volume_is_reached_or_made() {
        let root = tempfile::tempdir().unwrap();
        let volume = root.path().join("volume");
        fs::create_dir_all(&volume).unwrap();
        fs::create_dir(root.path().join("outside")).unwrap();
        symlink("../outside", volume.join("out")).unwrap();
        symlink("/", volume.join("slash")).unwrap();
        symlink("nowhere", volume.join("dangling")).unwrap();
        for path in ["out", "out/made", "slash/etc", "dangling", "dangling/x", "../outside", "/etc", ""] {
            assert!(bound(&volume, path).is_err(), "{path:?}");
        }
        assert!(!root.path().join("outside/made").exists());
    }

    #[test]
    fn a_mount_of_something_else_is_replaced() {
        let volume = tempfile::tempdir().unwrap();
        fs::write(volume.path().join("f"), "x").unwrap();
        let targets = tempfile::tempdir().unwrap();
        let target = targets.path().join("0");
        fs::write(&target, "").unwrap();
        let mounter = FakeMounter::default();
        mounter.table.lock().unwrap().push(target.clone());
        bind(volume.path(), "f", &target, &mounter).unwrap();
        assert_eq!(mounter.table.lock().unwrap().len(), 1);
        assert_eq!(mounter.log.lock().unwrap().len(), 1);
    }
}

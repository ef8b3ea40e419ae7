//! File changes, each atomic by itself.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use super::{HostError, PathKind, mounts};

/// What a path is, without following links.
pub fn kind(path: &Path) -> Option<PathKind> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some(if metadata.is_symlink() {
        PathKind::Link(fs::read_link(path).unwrap_or_default())
    } else if metadata.is_dir() {
        PathKind::Dir
    } else if metadata.is_file() {
        PathKind::File
    } else {
        PathKind::Other
    })
}

/// The content of a file, `None` when it does not exist.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, HostError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(HostError::file("cannot read", path)(error)),
    }
}

/// The entries of a directory, sorted.
pub fn list(dir: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> =
        fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

/// Permission bits of a file.
pub fn mode(path: &Path) -> Option<u32> {
    fs::symlink_metadata(path).ok().map(|metadata| metadata.permissions().mode() & 0o7777)
}

/// Makes a directory and its missing parents; returns what was made, outermost first.
pub fn make_dir(path: &Path, mode: u32) -> Result<Vec<PathBuf>, HostError> {
    let missing: Vec<_> = path.ancestors().take_while(|ancestor| !ancestor.exists()).map(Path::to_owned).collect();
    for (depth, dir) in missing.iter().enumerate().rev() {
        let mode = if depth == 0 { mode } else { 0o755 };
        fs::DirBuilder::new().mode(mode).create(dir).map_err(HostError::file("cannot make directory", dir))?;
        fs::set_permissions(dir, Permissions::from_mode(mode))
            .map_err(HostError::file("cannot make directory", dir))?;
    }
    Ok(missing.into_iter().rev().collect())
}

/// Writes through a temporary file in the same directory; the file is never seen half-written or with a wider mode.
pub fn write(path: &Path, mode: u32, content: &[u8]) -> Result<(), HostError> {
    replace(path, mode, |file| file.write_all(content))
}

/// Copies in the same way. Replacing by rename keeps a running program's file intact.
pub fn copy(from: &Path, to: &Path, mode: u32) -> Result<(), HostError> {
    let mut source = fs::File::open(from).map_err(HostError::file("cannot read", from))?;
    replace(to, mode, |file| io::copy(&mut source, file).map(drop))
}

fn replace(path: &Path, mode: u32, fill_in: impl FnOnce(&mut fs::File) -> io::Result<()>) -> Result<(), HostError> {
    let failed = HostError::file("cannot write", path);
    let mut name = std::ffi::OsString::from(".keadm-");
    name.push(path.file_name().unwrap_or_default());
    let temporary = path.with_file_name(name);
    let write = || {
        drop(fs::remove_file(&temporary)); // left over from a keadm that was killed
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        fill_in(&mut file)?;
        file.set_permissions(Permissions::from_mode(mode))?; // whatever the umask took
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|error| {
        drop(fs::remove_file(&temporary));
        failed(error)
    })
}

/// Makes a symbolic link; one that is there already is replaced.
pub fn link(target: &Path, link: &Path) -> Result<(), HostError> {
    let attempt = || {
        match fs::remove_file(link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        symlink(target, link)
    };
    attempt().map_err(HostError::file("cannot link", link))
}

/// Removes a file or a link; one that is gone is fine.
pub fn remove_file(path: &Path) -> Result<(), HostError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(HostError::file("cannot remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes a directory tree; refuses while anything is mounted in it, so that no volume's data is lost.
pub fn remove_tree(path: &Path) -> Result<(), HostError> {
    if let Some(mounted) = mounts::below(path).into_iter().next() {
        return Err(HostError::Mounted { path: mounted });
    }
    if mounts::is_mount_point(path) {
        // Emptied, not removed: the disk there was mounted by somebody else.
        return list(path).iter().try_for_each(|entry| remove(entry));
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(HostError::file("cannot remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes whatever is at `path`.
pub fn remove(path: &Path) -> Result<(), HostError> {
    match kind(path) {
        Some(PathKind::Dir) => remove_tree(path),
        Some(_) => remove_file(path),
        None => Ok(()),
    }
}

/// Removes a directory when it is empty; otherwise leaves it.
pub fn remove_empty_dir(path: &Path) {
    drop(fs::remove_dir(path));
}

/// Removes a cgroup and its children; in cgroup file systems only directories can be removed.
///
/// One that holds processes stays, and so do its parents: what was ours has been stopped before, so they are foreign.
pub fn remove_cgroup(path: &Path) -> Result<(), HostError> {
    for entry in list(path) {
        if kind(&entry) == Some(PathKind::Dir) {
            remove_cgroup(&entry)?;
        }
    }
    let harmless = [io::ErrorKind::NotFound, io::ErrorKind::ResourceBusy, io::ErrorKind::DirectoryNotEmpty];
    match fs::remove_dir(path) {
        Err(error) if !harmless.contains(&error.kind()) => Err(HostError::file("cannot remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_has_its_mode_from_the_start_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("secret");
        write(&path, 0o600, b"a").expect("writes");
        write(&path, 0o640, b"b").expect("writes");
        assert_eq!(mode(&path), Some(0o640));
        assert_eq!(read(&path).expect("reads").as_deref(), Some(&b"b"[..]));
        assert_eq!(list(dir.path()), [path]);
    }

    #[test]
    fn missing_parents_are_reported_outermost_first() {
        let dir = tempfile::tempdir().expect("tempdir");
        let made = make_dir(&dir.path().join("a/b/c"), 0o700).expect("makes");
        assert_eq!(made, [dir.path().join("a"), dir.path().join("a/b"), dir.path().join("a/b/c")]);
        assert_eq!(mode(&dir.path().join("a/b/c")), Some(0o700));
        assert_eq!(mode(&dir.path().join("a")), Some(0o755));
        assert_eq!(make_dir(&dir.path().join("a/b/c"), 0o755).expect("there"), Vec::<PathBuf>::new());
    }

    #[test]
    fn links_are_replaced_and_removed_without_following_them() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (target, name) = (dir.path().join("t"), dir.path().join("l"));
        write(&target, 0o644, b"x").expect("writes");
        link(Path::new("nowhere"), &name).expect("links");
        link(&target, &name).expect("links again");
        assert_eq!(kind(&name), Some(PathKind::Link(target.clone())));
        remove(&name).expect("removes");
        assert_eq!(kind(&target), Some(PathKind::File));
    }
}

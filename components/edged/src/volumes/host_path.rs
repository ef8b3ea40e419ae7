//! hostPath volumes: checks that the host has what the pod expects. Source: spec 08 §11.7.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Longest wait for the host's file system: one that hangs (a dead NFS server) must not stop anything else.
const DEADLINE: Duration = Duration::from_secs(5);
/// Checks at a time: those that hang hold a thread each until the kernel gives up. Full: new ones wait as long as
/// they would wait for the file system.
const MAX_CHECKS: usize = 4;

/// The checks of all pods.
#[derive(Debug, Clone)]
pub struct Checks {
    slots: Arc<Semaphore>,
    running: Arc<Mutex<BTreeMap<PathBuf, Running>>>,
}

/// Checks of one path that have not come back.
#[derive(Debug)]
struct Running {
    count: usize,
    since: Instant,
}

impl Default for Checks {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(MAX_CHECKS)), running: Arc::default() }
    }
}

impl Checks {
    /// [`check`] on a thread of its own, for so long as the file system may take. A path that hangs costs one thread
    /// for each check that began before that was known, and none after.
    ///
    /// # Errors
    /// The kubelet's text, or that the path does not answer.
    pub async fn check(&self, path: &Path, kind: &str) -> Result<(), String> {
        if !is_checked(kind) {
            return Ok(());
        }
        let answer = tokio::time::timeout(DEADLINE, self.on_a_thread(path, kind)).await;
        answer
            .ok()
            .flatten()
            .unwrap_or_else(|| Err(format!("hostPath type check failed: {} does not answer", path.display())))
    }

    /// `None`: an earlier check of this path hangs.
    async fn on_a_thread(&self, path: &Path, kind: &str) -> Option<Result<(), String>> {
        if self.hangs(path) {
            return None;
        }
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        self.enter(path);
        let (checks, path, kind) = (self.clone(), path.to_owned(), kind.to_owned());
        let work = tokio::task::spawn_blocking(move || {
            let result = check(&path, &kind);
            checks.leave(&path);
            drop(slot);
            result
        });
        Some(work.await.unwrap_or_else(|panic| Err(panic.to_string())))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hangs(&self, path: &Path) -> bool {
        self.lock().get(path).is_some_and(|running| running.since.elapsed() >= DEADLINE)
    }

    fn enter(&self, path: &Path) {
        let fresh = || Running { count: 0, since: Instant::now() };
        self.lock().entry(path.to_owned()).or_insert_with(fresh).count += 1;
    }

    fn leave(&self, path: &Path) {
        let mut running = self.lock();
        if let Some(of_path) = running.get_mut(path) {
            of_path.count -= 1;
            if of_path.count == 0 {
                running.remove(path);
            }
        }
    }
}

/// Checks `path` against the volume's `type`, creating what the type says is created.
///
/// # Errors
/// The kubelet's text.
pub fn check(path: &Path, kind: &str) -> Result<(), String> {
    let failed = |what: &str| Err(format!("hostPath type check failed: {} is not {what}", path.display()));
    if !is_checked(kind) {
        return Ok(());
    }
    let found = fs::metadata(path).ok().map(|metadata| metadata.file_type());
    match (kind, found) {
        ("Directory" | "DirectoryOrCreate", Some(found)) if found.is_dir() => Ok(()),
        ("DirectoryOrCreate", None) => create_dir(path).map_err(|error| format!("{}: {error}", path.display())),
        ("Directory" | "DirectoryOrCreate", _) => failed("a directory"),
        ("File" | "FileOrCreate", Some(found)) if found.is_file() => Ok(()),
        ("FileOrCreate", None) => create_file(path).map_err(|error| format!("{}: {error}", path.display())),
        ("File" | "FileOrCreate", _) => failed("a file"),
        ("Socket", Some(found)) if found.is_socket() => Ok(()),
        ("Socket", _) => failed("a socket file"),
        ("CharDevice", Some(found)) if found.is_char_device() => Ok(()),
        ("CharDevice", _) => failed("a character device"),
        ("BlockDevice", Some(found)) if found.is_block_device() => Ok(()),
        ("BlockDevice", _) => failed("a block device"),
        (other, _) => Err(format!("{other} is an invalid volume type")),
    }
}

/// Whether a volume of this type is looked at at all; the path of another may hang without harm.
fn is_checked(kind: &str) -> bool {
    !matches!(kind, "" | "Unset")
}

fn create_dir(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

fn create_file(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o644))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_path_that_hangs_fails_at_once_and_an_unchecked_one_is_not_looked_at() {
        let (checks, null) = (Checks::default(), Path::new("/dev/null"));
        checks.enter(null); // a check that does not come back
        assert_eq!(checks.check(null, "CharDevice").await, Ok(()), "others may still try");
        tokio::time::advance(DEADLINE).await;
        let said = "hostPath type check failed: /dev/null does not answer".to_owned();
        assert_eq!(checks.check(null, "CharDevice").await, Err(said));
        assert_eq!(checks.check(null, "Unset").await, Ok(()));
        assert_eq!(checks.check(Path::new("/"), "Directory").await, Ok(()));
        checks.leave(null);
        assert_eq!(checks.check(null, "CharDevice").await, Ok(()));
        assert!(checks.lock().is_empty());
    }

    #[test]
    fn types_are_checked_and_created() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("file"), "").unwrap();
        std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert_eq!(check(&at("absent"), ""), Ok(()));
        assert_eq!(check(&at("a/b/dir"), "DirectoryOrCreate"), Ok(()));
        assert_eq!(check(&at("a/b/dir"), "Directory"), Ok(()));
        assert_eq!(check(&at("new"), "FileOrCreate"), Ok(()));
        assert_eq!(check(&at("new"), "File"), Ok(()));
        assert_eq!(check(&at("socket"), "Socket"), Ok(()));
        assert_eq!(check(Path::new("/dev/null"), "CharDevice"), Ok(()));
        assert!(check(&at("no/parent"), "FileOrCreate").is_err());
        for (name, kind, what) in [
            ("file", "Directory", "a directory"),
            ("file", "DirectoryOrCreate", "a directory"),
            ("absent", "Directory", "a directory"),
            ("a", "File", "a file"),
            ("file", "Socket", "a socket file"),
            ("file", "CharDevice", "a character device"),
            ("file", "BlockDevice", "a block device"),
        ] {
            let expected = format!("hostPath type check failed: {} is not {what}", at(name).display());
            assert_eq!(check(&at(name), kind), Err(expected));
        }
    }
}

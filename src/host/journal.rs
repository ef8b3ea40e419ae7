//! How to undo what was done.

use std::path::PathBuf;

use super::{HostError, PathKind, files, service::Service};

/// The way back from one action.
#[derive(Debug)]
pub enum Undo {
    /// Remove what did not exist before.
    Remove(PathBuf),
    /// Remove what a directory did not hold before.
    RemoveNew {
        /// The directory.
        dir: PathBuf,
        /// What it held.
        known: Vec<PathBuf>,
    },
    /// Put a file back as it was.
    Restore {
        /// Where.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
        /// What it held.
        content: Vec<u8>,
    },
    /// Put a link back.
    Relink {
        /// The link.
        link: PathBuf,
        /// Where it pointed.
        target: PathBuf,
    },
    /// Stop a service that did not run before.
    Stop(Service),
    /// Start a service that ran before.
    Start(Service),
    /// Have systemd start a service at boot, as it did before.
    Enable(Service),
    /// Have systemd read its units again.
    ReloadUnits,
}

impl Undo {
    /// How to bring back whatever is at `path` now.
    ///
    /// # Errors
    /// A file that cannot be read cannot be brought back.
    pub fn of(path: PathBuf) -> Result<Self, HostError> {
        Ok(match files::kind(&path) {
            None => Self::Remove(path),
            Some(PathKind::Link(target)) => Self::Relink { link: path, target },
            Some(_) => {
                let content = files::read(&path)?.unwrap_or_default();
                Self::Restore { mode: files::mode(&path).unwrap_or(0o600), content, path }
            }
        })
    }

    /// Whether the path is a cgroup, which is removed in its own way.
    pub fn is_cgroup(path: &std::path::Path) -> bool {
        path.starts_with("/sys/fs/cgroup")
    }
}

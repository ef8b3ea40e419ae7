//! Everything that keadm ever does to a host, as data.

use std::{fmt, path::PathBuf, time::Duration};

use super::service::Service;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Makes a directory and its missing parents. Undone by removing what was made, with everything in it.
    MakeDir {
        /// The directory.
        path: PathBuf,
        /// Permission bits of the last element; parents get 0755.
        mode: u32,
    },
    /// Notes that a service is about to create this path. Undone by removing it if it was not there before, or what a
    /// directory that was there has got since.
    Claim {
        /// File or directory.
        path: PathBuf,
    },
    /// Writes a file through a temporary one and a rename. Undone by putting the old content back.
    WriteFile {
        /// The file.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
        /// The content; never shown.
        content: Vec<u8>,
    },
    /// Copies a file in the same way.
    CopyFile {
        /// From where.
        from: PathBuf,
        /// To where.
        to: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// Makes a symbolic link, replacing one that is there.
    Symlink {
        /// Where it points.
        target: PathBuf,
        /// The link.
        link: PathBuf,
    },
    /// Removes a file or a link.
    RemoveFile {
        /// The file.
        path: PathBuf,
    },
    /// Removes a directory with everything in it; refuses to cross into a mount. Not undone.
    RemoveTree {
        /// The directory.
        path: PathBuf,
    },
    /// Removes a directory if it is empty. Not undone.
    RemoveEmptyDir {
        /// The directory.
        path: PathBuf,
    },
    /// Removes a cgroup with its children. Not undone.
    RemoveCgroup {
        /// Its directory.
        path: PathBuf,
    },
    /// Unmounts; lazily when the mount is busy. Not undone.
    Unmount {
        /// The mount point.
        path: PathBuf,
    },
    /// Starts a service now and, under systemd, at boot. Undone by stopping it.
    Start {
        /// The service.
        service: Service,
    },
    /// Stops a service and keeps it from starting at boot. Undone by starting it, if it ran before we came.
    Stop {
        /// The service.
        service: Service,
    },
    /// Has systemd read its units again.
    ReloadUnits,
    /// Ends a process: TERM, then KILL after the grace time. Not undone.
    EndProcess {
        /// Its id.
        pid: i32,
        /// Its name, for messages.
        name: String,
        /// How long it may take.
        grace: Duration,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeDir { path, mode } => write!(formatter, "make directory {} ({mode:04o})", path.display()),
            Self::Claim { path } => write!(formatter, "let the service create {}", path.display()),
            Self::WriteFile { path, mode, .. } => write!(formatter, "write {} ({mode:04o})", path.display()),
            Self::CopyFile { from, to, mode } => {
                write!(formatter, "copy {} to {} ({mode:04o})", from.display(), to.display())
            }
            Self::Symlink { target, link } => write!(formatter, "link {} to {}", link.display(), target.display()),
            Self::RemoveFile { path } => write!(formatter, "remove {}", path.display()),
            Self::RemoveTree { path } => write!(formatter, "remove {} with everything in it", path.display()),
            Self::RemoveEmptyDir { path } => write!(formatter, "remove {} if it is empty", path.display()),
            Self::RemoveCgroup { path } => write!(formatter, "remove cgroup {}", path.display()),
            Self::Unmount { path } => write!(formatter, "unmount {}", path.display()),
            Self::Start { service } => write!(formatter, "start service {}", service.name),
            Self::Stop { service } => write!(formatter, "stop service {}", service.name),
            Self::ReloadUnits => formatter.write_str("reload systemd's units"),
            Self::EndProcess { pid, name, .. } => write!(formatter, "end process {pid} ({name})"),
        }
    }
}

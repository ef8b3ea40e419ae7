//! The only room that touches the operating system: files, units, processes, mounts.
//!
//! Looking never changes anything. Changing goes through [`Host::act`] with an [`Action`], which is data: one
//! implementation acts and remembers how to undo it ([`real::RealHost`]), one only prints ([`dry::DryHost`]), and
//! tests pass one that records.

pub mod action;
pub mod dry;
pub mod files;
pub mod journal;
pub mod mounts;
pub mod net;
pub mod process;
pub mod real;
#[cfg(test)]
pub mod recording;
pub mod service;
pub mod systemd;

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use api::config::HostFacts;
use thiserror::Error;

pub use action::Action;
pub use process::Process;

/// What a path is, without following a symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathKind {
    /// Regular file.
    File,
    /// Directory.
    Dir,
    /// Symbolic link and where it points.
    Link(PathBuf),
    /// Socket, device, pipe.
    Other,
}

/// What runs services on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitSystem {
    /// systemd runs as PID 1.
    Systemd,
    /// Nothing that we know: services run in the background under `keadm supervise`.
    None,
}

/// Why the host could not be changed.
#[derive(Debug, Error)]
pub enum HostError {
    /// A file operation failed.
    #[error("{what} {}", path.display())]
    File {
        /// What was tried, as a verb phrase.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot run {program}")]
    Program {
        /// The program.
        program: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A program ended with a failure.
    #[error("`{command}` failed: {output}")]
    Exit {
        /// The command line.
        command: String,
        /// The last line it printed.
        output: String,
    },
    /// A process did not end in time.
    #[error("process {pid} does not end")]
    Stubborn {
        /// Its id.
        pid: i32,
    },
    /// Something is mounted under a directory that is to be removed.
    #[error("{} is still mounted", path.display())]
    Mounted {
        /// The mount point.
        path: PathBuf,
    },
}

impl HostError {
    /// For `map_err`: the file operation `what` on `path` failed.
    pub fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }
}

/// One machine.
pub trait Host: Send + Sync {
    /// Whether we may change the system.
    fn is_root(&self) -> bool;
    /// Host name and addresses, for defaults.
    fn facts(&self) -> HostFacts;
    /// Address of a network interface.
    fn interface_address(&self, name: &str) -> Option<IpAddr>;
    /// The content of a file; `None` if there is none.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, HostError>;
    /// What a path is; `None` if it does not exist.
    fn kind(&self, path: &Path) -> Option<PathKind>;
    /// The entries of a directory; nothing if there is none.
    fn list(&self, dir: &Path) -> Vec<PathBuf>;
    /// All processes with an executable.
    fn processes(&self) -> Vec<Process>;
    /// Mount points below a directory, deepest first.
    fn mounts_below(&self, dir: &Path) -> Vec<PathBuf>;
    /// Who listens on a TCP port: `None` when it is free.
    fn port_owner(&self, port: u16) -> Option<String>;
    /// What runs services here.
    fn init_system(&self) -> InitSystem;
    /// The last lines that a service wrote.
    fn log_tail(&self, service: &service::Service, lines: usize) -> Vec<String>;
    /// The file that this process runs from.
    fn own_binary(&self) -> Result<PathBuf, HostError>;
    /// Changes the host.
    ///
    /// # Errors
    /// What failed; the host is as before this one action.
    fn act(&self, action: Action) -> Result<(), HostError>;
    /// Undoes everything since the start, newest first; returns what could not be undone.
    fn roll_back(&self) -> Vec<HostError>;
}

//! Processes, read from /proc, and how they end.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::HostError;

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// The kernel's name of it, at most 15 bytes.
    pub name: String,
    /// The file it runs from, if we may know.
    pub executable: Option<PathBuf>,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// All processes but kernel threads.
pub fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| read(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// One process, if it lives and is no zombie.
pub fn read(pid: i32) -> Option<Process> {
    let dir = PathBuf::from(format!("/proc/{pid}"));
    let name = fs::read_to_string(dir.join("comm")).ok()?.trim_end().to_owned();
    let arguments: Vec<_> = fs::read(dir.join("cmdline"))
        .ok()?
        .split(|byte| *byte == 0)
        .filter(|part| !part.is_empty())
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect();
    if arguments.is_empty() {
        return None; // kernel thread or zombie
    }
    let executable = fs::read_link(dir.join("exe")).ok().map(|path| undeleted(&path));
    Some(Process { pid, name, executable, arguments })
}

/// The kernel marks a replaced executable.
fn undeleted(path: &Path) -> PathBuf {
    path.to_str().and_then(|text| text.strip_suffix(" (deleted)")).map_or_else(|| path.to_owned(), PathBuf::from)
}

/// Whether a process with this id runs.
pub fn is_alive(pid: i32) -> bool {
    read(pid).is_some()
}

/// Sends TERM, waits, sends KILL, waits a little. A process that is gone is fine.
pub fn end(pid: i32, grace: Duration) -> Result<(), HostError> {
    for (signal, wait) in [(Signal::SIGTERM, grace), (Signal::SIGKILL, Duration::from_secs(5))] {
        match kill(Pid::from_raw(pid), signal) {
            Ok(()) => {}
            Err(Errno::ESRCH) => return Ok(()),
            Err(errno) => {
                return Err(HostError::Program { program: format!("kill {pid}"), source: errno.into() });
            }
        }
        let deadline = Instant::now() + wait;
        while Instant::now() < deadline {
            if !is_alive(pid) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    if is_alive(pid) { Err(HostError::Stubborn { pid }) } else { Ok(()) }
}

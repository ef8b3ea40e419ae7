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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// The kernel's name of it, at most 15 bytes.
    pub name: String,
    /// The file it runs from, if we may know.
    pub executable: Option<PathBuf>,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// It lives among other files than we: in a container, say.
    pub foreign: bool,
}

impl Process {
    /// Whether this is a process of that name on this host itself.
    pub fn is(&self, name: &str) -> bool {
        !self.foreign && self.name == name
    }

    /// Whether it is `keadm supervise <name>` on this host itself.
    pub fn supervises(&self, name: &str) -> bool {
        let asked_to = self.arguments.get(1..3).is_some_and(|given| given == ["supervise", name]);
        !self.foreign && asked_to && self.name == "keadm"
    }
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
    // What we may not look at is taken for ours.
    let mounts = |of: &str| fs::read_link(format!("/proc/{of}/ns/mnt")).ok();
    let foreign = mounts(&pid.to_string()).is_some_and(|theirs| mounts("self").is_some_and(|ours| ours != theirs));
    Some(Process { pid, name, executable, arguments, foreign })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_no_foreigner_and_a_container_is_one() {
        let own = read(i32::try_from(std::process::id()).expect("fits")).expect("lives");
        assert!(!own.foreign);
        let edgecore = Process { name: "edgecore".into(), ..Process::default() };
        assert!(edgecore.is("edgecore"));
        assert!(!Process { foreign: true, ..edgecore }.is("edgecore"));
    }

    #[test]
    fn a_supervisor_is_known_by_its_command_line() {
        let of = |line: &str| Process {
            name: "keadm".into(),
            arguments: line.split(' ').map(str::to_owned).collect(),
            ..Process::default()
        };
        assert!(of("/usr/local/bin/keadm supervise edgecore").supervises("edgecore"));
        assert!(!of("/usr/local/bin/keadm supervise edgecore").supervises("cloudcore"));
        assert!(!of("/usr/local/bin/keadm reset edge").supervises("edgecore"));
    }
}

//! The machine that we run on. Acts, and remembers how to undo.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use api::{config::HostFacts, names::BIN_DIR};
use nix::mount::{MntFlags, umount2};

use super::{
    Action, Host, HostError, InitSystem, PathKind, Process, files, journal::Undo, mounts, net, process,
    service::Service, systemd,
};

/// How long a service may take to end.
const STOP_GRACE: Duration = Duration::from_secs(35);

/// This machine, with the journal of what was done to it.
#[derive(Debug, Default)]
pub struct RealHost {
    journal: Mutex<Vec<Undo>>,
}

impl RealHost {
    fn journal(&self) -> MutexGuard<'_, Vec<Undo>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `change` and remembers `undo` if it worked.
    fn journaled(&self, undo: Undo, change: impl FnOnce() -> Result<(), HostError>) -> Result<(), HostError> {
        change()?;
        self.journal().push(undo);
        Ok(())
    }

    fn start(&self, service: &Service) -> Result<(), HostError> {
        if systemd::is_running() {
            if systemd::systemctl(&["is-enabled", "--quiet", &service.unit()]).is_ok() {
                self.journal().push(Undo::Enable(service.clone())); // undoing the start disables it
            }
            systemd::systemctl(&["enable", &service.unit()])?;
            self.journal().push(Undo::Stop(service.clone()));
            systemd::systemctl(&["restart", &service.unit()])
        } else {
            self.journaled(Undo::Stop(service.clone()), || supervise(service))
        }
    }

    fn stop(&self, service: &Service) -> Result<(), HostError> {
        let ran_before = is_active(service) && !self.started(service);
        let outcome = stop(service);
        if ran_before {
            // Also after a stop that failed half-way.
            self.journal().push(Undo::Start(service.clone()));
        }
        outcome
    }

    /// Whether it is we who started this service.
    fn started(&self, service: &Service) -> bool {
        self.journal().iter().any(|step| matches!(step, Undo::Stop(ours) if ours == service))
    }
}

/// Starts a service that was set up before.
fn start_again(service: &Service) -> Result<(), HostError> {
    if systemd::is_running() { systemd::systemctl(&["enable", "--now", &service.unit()]) } else { supervise(service) }
}

fn is_active(service: &Service) -> bool {
    let unit = service.unit();
    let by_systemd = systemd::is_running() && systemd::systemctl(&["is-active", "--quiet", &unit]).is_ok();
    by_systemd || !supervisors(service).is_empty()
}

/// The processes that keep a service running without systemd; found without the pid file, which may be lost.
fn supervisors(service: &Service) -> Vec<i32> {
    let all = process::all().into_iter();
    all.filter(|process| process.supervises(service.name)).map(|process| process.pid).collect()
}

/// Starts `keadm supervise <name>` in the background; it makes itself a session leader.
fn supervise(service: &Service) -> Result<(), HostError> {
    let log_file = service.log_file();
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log_file)
        .map_err(HostError::file("cannot write", &log_file))?;
    let errors = log.try_clone().map_err(HostError::file("cannot write", &log_file))?;
    let program = Path::new(BIN_DIR).join("keadm");
    let child = Command::new(&program)
        .args(["supervise", service.name])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(|source| HostError::Program { program: program.display().to_string(), source })?;
    // It writes the same by itself, but a rollback may come before that.
    files::write(&service.pid_file(), 0o644, format!("{}\n", child.id()).as_bytes())
}

/// Stops a service however it was started.
fn stop(service: &Service) -> Result<(), HostError> {
    if systemd::is_running() && service.unit_file().exists() {
        systemd::systemctl(&["disable", "--now", &service.unit()])?;
        // Forgets a failed state; fails when there is none, which is fine.
        drop(systemd::systemctl(&["reset-failed", &service.unit()]));
    }
    let pid_file = service.pid_file();
    for supervisor in supervisors(service) {
        process::end(supervisor, STOP_GRACE)?;
    }
    files::remove_file(&pid_file)
}

fn unmount(path: &Path) -> Result<(), HostError> {
    umount2(path, MntFlags::UMOUNT_NOFOLLOW)
        .or_else(|_| umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW))
        .map_err(|errno| HostError::file("cannot unmount", path)(errno.into()))
}

/// Removes what a service has made.
fn take_away(path: &Path) -> Result<(), HostError> {
    if Undo::is_cgroup(path) {
        // Files in a cgroup are the kernel's and go with their directory.
        return if files::kind(path) == Some(PathKind::Dir) { files::remove_cgroup(path) } else { Ok(()) };
    }
    for point in mounts::below(path) {
        unmount(&point)?;
    }
    files::remove(path)
}

fn undo(step: Undo) -> Result<(), HostError> {
    match step {
        Undo::Remove(path) => take_away(&path),
        Undo::RemoveNew { dir, known } => {
            let new = files::list(&dir).into_iter().filter(|entry| !known.contains(entry));
            new.map(|entry| take_away(&entry)).fold(Ok(()), Result::and)
        }
        Undo::Restore { path, mode, content } => files::write(&path, mode, &content),
        Undo::Relink { link, target } => files::link(&target, &link),
        Undo::Stop(service) => stop(&service),
        Undo::Enable(service) => systemd::systemctl(&["enable", &service.unit()]),
        Undo::Start(service) => start_again(&service),
        Undo::ReloadUnits => systemd::systemctl(&["daemon-reload"]),
    }
}

impl Host for RealHost {
    fn is_root(&self) -> bool {
        nix::unistd::geteuid().is_root()
    }

    fn facts(&self) -> HostFacts {
        net::facts()
    }

    fn interface_address(&self, name: &str) -> Option<IpAddr> {
        net::interface_address(name)
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, HostError> {
        files::read(path)
    }

    fn kind(&self, path: &Path) -> Option<PathKind> {
        files::kind(path)
    }

    fn list(&self, dir: &Path) -> Vec<PathBuf> {
        files::list(dir)
    }

    fn processes(&self) -> Vec<Process> {
        process::all()
    }

    fn mounts_below(&self, dir: &Path) -> Vec<PathBuf> {
        mounts::below(dir)
    }

    fn port_owner(&self, port: u16) -> Option<String> {
        net::port_owner(port)
    }

    fn init_system(&self) -> InitSystem {
        if systemd::is_running() { InitSystem::Systemd } else { InitSystem::None }
    }

    fn log_tail(&self, service: &Service, lines: usize) -> Vec<String> {
        if systemd::is_running() {
            return systemd::journal(&service.unit(), lines);
        }
        let text = files::read(&service.log_file()).ok().flatten().unwrap_or_default();
        let all: Vec<_> = String::from_utf8_lossy(&text).lines().map(str::to_owned).collect();
        all[all.len().saturating_sub(lines)..].to_vec()
    }

    fn own_binary(&self) -> Result<PathBuf, HostError> {
        let path = Path::new("/proc/self/exe");
        fs::read_link(path).map_err(HostError::file("cannot read", path))
    }

    fn act(&self, action: Action) -> Result<(), HostError> {
        match action {
            Action::MakeDir { path, mode } => {
                let made = files::make_dir(&path, mode)?;
                self.journal().extend(made.into_iter().map(Undo::Remove));
                Ok(())
            }
            Action::Claim { path } => {
                match files::kind(&path) {
                    None => self.journal().push(Undo::Remove(path)),
                    Some(PathKind::Dir) => {
                        let known = files::list(&path);
                        self.journal().push(Undo::RemoveNew { dir: path, known });
                    }
                    Some(_) => {}
                }
                Ok(())
            }
            Action::WriteFile { path, mode, content } => {
                self.journaled(Undo::of(path.clone())?, || files::write(&path, mode, &content))
            }
            Action::CopyFile { from, to, mode } => {
                self.journaled(Undo::of(to.clone())?, || files::copy(&from, &to, mode))
            }
            Action::Symlink { target, link } => self.journaled(Undo::of(link.clone())?, || files::link(&target, &link)),
            Action::RemoveFile { path } => match files::kind(&path) {
                Some(PathKind::File | PathKind::Link(_)) => {
                    self.journaled(Undo::of(path.clone())?, || files::remove_file(&path))
                }
                _ => files::remove_file(&path),
            },
            Action::RemoveTree { path } => files::remove_tree(&path),
            Action::RemoveEmptyDir { path } => {
                files::remove_empty_dir(&path);
                Ok(())
            }
            Action::RemoveCgroup { path } => files::remove_cgroup(&path),
            Action::Unmount { path } => unmount(&path),
            Action::Start { service } => self.start(&service),
            Action::Stop { service } => self.stop(&service),
            Action::ReloadUnits => {
                self.journal().push(Undo::ReloadUnits);
                systemd::systemctl(&["daemon-reload"])
            }
            Action::EndProcess { pid, name, grace } => match process::read(pid) {
                Some(process) if process.name == name => process::end(pid, grace),
                _ => Ok(()),
            },
        }
    }

    fn roll_back(&self) -> Vec<HostError> {
        let mut failures = Vec::new();
        let steps: Vec<_> = self.journal().drain(..).rev().collect();
        let (reloads, steps): (Vec<_>, Vec<_>) = steps.into_iter().partition(|step| matches!(step, Undo::ReloadUnits));
        let (starts, steps): (Vec<_>, Vec<_>) = steps.into_iter().partition(|step| matches!(step, Undo::Start(_)));
        // Units are read again once, when their files are as they were, and what ran before runs again after that.
        for step in steps.into_iter().chain(reloads.into_iter().take(1)).chain(starts) {
            failures.extend(undo(step).err());
        }
        failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rolling_back_leaves_files_and_directories_as_they_were() {
        let dir = tempfile::tempdir().expect("tempdir");
        let at = |name: &str| dir.path().join(name);
        files::write(&at("old"), 0o640, b"before").expect("writes");
        files::link(Path::new("elsewhere"), &at("link")).expect("links");

        let host = RealHost::default();
        for action in [
            Action::MakeDir { path: at("new/deep"), mode: 0o755 },
            Action::WriteFile { path: at("new/deep/file"), mode: 0o600, content: b"x".to_vec() },
            Action::WriteFile { path: at("old"), mode: 0o600, content: b"after".to_vec() },
            Action::Symlink { target: at("old"), link: at("link") },
            Action::CopyFile { from: at("old"), to: at("copy"), mode: 0o755 },
            Action::Claim { path: at("claimed") },
            Action::Claim { path: at("old") },
            Action::Claim { path: dir.path().to_owned() },
        ] {
            host.act(action).expect("acts");
        }
        files::write(&at("claimed"), 0o600, b"by the service").expect("writes");
        files::write(&at("new in an old directory"), 0o600, b"by the service").expect("writes");

        assert!(host.roll_back().is_empty());
        assert_eq!(files::list(dir.path()), [at("link"), at("old")]);
        assert_eq!(files::read(&at("old")).expect("reads").as_deref(), Some(&b"before"[..]));
        assert_eq!(files::mode(&at("old")), Some(0o640));
        assert_eq!(files::kind(&at("link")), Some(PathKind::Link("elsewhere".into())));
    }

    #[test]
    fn a_second_roll_back_does_nothing() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("file");
        let host = RealHost::default();
        host.act(Action::WriteFile { path: path.clone(), mode: 0o600, content: Vec::new() }).expect("acts");
        assert!(host.roll_back().is_empty());
        files::write(&path, 0o600, b"later").expect("writes");
        assert!(host.roll_back().is_empty());
        assert_eq!(files::kind(&path), Some(PathKind::File));
    }
}

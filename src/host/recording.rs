//! A host for tests: files in memory, actions written down, any action can be made to fail.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Mutex,
};

use api::config::HostFacts;

use super::{Action, Host, HostError, InitSystem, PathKind, Process, service::Service};

/// What a recording host pretends and remembers.
#[derive(Debug)]
pub struct RecordingHost {
    /// Whether we are root.
    pub root: bool,
    /// What runs services.
    pub init: InitSystem,
    /// Ports and their holders.
    pub ports: BTreeMap<u16, String>,
    /// Processes.
    pub processes: Vec<Process>,
    /// Mount points.
    pub mounts: Vec<PathBuf>,
    /// Last log lines of every service.
    pub log: Vec<String>,
    /// The action whose text contains this fails.
    pub fail_on: Option<&'static str>,
    files: Mutex<BTreeMap<PathBuf, Option<Vec<u8>>>>,
    done: Mutex<Vec<String>>,
    rolled_back: Mutex<bool>,
}

impl Default for RecordingHost {
    fn default() -> Self {
        Self {
            root: true,
            init: InitSystem::Systemd,
            ports: BTreeMap::new(),
            processes: Vec::new(),
            mounts: Vec::new(),
            log: Vec::new(),
            fail_on: None,
            files: Mutex::default(),
            done: Mutex::default(),
            rolled_back: Mutex::default(),
        }
    }
}

impl RecordingHost {
    /// Puts a file on the host.
    pub fn with_file(self, path: impl Into<PathBuf>, content: &str) -> Self {
        self.files.lock().unwrap().insert(path.into(), Some(content.into()));
        self
    }

    /// Puts a directory on the host.
    pub fn with_dir(self, path: impl Into<PathBuf>) -> Self {
        self.files.lock().unwrap().insert(path.into(), None);
        self
    }

    /// The text of every action so far.
    pub fn done(&self) -> Vec<String> {
        self.done.lock().unwrap().clone()
    }

    /// Whether everything was undone.
    pub fn was_rolled_back(&self) -> bool {
        *self.rolled_back.lock().unwrap()
    }

    /// The text of a file.
    pub fn text(&self, path: &str) -> Option<String> {
        let content = self.files.lock().unwrap().get(Path::new(path))?.clone()?;
        Some(String::from_utf8(content).unwrap())
    }
}

impl Host for RecordingHost {
    fn is_root(&self) -> bool {
        self.root
    }

    fn facts(&self) -> HostFacts {
        let ip = Some("192.0.2.2".parse().unwrap());
        HostFacts { host_name: "host-1".into(), local_ip: ip, default_route_ip: ip }
    }

    fn interface_address(&self, name: &str) -> Option<IpAddr> {
        (name == "eth0").then(|| "192.0.2.2".parse().unwrap())
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, HostError> {
        Ok(self.files.lock().unwrap().get(path).cloned().flatten())
    }

    fn kind(&self, path: &Path) -> Option<PathKind> {
        let files = self.files.lock().unwrap();
        match files.get(path) {
            Some(Some(_)) => Some(PathKind::File),
            Some(None) => Some(PathKind::Dir),
            None => files.keys().any(|file| file.starts_with(path)).then_some(PathKind::Dir),
        }
    }

    fn list(&self, dir: &Path) -> Vec<PathBuf> {
        self.files.lock().unwrap().keys().filter(|path| path.parent() == Some(dir)).cloned().collect()
    }

    fn processes(&self) -> Vec<Process> {
        self.processes.clone()
    }

    fn mounts_below(&self, dir: &Path) -> Vec<PathBuf> {
        self.mounts.iter().filter(|point| point.starts_with(dir)).cloned().collect()
    }

    fn port_owner(&self, port: u16) -> Option<String> {
        self.ports.get(&port).cloned()
    }

    fn init_system(&self) -> InitSystem {
        self.init
    }

    fn log_tail(&self, _: &Service, _: usize) -> Vec<String> {
        self.log.clone()
    }

    fn own_binary(&self) -> Result<PathBuf, HostError> {
        Ok("/root/keadm".into())
    }

    fn act(&self, action: Action) -> Result<(), HostError> {
        let text = action.to_string();
        if self.fail_on.is_some_and(|part| text.contains(part)) {
            return Err(HostError::Exit { command: text, output: "made to fail".into() });
        }
        let mut files = self.files.lock().unwrap();
        match action {
            Action::WriteFile { path, content, .. } => drop(files.insert(path, Some(content))),
            Action::RemoveFile { path } => drop(files.remove(&path)),
            Action::RemoveTree { path } => files.retain(|file, _| !file.starts_with(&path)),
            Action::CopyFile { to, .. } => drop(files.insert(to, Some(Vec::new()))),
            Action::Symlink { link, .. } => drop(files.insert(link, Some(Vec::new()))),
            Action::MakeDir { path, .. } => drop(files.entry(path).or_insert(None)),
            _ => {}
        }
        self.done.lock().unwrap().push(text);
        Ok(())
    }

    fn roll_back(&self) -> Vec<HostError> {
        *self.rolled_back.lock().unwrap() = true;
        Vec::new()
    }
}

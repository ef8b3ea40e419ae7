//! A host that is only looked at: what would be done is told, nothing is done.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use api::config::HostFacts;

use super::{Action, Host, HostError, InitSystem, PathKind, Process, service::Service};
use crate::term;

/// Looks at the host inside, prints every action on stdout.
pub struct DryHost<H>(pub H);

impl<H: Host> Host for DryHost<H> {
    fn is_root(&self) -> bool {
        self.0.is_root()
    }

    fn facts(&self) -> HostFacts {
        self.0.facts()
    }

    fn interface_address(&self, name: &str) -> Option<IpAddr> {
        self.0.interface_address(name)
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, HostError> {
        self.0.read(path)
    }

    fn kind(&self, path: &Path) -> Option<PathKind> {
        self.0.kind(path)
    }

    fn list(&self, dir: &Path) -> Vec<PathBuf> {
        self.0.list(dir)
    }

    fn processes(&self) -> Vec<Process> {
        self.0.processes()
    }

    fn mounts_below(&self, dir: &Path) -> Vec<PathBuf> {
        self.0.mounts_below(dir)
    }

    fn port_owner(&self, port: u16) -> Option<String> {
        self.0.port_owner(port)
    }

    fn init_system(&self) -> InitSystem {
        self.0.init_system()
    }

    fn log_tail(&self, service: &Service, lines: usize) -> Vec<String> {
        self.0.log_tail(service, lines)
    }

    fn own_binary(&self) -> Result<PathBuf, HostError> {
        self.0.own_binary()
    }

    fn act(&self, action: Action) -> Result<(), HostError> {
        term::data(&format!("would {action}"));
        Ok(())
    }

    fn roll_back(&self) -> Vec<HostError> {
        Vec::new()
    }
}

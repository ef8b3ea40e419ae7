//! cloudcore and edgecore as services of a host: a systemd unit where systemd runs, else a supervised process.

use std::path::{Path, PathBuf};

use api::names::{BIN_DIR, LOG_DIR, RUN_DIR};

/// A long-running component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// `cloudcore` or `edgecore`: unit, process and file names come from it.
    pub name: &'static str,
}

/// The cloud side.
pub const CLOUDCORE: Service = Service { name: "cloudcore" };
/// The edge side.
pub const EDGECORE: Service = Service { name: "edgecore" };

const CLOUDCORE_UNIT: &str = include_str!("../../templates/cloudcore.service");
const EDGECORE_UNIT: &str = include_str!("../../templates/edgecore.service");

impl Service {
    /// Unit name.
    pub fn unit(&self) -> String {
        format!("{}.service", self.name)
    }

    /// Unit file.
    pub fn unit_file(&self) -> PathBuf {
        Path::new("/etc/systemd/system").join(self.unit())
    }

    /// Text of the unit file.
    pub fn unit_text(&self) -> &'static str {
        if self.name == CLOUDCORE.name { CLOUDCORE_UNIT } else { EDGECORE_UNIT }
    }

    /// The program, under the name by which it knows what it is.
    pub fn program(&self) -> PathBuf {
        Path::new(BIN_DIR).join(self.name)
    }

    /// Pid file of its supervisor, where no systemd runs.
    pub fn pid_file(&self) -> PathBuf {
        Path::new(RUN_DIR).join(format!("{}.pid", self.name))
    }

    /// Log file, where no systemd runs.
    pub fn log_file(&self) -> PathBuf {
        Path::new(LOG_DIR).join(format!("{}.log", self.name))
    }
}

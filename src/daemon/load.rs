//! Reading the configuration file at start. Source: spec 05 §9.2.

use std::{io, path::PathBuf};

use api::config::{ConfigError, HostFacts, Warning};
use thiserror::Error;
use tracing::warn;

use super::flags::Flags;
use crate::host::net;

/// Why a component has no configuration.
#[derive(Debug, Error)]
pub enum LoadError {
    /// No file.
    #[error(
        "config: Required value: config file {} not exist. For the configuration file format, please refer to \
         --minconfig and --defaultconfig command", path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file that cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A file that makes no sense.
    #[error("{} cannot be used", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ConfigError,
    },
}

/// Reads the file over the defaults of this host; oddities are logged.
pub fn config<T>(
    flags: &Flags,
    read: impl FnOnce(&str, &HostFacts) -> Result<(T, Vec<Warning>), ConfigError>,
) -> Result<T, LoadError> {
    let path = flags.config.clone();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(LoadError::Missing { path }),
        Err(source) => return Err(LoadError::Unreadable { path, source }),
    };
    let (config, warnings) = read(&text, &net::facts()).map_err(|source| LoadError::Invalid { path, source })?;
    for warning in warnings {
        warn!(%warning, "configuration");
    }
    for flag in &flags.ignored {
        warn!(flag, "flag of an older release has no effect");
    }
    Ok(config)
}

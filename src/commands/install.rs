//! Putting this binary onto the host and running it as a service.

use std::path::Path;

use api::names::{BIN_DIR, RUN_DIR};

use crate::host::{Action, Host, HostError, InitSystem, service::Service};

/// Tells a reset that keadm put itself where it is.
pub const INSTALLED_MARKER: &str = "/var/lib/kubeedge/.keadm-installed";

/// Copies this binary to where it belongs, if it does not run from there. A keadm that somebody else put there is
/// replaced, but a reset will leave it.
pub fn keadm(host: &dyn Host) -> Result<Vec<Action>, HostError> {
    let from = host.own_binary()?;
    let to = Path::new(BIN_DIR).join("keadm");
    if from == to {
        return Ok(Vec::new());
    }
    let foreign = host.kind(&to).is_some() && host.kind(Path::new(INSTALLED_MARKER)).is_none();
    let mut actions = vec![Action::MakeDir { path: BIN_DIR.into(), mode: 0o755 }];
    if !foreign {
        actions.push(Action::WriteFile { path: INSTALLED_MARKER.into(), mode: 0o644, content: Vec::new() });
    }
    actions.push(Action::CopyFile { from, to, mode: 0o755 });
    Ok(actions)
}

/// Starts a component: a systemd unit where systemd runs, else a supervised process.
pub fn start(service: Service, host: &dyn Host) -> Vec<Action> {
    let mut actions = match host.init_system() {
        InitSystem::Systemd => vec![
            Action::WriteFile {
                path: service.unit_file(),
                mode: 0o644,
                content: service.unit_text().as_bytes().to_vec(),
            },
            Action::ReloadUnits,
        ],
        InitSystem::None => vec![
            Action::MakeDir { path: RUN_DIR.into(), mode: 0o755 },
            Action::Claim { path: service.log_file() },
            Action::Claim { path: service.pid_file() },
        ],
    };
    actions.push(Action::Start { service });
    actions
}

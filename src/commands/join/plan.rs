//! What a join does to the host, in order. Source: spec 05 §4.2, §7.

use std::path::{Path, PathBuf};

use api::names::{
    BIN_DIR, BOOTSTRAP_FILE, CONFIG_DIR, EDGE_DATABASE_FILE, EDGECORE_CONFIG_FILE, ETC_DIR, KUBELET_DIR, LOG_DIR,
    POD_LOGS_DIR, STATE_DIR,
};

use super::{error::JoinError, preflight::Checked, settings::JoinSettings};
use crate::{
    commands::install,
    host::{Action, Host, service::EDGECORE},
};

/// Directories, binaries, configuration, token.
pub fn files(settings: &JoinSettings, checked: &Checked, host: &dyn Host) -> Result<Vec<Action>, JoinError> {
    let mut actions = vec![
        Action::MakeDir { path: ETC_DIR.into(), mode: 0o755 },
        Action::MakeDir { path: CONFIG_DIR.into(), mode: 0o755 },
        Action::MakeDir { path: STATE_DIR.into(), mode: 0o755 },
        Action::MakeDir { path: LOG_DIR.into(), mode: 0o755 },
    ];
    actions.extend(claims(settings, host));
    actions.extend(install::keadm(host)?);
    // A file of its own, not a link: the Go programs' upgrade writes through links into whatever they point at.
    let program = Path::new(BIN_DIR).join("edgecore");
    actions.push(Action::CopyFile { from: host.own_binary()?, to: program, mode: 0o755 });
    actions.extend([
        Action::WriteFile {
            path: EDGECORE_CONFIG_FILE.into(),
            mode: 0o600,
            content: checked.config.to_yaml().into_bytes(),
        },
        Action::WriteFile {
            path: BOOTSTRAP_FILE.into(),
            mode: 0o600,
            content: format!("{}\n", checked.token.as_str()).into_bytes(),
        },
    ]);
    Ok(actions)
}

/// Unit or supervised process.
pub fn start(host: &dyn Host) -> Vec<Action> {
    install::start(EDGECORE, host)
}

/// What edgecore makes by itself; a join that fails takes it away again.
fn claims(settings: &JoinSettings, host: &dyn Host) -> Vec<Action> {
    let certificates = settings.cert_dir.clone().unwrap_or_else(|| Path::new(ETC_DIR).join("certs"));
    let mut paths: Vec<PathBuf> = vec![
        certificates,
        Path::new(ETC_DIR).join("ca"),
        Path::new(ETC_DIR).join("manifests"),
        Path::new(ETC_DIR).join("dmi.sock"),
        KUBELET_DIR.into(),
        POD_LOGS_DIR.into(),
        "/var/log/containers".into(),
    ];
    paths.extend(["", "-wal", "-shm"].map(|suffix| PathBuf::from(format!("{EDGE_DATABASE_FILE}{suffix}"))));
    paths.extend(pod_cgroups(host));
    paths.into_iter().map(|path| Action::Claim { path }).collect()
}

/// Where the cgroups of pods are, for both drivers: under every v1 controller, or once under v2.
pub fn pod_cgroups(host: &dyn Host) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let unified = host.kind(&root.join("cgroup.controllers")).is_some();
    let parents = if unified { vec![root.to_owned()] } else { host.list(root) };
    parents.iter().flat_map(|parent| ["kubepods", "kubepods.slice"].map(|name| parent.join(name))).collect()
}

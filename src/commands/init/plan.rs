//! What an init does to the host, in order. Source: spec 05 §3.1, §7.1; spec 10 §8.5.

use std::path::Path;

use api::{
    cloudcore::CloudCoreConfig,
    names::{BIN_DIR, CLOUDCORE_CONFIG_FILE, CONFIG_DIR, ETC_DIR, LOG_DIR, STATE_DIR},
};

use jiff::Timestamp;

use super::error::InitError;
use crate::{
    commands::{
        install,
        kubeconfig::{self, ADMIN_FILE, USER_FILE},
    },
    host::{Action, Host, service::CLOUDCORE},
};

/// Where kubeadm keeps the cluster's CA; certgen and tutorials look there.
pub const KUBERNETES_PKI: &str = "/etc/kubernetes/pki";

/// Directories, binaries, configuration.
pub fn files(wanted: &CloudCoreConfig, host: &dyn Host) -> Result<Vec<Action>, InitError> {
    let etc = Path::new(ETC_DIR);
    let mut actions = vec![
        Action::MakeDir { path: ETC_DIR.into(), mode: 0o755 },
        Action::MakeDir { path: CONFIG_DIR.into(), mode: 0o755 },
        Action::MakeDir { path: STATE_DIR.into(), mode: 0o755 },
        Action::MakeDir { path: LOG_DIR.into(), mode: 0o755 },
        Action::Claim { path: etc.join("ca") },
        Action::Claim { path: etc.join("certs") },
        Action::Claim { path: Path::new(STATE_DIR).join("kubeedge.sock") },
    ];
    if wanted.control_plane.enable {
        actions.push(Action::Claim { path: wanted.control_plane.data_dir.clone().into() });
    }
    actions.extend(install::keadm(host)?);
    let keadm = Path::new(BIN_DIR).join("keadm");
    actions.extend([
        Action::Symlink { target: keadm.clone(), link: CLOUDCORE.program() },
        // Tutorials call the script and copy the unit.
        Action::Symlink { target: keadm, link: etc.join("certgen.sh") },
        Action::WriteFile {
            path: etc.join(CLOUDCORE.unit()),
            mode: 0o644,
            content: CLOUDCORE.unit_text().as_bytes().to_vec(),
        },
        Action::WriteFile { path: CLOUDCORE_CONFIG_FILE.into(), mode: 0o644, content: wanted.to_yaml().into_bytes() },
    ]);
    Ok(actions)
}

/// Our context in the operator's kubeconfig, and kubeadm's files where there are none. Nothing when all is there.
pub fn kubeconfigs(wanted: &CloudCoreConfig, host: &dyn Host) -> Result<Vec<Action>, InitError> {
    let data_dir = Path::new(&wanted.control_plane.data_dir);
    let admin = host.read(&kubeconfig::of_control_plane(wanted))?.unwrap_or_default();
    let admin_text = String::from_utf8_lossy(&admin).into_owned();

    let mut actions = Vec::new();
    let current = host.read(Path::new(USER_FILE))?.unwrap_or_default();
    let current = String::from_utf8_lossy(&current);
    let merged = kubeconfig::merged(&current, &admin_text)
        .map_err(|source| InitError::Kubeconfig { path: USER_FILE.to_owned(), source })?;
    let now = Timestamp::now();
    if merged != current && !kubeconfig::is_current(&current, &admin_text, Some(kubeconfig::ENTRY), now) {
        actions.extend([
            Action::MakeDir { path: "/root/.kube".into(), mode: 0o700 },
            Action::WriteFile { path: USER_FILE.into(), mode: 0o600, content: merged.into_bytes() },
        ]);
    }

    let pki = Path::new(KUBERNETES_PKI);
    let copies = [
        (Path::new(ADMIN_FILE).to_owned(), Some(admin), 0o600),
        (pki.join("ca.crt"), host.read(&data_dir.join("pki/ca.crt"))?, 0o644),
        (pki.join("ca.key"), host.read(&data_dir.join("pki/ca.key"))?, 0o600),
    ];
    for (path, content, mode) in copies {
        let Some(content) = content else { continue };
        if host.kind(&path).is_some() {
            // A kubeconfig of ours is kept up to date; whatever belongs to somebody else stays.
            let there = host.read(&path)?.unwrap_or_default();
            let text = String::from_utf8_lossy(&there);
            let ours = kubeconfig::same_cluster(&there, &content);
            if !ours || there == content || kubeconfig::is_current(&text, &admin_text, None, now) {
                continue;
            }
        }
        if let Some(dir) = path.parent() {
            actions.push(Action::MakeDir { path: dir.to_owned(), mode: 0o755 });
        }
        actions.push(Action::WriteFile { path, mode, content });
    }
    Ok(actions)
}

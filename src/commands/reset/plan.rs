//! What a reset does, in order. Only what is there is touched, so that a dry run tells the truth.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use api::names::{
    BIN_DIR, BOOTSTRAP_FILE, CA_CERT_FILE, CLOUDCORE_CONFIG_FILE, CONFIG_DIR, EDGE_DATABASE_FILE, EDGECORE_CONFIG_FILE,
    ETC_DIR, LOG_DIR, RUN_DIR, SERVER_CERT_FILE, SERVER_KEY_FILE, STATE_DIR, STATIC_POD_DIR,
};

use super::inventory::Inventory;
use crate::{
    commands::{
        init::plan::KUBERNETES_PKI,
        install::INSTALLED_MARKER,
        join::{plan::pod_cgroups, settings::BESIDE_CLOUD_CERT_DIR},
        kubeconfig::{self, ADMIN_FILE, USER_FILE},
    },
    host::{
        Action, Host, InitSystem, PathKind,
        service::{CLOUDCORE, EDGECORE, Service},
    },
};

/// How long a process may take to end.
const GRACE: Duration = Duration::from_secs(30);

/// Static pods first, so that nothing is started again; then the service.
pub fn stop_edge(found: &Inventory, host: &dyn Host) -> Vec<Action> {
    let configured = &found.edge_config.modules.edged.tailored_kubelet_config.static_pod_path;
    let mut actions = Vec::new();
    if configured == STATIC_POD_DIR {
        actions.extend(remove(Path::new(STATIC_POD_DIR), host));
    }
    actions.extend(stop(&EDGECORE, host));
    actions
}

/// The service of the cloud.
pub fn stop_cloud(host: &dyn Host) -> Vec<Action> {
    stop(&CLOUDCORE, host)
}

fn stop(service: &Service, host: &dyn Host) -> Vec<Action> {
    let mut actions = vec![Action::Stop { service: service.clone() }];
    // Whoever runs outside of the service; those inside are gone by then, which is fine.
    let ours = |executable: &Path| executable.file_name().is_some_and(|name| name == service.name || name == "keadm");
    for process in host.processes().into_iter().filter(|process| process.is(service.name)) {
        if process.executable.as_deref().is_some_and(ours) {
            actions.push(Action::EndProcess { pid: process.pid, name: process.name, grace: GRACE });
        }
    }
    if host.kind(&service.unit_file()).is_some() {
        actions.push(Action::RemoveFile { path: service.unit_file() });
    }
    if host.init_system() == InitSystem::Systemd {
        actions.push(Action::ReloadUnits);
    }
    actions
}

/// Everything of the edge side.
pub fn remove_edge(found: &Inventory, host: &dyn Host) -> Vec<Action> {
    let etc = Path::new(ETC_DIR);
    let mut actions = Vec::new();
    if found.other_agent.is_none() {
        let mut trees: Vec<PathBuf> = vec![
            found.edge_config.modules.edged.root_directory.clone().into(),
            "/var/lib/edged".into(),
            found.edge_config.modules.edged.tailored_kubelet_config.pod_logs_dir.clone().into(),
            "/var/log/containers".into(),
        ];
        trees.retain(|tree| is_removable(tree));
        for tree in &trees {
            actions.extend(unmount_inside(tree, host));
            actions.extend(remove(tree, host));
        }
        let cgroups = pod_cgroups(host).into_iter().filter(|path| host.kind(path).is_some());
        actions.extend(cgroups.map(|path| Action::RemoveCgroup { path }));
    }
    let database = &found.edge_config.database.data_source;
    let mut paths: Vec<PathBuf> = ["", "-wal", "-shm", "-journal"]
        .iter()
        .flat_map(|suffix| [format!("{database}{suffix}"), format!("{EDGE_DATABASE_FILE}{suffix}")])
        .map(PathBuf::from)
        .collect();
    paths.dedup();
    let hub = &found.edge_config.modules.edge_hub;
    paths.extend([EDGECORE_CONFIG_FILE, BOOTSTRAP_FILE].map(PathBuf::from));
    paths.push(format!("{EDGECORE_CONFIG_FILE}.v1alpha1.bak").into());
    paths.push(BESIDE_CLOUD_CERT_DIR.into());
    // With a cloud side on the same host the files at the usual places are its own.
    let usual = [CA_CERT_FILE, SERVER_CERT_FILE, SERVER_KEY_FILE];
    let certificates = [&hub.tls_ca_file, &hub.tls_cert_file, &hub.tls_private_key_file];
    let certificates = certificates.into_iter().filter(|path| !(found.keep_shared && usual.contains(&path.as_str())));
    paths.extend(certificates.map(PathBuf::from));
    paths.extend(
        ["dmi.sock", "backup", "upgrade", "upgrade_report.json", "idempotency_record"].map(|name| etc.join(name)),
    );
    paths.extend([
        EDGECORE.program(),
        EDGECORE.log_file(),
        EDGECORE.log_file().with_extension("log.1"),
        EDGECORE.pid_file(),
    ]);
    actions.extend(paths.iter().filter_map(|path| remove(path, host)));
    actions
}

/// Everything of the cloud side.
pub fn remove_cloud(found: &Inventory, host: &dyn Host) -> Vec<Action> {
    let etc = Path::new(ETC_DIR);
    let mut actions = kubeconfigs(found, host);
    let mut paths: Vec<PathBuf> = vec![
        CLOUDCORE_CONFIG_FILE.into(),
        etc.join(CLOUDCORE.unit()),
        etc.join("certgen.sh"),
        etc.join("crds"),
        Path::new(STATE_DIR).join("kubeedge.sock"),
        CLOUDCORE.program(),
        CLOUDCORE.log_file(),
        CLOUDCORE.log_file().with_extension("log.1"),
        CLOUDCORE.pid_file(),
    ];
    if is_removable(&found.control_plane_dir) {
        paths.push(found.control_plane_dir.clone());
    }
    actions.extend(paths.iter().filter_map(|path| remove(path, host)));
    actions
}

/// Our entries in kubeconfigs, and the copies that init made, if they are still what it wrote.
fn kubeconfigs(found: &Inventory, host: &dyn Host) -> Vec<Action> {
    let content = |path: &Path| host.read(path).ok().flatten();
    let text = |path: &Path| content(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let own = &found.control_plane_dir;
    let mut actions = Vec::new();
    let admin = text(&own.join("admin.conf"));
    let user = Path::new(USER_FILE);
    if let (Some(admin), Some(current)) = (&admin, text(user))
        && let Ok(Some(rest)) = kubeconfig::without_ours(&current)
        && holds_ca_of(&current, admin)
    {
        if rest.is_empty() {
            actions.push(Action::RemoveFile { path: user.to_owned() });
            actions.extend(user.parent().map(|dir| Action::RemoveEmptyDir { path: dir.to_owned() }));
        } else {
            actions.push(Action::WriteFile { path: user.to_owned(), mode: 0o600, content: rest.into_bytes() });
        }
    }
    let pki = Path::new(KUBERNETES_PKI);
    let copies = [
        (Path::new(ADMIN_FILE).to_owned(), own.join("admin.conf")),
        (pki.join("ca.crt"), own.join("pki/ca.crt")),
        (pki.join("ca.key"), own.join("pki/ca.key")),
    ];
    let mut removed_any = false;
    for (copy, original) in copies {
        if let (Some(copied), Some(original)) = (content(&copy), content(&original))
            && (copied == original || kubeconfig::same_cluster(&copied, &original))
        {
            removed_any = true;
            actions.push(Action::RemoveFile { path: copy });
        }
    }
    if removed_any {
        actions.extend([KUBERNETES_PKI, "/etc/kubernetes"].map(|dir| Action::RemoveEmptyDir { path: dir.into() }));
    }
    actions
}

/// Whether the entry of our name leads to the control plane of `admin`.
fn holds_ca_of(current: &str, admin: &str) -> bool {
    kubeconfig::ca_data(admin).is_some_and(|ca| current.contains(&ca))
}

/// What both sides use: whole directories when both are gone, else only what has become empty.
pub fn remove_shared(found: &Inventory, host: &dyn Host) -> Vec<Action> {
    let dirs = [CONFIG_DIR, ETC_DIR, LOG_DIR, STATE_DIR, RUN_DIR];
    if found.keep_shared {
        return dirs.map(|dir| Action::RemoveEmptyDir { path: dir.into() }).into();
    }
    let installed_by_us = host.kind(Path::new(INSTALLED_MARKER)).is_some();
    let mut actions: Vec<Action> = Vec::new();
    for dir in dirs.map(Path::new) {
        actions.extend(unmount_inside(dir, host));
        actions.extend(remove(dir, host));
    }
    if installed_by_us {
        actions.extend(remove(&Path::new(BIN_DIR).join("keadm"), host));
    }
    actions
}

/// Unmounts the volumes in a directory.
fn unmount_inside(dir: &Path, host: &dyn Host) -> Vec<Action> {
    host.mounts_below(dir).into_iter().map(|path| Action::Unmount { path }).collect()
}

/// Removes whatever is at a path, if anything is.
fn remove(path: &Path, host: &dyn Host) -> Option<Action> {
    match host.kind(path)? {
        PathKind::Dir => Some(Action::RemoveTree { path: path.to_owned() }),
        PathKind::File | PathKind::Link(_) | PathKind::Other => Some(Action::RemoveFile { path: path.to_owned() }),
    }
}

/// A configured directory is removed only if it can hardly be anything but ours: absolute, three levels deep.
fn is_removable(path: &Path) -> bool {
    path.is_absolute() && path.components().count() >= 4
}

//! What of us is on a host.

use std::path::{Path, PathBuf};

use api::{
    cloudcore::CloudCoreConfig,
    config::HostFacts,
    edgecore::EdgeCoreConfig,
    names::{CLOUDCORE_CONFIG_FILE, CONTROL_PLANE_DIR, EDGE_DATABASE_FILE, EDGECORE_CONFIG_FILE},
};

use crate::{
    cli::reset::Side,
    commands::{kubeconfig, neighbours, runtime},
    host::{
        Host,
        service::{CLOUDCORE, EDGECORE, Service},
    },
};

/// What was found, and what a reset will take away.
#[derive(Debug)]
pub struct Inventory {
    /// Take the cloud side away.
    pub cloud: bool,
    /// Take the edge side away.
    pub edge: bool,
    /// The other side stays: what both share must stay, too.
    pub keep_shared: bool,
    /// Node agent's configuration.
    pub edge_config: EdgeCoreConfig,
    /// Data directory of the control plane.
    pub control_plane_dir: PathBuf,
    /// Kubeconfig of the cluster that cloudcore used, if it was not its own.
    pub external_kubeconfig: Option<PathBuf>,
    /// Socket of the container runtime.
    pub runtime_endpoint: Option<String>,
    /// A directory in which pods have left something.
    pub pods_on_disk: Option<PathBuf>,
    /// Why pods on this host may be somebody else's.
    pub other_agent: Option<String>,
}

impl Inventory {
    /// Looks around. `side` limits what is taken away.
    pub fn of(host: &dyn Host, side: Option<Side>, endpoint: Option<&str>) -> Self {
        let there = |path: &str| host.kind(Path::new(path)).is_some();
        let edge_here = installed(host, &EDGECORE) || there(EDGECORE_CONFIG_FILE) || there(EDGE_DATABASE_FILE);
        let cloud_here = installed(host, &CLOUDCORE) || there(CLOUDCORE_CONFIG_FILE) || there(CONTROL_PLANE_DIR);
        let edge = edge_here && side != Some(Side::Cloud);
        let cloud = cloud_here && side != Some(Side::Edge);

        let edge_config = edge_config(host);
        let cloud_config: Option<CloudCoreConfig> = kubeconfig::cloudcore_config(host);
        let configured = &edge_config.modules.edged.tailored_kubelet_config.container_runtime_endpoint;
        let configured = there(EDGECORE_CONFIG_FILE).then(|| configured.clone());
        let runtime_endpoint = endpoint
            .map(str::to_owned)
            .or(configured)
            .filter(|endpoint| there(endpoint.trim_start_matches("unix://")))
            .or_else(|| Some(runtime::candidates(host)).filter(|found| found.len() == 1)?.pop());
        Self {
            cloud,
            edge,
            keep_shared: (edge_here && !edge) || (cloud_here && !cloud),
            pods_on_disk: pods_on_disk(&edge_config, host),
            edge_config,
            control_plane_dir: cloud_config
                .as_ref()
                .map_or(CONTROL_PLANE_DIR.into(), |config| config.control_plane.data_dir.clone().into()),
            external_kubeconfig: cloud_config
                .filter(|config| !config.control_plane.enable && !config.kube_api_config.kube_config.is_empty())
                .map(|config| config.kube_api_config.kube_config.into()),
            runtime_endpoint,
            other_agent: neighbours::installed(host),
        }
    }
}

fn installed(host: &dyn Host, service: &Service) -> bool {
    let files = [service.unit_file(), service.program(), service.pid_file()];
    files.iter().any(|path| host.kind(path).is_some())
        || host.processes().iter().any(|process| process.is(service.name) || process.supervises(service.name))
}

fn edge_config(host: &dyn Host) -> EdgeCoreConfig {
    let text = host.read(Path::new(EDGECORE_CONFIG_FILE)).ok().flatten().unwrap_or_default();
    EdgeCoreConfig::from_yaml(&String::from_utf8_lossy(&text), &HostFacts::default())
        .map(|(config, _)| config)
        .unwrap_or_default()
}

fn pods_on_disk(config: &EdgeCoreConfig, host: &dyn Host) -> Option<PathBuf> {
    let dirs = [Path::new(&config.modules.edged.root_directory).join("pods"), "/var/lib/edged/pods".into()];
    dirs.into_iter().find(|dir| !host.list(dir).is_empty())
}

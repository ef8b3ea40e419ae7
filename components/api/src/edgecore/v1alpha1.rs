//! Files of releases up to 1.11 (`v1alpha1`) and of 1.12 to 1.17, whose keys have moved since. The tree is changed
//! before it is laid over the defaults; a key that is present at its new place wins. Source: spec 06 §9.2, §9.3.

use std::net::IpAddr;

use crate::{
    config::{Node, Warning, WarningKind, duration::GoDuration},
    names::CRI_DOCKERD_ENDPOINT,
};

const EDGED: &str = "modules.edged";
const KUBELET: &str = "modules.edged.tailoredKubeletConfig";

/// What becomes of a key directly under `modules.edged`.
enum Fate {
    /// Moves to a path under `modules.edged`, its value changed on the way.
    Moved(&'static str, fn(Node) -> Option<Node>),
    /// Has no meaning any more.
    Gone,
}

const FATES: &[(&str, Fate)] = &[
    ("labels", Fate::Moved("nodeLabels", Some)),
    ("taints", Fate::Moved("tailoredKubeletConfig.registerWithTaints", Some)),
    ("registerWithTaints", Fate::Moved("tailoredKubeletConfig.registerWithTaints", Some)),
    ("registerNode", Fate::Moved("tailoredKubeletConfig.registerNode", Some)),
    ("nodeStatusUpdateFrequency", Fate::Moved("tailoredKubeletConfig.nodeStatusUpdateFrequency", seconds)),
    ("remoteRuntimeEndpoint", Fate::Moved("tailoredKubeletConfig.containerRuntimeEndpoint", endpoint)),
    ("remoteImageEndpoint", Fate::Moved("tailoredKubeletConfig.imageServiceEndpoint", endpoint)),
    ("clusterDNS", Fate::Moved("tailoredKubeletConfig.clusterDNS", dns_list)),
    ("clusterDomain", Fate::Moved("tailoredKubeletConfig.clusterDomain", non_empty)),
    ("runtimeRequestTimeout", Fate::Moved("tailoredKubeletConfig.runtimeRequestTimeout", minutes)),
    ("imageGCHighThreshold", Fate::Moved("tailoredKubeletConfig.imageGCHighThresholdPercent", Some)),
    ("imageGCLowThreshold", Fate::Moved("tailoredKubeletConfig.imageGCLowThresholdPercent", Some)),
    ("maximumDeadContainersPerPod", Fate::Moved("maxPerPodContainerCount", Some)),
    ("cgroupDriver", Fate::Moved("tailoredKubeletConfig.cgroupDriver", Some)),
    ("cgroupsPerQOS", Fate::Moved("tailoredKubeletConfig.cgroupsPerQOS", Some)),
    ("cgroupRoot", Fate::Moved("tailoredKubeletConfig.cgroupRoot", Some)),
    ("systemCgroups", Fate::Moved("tailoredKubeletConfig.systemCgroups", Some)),
    ("edgeCoreCgroups", Fate::Moved("tailoredKubeletConfig.kubeletCgroups", Some)),
    ("volumeStatsAggPeriod", Fate::Moved("tailoredKubeletConfig.volumeStatsAggPeriod", nanoseconds)),
    ("annotations", Fate::Gone),
    ("dockerAddress", Fate::Gone),
    ("dockerEndpoint", Fate::Gone),
    ("dockershimRootDirectory", Fate::Gone),
    ("edgedMemoryCapacity", Fate::Gone),
    ("imagePullProgressDeadline", Fate::Gone),
    ("concurrentConsumers", Fate::Gone),
    ("devicePluginEnabled", Fate::Gone),
    ("gpuPluginEnabled", Fate::Gone),
    ("networkPluginName", Fate::Gone),
    ("cniConfDir", Fate::Gone),
    ("cniBinDir", Fate::Gone),
    ("cniCacheDir", Fate::Gone),
    ("cniCacheDirs", Fate::Gone),
    ("networkPluginMTU", Fate::Gone),
    ("enableMetrics", Fate::Gone),
    ("containerRuntime", Fate::Gone),
    ("masterServiceNamespace", Fate::Gone),
    ("keepTerminatedPodVolumes", Fate::Gone),
    ("nonMasqueradeCidr", Fate::Gone),
    ("seccompProfileRoot", Fate::Gone),
    ("kubeConfig", Fate::Gone),
    ("kubeletConfigFile", Fate::Gone),
    ("certDirectory", Fate::Gone),
    ("lockFilePath", Fate::Gone),
    ("exitOnLockContention", Fate::Gone),
];

/// Moves old keys to where they belong now; one warning per key.
pub fn convert(root: &mut Node) -> Vec<Warning> {
    let mut warnings = Vec::new();
    runtime_type(root, &mut warnings);
    for (key, fate) in FATES {
        let path = format!("{EDGED}.{key}");
        let Some(value) = root.take(&path) else { continue };
        let kind = match fate {
            Fate::Gone => WarningKind::Obsolete,
            Fate::Moved(target, change) => {
                let to = format!("{EDGED}.{target}");
                match change(value) {
                    Some(value) if root.at(&to).is_none() => {
                        root.put(&to, value);
                        WarningKind::Converted { to }
                    }
                    _ => WarningKind::Obsolete,
                }
            }
        };
        warnings.push(Warning { path, kind });
    }
    for path in ["modules.metaManager.podStatusSyncInterval", "modules.edgeMesh"] {
        if root.take(path).is_some() {
            warnings.push(Warning { path: path.into(), kind: WarningKind::Obsolete });
        }
    }
    warnings
}

/// `runtimeType: docker` means Docker through cri-dockerd now; the dockershim socket of the old default is gone.
fn runtime_type(root: &mut Node, warnings: &mut Vec<Warning>) {
    let path = format!("{EDGED}.runtimeType");
    let Some(value) = root.take(&path) else { return };
    if value != Node::Text("docker".into()) {
        warnings.push(Warning { path, kind: WarningKind::Obsolete });
        return;
    }
    for old in ["remoteRuntimeEndpoint", "remoteImageEndpoint"] {
        root.take(&format!("{EDGED}.{old}"));
    }
    for new in ["containerRuntimeEndpoint", "imageServiceEndpoint"] {
        let to = format!("{KUBELET}.{new}");
        if root.at(&to).is_none() {
            root.put(&to, Node::Text(CRI_DOCKERD_ENDPOINT.into()));
        }
    }
    warnings.push(Warning { path, kind: WarningKind::Converted { to: format!("{KUBELET}.containerRuntimeEndpoint") } });
}

/// A whole number of `unit` nanoseconds as a duration; durations of 1.12 to 1.17 files pass.
fn duration(value: Node, unit: i64) -> Option<Node> {
    match value {
        Node::Int(count) => Some(Node::Text(GoDuration::from_nanos(count.checked_mul(unit)?).to_string())),
        other => Some(other),
    }
}

fn seconds(value: Node) -> Option<Node> {
    duration(value, 1_000_000_000)
}

fn minutes(value: Node) -> Option<Node> {
    duration(value, 60_000_000_000)
}

fn nanoseconds(value: Node) -> Option<Node> {
    duration(value, 1)
}

fn endpoint(value: Node) -> Option<Node> {
    match value {
        Node::Text(text) if text.is_empty() => None,
        Node::Text(text) if text.starts_with('/') => Some(Node::Text(format!("unix://{text}"))),
        other => Some(other),
    }
}

fn non_empty(value: Node) -> Option<Node> {
    Some(value).filter(|value| !matches!(value, Node::Text(text) if text.is_empty()))
}

fn dns_list(value: Node) -> Option<Node> {
    let Node::Text(text) = value else { return Some(value) };
    let servers: Vec<_> = text
        .split(',')
        .map(str::trim)
        .filter(|entry| entry.parse::<IpAddr>().is_ok())
        .map(|entry| Node::Text(entry.to_owned()))
        .collect();
    Some(Node::List(servers)).filter(|list| *list != Node::List(Vec::new()))
}

//! What a pod's spec says about its volumes. Pure.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, Pod, Volume, VolumeMount};

use super::place::Medium;
use crate::cgroups;
use crate::doors::{ObjectChange, ObjectKind};
use crate::facts::PodFacts;
use crate::quantity::Amount;

/// Whether `pod` has a volume that shows the object that changed.
pub fn references(pod: &Pod, change: &ObjectChange) -> bool {
    if pod.metadata.namespace.as_deref().unwrap_or("default") != change.namespace {
        return false;
    }
    let name = change.name.as_str();
    mounted_volumes(pod).any(|volume| {
        let parts = || volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        match change.kind {
            ObjectKind::ConfigMap => {
                volume.config_map.as_ref().is_some_and(|source| source.name == name)
                    || parts().any(|part| part.config_map.as_ref().is_some_and(|source| source.name == name))
            }
            ObjectKind::Secret => {
                volume.secret.as_ref().is_some_and(|source| source.secret_name.as_deref() == Some(name))
                    || parts().any(|part| part.secret.as_ref().is_some_and(|source| source.name == name))
            }
        }
    })
}

/// The volumes that some container mounts; the others are not made. Source: spec 08 §11.1.
pub(super) fn mounted_volumes(pod: &Pod) -> impl Iterator<Item = &Volume> {
    let spec = pod.spec.as_ref();
    let wanted = move |name: &str| {
        spec.is_some_and(|spec| {
            let regular = spec.containers.iter().chain(spec.init_containers.iter().flatten());
            let debug = spec.ephemeral_containers.iter().flatten();
            let mounts = regular.map(|c| &c.volume_mounts).chain(debug.map(|c| &c.volume_mounts));
            mounts.flatten().flatten().any(|mount| mount.name == name)
        })
    };
    spec.into_iter().flat_map(|spec| spec.volumes.iter().flatten()).filter(move |volume| wanted(&volume.name))
}

/// Paths inside `volume` at which some container mounts another volume.
pub(super) fn nested_mounts(pod: &Pod, volume: &str) -> BTreeSet<PathBuf> {
    let mut nested = BTreeSet::new();
    let containers =
        pod.spec.iter().flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
    for container in containers {
        let mounts = container.volume_mounts.as_deref().unwrap_or_default();
        let whole = |mount: &&VolumeMount| mount.sub_path.is_none() && mount.sub_path_expr.is_none();
        for outer in mounts.iter().filter(|mount| mount.name == volume).filter(whole) {
            let below =
                mounts.iter().filter_map(|inner| Path::new(&inner.mount_path).strip_prefix(&outer.mount_path).ok());
            let plain = |path: &&Path| path.components().all(|part| matches!(part, Component::Normal(_)));
            nested.extend(below.filter(plain).filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned));
        }
    }
    nested
}

pub(super) fn is_made_of_files(volume: &Volume) -> bool {
    volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.downward_api.is_some()
        || volume.projected.is_some()
}

/// Directory name of the volume's plugin. Source: spec 08 §11.1.
pub(super) fn plugin_of(volume: &Volume) -> Option<&'static str> {
    if volume.empty_dir.is_some() {
        Some("kubernetes.io~empty-dir")
    } else if volume.config_map.is_some() {
        Some("kubernetes.io~configmap")
    } else if volume.secret.is_some() {
        Some("kubernetes.io~secret")
    } else if volume.downward_api.is_some() {
        Some("kubernetes.io~downward-api")
    } else if volume.projected.is_some() {
        Some("kubernetes.io~projected")
    } else {
        None
    }
}

/// Secrets, tokens and pod data never touch the disk. Source: spec 08 §11.3.
pub(super) fn medium(volume: &Volume, pod: &Pod, facts: &PodFacts) -> Medium {
    let on_tmpfs = match &volume.empty_dir {
        Some(source) => source.medium.as_deref() == Some("Memory"),
        None => volume.config_map.is_none(),
    };
    if !on_tmpfs {
        return Medium::Disk;
    }
    let limit = |source: &EmptyDirVolumeSource| source.size_limit.as_ref().map(|limit| Amount::of(limit).units());
    let pod_limit = cgroups::pod_limits(pod, false, std::time::Duration::ZERO).memory_limit;
    let bounds = [
        facts.resources.memory,
        u64::try_from(pod_limit).unwrap_or(0),
        volume.empty_dir.as_ref().and_then(limit).unwrap_or(0),
    ];
    Medium::Memory { size: bounds.into_iter().filter(|bytes| *bytes > 0).min() }
}

/// Group that owns the pod's volumes.
pub(super) fn fs_group(pod: &Pod) -> Option<u32> {
    let group = pod.spec.as_ref()?.security_context.as_ref()?.fs_group?;
    u32::try_from(group).ok()
}

pub(super) fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && name.len() <= 255 && !name.contains(['/', '\0'])
}

//! Volumes of a pod: set up before its containers, refreshed while it lives, removed after it.
//!
//! The directory layout is the kubelet's, so that a node can be taken over in both directions. Supported: emptyDir
//! (disk and memory), hostPath, configMap, secret, downwardAPI, projected. Source: spec 08 §11.
//!
//! Everything comes from the local store behind [`KubeApi`], so a pod starts with no cloud; and when the store cannot
//! answer, what is on disk from before is used.

pub mod atomic;
pub mod host_path;
pub mod mounts;
pub mod payload;
mod place;
pub mod removal;
pub mod spec;
pub mod subpath;
pub mod tokens;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Volume, VolumeMount};
use thiserror::Error;
use tracing::{debug, warn};

use crate::doors::KubeApi;
use crate::env;
use crate::facts::PodFacts;

use self::mounts::Mounter;
use self::payload::{Fault, Sources};
use self::place::Place;
use self::removal::RemovalError;
use self::spec::{fs_group, is_made_of_files, is_plain_name, medium, mounted_volumes, nested_mounts, plugin_of};
use self::tokens::Tokens;

/// Where one volume of a pod is on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedVolume {
    /// Directory, file or device on the host.
    pub host_path: PathBuf,
    /// Containers may not write to it, whatever the mount says.
    pub read_only: bool,
}

/// All volumes of one pod that some container mounts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MountedVolumes {
    /// Volume name → place.
    pub by_name: BTreeMap<String, MountedVolume>,
}

/// A volume that could not be set up; the text is the kubelet's `FailedMount` message. Try again later.
#[derive(Debug, Error)]
#[error("MountVolume.SetUp failed for volume \"{volume}\" : {reason}")]
pub struct VolumeError {
    /// Volume name in the pod.
    pub volume: String,
    /// What went wrong, in the kubelet's words.
    pub reason: String,
}

/// A volume that could not be mounted into a container; the waiting reason is `CreateContainerConfigError`.
#[derive(Debug, Error)]
pub enum MountSourceError {
    /// The pod has no such volume, or it is not set up.
    #[error("cannot find volume \"{volume}\" to mount into container \"{container}\"")]
    NoVolume {
        /// Volume name.
        volume: String,
        /// Container name.
        container: String,
    },
    /// `subPathExpr` names an unknown variable.
    #[error("missing value for \"{0}\"")]
    Expression(String),
    /// The subPath could not be bound; the details are in the log only, they would tell about the host.
    #[error("failed to prepare subPath for volumeMount \"{volume}\" of container \"{container}\"")]
    SubPath {
        /// Volume name.
        volume: String,
        /// Container name.
        container: String,
    },
}

/// The volumes of all pods of this node. Calls for one pod must not overlap; different pods are independent.
pub struct Volumes {
    root_dir: PathBuf,
    api: Arc<dyn KubeApi>,
    mounter: Arc<dyn Mounter>,
    tokens: Tokens,
    host_paths: host_path::Checks,
}

impl Volumes {
    /// Volumes below `root_dir` (default `/var/lib/kubelet`), fed from `api`.
    pub fn new(root_dir: impl Into<PathBuf>, api: Arc<dyn KubeApi>) -> Self {
        Self::with_mounter(root_dir, api, Arc::new(mounts::Kernel))
    }

    /// Like [`Volumes::new`] with another mount table.
    pub fn with_mounter(root_dir: impl Into<PathBuf>, api: Arc<dyn KubeApi>, mounter: Arc<dyn Mounter>) -> Self {
        Self {
            root_dir: root_dir.into(),
            api,
            mounter,
            tokens: Tokens::default(),
            host_paths: host_path::Checks::default(),
        }
    }

    /// Makes every volume that some container mounts, and brings their files up to date; idempotent.
    /// Call it before the sandbox and before each container start.
    ///
    /// # Errors
    /// [`VolumeError`] names the first volume that failed; those before it are set up.
    pub async fn setup(&self, pod: &Pod, facts: &PodFacts) -> Result<MountedVolumes, VolumeError> {
        let mut mounted = MountedVolumes::default();
        for volume in mounted_volumes(pod) {
            let (place, _) = self.set_up(pod, facts, volume).await.map_err(|reason| named(volume, reason))?;
            mounted.by_name.insert(volume.name.clone(), place);
        }
        Ok(mounted)
    }

    /// Rewrites the configMap, secret, downwardAPI and projected volumes of a running pod that changed, renewing
    /// tokens that are getting old; returns whether anything on disk changed. Cheap when nothing did.
    ///
    /// # Errors
    /// [`VolumeError`] names the first volume that failed; the others were refreshed all the same.
    pub async fn refresh(&self, pod: &Pod, facts: &PodFacts) -> Result<bool, VolumeError> {
        let mut changed = false;
        let mut failed = None;
        for volume in mounted_volumes(pod).filter(|volume| is_made_of_files(volume)) {
            match self.set_up(pod, facts, volume).await {
                Ok((_, rewritten)) => changed |= rewritten,
                Err(reason) => failed = failed.or_else(|| Some(named(volume, reason))),
            }
        }
        failed.map_or(Ok(changed), Err)
    }

    /// Unmounts everything of the pod and removes its directory; idempotent. Call it after its containers are gone.
    ///
    /// # Errors
    /// When a volume is busy or something foreign is mounted there: nothing outside was touched, call again later.
    pub async fn teardown(&self, pod_uid: &str) -> Result<(), RemovalError> {
        self.tokens.forget(pod_uid);
        self.api.forget_tokens(pod_uid).await;
        if !is_plain_name(pod_uid) {
            return Ok(());
        }
        let (dir, mounter) = (self.pod_dir(pod_uid), Arc::clone(&self.mounter));
        let removed = tokio::task::spawn_blocking(move || removal::remove(&dir, mounter.as_ref())).await;
        removed.unwrap_or_else(|panic| Err(RemovalError::Io { path: self.pod_dir(pod_uid), source: panic.into() }))
    }

    /// Host path for the mount number `index` of `container`, a subPath bound below the pod's directory first.
    /// `env` is the container's final environment.
    ///
    /// # Errors
    /// See [`MountSourceError`].
    pub async fn mount_source(
        &self,
        pod: &Pod,
        container: &str,
        index: usize,
        mount: &VolumeMount,
        mounted: &MountedVolumes,
        env: &[(String, String)],
    ) -> Result<PathBuf, MountSourceError> {
        let (volume, container) = (mount.name.clone(), container.to_owned());
        let Some(place) = mounted.by_name.get(&volume) else {
            return Err(MountSourceError::NoVolume { volume, container });
        };
        let literal = mount.sub_path.clone().unwrap_or_default();
        let sub_path = match mount.sub_path_expr.as_deref().filter(|expression| !expression.is_empty()) {
            None => literal,
            Some(expression) => {
                let lookup = |name: &str| env.iter().find(|(known, _)| known == name).map(|(_, v)| v.as_str().into());
                match env::expand_with(expression, lookup) {
                    (expanded, None) => expanded,
                    (_, Some(unknown)) => return Err(MountSourceError::Expression(unknown)),
                }
            }
        };
        if sub_path.is_empty() {
            return Ok(place.host_path.clone());
        }
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let target = self.pod_dir(uid).join("volume-subpaths").join(&volume).join(&container).join(index.to_string());
        let (from, to, kernel) = (place.host_path.clone(), target.clone(), Arc::clone(&self.mounter));
        let bound = blocking(move || subpath::bind(&from, &sub_path, &to, kernel.as_ref())).await;
        match bound {
            Ok(()) => Ok(target),
            Err(error) => {
                warn!(pod.uid = uid, volume, container, error = %error, "subPath not bound");
                Err(MountSourceError::SubPath { volume, container })
            }
        }
    }

    /// UIDs that have a directory below `root_dir/pods`, for the orphan cleanup.
    pub async fn pods_on_disk(&self) -> Vec<String> {
        let dir = self.root_dir.join("pods");
        let listed =
            blocking(move || Ok(fs::read_dir(dir)?.flatten().map(|entry| entry.file_name()).collect::<Vec<_>>()));
        listed.await.unwrap_or_default().into_iter().filter_map(|name| name.into_string().ok()).collect()
    }

    fn pod_dir(&self, uid: &str) -> PathBuf {
        self.root_dir.join("pods").join(uid)
    }

    /// Sets up one volume; returns where it is and whether its files were rewritten.
    async fn set_up(&self, pod: &Pod, facts: &PodFacts, volume: &Volume) -> Result<(MountedVolume, bool), String> {
        if let Some(source) = &volume.host_path {
            let kind = source.type_.as_deref().unwrap_or_default();
            self.host_paths.check(Path::new(&source.path), kind).await?;
            return Ok((MountedVolume { host_path: PathBuf::from(&source.path), read_only: false }, false));
        }
        let Some(plugin) = plugin_of(volume) else {
            return Err("volume type is not supported by this node".to_owned());
        };
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        if !is_plain_name(uid) || !is_plain_name(&volume.name) {
            return Err("pod uid or volume name is not usable as a file name".to_owned());
        }
        let pod_dir = self.pod_dir(uid);
        let place = Place {
            dir: pod_dir.join("volumes").join(plugin).join(&volume.name),
            marker: pod_dir.join("plugins/kubernetes.io~empty-dir").join(if volume.empty_dir.is_some() {
                volume.name.clone()
            } else {
                format!("wrapped_{}", volume.name)
            }),
            pod_dir,
            medium: medium(volume, pod, facts),
            fs_group: fs_group(pod),
            nested: nested_mounts(pod, &volume.name),
            mounter: Arc::clone(&self.mounter),
        };
        let host_path = place.dir.clone();
        let now = Timestamp::now();
        let sources = Sources { api: self.api.as_ref(), tokens: &self.tokens, pod, facts, now };
        let changed = match payload::gather(volume, sources).await {
            None => blocking(move || place.make_empty_dir()).await.map(|()| false),
            Some(Ok(files)) => blocking(move || place.write(&files, now)).await,
            Some(Err(Fault { reason, offline })) => {
                if offline && atomic::is_written(&host_path) {
                    debug!(pod.uid = uid, volume = volume.name, reason, "volume keeps its files, the cloud is away");
                    return Ok((MountedVolume { host_path, read_only: true }, false));
                }
                return Err(reason);
            }
        };
        let changed = changed.map_err(|error| error.to_string())?;
        Ok((MountedVolume { host_path, read_only: volume.empty_dir.is_none() }, changed))
    }
}

impl std::fmt::Debug for Volumes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Volumes").field("root_dir", &self.root_dir).finish_non_exhaustive()
    }
}

fn named(volume: &Volume, reason: String) -> VolumeError {
    VolumeError { volume: volume.name.clone(), reason }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(panic.into()))
}

#[cfg(test)]
mod tests;

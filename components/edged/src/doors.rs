//! The doors of the pod agent: what it is told ([`Settings`], [`PodUpdate`], [`ObjectChange`]) and what it asks
//! of whoever stands in for the API server ([`KubeApi`]). Nothing here does I/O, and nothing here knows who is
//! on the other side.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret, Taint};
use thiserror::Error;
use tokio::sync::watch;

/// Capacity of the channel of [`PodUpdate`]s, in updates. Full: the sender waits. Source: spec 08 §3.3.
pub const POD_UPDATES_CAPACITY: usize = 50;

/// Capacity of the broadcast of [`ObjectChange`]s, in changes. Full: the oldest are dropped and the agent, told so
/// by the channel, looks at every volume again.
pub const OBJECT_CHANGES_CAPACITY: usize = 64;

/// Which cgroup naming and ownership scheme the container runtime uses. Source: spec 08 §14.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupDriver {
    /// Plain directories, `/kubepods/burstable/pod<uid>`.
    Cgroupfs,
    /// systemd slices, `kubepods-burstable-pod<uid>.slice`.
    Systemd,
}

/// Everything the agent must be told before it starts; already checked, with real units.
///
/// [`Settings::default`] holds the defaults of `modules.edged`; only `node_name` has none and is empty.
/// Source: spec 08 §2.6.
#[expect(clippy::struct_excessive_bools, reason = "a configuration has switches")]
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of this node; pods with another `spec.nodeName` are ignored.
    pub node_name: String,
    /// CRI runtime service, `unix:///path` or a bare absolute path.
    pub runtime_endpoint: String,
    /// CRI image service, same form; usually the same socket.
    pub image_endpoint: String,
    /// Deadline of ordinary CRI calls.
    pub runtime_request_timeout: Duration,
    /// The agent's data directory (`ROOT` of the spec): `pods/`, `plugins/`, ….
    pub root_dir: PathBuf,
    /// Where the runtime writes container logs.
    pub pod_logs_dir: PathBuf,
    /// Where the legacy flat log symlinks go.
    pub container_logs_dir: PathBuf,
    /// Directory (or file) of static pods; `None` switches the source off.
    pub static_pod_path: Option<PathBuf>,
    /// How often the static pod directory is listed again.
    pub file_check_frequency: Duration,
    /// The configured cgroup driver; the runtime's own answer wins when it gives one.
    pub cgroup_driver: CgroupDriver,
    /// Root below which the pod cgroups are made; empty means the hierarchy's root.
    pub cgroup_root: String,
    /// Whether pods get their own cgroup in a QoS tree. When off, sandboxes get no cgroup parent.
    pub cgroups_per_qos: bool,
    /// Address of the read-only HTTP server, `None` switches it off.
    pub http_addr: Option<SocketAddr>,
    /// Whether logs, exec, attach and port-forward are served.
    pub enable_debugging_handlers: bool,
    /// Idle limit of streaming connections.
    pub streaming_connection_idle_timeout: Duration,
    /// Addresses to report (one, or one of each family); empty means find out.
    pub node_ips: Vec<IpAddr>,
    /// Interface whose address is reported instead.
    pub custom_interface: Option<String>,
    /// Labels of the node beside the default ones.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the node beside the default ones.
    pub annotations: BTreeMap<String, String>,
    /// Taints to register with.
    pub taints: Vec<Taint>,
    /// Whether the agent creates its Node object.
    pub register_node: bool,
    /// Whether the node is registered as schedulable.
    pub register_schedulable: bool,
    /// Reported as `nodeInfo.kubeletVersion`.
    pub kubelet_version: String,
    /// How often the node status is computed.
    pub node_status_update_frequency: Duration,
    /// How often an unchanged node status is sent nevertheless.
    pub node_status_report_frequency: Duration,
    /// `leaseDurationSeconds` of the node lease; renewed every quarter of it.
    pub node_lease_duration: Duration,
    /// Number of images reported in the node status; `None` is unlimited.
    pub node_status_max_images: Option<usize>,
    /// Whether the node gets the annotation `volumes.kubernetes.io/controller-managed-attach-detach`.
    pub enable_controller_attach_detach: bool,
    /// Most pods on this node.
    pub max_pods: u32,
    /// Most pods per core; 0 is no limit.
    pub pods_per_core: u32,
    /// Most processes per pod; `None` is no limit.
    pub pod_pids_limit: Option<i64>,
    /// Whether CPU limits become CFS quotas.
    pub cpu_cfs_quota: bool,
    /// CFS period.
    pub cpu_cfs_quota_period: Duration,
    /// DNS servers for `ClusterFirst` pods.
    pub cluster_dns: Vec<IpAddr>,
    /// DNS domain of the cluster.
    pub cluster_domain: String,
    /// The host's resolver configuration; empty means none.
    pub resolv_conf: PathBuf,
    /// How often an unchanged pod is looked at again.
    pub sync_frequency: Duration,
    /// Whether containers without a seccomp profile get the runtime's default one.
    pub seccomp_default: bool,
    /// One image pull at a time.
    pub serialize_image_pulls: bool,
    /// Most image pulls at a time when they are not serialised; `None` is no limit.
    pub max_parallel_image_pulls: Option<u32>,
    /// Image pulls per second; 0 is no limit.
    pub registry_pull_qps: u32,
    /// Burst of image pulls.
    pub registry_burst: u32,
    /// Dead containers younger than this are kept.
    pub minimum_gc_age: Duration,
    /// Dead containers kept per container of a pod; `None` is no limit.
    pub max_per_pod_container_count: Option<u32>,
    /// Dead containers kept on the node; `None` is no limit.
    pub max_container_count: Option<u32>,
    /// Images younger than this are not collected.
    pub image_minimum_gc_age: Duration,
    /// Images unused for longer are collected; zero switches it off.
    pub image_maximum_gc_age: Duration,
    /// Disk use in per cent above which images are collected.
    pub image_gc_high_threshold_percent: u32,
    /// Disk use in per cent down to which images are collected.
    pub image_gc_low_threshold_percent: u32,
    /// Image of the sandbox, never collected; the runtime's own setting decides what is used.
    pub pod_sandbox_image: Option<String>,
    /// Size at which a container log is rotated, in bytes.
    pub container_log_max_size: u64,
    /// Log files kept per container.
    pub container_log_max_files: u32,
    /// How often log sizes are looked at.
    pub container_log_monitor_interval: Duration,
    /// Hard eviction thresholds by signal, as written (`memory.available: 100Mi`).
    pub eviction_hard: BTreeMap<String, String>,
    /// Resources kept for the system, as written (`cpu: 100m`).
    pub system_reserved: BTreeMap<String, String>,
    /// Resources kept for the agent and the runtime, as written.
    pub kube_reserved: BTreeMap<String, String>,
    /// `oom_score_adj` of this process; `None` leaves it alone.
    pub oom_score_adj: Option<i32>,
    /// Variables every container gets unless it sets them itself (`KUBERNETES_SERVICE_HOST`, …).
    pub service_env: Vec<(String, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        let thresholds = [
            ("memory.available", "100Mi"),
            ("nodefs.available", "10%"),
            ("nodefs.inodesFree", "5%"),
            ("imagefs.available", "15%"),
            ("imagefs.inodesFree", "5%"),
        ];
        Self {
            node_name: String::new(),
            runtime_endpoint: "unix:///run/containerd/containerd.sock".to_owned(),
            image_endpoint: "unix:///run/containerd/containerd.sock".to_owned(),
            runtime_request_timeout: Duration::from_mins(2),
            root_dir: PathBuf::from("/var/lib/kubelet"),
            pod_logs_dir: PathBuf::from("/var/log/pods"),
            container_logs_dir: PathBuf::from("/var/log/containers"),
            static_pod_path: Some(PathBuf::from("/etc/kubeedge/manifests")),
            file_check_frequency: Duration::from_secs(20),
            cgroup_driver: CgroupDriver::Cgroupfs,
            cgroup_root: String::new(),
            cgroups_per_qos: true,
            http_addr: Some(SocketAddr::from(([127, 0, 0, 1], 10350))),
            enable_debugging_handlers: true,
            streaming_connection_idle_timeout: Duration::from_hours(4),
            node_ips: Vec::new(),
            custom_interface: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            taints: Vec::new(),
            register_node: true,
            register_schedulable: true,
            kubelet_version: "v1.32.10-kubeedge-v1.23.0".to_owned(),
            node_status_update_frequency: Duration::from_secs(10),
            node_status_report_frequency: Duration::from_mins(5),
            node_lease_duration: Duration::from_secs(40),
            node_status_max_images: Some(0),
            enable_controller_attach_detach: true,
            max_pods: 110,
            pods_per_core: 0,
            pod_pids_limit: None,
            cpu_cfs_quota: true,
            cpu_cfs_quota_period: Duration::from_millis(100),
            cluster_dns: Vec::new(),
            cluster_domain: "cluster.local".to_owned(),
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            sync_frequency: Duration::from_mins(1),
            seccomp_default: false,
            serialize_image_pulls: true,
            max_parallel_image_pulls: None,
            registry_pull_qps: 5,
            registry_burst: 10,
            minimum_gc_age: Duration::ZERO,
            max_per_pod_container_count: Some(1),
            max_container_count: None,
            image_minimum_gc_age: Duration::from_mins(2),
            image_maximum_gc_age: Duration::ZERO,
            image_gc_high_threshold_percent: 85,
            image_gc_low_threshold_percent: 80,
            pod_sandbox_image: None,
            container_log_max_size: 10 * 1024 * 1024,
            container_log_max_files: 5,
            container_log_monitor_interval: Duration::from_secs(10),
            eviction_hard: thresholds.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            system_reserved: BTreeMap::new(),
            kube_reserved: BTreeMap::new(),
            oom_score_adj: Some(-999),
            service_env: Vec::new(),
        }
    }
}

/// A change of the set of pods this node should run. Source: spec 08 §3.1.
///
/// A graceful deletion is an [`PodUpdate::Upsert`] whose pod has a `deletionTimestamp`;
/// [`PodUpdate::Remove`] means the object is already gone from the API.
#[derive(Debug, Clone)]
pub enum PodUpdate {
    /// The whole set: pods not in it are removed. The first one makes the source ready.
    Set(Vec<Pod>),
    /// One pod was added or changed.
    Upsert(Box<Pod>),
    /// One pod is gone from the API.
    Remove {
        /// `metadata.uid` of the pod.
        uid: String,
    },
}

/// Kinds of objects whose changes the agent wants to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

/// One ConfigMap or Secret changed (or went away) in the store that [`KubeApi`] answers from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectChange {
    /// What kind of object.
    pub kind: ObjectKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Why the API did not do what was asked.
#[derive(Debug, Clone, Error)]
pub enum KubeApiError {
    /// No such object. The text is what a user reads in a pod's waiting message.
    #[error("{message}")]
    NotFound {
        /// The API's words, such as `configmap "web" not found`.
        message: String,
    },
    /// An object of that name exists.
    #[error("object already exists")]
    AlreadyExists,
    /// A precondition failed: another UID or resource version.
    #[error("conflict: {message}")]
    Conflict {
        /// The API's words.
        message: String,
    },
    /// This node may not do that.
    #[error("forbidden: {message}")]
    Forbidden {
        /// The API's words.
        message: String,
    },
    /// The cloud is not reachable and the local store cannot answer.
    #[error("not connected")]
    NotConnected,
    /// Any other answer.
    #[error("api answered {code}: {message}")]
    Other {
        /// HTTP status code of the API, 0 when there was none.
        code: u16,
        /// The API's words.
        message: String,
    },
}

impl KubeApiError {
    /// Whether the same call may succeed later without anyone changing the request.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NotConnected => true,
            Self::Other { code, .. } => *code == 0 || *code == 429 || *code >= 500,
            Self::NotFound { .. } | Self::AlreadyExists | Self::Conflict { .. } | Self::Forbidden { .. } => false,
        }
    }
}

/// What the agent needs from "the API server".
///
/// Reads answer from a local store when there is one, so they work with no cloud; writes need the cloud and
/// fail fast with [`KubeApiError::NotConnected`] without it. Every call has a deadline of its own inside and is
/// cancel-safe. Source: spec 08 §2.3.
#[async_trait]
pub trait KubeApi: Send + Sync + 'static {
    /// Reads a ConfigMap.
    async fn config_map(&self, namespace: &str, name: &str) -> Result<ConfigMap, KubeApiError>;

    /// Reads a Secret.
    async fn secret(&self, namespace: &str, name: &str) -> Result<Secret, KubeApiError>;

    /// Issues (or answers from the cache) a token of service account `name`. The answer's `status.token` is set.
    async fn service_account_token(
        &self,
        namespace: &str,
        name: &str,
        request: TokenRequest,
    ) -> Result<TokenRequest, KubeApiError>;

    /// Drops cached tokens bound to a pod that is gone.
    async fn forget_tokens(&self, pod_uid: &str);

    /// Creates this node's object.
    async fn create_node(&self, node: &Node) -> Result<Node, KubeApiError>;

    /// Reads a node, from the local store first.
    async fn node(&self, name: &str) -> Result<Node, KubeApiError>;

    /// Applies a strategic-merge patch to the status of a node. Labels and annotations in the patch are applied too.
    async fn patch_node_status(&self, name: &str, patch: serde_json::Value) -> Result<Node, KubeApiError>;

    /// Applies a strategic-merge patch to the status of a pod; `metadata.uid` in it is a precondition.
    async fn patch_pod_status(
        &self,
        namespace: &str,
        name: &str,
        patch: serde_json::Value,
    ) -> Result<Pod, KubeApiError>;

    /// Deletes a pod with grace 0 and the UID as precondition. A pod that is already gone, or replaced by another
    /// of that name, is a success.
    async fn delete_pod(&self, namespace: &str, name: &str, uid: &str) -> Result<(), KubeApiError>;

    /// Reads a lease.
    async fn lease(&self, namespace: &str, name: &str) -> Result<Lease, KubeApiError>;

    /// Creates a lease.
    async fn create_lease(&self, lease: &Lease) -> Result<Lease, KubeApiError>;

    /// Replaces a lease; its `resourceVersion` is a precondition.
    async fn update_lease(&self, lease: &Lease) -> Result<Lease, KubeApiError>;

    /// Whether the cloud can be reached now, and when that changes.
    fn connected(&self) -> watch::Receiver<bool>;
}

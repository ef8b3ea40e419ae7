//! The messages of `runtime.v1` that the agent speaks, written out by hand with only the fields it uses.
//!
//! Package, message, field and enum numbers are facts of the wire (Kubernetes CRI v1); fields the agent does not
//! use are skipped by the decoder. Source: spec 08 §8.

use std::collections::BTreeMap;

use prost::{Enumeration, Message};

macro_rules! messages {
    ($($(#[$meta:meta])* $name:ident { $($field:tt)* })*) => {
        $($(#[$meta])* #[derive(Clone, PartialEq, Message)] pub struct $name { $($field)* })*
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub enum ContainerState {
    Created = 0,
    Running = 1,
    Exited = 2,
    Unknown = 3,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub enum SandboxState {
    Ready = 0,
    NotReady = 1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub enum NamespaceMode {
    Pod = 0,
    Container = 1,
    Node = 2,
    Target = 3,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub enum Protocol {
    Tcp = 0,
    Udp = 1,
    Sctp = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub enum MountPropagation {
    Private = 0,
    HostToContainer = 1,
    Bidirectional = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub enum ProfileType {
    RuntimeDefault = 0,
    Unconfined = 1,
    Localhost = 2,
}

/// As in `RuntimeConfig`; the zero value is systemd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub enum RuntimeCgroupDriver {
    Systemd = 0,
    Cgroupfs = 1,
}

messages! {
    VersionRequest {
        #[prost(string, tag = "1")] pub version: String,
    }
    VersionResponse {
        #[prost(string, tag = "1")] pub version: String,
        #[prost(string, tag = "2")] pub runtime_name: String,
        #[prost(string, tag = "3")] pub runtime_version: String,
        #[prost(string, tag = "4")] pub runtime_api_version: String,
    }
    StatusRequest {
        #[prost(bool, tag = "1")] pub verbose: bool,
    }
    RuntimeCondition {
        #[prost(string, tag = "1")] pub r#type: String,
        #[prost(bool, tag = "2")] pub status: bool,
        #[prost(string, tag = "3")] pub reason: String,
        #[prost(string, tag = "4")] pub message: String,
    }
    RuntimeStatus {
        #[prost(message, repeated, tag = "1")] pub conditions: Vec<RuntimeCondition>,
    }
    RuntimeHandlerFeatures {
        #[prost(bool, tag = "1")] pub recursive_read_only_mounts: bool,
        #[prost(bool, tag = "2")] pub user_namespaces: bool,
    }
    RuntimeHandler {
        #[prost(string, tag = "1")] pub name: String,
        #[prost(message, optional, tag = "2")] pub features: Option<RuntimeHandlerFeatures>,
    }
    StatusResponse {
        #[prost(message, optional, tag = "1")] pub status: Option<RuntimeStatus>,
        #[prost(btree_map = "string, string", tag = "2")] pub info: BTreeMap<String, String>,
        #[prost(message, repeated, tag = "3")] pub runtime_handlers: Vec<RuntimeHandler>,
    }
    RuntimeConfigRequest {}
    LinuxRuntimeConfiguration {
        #[prost(enumeration = "RuntimeCgroupDriver", tag = "1")] pub cgroup_driver: i32,
    }
    RuntimeConfigResponse {
        #[prost(message, optional, tag = "1")] pub linux: Option<LinuxRuntimeConfiguration>,
    }
    DnsConfig {
        #[prost(string, repeated, tag = "1")] pub servers: Vec<String>,
        #[prost(string, repeated, tag = "2")] pub searches: Vec<String>,
        #[prost(string, repeated, tag = "3")] pub options: Vec<String>,
    }
    PortMapping {
        #[prost(enumeration = "Protocol", tag = "1")] pub protocol: i32,
        #[prost(int32, tag = "2")] pub container_port: i32,
        #[prost(int32, tag = "3")] pub host_port: i32,
        #[prost(string, tag = "4")] pub host_ip: String,
    }
    Mount {
        #[prost(string, tag = "1")] pub container_path: String,
        #[prost(string, tag = "2")] pub host_path: String,
        #[prost(bool, tag = "3")] pub readonly: bool,
        #[prost(bool, tag = "4")] pub selinux_relabel: bool,
        #[prost(enumeration = "MountPropagation", tag = "5")] pub propagation: i32,
        #[prost(bool, tag = "8")] pub recursive_read_only: bool,
    }
    NamespaceOption {
        #[prost(enumeration = "NamespaceMode", tag = "1")] pub network: i32,
        #[prost(enumeration = "NamespaceMode", tag = "2")] pub pid: i32,
        #[prost(enumeration = "NamespaceMode", tag = "3")] pub ipc: i32,
        #[prost(string, tag = "4")] pub target_id: String,
    }
    Int64Value {
        #[prost(int64, tag = "1")] pub value: i64,
    }
    SeLinuxOption {
        #[prost(string, tag = "1")] pub user: String,
        #[prost(string, tag = "2")] pub role: String,
        #[prost(string, tag = "3")] pub r#type: String,
        #[prost(string, tag = "4")] pub level: String,
    }
    SecurityProfile {
        #[prost(enumeration = "ProfileType", tag = "1")] pub profile_type: i32,
        #[prost(string, tag = "2")] pub localhost_ref: String,
    }
    LinuxSandboxSecurityContext {
        #[prost(message, optional, tag = "1")] pub namespace_options: Option<NamespaceOption>,
        #[prost(message, optional, tag = "2")] pub selinux_options: Option<SeLinuxOption>,
        #[prost(message, optional, tag = "3")] pub run_as_user: Option<Int64Value>,
        #[prost(message, optional, tag = "8")] pub run_as_group: Option<Int64Value>,
        #[prost(int64, repeated, tag = "5")] pub supplemental_groups: Vec<i64>,
        #[prost(bool, tag = "6")] pub privileged: bool,
        #[prost(message, optional, tag = "9")] pub seccomp: Option<SecurityProfile>,
    }
    LinuxContainerResources {
        #[prost(int64, tag = "1")] pub cpu_period: i64,
        #[prost(int64, tag = "2")] pub cpu_quota: i64,
        #[prost(int64, tag = "3")] pub cpu_shares: i64,
        #[prost(int64, tag = "4")] pub memory_limit_in_bytes: i64,
        #[prost(int64, tag = "5")] pub oom_score_adj: i64,
        #[prost(btree_map = "string, string", tag = "9")] pub unified: BTreeMap<String, String>,
        #[prost(int64, tag = "10")] pub memory_swap_limit_in_bytes: i64,
    }
    LinuxPodSandboxConfig {
        #[prost(string, tag = "1")] pub cgroup_parent: String,
        #[prost(message, optional, tag = "2")] pub security_context: Option<LinuxSandboxSecurityContext>,
        #[prost(btree_map = "string, string", tag = "3")] pub sysctls: BTreeMap<String, String>,
        #[prost(message, optional, tag = "4")] pub overhead: Option<LinuxContainerResources>,
        #[prost(message, optional, tag = "5")] pub resources: Option<LinuxContainerResources>,
    }
    PodSandboxMetadata {
        #[prost(string, tag = "1")] pub name: String,
        #[prost(string, tag = "2")] pub uid: String,
        #[prost(string, tag = "3")] pub namespace: String,
        #[prost(uint32, tag = "4")] pub attempt: u32,
    }
    PodSandboxConfig {
        #[prost(message, optional, tag = "1")] pub metadata: Option<PodSandboxMetadata>,
        #[prost(string, tag = "2")] pub hostname: String,
        #[prost(string, tag = "3")] pub log_directory: String,
        #[prost(message, optional, tag = "4")] pub dns_config: Option<DnsConfig>,
        #[prost(message, repeated, tag = "5")] pub port_mappings: Vec<PortMapping>,
        #[prost(btree_map = "string, string", tag = "6")] pub labels: BTreeMap<String, String>,
        #[prost(btree_map = "string, string", tag = "7")] pub annotations: BTreeMap<String, String>,
        #[prost(message, optional, tag = "8")] pub linux: Option<LinuxPodSandboxConfig>,
    }
    RunPodSandboxRequest {
        #[prost(message, optional, tag = "1")] pub config: Option<PodSandboxConfig>,
        #[prost(string, tag = "2")] pub runtime_handler: String,
    }
    RunPodSandboxResponse {
        #[prost(string, tag = "1")] pub pod_sandbox_id: String,
    }
    /// Stop and remove requests share this shape: one ID in field 1.
    IdRequest {
        #[prost(string, tag = "1")] pub id: String,
    }
    Empty {}
    PodIp {
        #[prost(string, tag = "1")] pub ip: String,
    }
    PodSandboxNetworkStatus {
        #[prost(string, tag = "1")] pub ip: String,
        #[prost(message, repeated, tag = "2")] pub additional_ips: Vec<PodIp>,
    }
    Namespace {
        #[prost(message, optional, tag = "2")] pub options: Option<NamespaceOption>,
    }
    LinuxPodSandboxStatus {
        #[prost(message, optional, tag = "1")] pub namespaces: Option<Namespace>,
    }
    PodSandboxStatus {
        #[prost(string, tag = "1")] pub id: String,
        #[prost(message, optional, tag = "2")] pub metadata: Option<PodSandboxMetadata>,
        #[prost(enumeration = "SandboxState", tag = "3")] pub state: i32,
        #[prost(int64, tag = "4")] pub created_at: i64,
        #[prost(message, optional, tag = "5")] pub network: Option<PodSandboxNetworkStatus>,
        #[prost(message, optional, tag = "6")] pub linux: Option<LinuxPodSandboxStatus>,
    }
    PodSandboxStatusResponse {
        #[prost(message, optional, tag = "1")] pub status: Option<PodSandboxStatus>,
    }
    PodSandboxFilter {
        #[prost(btree_map = "string, string", tag = "3")] pub label_selector: BTreeMap<String, String>,
    }
    ListPodSandboxRequest {
        #[prost(message, optional, tag = "1")] pub filter: Option<PodSandboxFilter>,
    }
    PodSandbox {
        #[prost(string, tag = "1")] pub id: String,
        #[prost(message, optional, tag = "2")] pub metadata: Option<PodSandboxMetadata>,
        #[prost(enumeration = "SandboxState", tag = "3")] pub state: i32,
        #[prost(int64, tag = "4")] pub created_at: i64,
        #[prost(btree_map = "string, string", tag = "5")] pub labels: BTreeMap<String, String>,
    }
    ListPodSandboxResponse {
        #[prost(message, repeated, tag = "1")] pub items: Vec<PodSandbox>,
    }
    ImageSpec {
        #[prost(string, tag = "1")] pub image: String,
        #[prost(btree_map = "string, string", tag = "2")] pub annotations: BTreeMap<String, String>,
        #[prost(string, tag = "18")] pub user_specified_image: String,
    }
    KeyValue {
        #[prost(string, tag = "1")] pub key: String,
        #[prost(string, tag = "2")] pub value: String,
    }
    Capability {
        #[prost(string, repeated, tag = "1")] pub add_capabilities: Vec<String>,
        #[prost(string, repeated, tag = "2")] pub drop_capabilities: Vec<String>,
    }
    LinuxContainerSecurityContext {
        #[prost(message, optional, tag = "1")] pub capabilities: Option<Capability>,
        #[prost(bool, tag = "2")] pub privileged: bool,
        #[prost(message, optional, tag = "3")] pub namespace_options: Option<NamespaceOption>,
        #[prost(message, optional, tag = "4")] pub selinux_options: Option<SeLinuxOption>,
        #[prost(message, optional, tag = "5")] pub run_as_user: Option<Int64Value>,
        #[prost(message, optional, tag = "12")] pub run_as_group: Option<Int64Value>,
        #[prost(string, tag = "6")] pub run_as_username: String,
        #[prost(bool, tag = "7")] pub readonly_rootfs: bool,
        #[prost(int64, repeated, tag = "8")] pub supplemental_groups: Vec<i64>,
        #[prost(bool, tag = "11")] pub no_new_privs: bool,
        #[prost(string, repeated, tag = "13")] pub masked_paths: Vec<String>,
        #[prost(string, repeated, tag = "14")] pub readonly_paths: Vec<String>,
        #[prost(message, optional, tag = "15")] pub seccomp: Option<SecurityProfile>,
        #[prost(message, optional, tag = "16")] pub apparmor: Option<SecurityProfile>,
        #[prost(string, tag = "9")] pub apparmor_profile: String,
    }
    LinuxContainerConfig {
        #[prost(message, optional, tag = "1")] pub resources: Option<LinuxContainerResources>,
        #[prost(message, optional, tag = "2")] pub security_context: Option<LinuxContainerSecurityContext>,
    }
    ContainerMetadata {
        #[prost(string, tag = "1")] pub name: String,
        #[prost(uint32, tag = "2")] pub attempt: u32,
    }
    ContainerConfig {
        #[prost(message, optional, tag = "1")] pub metadata: Option<ContainerMetadata>,
        #[prost(message, optional, tag = "2")] pub image: Option<ImageSpec>,
        #[prost(string, repeated, tag = "3")] pub command: Vec<String>,
        #[prost(string, repeated, tag = "4")] pub args: Vec<String>,
        #[prost(string, tag = "5")] pub working_dir: String,
        #[prost(message, repeated, tag = "6")] pub envs: Vec<KeyValue>,
        #[prost(message, repeated, tag = "7")] pub mounts: Vec<Mount>,
        #[prost(btree_map = "string, string", tag = "9")] pub labels: BTreeMap<String, String>,
        #[prost(btree_map = "string, string", tag = "10")] pub annotations: BTreeMap<String, String>,
        #[prost(string, tag = "11")] pub log_path: String,
        #[prost(bool, tag = "12")] pub stdin: bool,
        #[prost(bool, tag = "13")] pub stdin_once: bool,
        #[prost(bool, tag = "14")] pub tty: bool,
        #[prost(message, optional, tag = "15")] pub linux: Option<LinuxContainerConfig>,
    }
    CreateContainerRequest {
        #[prost(string, tag = "1")] pub pod_sandbox_id: String,
        #[prost(message, optional, tag = "2")] pub config: Option<ContainerConfig>,
        #[prost(message, optional, tag = "3")] pub sandbox_config: Option<PodSandboxConfig>,
    }
    CreateContainerResponse {
        #[prost(string, tag = "1")] pub container_id: String,
    }
    StopContainerRequest {
        #[prost(string, tag = "1")] pub container_id: String,
        #[prost(int64, tag = "2")] pub timeout: i64,
    }
    ContainerFilter {
        #[prost(btree_map = "string, string", tag = "4")] pub label_selector: BTreeMap<String, String>,
    }
    ListContainersRequest {
        #[prost(message, optional, tag = "1")] pub filter: Option<ContainerFilter>,
    }
    /// One listed container, without its annotations: those are read from its status when they matter.
    Container {
        #[prost(string, tag = "1")] pub id: String,
        #[prost(string, tag = "2")] pub pod_sandbox_id: String,
        #[prost(enumeration = "ContainerState", tag = "6")] pub state: i32,
        #[prost(int64, tag = "7")] pub created_at: i64,
        #[prost(btree_map = "string, string", tag = "8")] pub labels: BTreeMap<String, String>,
    }
    ListContainersResponse {
        #[prost(message, repeated, tag = "1")] pub containers: Vec<Container>,
    }
    ContainerStatus {
        #[prost(string, tag = "1")] pub id: String,
        #[prost(message, optional, tag = "2")] pub metadata: Option<ContainerMetadata>,
        #[prost(enumeration = "ContainerState", tag = "3")] pub state: i32,
        #[prost(int64, tag = "4")] pub created_at: i64,
        #[prost(int64, tag = "5")] pub started_at: i64,
        #[prost(int64, tag = "6")] pub finished_at: i64,
        #[prost(int32, tag = "7")] pub exit_code: i32,
        #[prost(message, optional, tag = "8")] pub image: Option<ImageSpec>,
        #[prost(string, tag = "9")] pub image_ref: String,
        #[prost(string, tag = "10")] pub reason: String,
        #[prost(string, tag = "11")] pub message: String,
        #[prost(btree_map = "string, string", tag = "13")] pub annotations: BTreeMap<String, String>,
        #[prost(message, repeated, tag = "14")] pub mounts: Vec<Mount>,
        #[prost(string, tag = "15")] pub log_path: String,
    }
    ContainerStatusResponse {
        #[prost(message, optional, tag = "1")] pub status: Option<ContainerStatus>,
    }
    ExecSyncRequest {
        #[prost(string, tag = "1")] pub container_id: String,
        #[prost(string, repeated, tag = "2")] pub cmd: Vec<String>,
        #[prost(int64, tag = "3")] pub timeout: i64,
    }
    ExecSyncResponse {
        #[prost(bytes = "vec", tag = "1")] pub stdout: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")] pub stderr: Vec<u8>,
        #[prost(int32, tag = "3")] pub exit_code: i32,
    }
    ExecRequest {
        #[prost(string, tag = "1")] pub container_id: String,
        #[prost(string, repeated, tag = "2")] pub cmd: Vec<String>,
        #[prost(bool, tag = "3")] pub tty: bool,
        #[prost(bool, tag = "4")] pub stdin: bool,
        #[prost(bool, tag = "5")] pub stdout: bool,
        #[prost(bool, tag = "6")] pub stderr: bool,
    }
    AttachRequest {
        #[prost(string, tag = "1")] pub container_id: String,
        #[prost(bool, tag = "2")] pub stdin: bool,
        #[prost(bool, tag = "3")] pub tty: bool,
        #[prost(bool, tag = "4")] pub stdout: bool,
        #[prost(bool, tag = "5")] pub stderr: bool,
    }
    PortForwardRequest {
        #[prost(string, tag = "1")] pub pod_sandbox_id: String,
        #[prost(int32, repeated, tag = "2")] pub port: Vec<i32>,
    }
    /// Exec, attach and port-forward answer with the URL of a streaming server.
    UrlResponse {
        #[prost(string, tag = "1")] pub url: String,
    }
    Image {
        #[prost(string, tag = "1")] pub id: String,
        #[prost(string, repeated, tag = "2")] pub repo_tags: Vec<String>,
        #[prost(string, repeated, tag = "3")] pub repo_digests: Vec<String>,
        #[prost(uint64, tag = "4")] pub size: u64,
        #[prost(message, optional, tag = "5")] pub uid: Option<Int64Value>,
        #[prost(string, tag = "6")] pub username: String,
        #[prost(bool, tag = "8")] pub pinned: bool,
    }
    ImageStatusRequest {
        #[prost(message, optional, tag = "1")] pub image: Option<ImageSpec>,
    }
    ImageStatusResponse {
        #[prost(message, optional, tag = "1")] pub image: Option<Image>,
    }
    AuthConfig {
        #[prost(string, tag = "1")] pub username: String,
        #[prost(string, tag = "2")] pub password: String,
        #[prost(string, tag = "3")] pub auth: String,
        #[prost(string, tag = "4")] pub server_address: String,
        #[prost(string, tag = "5")] pub identity_token: String,
        #[prost(string, tag = "6")] pub registry_token: String,
    }
    PullImageRequest {
        #[prost(message, optional, tag = "1")] pub image: Option<ImageSpec>,
        #[prost(message, optional, tag = "2")] pub auth: Option<AuthConfig>,
        #[prost(message, optional, tag = "3")] pub sandbox_config: Option<PodSandboxConfig>,
    }
    PullImageResponse {
        #[prost(string, tag = "1")] pub image_ref: String,
    }
    /// Only the fact that something happened is used, so no field is decoded.
    ContainerEvent {}
    /// `containerd.services.events.v1.SubscribeRequest`.
    SubscribeRequest {
        #[prost(string, repeated, tag = "1")] pub filters: Vec<String>,
    }
}

//! Words of the wire and of the cluster that more than one module here uses. Source: spec 01 §1.1, §2.7.

/// Message source of everything EdgeController and SyncController send.
pub const EDGE_CONTROLLER: &str = "edgecontroller";
/// Message source of device messages.
pub const DEVICE_CONTROLLER: &str = "devicecontroller";
/// Message source of what the hub answers itself.
pub const CLOUD_HUB: &str = "cloudhub";
/// Routing group of Kubernetes objects towards the edge.
pub const GROUP_RESOURCE: &str = "resource";

/// KubeEdge's namespace.
pub const NAMESPACE: &str = "kubeedge";
/// Label that marks an edge node; its value is empty.
pub const EDGE_LABEL: &str = "node-role.kubernetes.io/edge";
/// Node annotation naming the cloudcore instance a node is connected to.
pub const CLOUDCORE_ANNOTATION: &str = "cloudcore";
/// Node annotation naming the edge store that holds what the node's ObjectSyncs say was delivered.
pub const STORE_GENERATION_ANNOTATION: &str = "kubeedge.io/store-generation";

//! Well-known names, paths and ports that the parts of the platform and the tools around it agree on.
//! Source: spec 05 §5, §7.1; spec 06 §5.

/// Namespace of everything that KubeEdge keeps in the cluster.
pub const SYSTEM_NAMESPACE: &str = "kubeedge";
/// Secret with the join token.
pub const TOKEN_SECRET: &str = "tokensecret";
/// Its key.
pub const TOKEN_SECRET_KEY: &str = "tokendata";
/// Secret with the CA pair.
pub const CA_SECRET: &str = "casecret";
/// Key of the CA certificate, DER.
pub const CA_SECRET_CERT_KEY: &str = "cadata";
/// Key of the CA key, DER.
pub const CA_SECRET_KEY_KEY: &str = "cakeydata";
/// Secret with cloudcore's serving pair.
pub const CLOUDCORE_SECRET: &str = "cloudcoresecret";
/// Key of the serving certificate, DER.
pub const CLOUDCORE_SECRET_CERT_KEY: &str = "cloudcoredata";
/// Key of the serving key, DER.
pub const CLOUDCORE_SECRET_KEY_KEY: &str = "cloudcorekeydata";
/// ConfigMap with the tunnel port record.
pub const TUNNEL_PORT_CONFIG_MAP: &str = "tunnelport";
/// Annotation that holds the record.
pub const TUNNEL_PORT_ANNOTATION: &str = "tunnelportrecord.kubeedge.io";

/// Label of edge nodes.
pub const EDGE_NODE_LABEL: &str = "node-role.kubernetes.io/edge";
/// Second role label that edge nodes of older releases carry.
pub const AGENT_NODE_LABEL: &str = "node-role.kubernetes.io/agent";
/// Taint of `keadm join --with-edge-taint`; no value, effect NoSchedule.
pub const EDGE_TAINT: &str = "node-role.kubernetes.io/edge";

/// User name of an edge node, before the node's name.
pub const NODE_USER_PREFIX: &str = "system:node:";
/// Group of edge nodes.
pub const NODES_GROUP: &str = "system:nodes";
/// Identity of cloudcore at the API server.
pub const CLOUDCORE_USER: &str = "system:serviceaccount:kubeedge:cloudcore";

/// WebSocket port of the hub.
pub const CLOUDHUB_PORT: u16 = 10000;
/// QUIC port of the hub.
pub const CLOUDHUB_QUIC_PORT: u16 = 10001;
/// HTTPS port of the hub: certificates, node check.
pub const CLOUDHUB_HTTPS_PORT: u16 = 10002;
/// Stream port for the API server.
pub const STREAM_PORT: u16 = 10003;
/// Tunnel port for edge nodes.
pub const TUNNEL_PORT: u16 = 10004;
/// Read-only port of the node agent.
pub const EDGED_PORT: u16 = 10350;
/// Port of the Kubernetes API.
pub const API_SERVER_PORT: u16 = 6443;

/// Management directory.
pub const ETC_DIR: &str = "/etc/kubeedge";
/// Directory of the configuration files.
pub const CONFIG_DIR: &str = "/etc/kubeedge/config";
/// Configuration of cloudcore.
pub const CLOUDCORE_CONFIG_FILE: &str = "/etc/kubeedge/config/cloudcore.yaml";
/// Configuration of edgecore.
pub const EDGECORE_CONFIG_FILE: &str = "/etc/kubeedge/config/edgecore.yaml";
/// Join token on its way from `keadm join` to edgecore; mode 0600, gone after use.
pub const BOOTSTRAP_FILE: &str = "/etc/kubeedge/bootstrap-edgecore.conf";
/// CA certificate.
pub const CA_CERT_FILE: &str = "/etc/kubeedge/ca/rootCA.crt";
/// CA key; normally in a Secret instead.
pub const CA_KEY_FILE: &str = "/etc/kubeedge/ca/rootCA.key";
/// Server certificate on the cloud, node certificate on the edge.
pub const SERVER_CERT_FILE: &str = "/etc/kubeedge/certs/server.crt";
/// Its key.
pub const SERVER_KEY_FILE: &str = "/etc/kubeedge/certs/server.key";
/// CA of the stream server.
pub const STREAM_CA_FILE: &str = "/etc/kubeedge/ca/streamCA.crt";
/// Certificate of the stream server.
pub const STREAM_CERT_FILE: &str = "/etc/kubeedge/certs/stream.crt";
/// Its key.
pub const STREAM_KEY_FILE: &str = "/etc/kubeedge/certs/stream.key";
/// Static pods.
pub const STATIC_POD_DIR: &str = "/etc/kubeedge/manifests";
/// State of both components.
pub const STATE_DIR: &str = "/var/lib/kubeedge";
/// Store, certificates and `admin.conf` of the embedded control plane; mode 0700.
pub const CONTROL_PLANE_DIR: &str = "/var/lib/kubeedge/controlplane";
/// Database of the edge.
pub const EDGE_DATABASE_FILE: &str = "/var/lib/kubeedge/edgecore.db";
/// Logs where no journal keeps them.
pub const LOG_DIR: &str = "/var/log/kubeedge";
/// Pid files.
pub const RUN_DIR: &str = "/run/kubeedge";
/// Root directory of the node agent.
pub const KUBELET_DIR: &str = "/var/lib/kubelet";
/// Pod logs.
pub const POD_LOGS_DIR: &str = "/var/log/pods";
/// Where the binaries live.
pub const BIN_DIR: &str = "/usr/local/bin";

/// Default CRI socket.
pub const CONTAINERD_ENDPOINT: &str = "unix:///run/containerd/containerd.sock";
/// Docker behind a CRI.
pub const CRI_DOCKERD_ENDPOINT: &str = "unix:///var/run/cri-dockerd.sock";

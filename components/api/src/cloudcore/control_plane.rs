//! `controlPlane`: the Kubernetes inside cloudcore. Ours; no other program reads it.

use crate::config::section;

section! {
    /// `controlPlane`. Written by `keadm init` on a host without a cluster; never switched by cloudcore itself.
    pub struct ControlPlane {
        /// Whether this cloudcore is its own Kubernetes.
        enable "enable": bool = false,
        /// Directory of the store, the certificates and `admin.conf`; mode 0700.
        data_dir "dataDir": String = "/var/lib/kubeedge/controlplane".into(),
        /// IP that the API server listens on.
        bind_address "bindAddress": String = "0.0.0.0".into(),
        /// TCP port of the API server.
        port "port": u16 = 6443,
        /// IP under which clients reach the API server; in its certificate and in the kubeconfigs.
        advertise_address "advertiseAddress": String = String::new(),
        /// Further DNS names or IPs for its certificate.
        dns_names "dnsNames": Vec<String> = Vec::new(),
    }
}

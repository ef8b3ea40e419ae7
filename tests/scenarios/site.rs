//! A site: a cloud host and edge hosts, brought up by the operator's own commands.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::host::{self, Host, Init, KUBERNETES};
use crate::network::Network;
use crate::wait::until;

/// The edge must have a changed world, and the cloud its truth, within this time after a reconnect.
pub const CONVERGED: Duration = Duration::from_secs(5);
/// The limit for `kubectl apply` → Running with the image present.
pub const RUNNING: Duration = Duration::from_secs(3);
/// The limit for join → node Ready.
pub const READY: Duration = Duration::from_secs(5);

/// Which control plane a site's cloud stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// None was there: keadm brings its own.
    Embedded,
    /// A kube-apiserver 1.20.2 with its controllers and scheduler, given by `--kube-config`.
    Kubernetes,
}

/// A network, hosts on it, and which of them is the cloud.
pub struct Site {
    cloud: Cloud,
    // Hosts before the network: they are dropped first.
    hosts: Vec<Host>,
    network: Network,
    scratch: PathBuf,
}

impl Site {
    /// An empty site with a network of its own.
    pub fn new(cloud: Cloud) -> Self {
        static IMAGES: OnceLock<PathBuf> = OnceLock::new();
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let images = IMAGES.get_or_init(|| {
            let path = std::env::temp_dir().join(format!("keadm-scenarios-{}", std::process::id()));
            host::prepare(&path);
            path
        });
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let scratch = images.join(format!("site{number}"));
        std::fs::create_dir_all(&scratch).expect("the scratch folder is writable");
        std::fs::hard_link(images.join("images.tar"), scratch.join("images.tar")).expect("one file system");
        Self { cloud, hosts: Vec::new(), network: Network::new(number), scratch }
    }

    /// Adds a host; its name on the network is `name`.
    pub fn host(&mut self, name: &str, init: Init) -> usize {
        let number = u8::try_from(self.hosts.len() + 2).expect("few hosts");
        self.hosts.push(Host::boot(name, init, number, &self.network, &self.scratch));
        self.hosts.len() - 1
    }

    /// The host number `index`.
    pub fn at(&self, index: usize) -> &Host {
        &self.hosts[index]
    }

    /// The host number `index`, to be changed.
    pub fn at_mut(&mut self, index: usize) -> &mut Host {
        &mut self.hosts[index]
    }

    /// The address of the machine that runs the tests, as the hosts see it.
    pub fn machine(&self) -> String {
        self.network.address(1)
    }

    /// A cloud and an edge on two hosts, initialised and joined; the edge's node is named like its host.
    pub fn two_hosts(kind: Cloud, cloud: &str, edge: &str, edge_init: Init) -> Self {
        let mut site = Self::new(kind);
        site.host(cloud, Init::Plain);
        site.host(edge, edge_init);
        site.init(0);
        site.join(1, 0);
        site
    }

    /// `keadm init` on host `cloud`.
    pub fn init(&self, cloud: usize) {
        let host = self.at(cloud);
        let address = format!("--advertise-address={}", host.address);
        match self.cloud {
            Cloud::Embedded => host.keadm(&["init", &address]).ok(),
            Cloud::Kubernetes => {
                host.run(&["/opt/setup/cluster.sh", KUBERNETES, &host.address]).ok();
                host.keadm(&["init", &address, "--kube-config=/root/.kube/config"]).ok()
            }
        };
    }

    /// `keadm gettoken` on host `cloud`.
    pub fn token(&self, cloud: usize) -> String {
        self.at(cloud).keadm(&["gettoken"]).ok().trim().to_owned()
    }

    /// `keadm join` of host `edge` to host `cloud`; returns how long it took from start to node Ready.
    pub fn join(&self, edge: usize, cloud: usize) -> Duration {
        let token = self.token(cloud);
        let started = std::time::Instant::now();
        self.at(edge)
            .keadm(&[
                "join",
                &format!("--cloudcore-ipport={}:10000", self.at(cloud).address),
                &format!("--token={token}"),
                &format!("--edgenode-name={}", self.at(edge).name),
            ])
            .ok();
        self.node_is_ready(cloud, &self.at(edge).name, READY);
        let took = started.elapsed();
        assert!(took <= READY, "join → node Ready took {took:?}");
        took
    }

    /// Waits until kubectl calls the node Ready.
    pub fn node_is_ready(&self, cloud: usize, node: &str, deadline: Duration) -> Duration {
        let path = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
        until(&format!("node {node} Ready"), deadline, || {
            let seen = self.at(cloud).kubectl(&["get", "node", node, "-o", path]).result()?;
            if seen == "True" { Ok(()) } else { Err(format!("Ready is {seen:?}")) }
        })
        .1
    }

    /// Waits until kubectl calls the pod Running and all its containers ready.
    pub fn pod_is_running(&self, cloud: usize, pod: &str, deadline: Duration) -> Duration {
        let path = "jsonpath={.status.phase} {.status.containerStatuses[*].ready}";
        until(&format!("pod {pod} Running"), deadline, || {
            let seen = self.at(cloud).kubectl(&["get", "pod", pod, "-o", path]).result()?;
            let mut words = seen.split_whitespace();
            if words.next() == Some("Running") && words.all(|ready| ready == "true") { Ok(()) } else { Err(seen) }
        })
        .1
    }

    /// Waits until the API has no such pod.
    pub fn pod_is_gone(&self, cloud: usize, pod: &str, deadline: Duration) {
        until(&format!("pod {pod} gone"), deadline, || {
            let said = self.at(cloud).kubectl(&["get", "pod", pod, "--ignore-not-found", "-o", "name"]).result()?;
            if said.trim().is_empty() { Ok(()) } else { Err(said) }
        });
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Hosts first: their containers still use the folders below.
        self.hosts.clear();
        let _ = std::fs::remove_dir_all(&self.scratch);
    }
}

/// A pod of one busybox container bound to no node by name, with a node selector when `node` is given.
///
/// It mounts ConfigMap `<name>-config` at /config when `config` is set, prints its greeting and sleeps.
pub fn pod(name: &str, node: &str, config: bool) -> String {
    let (mount, volume) = if config {
        (
            "\n    volumeMounts: [{name: config, mountPath: /config}]",
            format!("\n  volumes: [{{name: config, configMap: {{name: {name}-config}}}}]"),
        )
    } else {
        ("", String::new())
    };
    format!(
        r#"apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  nodeSelector: {{kubernetes.io/hostname: {node}}}
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: docker.io/library/busybox:latest
    imagePullPolicy: IfNotPresent
    command: [/bin/sh, -c, "echo started; cat /config/* 2>/dev/null; exec sleep 1000000"]{mount}{volume}
"#
    )
}

/// A ConfigMap with one key `greeting`.
pub fn config_map(name: &str, greeting: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{greeting: \"{greeting}\\n\"}}\n")
}

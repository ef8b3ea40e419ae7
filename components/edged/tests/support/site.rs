//! One machine with a container runtime, a cloud and an agent, for stories about pods.

pub mod cloud;
pub mod containerd;
pub mod images;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use edged::Edged;
use edged::doors::{KubeApi, OBJECT_CHANGES_CAPACITY, ObjectChange, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use cloud::Cloud;
use containerd::{Containerd, Network};

/// Node name of the agent.
pub const NODE: &str = "e1";

/// Everything a test needs; dropping it removes everything.
pub struct Site {
    pub containerd: Containerd,
    pub cloud: Arc<Cloud>,
    pub changes: broadcast::Sender<ObjectChange>,
    agent: Option<(JoinSet<()>, CancellationToken)>,
    dir: TempDir,
    _cgroups: CgroupRoot,
}

/// The cgroups of the test's pods, removed in the end.
struct CgroupRoot;

/// Name of the cgroup below which the test's pods live.
const CGROUP_ROOT: &str = "edged-test";

impl Drop for CgroupRoot {
    fn drop(&mut self) {
        let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        for hierarchy in hierarchies {
            remove_cgroups(&hierarchy.path().join(CGROUP_ROOT));
        }
        remove_cgroups(&Path::new("/sys/fs/cgroup").join(CGROUP_ROOT));
    }
}

/// The cgroups of a best-effort pod, one for each hierarchy.
pub fn cgroups_of(uid: &str) -> Vec<PathBuf> {
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|it| it.path());
    let roots = hierarchies.chain(std::iter::once(PathBuf::from("/sys/fs/cgroup")));
    let below = format!("{CGROUP_ROOT}/kubepods/besteffort/pod{uid}");
    roots.map(|root| root.join(&below)).filter(|dir| dir.exists()).collect()
}

fn remove_cgroups(dir: &Path) {
    for child in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if child.path().is_dir() {
            remove_cgroups(&child.path());
        }
    }
    let _ = std::fs::remove_dir(dir);
}

/// CPU seconds a process has used.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|it| it.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Memory of this process that is no file, in kilobytes.
pub fn anonymous_kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl Site {
    /// A runtime and a cloud; the agent is not started yet. Tests of one process take turns.
    pub fn new() -> Self {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let dir = tempfile::Builder::new().prefix("edged-").tempdir().unwrap();
        let network = Network { bridge: "ea0".to_owned(), subnet: "10.231.0.0/16".to_owned() };
        let containerd = Containerd::start(dir.path(), &network);
        let changes = broadcast::Sender::new(OBJECT_CHANGES_CAPACITY);
        Self { containerd, cloud: Cloud::new(), changes, agent: None, dir, _cgroups: CgroupRoot }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn settings(&self) -> Settings {
        let dir = self.dir.path();
        Settings {
            node_name: NODE.to_owned(),
            runtime_endpoint: self.containerd.endpoint(),
            image_endpoint: self.containerd.endpoint(),
            root_dir: dir.join("kubelet"),
            pod_logs_dir: dir.join("pods"),
            container_logs_dir: dir.join("containers"),
            static_pod_path: None,
            cgroup_root: format!("/{CGROUP_ROOT}"),
            http_addr: None,
            register_node: false,
            oom_score_adj: None,
            ..Settings::default()
        }
    }

    /// Starts the agent.
    pub fn start(&mut self) {
        let api: Arc<dyn KubeApi> = self.cloud.clone();
        let edged = Edged::new(self.settings(), api, self.cloud.connect(), self.changes.subscribe()).unwrap();
        let stop = CancellationToken::new();
        let token = stop.clone();
        let mut agent = JoinSet::new();
        agent.spawn(async move { edged.run(token).await.unwrap() });
        self.agent = Some((agent, stop));
    }

    /// Ends the agent in an orderly way.
    pub async fn stop(&mut self) {
        let (mut agent, stop) = self.agent.take().unwrap();
        stop.cancel();
        agent.join_next().await.unwrap().unwrap();
    }

    /// Ends the agent as SIGKILL would: wherever it is.
    pub async fn kill(&mut self) {
        let (mut agent, _) = self.agent.take().unwrap();
        agent.shutdown().await;
    }

    /// Waits until `reached` answers something.
    pub async fn until<T>(&self, what: &str, limit: Duration, mut reached: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(value) = reached() {
                return value;
            }
            if start.elapsed() > limit {
                let state = self.cloud.state();
                let statuses: Vec<String> = state.pods.values().map(|pod| pod["status"].to_string()).collect();
                panic!("{what}: not within {limit:?}; statuses: {statuses:#?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the API shows the pod in a phase.
    pub async fn phase(&self, uid: &str, phase: &str) {
        let what = format!("{uid} is {phase}");
        self.until(&what, Duration::from_secs(20), || (self.cloud.status(uid)["phase"] == phase).then_some(())).await;
    }

    /// Waits until the pod's only container waits for this reason; answers its status.
    pub async fn waiting(&self, uid: &str, reason: &str) -> Value {
        let what = format!("{uid} waits: {reason}");
        self.until(&what, Duration::from_secs(30), || {
            let status = self.cloud.container(uid);
            (status["state"]["waiting"]["reason"] == reason).then_some(status)
        })
        .await
    }
}

/// A pod of this node; `spec` is merged over sensible defaults.
#[expect(clippy::needless_pass_by_value, reason = "tests write the spec in place")]
pub fn pod(uid: &str, spec: Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": uid, "namespace": "default", "uid": uid, "labels": {"app": uid}},
        "spec": {
            "nodeName": NODE, "restartPolicy": "Always", "terminationGracePeriodSeconds": 3,
            "dnsPolicy": "Default", "securityContext": {}, "enableServiceLinks": true,
        },
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    });
    for (key, value) in spec.as_object().unwrap() {
        pod["spec"][key] = value.clone();
    }
    pod
}

/// A busybox container that runs a shell line.
pub fn shell(name: &str, line: &str) -> Value {
    json!({
        "name": name, "image": "busybox", "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c", line],
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
    })
}

/// A container that runs until it is told to stop, and stops at once then.
pub fn server(name: &str) -> Value {
    shell(name, "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done")
}

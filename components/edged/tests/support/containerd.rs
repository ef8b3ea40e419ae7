//! A containerd of the test's own: configuration, state, socket, network and images live below one directory and end
//! with it. Needs root and the Debian packages containerd, runc, containernetworking-plugins and busybox-static.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::images;

/// What distinguishes the network of one containerd from another on the same machine.
#[derive(Debug, Clone)]
pub struct Network {
    /// Name of the bridge, at most 15 bytes.
    pub bridge: String,
    /// Subnet of the pods.
    pub subnet: String,
}

/// A running containerd; dropping it stops its containers and itself.
pub struct Containerd {
    dir: PathBuf,
    child: Child,
    network: Network,
}

impl Containerd {
    /// Starts containerd below `dir` and imports a pause image and a busybox (as `busybox:latest` and
    /// `nginx:latest`).
    pub fn start(dir: &Path, network: &Network) -> Self {
        let dir = dir.join("containerd");
        fs::create_dir_all(dir.join("cni")).unwrap();
        fs::write(dir.join("config.toml"), config(&dir)).unwrap();
        fs::write(dir.join("cni/10-test.conflist"), cni(&dir, network).to_string()).unwrap();
        let child = launch(&dir);
        let this = Self { dir, child, network: network.clone() };
        this.wait_for_socket();
        for image in [images::pause(), images::busybox()] {
            this.import(&image);
        }
        this
    }

    /// Kills containerd and starts it again; containers go on meanwhile.
    pub fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = launch(&self.dir);
        self.wait_for_socket();
    }

    /// CRI endpoint.
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("containerd.sock")
    }

    fn wait_for_socket(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.ctr(&["version"]).status.success() {
            assert!(Instant::now() < deadline, "containerd did not come up: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Text of containerd's log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Runs `ctr` against this containerd in CRI's namespace.
    pub fn ctr(&self, args: &[&str]) -> std::process::Output {
        Command::new("ctr").arg("-a").arg(self.socket()).args(["-n", "k8s.io"]).args(args).output().unwrap()
    }

    /// Imports a docker archive.
    pub fn import(&self, archive: &[u8]) {
        let path = self.dir.join("image.tar");
        fs::write(&path, archive).unwrap();
        let output = self.ctr(&["images", "import", path.to_str().unwrap()]);
        assert!(output.status.success(), "import failed: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// IDs of all tasks that run, sandboxes included.
    pub fn tasks(&self) -> Vec<String> {
        let output = self.ctr(&["tasks", "ls"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let running = text.lines().skip(1).filter(|line| line.contains("RUNNING"));
        let mut ids: Vec<String> =
            running.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect();
        ids.sort();
        ids
    }

    /// Kills and deletes every container behind the agent's back, as a crash of the machine would.
    pub fn destroy_all(&self) {
        for id in self.tasks() {
            self.ctr(&["tasks", "kill", "-s", "SIGKILL", &id]);
        }
        let output = self.ctr(&["containers", "ls", "-q"]);
        let ids = String::from_utf8_lossy(&output.stdout).into_owned();
        for id in ids.lines() {
            self.ctr(&["tasks", "delete", "-f", id]);
            self.ctr(&["containers", "delete", id]);
        }
    }

    /// Names of the network namespaces of all sandboxes.
    fn network_namespaces(&self) -> Vec<String> {
        let output = self.ctr(&["containers", "ls", "-q"]);
        let ids = String::from_utf8_lossy(&output.stdout).into_owned();
        let paths = ids.lines().filter_map(|id| {
            let info: serde_json::Value = serde_json::from_slice(&self.ctr(&["containers", "info", id]).stdout).ok()?;
            let spaces = info["Spec"]["linux"]["namespaces"].as_array()?.clone();
            let network = spaces.into_iter().find(|space| space["type"] == "network")?;
            network["path"].as_str()?.strip_prefix("/var/run/netns/").map(str::to_owned)
        });
        paths.collect()
    }

    /// CPU seconds used by containerd so far.
    pub fn cpu_seconds(&self) -> f64 {
        super::cpu_seconds(self.child.id())
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let networks = self.network_namespaces();
        self.destroy_all();
        for network in networks {
            // Takes the pod's end of the veth pair along, and with it the host's.
            let _ = Command::new("ip").args(["netns", "delete", &network]).stderr(Stdio::null()).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = Command::new("ip").args(["link", "delete", &self.network.bridge]).stderr(Stdio::null()).status();
        unmount_below(&self.dir);
    }
}

fn launch(dir: &Path) -> Child {
    let log = fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
    Command::new("containerd")
        .arg("--config")
        .arg(dir.join("config.toml"))
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("containerd is installed")
}

/// Unmounts what a killed containerd left mounted, deepest first.
fn unmount_below(dir: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let below =
        mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|path| Path::new(path).starts_with(dir));
    for path in below.collect::<Vec<_>>().into_iter().rev() {
        let _ = Command::new("umount").args(["-l", path]).status();
    }
}

fn config(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        r#"version = 2
root = "{dir}/root"
state = "{dir}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "{dir}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{dir}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "{pause}"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{dir}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"#,
        pause = images::PAUSE,
    )
}

fn cni(dir: &Path, network: &Network) -> serde_json::Value {
    json!({
        "cniVersion": "0.4.0",
        "name": network.bridge,
        "plugins": [{
            "type": "bridge",
            "bridge": network.bridge,
            "isGateway": true,
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "dataDir": dir.join("ipam"),
                "ranges": [[{"subnet": network.subnet}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
}

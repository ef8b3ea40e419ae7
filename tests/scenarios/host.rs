//! A test host: a Debian tree in its own pid, mount, uts and network namespaces, with its own containerd.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::image;
use crate::network::Network;
use crate::process::{Said, run};
use crate::wait::until;

/// Where the binary under test stands on every host, as a file that an operator copied there.
pub const KEADM: &str = "/opt/keadm";

/// Where the programs of a real Kubernetes stand on hosts of the real-cluster scenarios.
pub const KUBERNETES: &str = "/opt/kubernetes";

/// Where an installation puts things, units included.
const FOOTPRINT: &str = "/etc /usr/local /root /var/lib/kubeedge /var/lib/kubelet /run/kubeedge /var/log/kubeedge \
                         /var/log/pods /var/log/containers /run/systemd/system";

/// What runs as the host's first process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Init {
    /// Nothing but a reaper: no systemd on this host.
    Plain,
    /// A booted systemd.
    Systemd,
}

/// A running host; stopped and wiped when dropped.
pub struct Host {
    /// Host name.
    pub name: String,
    /// IPv4 address on the site's network.
    pub address: String,
    init: Init,
    folder: PathBuf,
    leader: String,
    nspawn: Child,
    link: String,
    containerd: Option<Child>,
}

impl Host {
    /// Boots a host and its containerd, and imports the test images. `scratch` holds `images.tar`.
    pub fn boot(name: &str, init: Init, number: u8, network: &Network, scratch: &Path) -> Self {
        let tree = PathBuf::from(std::env::var("KEADM_TEST_ROOTFS").expect("KEADM_TEST_ROOTFS: run `make test`"));
        let binary = std::env::var("KEADM_TEST_BINARY").expect("KEADM_TEST_BINARY: run `make test`");
        let folder = scratch.join(name);
        let binds: Vec<String> = ["containerd", "kubelet", "kubeedge"]
            .iter()
            .map(|part| {
                let path = folder.join(part);
                fs::create_dir_all(&path).expect("the scratch folder is writable");
                format!("--bind={}:/var/lib/{part}", path.display())
            })
            .collect();
        let log = fs::File::create(folder.join("console.log")).expect("the scratch folder is writable");
        let mut command = Command::new("systemd-nspawn");
        command
            .env("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "yes")
            .args(["-q", "-D", tree.to_str().expect("UTF-8"), "--register=no", "--keep-unit"])
            .args(["--volatile=overlay", "--capability=all", "--system-call-filter=@known"])
            .arg(format!("--machine={name}"))
            .arg(format!("--network-bridge={}", network.bridge))
            .arg(format!("--bind-ro={binary}:{KEADM}"))
            .arg(format!("--bind-ro={}:/opt/images.tar", scratch.join("images.tar").display()))
            .args(binds);
        if let Ok(programs) = std::env::var("KEADM_TEST_KUBERNETES") {
            command.arg(format!("--bind-ro={programs}:{KUBERNETES}"));
            command.arg(format!("--bind-ro={}/tests/setup:/opt/setup", env!("CARGO_MANIFEST_DIR")));
        }
        match init {
            Init::Plain => command.args(["--as-pid2", "/usr/bin/sleep", "infinity"]),
            Init::Systemd => command.arg("-b"),
        };
        let nspawn = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle can be cloned"))
            .stderr(log)
            .spawn()
            .expect("systemd-nspawn is installed");
        let pid = nspawn.id();
        let (leader, _) = until("the host's first process", Duration::from_secs(20), || {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
                .map_err(|error| format!("systemd-nspawn is gone ({error}); see console.log"))?;
            // Helpers come and go before it; only it is number 1 of a pid namespace.
            let first = |pid: &&str| {
                let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
                status.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1"))
            };
            children.split_whitespace().find(first).map(str::to_owned).ok_or_else(|| "no child yet".to_owned())
        });
        let mut host = Self {
            name: name.to_owned(),
            address: network.address(number),
            init,
            folder,
            leader,
            nspawn,
            link: format!("vb-{name}"),
            containerd: None,
        };
        host.bring_up(network, number);
        host
    }

    fn bring_up(&mut self, network: &Network, number: u8) {
        until("the host's network link", Duration::from_secs(20), || {
            self.run(&["/usr/bin/ip", "link", "show", "host0"]).result()
        });
        if self.init == Init::Systemd {
            until("systemd", Duration::from_mins(1), || {
                let state = self.run(&["/usr/bin/systemctl", "is-system-running"]).out;
                if matches!(state.trim(), "running" | "degraded") { Ok(()) } else { Err(state) }
            });
        }
        run("ip", &["link", "set", &self.link, "up"]).ok();
        self.run(&["/usr/bin/ip", "addr", "add", &format!("{}/24", self.address), "dev", "host0"]).ok();
        self.run(&["/usr/bin/ip", "link", "set", "host0", "up"]).ok();
        self.run(&["/usr/bin/ip", "route", "add", "default", "via", &network.address(1)]).ok();
        for entry in fs::read_dir("/sys/fs/cgroup").expect("cgroups are mounted").flatten() {
            let path = format!("/sys/fs/cgroup/{}", entry.file_name().to_string_lossy());
            self.run(&["/usr/bin/mount", "-o", "remount,rw,bind", &path]);
        }
        self.write("/etc/containerd/config.toml", CONTAINERD);
        self.write("/etc/cni/net.d/10-test.conflist", &CNI.replace("NUMBER", &number.to_string()));
        self.start_containerd();
        self.run(&["/usr/bin/ctr", "-n", "k8s.io", "images", "import", "/opt/images.tar"]).ok();
    }

    /// Starts containerd and waits until it answers.
    pub fn start_containerd(&mut self) {
        match self.init {
            Init::Systemd => {
                self.run(&["/usr/bin/systemctl", "start", "containerd"]).ok();
            }
            Init::Plain => {
                let log = fs::File::create(self.folder.join("containerd.log")).expect("writable");
                let child = self
                    .command(&["/usr/bin/containerd"])
                    .stdin(Stdio::null())
                    .stdout(log.try_clone().expect("a file handle can be cloned"))
                    .stderr(log)
                    .spawn()
                    .expect("nsenter is installed");
                self.containerd = Some(child);
            }
        }
        until("containerd", Duration::from_secs(20), || self.run(&["/usr/bin/ctr", "version"]).result());
    }

    /// Stops containerd; its socket stays, as after a crash.
    pub fn stop_containerd(&mut self) {
        self.kill("containerd");
        if let Some(mut containerd) = self.containerd.take() {
            let _ = containerd.wait();
        }
        until("containerd gone", Duration::from_secs(10), || {
            if self.pids("containerd").is_empty() { Ok(()) } else { Err("it still runs".to_owned()) }
        });
    }

    /// A command inside the host.
    pub fn command(&self, argv: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["-t", &self.leader, "-a", "--", "/usr/bin/env", "-i"])
            .args(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"])
            .args(argv);
        command
    }

    /// Runs a command inside the host to its end.
    pub fn run(&self, argv: &[&str]) -> Said {
        self.command(argv).stdin(Stdio::null()).output().expect("nsenter is installed").into()
    }

    /// Runs the binary under test inside the host.
    pub fn keadm(&self, args: &[&str]) -> Said {
        let command: Vec<&str> = [KEADM].iter().chain(args).copied().collect();
        self.run(&command)
    }

    /// Runs the machine's kubectl in the host's network, with the host's admin kubeconfig.
    pub fn kubectl(&self, args: &[&str]) -> Said {
        let config = self.path("/root/.kube/config");
        let output = Command::new("nsenter")
            .args(["-t", &self.leader, "-n", "--", "kubectl", "--kubeconfig"])
            .arg(config)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("kubectl is installed");
        output.into()
    }

    /// `kubectl apply` of a manifest.
    pub fn apply(&self, manifest: &str) {
        let path = self.folder.join("manifest.yaml");
        fs::write(&path, manifest).expect("the scratch folder is writable");
        self.kubectl(&["apply", "-f", path.to_str().expect("UTF-8")]).ok();
    }

    /// Where a file of the host is seen from outside.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.leader))
    }

    /// Writes a file inside the host.
    pub fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().expect("an absolute path")).expect("the host is writable");
        fs::write(path, text).expect("the host is writable");
    }

    /// The file that names the host's pid namespace.
    pub fn pid_namespace(&self) -> String {
        format!("/proc/{}/ns/pid", self.leader)
    }

    /// The pids, as the host counts, of processes whose command name is `name`.
    pub fn pids(&self, name: &str) -> Vec<i32> {
        let said = self.run(&["/usr/bin/pgrep", "-x", name]);
        said.out.lines().filter_map(|line| line.trim().parse().ok()).collect()
    }

    /// `kill -9` of every process of that name; returns how many there were.
    pub fn kill(&self, name: &str) -> usize {
        let pids = self.pids(name);
        for pid in &pids {
            self.run(&["/usr/bin/kill", "-9", &pid.to_string()]);
        }
        pids.len()
    }

    /// Ids of the running containers of pods (without sandboxes), by `<namespace>/<pod>/<container>`.
    pub fn containers(&self) -> std::collections::BTreeMap<String, String> {
        let running = self.run(&["/usr/bin/ctr", "-n", "k8s.io", "tasks", "list"]).out;
        let mut found = std::collections::BTreeMap::new();
        for line in running.lines().filter(|line| line.contains("RUNNING")) {
            let Some(id) = line.split_whitespace().next() else { continue };
            let info = self.run(&["/usr/bin/ctr", "-n", "k8s.io", "containers", "info", id]).out;
            let Ok(info) = serde_json::from_str::<serde_json::Value>(&info) else { continue };
            let label = |key: &str| info["Labels"][key].as_str().unwrap_or_default().to_owned();
            if label("io.cri-containerd.kind") == "container" {
                let key = format!(
                    "{}/{}/{}",
                    label("io.kubernetes.pod.namespace"),
                    label("io.kubernetes.pod.name"),
                    label("io.kubernetes.container.name")
                );
                found.insert(key, id.to_owned());
            }
        }
        found
    }

    /// Everything of the host that an installation could leave behind, a line each.
    pub fn footprint(&self) -> BTreeSet<String> {
        let mut lines = BTreeSet::new();
        let mut add = |kind: &str, text: &str| lines.extend(text.lines().map(|line| format!("{kind} {}", line.trim())));
        let mut find = vec!["/usr/bin/find"];
        find.extend(FOOTPRINT.split_whitespace());
        find.extend(["-not", "-path", "/root/.kube/cache*", "-not", "-path", "*/lib/kubelet"]);
        // Folders grow with what is in them, which has a line of its own.
        find.extend(["(", "-type", "f", "-printf", "%p %m %s bytes\\n", "-o", "-printf", "%p %m\\n", ")"]);
        add("file", &self.run(&find).out);
        add("process", &self.run(&["/usr/bin/ps", "-eo", "comm"]).out.replace("ps\n", ""));
        add("mount", &self.run(&["/usr/bin/cut", "-d ", "-f5", "/proc/self/mountinfo"]).out);
        add("container", &self.run(&["/usr/bin/ctr", "-n", "k8s.io", "containers", "list", "-q"]).out);
        let interfaces = self.run(&["/usr/bin/ls", "/sys/class/net"]).out;
        add("interface", &interfaces.replace("cni0\n", ""));
        add("cgroup", &self.run(&["/usr/bin/find", "/sys/fs/cgroup", "-maxdepth", "3", "-name", "*kubepods*"]).out);
        lines
    }

    /// Takes the host off the network.
    pub fn cut(&self) {
        run("ip", &["link", "set", &self.link, "down"]).ok();
    }

    /// Puts the host back on the network.
    pub fn heal(&self) {
        run("ip", &["link", "set", &self.link, "up"]).ok();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_logs();
        }
        if let Some(containerd) = &mut self.containerd {
            let _ = containerd.kill();
            let _ = containerd.wait();
        }
        // The end of the first process takes every other of the pid namespace with it.
        run("kill", &["-9", &self.leader]);
        let _ = self.nspawn.wait();
        remove_pod_cgroups();
    }
}

/// Test hosts share the machine's cgroup tree: what a host that was switched off leaves there is taken away, so that
/// the next host starts clean. Folders with processes in them are another host's and stay.
fn remove_pod_cgroups() {
    for controller in fs::read_dir("/sys/fs/cgroup").expect("cgroups are mounted").flatten() {
        let pods = controller.path().join("kubepods");
        run("find", &[pods.to_str().expect("UTF-8"), "-depth", "-type", "d", "-exec", "rmdir", "{}", "+"]);
    }
}

impl Host {
    /// Prints the ends of the daemons' logs of a failed scenario.
    fn show_logs(&self) {
        for log in ["cloudcore.log", "edgecore.log"] {
            let path = self.path("/var/log/kubeedge").join(log);
            if let Ok(text) = fs::read_to_string(&path) {
                let lines: Vec<&str> = text.lines().collect();
                let tail = lines[lines.len().saturating_sub(60)..].join("\n");
                eprintln!("--- {} {log} (end)\n{tail}", self.name);
            }
        }
        if self.init == Init::Systemd {
            let argv = ["/usr/bin/journalctl", "-n", "80", "--no-pager", "-u", "edgecore", "-u", "cloudcore"];
            eprintln!("--- {} journal (end)\n{}", self.name, self.run(&argv).out);
        }
    }
}

/// What this kind of machine needs of containerd; never part of the product.
const CONTAINERD: &str = r#"version = 2
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "keadm.test/pause:1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
"#;

const CNI: &str = r#"{
  "cniVersion": "0.4.0",
  "name": "test",
  "plugins": [
    {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "promiscMode": false,
     "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.78.NUMBER.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
"#;

/// Makes the images every host imports.
pub fn prepare(scratch: &Path) {
    fs::create_dir_all(scratch).expect("the scratch folder is writable");
    image::archive(scratch);
}

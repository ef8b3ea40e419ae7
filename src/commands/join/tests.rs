use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use clap::Parser as _;
use jiff::{SignedDuration, Timestamp};
use pki::{Authority, JoinToken};

use super::{cloud::Introduction, *};
use crate::{
    cli::{Cli, Command},
    commands::{
        https::{Address, HttpsError},
        runtime::{RuntimeError, RuntimeFacts},
    },
    host::{Process, recording::RecordingHost},
};

fn authority() -> Authority {
    Authority::generate("KubeEdge", 1024, 36_400, Timestamp::now()).unwrap()
}

/// A cloud that knows a node after it was asked `registers_after` times.
struct FakeCloud {
    authority: Authority,
    registers_after: usize,
    asked: AtomicUsize,
    refuses_token: bool,
    unreachable: bool,
    clock: SignedDuration,
}

impl FakeCloud {
    fn new() -> Self {
        Self {
            authority: authority(),
            registers_after: 2,
            asked: AtomicUsize::new(0),
            refuses_token: false,
            unreachable: false,
            clock: SignedDuration::ZERO,
        }
    }

    fn token(&self) -> String {
        let tomorrow = Timestamp::now() + SignedDuration::from_hours(24);
        JoinToken::issue(&self.authority, tomorrow).as_str().to_owned()
    }
}

fn address() -> Address {
    Address { host: "192.0.2.7".into(), port: 10002 }
}

#[async_trait]
impl Cloud for FakeCloud {
    async fn introduction(&self) -> Result<Introduction, JoinError> {
        if self.unreachable {
            let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
            return Err(JoinError::Https(HttpsError::Connect { address: address(), source }));
        }
        Ok(Introduction { ca_der: self.authority.cert_der().to_vec(), date: Some(Timestamp::now() + self.clock) })
    }

    async fn takes_token(&self, _: &[u8], _: &str, _: &str) -> Result<(), JoinError> {
        if self.refuses_token {
            return Err(JoinError::TokenRefused { address: address(), answer: "token validation failure".into() });
        }
        Ok(())
    }

    async fn knows_node(&self, _: &[u8], node: &str) -> Result<bool, JoinError> {
        Ok(node == "taken" || self.asked.fetch_add(1, Ordering::SeqCst) >= self.registers_after)
    }

    async fn hub_answers(&self, _: &[u8]) -> Result<(), JoinError> {
        Ok(())
    }
}

#[derive(Default)]
struct FakeRuntimes {
    /// What was kept at every removal.
    kept: std::sync::Mutex<Vec<Vec<String>>>,
}

#[async_trait]
impl Runtimes for FakeRuntimes {
    async fn inspect(&self, endpoint: &str) -> Result<RuntimeFacts, RuntimeError> {
        Ok(RuntimeFacts {
            endpoint: endpoint.to_owned(),
            version: "containerd 1.6.20".into(),
            cgroup_driver: Some("systemd".into()),
            not_ready: None,
            network_not_ready: None,
        })
    }

    async fn pods(&self, _: &str) -> Result<Vec<String>, RuntimeError> {
        Ok(vec!["old".into()])
    }

    async fn remove_pods(&self, _: &str, keep: &[String]) -> Result<Vec<String>, RuntimeError> {
        self.kept.lock().unwrap().push(keep.to_vec());
        Ok(Vec::new())
    }
}

fn host() -> RecordingHost {
    RecordingHost::default().with_file("/run/containerd/containerd.sock", "")
}

fn settings(host: &RecordingHost, arguments: &[&str]) -> Result<JoinSettings, Vec<JoinError>> {
    let fixed = ["keadm", "join", "--cloudcore-ipport=192.0.2.7:10000"];
    let cli = Cli::try_parse_from(fixed.iter().chain(arguments)).unwrap();
    let Command::Join(args) = cli.command else { panic!("join") };
    JoinSettings::from_args(args, host)
}

async fn run(host: &RecordingHost, cloud: &FakeCloud, arguments: &[&str]) -> Result<Joined, Failure> {
    run_with(host, cloud, &FakeRuntimes::default(), arguments).await
}

async fn run_with(
    host: &RecordingHost,
    cloud: &FakeCloud,
    runtimes: &FakeRuntimes,
    arguments: &[&str],
) -> Result<Joined, Failure> {
    let settings = settings(host, arguments).unwrap();
    let steps = Steps::silent();
    let with = Surroundings { host, cloud, runtimes, steps: &steps };
    join(&settings, &Ignored::default(), &with).await
}

/// Joining fails before anything is changed, with this advice and this text.
async fn refused(host: RecordingHost, cloud: FakeCloud, arguments: &[&str], id: &str, text: &str) {
    let failure = run(&host, &cloud, arguments).await.unwrap_err();
    assert_eq!(failure.causes.len(), 1, "{}", failure.text());
    assert_eq!(failure.causes[0].advice.as_ref().map(|advice| advice.id), Some(id), "{}", failure.text());
    assert!(failure.causes[0].text.contains(text), "{}", failure.text());
    assert!(matches!(failure.exit, Exit::Preflight | Exit::Occupied));
    assert_eq!(host.done(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_clean_host_joins() {
    let (host, cloud) = (host().with_file("/etc/kubeedge/certs/server.crt", ""), FakeCloud::new());
    let token = cloud.token();
    let arguments = ["--token", &token, "--edgenode-name=edge-1", "-l", "site=a", "--with-edge-taint"];
    assert_eq!(run(&host, &cloud, &arguments).await, Ok(Joined::Registered));
    insta::assert_snapshot!(host.done().join("\n").replace(&token, "TOKEN"), @"
    make directory /etc/kubeedge (0755)
    make directory /etc/kubeedge/config (0755)
    make directory /var/lib/kubeedge (0755)
    make directory /var/log/kubeedge (0755)
    let the service create /etc/kubeedge/certs
    let the service create /etc/kubeedge/ca
    let the service create /etc/kubeedge/manifests
    let the service create /etc/kubeedge/dmi.sock
    let the service create /var/lib/kubelet
    let the service create /var/log/pods
    let the service create /var/log/containers
    let the service create /var/lib/kubeedge/edgecore.db
    let the service create /var/lib/kubeedge/edgecore.db-wal
    let the service create /var/lib/kubeedge/edgecore.db-shm
    make directory /usr/local/bin (0755)
    write /var/lib/kubeedge/.keadm-installed (0644)
    copy /root/keadm to /usr/local/bin/keadm (0755)
    copy /root/keadm to /usr/local/bin/edgecore (0755)
    write /etc/kubeedge/config/edgecore.yaml (0600)
    write /etc/kubeedge/bootstrap-edgecore.conf (0600)
    write /etc/systemd/system/edgecore.service (0644)
    reload systemd's units
    start service edgecore
    remove /etc/kubeedge/bootstrap-edgecore.conf
    ");
    let yaml = host.text(EDGECORE_CONFIG_FILE).unwrap();
    for line in [
        "server: 192.0.2.7:10000",
        "httpServer: https://192.0.2.7:10002",
        "server: 192.0.2.7:10004",
        "hostnameOverride: edge-1",
        "cgroupDriver: systemd",
        "site: a",
        "key: node-role.kubernetes.io/edge",
        "token: \"\"",
    ] {
        assert!(yaml.contains(line), "{line} is not in\n{yaml}");
    }
    assert!(!yaml.contains(&token));
}

#[tokio::test]
async fn the_same_join_again_changes_nothing() {
    let cloud = FakeCloud::new();
    let token = cloud.token();
    let mut host = host().with_file("/etc/kubeedge/certs/server.crt", "");
    run(
        &host,
        &FakeCloud {
            authority: Authority::from_der(cloud.authority.cert_der(), cloud.authority.key().clone()).unwrap(),
            ..FakeCloud::new()
        },
        &["--token", &token],
    )
    .await
    .unwrap();
    let before = host.done();
    host.processes.push(Process { pid: 7, name: "edgecore".into(), ..Process::default() });
    assert_eq!(run(&host, &cloud, &["--token", &token]).await, Ok(Joined::Already));
    assert_eq!(host.done(), before);

    let failure = run(&host, &cloud, &["--token", &token, "--edgenode-name=other"]).await.unwrap_err();
    assert_eq!(failure.exit, Exit::Occupied);
    assert!(failure.text().contains("[AlreadyJoined]"));
    assert_eq!(host.done(), before);
}

#[tokio::test(start_paused = true)]
async fn the_token_stays_until_the_certificate_is_on_the_disk() {
    let (host, cloud) = (host(), FakeCloud::new());
    assert_eq!(run(&host, &cloud, &["--token", &cloud.token()]).await, Ok(Joined::Registered));
    assert!(host.text(BOOTSTRAP_FILE).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_joined_but_does_not_run_is_only_started() {
    let certificates =
        ["/etc/kubeedge/ca/rootCA.crt", "/etc/kubeedge/certs/server.crt", "/etc/kubeedge/certs/server.key"];
    let host = certificates.into_iter().fold(host(), |host, path| host.with_file(path, ""));
    let cloud = FakeCloud::new();
    run(&host, &cloud, &["--token", &cloud.token()]).await.unwrap();
    let before = host.done().len();
    let away = FakeCloud { unreachable: true, ..FakeCloud::new() };
    assert_eq!(run(&host, &away, &[]).await, Ok(Joined::Started), "needs neither token nor cloud");
    insta::assert_snapshot!(host.done()[before..].join("\n"), @"
    write /etc/systemd/system/edgecore.service (0644)
    reload systemd's units
    start service edgecore
    ");
}

#[tokio::test]
async fn a_join_that_fails_in_the_middle_is_rolled_back() {
    let (mut host, cloud) = (host(), FakeCloud::new());
    host.fail_on = Some("start service");
    let failure = run(&host, &cloud, &["--token", &cloud.token()]).await.unwrap_err();
    assert_eq!(failure.exit, Exit::Failed);
    assert!(failure.text().contains("made to fail"));
    assert!(host.was_rolled_back());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_register_is_rolled_back_with_evidence() {
    let (mut host, mut cloud) = (host(), FakeCloud::new());
    cloud.registers_after = usize::MAX;
    host.log = vec!["cgroup driver mismatch".into()];
    let runtimes = FakeRuntimes::default();
    let failure = run_with(&host, &cloud, &runtimes, &["--token", &cloud.token(), "--timeout=5"]).await.unwrap_err();
    assert_eq!(*runtimes.kept.lock().unwrap(), [["old"]], "only pods that were there before stay");
    assert_eq!(host.done().last().map(String::as_str), Some("stop service edgecore"), "before its pods are removed");
    assert!(failure.text().contains("is not registered after 5 s"));
    assert!(failure.text().contains("     | cgroup driver mismatch\n"));
    assert!(host.was_rolled_back());
}

#[tokio::test]
async fn each_obstacle_has_its_own_message_and_leaves_the_host_alone() {
    let cloud = FakeCloud::new;
    let good = |cloud: &FakeCloud| cloud.token();
    let process = |name: &str| Process { pid: 7, name: name.into(), ..Process::default() };

    let c = cloud();
    refused(host(), c, &[], "TokenMissing", "no join token").await;
    let c = cloud();
    let token = JoinToken::issue(&c.authority, Timestamp::now() - SignedDuration::from_hours(3)).as_str().to_owned();
    refused(host(), c, &["--token", &token], "TokenExpired", "3 h 0 min ago").await;
    let c = cloud();
    let token = good(&c)[..90].to_owned();
    refused(host(), c, &["--token", &token], "TokenFormat", "join token is not usable").await;
    let token = good(&cloud());
    refused(host(), cloud(), &["--token", &token], "TokenCAMismatch", "another cloud").await;
    let c = FakeCloud { refuses_token: true, ..cloud() };
    let token = good(&c);
    refused(host(), c, &["--token", &token], "TokenRefused", "token validation failure").await;
    let c = FakeCloud { unreachable: true, ..cloud() };
    let token = good(&c);
    refused(host(), c, &["--token", &token], "CloudUnreachable", "cannot connect to 192.0.2.7:10002").await;
    let c = FakeCloud { clock: SignedDuration::from_mins(5), ..cloud() };
    let token = good(&c);
    refused(host(), c, &["--token", &token], "TimeSkew", "behind the clock").await;
    let c = cloud();
    let token = good(&c);
    refused(host(), c, &["--token", &token, "-i", "taken"], "NodeExists", "taken").await;

    let c = cloud();
    let token = good(&c);
    let mut unprivileged = host();
    unprivileged.root = false;
    refused(unprivileged, c, &["--token", &token], "NotRoot", "root").await;
    let c = cloud();
    let token = good(&c);
    let mut busy = host();
    busy.ports.insert(10350, "nginx (pid 9)".into());
    refused(busy, c, &["--token", &token], "Port", "port 10350 is in use by nginx (pid 9)").await;
    let c = cloud();
    let token = good(&c);
    let mut with_kubelet = host();
    with_kubelet.processes.push(process("kubelet"));
    refused(with_kubelet, c, &["--token", &token], "KubeletRunning", "pid 7").await;
    let c = cloud();
    let token = good(&c);
    let mut with_edgecore = host();
    with_edgecore.processes.push(process("edgecore"));
    refused(with_edgecore, c, &["--token", &token], "EdgeCoreRunning", "pid 7").await;
    let c = cloud();
    let token = good(&c);
    refused(RecordingHost::default(), c, &["--token", &token], "RuntimeEndpoint", "no container runtime").await;
    let c = cloud();
    let token = good(&c);
    refused(host(), c, &["--token", &token, "--cgroupdriver=cgroupfs"], "CgroupDriver", "uses systemd").await;
    let c = cloud();
    let token = good(&c);
    let set = "--set=modules.edgeStreem.enable=true";
    refused(host(), c, &["--token", &token, set], "Config", "did you mean `edgeStream`?").await;
}

#[tokio::test]
async fn all_obstacles_are_told_at_once_unless_they_are_ignored() {
    let (mut host, cloud) = (RecordingHost::default(), FakeCloud::new());
    host.ports.insert(10350, "nginx (pid 9)".into());
    let failure = run(&host, &cloud, &[]).await.unwrap_err();
    let ids: Vec<_> = failure.causes.iter().filter_map(|cause| Some(cause.advice.as_ref()?.id)).collect();
    assert_eq!(ids, ["Port", "RuntimeEndpoint", "TokenMissing"]);
}

#[test]
fn flags_that_make_no_sense_are_told_together() {
    let host = host();
    let arguments = ["--hub-protocol=quic", "--cgroupdriver=x", "-i", "My_Node", "--set=a", "--interfacename=eth9"];
    let ids: Vec<_> = settings(&host, &arguments)
        .unwrap_err()
        .iter()
        .filter_map(|error| Some(crate::term::report::Advise::advice(error)?.id))
        .collect();
    assert_eq!(ids, ["HubProtocol", "CgroupDriver", "NodeName", "Interface", "Config"]);
}

#[test]
fn command_lines_of_old_tutorials_are_understood() {
    let host = host();
    let settings = settings(
        &host,
        &[
            "--kubeedge-version=1.9.2",
            "--region=zh",
            "--quicport",
            "30001",
            "--certport",
            "30002",
            "--tunnelport",
            "30004",
            "--edgenode-name",
            "n1",
            "--edgenode-ip",
            "192.168.1.63",
            "--token",
            "t",
            "--with-edge-taint",
            "--runtimetype=docker",
            "--with-mqtt=false",
            "--certPath=/etc/kubeedge/certs",
        ],
    )
    .unwrap();
    assert_eq!(settings.runtime_endpoint.as_deref(), Some("unix:///var/run/cri-dockerd.sock"));
    assert_eq!((settings.cert_port, settings.quic_port, settings.tunnel_port), (30002, 30001, 30004));
    assert_eq!(settings.mqtt, Some(false));
    assert_eq!(settings.remarks.len(), 2);
}

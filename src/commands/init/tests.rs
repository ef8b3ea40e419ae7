use std::path::Path;

use async_trait::async_trait;
use clap::Parser as _;

use super::*;
use crate::{
    cli::{Cli, Command},
    commands::{cluster::ClusterError, https::Address},
    host::{Process, recording::RecordingHost},
};

const ADMIN: &str = "clusters:\n- cluster:\n    certificate-authority-data: QQ==\n    server: https://192.0.2.2:6443\n  name: kubernetes\nusers:\n- name: a\n  user: {token: t}\n";
const OURS: &str = "/var/lib/kubeedge/controlplane/admin.conf";

/// Clusters: those whose kubeconfig is named here answer.
struct FakeClusters(Vec<&'static str>);

#[async_trait]
impl Clusters for FakeClusters {
    async fn version(&self, kubeconfig: &Path, after: Duration) -> Result<String, ClusterError> {
        if self.0.iter().any(|path| kubeconfig == Path::new(path)) {
            return Ok("v1.32.10".into());
        }
        Err(ClusterError::Timeout { path: kubeconfig.to_owned(), after })
    }

    async fn token(&self, _: &Path) -> Result<Option<String>, ClusterError> {
        Ok(Some("TOKEN".into()))
    }

    async fn remove_namespace(&self, _: &Path) -> Result<(), ClusterError> {
        Ok(())
    }
}

struct Listening(bool);

#[async_trait]
impl ready::Probe for Listening {
    async fn certificates(&self, _: &Address) -> bool {
        self.0
    }

    async fn accepts(&self, _: &Address) -> bool {
        self.0
    }
}

async fn run(
    host: &RecordingHost,
    clusters: &[&'static str],
    listening: bool,
    arguments: &[&str],
) -> Result<Initialized, Failure> {
    let cli = Cli::try_parse_from(["keadm", "init"].iter().chain(arguments)).unwrap();
    let Command::Init(args) = cli.command else { panic!("init") };
    let steps = Steps::silent();
    let clusters = FakeClusters(clusters.to_vec());
    let with = Surroundings { host, clusters: &clusters, probe: &Listening(listening), steps: &steps };
    init(&args, &with).await
}

fn ready(changed: bool) -> Initialized {
    let join_command = "keadm join --cloudcore-ipport=192.0.2.2:10000 --token=TOKEN".into();
    Initialized::Ready { join_command, changed }
}

fn cloudcore() -> Process {
    Process { pid: 7, name: "cloudcore".into(), ..Process::default() }
}

#[tokio::test]
async fn a_host_without_a_cluster_gets_one() {
    let host = RecordingHost::default().with_file(OURS, ADMIN);
    assert_eq!(run(&host, &[OURS], true, &[]).await, Ok(ready(true)));
    insta::assert_snapshot!(host.done().join("\n"), @"
    make directory /etc/kubeedge (0755)
    make directory /etc/kubeedge/config (0755)
    make directory /var/lib/kubeedge (0755)
    make directory /var/log/kubeedge (0755)
    let the service create /etc/kubeedge/ca
    let the service create /etc/kubeedge/certs
    let the service create /var/lib/kubeedge/kubeedge.sock
    let the service create /var/lib/kubeedge/controlplane
    make directory /usr/local/bin (0755)
    write /var/lib/kubeedge/.keadm-installed (0644)
    copy /root/keadm to /usr/local/bin/keadm (0755)
    link /usr/local/bin/cloudcore to /usr/local/bin/keadm
    link /etc/kubeedge/certgen.sh to /usr/local/bin/keadm
    write /etc/kubeedge/cloudcore.service (0644)
    write /etc/kubeedge/config/cloudcore.yaml (0644)
    write /etc/systemd/system/cloudcore.service (0644)
    reload systemd's units
    start service cloudcore
    make directory /root/.kube (0700)
    write /root/.kube/config (0600)
    make directory /etc/kubernetes (0755)
    write /etc/kubernetes/admin.conf (0600)
    ");
    let yaml = host.text(CLOUDCORE_CONFIG_FILE).unwrap();
    assert!(yaml.contains("controlPlane:\n  advertiseAddress: 192.0.2.2\n"));
    assert!(host.text("/root/.kube/config").unwrap().contains("current-context: kubeedge"));
}

#[tokio::test]
async fn the_same_init_again_changes_nothing_and_new_addresses_do() {
    let mut host = RecordingHost::default().with_file(OURS, ADMIN);
    run(&host, &[OURS], true, &[]).await.unwrap();
    host.processes.push(cloudcore());
    let before = host.done();
    assert_eq!(run(&host, &[OURS], true, &[]).await, Ok(ready(false)));
    assert_eq!(run(&host, &[OURS], true, &["--advertise-address=192.0.2.2"]).await, Ok(ready(false)));
    assert_eq!(host.done(), before);

    host.processes.clear();
    assert_eq!(run(&host, &[OURS], true, &[]).await, Ok(ready(true)));
    let started =
        ["write /etc/systemd/system/cloudcore.service (0644)", "reload systemd's units", "start service cloudcore"];
    assert_eq!(host.done()[before.len()..], started, "one that stopped is only started");
    host.processes.push(cloudcore());

    let changed = run(&host, &[OURS], true, &["--advertise-address=192.0.2.9,cloud.example"]).await.unwrap();
    let Initialized::Ready { join_command, changed: true } = changed else { panic!("{changed:?}") };
    assert_eq!(join_command, "keadm join --cloudcore-ipport=192.0.2.9:10000 --token=TOKEN");
    assert!(host.done()[before.len()..].contains(&"stop service cloudcore".to_owned()));
}

#[tokio::test]
async fn a_cluster_that_answers_is_used_and_one_that_does_not_is_passed_over() {
    let host = RecordingHost::default().with_file("/root/.kube/config", "").with_file("/etc/kubernetes/admin.conf", "");
    assert_eq!(run(&host, &["/etc/kubernetes/admin.conf"], true, &[]).await, Ok(ready(true)));
    let yaml = host.text(CLOUDCORE_CONFIG_FILE).unwrap();
    assert!(yaml.contains("kubeConfig: /etc/kubernetes/admin.conf\n"));
    assert!(!yaml.contains("controlPlane"));

    let failure = run(&host, &["/etc/kubernetes/admin.conf"], true, &["--embedded"]).await.unwrap_err();
    assert!(failure.text().contains("[OtherCluster]"), "{}", failure.text());
}

#[tokio::test]
async fn obstacles_are_told_and_the_host_stays_as_it_is() {
    let check = async |host: RecordingHost, arguments: &[&str], id: &str| {
        let failure = run(&host, &[], true, arguments).await.unwrap_err();
        assert_eq!(failure.causes[0].advice.as_ref().map(|advice| advice.id), Some(id), "{}", failure.text());
        assert_eq!(failure.exit, Exit::Preflight);
        assert_eq!(host.done(), Vec::<String>::new());
    };
    let mut host = RecordingHost::default();
    host.root = false;
    check(host, &[], "NotRoot").await;
    let mut host = RecordingHost::default();
    host.ports.insert(10000, "nginx (pid 9)".into());
    check(host, &[], "Port").await;
    let mut host = RecordingHost::default();
    host.processes.push(cloudcore());
    check(host, &[], "CloudCoreRunning").await;
    check(RecordingHost::default(), &["--kube-config=/nowhere"], "ClusterUnreachable").await;
    check(RecordingHost::default(), &["--advertise-address=a_b"], "AdvertiseAddress").await;
    check(RecordingHost::default(), &["--advertise-address=", "--set=x"], "Config").await;
}

#[tokio::test(start_paused = true)]
async fn a_cloudcore_that_does_not_get_ready_is_rolled_back_with_evidence() {
    let mut host = RecordingHost::default().with_file(OURS, ADMIN);
    host.log = vec!["address in use".into()];
    let failure = run(&host, &[OURS], false, &["--timeout=3"]).await.unwrap_err();
    assert_eq!(failure.exit, Exit::Failed);
    assert!(failure.text().contains("the certificate server does not answer on 127.0.0.1:10002"), "{}", failure.text());
    assert!(failure.text().contains("     | address in use"));
    assert!(host.was_rolled_back());
}

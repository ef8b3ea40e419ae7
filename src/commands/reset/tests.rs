use std::{path::Path, time::Duration};

use async_trait::async_trait;
use clap::Parser as _;

use super::*;
use crate::{
    cli::{Cli, Command},
    commands::runtime::RuntimeFacts,
    host::{Process, recording::RecordingHost},
};

struct FakeRuntimes;

#[async_trait]
impl Runtimes for FakeRuntimes {
    async fn inspect(&self, _: &str) -> Result<RuntimeFacts, RuntimeError> {
        Ok(RuntimeFacts::default())
    }

    async fn pods(&self, _: &str) -> Result<Vec<String>, RuntimeError> {
        Ok(Vec::new())
    }

    async fn remove_pods(&self, endpoint: &str, _: &[String]) -> Result<Vec<String>, RuntimeError> {
        if endpoint.contains("stubborn") {
            return Err(RuntimeError::Stubborn { endpoint: endpoint.into(), failed: vec!["default/web: busy".into()] });
        }
        Ok(vec!["default/web".into()])
    }
}

struct NoClusters;

#[async_trait]
impl Clusters for NoClusters {
    async fn version(&self, path: &Path, after: Duration) -> Result<String, ClusterError> {
        Err(ClusterError::Timeout { path: path.to_owned(), after })
    }

    async fn token(&self, path: &Path) -> Result<Option<String>, ClusterError> {
        Err(ClusterError::Timeout { path: path.to_owned(), after: Duration::ZERO })
    }

    async fn remove_namespace(&self, _: &Path) -> Result<(), ClusterError> {
        Ok(())
    }
}

async fn run(host: &RecordingHost, arguments: &[&str]) -> Result<(), Failure> {
    let cli = Cli::try_parse_from(["keadm", "reset"].iter().chain(arguments)).unwrap();
    let Command::Reset(args) = cli.command else { panic!("reset") };
    reset(&args, host, &FakeRuntimes, &NoClusters, &Steps::silent()).await
}

fn joined() -> RecordingHost {
    RecordingHost::default()
        .with_file("/etc/kubeedge/config/edgecore.yaml", "{}")
        .with_file("/var/lib/kubeedge/edgecore.db", "")
        .with_file("/var/lib/kubeedge/.keadm-installed", "")
        .with_file("/usr/local/bin/edgecore", "")
        .with_file("/usr/local/bin/keadm", "")
        .with_file("/etc/systemd/system/edgecore.service", "")
        .with_file("/var/lib/kubelet/pods/u/etc-hosts", "")
        .with_dir("/var/log/kubeedge")
        .with_file("/run/containerd/containerd.sock", "")
        .with_file("/run/stubborn.sock", "")
}

#[tokio::test]
async fn pods_that_stay_keep_what_a_second_reset_needs() {
    let config = "/etc/kubeedge/config/edgecore.yaml";
    let host = joined();
    let failure = run(&host, &["--force", "--remote-runtime-endpoint=unix:///run/stubborn.sock"]).await.unwrap_err();
    assert!(failure.text().contains("default/web: busy"), "{}", failure.text());
    assert!(failure.text().contains("[PodsLeft]"), "{}", failure.text());
    assert!(host.text(config).is_some() && host.text("/usr/local/bin/edgecore").is_some());
    run(&host, &["--force"]).await.unwrap();
    assert!(host.text(config).is_none());

    let host = RecordingHost::default()
        .with_file(config, "{}")
        .with_file("/var/lib/kubeedge/edgecore.db", "")
        .with_dir("/var/lib/kubelet/pods/u");
    let failure = run(&host, &["--force"]).await.unwrap_err();
    assert!(failure.text().contains("[RuntimeEndpoint]"), "{}", failure.text());
    assert!(host.text(config).is_some() && host.text("/var/lib/kubeedge/edgecore.db").is_some());
}

#[tokio::test]
async fn an_edgecore_in_a_container_is_not_ours() {
    let mut host = joined();
    let executable = Some("/usr/local/bin/edgecore".into());
    let edgecore = Process { pid: 7, name: "edgecore".into(), executable, ..Process::default() };
    host.processes = vec![edgecore.clone(), Process { pid: 8, foreign: true, ..edgecore }];
    run(&host, &["--force"]).await.unwrap();
    let ended: Vec<_> = host.done().into_iter().filter(|action| action.starts_with("end process")).collect();
    assert_eq!(ended, ["end process 7 (edgecore)"]);
}

#[tokio::test]
async fn a_joined_host_is_left_clean() {
    let mut host = joined();
    host.mounts.push("/var/lib/kubelet/pods/u/volumes/v".into());
    run(&host, &["edge", "--force"]).await.unwrap();
    insta::assert_snapshot!(host.done().join("\n"), @"
    stop service edgecore
    remove /etc/systemd/system/edgecore.service
    reload systemd's units
    unmount /var/lib/kubelet/pods/u/volumes/v
    remove /var/lib/kubelet with everything in it
    remove /var/lib/kubeedge/edgecore.db
    remove /etc/kubeedge/config/edgecore.yaml
    remove /usr/local/bin/edgecore
    remove /var/log/kubeedge with everything in it
    remove /var/lib/kubeedge with everything in it
    remove /usr/local/bin/keadm
    ");
    let before = host.done();
    run(&host, &["--force"]).await.unwrap();
    assert_eq!(host.done(), before, "a second reset finds nothing");
}

#[tokio::test]
async fn what_belongs_to_a_kubelet_stays() {
    let mut host = joined();
    host.processes.push(Process { pid: 7, name: "kubelet".into(), ..Process::default() });
    run(&host, &["--force"]).await.unwrap();
    assert!(!host.done().iter().any(|action| action.contains("/var/lib/kubelet")));
}

#[tokio::test]
async fn the_other_side_on_the_same_host_stays() {
    let host =
        joined().with_file("/etc/kubeedge/config/cloudcore.yaml", "{}").with_file("/usr/local/bin/cloudcore", "");
    run(&host, &["edge", "--force"]).await.unwrap();
    assert!(host.text("/etc/kubeedge/config/cloudcore.yaml").is_some());
    assert!(host.text("/usr/local/bin/keadm").is_some());
    assert!(host.text("/usr/local/bin/cloudcore").is_some());
    assert!(host.text("/etc/kubeedge/config/edgecore.yaml").is_none());
}

#[tokio::test]
async fn our_context_leaves_the_kubeconfig_and_foreign_files_stay() {
    let admin = "clusters:\n- cluster:\n    certificate-authority-data: QQ==\n  name: k\nusers: []\n";
    let merged =
        crate::commands::kubeconfig::merged("current-context: work\ncontexts:\n- name: work\n", admin).unwrap();
    let host = RecordingHost::default()
        .with_file("/etc/kubeedge/config/cloudcore.yaml", "controlPlane: {enable: true, advertiseAddress: 192.0.2.2}\nmodules: {cloudHub: {advertiseAddress: [192.0.2.2]}}\n")
        .with_file("/var/lib/kubeedge/controlplane/admin.conf", admin)
        .with_file("/root/.kube/config", &merged)
        .with_file("/etc/kubernetes/admin.conf", "of somebody else");
    run(&host, &["cloud", "--force"]).await.unwrap();
    let left = host.text("/root/.kube/config").unwrap();
    assert!(left.contains("name: work") && !left.contains("kubeedge"), "{left}");
    assert_eq!(host.text("/etc/kubernetes/admin.conf").as_deref(), Some("of somebody else"));
    assert_eq!(host.text("/var/lib/kubeedge/controlplane/admin.conf"), None);
}

#[tokio::test]
async fn without_a_terminal_or_root_nothing_happens() {
    let host = joined();
    let failure = run(&host, &[]).await.unwrap_err();
    assert_eq!(failure.exit, Exit::Aborted);
    assert!(failure.text().contains("--force"));
    let mut host = joined();
    host.root = false;
    assert_eq!(run(&host, &["--force"]).await.unwrap_err().exit, Exit::Preflight);
    assert_eq!(host.done(), Vec::<String>::new());
}

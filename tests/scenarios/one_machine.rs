//! One bare machine becomes cloud and edge, runs a pod, and is given back as it was.

use std::time::Duration;

use crate::host::{Host, Init};
use crate::site::{Cloud, RUNNING, Site, config_map, pod};
use crate::wait::until;

#[test]
#[ignore = "needs: root, containerd"]
fn a_bare_machine_runs_a_pod_and_reset_leaves_nothing() {
    let mut site = Site::new(Cloud::Embedded);
    site.host("solo", Init::Plain);
    let solo = site.at(0);
    let before = solo.footprint();

    site.init(0);
    let ready = site.join(0, 0);
    println!("join → node Ready: {ready:?}");

    solo.apply(&config_map("hello-config", "good morning"));
    solo.apply(&pod("hello", "solo", true));
    let running = site.pod_is_running(0, "hello", RUNNING);
    println!("apply → Running: {running:?}");
    let log = log_of(solo, "hello");
    assert!(log.contains("started") && log.contains("good morning"), "{log}");

    // Both commands again: they succeed and change nothing.
    let containers = solo.containers();
    let cores = (solo.pids("cloudcore"), solo.pids("edgecore"));
    site.init(0);
    site.join(0, 0);
    assert_eq!((solo.pids("cloudcore"), solo.pids("edgecore")), cores, "a second run must not restart anything");
    assert_eq!(solo.containers(), containers);

    solo.keadm(&["reset", "--force"]).ok();
    let (after, _) = until("everything taken away", Duration::from_secs(20), || {
        let after = solo.footprint();
        let left: Vec<_> = after.difference(&before).collect();
        if left.is_empty() { Ok(after.clone()) } else { Err(format!("left behind: {left:?}")) }
    });
    // Test hosts share the machine's cgroup tree: an empty group that an earlier host left behind is nobody's.
    let lost: Vec<_> = before.difference(&after).filter(|line| !line.starts_with("cgroup ")).collect();
    assert!(lost.is_empty(), "reset took what was not ours: {lost:?}");
}

/// The log of the pod's container, as the container runtime wrote it.
fn log_of(host: &Host, pod: &str) -> String {
    host.run(&[
        "/usr/bin/find",
        "/var/log/pods",
        "-path",
        &format!("*_{pod}_*"),
        "-name",
        "*.log",
        "-exec",
        "cat",
        "{}",
        "+",
    ])
    .ok()
}

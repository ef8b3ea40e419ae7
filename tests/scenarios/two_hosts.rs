//! A cloud and an edge on two hosts, with the network between them cut and healed.

use std::time::Duration;

use crate::host::{Host, Init};
use crate::site::{CONVERGED, Cloud, RUNNING, Site, config_map, pod};
use crate::wait::until;

/// The limit for pods to run again on an edge without its cloud.
const OFFLINE_RESTART: Duration = Duration::from_secs(15);

#[test]
#[ignore = "needs: root, containerd"]
fn pods_come_back_offline_after_everything_was_killed() {
    offline_restart(Cloud::Embedded);
}

#[test]
#[ignore = "needs: root, containerd"]
fn what_changed_while_cut_off_has_happened_five_seconds_after_the_reconnect() {
    reconnect(Cloud::Embedded);
}

#[test]
#[ignore = "needs: root, containerd"]
fn a_pod_older_than_its_node_is_delivered() {
    early_pod(Cloud::Embedded);
}

/// Network cut, edgecore killed, all containers gone: the pod runs again with no cloud, and heals afterwards.
pub fn offline_restart(kind: Cloud) {
    let site = Site::two_hosts(kind, "cloud1", "edge1", Init::Plain);
    let (cloud, edge) = (site.at(0), site.at(1));
    cloud.apply(&config_map("web-config", "kept"));
    cloud.apply(&pod("web", "edge1", true));
    site.pod_is_running(0, "web", RUNNING);

    edge.cut();
    assert!(edge.kill("edgecore") > 0);
    remove_all_containers(edge);
    let (_, took) = until("the pod runs again, offline", OFFLINE_RESTART, || {
        edge.containers().get("default/web/main").cloned().ok_or_else(|| "no container".to_owned())
    });
    println!("offline restart: {took:?}");

    edge.heal();
    site.node_is_ready(0, "edge1", Duration::from_secs(20));
    site.pod_is_running(0, "web", CONVERGED);
}

/// A create, a change and a delete while apart have all happened after the reconnect, and nothing else.
pub fn reconnect(kind: Cloud) {
    let site = Site::two_hosts(kind, "cloud2", "edge2", Init::Plain);
    let (cloud, edge) = (site.at(0), site.at(1));
    for name in ["keep", "change", "remove"] {
        cloud.apply(&config_map(&format!("{name}-config"), "before"));
        cloud.apply(&pod(name, "edge2", true));
        site.pod_is_running(0, name, RUNNING);
    }
    let before = edge.containers();

    edge.cut();
    cloud.apply(&pod("fresh", "edge2", false));
    cloud.apply(&config_map("change-config", "after"));
    cloud.kubectl(&["delete", "pod", "remove", "--wait=false"]).ok();
    // Long enough for both ends to notice.
    std::thread::sleep(Duration::from_secs(20));

    edge.heal();
    let ((), took) = until("all three changes on the edge", CONVERGED, || {
        let now = edge.containers();
        if !now.contains_key("default/fresh/main") {
            return Err("the new pod does not run".to_owned());
        }
        if now.contains_key("default/remove/main") {
            return Err("the deleted pod still runs".to_owned());
        }
        let text = mounted_config(edge, "change");
        if text.contains("after") { Ok(()) } else { Err(format!("the ConfigMap reads {text:?}")) }
    });
    println!("reconnect → converged: {took:?}");
    site.pod_is_running(0, "fresh", CONVERGED);
    site.pod_is_gone(0, "remove", CONVERGED);
    let after = edge.containers();
    for kept in ["default/keep/main", "default/change/main"] {
        assert_eq!(before.get(kept), after.get(kept), "{kept} was restarted and nobody changed it");
    }
    site.node_is_ready(0, "edge2", CONVERGED);
}

/// A pod bound to a node that has never connected runs as soon as it joins.
pub fn early_pod(kind: Cloud) {
    let mut site = Site::new(kind);
    site.host("cloud3", Init::Plain);
    site.host("edge3", Init::Plain);
    site.init(0);
    let cloud = site.at(0);
    let bound = pod("early", "edge3", false).replace("  terminationGrace", "  nodeName: edge3\n  terminationGrace");
    cloud.apply(&bound);
    site.join(1, 0);
    site.pod_is_running(0, "early", CONVERGED);
}

#[test]
#[ignore = "needs: root, containerd"]
fn a_systemd_host_runs_edgecore_as_a_unit() {
    let site = Site::two_hosts(Cloud::Embedded, "cloud4", "edge4", Init::Systemd);
    let edge = site.at(1);
    assert_eq!(edge.run(&["/usr/bin/systemctl", "is-active", "edgecore"]).ok().trim(), "active");
    assert_eq!(edge.run(&["/usr/bin/systemctl", "is-enabled", "edgecore"]).ok().trim(), "enabled");
    site.at(0).apply(&pod("unit", "edge4", false));
    site.pod_is_running(0, "unit", RUNNING);
    let before = edge.containers();
    assert!(edge.kill("edgecore") > 0);
    until("systemd restarts edgecore", Duration::from_secs(15), || {
        if edge.pids("edgecore").is_empty() { Err("not running".to_owned()) } else { Ok(()) }
    });
    site.node_is_ready(0, "edge4", Duration::from_secs(10));
    assert_eq!(edge.containers(), before);

    edge.keadm(&["reset", "--force"]).ok();
    assert_ne!(edge.run(&["/usr/bin/systemctl", "status", "edgecore"]).code, 0);
    assert!(!edge.path("/etc/systemd/system/edgecore.service").exists());
}

/// Removes every container and sandbox behind edgecore's back.
fn remove_all_containers(host: &Host) {
    let list = host.run(&["/usr/bin/ctr", "-n", "k8s.io", "tasks", "list", "-q"]).ok();
    for id in list.lines() {
        host.run(&["/usr/bin/ctr", "-n", "k8s.io", "tasks", "kill", "-s", "SIGKILL", "-a", id]);
    }
    for id in list.lines() {
        until("a container removed", Duration::from_secs(10), || {
            host.run(&["/usr/bin/ctr", "-n", "k8s.io", "tasks", "rm", id]);
            let said = host.run(&["/usr/bin/ctr", "-n", "k8s.io", "containers", "rm", id]);
            if said.code == 0 || said.err.contains("not found") { Ok(()) } else { Err(said.err) }
        });
    }
}

/// What the pod's mounted ConfigMap reads inside the edge's volume folder.
pub fn mounted_config(host: &Host, pod: &str) -> String {
    let containers = host.containers();
    let Some(id) = containers.get(&format!("default/{pod}/main")) else { return String::new() };
    host.run(&[
        "/usr/bin/ctr",
        "-n",
        "k8s.io",
        "tasks",
        "exec",
        "--exec-id",
        "read",
        id,
        "/bin/cat",
        "/config/greeting",
    ])
    .out
}

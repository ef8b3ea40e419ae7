//! Stories about pods on a real container runtime.
//!
//! Each test has a containerd of its own, so they take turns: `cargo test -p edged --test pods -- --ignored
//! --test-threads=1`.

#[expect(clippy::unwrap_used, reason = "the helpers of a test fail by panicking, as the test itself does")]
#[path = "support/site.rs"]
mod site;

use std::time::{Duration, Instant};

use serde_json::json;

use site::{Site, pod, server, shell};

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn pod_runs_and_is_reported() {
    let mut site = Site::new();
    site.start();
    tokio::time::sleep(Duration::from_secs(2)).await; // past the first health checks
    let created = Instant::now();
    site.cloud.put(pod("web", json!({"containers": [server("a")]})));
    site.phase("web", "Running").await;
    let took = created.elapsed();
    let status = site.cloud.status("web");
    eprintln!("create to Running: {took:?}\n{status:#}");
    assert!(status["podIP"].as_str().unwrap().starts_with("10.231."));
    assert!(status["hostIP"].is_string());
    let ready = status["conditions"].as_array().unwrap().iter().find(|it| it["type"] == "Ready").unwrap();
    assert_eq!(ready["status"], "True");
    let container = site.cloud.container("web");
    assert!(container["containerID"].as_str().unwrap().starts_with("containerd://"));
    assert_eq!(container["restartCount"], 0);
    let log = site.dir().join("pods/default_web_web/a/0.log");
    assert!(log.exists());
    site.stop().await;
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn restart_of_the_agent_changes_nothing() {
    let mut site = Site::new();
    site.start();
    site.cloud.put(pod("web", json!({"containers": [server("a"), server("b")]})));
    site.phase("web", "Running").await;
    let before = (site.containerd.tasks(), site.cloud.status("web"));
    assert_eq!(before.0.len(), 3);
    site.kill().await;
    let patches = site.cloud.state().patches.len();
    site.start();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!((site.containerd.tasks(), site.cloud.status("web")), before);
    assert_eq!(site.cloud.state().patches.len(), patches, "nothing had to be said");
    site.stop().await;
    assert_eq!(site.containerd.tasks(), before.0, "an orderly end stops no container either");
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn deleted_pod_ends_in_time_and_its_deletion_is_confirmed() {
    let mut site = Site::new();
    site.start();
    site.cloud.put(pod("web", json!({"containers": [server("a")]})));
    site.phase("web", "Running").await;
    assert!(!site::cgroups_of("web").is_empty());
    site.cloud.delete("web", 30);
    let confirmed = || site.cloud.state().confirmed.contains(&"web".to_owned()).then_some(());
    site.until("deletion is confirmed", Duration::from_secs(5), confirmed).await;
    let last = site.cloud.state().patches.last().unwrap().clone();
    assert_eq!(last["status"]["phase"], "Succeeded", "the final status came before the confirmation");
    let left = || (site.containerd.ctr(&["containers", "ls", "-q"]).stdout.is_empty()).then_some(());
    site.until("nothing is left in the runtime", Duration::from_secs(5), left).await;
    let clean = || {
        let links = std::fs::read_dir(site.dir().join("containers")).unwrap().count();
        let gone = |path: &str| !site.dir().join(path).exists();
        let cgroups = site::cgroups_of("web").is_empty();
        (gone("kubelet/pods/web") && gone("pods/default_web_web") && links == 0 && cgroups).then_some(())
    };
    site.until("nothing is left on disk", Duration::from_secs(2), clean).await;
    site.stop().await;
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn stubborn_container_is_killed_after_the_grace_period_and_a_shorter_one_counts_at_once() {
    let mut site = Site::new();
    site.start();
    let deaf = json!([shell("a", "trap '' TERM; while :; do sleep 1; done")]);
    site.cloud.put(pod("deaf", json!({"containers": deaf, "terminationGracePeriodSeconds": 300})));
    site.phase("deaf", "Running").await;
    site.cloud.delete("deaf", 300);
    tokio::time::sleep(Duration::from_secs(2)).await;
    site.cloud.delete("deaf", 1);
    let confirmed = || site.cloud.state().confirmed.contains(&"deaf".to_owned()).then_some(());
    site.until("deletion is confirmed", Duration::from_secs(8), confirmed).await;
    let state = site.cloud.state();
    let last = state.patches.iter().rev().find(|it| it["status"]["containerStatuses"].is_array()).unwrap();
    assert_eq!(last["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], 137);
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn removed_pod_is_stopped_without_a_status() {
    let mut site = Site::new();
    site.start();
    site.cloud.put(pod("web", json!({"containers": [server("a")]})));
    site.phase("web", "Running").await;
    site.cloud.force_delete("web");
    let left = || (site.containerd.ctr(&["containers", "ls", "-q"]).stdout.is_empty()).then_some(());
    site.until("nothing is left in the runtime", Duration::from_secs(8), left).await;
    assert!(site.cloud.state().confirmed.is_empty());
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn crashing_container_backs_off_and_its_restart_count_survives_the_agent() {
    let mut site = Site::new();
    site.start();
    site.cloud.put(pod("crash", json!({"containers": [shell("a", "echo bye > /dev/termination-log; exit 3")]})));
    let status = site.waiting("crash", "CrashLoopBackOff").await;
    assert_eq!(status["restartCount"], 1);
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 3);
    assert_eq!(status["lastState"]["terminated"]["message"], "bye\n");
    let text = status["state"]["waiting"]["message"].as_str().unwrap();
    assert_eq!(text, "back-off 10s restarting failed container=a pod=crash_default(crash)");
    assert_eq!(site.cloud.status("crash")["phase"], "Running");
    let restarts = |at_least: i64| {
        let cloud = site.cloud.clone();
        move || (cloud.container("crash")["restartCount"].as_i64() >= Some(at_least)).then_some(())
    };
    let waited = Instant::now();
    site.until("second restart", Duration::from_secs(15), restarts(2)).await;
    assert!(waited.elapsed() > Duration::from_secs(7), "the back-off was kept");
    site.kill().await;
    site.start();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(site.cloud.container("crash")["restartCount"], 2, "the crash loop goes on where it was");
    site.stop().await;
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn exited_container_is_noticed_and_restarted_at_once() {
    let mut site = Site::new();
    site.start();
    site.cloud.put(pod("web", json!({"containers": [server("a")]})));
    site.phase("web", "Running").await;
    tokio::time::sleep(Duration::from_secs(3)).await; // the agent is idle now
    let id = site.cloud.container("web")["containerID"].as_str().unwrap().replace("containerd://", "");
    let killed = Instant::now();
    site.containerd.ctr(&["tasks", "kill", "-s", "SIGKILL", &id]);
    let restarted = || (site.cloud.container("web")["restartCount"] == 1).then_some(());
    site.until("restarted", Duration::from_secs(5), restarted).await;
    eprintln!("exit to restarted and reported: {:?}", killed.elapsed());
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn everything_runs_again_offline_after_all_was_destroyed() {
    let mut site = Site::new();
    site.start();
    for index in 0..10 {
        site.cloud.put(pod(&format!("p{index}"), json!({"containers": [server("a")]})));
    }
    for index in 0..10 {
        site.phase(&format!("p{index}"), "Running").await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    site.kill().await;
    site.cloud.link.send_replace(false);
    site.containerd.destroy_all();
    assert!(site.containerd.tasks().is_empty());
    let started = Instant::now();
    site.start();
    let all = || (site.containerd.tasks().len() == 20).then_some(());
    site.until("all pods run again", Duration::from_secs(15), all).await;
    eprintln!("10 pods again after {:?}", started.elapsed());
    let patches = site.cloud.state().patches.len();
    site.cloud.link.send_replace(true);
    let reported = || (site.cloud.container("p0")["restartCount"] == 1).then_some(());
    site.until("the cloud learns of it", Duration::from_secs(5), reported).await;
    assert!(site.cloud.state().patches.len() > patches);
    site.stop().await;
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn job_ends_and_does_not_run_again() {
    let mut site = Site::new();
    site.start();
    let spec = json!({"restartPolicy": "Never", "containers": [shell("a", "echo done")]});
    site.cloud.put(pod("job", spec.clone()));
    site.phase("job", "Succeeded").await;
    let terminated = &site.cloud.container("job")["state"]["terminated"];
    assert_eq!((&terminated["exitCode"], &terminated["reason"]), (&json!(0), &json!("Completed")));
    let log = std::fs::read_to_string(site.dir().join("pods/default_job_job/a/0.log")).unwrap();
    assert!(log.ends_with("stdout F done\n"), "{log}");
    site.kill().await;
    site.containerd.destroy_all();
    site.start();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(site.containerd.tasks().is_empty());
    assert!(site.containerd.ctr(&["containers", "ls", "-q"]).stdout.is_empty(), "not started again");
    assert_eq!(site.cloud.status("job")["phase"], "Succeeded");
    let mut failing = spec;
    failing["containers"] = json!([shell("a", "exit 4")]);
    site.cloud.put(pod("job2", failing));
    site.phase("job2", "Failed").await;
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn init_containers_run_in_order_before_the_others() {
    let mut site = Site::new();
    site.start();
    let mount = json!([{"name": "d", "mountPath": "/d"}]);
    let with_mount = |mut container: serde_json::Value| {
        container["volumeMounts"] = mount.clone();
        container
    };
    let spec = json!({
        "volumes": [{"name": "d", "emptyDir": {}}],
        "initContainers": [
            with_mount(shell("one", "echo one >> /d/order")),
            with_mount(shell("two", "echo two >> /d/order")),
        ],
        "containers": [with_mount(shell("a", "cat /d/order; sleep 1000"))],
    });
    let created = Instant::now();
    site.cloud.put(pod("init", spec));
    site.phase("init", "Running").await;
    eprintln!("two init containers and one: {:?}", created.elapsed());
    let log = std::fs::read_to_string(site.dir().join("pods/default_init_init/a/0.log")).unwrap();
    let words: Vec<&str> = log.lines().filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(words, ["one", "two"]);
    let status = site.cloud.status("init");
    assert_eq!(status["initContainerStatuses"][1]["state"]["terminated"]["exitCode"], 0);
    assert_eq!(status["initContainerStatuses"][1]["ready"], true);
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn orphans_are_stopped_and_everything_of_them_removed() {
    let mut site = Site::new();
    site.start();
    let mut burstable = server("a");
    burstable["resources"] = json!({"requests": {"cpu": "10m"}});
    site.cloud.put(pod("old", json!({"containers": [burstable]})));
    site.phase("old", "Running").await;
    assert!(!site::cgroups_of("old").is_empty());
    site.kill().await;
    site.cloud.state().pods.clear();
    site.start();
    let left = || (site.containerd.ctr(&["containers", "ls", "-q"]).stdout.is_empty()).then_some(());
    site.until("nothing is left in the runtime", Duration::from_secs(10), left).await;
    let no_cgroups = || site::cgroups_of("old").is_empty().then_some(());
    site.until("no cgroup is left", Duration::from_secs(5), no_cgroups).await;
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn missing_image_is_told_by_its_reason() {
    let mut site = Site::new();
    site.start();
    let with = |image: &str, policy: &str| {
        let mut container = server("a");
        container["image"] = json!(image);
        container["imagePullPolicy"] = json!(policy);
        json!({"containers": [container]})
    };
    site.cloud.put(pod("never", with("absent:1", "Never")));
    site.cloud.put(pod("pull", with("127.0.0.1:1/absent:1", "IfNotPresent")));
    site.cloud.put(pod("name", with("Not An Image", "IfNotPresent")));
    let never = site.waiting("never", "ErrImageNeverPull").await;
    let text = "Container image \"absent:1\" is not present with pull policy of Never";
    assert_eq!(never["state"]["waiting"]["message"], text);
    site.waiting("name", "InvalidImageName").await;
    let pull = site.waiting("pull", "ImagePullBackOff").await;
    let text = pull["state"]["waiting"]["message"].as_str().unwrap();
    assert!(text.starts_with("Back-off pulling image \"127.0.0.1:1/absent:1\""), "{text}");
    assert_eq!(site.cloud.status("pull")["phase"], "Pending");
    // an image at hand serves a pod with policy Always while no registry is in reach
    site.cloud.put(pod("always", with("busybox:1", "Always")));
    site.phase("always", "Running").await;
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn missing_config_map_is_waited_for() {
    let mut site = Site::new();
    site.start();
    let mut container = shell("a", "cat /c/key; sleep 1000");
    container["volumeMounts"] = json!([{"name": "c", "mountPath": "/c"}]);
    let spec = json!({"volumes": [{"name": "c", "configMap": {"name": "cfg"}}], "containers": [container]});
    site.cloud.put(pod("conf", spec));
    site.waiting("conf", "ContainerCreating").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let map = serde_json::from_value(json!({"metadata": {"name": "cfg"}, "data": {"key": "value\n"}})).unwrap();
    site.cloud.state().config_maps.insert("cfg".to_owned(), map);
    let kind = edged::doors::ObjectKind::ConfigMap;
    let change = edged::doors::ObjectChange { kind, namespace: "default".to_owned(), name: "cfg".to_owned() };
    site.changes.send(change).unwrap();
    let told = Instant::now();
    site.phase("conf", "Running").await;
    assert!(told.elapsed() < Duration::from_secs(2), "the change woke the pod");
    let logged = || {
        let log = std::fs::read_to_string(site.dir().join("pods/default_conf_conf/a/0.log")).ok()?;
        log.ends_with("stdout F value\n").then_some(())
    };
    site.until("the file is there", Duration::from_secs(2), logged).await;
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn changed_image_restarts_only_that_container() {
    let mut site = Site::new();
    site.start();
    let mut object = pod("web", json!({"containers": [server("a"), server("b")]}));
    site.cloud.put(object.clone());
    site.phase("web", "Running").await;
    let id = |index: usize| site.cloud.status("web")["containerStatuses"][index]["containerID"].clone();
    let (a, b) = (id(0), id(1));
    object["spec"]["containers"][0]["image"] = json!("busybox:1");
    object["status"] = site.cloud.status("web");
    site.cloud.put(object);
    let changed = || (site.cloud.status("web")["containerStatuses"][0]["restartCount"] == 1).then_some(());
    site.until("container a is replaced", Duration::from_secs(10), changed).await;
    assert_ne!(id(0), a);
    assert_eq!(id(1), b);
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn host_network_pod_has_the_node_address() {
    let mut site = Site::new();
    site.start();
    site.cloud.put(pod("host", json!({"hostNetwork": true, "containers": [server("a")]})));
    site.phase("host", "Running").await;
    let status = site.cloud.status("host");
    assert_eq!(status["podIP"], status["hostIP"]);
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn twenty_idle_pods_cost_next_to_nothing() {
    let mut site = Site::new();
    site.start();
    for index in 0..20 {
        site.cloud.put(pod(&format!("p{index}"), json!({"containers": [shell("a", "sleep 100000")]})));
    }
    for index in 0..20 {
        site.phase(&format!("p{index}"), "Running").await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (agent, runtime) = (site::cpu_seconds(std::process::id()), site.containerd.cpu_seconds());
    tokio::time::sleep(Duration::from_secs(30)).await;
    let agent = (site::cpu_seconds(std::process::id()) - agent) / 30.0 * 100.0;
    let runtime = (site.containerd.cpu_seconds() - runtime) / 30.0 * 100.0;
    let heap = site::anonymous_kilobytes();
    eprintln!("idle with 20 pods: agent {agent:.2} % of a core, {heap} kB of heap; containerd {runtime:.2} %");
    assert!(agent < 1.0, "agent uses {agent} % of a core");
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn probes_decide_readiness_and_restarts() {
    let mut site = Site::new();
    site.start();
    let mut container = shell("a", "sleep 1; echo > /ready; sleep 1000");
    let probe = |command: &[&str]| {
        json!({"exec": {"command": command}, "periodSeconds": 1, "timeoutSeconds": 1,
        "failureThreshold": 1, "successThreshold": 1})
    };
    container["readinessProbe"] = probe(&["cat", "/ready"]);
    site.cloud.put(pod("slow", json!({"containers": [container]})));
    site.phase("slow", "Running").await;
    assert_eq!(site.cloud.container("slow")["ready"], false);
    let ready = || (site.cloud.container("slow")["ready"] == true).then_some(());
    site.until("ready", Duration::from_secs(5), ready).await;

    let mut sick = server("a");
    sick["livenessProbe"] = probe(&["false"]);
    site.cloud.put(pod("sick", json!({"containers": [sick]})));
    let restarted = || (site.cloud.container("sick")["restartCount"].as_i64() >= Some(1)).then_some(());
    site.until("restarted by its liveness probe", Duration::from_secs(10), restarted).await;

    // a restart of the agent does not make a ready pod unready
    let patches = site.cloud.state().patches.len();
    site.kill().await;
    site.cloud.force_delete("sick");
    site.start();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let state = site.cloud.state();
    let unready =
        state.patches[patches..].iter().any(|patch| patch["status"]["containerStatuses"][0]["ready"] == false);
    assert!(!unready, "{:#?}", &state.patches[patches..]);
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn hooks_run_after_the_start_and_before_the_end() {
    let mut site = Site::new();
    site.start();
    let mount = json!([{"name": "d", "mountPath": "/d"}]);
    let mut container = server("a");
    container["volumeMounts"] = mount;
    container["lifecycle"] = json!({
        "postStart": {"exec": {"command": ["/bin/sh", "-c", "echo start >> /d/hooks"]}},
        "preStop": {"exec": {"command": ["/bin/sh", "-c", "echo stop >> /d/hooks"]}},
    });
    let dir = site.dir().join("shared");
    std::fs::create_dir(&dir).unwrap();
    let spec = json!({"volumes": [{"name": "d", "hostPath": {"path": dir}}], "containers": [container]});
    site.cloud.put(pod("hooks", spec));
    site.phase("hooks", "Running").await;
    assert_eq!(std::fs::read_to_string(dir.join("hooks")).unwrap(), "start\n");
    site.cloud.delete("hooks", 5);
    let confirmed = || site.cloud.state().confirmed.contains(&"hooks".to_owned()).then_some(());
    site.until("deletion is confirmed", Duration::from_secs(8), confirmed).await;
    assert_eq!(std::fs::read_to_string(dir.join("hooks")).unwrap(), "start\nstop\n");
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn endless_post_start_hook_does_not_outlive_the_pods_deletion() {
    let mut site = Site::new();
    site.start();
    let mut container = server("a");
    container["lifecycle"] = json!({"postStart": {"exec": {"command": ["/bin/sh", "-c", "> /d/on; sleep 600"]}}});
    container["volumeMounts"] = json!([{"name": "d", "mountPath": "/d"}]);
    let dir = site.dir().join("shared");
    std::fs::create_dir(&dir).unwrap();
    let spec = json!({"volumes": [{"name": "d", "hostPath": {"path": dir}}], "containers": [container]});
    site.cloud.put(pod("hooks", spec));
    let hook_runs = || dir.join("on").exists().then_some(());
    site.until("the hook runs", Duration::from_secs(8), hook_runs).await;
    site.cloud.delete("hooks", 3);
    let confirmed = || site.cloud.state().confirmed.contains(&"hooks".to_owned()).then_some(());
    site.until("deletion is confirmed", Duration::from_secs(8), confirmed).await;
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn sidecar_starts_first_and_stops_last() {
    let mut site = Site::new();
    site.start();
    let dir = site.dir().join("shared");
    std::fs::create_dir(&dir).unwrap();
    let script = |name: &str| {
        format!(
            "echo {name} up >> /d/log; trap 'echo {name} down >> /d/log; exit 0' TERM; while :; do sleep 1 & wait $!; done"
        )
    };
    let with = |name: &str| {
        let mut container = shell(name, &script(name));
        container["volumeMounts"] = json!([{"name": "d", "mountPath": "/d"}]);
        container
    };
    let mut helper = with("side");
    helper["restartPolicy"] = json!("Always");
    let spec = json!({"volumes": [{"name": "d", "hostPath": {"path": dir}}],
        "initContainers": [helper], "containers": [with("main")]});
    site.cloud.put(pod("car", spec));
    site.phase("car", "Running").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    site.cloud.delete("car", 10);
    let confirmed = || site.cloud.state().confirmed.contains(&"car".to_owned()).then_some(());
    site.until("deletion is confirmed", Duration::from_secs(12), confirmed).await;
    assert_eq!(std::fs::read_to_string(dir.join("log")).unwrap(), "side up\nmain up\nmain down\nside down\n");
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn create_to_running_costs_little_more_than_the_runtime() {
    let mut site = Site::new();
    site.start();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut times = Vec::new();
    for index in 0..10 {
        let uid = format!("p{index}");
        let created = Instant::now();
        site.cloud.put(pod(&uid, json!({"containers": [server("a")]})));
        site.phase(&uid, "Running").await;
        times.push(created.elapsed());
    }
    times.sort();
    eprintln!("create to Running: p50 {:?}, worst {:?}", times[5], times[9]);
    assert!(times[5] < Duration::from_millis(782));
}

#[tokio::test]
#[ignore = "needs: root, containerd"]
async fn restart_of_the_runtime_is_survived() {
    let mut site = Site::new();
    site.start();
    site.cloud.put(pod("web", json!({"containers": [server("a")]})));
    site.phase("web", "Running").await;
    let before = (site.containerd.tasks(), site.cloud.status("web"));
    site.containerd.restart();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((site.containerd.tasks(), site.cloud.status("web")), before);
    site.cloud.put(pod("next", json!({"containers": [server("a")]})));
    site.phase("next", "Running").await;
    let id = site.cloud.container("web")["containerID"].as_str().unwrap().replace("containerd://", "");
    site.containerd.ctr(&["tasks", "kill", "-s", "SIGKILL", &id]);
    let restarted = || (site.cloud.container("web")["restartCount"] == 1).then_some(());
    site.until("restarted", Duration::from_secs(5), restarted).await;
    site.stop().await;
}

//! The handle and the runner together, on a paused clock.

use std::sync::atomic::{AtomicI32, Ordering};

use serde_json::{Value, json};

use super::*;

/// Exits with the code it is told to.
#[derive(Default)]
struct Exit {
    code: AtomicI32,
    calls: AtomicI32,
}

#[async_trait]
impl ContainerExec for Exit {
    async fn exec_sync(&self, _: &str, _: &[String], _: Duration) -> Result<ExecOutput, ExecError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Ok(ExecOutput { exit_code: self.code.load(Ordering::SeqCst), output: b"no".to_vec() })
    }
}

struct Lab {
    exec: Arc<Exit>,
    probes: Probes,
    updates: mpsc::Receiver<ProbeUpdate>,
    pod: Arc<Pod>,
    _tasks: tokio::task::JoinSet<()>,
}

fn lab(container: &Value) -> Lab {
    let exec = Arc::new(Exit::default());
    let (sender, updates) = mpsc::channel(4);
    let (probes, runner) = Probes::new(Arc::clone(&exec) as Arc<dyn ContainerExec>, sender);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(runner.run(tokio_util::sync::CancellationToken::new()));
    let pod = json!({"metadata": {"name": "web", "uid": "u"}, "spec": {"containers": [container]}});
    Lab { exec, probes, updates, pod: Arc::new(serde_json::from_value(pod).unwrap()), _tasks: tasks }
}

impl Lab {
    fn container(&self) -> &Container {
        &self.pod.spec.as_ref().unwrap().containers[0]
    }

    fn see(&self, id: &str, running: bool, seeded: bool) {
        let seen = ContainerView {
            name: "c".to_owned(),
            container_id: id.to_owned(),
            running,
            started_at: Timestamp::now(),
            seed_started: seeded,
            seed_ready: seeded,
        };
        let pod = Arc::clone(&self.pod);
        self.probes.observe(&PodView { pod, pod_ip: None, deleting: false, containers: vec![seen] });
    }

    async fn next(&mut self) -> (ProbeKind, Option<ProbeResult>, Option<String>) {
        let update = self.updates.recv().await.unwrap();
        (update.kind, update.changed, update.event.map(|(reason, message)| format!("{reason} {message}")))
    }
}

fn exec_probe(failure_threshold: i32) -> Value {
    json!({"exec": {"command": ["check"]}, "periodSeconds": 5, "failureThreshold": failure_threshold})
}

#[tokio::test(start_paused = true)]
async fn readiness_follows_the_application() {
    let mut lab = lab(&json!({"name": "c", "readinessProbe": exec_probe(1)}));
    assert!(!lab.probes.ready("u", lab.container(), "c1"));
    lab.see("c1", true, false);
    assert_eq!(lab.next().await, (ProbeKind::Readiness, Some(ProbeResult::Success), None));
    assert!(lab.probes.ready("u", lab.container(), "c1"));
    assert!(!lab.probes.ready("u", lab.container(), "another"));
    lab.exec.code.store(1, Ordering::SeqCst);
    let event = Some("Unhealthy Readiness probe failed: no".to_owned());
    assert_eq!(lab.next().await, (ProbeKind::Readiness, Some(ProbeResult::Failure), event));
    assert!(!lab.probes.ready("u", lab.container(), "c1"));
    assert!(lab.probes.started("u", lab.container(), "c1"));
}

#[tokio::test(start_paused = true)]
async fn liveness_waits_for_startup_and_then_condemns_once() {
    let mut lab = lab(&json!({"name": "c", "startupProbe": exec_probe(3), "livenessProbe": exec_probe(2)}));
    lab.see("c1", true, false);
    assert!(!lab.probes.started("u", lab.container(), "c1"));
    assert_eq!(lab.next().await, (ProbeKind::Startup, Some(ProbeResult::Success), None));
    assert!(lab.probes.started("u", lab.container(), "c1"));
    lab.exec.code.store(1, Ordering::SeqCst);
    let event = Some("Unhealthy Liveness probe failed: no".to_owned());
    assert_eq!(lab.next().await, (ProbeKind::Liveness, None, event.clone()));
    assert_eq!(lab.probes.verdict("u", lab.container(), "c1"), None);
    assert_eq!(lab.next().await, (ProbeKind::Liveness, Some(ProbeResult::Failure), event));
    assert_eq!(lab.probes.verdict("u", lab.container(), "c1"), Some(ProbeKind::Liveness));
    let calls = lab.exec.calls.load(Ordering::SeqCst);
    tokio::time::advance(Duration::from_mins(10)).await;
    assert_eq!(lab.exec.calls.load(Ordering::SeqCst), calls);
    lab.see("c2", true, false);
    assert_eq!(lab.probes.verdict("u", lab.container(), "c2"), None);
}

#[tokio::test(start_paused = true)]
async fn a_stored_status_holds_over_an_agent_restart() {
    let lab = lab(&json!({"name": "c", "startupProbe": exec_probe(3), "readinessProbe": exec_probe(3)}));
    lab.see("c1", true, true);
    assert!(lab.probes.started("u", lab.container(), "c1"));
    assert!(lab.probes.ready("u", lab.container(), "c1"));
}

#[tokio::test(start_paused = true)]
async fn news_nobody_takes_coalesces_and_a_gone_pod_is_silent() {
    let mut lab = lab(&json!({"name": "c", "livenessProbe": exec_probe(100)}));
    lab.exec.code.store(1, Ordering::SeqCst);
    lab.see("c1", true, false);
    while lab.exec.calls.load(Ordering::SeqCst) < 50 {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    lab.probes.forget("u");
    let mut waiting = 0;
    while lab.updates.try_recv().is_ok() {
        waiting += 1;
    }
    assert!(waiting <= 5, "{waiting}");
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(lab.updates.try_recv().is_err());
    assert!(lab.exec.calls.load(Ordering::SeqCst) <= 51);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_container_is_not_ready_and_not_asked() {
    let mut lab = lab(&json!({"name": "c", "readinessProbe": exec_probe(1)}));
    lab.see("c1", true, false);
    assert_eq!(lab.next().await.1, Some(ProbeResult::Success));
    lab.see("c1", false, false);
    assert_eq!(lab.next().await.1, Some(ProbeResult::Failure));
    let calls = lab.exec.calls.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(lab.exec.calls.load(Ordering::SeqCst), calls);
}

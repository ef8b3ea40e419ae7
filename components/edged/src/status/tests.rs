//! Statuses of recorded situations, spec 08 §9.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::cri::proto::ContainerState;
use crate::observed::{RuntimeContainer, Sandbox};

struct Ready(bool);

impl Readiness for Ready {
    fn started(&self, _: &Container, _: &str) -> bool {
        true
    }
    fn ready(&self, _: &Container, _: &str) -> bool {
        self.0
    }
}

struct Case {
    pod: Pod,
    runtime: PodRuntime,
    old: Option<PodStatus>,
    failures: BTreeMap<String, StartFailure>,
    ready: bool,
    ending: bool,
}

impl Case {
    fn new(spec: &Value) -> Self {
        let pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec});
        Self {
            pod: serde_json::from_value(pod).unwrap(),
            runtime: PodRuntime { sandboxes: vec![sandbox()], containers: Vec::new() },
            old: None,
            failures: BTreeMap::new(),
            ready: true,
            ending: false,
        }
    }

    fn with(mut self, container: RuntimeContainer) -> Self {
        self.runtime.containers.push(container);
        self
    }

    fn status(&self) -> Value {
        let host_ips = ["192.0.2.10".parse().unwrap()];
        let status = compute(&Inputs {
            pod: &self.pod,
            runtime: &self.runtime,
            old: self.old.as_ref(),
            failures: &self.failures,
            readiness: &Ready(self.ready),
            host_ips: &host_ips,
            runtime_name: "containerd",
            now: Timestamp::from_second(1_740_816_931).unwrap(),
            ending: self.ending,
        });
        serde_json::to_value(status).unwrap()
    }
}

fn sandbox() -> Sandbox {
    Sandbox {
        id: "s".to_owned(),
        attempt: 0,
        ready: true,
        created_at: 1,
        host_network: false,
        ips: vec!["10.0.0.2".parse().unwrap()],
    }
}

fn container(name: &str, state: ContainerState, exit_code: i32) -> RuntimeContainer {
    RuntimeContainer {
        id: format!("id-{name}"),
        sandbox_id: "s".to_owned(),
        name: name.to_owned(),
        state,
        created_at: 2,
        started_at: 1_740_816_930_500_000_000,
        finished_at: if state == ContainerState::Exited { 1_740_816_931_000_000_000 } else { 0 },
        exit_code,
        reason: if exit_code == 0 { "Completed".to_owned() } else { "Error".to_owned() },
        message: String::new(),
        image: "docker.io/library/i:1".to_owned(),
        requested_image: String::new(),
        image_ref: "sha256:1".to_owned(),
        hash: 0,
        restart_count: 0,
        log_path: PathBuf::new(),
        termination_log: None,
        message_from_logs: false,
        noted_grace: None,
    }
}

fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    status["conditions"].as_array().unwrap().iter().find(|it| it["type"] == kind).unwrap()
}

fn one() -> Value {
    json!({"containers": [{"name": "a", "image": "i:1"}]})
}

#[test]
fn running_pod_is_ready_and_has_addresses() {
    let status = Case::new(&one()).with(container("a", ContainerState::Running, 0)).status();
    assert_eq!(status["phase"], "Running");
    assert_eq!(status["podIP"], "10.0.0.2");
    assert_eq!(status["hostIPs"], json!([{"ip": "192.0.2.10"}]));
    assert_eq!(status["startTime"], "2025-03-01T08:15:31Z");
    assert_eq!(status["qosClass"], "BestEffort");
    let expected = json!({
        "name": "a", "image": "docker.io/library/i:1", "imageID": "sha256:1", "containerID": "containerd://id-a",
        "ready": true, "started": true, "restartCount": 0,
        "state": {"running": {"startedAt": "2025-03-01T08:15:30Z"}},
    });
    assert_eq!(status["containerStatuses"][0], expected);
    let types: Vec<&str> =
        status["conditions"].as_array().unwrap().iter().filter_map(|it| it["type"].as_str()).collect();
    assert_eq!(types, conditions::OWNED);
    assert!(status["conditions"].as_array().unwrap().iter().all(|it| it["status"] == "True"));
}

#[test]
fn new_pod_waits_with_the_reason_users_know() {
    let mut case = Case::new(&one());
    case.runtime.sandboxes.clear();
    let status = case.status();
    assert_eq!(status["phase"], "Pending");
    assert_eq!(status["containerStatuses"][0]["state"], json!({"waiting": {"reason": "ContainerCreating"}}));
    assert_eq!(condition(&status, "ContainersReady")["message"], "containers with unready status: [a]");
    assert_eq!(condition(&status, "PodReadyToStartContainers")["status"], "False");
    let init = json!({"initContainers": [{"name": "i"}], "containers": [{"name": "a"}]});
    let status = Case::new(&init).status();
    assert_eq!(status["containerStatuses"][0]["state"]["waiting"]["reason"], "PodInitializing");
    assert_eq!(condition(&status, "Initialized")["message"], "containers with incomplete status: [i]");
}

#[test]
fn unready_container_keeps_the_phase() {
    let mut case = Case::new(&one()).with(container("a", ContainerState::Running, 0));
    case.ready = false;
    let status = case.status();
    assert_eq!(status["phase"], "Running");
    assert_eq!(condition(&status, "Ready")["reason"], "ContainersNotReady");
}

#[test]
fn crash_loop_shows_reason_and_history() {
    let mut case = Case::new(&one()).with(container("a", ContainerState::Exited, 1));
    let failure = StartFailure { reason: "CrashLoopBackOff", message: "back-off 10s …".to_owned() };
    case.failures.insert("a".to_owned(), failure);
    let status = case.status();
    assert_eq!(status["phase"], "Running");
    let container = &status["containerStatuses"][0];
    assert_eq!(container["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(container["lastState"]["terminated"]["exitCode"], 1);
    assert_eq!(container["ready"], false);
}

#[test]
fn phase_follows_the_restart_policy() {
    for (policy, code, expected) in [
        ("Never", 0, "Succeeded"),
        ("Never", 1, "Failed"),
        ("OnFailure", 0, "Succeeded"),
        ("OnFailure", 1, "Running"),
        ("Always", 0, "Running"),
    ] {
        let mut spec = one();
        spec["restartPolicy"] = json!(policy);
        let status = Case::new(&spec).with(container("a", ContainerState::Exited, code)).status();
        assert_eq!(status["phase"], expected, "{policy} {code}");
    }
}

#[test]
fn stopped_pod_ends_by_its_exit_codes() {
    let mut case = Case::new(&one()).with(container("a", ContainerState::Exited, 0));
    case.ending = true;
    assert_eq!(case.status()["phase"], "Succeeded");
    assert_eq!(condition(&case.status(), "Ready")["reason"], "PodCompleted");
    let mut killed = Case::new(&one()).with(container("a", ContainerState::Exited, 137));
    killed.ending = true;
    assert_eq!(killed.status()["phase"], "Failed");
    let mut never_started = Case::new(&one());
    never_started.ending = true;
    assert_eq!(never_started.status()["phase"], "Failed");
}

#[test]
fn terminal_phase_is_never_left() {
    let mut case = Case::new(&one()).with(container("a", ContainerState::Running, 0));
    case.old = Some(serde_json::from_value(json!({"phase": "Succeeded"})).unwrap());
    assert_eq!(case.status()["phase"], "Succeeded");
}

#[test]
fn lost_container_is_told_as_history() {
    let mut case = Case::new(&one());
    let old = json!({"phase": "Running", "containerStatuses": [
        {"name": "a", "image": "i", "imageID": "", "ready": true, "restartCount": 2,
         "containerID": "containerd://old", "state": {"running": {"startedAt": "2025-03-01T08:00:00Z"}}}]});
    case.old = Some(serde_json::from_value(old).unwrap());
    let container = case.status()["containerStatuses"][0].clone();
    assert_eq!(container["restartCount"], 3);
    assert_eq!(container["lastState"]["terminated"]["reason"], "ContainerStatusUnknown");
    assert_eq!(container["lastState"]["terminated"]["exitCode"], 137);
}

#[test]
fn readiness_gates_are_asked_of_foreign_conditions() {
    let mut spec = one();
    spec["readinessGates"] = json!([{"conditionType": "example.com/lb"}]);
    let mut case = Case::new(&spec).with(container("a", ContainerState::Running, 0));
    let missing = "corresponding condition of pod readiness gate \"example.com/lb\" does not exist.";
    assert_eq!(condition(&case.status(), "Ready")["message"], missing);
    let status = json!({"conditions": [{"type": "example.com/lb", "status": "True"}]});
    case.pod.status = Some(serde_json::from_value(status).unwrap());
    assert_eq!(condition(&case.status(), "Ready")["status"], "True");
    assert_eq!(case.status()["conditions"][0]["type"], "example.com/lb");
}

#[test]
fn transition_time_stays_while_the_status_stays() {
    let mut case = Case::new(&one()).with(container("a", ContainerState::Running, 0));
    let old = json!({"conditions": [
        {"type": "Ready", "status": "True", "lastTransitionTime": "2025-01-01T00:00:00Z"},
        {"type": "Initialized", "status": "False", "lastTransitionTime": "2025-01-01T00:00:00Z"}]});
    case.old = Some(serde_json::from_value(old).unwrap());
    let status = case.status();
    assert_eq!(condition(&status, "Ready")["lastTransitionTime"], "2025-01-01T00:00:00Z");
    assert_eq!(condition(&status, "Initialized")["lastTransitionTime"], "2025-03-01T08:15:31Z");
}

#[test]
fn long_messages_share_a_budget() {
    let mut status: PodStatus = serde_json::from_value(json!({"containerStatuses": [
        {"name": "a", "image": "", "imageID": "", "ready": false, "restartCount": 0,
         "state": {"terminated": {"exitCode": 1, "message": "x".repeat(20_000)}}},
        {"name": "b", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {}}]}))
    .unwrap();
    cut_messages(&mut status);
    let value = serde_json::to_value(status).unwrap();
    let message = value["containerStatuses"][0]["state"]["terminated"]["message"].as_str().unwrap();
    assert_eq!(message.len(), MESSAGES_BUDGET / 2);
}

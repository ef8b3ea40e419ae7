//! The truth table of spec 08 §6.1, §6.4 and §6.5.

use std::path::PathBuf;

use serde_json::json;

use super::*;
use crate::observed::Sandbox;

struct Quiet;

impl ProbeFacts for Quiet {
    fn verdict(&self, _: &Container, _: &str) -> Option<KillCause> {
        None
    }
    fn started(&self, _: &Container, _: &str) -> bool {
        true
    }
    fn adopts(&self, _: &RuntimeContainer, _: &str) -> bool {
        false
    }
}

/// A probe verdict about every container.
struct Verdict(KillCause);

impl ProbeFacts for Verdict {
    fn verdict(&self, _: &Container, _: &str) -> Option<KillCause> {
        Some(self.0)
    }
    fn started(&self, _: &Container, _: &str) -> bool {
        false
    }
    fn adopts(&self, _: &RuntimeContainer, _: &str) -> bool {
        false
    }
}

fn pod(policy: &str, init: &[(&str, bool)], main: &[&str]) -> Pod {
    let init: Vec<_> = init
        .iter()
        .map(|(name, sidecar)| {
            let mut container = json!({"name": name, "image": "i"});
            if *sidecar {
                container["restartPolicy"] = json!("Always");
            }
            container
        })
        .collect();
    let main: Vec<_> = main.iter().map(|name| json!({"name": name, "image": "i"})).collect();
    serde_json::from_value(json!({
        "metadata": {"name": "p", "uid": "u"},
        "spec": {"restartPolicy": policy, "initContainers": init, "containers": main},
    }))
    .unwrap()
}

fn sandbox(attempt: u32, ready: bool) -> Sandbox {
    Sandbox {
        id: format!("s{attempt}"),
        attempt,
        ready,
        created_at: i64::from(attempt) * 1000,
        host_network: false,
        ips: vec!["10.0.0.2".parse().unwrap()],
    }
}

fn container(name: &str, state: ContainerState, exit_code: i32) -> RuntimeContainer {
    RuntimeContainer {
        id: format!("id-{name}"),
        sandbox_id: "s0".to_owned(),
        name: name.to_owned(),
        state,
        created_at: 5000,
        started_at: 0,
        finished_at: 0,
        exit_code,
        reason: String::new(),
        message: String::new(),
        image: "docker.io/library/i:latest".to_owned(),
        requested_image: String::new(),
        image_ref: String::new(),
        hash: hash::container_hash(name, "i"),
        restart_count: 0,
        log_path: PathBuf::new(),
        termination_log: None,
        message_from_logs: false,
        noted_grace: None,
    }
}

fn running(name: &str) -> RuntimeContainer {
    container(name, ContainerState::Running, 0)
}

fn exited(name: &str, code: i32) -> RuntimeContainer {
    container(name, ContainerState::Exited, code)
}

/// One line per plan, so that a case fits on a line.
fn show(plan: &Plan) -> String {
    let sandbox = match &plan.sandbox {
        SandboxPlan::Keep { id } => format!("keep {id}"),
        SandboxPlan::Create { attempt, replace } => {
            format!("create {attempt}{}", if *replace { " replacing" } else { "" })
        }
        SandboxPlan::Stop => "stop".to_owned(),
    };
    let kills: Vec<_> = plan.kill.iter().map(|kill| kill.message.clone()).collect();
    let starts: Vec<_> = plan
        .start
        .iter()
        .map(|start| match start {
            ContainerRef::Ephemeral(index) => format!("e{index}"),
            ContainerRef::Init(index) => format!("i{index}"),
            ContainerRef::Main(index) => format!("m{index}"),
        })
        .collect();
    format!("{sandbox} | kill [{}] | start [{}]", kills.join("; "), starts.join(" "))
}

fn check(pod: &Pod, sandboxes: Vec<Sandbox>, containers: Vec<RuntimeContainer>, expected: &str) {
    assert_eq!(show(&plan(pod, &PodRuntime { sandboxes, containers }, &Quiet)), expected);
}

#[test]
fn new_pod_gets_a_sandbox_and_its_containers() {
    check(&pod("Always", &[], &["a", "b"]), vec![], vec![], "create 0 | kill [] | start [m0 m1]");
    check(&pod("Always", &[("i", false)], &["a"]), vec![], vec![], "create 0 | kill [] | start [i0]");
}

#[test]
fn sandbox_is_replaced_when_it_cannot_serve() {
    let always = pod("Always", &[], &["a"]);
    let replaced = "create 1 replacing | kill [] | start [m0]";
    check(&always, vec![sandbox(0, false)], vec![exited("a", 0)], replaced);
    let mut no_ip = sandbox(0, true);
    no_ip.ips.clear();
    check(&always, vec![no_ip], vec![running("a")], replaced);
    let mut host = sandbox(0, true);
    host.host_network = true;
    check(&always, vec![host], vec![running("a")], replaced);
    let two = vec![sandbox(1, true), sandbox(0, true)];
    check(&always, two, vec![running("a")], "create 2 replacing | kill [] | start [m0]");
}

#[test]
fn finished_pods_do_not_get_a_new_sandbox() {
    let dead = || vec![sandbox(0, false)];
    check(&pod("Never", &[], &["a"]), dead(), vec![exited("a", 0)], "stop | kill [] | start []");
    check(&pod("OnFailure", &[], &["a"]), dead(), vec![exited("a", 0)], "stop | kill [] | start []");
    let failed = "create 1 replacing | kill [] | start [m0]";
    check(&pod("OnFailure", &[], &["a"]), dead(), vec![exited("a", 1)], failed);
    // never started before: the sandbox alone failed
    check(&pod("Never", &[], &["a"]), dead(), vec![], "create 1 replacing | kill [] | start [m0]");
}

#[test]
fn exited_container_restarts_by_policy() {
    let live = || vec![sandbox(0, true)];
    check(&pod("Always", &[], &["a"]), live(), vec![exited("a", 0)], "keep s0 | kill [] | start [m0]");
    check(&pod("OnFailure", &[], &["a"]), live(), vec![exited("a", 1)], "keep s0 | kill [] | start [m0]");
    check(&pod("OnFailure", &[], &["a"]), live(), vec![exited("a", 0)], "stop | kill [] | start []");
    check(&pod("Never", &[], &["a"]), live(), vec![exited("a", 1)], "stop | kill [] | start []");
    let one_left = vec![exited("a", 1), running("b")];
    check(&pod("Never", &[], &["a", "b"]), live(), one_left, "keep s0 | kill [] | start []");
}

#[test]
fn created_container_is_started_again_and_unknown_is_killed_first() {
    let live = || vec![sandbox(0, true)];
    let never = pod("Never", &[], &["a"]);
    check(&never, live(), vec![container("a", ContainerState::Created, 0)], "keep s0 | kill [] | start [m0]");
    let unknown = "keep s0 | kill [Container is in \"unknown\" state, try killing it before restart] | start [m0]";
    check(&never, live(), vec![container("a", ContainerState::Unknown, 0)], unknown);
}

#[test]
fn changed_definition_restarts_even_under_policy_never() {
    let mut changed = running("a");
    changed.hash = 1;
    let expected = "keep s0 | kill [Container a definition changed, will be restarted] | start [m0]";
    check(&pod("Never", &[], &["a"]), vec![sandbox(0, true)], vec![changed], expected);
}

#[test]
fn probe_failure_kills_and_restarts_by_policy() {
    let runtime = PodRuntime { sandboxes: vec![sandbox(0, true)], containers: vec![running("a")] };
    let always = plan(&pod("Always", &[], &["a"]), &runtime, &Verdict(KillCause::LivenessFailed));
    let expected = "keep s0 | kill [Container a failed liveness probe, will be restarted] | start [m0]";
    assert_eq!(show(&always), expected);
    let never = plan(&pod("Never", &[], &["a"]), &runtime, &Verdict(KillCause::StartupFailed));
    // nothing is kept and nothing is to start: the whole pod stops
    assert_eq!(show(&never), "stop | kill [] | start []");
}

#[test]
fn deleting_pod_starts_nothing() {
    let mut deleting = pod("Always", &[("i", false)], &["a"]);
    deleting.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH));
    check(&deleting, vec![], vec![], "stop | kill [] | start []");
    check(&deleting, vec![sandbox(0, true)], vec![], "keep s0 | kill [] | start []");
}

#[test]
fn init_containers_run_one_after_the_other() {
    let live = || vec![sandbox(0, true)];
    let two = pod("Always", &[("i", false), ("j", false)], &["a"]);
    check(&two, live(), vec![], "keep s0 | kill [] | start [i0]");
    check(&two, live(), vec![running("i")], "keep s0 | kill [] | start []");
    check(&two, live(), vec![exited("i", 0)], "keep s0 | kill [] | start [i1]");
    check(&two, live(), vec![exited("i", 2)], "keep s0 | kill [] | start [i0]");
    check(&two, live(), vec![exited("j", 0), exited("i", 0)], "keep s0 | kill [] | start [m0]");
    let never = pod("Never", &[("i", false)], &["a"]);
    check(&never, live(), vec![exited("i", 2)], "stop | kill [] | start []");
}

#[test]
fn running_container_proves_initialisation() {
    // the init container's record was collected: it is not run again
    let one = pod("Always", &[("i", false)], &["a"]);
    check(&one, vec![sandbox(0, true)], vec![running("a")], "keep s0 | kill [] | start []");
    // nor when the only regular container crashed in this very sandbox
    check(&one, vec![sandbox(0, true)], vec![exited("a", 1)], "keep s0 | kill [] | start [m0]");
    // but an exit from before the sandbox (a reboot) proves nothing
    // (its time says nothing: the clock may have gone back)
    let old = exited("a", 1);
    check(&one, vec![sandbox(1, true)], vec![old], "keep s1 | kill [] | start [i0]");
}

#[test]
fn sidecars_start_in_order_and_stay() {
    let live = || vec![sandbox(0, true)];
    let mixed = pod("Always", &[("s", true), ("i", false)], &["a"]);
    check(&mixed, live(), vec![running("s")], "keep s0 | kill [] | start [i1]");
    check(&mixed, live(), vec![exited("i", 0), running("s")], "keep s0 | kill [] | start [m0]");
    let crashed = vec![running("a"), exited("i", 0), exited("s", 1)];
    check(&mixed, live(), crashed, "keep s0 | kill [] | start [i0]");
    let runtime = PodRuntime { sandboxes: live(), containers: vec![running("s")] };
    let failed = plan(&mixed, &runtime, &Verdict(KillCause::StartupFailed));
    assert_eq!(show(&failed), "keep s0 | kill [Init container s failed startup probe] | start [i0]");
}

#[test]
fn sidecars_do_not_outlive_a_finished_pod() {
    let job = pod("Never", &[("s", true)], &["a"]);
    check(&job, vec![sandbox(0, true)], vec![exited("a", 0), exited("s", 1)], "stop | kill [] | start []");
}

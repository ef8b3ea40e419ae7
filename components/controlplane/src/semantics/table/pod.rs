//! The row of a Pod: its status word is a small state machine of its own. Source: spec 10 §7.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age;
use super::look::{Look, NONE, or};
use crate::semantics::validation::report::{items, text};

pub(super) fn cells(look: Look<'_>) -> Vec<Value> {
    let object = look.object;
    let facts = Facts::of(object);
    let total = items(look.at("spec.containers")).len() + sidecars(object).count();
    let restarts = match (facts.restarts, facts.last_restart) {
        (0, _) | (_, None) => facts.restarts.to_string(),
        (count, Some(at)) => format!("{count} ({} ago)", age::human(look.now.as_second() - at.as_second())),
    };
    let address = match text(&items(look.at("status.podIPs")).first().unwrap_or(&Value::Null)["ip"]) {
        "" => look.text("status.podIP"),
        address => address,
    };
    vec![
        look.name(),
        format!("{}/{total}", facts.ready).into(),
        facts.status.into(),
        restarts.into(),
        look.age(),
        or(address, NONE).into(),
        look.cell_or("spec.nodeName", NONE),
        look.cell_or("status.nominatedNodeName", NONE),
        gates(object).into(),
    ]
}

/// Finished pods carry a row condition.
pub(super) fn conditions(object: &Value) -> Vec<Value> {
    match text(&object["status"]["phase"]) {
        reason @ ("Succeeded" | "Failed") => {
            let message = if reason == "Succeeded" { "The pod has completed successfully." } else { "The pod failed." };
            vec![json!({"type": "Completed", "status": "True", "reason": reason, "message": message})]
        }
        _ => Vec::new(),
    }
}

struct Facts {
    status: String,
    ready: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

impl Facts {
    fn of(object: &Value) -> Facts {
        let status = &object["status"];
        let reason = text(&status["reason"]);
        let gated = items(&status["conditions"])
            .iter()
            .any(|condition| condition["type"] == "PodScheduled" && condition["reason"] == "SchedulingGated");
        let phase = or(reason, text(&status["phase"]));
        let start = if gated { "SchedulingGated" } else { phase };
        let mut facts = Facts { status: start.to_owned(), ready: 0, restarts: 0, last_restart: None };
        let initializing = facts.init_containers(object);
        if !initializing || has_condition(status, "Initialized") {
            facts.containers(object);
        }
        if !object["metadata"]["deletionTimestamp"].is_null() {
            facts.status = match reason {
                "NodeLost" => "Unknown".to_owned(),
                _ if matches!(text(&status["phase"]), "Succeeded" | "Failed") => facts.status,
                _ => "Terminating".to_owned(),
            };
        }
        facts
    }

    /// Scans the init containers; true while one of them holds the pod back.
    fn init_containers(&mut self, object: &Value) -> bool {
        let specs = items(&object["spec"]["initContainers"]);
        for (index, container) in items(&object["status"]["initContainerStatuses"]).iter().enumerate() {
            self.count(container);
            let is_sidecar = sidecars(object).any(|spec| spec["name"] == container["name"]);
            let (terminated, waiting) = (&container["state"]["terminated"], &container["state"]["waiting"]);
            if terminated.is_object() && terminated["exitCode"].as_i64().unwrap_or_default() == 0 {
                continue;
            }
            if is_sidecar && container["started"] == true {
                if container["ready"] == true {
                    self.ready += 1;
                }
                continue;
            }
            self.status = if terminated.is_object() {
                format!("Init:{}", ended(terminated))
            } else if !matches!(text(&waiting["reason"]), "" | "PodInitializing") {
                format!("Init:{}", text(&waiting["reason"]))
            } else {
                format!("Init:{index}/{}", specs.len())
            };
            return true;
        }
        false
    }

    fn containers(&mut self, object: &Value) {
        let mut running = false;
        self.restarts = items(&object["status"]["initContainerStatuses"])
            .iter()
            .filter(|container| sidecars(object).any(|spec| spec["name"] == container["name"]))
            .map(|container| container["restartCount"].as_i64().unwrap_or_default())
            .sum();
        for container in items(&object["status"]["containerStatuses"]).iter().rev() {
            self.count(container);
            let (waiting, terminated) = (&container["state"]["waiting"], &container["state"]["terminated"]);
            if !text(&waiting["reason"]).is_empty() {
                text(&waiting["reason"]).clone_into(&mut self.status);
            } else if terminated.is_object() {
                self.status = ended(terminated);
            } else if container["ready"] == true && container["state"]["running"].is_object() {
                running = true;
                self.ready += 1;
            }
        }
        if self.status == "Completed" && running {
            let ready = has_condition(&object["status"], "Ready");
            if ready { "Running" } else { "NotReady" }.clone_into(&mut self.status);
        }
    }

    fn count(&mut self, container: &Value) {
        self.restarts += container["restartCount"].as_i64().unwrap_or_default();
        let finished = text(&container["lastState"]["terminated"]["finishedAt"]).parse::<Timestamp>().ok();
        self.last_restart = self.last_restart.max(finished);
    }
}

/// `Error`, `Signal:9` or `ExitCode:1` of a terminated state.
fn ended(terminated: &Value) -> String {
    let reason = text(&terminated["reason"]);
    let signal = terminated["signal"].as_i64().unwrap_or_default();
    if !reason.is_empty() {
        reason.to_owned()
    } else if signal != 0 {
        format!("Signal:{signal}")
    } else {
        format!("ExitCode:{}", terminated["exitCode"].as_i64().unwrap_or_default())
    }
}

fn has_condition(status: &Value, kind: &str) -> bool {
    items(&status["conditions"]).iter().any(|condition| condition["type"] == kind && condition["status"] == "True")
}

/// Init containers that run beside the others.
fn sidecars(object: &Value) -> impl Iterator<Item = &Value> {
    items(&object["spec"]["initContainers"]).iter().filter(|container| container["restartPolicy"] == "Always")
}

fn gates(object: &Value) -> String {
    let gates = items(&object["spec"]["readinessGates"]);
    if gates.is_empty() {
        return NONE.to_owned();
    }
    let open = gates.iter().filter(|gate| has_condition(&object["status"], text(&gate["conditionType"]))).count();
    format!("{open}/{}", gates.len())
}

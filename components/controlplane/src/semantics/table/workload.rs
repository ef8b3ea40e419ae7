//! Rows of workloads.

use jiff::Timestamp;
use serde_json::Value;

use super::age;
use super::look::{Look, NONE, containers, int_or_string, labels, or, selector};
use crate::semantics::validation::report::{items, text};

fn wide(look: Look<'_>, template: &str, selector: Option<String>) -> Vec<Value> {
    let [names, images] = containers(look.at(template));
    [Some(names), Some(images), selector.map(Value::from)].into_iter().flatten().collect()
}

pub(super) fn deployment(look: Look<'_>) -> Vec<Value> {
    let ready = format!("{}/{}", look.number("status.readyReplicas"), look.number("spec.replicas"));
    let mut cells = vec![
        look.name(),
        ready.into(),
        look.number("status.updatedReplicas").to_string().into(),
        look.number("status.availableReplicas").to_string().into(),
        look.age(),
    ];
    cells.extend(wide(look, "spec.template.spec", Some(selector(look.at("spec.selector")))));
    cells
}

/// ReplicaSet and ReplicationController; the latter's selector is a plain map.
pub(super) fn replicas(look: Look<'_>, plain: bool) -> Vec<Value> {
    let chosen = look.at("spec.selector");
    let mut cells = vec![
        look.name(),
        look.integer("spec.replicas"),
        look.integer("status.replicas"),
        look.integer("status.readyReplicas"),
        look.age(),
    ];
    cells.extend(wide(look, "spec.template.spec", Some(if plain { labels(chosen) } else { selector(chosen) })));
    cells
}

pub(super) fn stateful_set(look: Look<'_>) -> Vec<Value> {
    let ready = format!("{}/{}", look.number("status.readyReplicas"), look.number("spec.replicas"));
    let mut cells = vec![look.name(), ready.into(), look.age()];
    cells.extend(wide(look, "spec.template.spec", None));
    cells
}

pub(super) fn daemon_set(look: Look<'_>) -> Vec<Value> {
    let mut cells = vec![
        look.name(),
        look.integer("status.desiredNumberScheduled"),
        look.integer("status.currentNumberScheduled"),
        look.integer("status.numberReady"),
        look.integer("status.updatedNumberScheduled"),
        look.integer("status.numberAvailable"),
        labels(look.at("spec.template.spec.nodeSelector")).into(),
        look.age(),
    ];
    cells.extend(wide(look, "spec.template.spec", Some(selector(look.at("spec.selector")))));
    cells
}

pub(super) fn job(look: Look<'_>) -> Vec<Value> {
    let succeeded = look.number("status.succeeded");
    let completions = match (look.at("spec.completions").as_i64(), look.number("spec.parallelism")) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, parallel) if parallel > 1 => format!("{succeeded}/1 of {parallel}"),
        (None, _) => format!("{succeeded}/1"),
    };
    let mut cells = vec![look.name(), job_status(look).into(), completions.into(), duration(look).into(), look.age()];
    cells.extend(wide(look, "spec.template.spec", Some(selector(look.at("spec.selector")))));
    cells
}

fn job_status(look: Look<'_>) -> &'static str {
    let has = |kind: &str| {
        let conditions = items(look.at("status.conditions"));
        conditions.iter().any(|condition| condition["type"] == kind && condition["status"] == "True")
    };
    if has("Complete") {
        "Complete"
    } else if has("Failed") {
        "Failed"
    } else if !look.at("metadata.deletionTimestamp").is_null() {
        "Terminating"
    } else if has("Suspended") {
        "Suspended"
    } else if has("FailureTarget") {
        "FailureTarget"
    } else if has("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn duration(look: Look<'_>) -> String {
    let at = |path: &str| look.text(path).parse::<Timestamp>().ok().map(Timestamp::as_second);
    match (at("status.startTime"), at("status.completionTime")) {
        (None, _) => String::new(),
        (Some(start), Some(end)) => age::human(end - start),
        (Some(start), None) => age::human(look.now.as_second() - start),
    }
}

pub(super) fn cron_job(look: Look<'_>) -> Vec<Value> {
    let last =
        if look.at("status.lastScheduleTime").is_null() { NONE.into() } else { look.since("status.lastScheduleTime") };
    let suspended = *look.at("spec.suspend") == true;
    let mut cells = vec![
        look.name(),
        look.cell("spec.schedule"),
        look.cell_or("spec.timeZone", NONE),
        if suspended { "True" } else { "False" }.into(),
        look.count("status.active"),
        last,
        look.age(),
    ];
    let chosen = look.at("spec.jobTemplate.spec.selector");
    cells.extend(wide(look, "spec.jobTemplate.spec.template.spec", Some(selector(chosen))));
    cells
}

pub(super) fn revision(look: Look<'_>) -> Vec<Value> {
    let owner = items(look.at("metadata.ownerReferences")).iter().find(|owner| owner["controller"] == true);
    let controller = owner.map_or_else(
        || NONE.to_owned(),
        |owner| {
            let kind = text(&owner["kind"]).to_lowercase();
            match text(&owner["apiVersion"]).split_once('/') {
                Some((group, _)) => format!("{kind}.{group}/{}", text(&owner["name"])),
                None => format!("{kind}/{}", text(&owner["name"])),
            }
        },
    );
    vec![look.name(), controller.into(), look.integer("revision"), look.age()]
}

pub(super) fn pod_template(look: Look<'_>) -> Vec<Value> {
    let [names, images] = containers(look.at("template.spec"));
    vec![look.name(), names, images, labels(look.at("template.metadata.labels")).into()]
}

pub(super) fn autoscaler(look: Look<'_>) -> Vec<Value> {
    let reference = format!("{}/{}", look.text("spec.scaleTargetRef.kind"), look.text("spec.scaleTargetRef.name"));
    vec![
        look.name(),
        reference.into(),
        targets(look).into(),
        look.at("spec.minReplicas").as_i64().map_or_else(|| "<unset>".to_owned(), |count| count.to_string()).into(),
        look.integer("spec.maxReplicas"),
        look.integer("status.currentReplicas"),
        look.age(),
    ]
}

/// `cpu: 50%/80%` per metric.
fn targets(look: Look<'_>) -> String {
    // autoscaling/v1 knows only one metric.
    if let Some(target) = look.at("spec.targetCPUUtilizationPercentage").as_i64() {
        let current = look.at("status.currentCPUUtilizationPercentage").as_i64();
        return format!("cpu: {}/{target}%", current.map_or_else(|| "<unknown>".to_owned(), |now| format!("{now}%")));
    }
    let currents = items(look.at("status.currentMetrics"));
    let mut list = Vec::new();
    for (index, metric) in items(look.at("spec.metrics")).iter().enumerate() {
        let current = currents.get(index).unwrap_or(&Value::Null);
        let (field, label) = match text(&metric["type"]) {
            "Resource" => ("resource", text(&metric["resource"]["name"])),
            "ContainerResource" => ("containerResource", text(&metric["containerResource"]["name"])),
            "Pods" => ("pods", ""),
            "Object" => ("object", ""),
            "External" => ("external", ""),
            _ => continue,
        };
        let show = |holder: &Value| match holder["averageUtilization"].as_i64() {
            Some(percent) => format!("{percent}%"),
            None => or(text(&holder["averageValue"]), or(text(&holder["value"]), "<unknown>")).to_owned(),
        };
        let pair = format!("{}/{}", show(&current[field]["current"]), show(&metric[field]["target"]));
        list.push(if label.is_empty() { pair } else { format!("{label}: {pair}") });
    }
    let more = list.len().saturating_sub(2);
    list.truncate(2);
    let shown = list.join(", ");
    if more > 0 { format!("{shown} + {more} more...") } else { or(&shown, NONE).to_owned() }
}

pub(super) fn disruption_budget(look: Look<'_>) -> Vec<Value> {
    vec![
        look.name(),
        int_or_string(look.at("spec.minAvailable"), "N/A").into(),
        int_or_string(look.at("spec.maxUnavailable"), "N/A").into(),
        look.integer("status.disruptionsAllowed"),
        look.age(),
    ]
}

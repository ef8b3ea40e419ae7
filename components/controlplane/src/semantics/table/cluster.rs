//! Rows of nodes, namespaces, configuration, events, leases and other small kinds.

use serde_json::{Value, json};

use super::age;
use super::look::{Look, NONE, UNSET, or};
use crate::semantics::validation::report::{items, text};

pub(super) fn node(look: Look<'_>) -> Vec<Value> {
    let ready = items(look.at("status.conditions")).iter().find(|condition| condition["type"] == "Ready");
    let mut status = match ready.map(|condition| text(&condition["status"])) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if *look.at("spec.unschedulable") == true {
        status.push_str(",SchedulingDisabled");
    }
    let address = |kind: &str| {
        let found = items(look.at("status.addresses")).iter().find(|address| address["type"] == kind);
        Value::from(found.map_or(NONE, |address| text(&address["address"])))
    };
    vec![
        look.name(),
        status.into(),
        roles(look.at("metadata.labels")).into(),
        look.age(),
        look.cell("status.nodeInfo.kubeletVersion"),
        address("InternalIP"),
        address("ExternalIP"),
        look.cell_or("status.nodeInfo.osImage", "<unknown>"),
        look.cell_or("status.nodeInfo.kernelVersion", "<unknown>"),
        look.cell_or("status.nodeInfo.containerRuntimeVersion", "<unknown>"),
    ]
}

fn roles(labels: &Value) -> String {
    let role = |(key, value): (&String, &Value)| match key.strip_prefix("node-role.kubernetes.io/") {
        Some(role) if !role.is_empty() => Some(role.to_owned()),
        None if key == "kubernetes.io/role" => value.as_str().filter(|role| !role.is_empty()).map(str::to_owned),
        Some(_) | None => None,
    };
    let mut roles: Vec<String> = labels.as_object().into_iter().flatten().filter_map(role).collect();
    roles.sort();
    roles.dedup();
    or(&roles.join(","), NONE).to_owned()
}

pub(super) fn namespace(look: Look<'_>) -> Vec<Value> {
    vec![look.name(), look.cell("status.phase"), look.age()]
}

fn entries(look: Look<'_>, fields: &[&str]) -> Value {
    let count: usize = fields.iter().map(|field| look.at(field).as_object().map_or(0, serde_json::Map::len)).sum();
    count.into()
}

pub(super) fn config_map(look: Look<'_>) -> Vec<Value> {
    vec![look.name(), entries(look, &["data", "binaryData"]), look.age()]
}

pub(super) fn secret(look: Look<'_>) -> Vec<Value> {
    vec![look.name(), look.cell("type"), entries(look, &["data"]), look.age()]
}

pub(super) fn service_account(look: Look<'_>) -> Vec<Value> {
    vec![look.name(), look.count("secrets"), look.age()]
}

/// Events have the same columns in both APIs, from differently named fields.
pub(super) fn event(look: Look<'_>, group: &str) -> Vec<Value> {
    let new = group == "events.k8s.io";
    let pick = |old: &'static str, newer: &'static str| if new { newer } else { old };
    let first = pick("firstTimestamp", "deprecatedFirstTimestamp");
    let last = pick("lastTimestamp", "deprecatedLastTimestamp");
    let count = pick("count", "deprecatedCount");
    let subject = pick("involvedObject", "regarding");
    let source = pick("source", "deprecatedSource");
    let first_seen = if look.at(first).is_null() { look.since("eventTime") } else { look.since(first) };
    let series = look.at("series");
    let last_seen = if series.is_object() {
        age::since(&series["lastObservedTime"], look.now).into()
    } else if look.at(last).is_null() {
        first_seen.clone()
    } else {
        look.since(last)
    };
    let seen = series["count"].as_i64().or_else(|| look.at(count).as_i64()).unwrap_or(1).max(1);
    let of = |parent: &str, field: &str| look.text(&format!("{parent}.{field}")).to_owned();
    let component = match of(source, "component") {
        empty if empty.is_empty() => look.text(pick("reportingComponent", "reportingController")).to_owned(),
        component => component,
    };
    let host = match of(source, "host") {
        empty if empty.is_empty() => look.text("reportingInstance").to_owned(),
        host => host,
    };
    let from = if host.is_empty() { component } else { format!("{component}, {host}") };
    vec![
        last_seen,
        look.cell("type"),
        look.cell("reason"),
        format!("{}/{}", of(subject, "kind").to_lowercase(), of(subject, "name")).into(),
        of(subject, "fieldPath").into(),
        from.into(),
        look.text(pick("message", "note")).trim().into(),
        first_seen,
        seen.into(),
        look.name(),
    ]
}

pub(super) fn lease(look: Look<'_>) -> Vec<Value> {
    vec![look.name(), look.cell("spec.holderIdentity"), look.age()]
}

pub(super) fn signing_request(look: Look<'_>) -> Vec<Value> {
    let has = |kind: &str| items(look.at("status.conditions")).iter().any(|condition| condition["type"] == kind);
    let mut condition = match (has("Denied"), has("Approved")) {
        (true, _) => "Denied",
        (_, true) => "Approved",
        _ => "Pending",
    }
    .to_owned();
    if has("Failed") {
        condition.push_str(",Failed");
    }
    if !look.text("status.certificate").is_empty() {
        condition.push_str(",Issued");
    }
    let wanted = look.at("spec.expirationSeconds").as_i64();
    vec![
        look.name(),
        look.age(),
        look.cell_or("spec.signerName", NONE),
        look.cell("spec.username"),
        wanted.map_or_else(|| NONE.to_owned(), age::human).into(),
        condition.into(),
    ]
}

pub(super) fn priority_class(look: Look<'_>) -> Vec<Value> {
    let global = *look.at("globalDefault") == true;
    vec![look.name(), look.integer("value"), global.into(), look.age()]
}

pub(super) fn component(look: Look<'_>) -> Vec<Value> {
    let healthy = items(look.at("conditions")).iter().find(|condition| condition["type"] == "Healthy");
    let (status, message, error) = match healthy {
        Some(condition) => {
            let status = match text(&condition["status"]) {
                "True" => "Healthy",
                "False" => "Unhealthy",
                _ => "Unknown",
            };
            (status, text(&condition["message"]), text(&condition["error"]))
        }
        None => ("Unknown", "", ""),
    };
    vec![look.name(), status.into(), message.into(), error.into()]
}

pub(super) fn quota(look: Look<'_>) -> Vec<Value> {
    let side = |limits: bool| {
        let hard = look.at("status.hard").as_object().into_iter().flatten();
        let list: Vec<String> = hard
            .filter(|(name, _)| name.starts_with("limits") == limits)
            .map(|(name, hard)| {
                format!("{name}: {}/{}", or(text(&look.at("status.used")[name.as_str()]), "0"), text(hard))
            })
            .collect();
        Value::from(list.join(", "))
    };
    vec![look.name(), side(false), side(true), look.age()]
}

pub(super) fn api_service(look: Look<'_>) -> Vec<Value> {
    let service = match look.text("spec.service.name") {
        "" => "Local".to_owned(),
        name => format!("{}/{name}", look.text("spec.service.namespace")),
    };
    let available = items(look.at("status.conditions")).iter().find(|condition| condition["type"] == "Available");
    let available = match available.map(|condition| (text(&condition["status"]), text(&condition["reason"]))) {
        Some(("True", _)) => "True".to_owned(),
        Some((status, reason)) => format!("{status} ({reason})"),
        None => "Unknown".to_owned(),
    };
    vec![look.name(), json!(service), json!(available), look.age()]
}

/// For tables that show whether something optional is set.
pub(super) fn set_or_unset(value: &Value) -> Value {
    match value {
        Value::Bool(on) => on.to_string().into(),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => UNSET.into(),
    }
}

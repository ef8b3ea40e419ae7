//! Deployment, ReplicaSet, DaemonSet, StatefulSet, ReplicationController, HorizontalPodAutoscaler. Source: spec 10 §2.5.

use serde_json::Value;

use super::pod::{self, Owner};
use super::report::{Report, text};
use super::selector;
use crate::semantics::json::Path;

/// Fields of a StatefulSet's spec that may change.
const MUTABLE: [&str; 6] =
    ["replicas", "ordinals", "template", "updateStrategy", "persistentVolumeClaimRetentionPolicy", "minReadySeconds"];

/// Rules of a Deployment.
pub(super) fn deployment(object: &Value, old: Option<&Value>, report: &mut Report) {
    let spec = &object["spec"];
    let path = Path::Root.key("spec");
    selected(spec, path, "deployment", old, report);
    for field in ["replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        report.not_negative(path.key(field), &spec[field]);
    }
    let ready = spec["minReadySeconds"].as_i64().unwrap_or_default();
    if spec["progressDeadlineSeconds"].as_i64().is_some_and(|deadline| deadline <= ready) {
        let why = "must be greater than minReadySeconds";
        report.invalid(path.key("progressDeadlineSeconds"), &spec["progressDeadlineSeconds"], why);
    }
    let strategy = path.key("strategy");
    report.one_of(strategy.key("type"), &spec["strategy"]["type"], &["Recreate", "RollingUpdate"]);
    let rolling = &spec["strategy"]["rollingUpdate"];
    if spec["strategy"]["type"] == "Recreate" && !rolling.is_null() {
        let why = "may not be specified when strategy `type` is 'Recreate'";
        report.forbidden(strategy.key("rollingUpdate"), why);
    } else if rolling.is_object() {
        both_not_zero(rolling, strategy.key("rollingUpdate"), report);
    }
}

/// Rules of a ReplicaSet.
pub(super) fn replica_set(object: &Value, old: Option<&Value>, report: &mut Report) {
    let path = Path::Root.key("spec");
    selected(&object["spec"], path, "deployment", old, report);
    for field in ["replicas", "minReadySeconds"] {
        report.not_negative(path.key(field), &object["spec"][field]);
    }
}

/// Rules of a DaemonSet.
pub(super) fn daemon_set(object: &Value, old: Option<&Value>, report: &mut Report) {
    let spec = &object["spec"];
    let path = Path::Root.key("spec");
    selected(spec, path, "daemonset", old, report);
    for field in ["minReadySeconds", "revisionHistoryLimit"] {
        report.not_negative(path.key(field), &spec[field]);
    }
    let strategy = path.key("updateStrategy");
    report.one_of(strategy.key("type"), &spec["updateStrategy"]["type"], &["RollingUpdate", "OnDelete"]);
    let rolling = &spec["updateStrategy"]["rollingUpdate"];
    if rolling.is_object() {
        let at = strategy.key("rollingUpdate");
        for field in ["maxSurge", "maxUnavailable"] {
            amount(&rolling[field], at.key(field), report);
        }
        if !is_zero(&rolling["maxSurge"]) && !is_zero(&rolling["maxUnavailable"]) {
            report.invalid(at.key("maxSurge"), &rolling["maxSurge"], "may not be set when maxUnavailable is non-zero");
        }
        if is_zero(&rolling["maxSurge"]) && is_zero(&rolling["maxUnavailable"]) {
            report.required(at.key("maxUnavailable"), "cannot be 0 when maxSurge is 0");
        }
    }
}

/// Rules of a StatefulSet.
pub(super) fn stateful_set(object: &Value, old: Option<&Value>, report: &mut Report) {
    let spec = &object["spec"];
    let path = Path::Root.key("spec");
    selected(spec, path, "statefulset", None, report);
    for field in ["replicas", "minReadySeconds", "revisionHistoryLimit"] {
        report.not_negative(path.key(field), &spec[field]);
    }
    report.one_of(path.key("podManagementPolicy"), &spec["podManagementPolicy"], &["OrderedReady", "Parallel"]);
    let strategy = path.key("updateStrategy");
    report.one_of(strategy.key("type"), &spec["updateStrategy"]["type"], &["RollingUpdate", "OnDelete"]);
    report.not_negative(
        strategy.key("rollingUpdate").key("partition"),
        &spec["updateStrategy"]["rollingUpdate"]["partition"],
    );
    let Some(old) = old else { return };
    let rest = |spec: &Value| {
        let mut rest = spec.clone();
        if let Value::Object(map) = &mut rest {
            map.retain(|key, _| !MUTABLE.contains(&key.as_str()));
        }
        rest
    };
    if rest(spec) != rest(&old["spec"]) {
        report.forbidden(
            path,
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        );
    }
}

/// Rules of a ReplicationController; its selector is a plain map.
pub(super) fn replication_controller(object: &Value, report: &mut Report) {
    let spec = &object["spec"];
    let path = Path::Root.key("spec");
    for field in ["replicas", "minReadySeconds"] {
        report.not_negative(path.key(field), &spec[field]);
    }
    let wanted = spec["selector"].as_object();
    if wanted.is_none_or(serde_json::Map::is_empty) {
        report.required(path.key("selector"), "");
    }
    let labels = &spec["template"]["metadata"]["labels"];
    if wanted.into_iter().flatten().any(|(key, value)| labels.get(key) != Some(value)) {
        let at = path.key("template");
        let at = at.key("metadata");
        report.invalid(at.key("labels"), labels, "`selector` does not match template `labels`");
    }
    pod::template(&spec["template"], path.key("template"), Owner::Service, report);
}

/// Rules of a HorizontalPodAutoscaler.
pub(super) fn autoscaler(object: &Value, report: &mut Report) {
    let spec = &object["spec"];
    let path = Path::Root.key("spec");
    let (min, max) = (spec["minReplicas"].as_i64().unwrap_or(1), spec["maxReplicas"].as_i64().unwrap_or_default());
    if min < 1 {
        report.invalid(path.key("minReplicas"), &spec["minReplicas"], "must be greater than or equal to 1");
    }
    if max < 1 {
        report.invalid(path.key("maxReplicas"), &spec["maxReplicas"], "must be greater than 0");
    } else if max < min {
        report.invalid(path.key("maxReplicas"), &spec["maxReplicas"], "must be greater than or equal to `minReplicas`");
    }
    let target = path.key("scaleTargetRef");
    for field in ["kind", "name"] {
        if text(&spec["scaleTargetRef"][field]).is_empty() {
            report.required(target.key(field), "");
        }
    }
}

/// Selector and template: present, fitting each other, and the selector fixed.
fn selected(spec: &Value, path: Path<'_>, what: &str, old: Option<&Value>, report: &mut Report) {
    let at = path.key("selector");
    if spec["selector"].is_null() {
        report.required(at, "");
    } else {
        selector::label_selector(&spec["selector"], at, report);
        if selector::is_empty(&spec["selector"]) {
            report.invalid(at, &spec["selector"], format_args!("empty selector is invalid for {what}"));
        }
    }
    let template = path.key("template");
    let labels = &spec["template"]["metadata"]["labels"];
    if !spec["selector"].is_null() && !selector::matches(&spec["selector"], labels) {
        let at = template.key("metadata");
        report.invalid(at.key("labels"), labels, "`selector` does not match template `labels`");
    }
    pod::template(&spec["template"], template, Owner::Service, report);
    if let Some(old) = old {
        report.immutable(at, &old["spec"]["selector"], &spec["selector"]);
    }
}

/// `maxSurge` and `maxUnavailable`: numbers or percents, not both zero.
fn both_not_zero(rolling: &Value, path: Path<'_>, report: &mut Report) {
    for field in ["maxUnavailable", "maxSurge"] {
        amount(&rolling[field], path.key(field), report);
    }
    if is_zero(&rolling["maxUnavailable"]) && is_zero(&rolling["maxSurge"]) {
        let why = "may not be 0 when `maxSurge` is 0";
        report.invalid(path.key("maxUnavailable"), &rolling["maxUnavailable"], why);
    }
    if percent(&rolling["maxUnavailable"]).is_some_and(|percent| percent > 100) {
        report.invalid(path.key("maxUnavailable"), &rolling["maxUnavailable"], "must not be greater than 100%");
    }
}

/// A count or a percentage, not negative.
pub(super) fn amount(value: &Value, path: Path<'_>, report: &mut Report) {
    match value {
        Value::String(_) if percent(value).is_none() => {
            report.invalid(
                path,
                value,
                "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
            );
        }
        Value::Number(_) => report.not_negative(path, value),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {}
    }
}

fn percent(value: &Value) -> Option<u32> {
    value.as_str()?.strip_suffix('%').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

fn is_zero(value: &Value) -> bool {
    value.is_null() || value.as_i64() == Some(0) || percent(value) == Some(0)
}

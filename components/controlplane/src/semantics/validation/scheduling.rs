//! Affinity, tolerations, topology spread, taints. Source: spec 10 §2.5.

use serde_json::Value;

use super::report::{Report, items, text};
use super::selector;
use crate::semantics::json::Path;
use crate::semantics::names;

const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Tolerations of a pod.
pub(super) fn tolerations(tolerations: &Value, path: Path<'_>, report: &mut Report) {
    for (index, toleration) in items(tolerations).iter().enumerate() {
        let at = path.index(index);
        let key = text(&toleration["key"]);
        if !key.is_empty() {
            report.name(at.key("key"), key, names::qualified_name(key));
        }
        let operator = text(&toleration["operator"]);
        if key.is_empty() && operator != "Exists" {
            report.invalid(
                at.key("operator"),
                &toleration["operator"],
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            );
        }
        match operator {
            "" | "Equal" => {
                let value = text(&toleration["value"]);
                report.name(at.key("operator"), value, names::label_value(value));
            }
            "Exists" if !text(&toleration["value"]).is_empty() => {
                report.invalid(at.key("operator"), toleration, "value must be empty when `operator` is 'Exists'");
            }
            "Exists" => {}
            _ => report.not_supported(at.key("operator"), &toleration["operator"], &["Equal", "Exists"]),
        }
        let effect = text(&toleration["effect"]);
        if !toleration["tolerationSeconds"].is_null() && effect != "NoExecute" {
            report.invalid(
                at.key("effect"),
                &toleration["effect"],
                "effect must be 'NoExecute' when `tolerationSeconds` is set",
            );
        }
        report.maybe_one_of(at.key("effect"), &toleration["effect"], EFFECTS);
    }
}

/// Taints of a node: unique by key and effect.
pub(super) fn taints(taints: &Value, path: Path<'_>, report: &mut Report) {
    for (index, taint) in items(taints).iter().enumerate() {
        let at = path.index(index);
        let key = text(&taint["key"]);
        report.name(at.key("key"), key, names::qualified_name(key));
        report.name(at.key("value"), text(&taint["value"]), names::label_value(text(&taint["value"])));
        report.one_of(at.key("effect"), &taint["effect"], EFFECTS);
        let same = |other: &Value| other["key"] == taint["key"] && other["effect"] == taint["effect"];
        if items(taints).iter().take(index).any(same) {
            report.invalid(at, taint, "taints must be unique by key and effect pair");
        }
    }
}

/// Topology spread constraints of a pod.
pub(super) fn spread(constraints: &Value, path: Path<'_>, report: &mut Report) {
    for (index, constraint) in items(constraints).iter().enumerate() {
        let at = path.index(index);
        if constraint["maxSkew"].as_i64().unwrap_or_default() <= 0 {
            report.invalid(at.key("maxSkew"), &constraint["maxSkew"], "must be greater than zero");
        }
        if text(&constraint["topologyKey"]).is_empty() {
            report.required(at.key("topologyKey"), "can not be empty");
        }
        report.one_of(
            at.key("whenUnsatisfiable"),
            &constraint["whenUnsatisfiable"],
            &["DoNotSchedule", "ScheduleAnyway"],
        );
        let same = |other: &Value| {
            other["topologyKey"] == constraint["topologyKey"]
                && other["whenUnsatisfiable"] == constraint["whenUnsatisfiable"]
        };
        if items(constraints).iter().take(index).any(same) {
            let pair = format!("{{{}, {}}}", text(&constraint["topologyKey"]), text(&constraint["whenUnsatisfiable"]));
            report.duplicate(at.key("{topologyKey, whenUnsatisfiable}"), &pair.into());
        }
        selector::label_selector(&constraint["labelSelector"], at.key("labelSelector"), report);
    }
}

/// Node affinity, pod affinity and pod anti-affinity.
pub(super) fn affinity(affinity: &Value, path: Path<'_>, report: &mut Report) {
    let node = path.key("nodeAffinity");
    let required = &affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    if required.is_object() {
        node_selector(required, node.key("requiredDuringSchedulingIgnoredDuringExecution"), report);
    }
    let preferred = node.key("preferredDuringSchedulingIgnoredDuringExecution");
    let terms = items(&affinity["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]);
    for (index, term) in terms.iter().enumerate() {
        let at = preferred.index(index);
        weight(&term["weight"], at.key("weight"), report);
        node_term(&term["preference"], at.key("preference"), report);
    }
    for which in ["podAffinity", "podAntiAffinity"] {
        let at = path.key(which);
        let list = at.key("requiredDuringSchedulingIgnoredDuringExecution");
        let terms = items(&affinity[which]["requiredDuringSchedulingIgnoredDuringExecution"]);
        for (index, term) in terms.iter().enumerate() {
            pod_term(term, list.index(index), report);
        }
        let list = at.key("preferredDuringSchedulingIgnoredDuringExecution");
        let terms = items(&affinity[which]["preferredDuringSchedulingIgnoredDuringExecution"]);
        for (index, term) in terms.iter().enumerate() {
            let at = list.index(index);
            weight(&term["weight"], at.key("weight"), report);
            pod_term(&term["podAffinityTerm"], at.key("podAffinityTerm"), report);
        }
    }
}

fn weight(weight: &Value, path: Path<'_>, report: &mut Report) {
    if !weight.as_i64().is_some_and(|weight| (1..=100).contains(&weight)) {
        report.invalid(path, weight, "must be in the range 1-100");
    }
}

fn pod_term(term: &Value, path: Path<'_>, report: &mut Report) {
    selector::label_selector(&term["labelSelector"], path.key("labelSelector"), report);
    let key = text(&term["topologyKey"]);
    if key.is_empty() {
        report.required(path.key("topologyKey"), "can not be empty");
    } else {
        report.name(path.key("topologyKey"), key, names::qualified_name(key));
    }
}

/// A `NodeSelector`: at least one term.
pub(super) fn node_selector(selector: &Value, path: Path<'_>, report: &mut Report) {
    let terms = path.key("nodeSelectorTerms");
    if items(&selector["nodeSelectorTerms"]).is_empty() {
        report.required(terms, "must have at least one node selector term");
    }
    for (index, term) in items(&selector["nodeSelectorTerms"]).iter().enumerate() {
        node_term(term, terms.index(index), report);
    }
}

fn node_term(term: &Value, path: Path<'_>, report: &mut Report) {
    for list in ["matchExpressions", "matchFields"] {
        let list_path = path.key(list);
        for (index, expression) in items(&term[list]).iter().enumerate() {
            let at = list_path.index(index);
            let values = items(&expression["values"]);
            match text(&expression["operator"]) {
                "In" | "NotIn" if values.is_empty() => {
                    report.required(at.key("values"), "must be specified when `operator` is 'In' or 'NotIn'");
                }
                "Exists" | "DoesNotExist" if !values.is_empty() => {
                    report.forbidden(
                        at.key("values"),
                        "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                    );
                }
                "Gt" | "Lt" if values.len() != 1 => {
                    report.required(at.key("values"), "must be specified single value when `operator` is 'Lt' or 'Gt'");
                }
                "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
                _ => report.invalid(at.key("operator"), &expression["operator"], "not a valid selector operator"),
            }
            let key = text(&expression["key"]);
            if list == "matchExpressions" {
                report.name(at.key("key"), key, names::qualified_name(key));
            } else if key != "metadata.name" {
                report.invalid(at.key("key"), &expression["key"], "not a valid field selector key");
            }
        }
    }
}

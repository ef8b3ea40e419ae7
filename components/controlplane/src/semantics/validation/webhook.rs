//! Mutating and validating webhook configurations. Source: spec 10 §2.5.

use serde_json::Value;

use super::report::{Report, items, text};
use super::selector;
use crate::semantics::json::Path;
use crate::semantics::names;

/// Rules of both kinds of configuration.
pub(super) fn configuration(object: &Value, report: &mut Report) {
    let list = Path::Root.key("webhooks");
    let webhooks = items(&object["webhooks"]);
    for (index, webhook) in webhooks.iter().enumerate() {
        let at = list.index(index);
        let name = text(&webhook["name"]);
        report.name(at.key("name"), name, names::dns_subdomain(name));
        if name.split('.').count() < 3 {
            let why = "should be a domain with at least three segments separated by dots";
            report.invalid(at.key("name"), &webhook["name"], why);
        }
        if webhooks.iter().take(index).any(|other| other["name"] == webhook["name"]) {
            report.duplicate(at.key("name"), &webhook["name"]);
        }
        let versions = items(&webhook["admissionReviewVersions"]);
        if versions.is_empty() {
            report.required(at.key("admissionReviewVersions"), "must specify one of v1, v1beta1");
        } else if !versions.iter().any(|version| version == "v1") {
            let why = "must include at least one of v1";
            report.invalid(at.key("admissionReviewVersions"), &webhook["admissionReviewVersions"], why);
        }
        report.one_of(at.key("sideEffects"), &webhook["sideEffects"], &["None", "NoneOnDryRun"]);
        report.maybe_one_of(at.key("failurePolicy"), &webhook["failurePolicy"], &["Fail", "Ignore"]);
        report.maybe_one_of(at.key("matchPolicy"), &webhook["matchPolicy"], &["Equivalent", "Exact"]);
        report.maybe_one_of(at.key("reinvocationPolicy"), &webhook["reinvocationPolicy"], &["IfNeeded", "Never"]);
        if webhook["timeoutSeconds"].as_i64().is_some_and(|seconds| !(1..=30).contains(&seconds)) {
            report.invalid(
                at.key("timeoutSeconds"),
                &webhook["timeoutSeconds"],
                "the timeout value must be between 1 and 30 seconds",
            );
        }
        selector::label_selector(&webhook["namespaceSelector"], at.key("namespaceSelector"), report);
        selector::label_selector(&webhook["objectSelector"], at.key("objectSelector"), report);
        client(&webhook["clientConfig"], at.key("clientConfig"), report);
        rules(&webhook["rules"], at.key("rules"), report);
    }
}

fn client(config: &Value, path: Path<'_>, report: &mut Report) {
    let url = text(&config["url"]);
    match (url.is_empty(), config["service"].is_object()) {
        (true, false) | (false, true) => {
            report.required(path, "exactly one of url or service is required");
        }
        (false, false) if !url.starts_with("https://") => {
            report.invalid(path.key("url"), &config["url"], "'https' is the only allowed URL scheme");
        }
        (false, false) => {}
        (true, true) => {
            let at = path.key("service");
            for field in ["namespace", "name"] {
                if text(&config["service"][field]).is_empty() {
                    report.required(at.key(field), "");
                }
            }
        }
    }
}

fn rules(rules: &Value, path: Path<'_>, report: &mut Report) {
    for (index, rule) in items(rules).iter().enumerate() {
        let at = path.index(index);
        for field in ["operations", "apiGroups", "apiVersions", "resources"] {
            if items(&rule[field]).is_empty() {
                report.required(at.key(field), "");
            }
        }
        for operation in items(&rule["operations"]) {
            let known = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
            if !known.contains(&text(operation)) {
                report.not_supported(at.key("operations"), operation, &known);
            }
        }
    }
}

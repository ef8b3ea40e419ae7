//! Roles and bindings. Source: spec 10 §2.5.

use serde_json::Value;

use super::report::{Report, items, text};
use crate::semantics::json::Path;
use crate::semantics::names;

const GROUP: &str = "rbac.authorization.k8s.io";

/// Rules of a Role or ClusterRole.
pub(super) fn role(object: &Value, namespaced: bool, report: &mut Report) {
    let rules = Path::Root.key("rules");
    for (index, rule) in items(&object["rules"]).iter().enumerate() {
        let at = rules.index(index);
        let has = |field: &str| !items(&rule[field]).is_empty();
        if !has("verbs") {
            report.required(at.key("verbs"), "verbs must contain at least one value");
        }
        if has("nonResourceURLs") {
            if namespaced {
                report.invalid(
                    at.key("nonResourceURLs"),
                    &rule["nonResourceURLs"],
                    "namespaced rules cannot apply to non-resource URLs",
                );
            }
            if has("apiGroups") || has("resources") || has("resourceNames") {
                report.invalid(
                    at.key("nonResourceURLs"),
                    &rule["nonResourceURLs"],
                    "rules cannot apply to both regular resources and non-resource URLs",
                );
            }
            continue;
        }
        if !has("apiGroups") {
            report.required(at.key("apiGroups"), "resource rules must supply at least one api group");
        }
        if !has("resources") {
            report.required(at.key("resources"), "resource rules must supply at least one resource");
        }
    }
}

/// Rules of a RoleBinding or ClusterRoleBinding.
pub(super) fn binding(object: &Value, old: Option<&Value>, namespaced: bool, report: &mut Report) {
    let role = &object["roleRef"];
    let path = Path::Root.key("roleRef");
    if text(&role["apiGroup"]) != GROUP {
        report.not_supported(path.key("apiGroup"), &role["apiGroup"], &[GROUP]);
    }
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&text(&role["kind"])) {
        report.not_supported(path.key("kind"), &role["kind"], kinds);
    }
    let name = text(&role["name"]);
    if name.is_empty() {
        report.required(path.key("name"), "");
    } else {
        report.name(path.key("name"), name, names::path_segment(name));
    }
    let list = Path::Root.key("subjects");
    for (index, subject) in items(&object["subjects"]).iter().enumerate() {
        let at = list.index(index);
        self::subject(subject, namespaced, at, report);
    }
    if let Some(old) = old
        && old["roleRef"] != object["roleRef"]
    {
        report.invalid("roleRef", role, "cannot change roleRef");
    }
}

fn subject(subject: &Value, namespaced: bool, path: Path<'_>, report: &mut Report) {
    let name = text(&subject["name"]);
    if name.is_empty() {
        report.required(path.key("name"), "");
    }
    let group = text(&subject["apiGroup"]);
    match text(&subject["kind"]) {
        "ServiceAccount" => {
            if !name.is_empty() {
                report.name(path.key("name"), name, names::dns_subdomain(name));
            }
            if !group.is_empty() {
                report.not_supported(path.key("apiGroup"), &subject["apiGroup"], &[""]);
            }
            if !namespaced && text(&subject["namespace"]).is_empty() {
                report.required(path.key("namespace"), "");
            }
        }
        "User" | "Group" if group != GROUP => {
            report.not_supported(path.key("apiGroup"), &subject["apiGroup"], &[GROUP]);
        }
        "User" | "Group" => {}
        _ => report.not_supported(path.key("kind"), &subject["kind"], &["ServiceAccount", "User", "Group"]),
    }
}

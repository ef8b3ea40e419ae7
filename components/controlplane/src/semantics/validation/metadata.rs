//! Rules of `metadata`, the same for all kinds. Source: spec 10 §2.3, §4.2.

use serde_json::Value;

use super::report::{Report, items, text};
use crate::semantics::json::Path;
use crate::semantics::names::{self, NameFault};
use crate::semantics::resources::ResourceInfo;

const MAX_ANNOTATIONS: usize = 262_144;
/// The reserved finalizers without a slash.
const PLAIN_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// Rules of a new object; its name is already generated or given.
pub(super) fn create(resource: &ResourceInfo, object: &Value, report: &mut Report) {
    let metadata = &object["metadata"];
    let rule = name_rule(resource);
    let name = text(&metadata["name"]);
    if name.is_empty() {
        match text(&metadata["generateName"]) {
            "" => report.required("metadata.name", "name or generateName is required"),
            prefix => report.name("metadata.generateName", prefix, rule(prefix.trim_end_matches('-'))),
        }
    } else {
        report.name("metadata.name", name, rule(name));
    }
    let namespace = text(&metadata["namespace"]);
    if resource.namespaced && namespace.is_empty() {
        report.required("metadata.namespace", "");
    } else if resource.namespaced {
        report.name("metadata.namespace", namespace, names::dns_label(namespace));
    } else if !namespace.is_empty() {
        report.forbidden("metadata.namespace", "not allowed on this type");
    }
    common(metadata, report);
}

/// Rules of a change.
pub(super) fn update(resource: &ResourceInfo, old: &Value, new: &Value, report: &mut Report) {
    let (before, after) = (&old["metadata"], &new["metadata"]);
    for field in ["name", "namespace", "uid", "creationTimestamp"] {
        report.immutable(format_args!("metadata.{field}"), &before[field], &after[field]);
    }
    let version = text(&after["resourceVersion"]);
    if !resource.unconditional_update && version.is_empty() {
        report.blind_update();
    }
    if !before["deletionTimestamp"].is_null() {
        let known = items(&before["finalizers"]);
        let added: Vec<&str> =
            items(&after["finalizers"]).iter().filter(|item| !known.contains(item)).map(text).collect();
        if !added.is_empty() {
            let list: Vec<String> = added.iter().map(|name| format!("{name:?}")).collect();
            report.forbidden(
                "metadata.finalizers",
                format_args!(
                    "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                    list.join(", ")
                ),
            );
        }
    }
    common(after, report);
}

fn common(metadata: &Value, report: &mut Report) {
    let root = Path::Root.key("metadata");
    labels(&metadata["labels"], root.key("labels"), report);
    let annotations = root.key("annotations");
    let mut total = 0;
    for (key, value) in metadata["annotations"].as_object().into_iter().flatten() {
        report.name(annotations, key, names::qualified_name(&key.to_lowercase()));
        total += key.len() + text(value).len();
    }
    if total > MAX_ANNOTATIONS {
        report.too_long(annotations, MAX_ANNOTATIONS);
    }
    let finalizers = root.key("finalizers");
    for (index, finalizer) in items(&metadata["finalizers"]).iter().enumerate() {
        let name = text(finalizer);
        report.name(finalizers.index(index), name, names::qualified_name(name));
        if !name.contains('/') && !PLAIN_FINALIZERS.contains(&name) {
            report.invalid(
                finalizers.index(index),
                finalizer,
                "name is neither a standard finalizer name nor is it fully qualified",
            );
        }
    }
    owners(&metadata["ownerReferences"], root.key("ownerReferences"), report);
}

/// Labels of an object or a template.
pub(super) fn labels(labels: &Value, path: Path<'_>, report: &mut Report) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        report.name(path, key, names::qualified_name(key));
        report.name(path, text(value), names::label_value(text(value)));
    }
}

fn owners(owners: &Value, path: Path<'_>, report: &mut Report) {
    let mut controllers = 0;
    for (index, owner) in items(owners).iter().enumerate() {
        let at = path.index(index);
        for field in ["apiVersion", "kind", "name", "uid"] {
            if text(&owner[field]).is_empty() {
                report.invalid(at.key(field), &owner[field], format_args!("{field} must not be empty"));
            }
        }
        if text(&owner["kind"]) == "Event" && matches!(text(&owner["apiVersion"]), "v1" | "events.k8s.io/v1") {
            report.invalid(at, owner, "Event is disallowed from being an owner");
        }
        controllers += usize::from(owner["controller"] == true);
    }
    if controllers > 1 {
        report.invalid(path, owners, "Only one reference can have Controller set to true");
    }
}

type NameRule = fn(&str) -> Option<NameFault>;

fn name_rule(resource: &ResourceInfo) -> NameRule {
    match (&*resource.storage_group, &*resource.plural) {
        ("", "namespaces") => names::dns_label,
        ("", "services") => names::dns_1035_label,
        ("rbac.authorization.k8s.io", _) => names::path_segment,
        _ => names::dns_subdomain,
    }
}

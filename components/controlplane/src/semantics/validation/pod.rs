//! Pods and pod templates. Source: spec 10 §2.5.

use std::net::IpAddr;

use serde_json::Value;

use super::report::{Report, items, text};
use super::{container, metadata, scheduling, volume};
use crate::semantics::json::Path;
use crate::semantics::names;

/// Whose template it is: that decides about the restart policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// A pod of its own or a PodTemplate.
    Any,
    /// Deployment, ReplicaSet, StatefulSet, DaemonSet: `Always` only.
    Service,
    /// Job: `OnFailure` or `Never`.
    Job,
}

const UPDATE_TEXT: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// A Pod, new or changed.
pub(super) fn pod(object: &Value, old: Option<&Value>, report: &mut Report) {
    let path = Path::Root.key("spec");
    spec(&object["spec"], path, Owner::Any, report);
    if let Some(old) = old {
        update(&old["spec"], &object["spec"], path, report);
    }
}

/// A pod template at `path`.
pub(super) fn template(template: &Value, path: Path<'_>, owner: Owner, report: &mut Report) {
    let meta = path.key("metadata");
    metadata::labels(&template["metadata"]["labels"], meta.key("labels"), report);
    let annotations = meta.key("annotations");
    for key in template["metadata"]["annotations"].as_object().into_iter().flatten().map(|(key, _)| key) {
        report.name(annotations, key, names::qualified_name(&key.to_lowercase()));
    }
    let at = path.key("spec");
    spec(&template["spec"], at, owner, report);
    if !items(&template["spec"]["ephemeralContainers"]).is_empty() {
        report.forbidden(at.key("ephemeralContainers"), "ephemeral containers not allowed in pod template");
    }
}

fn spec(spec: &Value, path: Path<'_>, owner: Owner, report: &mut Report) {
    let policies: &[&str] = match owner {
        Owner::Any => &["Always", "OnFailure", "Never"],
        Owner::Service => &["Always"],
        Owner::Job => &["OnFailure", "Never"],
    };
    let volumes = volume::volumes(spec, path.key("volumes"), report);
    container::containers(spec, path, &volumes, report);
    report.one_of(path.key("restartPolicy"), &spec["restartPolicy"], policies);
    report.one_of(
        path.key("dnsPolicy"),
        &spec["dnsPolicy"],
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
    );
    if spec["dnsPolicy"] == "None" && items(&spec["dnsConfig"]["nameservers"]).is_empty() {
        report.required(
            path.key("dnsConfig").key("nameservers"),
            "must provide at least one DNS nameserver when `dnsPolicy` is None",
        );
    }
    deadlines(spec, path, owner, report);
    let account = text(&spec["serviceAccountName"]);
    if !account.is_empty() {
        report.name(path.key("serviceAccountName"), account, names::dns_subdomain(account));
    }
    let node = text(&spec["nodeName"]);
    if !node.is_empty() {
        report.name(path.key("nodeName"), node, names::dns_subdomain(node));
    }
    for field in ["hostname", "subdomain"] {
        let name = text(&spec[field]);
        if !name.is_empty() {
            report.name(path.key(field), name, names::dns_label(name));
        }
    }
    let class = text(&spec["priorityClassName"]);
    if !class.is_empty() {
        report.name(path.key("priorityClassName"), class, names::dns_subdomain(class));
    }
    let runtime = text(&spec["runtimeClassName"]);
    if !runtime.is_empty() {
        report.name(path.key("runtimeClassName"), runtime, names::dns_subdomain(runtime));
    }
    metadata::labels(&spec["nodeSelector"], path.key("nodeSelector"), report);
    scheduling::affinity(&spec["affinity"], path.key("affinity"), report);
    scheduling::tolerations(&spec["tolerations"], path.key("tolerations"), report);
    scheduling::spread(&spec["topologySpreadConstraints"], path.key("topologySpreadConstraints"), report);
    host_aliases(&spec["hostAliases"], path.key("hostAliases"), report);
    security(&spec["securityContext"], path.key("securityContext"), report);
}

fn deadlines(spec: &Value, path: Path<'_>, owner: Owner, report: &mut Report) {
    let deadline = &spec["activeDeadlineSeconds"];
    if let Some(seconds) = deadline.as_i64() {
        let at = path.key("activeDeadlineSeconds");
        if owner == Owner::Service {
            report.forbidden(at, "activeDeadlineSeconds in ReplicaSet is not Supported");
        } else if !(1..=i64::from(i32::MAX)).contains(&seconds) {
            report.invalid(at, deadline, "must be between 1 and 2147483647, inclusive");
        }
    }
    report.not_negative(path.key("terminationGracePeriodSeconds"), &spec["terminationGracePeriodSeconds"]);
}

fn host_aliases(aliases: &Value, path: Path<'_>, report: &mut Report) {
    for (index, alias) in items(aliases).iter().enumerate() {
        let at = path.index(index);
        if text(&alias["ip"]).parse::<IpAddr>().is_err() {
            report.invalid(at.key("ip"), &alias["ip"], "must be a valid IP address");
        }
        let names = at.key("hostnames");
        for (index, name) in items(&alias["hostnames"]).iter().enumerate() {
            report.name(names.index(index), text(name), names::dns_subdomain(text(name)));
        }
    }
}

fn security(context: &Value, path: Path<'_>, report: &mut Report) {
    for field in ["runAsUser", "runAsGroup", "fsGroup"] {
        if context[field].as_i64().is_some_and(|id| !(0..=i64::from(i32::MAX)).contains(&id)) {
            report.invalid(path.key(field), &context[field], "must be between 0 and 2147483647, inclusive");
        }
    }
    let sysctls = path.key("sysctls");
    let mut seen = Vec::new();
    for (index, sysctl) in items(&context["sysctls"]).iter().enumerate() {
        let name = text(&sysctl["name"]);
        let at = sysctls.index(index);
        if name.is_empty() {
            report.required(at.key("name"), "");
        } else if seen.contains(&name) {
            report.duplicate(at.key("name"), &sysctl["name"]);
        } else if name.len() > 253 || !name.split(['.', '/']).all(is_sysctl_segment) {
            report.invalid(
                at.key("name"),
                &sysctl["name"],
                "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
            );
        }
        seen.push(name);
    }
}

fn is_sysctl_segment(segment: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = segment.as_bytes();
    bytes.first().is_some_and(|byte| word(*byte))
        && bytes.last().is_some_and(|byte| word(*byte))
        && bytes.iter().all(|byte| word(*byte) || matches!(byte, b'-' | b'_'))
}

/// A pod's spec is fixed except for a few fields: put the allowed changes aside and compare the rest.
fn update(old: &Value, new: &Value, path: Path<'_>, report: &mut Report) {
    let deadline = (old["activeDeadlineSeconds"].as_i64(), new["activeDeadlineSeconds"].as_i64());
    if let (Some(before), after) = deadline
        && after.is_none_or(|after| after > before)
    {
        let why = "must be less than or equal to previous value";
        report.invalid(path.key("activeDeadlineSeconds"), &new["activeDeadlineSeconds"], why);
    }
    let added = items(&new["tolerations"]);
    if items(&old["tolerations"]).iter().any(|toleration| !keeps_toleration(toleration, added)) {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        report.forbidden(path.key("tolerations"), why);
    }
    let mut expected = new.clone();
    if let Value::Object(map) = &mut expected {
        for field in ["activeDeadlineSeconds", "tolerations", "ephemeralContainers"] {
            match old.get(field) {
                Some(value) => map.insert(field.to_owned(), value.clone()),
                None => map.remove(field),
            };
        }
        if old["terminationGracePeriodSeconds"].as_i64().is_some_and(|grace| grace < 0)
            && new["terminationGracePeriodSeconds"] == 1
        {
            map.insert("terminationGracePeriodSeconds".to_owned(), old["terminationGracePeriodSeconds"].clone());
        }
        let gates = items(&new["schedulingGates"]);
        if gates.iter().all(|gate| items(&old["schedulingGates"]).contains(gate)) {
            match old.get("schedulingGates") {
                Some(value) => map.insert("schedulingGates".to_owned(), value.clone()),
                None => map.remove("schedulingGates"),
            };
        }
    }
    for list in ["containers", "initContainers"] {
        let before = items(&old[list]);
        for (index, container) in expected.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().enumerate()
        {
            if let (Some(before), Value::Object(map)) = (before.get(index), container) {
                match before.get("image") {
                    Some(image) => map.insert("image".to_owned(), image.clone()),
                    None => map.remove("image"),
                };
            }
        }
    }
    if expected != *old {
        report.forbidden(path, UPDATE_TEXT);
    }
}

fn keeps_toleration(old: &Value, new: &[Value]) -> bool {
    new.iter().any(|toleration| {
        ["key", "operator", "value", "effect"].iter().all(|field| toleration.get(field) == old.get(field))
    })
}

//! Containers: names, images, ports, environment, mounts, probes, resources. Source: spec 10 §2.5.

use std::collections::BTreeSet;

use serde_json::Value;

use super::report::{Report, items, text};
use crate::semantics::json::Path;
use crate::semantics::names;
use crate::semantics::quantity::Quantity;

/// All containers of a pod spec. `volumes` are the names mounts may use.
pub(super) fn containers(spec: &Value, path: Path<'_>, volumes: &BTreeSet<&str>, report: &mut Report) {
    let mut seen = BTreeSet::new();
    let mut host_ports = BTreeSet::new();
    if items(&spec["containers"]).is_empty() {
        report.required(path.key("containers"), "");
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        let at = path.key(list);
        for (index, container) in items(&spec[list]).iter().enumerate() {
            let at = at.index(index);
            let name = text(&container["name"]);
            if name.is_empty() {
                report.required(at.key("name"), "");
            } else {
                report.name(at.key("name"), name, names::dns_label(name));
                if !seen.insert(name) {
                    report.duplicate(at.key("name"), &container["name"]);
                }
            }
            one(container, at, volumes, report);
            if list == "containers" {
                let host_network = spec["hostNetwork"] == true;
                ports(&container["ports"], at.key("ports"), host_network, &mut host_ports, report);
            }
        }
    }
}

fn one(container: &Value, path: Path<'_>, volumes: &BTreeSet<&str>, report: &mut Report) {
    let image = text(&container["image"]);
    if image.is_empty() {
        report.required(path.key("image"), "");
    } else if image.trim() != image {
        report.invalid(path.key("image"), &container["image"], "must not have leading or trailing whitespace");
    }
    report.one_of(path.key("imagePullPolicy"), &container["imagePullPolicy"], &["Always", "IfNotPresent", "Never"]);
    report.maybe_one_of(
        path.key("terminationMessagePolicy"),
        &container["terminationMessagePolicy"],
        &["File", "FallbackToLogsOnError"],
    );
    environment(container, path, report);
    mounts(container, path, volumes, report);
    resources(&container["resources"], path.key("resources"), report);
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container[probe].is_object() {
            self::probe(&container[probe], path.key(probe), probe, report);
        }
    }
    let lifecycle = path.key("lifecycle");
    for hook in ["postStart", "preStop"] {
        if container["lifecycle"][hook].is_object() {
            handler(&container["lifecycle"][hook], lifecycle.key(hook), report);
        }
    }
}

fn ports(ports: &Value, path: Path<'_>, host_network: bool, host_ports: &mut BTreeSet<String>, report: &mut Report) {
    let mut seen = BTreeSet::new();
    for (index, port) in items(ports).iter().enumerate() {
        let at = path.index(index);
        let name = text(&port["name"]);
        if !name.is_empty() {
            report.name(at.key("name"), name, names::port_name(name));
            if !seen.insert(name) {
                report.duplicate(at.key("name"), &port["name"]);
            }
        }
        let number = port["containerPort"].as_i64().unwrap_or_default();
        if number == 0 {
            report.required(at.key("containerPort"), "");
        } else {
            self::port(&port["containerPort"], at.key("containerPort"), report);
        }
        let host = port["hostPort"].as_i64().unwrap_or_default();
        if host != 0 {
            self::port(&port["hostPort"], at.key("hostPort"), report);
            let address = match text(&port["hostIP"]) {
                "" => "0.0.0.0",
                address => address,
            };
            if !host_ports.insert(format!("{}/{address}/{host}", text(&port["protocol"]))) {
                report.duplicate(at.key("hostPort"), &port["hostPort"]);
            }
            if host_network && host != number {
                report.invalid(
                    at.key("hostPort"),
                    &port["hostPort"],
                    "must match `containerPort` when `hostNetwork` is true",
                );
            }
        }
        report.one_of(at.key("protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"]);
    }
}

/// A port number.
pub(super) fn port(value: &Value, path: Path<'_>, report: &mut Report) {
    if !value.as_i64().is_some_and(|port| (1..=65535).contains(&port)) {
        report.invalid(path, value, "must be between 1 and 65535, inclusive");
    }
}

/// A port number or name.
pub(super) fn port_or_name(value: &Value, path: Path<'_>, report: &mut Report) {
    match value {
        Value::String(name) => report.name(path, name, names::port_name(name)),
        _ => port(value, path, report),
    }
}

fn environment(container: &Value, path: Path<'_>, report: &mut Report) {
    let list = path.key("env");
    for (index, variable) in items(&container["env"]).iter().enumerate() {
        let at = list.index(index);
        let name = text(&variable["name"]);
        if name.is_empty() {
            report.required(at.key("name"), "");
        } else {
            report.name(at.key("name"), name, names::environment_name(name));
        }
        if let Some(source) = variable["valueFrom"].as_object() {
            let source_path = at.key("valueFrom");
            if source.len() > 1 {
                report.invalid(source_path, &"".into(), "may not have more than one field specified at a time");
            } else if source.is_empty() {
                report.invalid(
                    source_path,
                    &"".into(),
                    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
                );
            }
            if !text(&variable["value"]).is_empty() {
                report.invalid(source_path, &"".into(), "may not be specified when `value` is not empty");
            }
            for reference in ["configMapKeyRef", "secretKeyRef"] {
                if let Some(found) = source.get(reference)
                    && text(&found["key"]).is_empty()
                {
                    report.required(source_path.key(reference).key("key"), "");
                }
            }
        }
    }
    let from = path.key("envFrom");
    for (index, source) in items(&container["envFrom"]).iter().enumerate() {
        let at = from.index(index);
        match (source["configMapRef"].is_object(), source["secretRef"].is_object()) {
            (true, true) => report.invalid(at, &"".into(), "may not have more than one field specified at a time"),
            (false, false) => report.invalid(at, &"".into(), "must specify one of: `configMapRef` or `secretRef`"),
            _ => {}
        }
    }
}

fn mounts(container: &Value, path: Path<'_>, volumes: &BTreeSet<&str>, report: &mut Report) {
    let list = path.key("volumeMounts");
    let mut seen = BTreeSet::new();
    for (index, mount) in items(&container["volumeMounts"]).iter().enumerate() {
        let at = list.index(index);
        let name = text(&mount["name"]);
        if name.is_empty() {
            report.required(at.key("name"), "");
        } else if !volumes.contains(name) {
            report.not_found(at.key("name"), &mount["name"]);
        }
        let target = text(&mount["mountPath"]);
        if target.is_empty() {
            report.required(at.key("mountPath"), "");
        } else if !seen.insert(target) {
            report.invalid(at.key("mountPath"), &mount["mountPath"], "must be unique");
        }
        let sub_path = text(&mount["subPath"]);
        if sub_path.starts_with('/') {
            report.invalid(at.key("subPath"), &mount["subPath"], "must be a relative path");
        }
        if sub_path.split('/').any(|part| part == "..") {
            report.invalid(at.key("subPath"), &mount["subPath"], "must not contain '..'");
        }
        report.maybe_one_of(
            at.key("mountPropagation"),
            &mount["mountPropagation"],
            &["Bidirectional", "HostToContainer", "None"],
        );
    }
}

/// Requests and limits.
pub(super) fn resources(resources: &Value, path: Path<'_>, report: &mut Report) {
    let parsed = |value: &Value| Quantity::parse(text(value)).unwrap_or(Quantity::ZERO);
    for list in ["limits", "requests"] {
        let list_path = path.key(list);
        for (name, value) in resources[list].as_object().into_iter().flatten() {
            let at = list_path.key(name);
            let amount = parsed(value);
            report.name(list_path, name, names::qualified_name(name));
            if !name.contains('/') && !is_native(name) {
                report.invalid(list_path, &name.as_str().into(), "must be a standard resource type or fully qualified");
            }
            if amount.is_negative() {
                report.invalid(at, value, "must be greater than or equal to 0");
            }
            if is_extended(name) && !amount.is_integer() {
                report.invalid(at, value, "must be an integer");
            }
        }
    }
    let requests = path.key("requests");
    for (name, request) in resources["requests"].as_object().into_iter().flatten() {
        let limit = &resources["limits"][name.as_str()];
        if limit.is_null() {
            if is_extended(name) {
                report.required(path.key("limits").key(name), "Limit must be set for non overcommitable resources");
            }
            continue;
        }
        if is_extended(name) && parsed(request) != parsed(limit) {
            report.invalid(requests, request, format_args!("must be equal to {name} limit of {}", text(limit)));
        } else if parsed(request) > parsed(limit) {
            report.invalid(
                requests,
                request,
                format_args!("must be less than or equal to {name} limit of {}", text(limit)),
            );
        }
    }
}

fn is_native(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage" | "storage") || name.starts_with("hugepages-")
}

/// A device or other countable resource of a vendor.
fn is_extended(name: &str) -> bool {
    name.starts_with("hugepages-") || (name.contains('/') && !name.contains("kubernetes.io/"))
}

fn probe(probe: &Value, path: Path<'_>, which: &str, report: &mut Report) {
    handler(probe, path, report);
    for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        report.not_negative(path.key(field), &probe[field]);
    }
    if which != "readinessProbe" && probe["successThreshold"].as_i64().is_some_and(|count| count != 1) {
        report.invalid(path.key("successThreshold"), &probe["successThreshold"], "must be 1");
    }
}

/// Exactly one way to probe or to run a hook.
fn handler(handler: &Value, path: Path<'_>, report: &mut Report) {
    const WAYS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];
    let mut found = 0;
    for way in WAYS {
        if !handler[way].is_object() {
            continue;
        }
        found += 1;
        let at = path.key(way);
        if found > 1 {
            report.forbidden(at, "may not specify more than 1 handler type");
            continue;
        }
        match way {
            "exec" if items(&handler["exec"]["command"]).is_empty() => report.required(at.key("command"), ""),
            "httpGet" => {
                if text(&handler[way]["path"]).is_empty() {
                    report.required(at.key("path"), "");
                }
                port_or_name(&handler[way]["port"], at.key("port"), report);
                report.one_of(at.key("scheme"), &handler[way]["scheme"], &["HTTP", "HTTPS"]);
            }
            "tcpSocket" => port_or_name(&handler[way]["port"], at.key("port"), report),
            "grpc" => port(&handler[way]["port"], at.key("port"), report),
            _ => {}
        }
    }
    if found == 0 {
        report.required(path, "must specify a handler type");
    }
}

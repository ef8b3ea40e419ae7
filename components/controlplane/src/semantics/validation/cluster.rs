//! Namespace, Node, Event, Lease, CertificateSigningRequest, PriorityClass, PodDisruptionBudget, RuntimeClass.
//!
//! Source: spec 10 §2.5.

use serde_json::Value;

use super::report::{Report, items, text};
use super::{scheduling, selector, workload};
use crate::semantics::json::Path;
use crate::semantics::names;

const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// Highest priority a user may define.
const MAX_PRIORITY: i64 = 1_000_000_000;

/// Rules of a Namespace.
pub(super) fn namespace(object: &Value, old: Option<&Value>, report: &mut Report) {
    let list = Path::Root.key("spec");
    let list = list.key("finalizers");
    for (index, name) in items(&object["spec"]["finalizers"]).iter().enumerate() {
        report.name(list.index(index), text(name), names::qualified_name(text(name)));
    }
    if old.is_some() && object["metadata"]["labels"][NAME_LABEL] != object["metadata"]["name"] {
        let why = format!("must be equal to {}", text(&object["metadata"]["name"]));
        report.invalid(format_args!("metadata.labels[{NAME_LABEL}]"), &object["metadata"]["labels"][NAME_LABEL], why);
    }
}

/// Rules of a Node.
pub(super) fn node(object: &Value, old: Option<&Value>, report: &mut Report) {
    let spec = &object["spec"];
    let path = Path::Root.key("spec");
    scheduling::taints(&spec["taints"], path.key("taints"), report);
    let addresses = Path::Root.key("status");
    let addresses = addresses.key("addresses");
    let list = items(&object["status"]["addresses"]);
    for (index, address) in list.iter().enumerate() {
        if list.iter().take(index).any(|other| other == address) {
            report.duplicate(addresses.index(index), address);
        }
    }
    let cidrs = items(&spec["podCIDRs"]);
    if cidrs.len() > 2 {
        report.invalid(path.key("podCIDRs"), &spec["podCIDRs"], "may specify no more than one CIDR for each IP family");
    }
    let Some(old) = old else { return };
    let before = &old["spec"];
    if !items(&before["podCIDRs"]).is_empty() && before["podCIDRs"] != spec["podCIDRs"] {
        report.forbidden(path.key("podCIDRs"), "node updates may not change podCIDR except from \"\" to valid");
    }
    if !text(&before["providerID"]).is_empty() && before["providerID"] != spec["providerID"] {
        report.forbidden(path.key("providerID"), "node updates may not change providerID except from \"\" to valid");
    }
}

/// Rules of an Event of either API.
pub(super) fn event(object: &Value, report: &mut Report) {
    let involved = text(&object["involvedObject"]["namespace"]);
    let namespace = text(&object["metadata"]["namespace"]);
    // Events about cluster-scoped objects live in `default` (or kube-system).
    let fits = if involved.is_empty() { matches!(namespace, "default" | "kube-system") } else { involved == namespace };
    if !fits {
        report.invalid(
            "involvedObject.namespace",
            &object["involvedObject"]["namespace"],
            "does not match event.namespace",
        );
    }
}

/// Rules of a Lease's spec.
pub(super) fn lease(spec: &Value, path: Path<'_>, report: &mut Report) {
    if spec["leaseDurationSeconds"].as_i64().is_some_and(|seconds| seconds <= 0) {
        report.invalid(path.key("leaseDurationSeconds"), &spec["leaseDurationSeconds"], "must be greater than 0");
    }
    if spec["leaseTransitions"].as_i64().is_some_and(|count| count < 0) {
        report.invalid(path.key("leaseTransitions"), &spec["leaseTransitions"], "must be greater than or equal to 0");
    }
}

/// Rules of a CertificateSigningRequest. Whether its PEM block is a real request is checked where it is signed.
pub(super) fn signing_request(object: &Value, old: Option<&Value>, report: &mut Report) {
    let spec = &object["spec"];
    let path = Path::Root.key("spec");
    if !is_pem_request(text(&spec["request"])) {
        let why = "PEM block type must be CERTIFICATE REQUEST";
        report.invalid(path.key("request"), &"<request>".into(), why);
    }
    if items(&spec["usages"]).is_empty() {
        report.required(path.key("usages"), "usages must be provided");
    }
    let signer = text(&spec["signerName"]);
    let fits = signer.split_once('/').is_some_and(|(domain, name)| {
        names::dns_subdomain(domain).is_none() && domain.contains('.') && names::dns_subdomain(name).is_none()
    });
    if signer.is_empty() {
        report.required(path.key("signerName"), "");
    } else if !fits {
        let why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        report.invalid(path.key("signerName"), &spec["signerName"], why);
    }
    if spec["expirationSeconds"].as_i64().is_some_and(|seconds| seconds < 600) {
        let why = "may not specify a duration less than 600 seconds (10 minutes)";
        report.invalid(path.key("expirationSeconds"), &spec["expirationSeconds"], why);
    }
    let conditions = |object: &Value, kind: &str| {
        items(&object["status"]["conditions"]).iter().any(|condition| condition["type"] == kind)
    };
    if conditions(object, "Approved") && conditions(object, "Denied") {
        report.invalid("status.conditions", &"Denied".into(), "Approved and Denied conditions are mutually exclusive");
    }
    let Some(old) = old else { return };
    report.immutable("spec", &old["spec"], spec);
    for kind in ["Approved", "Denied", "Failed"] {
        if conditions(old, kind) && !conditions(object, kind) {
            report.forbidden("status.conditions", format_args!("updates may not remove a condition of type {kind:?}"));
        }
    }
    let before = &old["status"]["certificate"];
    if !text(before).is_empty() && *before != object["status"]["certificate"] {
        report.invalid("status.certificate", &"<certificate>".into(), "field is immutable");
    }
}

fn is_pem_request(encoded: &str) -> bool {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"]
        .iter()
        .any(|kind| text.contains(&format!("-----BEGIN {kind}-----")))
}

/// Rules of a PriorityClass. That only one is the global default is checked by admission, which sees the others.
pub(super) fn priority_class(object: &Value, old: Option<&Value>, report: &mut Report) {
    let name = text(&object["metadata"]["name"]);
    let system = matches!(name, "system-node-critical" | "system-cluster-critical");
    if name.starts_with("system-") && !system {
        let why = format!(
            "priority class names with 'system-' prefix are reserved for system use only. error: {name} is not a known system priority class"
        );
        report.forbidden("metadata.name", why);
    }
    if !system && object["value"].as_i64().is_some_and(|value| value > MAX_PRIORITY) {
        let why = format!("maximum allowed value of a user defined priority is {MAX_PRIORITY}");
        report.forbidden("value", why);
    }
    report.maybe_one_of("preemptionPolicy", &object["preemptionPolicy"], &["Never", "PreemptLowerPriority"]);
    let Some(old) = old else { return };
    if old["value"] != object["value"] {
        report.forbidden("value", "may not be changed in an update.");
    }
    report.immutable("preemptionPolicy", &old["preemptionPolicy"], &object["preemptionPolicy"]);
}

/// Rules of a PodDisruptionBudget.
pub(super) fn disruption_budget(object: &Value, report: &mut Report) {
    let spec = &object["spec"];
    let path = Path::Root.key("spec");
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        report.invalid(path, spec, "minAvailable and maxUnavailable cannot be both set");
    }
    for field in ["minAvailable", "maxUnavailable"] {
        workload::amount(&spec[field], path.key(field), report);
    }
    selector::label_selector(&spec["selector"], path.key("selector"), report);
}

/// Rules of a RuntimeClass.
pub(super) fn runtime_class(object: &Value, old: Option<&Value>, report: &mut Report) {
    let handler = text(&object["handler"]);
    report.name("handler", handler, names::dns_label(handler));
    if let Some(old) = old {
        report.immutable("handler", &old["handler"], &object["handler"]);
    }
}

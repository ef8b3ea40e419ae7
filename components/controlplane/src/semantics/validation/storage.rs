//! PersistentVolume, PersistentVolumeClaim, StorageClass. Source: spec 10 §2.5.

use serde_json::Value;

use super::report::{Report, items, text};
use super::scheduling;
use crate::semantics::json::Path;
use crate::semantics::quantity::Quantity;

const MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// Fields of a PersistentVolume's spec that are not its source.
const NOT_SOURCES: [&str; 9] = [
    "capacity",
    "accessModes",
    "claimRef",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "mountOptions",
    "volumeMode",
    "nodeAffinity",
    "volumeAttributesClassName",
];

/// Rules of a PersistentVolume.
pub(super) fn volume(object: &Value, old: Option<&Value>, report: &mut Report) {
    let spec = &object["spec"];
    let path = Path::Root.key("spec");
    if items(&spec["accessModes"]).is_empty() {
        report.required(path.key("accessModes"), "");
    }
    modes(spec, path, report);
    size(&spec["capacity"]["storage"], path.key("capacity").key("storage"), "", report);
    let mut sources = sources(spec);
    let source = sources.next();
    if source.is_none() {
        report.required(path, "must specify a volume type");
    }
    for (second, _) in sources {
        report.forbidden(path.key(second), "may not specify more than 1 volume type");
    }
    let host = text(&spec["hostPath"]["path"]);
    if host.split('/').any(|part| part == "..") {
        let at = path.key("hostPath");
        report.invalid(at.key("path"), &spec["hostPath"]["path"], "must not contain '..'");
    }
    let affinity = path.key("nodeAffinity");
    if spec["local"].is_object() && spec["nodeAffinity"]["required"].is_null() {
        report.required(affinity, "Local volume requires node affinity");
    }
    if spec["nodeAffinity"]["required"].is_object() {
        scheduling::node_selector(&spec["nodeAffinity"]["required"], affinity.key("required"), report);
    }
    report.maybe_one_of(path.key("volumeMode"), &spec["volumeMode"], &["Block", "Filesystem"]);
    report.maybe_one_of(
        path.key("persistentVolumeReclaimPolicy"),
        &spec["persistentVolumeReclaimPolicy"],
        &["Delete", "Recycle", "Retain"],
    );
    let Some(old) = old else { return };
    if self::sources(&old["spec"]).ne(self::sources(spec)) {
        report.forbidden(path.key("persistentvolumesource"), "spec.persistentvolumesource is immutable after creation");
    }
    report.immutable(path.key("volumeMode"), &old["spec"]["volumeMode"], &spec["volumeMode"]);
    if !old["spec"]["nodeAffinity"].is_null() {
        report.immutable(affinity, &old["spec"]["nodeAffinity"], &spec["nodeAffinity"]);
    }
}

fn sources(spec: &Value) -> impl Iterator<Item = (&String, &Value)> {
    spec.as_object().into_iter().flatten().filter(|(key, _)| !NOT_SOURCES.contains(&key.as_str()))
}

/// Rules of a PersistentVolumeClaim.
pub(super) fn claim(object: &Value, old: Option<&Value>, report: &mut Report) {
    let spec = &object["spec"];
    let path = Path::Root.key("spec");
    if items(&spec["accessModes"]).is_empty() {
        report.required(path.key("accessModes"), "at least 1 access mode is required");
    }
    modes(spec, path, report);
    report.maybe_one_of(path.key("volumeMode"), &spec["volumeMode"], &["Block", "Filesystem"]);
    let resources = path.key("resources");
    let at = resources.key("requests");
    size(&spec["resources"]["requests"]["storage"], at.key("storage"), "", report);
    let Some(old) = old else { return };
    let before = &old["spec"];
    let bound = old["status"]["phase"] == "Bound";
    let rest = |spec: &Value| {
        let mut rest = spec.clone();
        if let Value::Object(map) = &mut rest {
            map.remove("volumeAttributesClassName");
            if before["volumeName"].is_null() {
                map.remove("volumeName");
            }
            if before["storageClassName"].is_null() {
                map.remove("storageClassName");
            }
        }
        if bound && let Some(requests) = rest.pointer_mut("/resources/requests").and_then(Value::as_object_mut) {
            requests.remove("storage");
        }
        rest
    };
    if rest(before) != rest(spec) {
        report.forbidden(
            path,
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        );
    }
    let amount = |spec: &Value| Quantity::parse(text(&spec["resources"]["requests"]["storage"])).ok();
    if bound && amount(spec) < amount(before) && old["status"]["capacity"]["storage"].is_string() {
        report.forbidden(at.key("storage"), "field can not be less than status.capacity");
    }
}

/// Rules of a StorageClass.
pub(super) fn class(object: &Value, old: Option<&Value>, report: &mut Report) {
    if text(&object["provisioner"]).is_empty() {
        report.required("provisioner", "");
    }
    report.one_of("reclaimPolicy", &object["reclaimPolicy"], &["Delete", "Retain"]);
    report.one_of("volumeBindingMode", &object["volumeBindingMode"], &["Immediate", "WaitForFirstConsumer"]);
    let Some(old) = old else { return };
    for field in ["parameters", "provisioner", "reclaimPolicy"] {
        if old[field] != object[field] {
            report.forbidden(field, format_args!("updates to {field} are forbidden."));
        }
    }
    report.immutable("volumeBindingMode", &old["volumeBindingMode"], &object["volumeBindingMode"]);
}

fn modes(spec: &Value, path: Path<'_>, report: &mut Report) {
    for mode in items(&spec["accessModes"]) {
        if !MODES.contains(&text(mode)) {
            report.not_supported(path.key("accessModes"), mode, MODES);
        }
    }
}

fn size(size: &Value, path: Path<'_>, why: &str, report: &mut Report) {
    if size.is_null() {
        report.required(path, why);
    } else if Quantity::parse(text(size)).is_ok_and(|size| size <= Quantity::ZERO) {
        report.invalid(path, size, "must be greater than zero");
    }
}

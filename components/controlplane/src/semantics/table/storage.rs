//! Rows of volumes, claims and storage classes.

use serde_json::Value;

use super::cluster::set_or_unset;
use super::look::{Look, UNSET};
use crate::semantics::validation::report::{items, text};

fn modes(modes: &Value) -> Value {
    let short = |mode: &Value| match text(mode) {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        _ => "",
    };
    let mut list: Vec<&str> = Vec::new();
    for mode in items(modes).iter().map(short).filter(|mode| !mode.is_empty()) {
        if !list.contains(&mode) {
            list.push(mode);
        }
    }
    list.join(",").into()
}

pub(super) fn volume(look: Look<'_>) -> Vec<Value> {
    let claim = match look.text("spec.claimRef.name") {
        "" => String::new(),
        name => format!("{}/{name}", look.text("spec.claimRef.namespace")),
    };
    let terminating = !look.at("metadata.deletionTimestamp").is_null();
    vec![
        look.name(),
        look.cell("spec.capacity.storage"),
        modes(look.at("spec.accessModes")),
        look.cell("spec.persistentVolumeReclaimPolicy"),
        if terminating { "Terminating".into() } else { look.cell("status.phase") },
        claim.into(),
        look.cell("spec.storageClassName"),
        look.cell_or("spec.volumeAttributesClassName", UNSET),
        look.cell("status.reason"),
        look.age(),
        look.cell_or("spec.volumeMode", UNSET),
    ]
}

pub(super) fn claim(look: Look<'_>) -> Vec<Value> {
    let terminating = !look.at("metadata.deletionTimestamp").is_null();
    let bound = !look.text("spec.volumeName").is_empty();
    let empty = || Value::from("");
    vec![
        look.name(),
        if terminating { "Terminating".into() } else { look.cell("status.phase") },
        look.cell("spec.volumeName"),
        if bound { look.cell("status.capacity.storage") } else { empty() },
        if bound { modes(look.at("status.accessModes")) } else { empty() },
        look.cell("spec.storageClassName"),
        look.cell_or("spec.volumeAttributesClassName", UNSET),
        look.age(),
        look.cell_or("spec.volumeMode", UNSET),
    ]
}

pub(super) fn class(look: Look<'_>) -> Vec<Value> {
    let default = ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"]
        .iter()
        .any(|key| look.at("metadata.annotations")[*key] == "true");
    let name = look.text("metadata.name");
    vec![
        if default { format!("{name} (default)") } else { name.to_owned() }.into(),
        look.cell("provisioner"),
        look.cell("reclaimPolicy"),
        look.cell("volumeBindingMode"),
        (*look.at("allowVolumeExpansion") == true).into(),
        look.age(),
    ]
}

pub(super) fn attachment(look: Look<'_>) -> Vec<Value> {
    vec![
        look.name(),
        look.cell("spec.attacher"),
        look.cell("spec.source.persistentVolumeName"),
        look.cell("spec.nodeName"),
        (*look.at("status.attached") == true).into(),
        look.age(),
    ]
}

pub(super) fn driver(look: Look<'_>) -> Vec<Value> {
    let modes: Vec<&str> = items(look.at("spec.volumeLifecycleModes")).iter().map(text).collect();
    let audiences: Vec<&str> =
        items(look.at("spec.tokenRequests")).iter().map(|token| text(&token["audience"])).collect();
    vec![
        look.name(),
        (*look.at("spec.attachRequired") != false).into(),
        (*look.at("spec.podInfoOnMount") == true).into(),
        (*look.at("spec.storageCapacity") == true).into(),
        if audiences.is_empty() { UNSET.into() } else { audiences.join(",").into() },
        set_or_unset(look.at("spec.requiresRepublish")),
        modes.join(",").into(),
        look.age(),
    ]
}

pub(super) fn capacity(look: Look<'_>) -> Vec<Value> {
    vec![look.name(), look.cell("storageClassName"), look.cell_or("capacity", UNSET)]
}

//! Namespaces, nodes, secrets, volumes, bindings, webhooks and definitions.

use serde_json::{Map, Value, json};

use super::{child, each, fill, with, word};

type Object = Map<String, Value>;

pub(super) fn secret(object: &mut Object) {
    fill(object, "type", "Opaque");
    if let Some(Value::Object(plain)) = object.remove("stringData")
        && let Some(data) = child(object, "data")
    {
        use base64::Engine as _;
        for (key, value) in plain {
            let text = value.as_str().unwrap_or_default();
            data.insert(key, base64::engine::general_purpose::STANDARD.encode(text).into());
        }
    }
}

pub(super) fn namespace(object: &mut Object) {
    if let Some(metadata) = child(object, "metadata") {
        let name = word(metadata, "name").to_owned();
        if !name.is_empty()
            && let Some(labels) = child(metadata, "labels")
        {
            labels.insert("kubernetes.io/metadata.name".to_owned(), name.into());
        }
    }
    // The finalizer leaves once, while the namespace is being deleted; it must not come back.
    let deleting = object.get("metadata").is_some_and(|metadata| !metadata["deletionTimestamp"].is_null());
    if !deleting && let Some(spec) = child(object, "spec") {
        fill(spec, "finalizers", json!(["kubernetes"]));
    }
    if let Some(status) = child(object, "status") {
        fill(status, "phase", "Active");
    }
}

pub(super) fn node(object: &mut Object) {
    with(object, "status", |status| {
        if let Some(capacity) = status.get("capacity").cloned() {
            fill(status, "allocatable", capacity);
        }
    });
}

pub(super) fn volume(object: &mut Object) {
    if let Some(spec) = child(object, "spec") {
        fill(spec, "persistentVolumeReclaimPolicy", "Retain");
        fill(spec, "volumeMode", "Filesystem");
        with(spec, "hostPath", |source| fill(source, "type", ""));
    }
    if let Some(status) = child(object, "status") {
        fill(status, "phase", "Pending");
    }
}

pub(super) fn claim(object: &mut Object) {
    if let Some(spec) = child(object, "spec") {
        fill(spec, "volumeMode", "Filesystem");
    }
    if let Some(status) = child(object, "status") {
        fill(status, "phase", "Pending");
    }
}

pub(super) fn binding(object: &mut Object) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    with(object, "roleRef", |role| {
        if word(role, "apiGroup").is_empty() {
            role.insert("apiGroup".to_owned(), GROUP.into());
        }
    });
    each(object, "subjects", |subject| {
        if matches!(word(subject, "kind"), "User" | "Group") {
            fill(subject, "apiGroup", GROUP);
        }
    });
}

pub(super) fn csi_driver(object: &mut Object) {
    if let Some(spec) = child(object, "spec") {
        fill(spec, "attachRequired", true);
        fill(spec, "podInfoOnMount", false);
        fill(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
        fill(spec, "volumeLifecycleModes", json!(["Persistent"]));
        fill(spec, "storageCapacity", false);
        fill(spec, "requiresRepublish", false);
        fill(spec, "seLinuxMount", false);
    }
}

pub(super) fn webhooks(object: &mut Object, mutating: bool) {
    each(object, "webhooks", |webhook| {
        fill(webhook, "failurePolicy", "Fail");
        fill(webhook, "matchPolicy", "Equivalent");
        fill(webhook, "namespaceSelector", json!({}));
        fill(webhook, "objectSelector", json!({}));
        fill(webhook, "timeoutSeconds", 10);
        if mutating {
            fill(webhook, "reinvocationPolicy", "Never");
        }
        each(webhook, "rules", |rule| fill(rule, "scope", "*"));
        with(webhook, "clientConfig", |config| with(config, "service", |service| fill(service, "port", 443)));
    });
}

pub(super) fn definition(object: &mut Object) {
    let Some(spec) = child(object, "spec") else { return };
    with(spec, "names", |names| {
        let kind = word(names, "kind").to_owned();
        if !kind.is_empty() {
            fill(names, "singular", kind.to_lowercase());
            fill(names, "listKind", format!("{kind}List"));
        }
    });
    if let Some(conversion) = child(spec, "conversion") {
        fill(conversion, "strategy", "None");
        with(conversion, "webhook", |webhook| {
            with(webhook, "clientConfig", |config| with(config, "service", |service| fill(service, "port", 443)));
        });
    }
}

pub(super) fn api_service(object: &mut Object) {
    if let Some(spec) = child(object, "spec") {
        with(spec, "service", |service| fill(service, "port", 443));
    }
}

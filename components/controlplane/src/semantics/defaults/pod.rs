//! Pods and pod templates.

use serde_json::{Map, Value, json};

use super::{child, each, fill, with, word};

type Object = Map<String, Value>;

/// A pod of its own: the template's defaults and those only pods get.
pub(super) fn pod(object: &mut Object) {
    let Some(spec) = child(object, "spec") else { return };
    self::spec(spec);
    fill(spec, "enableServiceLinks", true);
    for list in ["initContainers", "containers"] {
        each(spec, list, requests_from_limits);
    }
    if let Some(status) = child(object, "status") {
        fill(status, "phase", "Pending");
    }
}

/// A pod template inside a workload.
pub(super) fn template(template: &mut Object) {
    if let Some(spec) = child(template, "spec") {
        self::spec(spec);
    }
}

fn spec(spec: &mut Object) {
    fill(spec, "restartPolicy", "Always");
    fill(spec, "dnsPolicy", "ClusterFirst");
    fill(spec, "terminationGracePeriodSeconds", 30);
    fill(spec, "schedulerName", "default-scheduler");
    fill(spec, "securityContext", json!({}));
    // The old name of the field; both are served.
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        spec.insert("serviceAccount".to_owned(), account);
    } else if let Some(account) = spec.get("serviceAccount").cloned() {
        spec.insert("serviceAccountName".to_owned(), account);
    }
    let host_network = spec.get("hostNetwork").is_some_and(|on| *on == true);
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        each(spec, list, |item| container(item, host_network));
    }
    each(spec, "volumes", volume);
}

fn container(container: &mut Object, host_network: bool) {
    let policy = pull_policy(word(container, "image"));
    fill(container, "imagePullPolicy", policy);
    fill(container, "terminationMessagePath", "/dev/termination-log");
    fill(container, "terminationMessagePolicy", "File");
    fill(container, "resources", json!({}));
    each(container, "ports", |port| {
        fill(port, "protocol", "TCP");
        if host_network && let Some(number) = port.get("containerPort").cloned() {
            fill(port, "hostPort", number);
        }
    });
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        with(container, probe, self::probe);
    }
    with(container, "lifecycle", |lifecycle| {
        for hook in ["postStart", "preStop"] {
            with(lifecycle, hook, |hook| with(hook, "httpGet", http_get));
        }
    });
    each(container, "env", |variable| with(variable, "valueFrom", |source| with(source, "fieldRef", field_ref)));
    each(container, "env", |variable| with(variable, "valueFrom", |source| with(source, "resourceFieldRef", divisor)));
}

/// `Always` for the tag `latest`, explicit or implied; a digest is never that.
fn pull_policy(image: &str) -> &'static str {
    if image.contains('@') {
        return "IfNotPresent";
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    match last.split_once(':') {
        None | Some((_, "latest")) => "Always",
        Some(_) => "IfNotPresent",
    }
}

fn probe(probe: &mut Object) {
    fill(probe, "timeoutSeconds", 1);
    fill(probe, "periodSeconds", 10);
    fill(probe, "successThreshold", 1);
    fill(probe, "failureThreshold", 3);
    with(probe, "httpGet", http_get);
    with(probe, "grpc", |grpc| fill(grpc, "service", ""));
}

fn http_get(action: &mut Object) {
    fill(action, "path", "/");
    fill(action, "scheme", "HTTP");
}

fn field_ref(reference: &mut Object) {
    fill(reference, "apiVersion", "v1");
}

fn divisor(reference: &mut Object) {
    fill(reference, "divisor", "0");
}

fn requests_from_limits(container: &mut Object) {
    with(container, "resources", |resources| {
        let Some(Value::Object(limits)) = resources.get("limits").cloned() else { return };
        if let Some(requests) = child(resources, "requests") {
            for (name, limit) in limits {
                fill(requests, &name, limit);
            }
        }
    });
}

fn volume(volume: &mut Object) {
    if volume.keys().all(|key| key == "name") {
        fill(volume, "emptyDir", json!({}));
    }
    for kind in ["configMap", "secret", "downwardAPI", "projected"] {
        with(volume, kind, |source| fill(source, "defaultMode", 420));
    }
    with(volume, "downwardAPI", |source| each(source, "items", downward_file));
    with(volume, "projected", |source| {
        each(source, "sources", |source| {
            with(source, "serviceAccountToken", |token| fill(token, "expirationSeconds", 3600));
            with(source, "downwardAPI", |source| each(source, "items", downward_file));
        });
    });
    with(volume, "hostPath", |source| fill(source, "type", ""));
    with(volume, "iscsi", |source| fill(source, "iscsiInterface", "default"));
    with(volume, "rbd", |source| {
        fill(source, "pool", "rbd");
        fill(source, "user", "admin");
        fill(source, "keyring", "/etc/ceph/keyring");
    });
}

fn downward_file(file: &mut Object) {
    with(file, "fieldRef", field_ref);
    with(file, "resourceFieldRef", divisor);
}

#[cfg(test)]
mod tests {
    use super::pull_policy;

    #[test]
    fn only_latest_is_always_pulled() {
        for (image, policy) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.27", "IfNotPresent"),
            ("reg:5000/nginx", "Always"),
            ("reg:5000/nginx:1", "IfNotPresent"),
            ("nginx@sha256:00", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }
}

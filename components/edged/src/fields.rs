//! Field references: what `fieldRef` and `resourceFieldRef` of env and downward API resolve to. Pure.
//!
//! Source: spec 08 §8.6, §11.5.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};
use thiserror::Error;

use crate::cgroups;
use crate::facts::PodFacts;
use crate::quantity::Amount;

/// A reference that cannot be resolved for this pod.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FieldError {
    /// The API knows no such path, or not in this place.
    #[error("unsupported fieldPath: {0}")]
    Path(String),
    /// No such resource.
    #[error("unsupported container resource : {0}")]
    Resource(String),
    /// The named container is not in the pod.
    #[error("container {0} not found")]
    Container(String),
}

/// The value of a `fieldRef` in an environment variable.
///
/// # Errors
/// [`FieldError::Path`] for whole maps and unknown paths.
pub fn env_field(path: &str, pod: &Pod, facts: &PodFacts) -> Result<String, FieldError> {
    let join = |ips: &[std::net::IpAddr]| ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    Ok(match path {
        "spec.nodeName" => facts.node_name.clone(),
        "spec.serviceAccountName" => {
            pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone()).unwrap_or_default()
        }
        "status.hostIP" => facts.host_ips.first().map(ToString::to_string).unwrap_or_default(),
        "status.hostIPs" => join(&facts.host_ips),
        "status.podIP" => facts.pod_ips.first().map(ToString::to_string).unwrap_or_default(),
        "status.podIPs" => join(&facts.pod_ips),
        "metadata.labels" | "metadata.annotations" => return Err(FieldError::Path(path.to_owned())),
        _ => return volume_field(path, pod),
    })
}

/// The value of a `fieldRef` in a downward API volume: metadata only, whole maps included.
///
/// # Errors
/// [`FieldError::Path`] for unknown paths.
pub fn volume_field(path: &str, pod: &Pod) -> Result<String, FieldError> {
    let metadata = &pod.metadata;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    Ok(match path {
        "metadata.name" => text(&metadata.name),
        "metadata.namespace" => text(&metadata.namespace),
        "metadata.uid" => text(&metadata.uid),
        "metadata.labels" => format_map(metadata.labels.as_ref()),
        "metadata.annotations" => format_map(metadata.annotations.as_ref()),
        _ => {
            if let Some(key) = subscript(path, "metadata.labels") {
                entry(metadata.labels.as_ref(), key)
            } else if let Some(key) = subscript(path, "metadata.annotations") {
                entry(metadata.annotations.as_ref(), key)
            } else {
                return Err(FieldError::Path(path.to_owned()));
            }
        }
    })
}

/// The value of a `resourceFieldRef`; `own` is the container used when the reference names none.
///
/// # Errors
/// [`FieldError::Resource`] for unknown resources, [`FieldError::Container`] for unknown containers.
pub fn resource_field(
    selector: &ResourceFieldSelector,
    pod: &Pod,
    own: Option<&Container>,
    facts: &PodFacts,
) -> Result<String, FieldError> {
    let name = selector.container_name.as_deref().filter(|name| !name.is_empty());
    let container = match (name, own) {
        (Some(name), _) => find_container(pod, name).ok_or_else(|| FieldError::Container(name.to_owned()))?,
        (None, Some(own)) => own,
        (None, None) => return Err(FieldError::Container(String::new())),
    };
    let unknown = || FieldError::Resource(selector.resource.clone());
    let (side, resource) = selector.resource.split_once('.').ok_or_else(unknown)?;
    let allocatable = match resource {
        "cpu" => Amount::from_milli(facts.resources.cpu_milli),
        "memory" => Amount::from_units(facts.resources.memory),
        "ephemeral-storage" => Amount::from_units(facts.resources.ephemeral_storage),
        _ if resource.starts_with("hugepages-") => Amount::ZERO,
        _ => return Err(unknown()),
    };
    let resources = container.resources.as_ref();
    let amount = match side {
        "limits" => cgroups::limit_of(resources, resource).filter(|limit| !limit.is_zero()).unwrap_or(allocatable),
        "requests" => {
            let requests = resources.and_then(|r| r.requests.as_ref());
            requests.and_then(|r| r.get(resource)).map(Amount::of).unwrap_or_default()
        }
        _ => return Err(unknown()),
    };
    let divisor = selector.divisor.as_ref().map(Amount::of).filter(|d| !d.is_zero()).unwrap_or(Amount::from_units(1));
    // Kubernetes divides cpu in whole thousandths and everything else in whole units.
    let value = if resource == "cpu" {
        amount.milli().div_ceil(divisor.milli().max(1))
    } else {
        amount.units().div_ceil(divisor.units().max(1))
    };
    Ok(value.to_string())
}

fn find_container<'a>(pod: &'a Pod, name: &str) -> Option<&'a Container> {
    let spec = pod.spec.as_ref()?;
    spec.containers.iter().chain(spec.init_containers.iter().flatten()).find(|container| container.name == name)
}

/// `key` of `base['key']`.
fn subscript<'a>(path: &'a str, base: &str) -> Option<&'a str> {
    path.strip_prefix(base)?.strip_prefix("['")?.strip_suffix("']")
}

fn entry(map: Option<&BTreeMap<String, String>>, key: &str) -> String {
    map.and_then(|map| map.get(key)).cloned().unwrap_or_default()
}

/// Lines `key="value"` sorted by key, no newline at the end.
fn format_map(map: Option<&BTreeMap<String, String>>) -> String {
    let lines = map.into_iter().flatten().map(|(key, value)| format!("{key}={}", quote(value)));
    lines.collect::<Vec<_>>().join("\n")
}

/// A string literal as Go's `%q` writes it.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            c if u32::from(c) < 0x20 || c == '\u{7f}' => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::facts::NodeResources;

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop", "uid": "u1",
                "labels": {"b": "2", "a": "one\n\"two\""}, "annotations": {"x/y": "z"}},
            "spec": {"serviceAccountName": "default", "containers": [{"name": "c", "resources": {
                "limits": {"cpu": "1250m", "memory": "64Mi"}, "requests": {"cpu": "250m"}}}, {"name": "bare"}]}
        }))
        .unwrap()
    }

    fn facts() -> PodFacts {
        PodFacts {
            node_name: "edge-1".to_owned(),
            host_ips: vec!["192.0.2.7".parse().unwrap()],
            pod_ips: vec!["10.0.0.2".parse().unwrap(), "fd00::2".parse().unwrap()],
            resources: NodeResources { cpu_milli: 1900, memory: 1 << 30, ephemeral_storage: 5000, memory_capacity: 0 },
            service_env: Vec::new(),
        }
    }

    fn resource(text: &str, divisor: Option<&str>, container: Option<&str>) -> Result<String, FieldError> {
        let selector: ResourceFieldSelector =
            serde_json::from_value(json!({"resource": text, "divisor": divisor, "containerName": container})).unwrap();
        let pod = pod();
        let own = pod.spec.as_ref().unwrap().containers[0].clone();
        resource_field(&selector, &pod, Some(&own), &facts())
    }

    #[test]
    fn metadata_and_status_fields_resolve() {
        let get = |path| env_field(path, &pod(), &facts()).unwrap();
        assert_eq!(get("metadata.name"), "web");
        assert_eq!(get("metadata.labels['b']"), "2");
        assert_eq!(get("metadata.annotations['x/y']"), "z");
        assert_eq!(get("metadata.annotations['absent']"), "");
        assert_eq!(get("spec.nodeName"), "edge-1");
        assert_eq!(get("status.podIPs"), "10.0.0.2,fd00::2");
        assert_eq!(get("status.hostIP"), "192.0.2.7");
        assert_eq!(env_field("status.phase", &pod(), &facts()), Err(FieldError::Path("status.phase".to_owned())));
        assert!(env_field("metadata.labels", &pod(), &facts()).is_err());
    }

    #[test]
    fn whole_maps_are_sorted_quoted_lines() {
        assert_eq!(volume_field("metadata.labels", &pod()).unwrap(), "a=\"one\\n\\\"two\\\"\"\nb=\"2\"");
        assert!(volume_field("status.podIP", &pod()).is_err());
    }

    #[test]
    fn resources_are_divided_and_rounded_up() {
        assert_eq!(resource("limits.cpu", None, None).unwrap(), "2");
        assert_eq!(resource("limits.cpu", Some("1m"), None).unwrap(), "1250");
        assert_eq!(resource("limits.memory", Some("1Mi"), None).unwrap(), "64");
        assert_eq!(resource("requests.cpu", Some("1m"), None).unwrap(), "250");
        assert_eq!(resource("requests.memory", None, None).unwrap(), "0");
        assert_eq!(resource("limits.gpu", None, None), Err(FieldError::Resource("limits.gpu".to_owned())));
        assert_eq!(resource("limits.cpu", None, Some("nope")), Err(FieldError::Container("nope".to_owned())));
    }

    #[test]
    fn a_missing_limit_is_what_the_node_can_give() {
        assert_eq!(resource("limits.cpu", Some("1m"), Some("bare")).unwrap(), "1900");
        assert_eq!(resource("limits.memory", None, Some("bare")).unwrap(), (1_u64 << 30).to_string());
        assert_eq!(resource("limits.ephemeral-storage", None, Some("bare")).unwrap(), "5000");
    }
}

//! One container of a pod. Source: spec 08 §8.5, §8.7.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};

use crate::cgroups::tree::Version;
use crate::cri::proto as p;
use crate::doors::Settings;
use crate::images::LocalImage;
use crate::{cgroups, env, hash, labels, pod};

use super::security::{self, NonRootError};

/// What of a container is not in the pod's spec.
#[derive(Debug, Clone)]
pub struct ContainerFacts {
    /// Restart count, CRI attempt and number of the log file.
    pub attempt: u32,
    pub image: LocalImage,
    /// The final environment.
    pub env: Vec<(String, String)>,
    /// In order: volume mounts, `/etc/hosts`, termination log.
    pub mounts: Vec<p::Mount>,
    /// Bytes of memory of the machine.
    pub memory_capacity: u64,
    pub cgroup_version: Version,
    /// Container whose process namespace an ephemeral container joins.
    pub target_id: Option<String>,
}

/// Path of the log below the pod's log directory.
pub fn log_path(container: &str, attempt: u32) -> String {
    format!("{container}/{attempt}.log")
}

/// Builds the configuration.
///
/// # Errors
/// [`NonRootError`], shown as `CreateContainerConfigError`.
pub fn container_config(
    pod: &Pod,
    container: &Container,
    facts: ContainerFacts,
    settings: &Settings,
) -> Result<p::ContainerConfig, NonRootError> {
    let mut security = security::container_context(pod, container, &facts.image, settings)?;
    if let (Some(target), Some(options)) = (facts.target_id, security.namespace_options.as_mut())
        && options.pid() == p::NamespaceMode::Container
    {
        options.set_pid(p::NamespaceMode::Target);
        options.target_id = target;
    }
    let expand = |words: &Option<Vec<String>>| -> Vec<String> {
        words.iter().flatten().map(|word| env::expand(word, &facts.env)).collect()
    };
    let mut resources = super::cpu_and_memory(cgroups::container_limits(
        container.resources.as_ref(),
        settings.cpu_cfs_quota,
        settings.cpu_cfs_quota_period,
    ));
    resources.oom_score_adj = cgroups::oom_score_adj(pod, container, facts.memory_capacity);
    if facts.cgroup_version == Version::V2 {
        resources.unified.insert("memory.oom.group".to_owned(), "1".to_owned());
    }
    let image = container.image.clone().unwrap_or_default();
    Ok(p::ContainerConfig {
        metadata: Some(p::ContainerMetadata { name: container.name.clone(), attempt: facts.attempt }),
        command: expand(&container.command),
        args: expand(&container.args),
        image: Some(p::ImageSpec {
            image: facts.image.reference,
            annotations: BTreeMap::new(),
            user_specified_image: image,
        }),
        working_dir: container.working_dir.clone().unwrap_or_default(),
        labels: labels(pod, container),
        annotations: annotations(pod, container, facts.attempt),
        log_path: log_path(&container.name, facts.attempt),
        mounts: facts.mounts,
        stdin: container.stdin.unwrap_or(false),
        stdin_once: container.stdin_once.unwrap_or(false),
        tty: container.tty.unwrap_or(false),
        linux: Some(p::LinuxContainerConfig { resources: Some(resources), security_context: Some(security) }),
        envs: facts.env.into_iter().map(|(key, value)| p::KeyValue { key, value }).collect(),
    })
}

fn labels(pod: &Pod, container: &Container) -> BTreeMap<String, String> {
    [
        (labels::CONTAINER_NAME, container.name.as_str()),
        (labels::POD_NAME, pod::name(pod)),
        (labels::POD_NAMESPACE, pod::namespace(pod)),
        (labels::POD_UID, pod::uid(pod)),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

fn annotations(pod: &Pod, container: &Container, attempt: u32) -> BTreeMap<String, String> {
    let image = container.image.as_deref().unwrap_or_default();
    let mut notes: BTreeMap<String, String> = BTreeMap::new();
    let mut note = |key: &str, value: String| {
        notes.insert(key.to_owned(), value);
    };
    note(labels::CONTAINER_HASH, hash::to_annotation(hash::container_hash(&container.name, image)));
    note(labels::RESTART_COUNT, attempt.to_string());
    note(labels::TERMINATION_MESSAGE_PATH, container.termination_message_path.clone().unwrap_or_default());
    note(labels::TERMINATION_MESSAGE_POLICY, container.termination_message_policy.clone().unwrap_or_default());
    if let Some(seconds) = pod.metadata.deletion_grace_period_seconds {
        note(labels::POD_DELETION_GRACE, seconds.to_string());
    }
    if let Some(seconds) = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds) {
        note(labels::POD_TERMINATION_GRACE, seconds.to_string());
    }
    let pre_stop = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
    if let Some(json) = pre_stop.and_then(|handler| serde_json::to_string(handler).ok()) {
        note(labels::PRE_STOP_HANDLER, json);
    }
    let ports = container.ports.as_ref().filter(|ports| !ports.is_empty());
    if let Some(json) = ports.and_then(|ports| serde_json::to_string(ports).ok()) {
        note(labels::CONTAINER_PORTS, json);
    }
    notes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(container: &serde_json::Value, env: &[(&str, &str)]) -> p::ContainerConfig {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web-0", "namespace": "default", "uid": "u"},
            "spec": {"terminationGracePeriodSeconds": 5, "containers": [container]},
        }))
        .unwrap();
        let facts = ContainerFacts {
            attempt: 3,
            image: LocalImage { reference: "sha256:1".to_owned(), ..LocalImage::default() },
            env: env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            mounts: Vec::new(),
            memory_capacity: 4 << 30,
            cgroup_version: Version::V1,
            target_id: None,
        };
        container_config(&pod, &pod::containers(&pod)[0], facts, &Settings::default()).unwrap()
    }

    #[test]
    fn identity_matches_what_a_go_agent_writes() {
        let config = config(&json!({"name": "nginx", "image": "nginx:1.25", "ports": [{"containerPort": 80}]}), &[]);
        let labels: Vec<_> = config.labels.keys().map(String::as_str).collect();
        let expected = [
            "io.kubernetes.container.name",
            "io.kubernetes.pod.name",
            "io.kubernetes.pod.namespace",
            "io.kubernetes.pod.uid",
        ];
        assert_eq!(labels, expected);
        assert_eq!(config.annotations["io.kubernetes.container.hash"], "5d0e8bc9");
        assert_eq!(config.annotations["io.kubernetes.container.restartCount"], "3");
        assert_eq!(config.annotations["io.kubernetes.pod.terminationGracePeriod"], "5");
        assert_eq!(config.annotations["io.kubernetes.container.ports"], r#"[{"containerPort":80}]"#);
        assert_eq!(config.log_path, "nginx/3.log");
        assert_eq!(config.metadata.unwrap().attempt, 3);
        let image = config.image.unwrap();
        assert_eq!((image.image.as_str(), image.user_specified_image.as_str()), ("sha256:1", "nginx:1.25"));
    }

    #[test]
    fn command_and_args_are_expanded() {
        let container = json!({"name": "a", "image": "i", "command": ["echo", "$(X)"], "args": ["$(Y)", "$$(X)"]});
        let config = config(&container, &[("X", "1")]);
        assert_eq!(config.command, ["echo", "1"]);
        assert_eq!(config.args, ["$(Y)", "$(X)"]);
    }

    #[test]
    fn resources_become_shares_quota_and_score() {
        let resources = json!({"limits": {"cpu": "250m"}, "requests": {"cpu": "100m", "memory": "256Mi"}});
        let config = config(&json!({"name": "a", "image": "i", "resources": resources}), &[]);
        let resources = config.linux.unwrap().resources.unwrap();
        assert_eq!((resources.cpu_shares, resources.cpu_quota, resources.cpu_period), (102, 25_000, 100_000));
        assert_eq!(resources.oom_score_adj, 938);
    }
}

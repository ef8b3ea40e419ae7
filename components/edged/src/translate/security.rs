//! Security contexts: the container's value over the pod's, field by field. Source: spec 08 §8.2, §8.9.

use std::path::Path;

use k8s_openapi::api::core::v1::{
    AppArmorProfile, Container, Pod, PodSecurityContext, SELinuxOptions, SeccompProfile, SecurityContext,
};
use thiserror::Error;

use crate::cri::proto as p;
use crate::doors::Settings;
use crate::images::LocalImage;
use crate::pod;

const MASKED_PATHS: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

const READONLY_PATHS: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

const APPARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

/// A container must not run as root but would, or nobody can tell.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NonRootError {
    #[error("container's runAsUser breaks non-root policy (pod: \"{pod}\", container: {container})")]
    User { pod: String, container: String },
    #[error("container has runAsNonRoot and image will run as root (pod: \"{pod}\", container: {container})")]
    ImageRoot { pod: String, container: String },
    #[error(
        "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root \
         (pod: \"{pod}\", container: {container})"
    )]
    ImageName { user: String, pod: String, container: String },
}

pub fn int64(value: i64) -> p::Int64Value {
    p::Int64Value { value }
}

pub fn selinux(options: &SELinuxOptions) -> p::SeLinuxOption {
    p::SeLinuxOption {
        user: options.user.clone().unwrap_or_default(),
        role: options.role.clone().unwrap_or_default(),
        r#type: options.type_.clone().unwrap_or_default(),
        level: options.level.clone().unwrap_or_default(),
    }
}

/// Which namespaces the pod's processes share with the node and with each other.
pub fn namespace_options(pod: &Pod) -> p::NamespaceOption {
    let mode = |host: bool| if host { p::NamespaceMode::Node } else { p::NamespaceMode::Pod };
    let pid = match (pod::host_pid(pod), pod::share_process_namespace(pod)) {
        (true, _) => p::NamespaceMode::Node,
        (false, true) => p::NamespaceMode::Pod,
        (false, false) => p::NamespaceMode::Container,
    };
    p::NamespaceOption {
        network: mode(pod::host_network(pod)).into(),
        pid: pid.into(),
        ipc: mode(pod::host_ipc(pod)).into(),
        target_id: String::new(),
    }
}

/// fsGroup first, then the supplemental groups.
pub fn supplemental_groups(pod: &Pod) -> Vec<i64> {
    let Some(context) = pod_context(pod) else { return Vec::new() };
    context.fs_group.into_iter().chain(context.supplemental_groups.iter().flatten().copied()).collect()
}

/// Whether any container of the pod is privileged.
pub fn any_privileged(pod: &Pod) -> bool {
    let privileged = |context: &Option<SecurityContext>| context.as_ref().and_then(|it| it.privileged) == Some(true);
    pod::containers(pod).iter().any(|it| privileged(&it.security_context))
        || pod::init_containers(pod).iter().any(|it| privileged(&it.security_context))
        || pod::ephemeral_containers(pod).iter().any(|it| privileged(&it.security_context))
}

fn pod_context(pod: &Pod) -> Option<&PodSecurityContext> {
    pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref())
}

/// The security context of one container.
///
/// # Errors
/// [`NonRootError`] when `runAsNonRoot` cannot be kept with this image.
pub fn container_context(
    pod: &Pod,
    container: &Container,
    image: &LocalImage,
    settings: &Settings,
) -> Result<p::LinuxContainerSecurityContext, NonRootError> {
    let of_pod = pod_context(pod);
    let own = container.security_context.as_ref();
    let user = own.and_then(|it| it.run_as_user).or_else(|| of_pod.and_then(|it| it.run_as_user));
    let non_root = own.and_then(|it| it.run_as_non_root).or_else(|| of_pod.and_then(|it| it.run_as_non_root));
    if non_root == Some(true) {
        verify_non_root(pod, container, image, user)?;
    }
    let privileged = own.and_then(|it| it.privileged) == Some(true);
    let unmasked = own.and_then(|it| it.proc_mount.as_deref()) == Some("Unmasked");
    let list = |paths: &[&str]| if unmasked { Vec::new() } else { paths.iter().map(|&it| it.to_owned()).collect() };
    let apparmor = apparmor(pod, container);
    let groups = own.and_then(|it| it.run_as_group).or_else(|| of_pod.and_then(|it| it.run_as_group));
    let uid = user.or(image.uid);
    Ok(p::LinuxContainerSecurityContext {
        capabilities: own.and_then(|it| it.capabilities.as_ref()).map(|capabilities| p::Capability {
            add_capabilities: capabilities.add.clone().unwrap_or_default(),
            drop_capabilities: capabilities.drop.clone().unwrap_or_default(),
        }),
        privileged,
        namespace_options: Some(namespace_options(pod)),
        selinux_options: own
            .and_then(|it| it.se_linux_options.as_ref())
            .or_else(|| of_pod.and_then(|it| it.se_linux_options.as_ref()))
            .map(selinux),
        run_as_user: uid.map(int64),
        run_as_group: groups.map(int64),
        run_as_username: if uid.is_none() { image.username.clone() } else { String::new() },
        readonly_rootfs: own.and_then(|it| it.read_only_root_filesystem) == Some(true),
        supplemental_groups: supplemental_groups(pod),
        no_new_privs: own.and_then(|it| it.allow_privilege_escalation) == Some(false),
        masked_paths: if unmasked {
            Vec::new()
        } else {
            let mut paths: Vec<String> = list(&MASKED_PATHS);
            paths.extend(thermal_throttle_paths());
            paths
        },
        readonly_paths: list(&READONLY_PATHS),
        seccomp: Some(seccomp(pod, container, settings)),
        apparmor_profile: apparmor.as_ref().map(apparmor_text).unwrap_or_default(),
        apparmor,
    })
}

fn verify_non_root(
    pod: &Pod,
    container: &Container,
    image: &LocalImage,
    user: Option<i64>,
) -> Result<(), NonRootError> {
    let (pod, container) = (pod::display(pod), container.name.clone());
    match (user, image.uid, image.username.as_str()) {
        (Some(0), _, _) => Err(NonRootError::User { pod, container }),
        // An image without any user runs as root.
        (None, Some(0), _) | (None, None, "") => Err(NonRootError::ImageRoot { pod, container }),
        (Some(_), _, _) | (None, Some(_), _) => Ok(()),
        (None, None, name) => Err(NonRootError::ImageName { user: name.to_owned(), pod, container }),
    }
}

/// Existing `thermal_throttle` directories, which tell about neighbours on the machine.
fn thermal_throttle_paths() -> Vec<String> {
    (0..1024)
        .map(|cpu| format!("/sys/devices/system/cpu/cpu{cpu}"))
        .take_while(|cpu| Path::new(cpu).exists())
        .map(|cpu| format!("{cpu}/thermal_throttle"))
        .filter(|path| Path::new(path).exists())
        .collect()
}

fn seccomp(pod: &Pod, container: &Container, settings: &Settings) -> p::SecurityProfile {
    let own = container.security_context.as_ref().and_then(|it| it.seccomp_profile.as_ref());
    let wanted: Option<&SeccompProfile> =
        own.or_else(|| pod_context(pod).and_then(|context| context.seccomp_profile.as_ref()));
    let (profile_type, localhost_ref) = match wanted.map(|profile| profile.type_.as_str()) {
        Some("RuntimeDefault") => (p::ProfileType::RuntimeDefault, String::new()),
        Some("Localhost") => {
            let file = wanted.and_then(|profile| profile.localhost_profile.as_deref()).unwrap_or_default();
            let path = settings.root_dir.join("seccomp").join(file);
            (p::ProfileType::Localhost, path.to_string_lossy().into_owned())
        }
        None if settings.seccomp_default => (p::ProfileType::RuntimeDefault, String::new()),
        Some(_) | None => (p::ProfileType::Unconfined, String::new()),
    };
    p::SecurityProfile { profile_type: profile_type.into(), localhost_ref }
}

fn apparmor(pod: &Pod, container: &Container) -> Option<p::SecurityProfile> {
    let own = container.security_context.as_ref().and_then(|it| it.app_armor_profile.as_ref());
    let field: Option<&AppArmorProfile> =
        own.or_else(|| pod_context(pod).and_then(|context| context.app_armor_profile.as_ref()));
    let (profile_type, localhost_ref) = if let Some(profile) = field {
        match profile.type_.as_str() {
            "RuntimeDefault" => (p::ProfileType::RuntimeDefault, String::new()),
            "Localhost" => (p::ProfileType::Localhost, profile.localhost_profile.clone().unwrap_or_default()),
            _ => (p::ProfileType::Unconfined, String::new()),
        }
    } else {
        let key = format!("{APPARMOR_ANNOTATION}{}", container.name);
        let value = pod.metadata.annotations.as_ref()?.get(&key)?;
        match value.as_str() {
            "runtime/default" => (p::ProfileType::RuntimeDefault, String::new()),
            "unconfined" => (p::ProfileType::Unconfined, String::new()),
            other => (p::ProfileType::Localhost, other.strip_prefix("localhost/")?.to_owned()),
        }
    };
    Some(p::SecurityProfile { profile_type: profile_type.into(), localhost_ref })
}

/// The deprecated spelling, for runtimes that read only that.
fn apparmor_text(profile: &p::SecurityProfile) -> String {
    match profile.profile_type() {
        p::ProfileType::RuntimeDefault => "runtime/default".to_owned(),
        p::ProfileType::Unconfined => "unconfined".to_owned(),
        p::ProfileType::Localhost => format!("localhost/{}", profile.localhost_ref),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn context(spec: &serde_json::Value, image: &LocalImage) -> Result<p::LinuxContainerSecurityContext, NonRootError> {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec,
        }))
        .unwrap();
        container_context(&pod, &pod::containers(&pod)[0], image, &Settings::default())
    }

    #[test]
    fn container_value_wins_over_the_pod_value() {
        let spec = json!({"securityContext": {"runAsUser": 1000, "runAsGroup": 7, "fsGroup": 5, "supplementalGroups": [6]},
                          "containers": [{"name": "a", "securityContext": {"runAsUser": 2000}}]});
        let context = context(&spec, &LocalImage::default()).unwrap();
        assert_eq!(context.run_as_user, Some(int64(2000)));
        assert_eq!(context.run_as_group, Some(int64(7)));
        assert_eq!(context.supplemental_groups, [5, 6]);
    }

    #[test]
    fn image_user_is_used_when_the_pod_names_none() {
        let spec = || json!({"containers": [{"name": "a"}]});
        let numeric = LocalImage { uid: Some(33), ..LocalImage::default() };
        assert_eq!(context(&spec(), &numeric).unwrap().run_as_user, Some(int64(33)));
        let named = LocalImage { username: "www".to_owned(), ..LocalImage::default() };
        assert_eq!(context(&spec(), &named).unwrap().run_as_username, "www");
    }

    #[test]
    fn non_root_is_verified_against_the_image() {
        let spec = || json!({"containers": [{"name": "a", "securityContext": {"runAsNonRoot": true}}]});
        let check = |image: LocalImage| context(&spec(), &image).map(|_| ()).map_err(|err| err.to_string());
        let root = "container has runAsNonRoot and image will run as root (pod: \"p_n(u)\", container: a)";
        assert_eq!(check(LocalImage::default()), Err(root.to_owned()));
        assert_eq!(check(LocalImage { uid: Some(1), ..LocalImage::default() }), Ok(()));
        let named = check(LocalImage { username: "www".to_owned(), ..LocalImage::default() });
        assert!(named.is_err_and(|text| text.contains("non-numeric user (www)")));
    }

    #[test]
    fn seccomp_is_unconfined_unless_asked_for() {
        let plain = context(&json!({"containers": [{"name": "a"}]}), &LocalImage::default()).unwrap();
        assert_eq!(plain.seccomp.unwrap().profile_type(), p::ProfileType::Unconfined);
        let spec = json!({"securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "a.json"}},
                          "containers": [{"name": "a"}]});
        let local = context(&spec, &LocalImage::default()).unwrap().seccomp.unwrap();
        assert_eq!(local.localhost_ref, "/var/lib/kubelet/seccomp/a.json");
    }
}

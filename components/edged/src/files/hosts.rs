//! `/etc/hosts` of a pod. Source: spec 08 §8.4.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{HostAlias, Pod};

use super::{FileError, PodHostname, is_host_network};
use crate::facts::PodFacts;

/// The node's own file.
const NODE_HOSTS: &str = "/etc/hosts";

const POD_HEADER: &str = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\n\
    fe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";

/// Writes the pod's hosts file and returns its path; rewritten before each container start.
///
/// `None`: the pod has no address yet, or mounts a file of its own there (see [`is_wanted_by`] for one container).
///
/// # Errors
/// [`FileError::Io`].
pub fn write(
    root_dir: &Path,
    pod: &Pod,
    facts: &PodFacts,
    hostname: &PodHostname,
) -> Result<Option<PathBuf>, FileError> {
    let host_network = is_host_network(pod);
    if !host_network && facts.pod_ips.is_empty() {
        return Ok(None);
    }
    let mut text = if host_network {
        let own = fs::read_to_string(NODE_HOSTS).unwrap_or_default();
        format!("# Kubernetes-managed hosts file (host network).\n{own}")
    } else {
        pod_hosts(facts, hostname)
    };
    let aliases = pod.spec.as_ref().and_then(|spec| spec.host_aliases.as_deref()).unwrap_or_default();
    append_aliases(&mut text, aliases);
    let dir = root_dir.join("pods").join(pod.metadata.uid.as_deref().unwrap_or_default());
    let path = dir.join("etc-hosts");
    DirBuilder::new().recursive(true).mode(0o750).create(&dir).map_err(FileError::at(&dir))?;
    // Rewritten in place: running containers have this very file bound at /etc/hosts.
    if fs::read(&path).is_ok_and(|current| current == text.as_bytes()) {
        return Ok(Some(path));
    }
    fs::write(&path, text).map_err(FileError::at(&path))?;
    fs::set_permissions(&path, Permissions::from_mode(0o644)).map_err(FileError::at(&path))?;
    Ok(Some(path))
}

/// Whether a container with these mount paths gets the file: not if it mounts something there itself.
pub fn is_wanted_by<'a>(mut mount_paths: impl Iterator<Item = &'a str>) -> bool {
    mount_paths.all(|path| path.trim_end_matches('/') != "/etc/hosts")
}

fn pod_hosts(facts: &PodFacts, hostname: &PodHostname) -> String {
    let mut text = POD_HEADER.to_owned();
    for ip in &facts.pod_ips {
        let short = &hostname.short;
        let _ = match &hostname.domain {
            Some(domain) => writeln!(text, "{ip}\t{short}.{domain}\t{short}"),
            None => writeln!(text, "{ip}\t{short}"),
        };
    }
    text
}

fn append_aliases(text: &mut String, aliases: &[HostAlias]) {
    if aliases.is_empty() {
        return;
    }
    text.push_str("\n# Entries added by HostAliases.\n");
    for alias in aliases {
        let _ = writeln!(text, "{}\t{}", alias.ip, alias.hostnames.as_deref().unwrap_or_default().join("\t"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::files::hostname;

    fn written(spec: &serde_json::Value, ips: &[&str]) -> Option<String> {
        let root = tempfile::tempdir().unwrap();
        let mut pod = json!({"metadata": {"name": "web-0", "namespace": "shop", "uid": "u"}, "spec": spec});
        pod["spec"]["containers"] = json!([]);
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let facts = PodFacts { pod_ips: ips.iter().map(|ip| ip.parse().unwrap()).collect(), ..PodFacts::default() };
        let path = write(root.path(), &pod, &facts, &hostname(&pod, "cluster.local").unwrap()).unwrap()?;
        assert_eq!(path, root.path().join("pods/u/etc-hosts"));
        Some(fs::read_to_string(path).unwrap())
    }

    #[test]
    fn a_pod_has_its_addresses_names_and_aliases() {
        let aliases = json!([{"ip": "192.0.2.9", "hostnames": ["a", "b"]}]);
        let text = written(&json!({"subdomain": "db", "hostAliases": aliases}), &["10.0.0.2", "fd00::2"]).unwrap();
        let expected = format!(
            "{POD_HEADER}10.0.0.2\tweb-0.db.shop.svc.cluster.local\tweb-0\n\
             fd00::2\tweb-0.db.shop.svc.cluster.local\tweb-0\n\n# Entries added by HostAliases.\n192.0.2.9\ta\tb\n"
        );
        assert_eq!(text, expected);
        assert!(written(&json!({}), &["10.0.0.2"]).unwrap().ends_with("ip6-allrouters\n10.0.0.2\tweb-0\n"));
    }

    #[test]
    fn a_host_network_pod_has_the_nodes_file() {
        let text = written(&json!({"hostNetwork": true}), &[]).unwrap();
        assert!(text.starts_with("# Kubernetes-managed hosts file (host network).\n"));
        assert!(text.contains("localhost"));
    }

    #[test]
    fn without_an_address_there_is_no_file() {
        assert_eq!(written(&json!({}), &[]), None);
    }

    #[test]
    fn an_own_mount_wins() {
        assert!(is_wanted_by(["/etc", "/data"].into_iter()));
        assert!(!is_wanted_by(["/data", "/etc/hosts"].into_iter()));
    }
}

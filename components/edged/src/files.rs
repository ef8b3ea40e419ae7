//! Files the agent makes for a pod beside its volumes: resolver settings, `/etc/hosts`, termination logs.

pub mod dns;
pub mod hosts;
pub mod termination;

use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;
use thiserror::Error;

/// Longest host name, in bytes. Source: spec 08 §8.2.
const MAX_HOSTNAME: usize = 63;
/// Longest fully qualified host name, in bytes.
const MAX_FQDN: usize = 64;

/// Why a file for a pod could not be made.
#[derive(Debug, Error)]
pub enum FileError {
    /// The file system refused.
    #[error("cannot write {}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// `setHostnameAsFQDN` and a name the kernel does not take.
    #[error(
        "failed to construct FQDN from pod hostname and cluster domain, FQDN {0} is too long (64 characters is the max)"
    )]
    LongFqdn(String),
}

impl FileError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// Names of a pod as it sees itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodHostname {
    /// First name, at most 63 bytes.
    pub short: String,
    /// `<subdomain>.<namespace>.svc.<cluster domain>`, if the pod has a subdomain.
    pub domain: Option<String>,
    /// What the kernel is told: the short name, or the full one with `setHostnameAsFQDN`.
    pub kernel: String,
}

/// Names of `pod`. For hostNetwork pods only the sandbox leaves the kernel name unset. Source: spec 08 §8.2.
///
/// # Errors
/// [`FileError::LongFqdn`].
pub fn hostname(pod: &Pod, cluster_domain: &str) -> Result<PodHostname, FileError> {
    let spec = pod.spec.as_ref();
    let asked = spec.and_then(|spec| spec.hostname.as_deref()).filter(|name| !name.is_empty());
    let name = asked.or(pod.metadata.name.as_deref()).unwrap_or_default();
    let cut = name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= MAX_HOSTNAME).last();
    let short = name[..cut.unwrap_or(0)].trim_end_matches(['-', '.']).to_owned();
    let subdomain = spec.and_then(|spec| spec.subdomain.as_deref()).filter(|name| !name.is_empty());
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let domain = subdomain.map(|subdomain| format!("{subdomain}.{namespace}.svc.{cluster_domain}"));
    let kernel = match &domain {
        Some(domain) if spec.and_then(|spec| spec.set_hostname_as_fqdn) == Some(true) => {
            let full = format!("{short}.{domain}");
            if full.len() > MAX_FQDN {
                return Err(FileError::LongFqdn(full));
            }
            full
        }
        _ => short.clone(),
    };
    Ok(PodHostname { short, domain, kernel })
}

/// Whether the pod uses the node's network.
pub fn is_host_network(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn names(name: &str, spec: &Value) -> Result<PodHostname, FileError> {
        let mut pod = json!({"metadata": {"name": name, "namespace": "shop"}, "spec": spec});
        pod["spec"]["containers"] = json!([]);
        hostname(&serde_json::from_value(pod).unwrap(), "cluster.local")
    }

    #[test]
    fn names_come_from_spec_or_pod() {
        assert_eq!(names("web-0", &json!({})).unwrap().short, "web-0");
        assert_eq!(names("web-0", &json!({"hostname": "db"})).unwrap().short, "db");
        let long = format!("{}-.{}", "a".repeat(61), "b".repeat(40));
        assert_eq!(names(&long, &json!({})).unwrap().short, "a".repeat(61));
    }

    #[test]
    fn a_subdomain_makes_a_full_name() {
        let got = names("web-0", &json!({"subdomain": "db"})).unwrap();
        assert_eq!((got.domain.as_deref(), got.kernel.as_str()), (Some("db.shop.svc.cluster.local"), "web-0"));
        let got = names("web-0", &json!({"subdomain": "db", "setHostnameAsFQDN": true})).unwrap();
        assert_eq!(got.kernel, "web-0.db.shop.svc.cluster.local");
        let long = "a".repeat(60);
        assert!(names(&long, &json!({"subdomain": "db", "setHostnameAsFQDN": true})).is_err());
    }
}

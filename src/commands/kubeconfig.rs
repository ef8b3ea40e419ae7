//! Kubeconfig files: which one to use, and our entries in the operator's own one.

use std::{
    env,
    path::{Path, PathBuf},
};

use api::{
    cloudcore::CloudCoreConfig,
    config::{ConfigError, HostFacts, Node},
    names::CLOUDCORE_CONFIG_FILE,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use jiff::{SignedDuration, Timestamp};

use crate::host::Host;

/// The operator's kubeconfig; cloudcore's and kubectl's default for root.
pub const USER_FILE: &str = "/root/.kube/config";
/// Where kubeadm leaves the administrator's kubeconfig; tutorials look there.
pub const ADMIN_FILE: &str = "/etc/kubernetes/admin.conf";
/// Where k3s leaves it.
pub const K3S_FILE: &str = "/etc/rancher/k3s/k3s.yaml";
/// Name of our cluster, user and context.
pub const ENTRY: &str = "kubeedge";

/// A certificate that ends sooner is replaced.
const LEAST_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The usual places, in order. Source: spec 10 §0 D10.
pub fn usual_places() -> Vec<PathBuf> {
    let from_environment = env::var_os("KUBECONFIG").unwrap_or_default();
    env::split_paths(&from_environment)
        .filter(|path| !path.as_os_str().is_empty())
        .chain([USER_FILE, ADMIN_FILE, K3S_FILE].map(PathBuf::from))
        .collect()
}

/// `admin.conf` of the control plane that runs with these settings.
pub fn of_control_plane(config: &CloudCoreConfig) -> PathBuf {
    Path::new(&config.control_plane.data_dir).join("admin.conf")
}

/// The `cloudcore.yaml` of this host, if there is one and it makes sense.
pub fn cloudcore_config(host: &dyn Host) -> Option<CloudCoreConfig> {
    let text = host.read(Path::new(CLOUDCORE_CONFIG_FILE)).ok().flatten()?;
    let (config, _) = CloudCoreConfig::from_yaml(&String::from_utf8_lossy(&text), &HostFacts::default()).ok()?;
    Some(config)
}

/// The kubeconfig of the cluster that cloudcore on this host uses, else of the first usual place that exists.
pub fn of_this_host(host: &dyn Host) -> Option<PathBuf> {
    let recorded = cloudcore_config(host).and_then(|config| {
        if config.control_plane.enable {
            return Some(of_control_plane(&config));
        }
        Some(config.kube_api_config.kube_config).filter(|path| !path.is_empty()).map(PathBuf::from)
    });
    recorded.or_else(|| usual_places().into_iter().find(|path| host.kind(path).is_some()))
}

/// Whether the entries of our name lead to the cluster of `admin` with a certificate that is good for a while. Every
/// start of the control plane makes a new certificate; the older ones stay good.
pub fn is_current(text: &str, admin: &str, name: Option<&str>, now: Timestamp) -> bool {
    let (Ok(config), Ok(admin)) = (Node::parse(text), Node::parse(admin)) else { return false };
    let pick = |list: &str| match name {
        Some(name) => named(&config, list, name),
        None => first(&config, list),
    };
    let cluster = pick("clusters").and_then(|entry| entry.at("cluster"));
    if cluster.is_none() || cluster != first(&admin, "clusters").and_then(|entry| entry.at("cluster")) {
        return false;
    }
    if name.is_some_and(|name| named(&config, "contexts", name).is_none()) {
        return false;
    }
    let Some(Node::Text(data)) = pick("users").and_then(|entry| entry.at("user.client-certificate-data")) else {
        return false;
    };
    let text = BASE64.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let certificate = pki::pem::certs_from_pem(&text).ok().and_then(|mut found| found.pop());
    let facts = certificate.and_then(|der| pki::cert_facts(&der).ok());
    facts.is_some_and(|facts| facts.not_after.duration_since(now) > LEAST_LIFE)
}

/// Puts the cluster of `admin` into `current` as entries named [`ENTRY`]; other entries and the chosen context stay.
///
/// # Errors
/// One of the texts is not YAML.
pub fn merged(current: &str, admin: &str) -> Result<String, ConfigError> {
    let mut target = Node::parse(current)?;
    let admin = Node::parse(admin)?;
    for (list, field) in [("clusters", "cluster"), ("users", "user")] {
        let content = first(&admin, list).and_then(|entry| entry.at(field)).cloned().unwrap_or_default();
        set_entry(&mut target, list, field, content);
    }
    let mut context = Node::map();
    context.put("cluster", Node::Text(ENTRY.into()));
    context.put("user", Node::Text(ENTRY.into()));
    set_entry(&mut target, "contexts", "context", context);
    for (key, value) in [("apiVersion", "v1"), ("kind", "Config"), ("current-context", ENTRY)] {
        if matches!(target.at(key), None | Some(Node::Null)) || target.at(key) == Some(&Node::Text(String::new())) {
            target.put(key, Node::Text(value.into()));
        }
    }
    Ok(target.to_yaml())
}

/// Takes our entries out again. `None` when nothing of ours is in it; an empty text when nothing else is.
///
/// # Errors
/// The text is not YAML.
pub fn without_ours(current: &str) -> Result<Option<String>, ConfigError> {
    let mut target = Node::parse(current)?;
    let before = target.clone();
    let mut left = 0;
    for list in ["clusters", "users", "contexts"] {
        let Some(Node::List(mut entries)) = target.take(list) else { continue };
        entries.retain(|entry| entry.at("name") != Some(&Node::Text(ENTRY.into())));
        left += entries.len();
        target.put(list, Node::List(entries));
    }
    if target.at("current-context") == Some(&Node::Text(ENTRY.into())) {
        target.put("current-context", Node::Text(String::new()));
    }
    if target.to_yaml() == before.to_yaml() {
        return Ok(None);
    }
    Ok(Some(if left == 0 { String::new() } else { target.to_yaml() }))
}

fn first<'n>(config: &'n Node, list: &str) -> Option<&'n Node> {
    match config.at(list)? {
        Node::List(entries) => entries.first(),
        _ => None,
    }
}

fn named<'n>(config: &'n Node, list: &str, name: &str) -> Option<&'n Node> {
    match config.at(list)? {
        Node::List(entries) => entries.iter().find(|entry| entry.at("name") == Some(&Node::Text(name.into()))),
        _ => None,
    }
}

fn set_entry(config: &mut Node, list: &str, field: &str, content: Node) {
    let mut entry = Node::map();
    entry.put("name", Node::Text(ENTRY.into()));
    entry.put(field, content);
    let mut entries = match config.take(list) {
        Some(Node::List(entries)) => entries,
        _ => Vec::new(),
    };
    match entries.iter_mut().find(|entry| entry.at("name") == Some(&Node::Text(ENTRY.into()))) {
        Some(old) => *old = entry,
        None => entries.push(entry),
    }
    config.put(list, Node::List(entries));
}

/// The CA certificate of the first cluster, as it stands in the file.
pub fn ca_data(text: &str) -> Option<String> {
    let config = Node::parse(text).ok()?;
    match first(&config, "clusters")?.at("cluster.certificate-authority-data")? {
        Node::Text(data) => Some(data.clone()),
        _ => None,
    }
}

/// Whether two kubeconfigs lead to clusters with the same CA.
pub fn same_cluster(a: &[u8], b: &[u8]) -> bool {
    let ca = |text: &[u8]| ca_data(&String::from_utf8_lossy(text));
    ca(a).is_some_and(|found| ca(b) == Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMIN: &str = "
apiVersion: v1
kind: Config
clusters:
- name: kubernetes
  cluster: {server: 'https://192.0.2.2:6443', certificate-authority-data: QQ==}
users:
- name: kubernetes-admin
  user: {client-certificate-data: Qg==, client-key-data: Qw==}
contexts:
- name: kubernetes-admin@kubernetes
  context: {cluster: kubernetes, user: kubernetes-admin}
current-context: kubernetes-admin@kubernetes
";

    const OTHER: &str = "\
apiVersion: v1
clusters:
- cluster:
    server: https://elsewhere:6443
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    namespace: mine
    user: me
  name: work
current-context: work
kind: Config
users:
- name: me
  user:
    token: t
";

    #[test]
    fn our_entries_come_and_go_and_the_others_stay() {
        let with_ours = merged(OTHER, ADMIN).expect("merges");
        assert!(with_ours.contains("current-context: work\n"));
        assert!(with_ours.contains("server: https://192.0.2.2:6443\n  name: kubeedge\n"));
        assert_eq!(merged(&with_ours, ADMIN).expect("merges"), with_ours);
        assert_eq!(without_ours(&with_ours).expect("yaml").as_deref(), Some(OTHER));
        assert_eq!(without_ours(OTHER).expect("yaml"), None);
    }

    #[test]
    fn a_file_of_our_own_selects_our_context_and_vanishes_with_us() {
        let ours = merged("", ADMIN).expect("merges");
        assert!(ours.contains("current-context: kubeedge\n"));
        assert_eq!(without_ours(&ours).expect("yaml").as_deref(), Some(""));
        assert_eq!(ca_data(&ours).as_deref(), Some("QQ=="));
    }
}

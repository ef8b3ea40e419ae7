//! Resolver settings of a pod. Source: spec 08 §8.3.

use std::fs;
use std::path::Path;

use k8s_openapi::api::core::v1::{Pod, PodDNSConfigOption};

use crate::doors::Settings;

/// Most servers a resolver looks at.
const MAX_SERVERS: usize = 3;
/// Most search domains.
const MAX_SEARCHES: usize = 32;
/// Most bytes of all search domains joined by blanks.
const MAX_SEARCHES_LEN: usize = 2048;
/// Most bytes of one search domain.
const MAX_SEARCH_LEN: usize = 253;

/// What goes into CRI's `dns_config`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DnsConfig {
    /// Name servers.
    pub servers: Vec<String>,
    /// Search domains.
    pub searches: Vec<String>,
    /// Options, such as `ndots:5`.
    pub options: Vec<String>,
}

/// Something a user should know about, as an event on the pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsWarning {
    /// Event reason: `MissingClusterDNS` or `DNSConfigForming`.
    pub reason: &'static str,
    /// Event message.
    pub message: String,
}

/// Resolver settings of `pod`. The host's file is read each time: it may be empty at boot and filled later.
pub fn config(pod: &Pod, settings: &Settings) -> (DnsConfig, Vec<DnsWarning>) {
    config_with(pod, settings, || read_host(&settings.resolv_conf))
}

fn config_with(pod: &Pod, settings: &Settings, host: impl Fn() -> DnsConfig) -> (DnsConfig, Vec<DnsWarning>) {
    let spec = pod.spec.as_ref();
    let mut warnings = Vec::new();
    let policy = spec.and_then(|spec| spec.dns_policy.as_deref()).unwrap_or("ClusterFirst");
    let wants_cluster = match policy {
        "ClusterFirst" => !super::is_host_network(pod),
        "ClusterFirstWithHostNet" => true,
        _ => false,
    };
    let mut config = if policy == "None" {
        DnsConfig::default()
    } else if wants_cluster && !settings.cluster_dns.is_empty() {
        cluster(pod, settings, &host())
    } else {
        if wants_cluster {
            warnings.push(DnsWarning {
                reason: "MissingClusterDNS",
                message: format!(
                    "pod: \"{}\". kubelet does not have ClusterDNS IP configured and cannot create Pod using \
                     \"{policy}\" policy. Falling back to \"Default\" policy.",
                    full_name(pod)
                ),
            });
        }
        if settings.resolv_conf.as_os_str().is_empty() { nowhere(settings) } else { host() }
    };
    if let Some(extra) = spec.and_then(|spec| spec.dns_config.as_ref()) {
        append_new(&mut config.servers, extra.nameservers.as_deref().unwrap_or_default());
        append_new(&mut config.searches, extra.searches.as_deref().unwrap_or_default());
        merge_options(&mut config.options, extra.options.as_deref().unwrap_or_default());
    }
    limit(&mut config, pod, &mut warnings);
    (config, warnings)
}

fn full_name(pod: &Pod) -> String {
    let part = |field: &Option<String>| field.clone().unwrap_or_default();
    format!("{}_{}({})", part(&pod.metadata.name), part(&pod.metadata.namespace), part(&pod.metadata.uid))
}

fn cluster(pod: &Pod, settings: &Settings, host: &DnsConfig) -> DnsConfig {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let domain = &settings.cluster_domain;
    let mut searches = Vec::new();
    if !domain.is_empty() {
        searches = vec![format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.clone()];
    }
    append_new(&mut searches, &host.searches);
    let servers = settings.cluster_dns.iter().map(ToString::to_string).collect();
    DnsConfig { servers, searches, options: vec!["ndots:5".to_owned()] }
}

/// No resolver file at all: the pod asks itself.
fn nowhere(settings: &Settings) -> DnsConfig {
    let v6 = settings.node_ips.first().is_some_and(std::net::IpAddr::is_ipv6);
    let server = if v6 { "::1" } else { "127.0.0.1" };
    DnsConfig { servers: vec![server.to_owned()], searches: vec![".".to_owned()], options: Vec::new() }
}

fn read_host(path: &Path) -> DnsConfig {
    parse(&fs::read_to_string(path).unwrap_or_default())
}

/// Reads a `resolv.conf`: the last `search` line wins, options of all lines add up.
pub fn parse(text: &str) -> DnsConfig {
    let mut config = DnsConfig::default();
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("nameserver") => config.servers.extend(words.next().map(str::to_owned)),
            Some("search" | "domain") => {
                // A root domain stays as it is, others lose their last dot.
                let plain =
                    |word: &str| if word == "." { word.to_owned() } else { word.trim_end_matches('.').to_owned() };
                config.searches = words.map(plain).collect();
            }
            Some("options") => append_new(&mut config.options, &words.map(str::to_owned).collect::<Vec<_>>()),
            Some(_) | None => {}
        }
    }
    config
}

fn append_new(list: &mut Vec<String>, more: &[String]) {
    for item in more {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}

/// Options of the pod replace those of the same name.
fn merge_options(options: &mut Vec<String>, more: &[PodDNSConfigOption]) {
    for option in more {
        let name = option.name.as_deref().unwrap_or_default();
        let text = match option.value.as_deref().filter(|value| !value.is_empty()) {
            Some(value) => format!("{name}:{value}"),
            None => name.to_owned(),
        };
        match options.iter().position(|known| known.split(':').next() == Some(name)) {
            Some(at) => options[at] = text,
            None => options.push(text),
        }
    }
}

fn limit(config: &mut DnsConfig, pod: &Pod, warnings: &mut Vec<DnsWarning>) {
    let mut warn = |message: String| warnings.push(DnsWarning { reason: "DNSConfigForming", message });
    if config.servers.len() > MAX_SERVERS {
        config.servers.truncate(MAX_SERVERS);
        warn(format!(
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {}",
            config.servers.join(" ")
        ));
    }
    let before = config.searches.len();
    config.searches.retain(|search| search.len() <= MAX_SEARCH_LEN);
    config.searches.truncate(MAX_SEARCHES);
    while config.searches.iter().map(|search| search.len() + 1).sum::<usize>() > MAX_SEARCHES_LEN + 1 {
        config.searches.pop();
    }
    if config.searches.len() < before {
        warn(format!(
            "Search Line limits were exceeded in pod {}, some search paths have been omitted, the applied search line \
             is: {}",
            full_name(pod),
            config.searches.join(" ")
        ));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const HOST: &str = "# made by dhcp\nnameserver 192.0.2.53\nsearch old.example\nsearch lan. example.org ; mine\n\
        options timeout:1 edns0\noptions edns0\n";

    fn check(spec: &Value, cluster_dns: &[&str], expected: &str) -> Vec<&'static str> {
        let mut pod = json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec});
        pod["spec"]["containers"] = json!([]);
        let settings =
            Settings { cluster_dns: cluster_dns.iter().map(|ip| ip.parse().unwrap()).collect(), ..Settings::default() };
        let (config, warnings) = config_with(&serde_json::from_value(pod).unwrap(), &settings, || parse(HOST));
        let got = [config.servers.join(" "), config.searches.join(" "), config.options.join(" ")].join(" | ");
        assert_eq!(got, expected);
        warnings.into_iter().map(|warning| warning.reason).collect()
    }

    const FROM_HOST: &str = "192.0.2.53 | lan example.org | timeout:1 edns0";
    const FROM_CLUSTER: &str =
        "169.254.96.16 | shop.svc.cluster.local svc.cluster.local cluster.local lan example.org | ndots:5";

    #[test]
    fn policies_choose_between_cluster_and_host() {
        let dns = ["169.254.96.16"];
        assert!(check(&json!({}), &dns, FROM_CLUSTER).is_empty());
        assert!(check(&json!({"dnsPolicy": "ClusterFirst", "hostNetwork": true}), &dns, FROM_HOST).is_empty());
        check(&json!({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true}), &dns, FROM_CLUSTER);
        check(&json!({"dnsPolicy": "Default"}), &dns, FROM_HOST);
        assert_eq!(check(&json!({}), &[], FROM_HOST), ["MissingClusterDNS"]);
    }

    #[test]
    fn the_pods_own_config_is_added() {
        let own = json!({"nameservers": ["1.1.1.1", "192.0.2.53"], "searches": ["lan", "x.y"],
            "options": [{"name": "timeout", "value": "3"}, {"name": "rotate"}]});
        check(&json!({"dnsPolicy": "None", "dnsConfig": own}), &[], "1.1.1.1 192.0.2.53 | lan x.y | timeout:3 rotate");
        check(
            &json!({"dnsPolicy": "Default", "dnsConfig": own}),
            &[],
            "192.0.2.53 1.1.1.1 | lan example.org x.y | timeout:3 edns0 rotate",
        );
    }

    #[test]
    fn what_a_resolver_would_ignore_is_dropped_with_a_warning() {
        let own = json!({"nameservers": ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"]});
        let spec = json!({"dnsPolicy": "None", "dnsConfig": own});
        assert_eq!(check(&spec, &[], "1.1.1.1 1.1.1.2 1.1.1.3 |  | "), ["DNSConfigForming"]);
        let searches: Vec<_> = (0..40).map(|n| format!("d{n}")).collect();
        let kept = searches[..32].join(" ");
        let spec = json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"], "searches": searches}});
        assert_eq!(check(&spec, &[], &format!("1.1.1.1 | {kept} | ")), ["DNSConfigForming"]);
    }

    #[test]
    fn without_a_resolver_file_the_pod_asks_itself() {
        let pod = serde_json::from_value(json!({"spec": {"dnsPolicy": "Default", "containers": []}})).unwrap();
        let settings = Settings { resolv_conf: std::path::PathBuf::new(), ..Settings::default() };
        let (got, _) = config(&pod, &settings);
        assert_eq!((got.servers, got.searches), (vec!["127.0.0.1".to_owned()], vec![".".to_owned()]));
    }
}

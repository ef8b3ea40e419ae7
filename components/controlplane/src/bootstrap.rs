//! Objects every cluster has, made at first start and kept up to date. Source: spec 10 §8.4, §8.5.

use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    apiserver::{
        api::{Api, WriteContext},
        meta,
        ops::strategy::Part,
        status::ApiError,
    },
    security::{policy, rbac},
};

/// Namespaces that are always there.
const NAMESPACES: &[&str] = &["default", "kube-system", "kube-public", "kube-node-lease", "kubeedge"];
/// Who makes these objects.
const IDENTITY: &str = "system:apiserver";
/// Name of the ConfigMap with the cluster CA that pods mount.
pub const ROOT_CA: &str = "kube-root-ca.crt";

/// Where this API server is, for the `kubernetes` Service.
pub struct Place {
    /// Address clients reach it at.
    pub advertise: IpAddr,
    /// Port it listens on.
    pub port: u16,
    /// First address of the service range.
    pub service_ip: Ipv4Addr,
}

/// Brings the store to the state every cluster starts from.
///
/// # Errors
/// Store errors.
pub async fn run(api: &Api, place: &Place, now: Timestamp) -> Result<(), ApiError> {
    let snapshot = api.registry.snapshot();
    let stored = snapshot.resources.iter().filter(|info| info.allows("get"));
    let names: Vec<(String, String)> =
        stored.map(|info| (info.storage_group.to_string(), info.plural.to_string())).collect();
    api.store.register(names).await?;
    seed(api, now).await?;
    complete_policy(api).await?;
    advertise(api, place, now).await?;
    api.load().await?;
    api.aggregate_all().await
}

fn finish(mut object: Value, now: Timestamp) -> Value {
    let metadata = meta::metadata_mut(&mut object);
    metadata.insert("uid".into(), uuid::Uuid::new_v4().to_string().into());
    metadata.insert("creationTimestamp".into(), meta::time(now).into());
    object
}

async fn seed(api: &Api, now: Timestamp) -> Result<(), ApiError> {
    let mut objects: Vec<(&str, &str, String, Value)> = Vec::new();
    for ns in NAMESPACES {
        objects.push((
            "",
            "namespaces",
            String::new(),
            json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": ns, "labels": {"kubernetes.io/metadata.name": ns}},
                "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
            }),
        ));
        objects.push((
            "",
            "serviceaccounts",
            (*ns).into(),
            json!({
                "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": ns},
            }),
        ));
        objects.push(("", "configmaps", (*ns).into(), json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": ROOT_CA, "namespace": ns, "annotations": {
                "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc."}},
            "data": {"ca.crt": api.facts.ca_pem},
        })));
    }
    objects.push((
        "",
        "configmaps",
        "kube-system".into(),
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
            "data": {"client-ca-file": api.facts.ca_pem},
        }),
    ));
    for (name, value, what) in [
        ("system-node-critical", 2_000_001_000, "system critical pods that must not be moved from their current node."),
        (
            "system-cluster-critical",
            2_000_000_000,
            "system critical pods that must run in the cluster, but can be moved to another node if necessary.",
        ),
    ] {
        objects.push((
            "scheduling.k8s.io",
            "priorityclasses",
            String::new(),
            json!({
                "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
                "metadata": {"name": name, "generation": 1}, "value": value,
                "description": format!("Used for {what}"), "preemptionPolicy": "PreemptLowerPriority",
            }),
        ));
    }
    for standard in policy::standard().map_err(ApiError::internal)? {
        objects.push((rbac::GROUP, standard.plural, standard.ns, standard.object));
    }
    let mut keyed = Vec::with_capacity(objects.len());
    for (group, plural, ns, object) in objects {
        let target = api.builtin(group, plural, &ns, meta::name(&object)).await?;
        keyed.push((target.key(), finish(object, now)));
    }
    api.seed(keyed).await?;
    Ok(())
}

/// Adds to standard roles and bindings what a newer release expects.
async fn complete_policy(api: &Api) -> Result<(), ApiError> {
    let context = WriteContext::in_process(IDENTITY);
    for standard in policy::standard().map_err(ApiError::internal)? {
        let target = api.builtin(rbac::GROUP, standard.plural, &standard.ns, meta::name(&standard.object)).await?;
        let Some(current) = api.find(&target).await? else { continue };
        if policy::complete(&current, &standard.object).is_some() {
            api.change(&context, &target, Part::Whole, |old| {
                Ok(policy::complete(old, &standard.object).unwrap_or_else(|| old.clone()))
            })
            .await?;
        }
    }
    Ok(())
}

/// The `kubernetes` Service and what is behind it.
async fn advertise(api: &Api, place: &Place, now: Timestamp) -> Result<(), ApiError> {
    let labels = json!({"component": "apiserver", "provider": "kubernetes"});
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "spec": {
            "type": "ClusterIP", "clusterIP": place.service_ip, "clusterIPs": [place.service_ip],
            "ipFamilies": [family(IpAddr::V4(place.service_ip))], "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster", "sessionAffinity": "None",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": place.port}],
        },
        "status": {"loadBalancer": {}},
    });
    let port = json!({"name": "https", "port": place.port, "protocol": "TCP"});
    let endpoints = json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {"name": "kubernetes", "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        "subsets": [{"addresses": [{"ip": place.advertise}], "ports": [port]}],
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "kubernetes", "namespace": "default", "generation": 1,
            "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": family(place.advertise),
        "endpoints": [{"addresses": [place.advertise], "conditions": {"ready": true}}],
        "ports": [port],
    });
    let (ip, now_text) = (place.service_ip.to_string(), now);
    api.store
        .write(crate::store::Durability::Full, move |tx| -> Result<(), crate::store::StoreError> {
            tx.take_service_ip(&ip, "default/kubernetes").map(|_| ())
        })
        .await?;
    let context = WriteContext::in_process(IDENTITY);
    for (group, plural, object, part) in [
        ("", "services", service, "spec"),
        ("", "endpoints", endpoints, "subsets"),
        ("discovery.k8s.io", "endpointslices", slice, "endpoints"),
    ] {
        let target = api.builtin(group, plural, "default", "kubernetes").await?;
        if api.find(&target).await?.is_none() {
            api.seed(vec![(target.key(), finish(object, now_text))]).await?;
            continue;
        }
        api.change(&context, &target, Part::Whole, |old| {
            let mut new = old.clone();
            new[part] = object[part].clone();
            if part == "endpoints" {
                new["ports"] = object["ports"].clone();
            }
            Ok(new)
        })
        .await?;
    }
    Ok(())
}

fn family(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() { "IPv4" } else { "IPv6" }
}

//! Services, endpoints and network policies. Addresses and node ports are allocated by the store.

use serde_json::{Map, Value, json};

use super::{child, each, fill, word};

type Object = Map<String, Value>;

pub(super) fn service(object: &mut Object) {
    if let Some(spec) = child(object, "spec") {
        fill(spec, "type", "ClusterIP");
        fill(spec, "sessionAffinity", "None");
        if word(spec, "sessionAffinity") == "ClientIP"
            && let Some(config) = child(spec, "sessionAffinityConfig").and_then(|config| child(config, "clientIP"))
        {
            fill(config, "timeoutSeconds", 10800);
        }
        each(spec, "ports", |port| {
            fill(port, "protocol", "TCP");
            if let Some(number) = port.get("port").cloned() {
                fill(port, "targetPort", number);
            }
        });
        let kind = word(spec, "type").to_owned();
        if kind != "ExternalName" {
            fill(spec, "internalTrafficPolicy", "Cluster");
        }
        if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
            fill(spec, "externalTrafficPolicy", "Cluster");
        }
        if kind == "LoadBalancer" {
            fill(spec, "allocateLoadBalancerNodePorts", true);
        }
    }
    if let Some(status) = child(object, "status") {
        fill(status, "loadBalancer", json!({}));
    }
}

pub(super) fn endpoints(object: &mut Object) {
    each(object, "subsets", |subset| each(subset, "ports", |port| fill(port, "protocol", "TCP")));
}

pub(super) fn slice(object: &mut Object) {
    each(object, "ports", |port| {
        fill(port, "name", "");
        fill(port, "protocol", "TCP");
    });
}

pub(super) fn network_policy(object: &mut Object) {
    let Some(spec) = child(object, "spec") else { return };
    for list in ["ingress", "egress"] {
        each(spec, list, |rule| each(rule, "ports", |port| fill(port, "protocol", "TCP")));
    }
    let types = if spec.contains_key("egress") { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
    fill(spec, "policyTypes", types);
}

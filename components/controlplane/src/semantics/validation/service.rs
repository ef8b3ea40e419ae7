//! Services. Allocation of addresses and node ports is the store's business. Source: spec 10 §2.5.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use super::container;
use super::metadata;
use super::report::{Report, items, text};
use crate::semantics::json::Path;
use crate::semantics::names;

/// Rules of a Service.
pub(super) fn service(object: &Value, old: Option<&Value>, report: &mut Report) {
    let spec = &object["spec"];
    let path = Path::Root.key("spec");
    let kind = text(&spec["type"]);
    let headless = spec["clusterIP"] == "None";
    report.one_of(path.key("type"), &spec["type"], &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    report.one_of(path.key("sessionAffinity"), &spec["sessionAffinity"], &["ClientIP", "None"]);
    ports(spec, path.key("ports"), report);
    if items(&spec["ports"]).is_empty() && !headless && kind != "ExternalName" {
        report.required(path.key("ports"), "");
    }
    metadata::labels(&spec["selector"], path.key("selector"), report);
    if kind == "ExternalName" {
        let name = text(&spec["externalName"]);
        if name.is_empty() {
            report.required(path.key("externalName"), "");
        } else {
            report.name(path.key("externalName"), name, names::dns_subdomain(name.trim_end_matches('.')));
        }
        if !text(&spec["clusterIP"]).is_empty() {
            report.forbidden(path.key("clusterIPs"), "may not be set for ExternalName services");
        }
    } else {
        let address = text(&spec["clusterIP"]);
        if headless && kind != "ClusterIP" {
            let why = format!("may not be set to 'None' for {kind} services");
            report.invalid(path.key("clusterIPs").index(0), &spec["clusterIP"], why);
        } else if !headless && !address.is_empty() && address.parse::<IpAddr>().is_err() {
            report.invalid(path.key("clusterIPs").index(0), &spec["clusterIP"], "must be a valid IP address");
        }
    }
    let external = path.key("externalIPs");
    for (index, address) in items(&spec["externalIPs"]).iter().enumerate() {
        if text(address).parse::<IpAddr>().is_err() {
            report.invalid(external.index(index), address, "must be a valid IP address");
        }
    }
    report.maybe_one_of(path.key("externalTrafficPolicy"), &spec["externalTrafficPolicy"], &["Cluster", "Local"]);
    report.maybe_one_of(path.key("internalTrafficPolicy"), &spec["internalTrafficPolicy"], &["Cluster", "Local"]);
    if let Some(old) = old {
        address_is_kept(&old["spec"], spec, path, report);
    }
}

/// The cluster address stays while the type needs one.
fn address_is_kept(old: &Value, new: &Value, path: Path<'_>, report: &mut Report) {
    let before = text(&old["clusterIP"]);
    let external = old["type"] == "ExternalName" || new["type"] == "ExternalName";
    if external || before.is_empty() || old["clusterIP"] == new["clusterIP"] {
        return;
    }
    let at = path.key("clusterIPs");
    if text(&new["clusterIP"]).is_empty() {
        report.invalid(at.index(0), &new["clusterIP"], "primary clusterIP can not be unset");
    } else {
        report.invalid(at.index(0), &new["clusterIP"], "may not change once set");
    }
}

fn ports(spec: &Value, path: Path<'_>, report: &mut Report) {
    let ports = items(&spec["ports"]);
    let (mut seen, mut pairs, mut nodes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (index, port) in ports.iter().enumerate() {
        let at = path.index(index);
        let name = text(&port["name"]);
        if name.is_empty() {
            if ports.len() > 1 {
                report.required(at.key("name"), "");
            }
        } else {
            report.name(at.key("name"), name, names::dns_label(name));
            if !seen.insert(name) {
                report.duplicate(at.key("name"), &port["name"]);
            }
        }
        container::port(&port["port"], at.key("port"), report);
        report.one_of(at.key("protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"]);
        if !port["targetPort"].is_null() {
            container::port_or_name(&port["targetPort"], at.key("targetPort"), report);
        }
        if !pairs.insert((port["port"].as_i64(), text(&port["protocol"]))) {
            report.duplicate(at, &serde_json::json!({"port": port["port"], "protocol": port["protocol"]}));
        }
        let node = port["nodePort"].as_i64().unwrap_or_default();
        if node != 0 {
            if spec["type"] == "ClusterIP" {
                report.forbidden(at.key("nodePort"), "may not be used when `type` is 'ClusterIP'");
            } else if !nodes.insert((node, text(&port["protocol"]))) {
                report.duplicate(at.key("nodePort"), &port["nodePort"]);
            }
        }
    }
}

//! Ingress, IngressClass, NetworkPolicy. Source: spec 10 §2.5.

use std::net::IpAddr;

use serde_json::Value;

use super::report::{Report, items, text};
use super::{container, selector};
use crate::semantics::json::Path;
use crate::semantics::names;

/// Rules of an Ingress.
pub(super) fn ingress(object: &Value, report: &mut Report) {
    let spec = &object["spec"];
    let path = Path::Root.key("spec");
    if items(&spec["rules"]).is_empty() && spec["defaultBackend"].is_null() {
        report.invalid(path, spec, "either `defaultBackend` or `rules` must be specified");
    }
    if spec["defaultBackend"].is_object() {
        backend(&spec["defaultBackend"], path.key("defaultBackend"), report);
    }
    let rules = path.key("rules");
    for (index, rule) in items(&spec["rules"]).iter().enumerate() {
        let at = rules.index(index);
        let host = text(&rule["host"]);
        if host.parse::<IpAddr>().is_ok() {
            report.invalid(at.key("host"), &rule["host"], "must be a DNS name, not an IP address");
        } else if host.contains('*') {
            report.name(at.key("host"), host, names::wildcard_dns_subdomain(host));
        } else if !host.is_empty() {
            report.name(at.key("host"), host, names::dns_subdomain(host));
        }
        let http = at.key("http");
        let paths = http.key("paths");
        if rule["http"].is_object() && items(&rule["http"]["paths"]).is_empty() {
            report.required(paths, "");
        }
        for (index, entry) in items(&rule["http"]["paths"]).iter().enumerate() {
            let at = paths.index(index);
            match text(&entry["pathType"]) {
                "" => report.required(at.key("pathType"), "pathType must be specified"),
                "Exact" | "Prefix" if !text(&entry["path"]).starts_with('/') => {
                    report.invalid(at.key("path"), &entry["path"], "must be an absolute path");
                }
                "Exact" | "Prefix" | "ImplementationSpecific" => {}
                _ => report.not_supported(
                    at.key("pathType"),
                    &entry["pathType"],
                    &["Exact", "ImplementationSpecific", "Prefix"],
                ),
            }
            backend(&entry["backend"], at.key("backend"), report);
        }
    }
}

fn backend(backend: &Value, path: Path<'_>, report: &mut Report) {
    let service = &backend["service"];
    let at = path.key("service");
    match (service.is_object(), backend["resource"].is_object()) {
        (true, true) => report.invalid(path, &"".into(), "cannot set both resource and service backends"),
        (false, false) => report.required(path, "resource or service backend is required"),
        (false, true) => {}
        (true, false) => {
            let name = text(&service["name"]);
            if name.is_empty() {
                report.required(at.key("name"), "");
            } else {
                report.name(at.key("name"), name, names::dns_1035_label(name));
            }
            let (port, port_path) = (&service["port"], at.key("port"));
            match (text(&port["name"]), port["number"].as_i64().unwrap_or_default()) {
                ("", 0) => report.required(port_path, "port name or number is required"),
                ("", _) => container::port(&port["number"], port_path.key("number"), report),
                (name, 0) => report.name(port_path.key("name"), name, names::port_name(name)),
                _ => report.invalid(port_path, port, "cannot set both port name & port number"),
            }
        }
    }
}

/// Rules of an IngressClass.
pub(super) fn ingress_class(object: &Value, old: Option<&Value>, report: &mut Report) {
    let controller = text(&object["spec"]["controller"]);
    if controller.is_empty() {
        report.required("spec.controller", "");
    } else if controller.split_once('/').is_none_or(|(domain, _)| names::dns_subdomain(domain).is_some()) {
        let why = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        report.invalid("spec.controller", &object["spec"]["controller"], why);
    }
    if let Some(old) = old {
        report.immutable("spec.controller", &old["spec"]["controller"], &object["spec"]["controller"]);
    }
}

/// Rules of a NetworkPolicy.
pub(super) fn policy(object: &Value, report: &mut Report) {
    let spec = &object["spec"];
    let path = Path::Root.key("spec");
    selector::label_selector(&spec["podSelector"], path.key("podSelector"), report);
    for (list, peers) in [("ingress", "from"), ("egress", "to")] {
        let list_path = path.key(list);
        for (index, rule) in items(&spec[list]).iter().enumerate() {
            let at = list_path.index(index);
            let ports = at.key("ports");
            for (index, port) in items(&rule["ports"]).iter().enumerate() {
                let at = ports.index(index);
                report.maybe_one_of(at.key("protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"]);
                if !port["port"].is_null() {
                    container::port_or_name(&port["port"], at.key("port"), report);
                }
            }
            let peers_path = at.key(peers);
            for (index, peer) in items(&rule[peers]).iter().enumerate() {
                self::peer(peer, peers_path.index(index), report);
            }
        }
    }
    let types = path.key("policyTypes");
    for (index, kind) in items(&spec["policyTypes"]).iter().enumerate() {
        report.one_of(types.index(index), kind, &["Egress", "Ingress"]);
    }
}

fn peer(peer: &Value, path: Path<'_>, report: &mut Report) {
    let block = &peer["ipBlock"];
    let selects = peer["podSelector"].is_object() || peer["namespaceSelector"].is_object();
    if !selects && block.is_null() {
        report.required(path, "must specify a peer");
    } else if selects && block.is_object() {
        report.forbidden(path, "may not specify both ipBlock and another peer");
    }
    for which in ["podSelector", "namespaceSelector"] {
        selector::label_selector(&peer[which], path.key(which), report);
    }
    if block.is_object() {
        let at = path.key("ipBlock");
        if !is_cidr(text(&block["cidr"])) {
            report.invalid(
                at.key("cidr"),
                &block["cidr"],
                "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
            );
        }
        let except = at.key("except");
        for (index, cidr) in items(&block["except"]).iter().enumerate() {
            if !is_cidr(text(cidr)) {
                report.invalid(
                    except.index(index),
                    cidr,
                    "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
                );
            }
        }
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let max = if address.is_ipv4() { 32 } else { 128 };
    length.parse::<u8>().is_ok_and(|length| length <= max)
}

//! Endpoints and EndpointSlice. Source: spec 10 §2.5.

use std::net::IpAddr;

use serde_json::Value;

use super::report::{Report, items, text};
use super::{container, metadata};
use crate::semantics::json::Path;
use crate::semantics::names;

/// Rules of Endpoints.
pub(super) fn endpoints(object: &Value, report: &mut Report) {
    let subsets = Path::Root.key("subsets");
    for (index, subset) in items(&object["subsets"]).iter().enumerate() {
        let at = subsets.index(index);
        let lists = ["addresses", "notReadyAddresses"];
        if lists.iter().all(|list| items(&subset[*list]).is_empty()) {
            report.required(at, "must specify `addresses` or `notReadyAddresses`");
        }
        for list in lists {
            let list_path = at.key(list);
            for (index, address) in items(&subset[list]).iter().enumerate() {
                let item = list_path.index(index);
                self::address(&address["ip"], item.key("ip"), report);
            }
        }
        let ports = at.key("ports");
        let several = items(&subset["ports"]).len() > 1;
        for (index, port) in items(&subset["ports"]).iter().enumerate() {
            let item = ports.index(index);
            let name = text(&port["name"]);
            if name.is_empty() {
                if several {
                    report.required(item.key("name"), "");
                }
            } else {
                report.name(item.key("name"), name, names::dns_label(name));
            }
            container::port(&port["port"], item.key("port"), report);
            report.one_of(item.key("protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"]);
        }
    }
}

/// An address other machines can reach.
fn address(value: &Value, path: Path<'_>, report: &mut Report) {
    let Ok(address) = text(value).parse::<IpAddr>() else {
        report.invalid(path, value, "must be a valid IP address");
        return;
    };
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    if address.is_unspecified() {
        report.invalid(path, value, "may not be unspecified (0.0.0.0 or ::)");
    } else if address.is_loopback() {
        report.invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    } else if link_local {
        report.invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    } else if address.is_multicast() {
        report.invalid(path, value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    }
}

/// Rules of an EndpointSlice.
pub(super) fn slice(object: &Value, old: Option<&Value>, report: &mut Report) {
    report.one_of("addressType", &object["addressType"], &["FQDN", "IPv4", "IPv6"]);
    let endpoints = items(&object["endpoints"]);
    if endpoints.len() > 1000 {
        report.too_many("endpoints", endpoints.len(), 1000);
    }
    let list = Path::Root.key("endpoints");
    for (index, endpoint) in endpoints.iter().enumerate() {
        let at = list.index(index);
        let addresses = at.key("addresses");
        if items(&endpoint["addresses"]).is_empty() {
            report.required(addresses, "must contain at least 1 address");
        }
        for (index, value) in items(&endpoint["addresses"]).iter().enumerate() {
            match text(&object["addressType"]) {
                "FQDN" => report.name(addresses.index(index), text(value), names::dns_subdomain(text(value))),
                _ => address(value, addresses.index(index), report),
            }
        }
        metadata::labels(&endpoint["deprecatedTopology"], at.key("deprecatedTopology"), report);
    }
    let ports = items(&object["ports"]);
    if ports.len() > 100 {
        report.too_many("ports", ports.len(), 100);
    }
    let list = Path::Root.key("ports");
    for (index, port) in ports.iter().enumerate() {
        let at = list.index(index);
        report.one_of(at.key("protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"]);
        if ports.iter().take(index).any(|other| other["name"] == port["name"]) {
            report.duplicate(at.key("name"), &port["name"]);
        }
    }
    if let Some(old) = old {
        report.immutable("addressType", &old["addressType"], &object["addressType"]);
    }
}

//! Rows of services, endpoints, ingresses and policies.

use serde_json::Value;

use super::look::{Look, NONE, UNSET, labels, or, selector};
use crate::semantics::validation::report::{items, text};

pub(super) fn service(look: Look<'_>) -> Vec<Value> {
    vec![
        look.name(),
        look.cell("spec.type"),
        look.cell_or("spec.clusterIP", NONE),
        external(look).into(),
        ports(look).into(),
        look.age(),
        labels(look.at("spec.selector")).into(),
    ]
}

fn external(look: Look<'_>) -> String {
    let mut given: Vec<&str> = items(look.at("spec.externalIPs")).iter().map(text).collect();
    match look.text("spec.type") {
        "ExternalName" => look.text("spec.externalName").to_owned(),
        "LoadBalancer" => {
            let ingress = items(look.at("status.loadBalancer.ingress"));
            let mut all: Vec<&str> =
                ingress.iter().map(|entry| or(text(&entry["ip"]), text(&entry["hostname"]))).collect();
            all.append(&mut given);
            or(&all.join(","), "<pending>").to_owned()
        }
        _ => or(&given.join(","), NONE).to_owned(),
    }
}

fn ports(look: Look<'_>) -> String {
    let list: Vec<String> = items(look.at("spec.ports"))
        .iter()
        .map(|port| match port["nodePort"].as_i64().unwrap_or_default() {
            0 => format!("{}/{}", port["port"], text(&port["protocol"])),
            node => format!("{}:{node}/{}", port["port"], text(&port["protocol"])),
        })
        .collect();
    or(&list.join(","), NONE).to_owned()
}

/// The first three of a list and how many more there are.
fn first_three(list: &[String]) -> String {
    match list.len() {
        0 => NONE.to_owned(),
        count @ ..=3 => list[..count].join(","),
        count => format!("{} + {} more...", list[..3].join(","), count - 3),
    }
}

pub(super) fn endpoints(look: Look<'_>) -> Vec<Value> {
    let mut list = Vec::new();
    for subset in items(look.at("subsets")) {
        let ports = items(&subset["ports"]);
        for address in items(&subset["addresses"]) {
            let ip = text(&address["ip"]);
            let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
            if ports.is_empty() {
                list.push(ip.to_owned());
            }
            list.extend(ports.iter().map(|port| format!("{host}:{}", port["port"])));
        }
    }
    vec![look.name(), first_three(&list).into(), look.age()]
}

pub(super) fn slice(look: Look<'_>) -> Vec<Value> {
    let ports: Vec<String> = items(look.at("ports"))
        .iter()
        .map(|port| {
            port["port"].as_i64().map_or_else(|| or(text(&port["name"]), "*").to_owned(), |port| port.to_string())
        })
        .collect();
    let addresses = items(look.at("endpoints")).iter().flat_map(|endpoint| items(&endpoint["addresses"]));
    let addresses: Vec<String> = addresses.map(|address| text(address).to_owned()).collect();
    let unset = |list: &[String]| if list.is_empty() { UNSET.to_owned() } else { first_three(list) };
    vec![look.name(), look.cell("addressType"), unset(&ports).into(), unset(&addresses).into(), look.age()]
}

pub(super) fn ingress(look: Look<'_>) -> Vec<Value> {
    let mut hosts: Vec<&str> = items(look.at("spec.rules")).iter().map(|rule| text(&rule["host"])).collect();
    hosts.retain(|host| !host.is_empty());
    let hosts = if hosts.is_empty() { "*".to_owned() } else { hosts.join(",") };
    let balancers = items(look.at("status.loadBalancer.ingress"));
    let addresses: Vec<&str> = balancers.iter().map(|entry| or(text(&entry["ip"]), text(&entry["hostname"]))).collect();
    let ports = if items(look.at("spec.tls")).is_empty() { "80" } else { "80, 443" };
    vec![
        look.name(),
        look.cell_or("spec.ingressClassName", NONE),
        hosts.into(),
        addresses.join(",").into(),
        ports.into(),
        look.age(),
    ]
}

pub(super) fn ingress_class(look: Look<'_>) -> Vec<Value> {
    let parameters = look.at("spec.parameters");
    let shown = if parameters.is_object() {
        let kind = text(&parameters["kind"]);
        match text(&parameters["apiGroup"]) {
            "" => format!("{kind}/{}", text(&parameters["name"])),
            group => format!("{kind}.{group}/{}", text(&parameters["name"])),
        }
    } else {
        NONE.to_owned()
    };
    vec![look.name(), look.cell("spec.controller"), shown.into(), look.age()]
}

pub(super) fn policy(look: Look<'_>) -> Vec<Value> {
    vec![look.name(), selector(look.at("spec.podSelector")).into(), look.age()]
}

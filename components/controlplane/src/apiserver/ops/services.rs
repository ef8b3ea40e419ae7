//! Addresses and node ports of Services, inside the transaction that writes them. Source: spec 10 §2.5, §10.12.

use std::net::Ipv4Addr;

use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};

use crate::{
    apiserver::{meta, status::ApiError},
    semantics::resources::{ResourceInfo, builtin},
    store::writer::Tx,
};

use super::create::Refused;

/// Node ports: first, last, and where dynamic allocation starts so that hand-picked low ones stay free.
const NODE_PORTS: (u16, u16) = (30_000, 32_767);
const DYNAMIC_FROM: u16 = 30_086;

fn owner(service: &Value) -> String {
    format!("{}/{}", meta::namespace(service), meta::name(service))
}

fn refuse(service: &Value, field: &str, text: &str) -> Refused {
    let row = builtin().iter().find(|row| row.group.is_empty() && row.plural == "services");
    Refused::Error(match row {
        Some(row) => ApiError::invalid_field(&ResourceInfo::from(row), meta::name(service), field, text),
        None => ApiError::bad_request(format!("{field}: {text}")),
    })
}

/// Number of addresses of a range and its base.
fn size((base, prefix): (Ipv4Addr, u8)) -> (u32, u32) {
    let bits = 32 - u32::from(prefix.min(30));
    (u32::from(base), 1 << bits)
}

fn contains(range: (Ipv4Addr, u8), ip: Ipv4Addr) -> bool {
    let (base, count) = size(range);
    let offset = u32::from(ip).wrapping_sub(base);
    offset > 0 && offset < count - 1
}

fn random(below: u32) -> u32 {
    let mut bytes = [0; 4];
    // Without randomness the scan starts at the beginning; still correct.
    let _ = SystemRandom::new().fill(&mut bytes);
    u32::from_le_bytes(bytes) % below.max(1)
}

/// Takes over what the server chose earlier when an update does not mention it.
pub fn carry_over(old: &Value, new: &mut Value) {
    let kind = |service: &Value| service["spec"]["type"].as_str().unwrap_or("ClusterIP").to_owned();
    if kind(new) == "ExternalName" || kind(old) == "ExternalName" {
        return;
    }
    for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"] {
        let absent = new["spec"].get(field).is_none_or(|value| value.is_null() || value == "" || *value == json!([]));
        if absent && let Some(value) = old["spec"].get(field) {
            new["spec"][field] = value.clone();
        }
    }
    if matches!(kind(new).as_str(), "NodePort" | "LoadBalancer") {
        let old_ports = old["spec"]["ports"].as_array().cloned().unwrap_or_default();
        for port in new["spec"]["ports"].as_array_mut().into_iter().flatten() {
            let unset = port["nodePort"].as_u64().unwrap_or(0) == 0;
            let same = old_ports.iter().find(|old| {
                old["port"] == port["port"] && old["protocol"] == port["protocol"] && old["nodePort"].is_u64()
            });
            if unset && let Some(same) = same {
                port["nodePort"] = same["nodePort"].clone();
            }
        }
    }
}

/// Gives a Service its addresses and ports and takes back what it no longer uses.
pub(super) fn allocate(
    tx: &mut Tx<'_>,
    range: (Ipv4Addr, u8),
    old: Option<&Value>,
    service: &mut Value,
) -> Result<(), Refused> {
    let kind = service["spec"]["type"].as_str().unwrap_or("ClusterIP").to_owned();
    let name = owner(service);
    let before = old.and_then(|old| old["spec"]["clusterIP"].as_str()).unwrap_or_default().to_owned();
    if kind == "ExternalName" {
        if is_address(&before) {
            tx.release_service_ip(&before, &name)?;
        }
        for field in ["clusterIP", "clusterIPs"] {
            if let Some(spec) = service["spec"].as_object_mut() {
                spec.remove(field);
            }
        }
    } else {
        allocate_ip(tx, range, service, &before, &name)?;
    }
    let node_ports = matches!(kind.as_str(), "NodePort")
        || (kind == "LoadBalancer" && service["spec"]["allocateLoadBalancerNodePorts"] != false);
    allocate_ports(tx, service, &name, node_ports)
}

fn is_address(ip: &str) -> bool {
    !ip.is_empty() && ip != "None"
}

fn allocate_ip(
    tx: &mut Tx<'_>,
    range: (Ipv4Addr, u8),
    service: &mut Value,
    before: &str,
    name: &str,
) -> Result<(), Refused> {
    let asked = service["spec"]["clusterIP"].as_str().unwrap_or_default().to_owned();
    if !before.is_empty() && asked != before {
        let text = format!("Invalid value: [{asked:?}]: may not change once set");
        return Err(refuse(service, "spec.clusterIPs[0]", &text));
    }
    let ip = match asked.as_str() {
        "None" => "None".to_owned(),
        "" => free_ip(tx, range, name)?
            .ok_or_else(|| Refused::Error(ApiError::internal("failed to allocate a serviceIP: range is full")))?,
        asked => {
            let valid = asked.parse().is_ok_and(|ip| contains(range, ip));
            if !valid {
                let text = format!(
                    "Invalid value: [{asked:?}]: failed to allocate IP {asked}: the provided IP ({asked}) is not in the valid range. The range of valid IPs is {}/{}",
                    range.0, range.1
                );
                return Err(refuse(service, "spec.clusterIPs", &text));
            }
            if !tx.take_service_ip(asked, name)? {
                let text = format!(
                    "Invalid value: [{asked:?}]: failed to allocate IP {asked}: provided IP is already allocated"
                );
                return Err(refuse(service, "spec.clusterIPs", &text));
            }
            asked.to_owned()
        }
    };
    service["spec"]["clusterIPs"] = json!([ip]);
    service["spec"]["clusterIP"] = ip.into();
    if service["spec"].get("ipFamilies").is_none() {
        service["spec"]["ipFamilies"] = json!(["IPv4"]);
    }
    if service["spec"].get("ipFamilyPolicy").is_none() {
        service["spec"]["ipFamilyPolicy"] = "SingleStack".into();
    }
    Ok(())
}

/// A free address of the upper part of the range, from a random start.
fn free_ip(tx: &mut Tx<'_>, range: (Ipv4Addr, u8), name: &str) -> Result<Option<String>, Refused> {
    let (base, count) = size(range);
    let reserved = (count / 16).clamp(1, 256).max(count.min(16)).min(count / 2);
    let (first, last) = (reserved, count - 2);
    let span = last - first + 1;
    let start = random(span);
    for step in 0..span {
        let ip = Ipv4Addr::from(base + first + (start + step) % span).to_string();
        if tx.take_service_ip(&ip, name)? {
            return Ok(Some(ip));
        }
    }
    Ok(None)
}

fn allocate_ports(tx: &mut Tx<'_>, service: &mut Value, name: &str, wanted: bool) -> Result<(), Refused> {
    let mut ports = service["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let mut kept = Vec::new();
    if wanted {
        let number = |port: &Value| port["nodePort"].as_u64().and_then(|p| u16::try_from(p).ok()).unwrap_or(0);
        let protocol = |port: &Value| port["protocol"].as_str().unwrap_or("TCP").to_owned();
        for (index, port) in ports.iter().enumerate().filter(|(_, port)| number(port) != 0) {
            let (asked, protocol) = (number(port), protocol(port));
            let field = format!("spec.ports[{index}].nodePort");
            if asked < NODE_PORTS.0 || asked > NODE_PORTS.1 {
                let text = format!(
                    "Invalid value: {asked}: provided port is not in the valid range. The range of valid ports is {}-{}",
                    NODE_PORTS.0, NODE_PORTS.1
                );
                return Err(refuse(service, &field, &text));
            }
            if !tx.take_node_port(asked, &protocol, name)? {
                let text = format!("Invalid value: {asked}: provided port is already allocated");
                return Err(refuse(service, &field, &text));
            }
            kept.push((asked, protocol));
        }
        tx.keep_node_ports(name, &kept)?;
        for port in &mut ports {
            if number(port) == 0 {
                let protocol = protocol(port);
                let free = free_port(tx, &protocol, name, &kept)?.ok_or_else(|| {
                    Refused::Error(ApiError::internal("failed to allocate a nodePort: range is full"))
                })?;
                port["nodePort"] = free.into();
                kept.push((free, protocol));
            }
        }
    } else {
        for port in &mut ports {
            if let Some(port) = port.as_object_mut() {
                port.remove("nodePort");
            }
        }
        tx.keep_node_ports(name, &[])?;
    }
    if !ports.is_empty() {
        service["spec"]["ports"] = ports.into();
    }
    Ok(())
}

fn free_port(tx: &mut Tx<'_>, protocol: &str, name: &str, own: &[(u16, String)]) -> Result<Option<u16>, Refused> {
    let span = u32::from(NODE_PORTS.1 - DYNAMIC_FROM) + 1;
    let start = random(span);
    for step in 0..span {
        let offset = u16::try_from((start + step) % span).unwrap_or(0);
        let port = DYNAMIC_FROM + offset;
        let mine = own.iter().any(|(taken, by)| *taken == port && by == protocol);
        if !mine && tx.take_node_port(port, protocol, name)? {
            return Ok(Some(port));
        }
    }
    Ok(None)
}

/// Takes back everything a Service had.
pub(super) fn release(tx: &mut Tx<'_>, service: &Value) -> Result<(), Refused> {
    let name = owner(service);
    if let Some(ip) = service["spec"]["clusterIP"].as_str().filter(|ip| is_address(ip)) {
        tx.release_service_ip(ip, &name)?;
    }
    tx.keep_node_ports(&name, &[])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_excludes_network_and_broadcast() {
        let range = (Ipv4Addr::new(10, 96, 0, 0), 16);
        assert!(contains(range, Ipv4Addr::new(10, 96, 0, 1)));
        assert!(!contains(range, Ipv4Addr::new(10, 96, 0, 0)));
        assert!(!contains(range, Ipv4Addr::new(10, 96, 255, 255)));
        assert!(!contains(range, Ipv4Addr::new(10, 97, 0, 1)));
    }

    #[test]
    fn updates_keep_what_the_server_chose() {
        let old = json!({"spec": {"type": "NodePort", "clusterIP": "10.96.1.1", "clusterIPs": ["10.96.1.1"],
            "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30100}]}});
        let mut new = json!({"spec": {"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}]}});
        carry_over(&old, &mut new);
        assert_eq!(new["spec"]["clusterIP"], "10.96.1.1");
        assert_eq!(new["spec"]["ports"][0]["nodePort"], 30100);
    }
}

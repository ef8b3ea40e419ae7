//! Which addresses the node reports. Source: spec 08 §13.3.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use nix::ifaddrs::getifaddrs;

use crate::doors::Settings;

/// What this host calls itself. Only this file is asked for the node's name: a name server may be far away or gone, and
/// the answer would be wanted again every few seconds.
const HOSTS: &str = "/etc/hosts";

/// One address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// Interface name.
    pub interface: String,
    /// Address.
    pub ip: IpAddr,
}

/// All addresses of this host.
pub fn local() -> Vec<Local> {
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    let address = |found: nix::ifaddrs::InterfaceAddress| {
        let storage = found.address?;
        let v4 = storage.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        let ip = v4.or_else(|| storage.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))?;
        Some(Local { interface: found.interface_name, ip })
    };
    interfaces.filter_map(address).collect()
}

/// The addresses to report, primary first; empty when none is usable (the caller keeps what it reported before).
pub async fn node_ips(settings: &Settings) -> Vec<IpAddr> {
    let local = local();
    let by_setting = configured(settings, &local);
    if !by_setting.is_empty() {
        return by_setting;
    }
    if !settings.node_ips.iter().all(IpAddr::is_unspecified) || settings.custom_interface.is_some() {
        return Vec::new();
    }
    // `::` asks for an IPv6 address first.
    let prefer_v6 = settings.node_ips.first().is_some_and(IpAddr::is_ipv6);
    let hosts = tokio::fs::read_to_string(HOSTS).await.unwrap_or_default();
    let named = in_hosts(&hosts, &settings.node_name);
    choose(&settings.node_name, &named, [route_source(prefer_v6), route_source(!prefer_v6)], &local, prefer_v6)
        .into_iter()
        .collect()
}

/// The addresses that the text of a hosts file (`hosts(5)`) gives a name, in its order.
pub fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    };
    hosts.lines().filter_map(address).collect()
}

/// Addresses named by the settings that exist here.
fn configured(settings: &Settings, local: &[Local]) -> Vec<IpAddr> {
    if let Some(interface) = &settings.custom_interface {
        let on = local.iter().filter(|l| l.interface == *interface && is_usable(&l.ip)).map(|l| l.ip);
        let mut ips: Vec<_> = on.collect();
        ips.sort_by_key(IpAddr::is_ipv6);
        ips.truncate(1);
        return ips;
    }
    let exists = |ip: &IpAddr| is_usable(ip) && local.iter().any(|l| l.ip == *ip);
    let wanted = &settings.node_ips;
    if wanted.iter().all(exists) { wanted.clone() } else { Vec::new() }
}

/// Picks without settings: the name itself, what it resolves to, the source of the default route, any interface.
fn choose(
    name: &str,
    named: &[IpAddr],
    routes: [Option<IpAddr>; 2],
    local: &[Local],
    prefer_v6: bool,
) -> Option<IpAddr> {
    let here = |ip: &IpAddr| is_usable(ip) && local.iter().any(|l| l.ip == *ip);
    let preferred = |candidates: Vec<IpAddr>| {
        let usable: Vec<_> = candidates.into_iter().filter(here).collect();
        usable.iter().find(|ip| ip.is_ipv6() == prefer_v6).or(usable.first()).copied()
    };
    preferred(name.parse().into_iter().collect())
        .or_else(|| preferred(named.to_vec()))
        .or_else(|| routes.into_iter().flatten().find(is_usable))
        .or_else(|| preferred(local.iter().map(|l| l.ip).collect()))
}

fn is_usable(ip: &IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast() && !link_local
}

/// The address this host would talk to the world with; nothing is sent.
fn route_source(v6: bool) -> Option<IpAddr> {
    let (from, to): (SocketAddr, SocketAddr) = if v6 {
        ((Ipv6Addr::UNSPECIFIED, 0).into(), (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into())
    } else {
        ((Ipv4Addr::UNSPECIFIED, 0).into(), (Ipv4Addr::new(192, 0, 2, 1), 9).into())
    };
    let socket = UdpSocket::bind(from).ok()?;
    socket.connect(to).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_file_is_read_by_name() {
        let hosts = "127.0.0.1 localhost\n192.0.2.7\tedge1.example EDGE1 # old 192.0.2.8 edge1\nfe80::1 edge1\nnonsense edge1\n";
        let expected: [IpAddr; 2] = ["192.0.2.7".parse().unwrap(), "fe80::1".parse().unwrap()];
        assert_eq!(in_hosts(hosts, "edge1"), expected);
        assert!(in_hosts(hosts, "edge2").is_empty());
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn here() -> Vec<Local> {
        let on = |interface: &str, address| Local { interface: interface.to_owned(), ip: ip(address) };
        vec![
            on("lo", "127.0.0.1"),
            on("eth0", "fe80::1"),
            on("eth0", "192.0.2.7"),
            on("eth0", "2001:db8::7"),
            on("wg0", "10.8.0.2"),
        ]
    }

    #[test]
    fn settings_decide_when_they_name_something_real() {
        let with = |ips: &[&str], interface: Option<&str>| {
            let settings = Settings {
                node_ips: ips.iter().map(|text| ip(text)).collect(),
                custom_interface: interface.map(str::to_owned),
                ..Settings::default()
            };
            configured(&settings, &here())
        };
        assert_eq!(with(&["192.0.2.7", "2001:db8::7"], None), [ip("192.0.2.7"), ip("2001:db8::7")]);
        assert_eq!(with(&["198.51.100.1"], None), [] as [IpAddr; 0]);
        assert_eq!(with(&["127.0.0.1"], None), [] as [IpAddr; 0]);
        assert_eq!(with(&[], Some("wg0")), [ip("10.8.0.2")]);
        assert_eq!(with(&[], Some("eth0")), [ip("192.0.2.7")]);
        assert_eq!(with(&[], Some("eth9")), [] as [IpAddr; 0]);
    }

    #[test]
    fn without_settings_name_then_route_then_interface_decide() {
        let pick = |name: &str, named: &[&str], route: Option<&str>, v6| {
            let named: Vec<_> = named.iter().map(|text| ip(text)).collect();
            choose(name, &named, [route.map(ip), None], &here(), v6)
        };
        assert_eq!(pick("10.8.0.2", &[], None, false), Some(ip("10.8.0.2")));
        assert_eq!(pick("edge-1", &["127.0.1.1", "10.8.0.2"], Some("192.0.2.7"), false), Some(ip("10.8.0.2")));
        assert_eq!(pick("edge-1", &["127.0.1.1"], Some("192.0.2.7"), false), Some(ip("192.0.2.7")));
        assert_eq!(pick("edge-1", &["203.0.113.9"], None, false), Some(ip("192.0.2.7")));
        assert_eq!(pick("edge-1", &[], None, true), Some(ip("2001:db8::7")));
    }

    #[test]
    fn loopback_is_among_the_addresses_of_this_host() {
        assert!(local().iter().any(|l| l.ip.is_loopback()));
    }
}

//! Addresses and ports of this host.

use std::{
    fs,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
};

use api::config::HostFacts;
use edged::host::addresses::in_hosts;
use nix::ifaddrs::getifaddrs;

use super::process;

/// Host name and addresses. Source: spec 06 §4.
pub fn facts() -> HostFacts {
    let host_name = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let default_route_ip = default_route_address();
    let locals: Vec<IpAddr> = interface_addresses().into_iter().map(|(_, ip)| ip).collect();
    // The hosts file only: asking a name server that does not answer costs every command many seconds.
    let resolved: Vec<IpAddr> = fs::read_to_string("/etc/hosts")
        .map(|hosts| in_hosts(&hosts, host_name.trim()))
        .unwrap_or_default()
        .into_iter()
        .filter(|ip| !ip.is_loopback() && locals.contains(ip))
        .collect();
    let local_ip = resolved.iter().find(|ip| ip.is_ipv4()).or(resolved.first()).copied().or(default_route_ip);
    HostFacts { host_name, local_ip, default_route_ip }
}

/// The address of a network interface, IPv4 first.
pub fn interface_address(name: &str) -> Option<IpAddr> {
    let of_it: Vec<_> =
        interface_addresses().into_iter().filter(|(interface, _)| interface == name).map(|(_, ip)| ip).collect();
    of_it.iter().find(|ip| ip.is_ipv4()).or(of_it.first()).copied()
}

fn interface_addresses() -> Vec<(String, IpAddr)> {
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let ip = if let Some(v4) = address.as_sockaddr_in() {
                IpAddr::V4(v4.ip())
            } else {
                let v6 = address.as_sockaddr_in6()?.ip();
                if v6.is_unicast_link_local() {
                    return None;
                }
                IpAddr::V6(v6)
            };
            Some((interface.interface_name, ip))
        })
        .collect()
}

/// The source address towards the world: a UDP socket chooses it when it is "connected"; nothing is sent.
/// Without a default route: the first address that is not loopback.
fn default_route_address() -> Option<IpAddr> {
    let towards = |local: IpAddr, remote: IpAddr| {
        let socket = UdpSocket::bind((local, 0)).ok()?;
        socket.connect((remote, 53)).ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
    };
    towards(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into())
        .or_else(|| towards(Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()))
        .or_else(|| interface_addresses().into_iter().map(|(_, ip)| ip).find(|ip| !ip.is_loopback() && ip.is_ipv4()))
}

/// Who holds a TCP port, as text for a person; `None` when we could listen on it.
pub fn port_owner(port: u16) -> Option<String> {
    let error = TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).err()?;
    // Other errors are not ours to judge: without root a low port cannot be tried.
    let held = error.kind() == ErrorKind::AddrInUse;
    held.then(|| listener_process(port).unwrap_or_else(|| "another process".to_owned()))
}

/// The process whose socket listens on `port`.
fn listener_process(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| listening_inode(&table, port))?;
    let wanted = format!("socket:[{inode}]");
    process::all().into_iter().find_map(|process| {
        let mut descriptors = fs::read_dir(format!("/proc/{}/fd", process.pid)).ok()?.filter_map(Result::ok);
        descriptors
            .any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == wanted.as_str()))
            .then(|| format!("{} (pid {})", process.name, process.pid))
    })
}

fn listening_inode(table: &str, port: u16) -> Option<u64> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let local_port = fields.get(1)?.rsplit_once(':')?.1;
        let matches = u16::from_str_radix(local_port, 16).ok()? == port && *fields.get(3)? == LISTEN;
        if matches { fields.get(9)?.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_port_names_its_holder_and_a_free_one_nobody() {
        let listener = TcpListener::bind(("0.0.0.0", 0)).expect("binds");
        let port = listener.local_addr().expect("address").port();
        let owner = port_owner(port).expect("held");
        assert!(owner.contains(&format!("pid {}", std::process::id())), "{owner}");
        drop(listener);
        assert_eq!(port_owner(port), None);
    }
}

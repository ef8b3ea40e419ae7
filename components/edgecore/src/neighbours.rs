//! Other node agents on this host: they would manage the same containers, directories and cgroups.

use std::fs;

/// Kernel names of the processes that are, or hold, a kubelet.
pub const NODE_AGENTS: [&str; 10] =
    ["kubelet", "k3s", "k3s-server", "k3s-agent", "rke2", "rke2-server", "rke2-agent", "kubelite", "k0s", "k0s-worker"];

/// TCP port of every kubelet, whatever its process is called. Ours is another.
pub const KUBELET_PORT: u16 = 10250;

/// The other node agent of this host, in words. What cannot be looked at is no reason not to start.
pub fn find() -> Option<String> {
    let processes = fs::read_dir("/proc").ok().into_iter().flatten().filter_map(Result::ok);
    let mut agents = processes.filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let comm = fs::read_to_string(entry.path().join("comm")).ok()?;
        let name = comm.trim_end();
        NODE_AGENTS.contains(&name).then(|| format!("{name} (process {pid})"))
    });
    agents.next().or_else(|| {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().filter_map(|path| fs::read_to_string(path).ok());
        let held = tables.into_iter().any(|table| is_listening(&table, KUBELET_PORT));
        held.then(|| format!("a process that listens on port {KUBELET_PORT}"))
    })
}

/// Whether the kernel's socket table has a listener on `port`.
fn is_listening(table: &str, port: u16) -> bool {
    const LISTEN: &str = "0A";
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local_port = fields.next().and_then(|local| local.rsplit_once(':')).map(|(_, port)| port);
        local_port.and_then(|hex| u16::from_str_radix(hex, 16).ok()) == Some(port) && fields.nth(1) == Some(LISTEN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_told_from_a_connection() {
        let table = |state: &str| {
            format!("  sl  local_address rem_address   st\n   0: 00000000:280A 00000000:0000 {state} 00000000:00000000")
        };
        assert!(is_listening(&table("0A"), KUBELET_PORT));
        assert!(!is_listening(&table("01"), KUBELET_PORT));
        assert!(!is_listening(&table("0A"), 10350));
    }
}

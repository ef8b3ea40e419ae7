//! Everything that can be known before the host is changed.

use api::cloudcore::CloudCoreConfig;

use super::error::InitError;
use crate::host::Host;

/// The id of a cloudcore on this host.
pub fn running(host: &dyn Host) -> Option<i32> {
    host.processes().iter().find(|process| process.is("cloudcore")).map(|process| process.pid)
}

/// All that stands in the way. `known` says that keadm has set this host up before; then a running cloudcore is ours
/// and holds its own ports.
pub fn check(wanted: &CloudCoreConfig, known: bool, running: Option<i32>, host: &dyn Host) -> Vec<InitError> {
    match (running, known) {
        (Some(_), true) => return Vec::new(),
        (Some(pid), false) => return vec![InitError::Running { pid }],
        (None, _) => {}
    }
    ports(wanted)
        .into_iter()
        .filter_map(|port| host.port_owner(port).map(|owner| InitError::Port { port, owner }))
        .collect()
}

/// The TCP ports that cloudcore will listen on.
fn ports(wanted: &CloudCoreConfig) -> Vec<u16> {
    let modules = &wanted.modules;
    let mut ports = vec![modules.cloud_hub.https.port];
    if modules.cloud_hub.websocket.enable {
        ports.push(modules.cloud_hub.websocket.port);
    }
    if modules.cloud_stream.enable {
        ports.extend([modules.cloud_stream.stream_port, modules.cloud_stream.tunnel_port]);
    }
    if wanted.control_plane.enable {
        ports.push(wanted.control_plane.port.into());
    }
    let mut ports: Vec<u16> = ports.into_iter().filter_map(|port| u16::try_from(port).ok()).collect();
    ports.sort_unstable();
    ports
}

//! The wire between test hosts: one bridge a site, a veth pair a host.

use crate::process::run;

/// A bridge with the machine itself at `.1`; taken away when dropped.
pub struct Network {
    /// The bridge's interface name.
    pub bridge: String,
    third: u8,
}

impl Network {
    /// Makes the bridge. The third octet of 10.77.x.0/24 keeps parallel sites apart; the first that no other run has,
    /// from `first` on, is taken.
    pub fn new(first: u8) -> Self {
        let free = |third: &u8| run("ip", &["link", "add", &format!("kebr{third}"), "type", "bridge"]).code == 0;
        let third = (first..255).find(free).expect("a free network");
        let network = Self { bridge: format!("kebr{third}"), third };
        run("ip", &["addr", "add", &format!("10.77.{third}.1/24"), "dev", &network.bridge]).ok();
        run("ip", &["link", "set", &network.bridge, "up"]).ok();
        network
    }

    /// The address of host number `host`.
    pub fn address(&self, host: u8) -> String {
        format!("10.77.{}.{host}", self.third)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        run("ip", &["link", "del", &self.bridge]);
    }
}

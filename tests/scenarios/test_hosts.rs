//! The test hosts themselves: a failure here is the machine's, not the product's.

use crate::host::Init;
use crate::image::BUSYBOX;
use crate::site::{Cloud, Site};

#[test]
#[ignore = "needs: root, containerd"]
fn plain_and_systemd_hosts_run_containers_and_reach_each_other() {
    let mut site = Site::new(Cloud::Embedded);
    site.host("plain", Init::Plain);
    site.host("booted", Init::Systemd);
    for host in [site.at(0), site.at(1)] {
        let said =
            host.run(&["/usr/bin/ctr", "-n", "k8s.io", "run", "--rm", BUSYBOX, "probe", "/bin/echo", "nested-ok"]);
        assert_eq!(said.ok().trim(), "nested-ok");
    }
    assert!(site.at(0).pids("containerd").len() == 1);
    let path = site.at(1).address.clone();
    let said = site.at(0).run(&["/usr/bin/timeout", "2", "/bin/bash", "-c", &format!("echo > /dev/tcp/{path}/9")]);
    assert!(said.err.contains("refused"), "{}", said.err);
}

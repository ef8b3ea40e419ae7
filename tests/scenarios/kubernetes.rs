//! The same stories on a real Kubernetes: kube-apiserver, controller-manager and scheduler 1.20.2.

use crate::chaos;
use crate::site::Cloud;
use crate::two_hosts;

#[test]
#[ignore = "needs: root, containerd, kube-apiserver 1.20.2"]
fn pods_come_back_offline_after_everything_was_killed() {
    two_hosts::offline_restart(Cloud::Kubernetes);
}

#[test]
#[ignore = "needs: root, containerd, kube-apiserver 1.20.2"]
fn what_changed_while_cut_off_has_happened_five_seconds_after_the_reconnect() {
    two_hosts::reconnect(Cloud::Kubernetes);
}

#[test]
#[ignore = "needs: root, containerd, kube-apiserver 1.20.2"]
fn a_pod_older_than_its_node_is_delivered() {
    two_hosts::early_pod(Cloud::Kubernetes);
}

#[test]
#[ignore = "needs: root, containerd, kube-apiserver 1.20.2"]
fn killed_at_random_moments_the_edge_ends_up_as_the_cluster_wants() {
    chaos::kills(Cloud::Kubernetes, 10);
}

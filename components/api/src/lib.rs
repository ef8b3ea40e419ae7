//! What the components agree on: configuration files, custom resources, well-known names. No I/O.

pub mod cloudcore;
pub mod config;
pub mod edgecore;
pub mod names;
pub mod reliablesyncs;

/// The resource definitions that cloudcore needs in the cluster, as YAML texts of one definition each.
pub fn crds() -> &'static [&'static str] {
    &[
        include_str!("../../../templates/crds/reliablesyncs_objectsyncs.yaml"),
        include_str!("../../../templates/crds/reliablesyncs_clusterobjectsyncs.yaml"),
    ]
}

//! The `cloudcore.yaml` that an init writes: what is there, or the defaults, with what was typed.

use std::net::IpAddr;

use api::{
    cloudcore::CloudCoreConfig,
    config::{ConfigError, HostFacts, Problems, WarningKind, is_dns1123_subdomain},
};

use super::{choice::Choice, error::InitError};
use crate::{cli::init::InitArgs, commands::strvals};

/// Builds the configuration.
///
/// # Errors
/// Addresses that are none, `--set` with an unknown key, another cluster than before, or a result that cloudcore
/// would refuse.
pub fn build(
    args: &InitArgs,
    choice: &Choice,
    current: Option<&CloudCoreConfig>,
    host: &HostFacts,
) -> Result<CloudCoreConfig, InitError> {
    if let Some(current) = current {
        same_cluster(choice, current)?;
    }
    let mut config = current.cloned().unwrap_or_else(|| CloudCoreConfig::defaults(host));
    let hub = &mut config.modules.cloud_hub;
    let typed: Vec<_> =
        args.advertise_address.iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect();
    for text in &typed {
        if text.parse::<IpAddr>().is_err() && !is_dns1123_subdomain(&text.to_lowercase()) {
            return Err(InitError::Address { text: text.clone() });
        }
    }
    if !typed.is_empty() {
        hub.advertise_address.clone_from(&typed);
    }
    if hub.advertise_address.iter().all(String::is_empty) {
        return Err(InitError::NoAddress);
    }
    if !args.dns_names.is_empty() {
        hub.dns_names.clone_from(&args.dns_names);
    }
    let addresses = hub.advertise_address.clone();
    match choice {
        Choice::Embedded => {
            let plane = &mut config.control_plane;
            plane.enable = true;
            let first_ip = addresses.iter().find(|text| text.parse::<IpAddr>().is_ok()).cloned();
            if !typed.is_empty() || plane.advertise_address.is_empty() {
                let fallback = || host.default_route_ip.map(|ip| ip.to_string());
                plane.advertise_address = first_ip.or_else(fallback).ok_or(InitError::NoIp)?;
            }
            // Every name under which the hub is known leads to the API server, too.
            for name in addresses.iter().chain(args.dns_names.iter()) {
                if *name != plane.advertise_address && !name.is_empty() && !plane.dns_names.contains(name) {
                    plane.dns_names.push(name.clone());
                }
            }
        }
        Choice::External { kubeconfig, .. } => {
            config.kube_api_config.kube_config = kubeconfig.display().to_string();
            if let Some(master) = &args.master {
                config.kube_api_config.master.clone_from(master);
            }
        }
    }
    let overrides = strvals::parse(&args.set).map_err(InitError::Set)?;
    let warnings = config.apply(&overrides).map_err(InitError::Config)?;
    if let Some(unknown) = warnings.iter().find(|warning| matches!(warning.kind, WarningKind::UnknownKey { .. })) {
        return Err(InitError::SetKey { text: unknown.to_string() });
    }
    let mut problems = Problems::default();
    config.validate(&mut problems);
    problems.into_result().map_err(|problems| InitError::Config(ConfigError::Invalid(problems)))?;
    Ok(config)
}

/// Nodes and workloads live in the cluster: it does not change under them.
fn same_cluster(choice: &Choice, current: &CloudCoreConfig) -> Result<(), InitError> {
    let recorded = &current.kube_api_config.kube_config;
    let same = match choice {
        Choice::Embedded => current.control_plane.enable,
        Choice::External { kubeconfig, .. } => {
            !current.control_plane.enable && (recorded.is_empty() || kubeconfig.as_os_str() == recorded.as_str())
        }
    };
    if same {
        return Ok(());
    }
    let current = if current.control_plane.enable { "the built-in control plane" } else { recorded.as_str() };
    Err(InitError::OtherCluster { current: current.to_owned() })
}

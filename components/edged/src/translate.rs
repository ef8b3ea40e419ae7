//! From the Pod API to CRI: what a sandbox and its containers are made of. Pure; paths and resolved values come in.
//! Source: spec 08 §8.

pub mod container;
pub mod sandbox;
pub mod security;

use std::path::PathBuf;

use k8s_openapi::api::core::v1::Pod;

use crate::cgroups::CgroupLimits;
use crate::cri::proto::LinuxContainerResources;
use crate::doors::Settings;
use crate::pod;

/// `<podLogsDir>/<namespace>_<name>_<uid>`.
pub fn log_directory(settings: &Settings, pod: &Pod) -> PathBuf {
    settings.pod_logs_dir.join(format!("{}_{}_{}", pod::namespace(pod), pod::name(pod), pod::uid(pod)))
}

fn cpu_and_memory(limits: CgroupLimits) -> LinuxContainerResources {
    LinuxContainerResources {
        cpu_period: limits.cpu_period,
        cpu_quota: limits.cpu_quota,
        cpu_shares: limits.cpu_shares,
        memory_limit_in_bytes: limits.memory_limit,
        ..LinuxContainerResources::default()
    }
}

//! Whether an object may be stored. Source: spec 10 §2.3, §2.5, §6.

mod batch;
mod cluster;
mod container;
mod data;
mod definition;
mod endpoints;
mod metadata;
mod network;
mod pod;
mod rbac;
pub(super) mod report;
mod schedule;
mod scheduling;
mod selector;
mod service;
mod storage;
mod volume;
mod webhook;
mod workload;

use std::fmt;

use serde_json::Value;

use super::crd;
use super::json::Path;
use super::resources::ResourceInfo;
use report::Report;

/// Reason of one cause in a 422 Status, spelled as on the wire by [`CauseReason::as_str`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the wire words without their FieldValue prefix")]
pub enum CauseReason {
    Required,
    Invalid,
    Duplicate,
    NotFound,
    NotSupported,
    Forbidden,
    TooLong,
    TooMany,
    TypeInvalid,
}

impl CauseReason {
    /// The word on the wire, for example `FieldValueRequired`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::Duplicate => "FieldValueDuplicate",
            Self::NotFound => "FieldValueNotFound",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }
}

/// One thing wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Wire reason.
    pub reason: CauseReason,
    /// Field path, for example `spec.containers[0].image`.
    pub field: String,
    /// Text without the field, for example `Required value`.
    pub message: String,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Everything wrong with an object; never empty. `Display` gives the part of the Status message after `is invalid: `.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The causes in field order.
    pub causes: Vec<Cause>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.causes.as_slice() {
            return only.fmt(f);
        }
        f.write_str("[")?;
        for (index, cause) in self.causes.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            cause.fmt(f)?;
        }
        f.write_str("]")
    }
}

impl std::error::Error for Invalid {}

/// Checks a new object after defaulting and metadata preparation.
pub fn validate_create(resource: &ResourceInfo, object: &Value) -> Result<(), Invalid> {
    let mut report = Report::default();
    metadata::create(resource, object, &mut report);
    if let Some(custom) = &resource.custom {
        report.extend(crd::check(custom, object));
        return report.finish();
    }
    by_kind(resource, object, None, &mut report);
    report.finish()
}

/// Checks a change of a stored object, both after defaulting.
pub fn validate_update(resource: &ResourceInfo, old: &Value, new: &Value) -> Result<(), Invalid> {
    let mut report = Report::default();
    metadata::update(resource, old, new, &mut report);
    if let Some(custom) = &resource.custom {
        // What an update does not touch is not its fault: only new complaints count.
        let before = crd::check(custom, old);
        let after = crd::check(custom, new);
        report.extend(
            after.into_iter().filter(|cause| !(unchanged(old, new, &cause.field) && before.contains(cause))).collect(),
        );
        return report.finish();
    }
    by_kind(resource, new, Some(old), &mut report);
    report.finish()
}

/// Whether the top-level part a field path names is the same in both objects.
fn unchanged(old: &Value, new: &Value, field: &str) -> bool {
    let mut parts = field.split(['.', '[']);
    match (parts.next(), parts.next()) {
        (Some(part), Some(inner)) => old[part].get(inner) == new[part].get(inner),
        (Some(part), None) => old.get(part) == new.get(part),
        (None, _) => false,
    }
}

/// The rules of one kind; `old` is the stored object of an update.
fn by_kind(resource: &ResourceInfo, object: &Value, old: Option<&Value>, report: &mut Report) {
    let spec = Path::Key(&Path::Root, "spec");
    match (&*resource.storage_group, &*resource.plural) {
        ("", "pods") => pod::pod(object, old, report),
        ("", "podtemplates") => {
            pod::template(&object["template"], Path::Root.key("template"), pod::Owner::Any, report);
        }
        ("", "configmaps") => data::config_map(object, old, report),
        ("", "secrets") => data::secret(object, old, report),
        ("", "services") => service::service(object, old, report),
        ("", "endpoints") => endpoints::endpoints(object, report),
        ("", "namespaces") => cluster::namespace(object, old, report),
        ("", "nodes") => cluster::node(object, old, report),
        ("", "persistentvolumes") => storage::volume(object, old, report),
        ("", "persistentvolumeclaims") => storage::claim(object, old, report),
        ("", "events") => cluster::event(object, report),
        ("", "replicationcontrollers") => workload::replication_controller(object, report),
        ("apps", "deployments") => workload::deployment(object, old, report),
        ("apps", "replicasets") => workload::replica_set(object, old, report),
        ("apps", "daemonsets") => workload::daemon_set(object, old, report),
        ("apps", "statefulsets") => workload::stateful_set(object, old, report),
        ("batch", "jobs") => batch::job(object, old, report),
        ("batch", "cronjobs") => batch::cron_job(object, report),
        ("coordination.k8s.io", "leases") => cluster::lease(&object["spec"], spec, report),
        ("discovery.k8s.io", "endpointslices") => endpoints::slice(object, old, report),
        ("rbac.authorization.k8s.io", "roles" | "clusterroles") => rbac::role(object, resource.namespaced, report),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            rbac::binding(object, old, resource.namespaced, report);
        }
        ("certificates.k8s.io", "certificatesigningrequests") => cluster::signing_request(object, old, report),
        ("scheduling.k8s.io", "priorityclasses") => cluster::priority_class(object, old, report),
        ("storage.k8s.io", "storageclasses") => storage::class(object, old, report),
        ("policy", "poddisruptionbudgets") => cluster::disruption_budget(object, report),
        ("networking.k8s.io", "ingresses") => network::ingress(object, report),
        ("networking.k8s.io", "ingressclasses") => network::ingress_class(object, old, report),
        ("networking.k8s.io", "networkpolicies") => network::policy(object, report),
        ("autoscaling", "horizontalpodautoscalers") => workload::autoscaler(object, report),
        ("node.k8s.io", "runtimeclasses") => cluster::runtime_class(object, old, report),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations" | "validatingwebhookconfigurations") => {
            webhook::configuration(object, report);
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition::definition(object, old, report),
        _ => {}
    }
}

#[cfg(test)]
mod tests;

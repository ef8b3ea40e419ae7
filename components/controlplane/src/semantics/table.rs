//! `kubectl get` tables. Source: spec 10 §7.

mod age;
mod cluster;
mod custom;
mod head;
mod look;
mod network;
mod pod;
mod rbac;
mod storage;
mod workload;

use jiff::Timestamp;
use serde_json::Value;

use super::resources::ResourceInfo;
use head::layout_name;
use look::Look;

/// One column definition, in the shape of `columnDefinitions[]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Heading.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub column_type: String,
    /// `name` for the first column, else usually empty.
    pub format: String,
    /// What it shows.
    pub description: String,
    /// 0 is always shown, 1 only with `-o wide`.
    pub priority: i64,
}

impl Column {
    /// The JSON form in `columnDefinitions`.
    pub fn to_json(&self) -> Value {
        serde_json::json!({
            "name": self.name, "type": self.column_type, "format": self.format,
            "description": self.description, "priority": self.priority,
        })
    }
}

/// The cells of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// One cell per column.
    pub cells: Vec<Value>,
    /// Row conditions (`Completed` for finished pods), as JSON; usually empty and then left out.
    pub conditions: Vec<Value>,
}

/// The columns of a kind.
pub fn columns(resource: &ResourceInfo) -> Vec<Column> {
    if let Some(custom) = &resource.custom {
        return custom::columns(custom);
    }
    head::columns(resource)
}

/// The cells of one object in the order of [`columns`]; `now` is for ages.
pub fn row(resource: &ResourceInfo, object: &Value, now: Timestamp) -> Row {
    if let Some(custom) = &resource.custom {
        return Row { cells: custom::cells(custom, object, now), conditions: Vec::new() };
    }
    let look = Look { object, now };
    let cells = match layout_name(resource) {
        "pods" => pod::cells(look),
        "nodes" => cluster::node(look),
        "namespaces" => cluster::namespace(look),
        "configmaps" => cluster::config_map(look),
        "secrets" => cluster::secret(look),
        "serviceaccounts" => cluster::service_account(look),
        "events" => cluster::event(look, &resource.group),
        "leases" => cluster::lease(look),
        "certificatesigningrequests" => cluster::signing_request(look),
        "priorityclasses" => cluster::priority_class(look),
        "runtimeclasses" => vec![look.name(), look.cell("handler"), look.age()],
        "componentstatuses" => cluster::component(look),
        "resourcequotas" => cluster::quota(look),
        "apiservices" => cluster::api_service(look),
        "webhooks" => vec![look.name(), look.count("webhooks"), look.age()],
        "created" => vec![look.name(), look.cell("metadata.creationTimestamp")],
        "bindings" => rbac::binding(look),
        "deployments" => workload::deployment(look),
        "replicas" => workload::replicas(look, resource.plural == "replicationcontrollers"),
        "statefulsets" => workload::stateful_set(look),
        "daemonsets" => workload::daemon_set(look),
        "jobs" => workload::job(look),
        "cronjobs" => workload::cron_job(look),
        "controllerrevisions" => workload::revision(look),
        "podtemplates" => workload::pod_template(look),
        "horizontalpodautoscalers" => workload::autoscaler(look),
        "poddisruptionbudgets" => workload::disruption_budget(look),
        "services" => network::service(look),
        "endpoints" => network::endpoints(look),
        "endpointslices" => network::slice(look),
        "ingresses" => network::ingress(look),
        "ingressclasses" => network::ingress_class(look),
        "networkpolicies" => network::policy(look),
        "persistentvolumes" => storage::volume(look),
        "persistentvolumeclaims" => storage::claim(look),
        "storageclasses" => storage::class(look),
        "volumeattachments" => storage::attachment(look),
        "csidrivers" => storage::driver(look),
        "csinodes" => vec![look.name(), look.count("spec.drivers"), look.age()],
        "csistoragecapacities" => storage::capacity(look),
        _ => vec![look.name(), look.age()],
    };
    let conditions = if layout_name(resource) == "pods" { pod::conditions(object) } else { Vec::new() };
    Row { cells, conditions }
}

/// Whether the kind has a Table form at all (access reviews have none and answer 406).
pub fn has_table(resource: &ResourceInfo) -> bool {
    resource.allows("get") || resource.allows("list")
}

#[cfg(test)]
mod tests;

//! What the scheduler needs to know of a node and of a pod, and nothing more: small enough to keep for a whole fleet.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::semantics::quantity::Quantity;

/// Amounts of resources: cpu in thousandths of a core, everything else in its own unit.
pub type Amounts = BTreeMap<String, i64>;

/// Whether a resource is counted in thousandths.
const CPU: &str = "cpu";

/// A taint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value; often empty.
    #[serde(default)]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// A toleration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Toleration {
    /// Key; empty tolerates every key.
    pub key: String,
    /// `Exists` or `Equal` (also when empty).
    pub operator: String,
    /// Value for `Equal`.
    pub value: String,
    /// Effect; empty tolerates every effect.
    pub effect: String,
}

impl Toleration {
    /// Whether this toleration covers the taint.
    pub fn covers(&self, taint: &Taint) -> bool {
        (self.effect.is_empty() || self.effect == taint.effect)
            && (self.key.is_empty() || self.key == taint.key)
            && match self.operator.as_str() {
                "Exists" => true,
                _ => !self.key.is_empty() && self.value == taint.value,
            }
    }
}

/// A node, as far as placing pods goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Taints.
    pub taints: Vec<Taint>,
    /// `spec.unschedulable`.
    pub unschedulable: bool,
    /// Whether condition Ready is True.
    pub ready: bool,
    /// `status.allocatable`.
    pub allocatable: Amounts,
}

/// A pod, as far as placing it goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// The node it is bound to; empty while it is not.
    pub node: String,
    /// Whether it still uses its node: not Succeeded, not Failed.
    pub active: bool,
    /// Whether this scheduler must find it a node.
    pub wants_node: bool,
    /// Whether it waits at a scheduling gate.
    pub gated: bool,
    /// `spec.priority`.
    pub priority: i64,
    /// `spec.nodeSelector`.
    pub node_selector: BTreeMap<String, String>,
    /// Required node affinity: any of these terms must match; empty means no requirement.
    pub affinity: Vec<NodeSelectorTerm>,
    /// Tolerations.
    pub tolerations: Vec<Toleration>,
    /// What it asks for, pods counted too.
    pub requests: Amounts,
    /// Host ports as `protocol/port`.
    pub host_ports: Vec<String>,
}

/// One term of required node affinity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeSelectorTerm {
    /// All must match the node's labels.
    pub match_expressions: Vec<Requirement>,
    /// All must match the node's fields; `metadata.name` is the only one.
    pub match_fields: Vec<Requirement>,
}

/// One requirement on a label or field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Requirement {
    /// Label key or field path.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt` or `Lt`.
    pub operator: String,
    /// Values.
    pub values: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawNode {
    metadata: RawMeta,
    spec: RawNodeSpec,
    status: RawNodeStatus,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct RawMeta {
    name: String,
    labels: BTreeMap<String, String>,
    deletion_timestamp: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawNodeSpec {
    taints: Vec<Taint>,
    unschedulable: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawNodeStatus {
    allocatable: BTreeMap<String, String>,
    conditions: Vec<RawCondition>,
}

#[derive(Deserialize)]
struct RawCondition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

/// Reads a stored Node.
///
/// # Errors
/// When the stored text is not a Node.
pub fn node(body: &[u8]) -> Result<NodeFacts, serde_json::Error> {
    let raw: RawNode = serde_json::from_slice(body)?;
    Ok(NodeFacts {
        name: raw.metadata.name,
        labels: raw.metadata.labels,
        taints: raw.spec.taints,
        unschedulable: raw.spec.unschedulable,
        ready: raw.status.conditions.iter().any(|condition| condition.kind == "Ready" && condition.status == "True"),
        allocatable: amounts(&raw.status.allocatable),
    })
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawPod {
    metadata: RawMeta,
    spec: RawPodSpec,
    status: RawPodStatus,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawPodStatus {
    phase: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct RawPodSpec {
    node_name: String,
    scheduler_name: String,
    scheduling_gates: Vec<serde::de::IgnoredAny>,
    priority: i64,
    node_selector: BTreeMap<String, String>,
    affinity: RawAffinity,
    tolerations: Vec<Toleration>,
    containers: Vec<RawContainer>,
    init_containers: Vec<RawContainer>,
    overhead: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct RawAffinity {
    node_affinity: RawNodeAffinity,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawNodeAffinity {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    required: Option<RawTerms>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct RawTerms {
    node_selector_terms: Vec<NodeSelectorTerm>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct RawContainer {
    resources: RawResources,
    ports: Vec<RawPort>,
    restart_policy: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawResources {
    requests: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct RawPort {
    host_port: i64,
    protocol: String,
}

/// The name of the only profile. Source: spec 10 §11.
const PROFILE: &str = "default-scheduler";

/// Reads a stored Pod.
///
/// # Errors
/// When the stored text is not a Pod.
pub fn pod(body: &[u8]) -> Result<PodFacts, serde_json::Error> {
    let raw: RawPod = serde_json::from_slice(body)?;
    let spec = raw.spec;
    let active = !matches!(raw.status.phase.as_str(), "Succeeded" | "Failed");
    let gated = !spec.scheduling_gates.is_empty();
    let wants_node = spec.node_name.is_empty()
        && active
        && raw.metadata.deletion_timestamp.is_none()
        && matches!(spec.scheduler_name.as_str(), "" | PROFILE);
    let host_ports = spec
        .containers
        .iter()
        .flat_map(|container| &container.ports)
        .filter(|port| port.host_port > 0)
        .map(|port| format!("{}/{}", port.protocol, port.host_port))
        .collect();
    let requests = requests(&spec);
    Ok(PodFacts {
        node: spec.node_name,
        active,
        wants_node: wants_node && !gated,
        gated,
        priority: spec.priority,
        node_selector: spec.node_selector,
        affinity: spec.affinity.node_affinity.required.map(|terms| terms.node_selector_terms).unwrap_or_default(),
        tolerations: spec.tolerations,
        requests,
        host_ports,
    })
}

/// max(init containers, sum of containers and sidecars) + overhead, and one pod.
fn requests(spec: &RawPodSpec) -> Amounts {
    let mut sum = Amounts::new();
    for container in &spec.containers {
        add(&mut sum, &amounts(&container.resources.requests));
    }
    let mut peak = Amounts::new();
    let mut sidecars = Amounts::new();
    for container in &spec.init_containers {
        let mut asked = amounts(&container.resources.requests);
        if container.restart_policy == "Always" {
            add(&mut sum, &asked);
            add(&mut sidecars, &asked);
        } else {
            add(&mut asked, &sidecars);
            for (resource, amount) in asked {
                let highest = peak.entry(resource).or_default();
                *highest = amount.max(*highest);
            }
        }
    }
    for (resource, amount) in peak {
        let total = sum.entry(resource).or_default();
        *total = amount.max(*total);
    }
    add(&mut sum, &amounts(&spec.overhead));
    sum.insert("pods".to_owned(), 1);
    sum
}

/// Adds `more` to `sum`; saturates.
pub fn add(sum: &mut Amounts, more: &Amounts) {
    for (resource, amount) in more {
        let total = sum.entry(resource.clone()).or_default();
        *total = total.saturating_add(*amount);
    }
}

fn amounts(written: &BTreeMap<String, String>) -> Amounts {
    written
        .iter()
        .filter_map(|(resource, text)| {
            let quantity = Quantity::parse(text).ok()?;
            let amount = if resource == CPU { quantity.milli() } else { quantity.units() };
            Some((resource.clone(), amount))
        })
        .collect()
}

//! TaintNodesByCondition: nobody schedules onto a node before it said it is ready.

use serde_json::{Value, json};

/// Key of the taint.
const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// Adds the not-ready taint to a new node.
pub fn taint_new(node: &mut Value) {
    if !node["spec"].is_object() {
        node["spec"] = json!({});
    }
    let taints = &mut node["spec"]["taints"];
    if !taints.is_array() {
        *taints = json!([]);
    }
    if let Some(taints) = taints.as_array_mut()
        && !taints.iter().any(|taint| taint["key"] == NOT_READY && taint["effect"] == "NoSchedule")
    {
        taints.push(json!({"key": NOT_READY, "effect": "NoSchedule"}));
    }
}

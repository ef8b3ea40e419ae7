//! Binding: gives a pod its node. Source: spec 10 §11.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    apiserver::{
        api::{Api, Target, WriteContext},
        meta,
        ops::strategy::Part,
        status::ApiError,
    },
    store::Stored,
};

impl Api {
    /// Binds the pod `target` to the node a `Binding` names.
    ///
    /// # Errors
    /// 409 when the pod has a node or is being deleted, 404, 400 for a binding without node.
    pub async fn bind(&self, context: &WriteContext, target: &Target, binding: &Value) -> Result<Stored, ApiError> {
        let node = binding["target"]["name"].as_str().unwrap_or_default().to_owned();
        if node.is_empty() {
            return Err(ApiError::invalid_field(&target.info, &target.name, "target.name", "Required value"));
        }
        let kind = binding["target"]["kind"].as_str().unwrap_or_default();
        if !matches!(kind, "" | "Node") {
            let text = format!("Unsupported value: {kind:?}: supported values: \"Node\", \"<empty>\"");
            return Err(ApiError::invalid_field(&target.info, &target.name, "target.kind", &text));
        }
        let uid = meta::uid(binding).to_owned();
        let annotations = binding["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
        let now = meta::time(Timestamp::now());
        self.change(context, target, Part::Whole, |old| {
            let conflict = |cause: &str| ApiError::conflict(&target.info, &target.name, cause);
            if !uid.is_empty() && uid != meta::uid(old) {
                return Err(conflict(&format!(
                    "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                    meta::uid(old)
                )));
            }
            if meta::is_deleting(old) {
                return Err(conflict(&format!("pod {} is being deleted, cannot be assigned to a host", target.name)));
            }
            if let Some(current) = old["spec"]["nodeName"].as_str().filter(|node| !node.is_empty()) {
                return Err(conflict(&format!("pod {} is already assigned to node {current:?}", target.name)));
            }
            if old["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
                return Err(conflict(&format!("pod {} has non-empty .spec.schedulingGates", target.name)));
            }
            let mut new = old.clone();
            new["spec"]["nodeName"] = node.as_str().into();
            if !annotations.is_empty() {
                let metadata = meta::metadata_mut(&mut new);
                let existing = metadata.entry("annotations").or_insert_with(|| json!({}));
                if let Some(existing) = existing.as_object_mut() {
                    existing.extend(annotations.clone());
                }
            }
            set_condition(
                &mut new,
                json!({
                    "type": "PodScheduled", "status": "True", "lastTransitionTime": now,
                }),
            );
            Ok(new)
        })
        .await
    }
}

/// Replaces the condition of the same type; the transition time stays when the status does.
pub fn set_condition(object: &mut Value, mut condition: Value) {
    if !object["status"]["conditions"].is_array() {
        object["status"]["conditions"] = json!([]);
    }
    let Some(conditions) = object["status"]["conditions"].as_array_mut() else { return };
    match conditions.iter_mut().find(|c| c["type"] == condition["type"]) {
        Some(existing) => {
            if existing["status"] == condition["status"] {
                condition["lastTransitionTime"] = existing["lastTransitionTime"].clone();
            }
            *existing = condition;
        }
        None => conditions.push(condition),
    }
}

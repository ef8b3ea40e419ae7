//! A node's own Node object: registration, queries, status. Source: spec 02 §7.2.

use serde_json::{Map, Value, json};
use tracing::{info, warn};

use super::configs::as_lister;
use super::rights::check_node_labels;
use super::{Request, RequestError, Upstream, reply, unix_ms};
use crate::cloudhub::doors::Reply;
use crate::kind::{Kind, ObjectKey};
use crate::kubeapi::{ApiError, ApiPath, PatchKind};
use crate::names::{CLOUDCORE_ANNOTATION, EDGE_LABEL};

impl Upstream {
    pub(super) async fn query_node(&self, request: &Request) -> Result<Vec<Reply>, RequestError> {
        request.check_own_name()?;
        let key = ObjectKey::cluster(Kind::Node, request.node.clone());
        let object = self.api.get(&key).await.map_err(|error| as_lister(error, &key))?;
        let version = Some(object.meta.version.as_str());
        Ok(vec![Reply::Post(reply::plain(&request.message, object.content(), version, unix_ms()))])
    }

    /// Registers the node. The peer sets reserved labels by a second patch that may fail; one creation does it here.
    pub(super) async fn insert_node(&self, request: &Request) -> Result<Vec<Reply>, RequestError> {
        request.check_own_name()?;
        let node = self.new_node(request)?;
        let reserved = reserved_labels(&node);
        match self.api.create(&Kind::Node, None, node.to_string()).await {
            Ok(object) => {
                info!(node = %request.node, "node registered");
                Ok(vec![Reply::Post(reply::object(&request.message, &object, false, unix_ms()))])
            }
            Err(error) => {
                if error.is_already_exists() {
                    self.restore_edge_label(request, &reserved).await;
                }
                let empty = with_labels(reply::EMPTY_NODE, &reserved);
                let status = error.status();
                Ok(vec![Reply::Post(reply::object_failure(&request.message, Some(&empty), &status, unix_ms()))])
            }
        }
    }

    /// Labels and annotations of a legacy edge's node.
    pub(super) async fn update_node(&self, request: &Request) -> Result<Vec<Reply>, RequestError> {
        request.check_own_name()?;
        let node: Value =
            request.message.content.parse().map_err(|_| RequestError::Invalid { reason: "the content is no Node" })?;
        check_node_labels(&node).map_err(|reason| request.forbidden(reason))?;
        let part = |name: &str| node.pointer(&format!("/metadata/{name}")).cloned().unwrap_or(json!({}));
        let change = json!({"metadata": {"labels": part("labels"), "annotations": part("annotations")}});
        let path = ApiPath::object(&Kind::Node, None, &request.node)?;
        let object = self.api.patch(&Kind::Node, path, PatchKind::Merge, change.to_string()).await?;
        Ok(vec![Reply::Post(reply::ok(&request.message, Some(object.meta.version.as_str()), unix_ms()))])
    }

    pub(super) async fn patch_node_status(&self, request: &Request) -> Result<Vec<Reply>, RequestError> {
        request.check_own_name()?;
        let change = request.message.content.data().into_owned();
        let value: Value =
            serde_json::from_str(&change).map_err(|_| RequestError::Invalid { reason: "the patch is not JSON" })?;
        check_node_labels(&value).map_err(|reason| request.forbidden(reason))?;
        let path = ApiPath::object(&Kind::Node, None, &request.node)?.subresource("status");
        let object = self.api.patch(&Kind::Node, path, PatchKind::Strategic, change).await?;
        Ok(vec![Reply::Post(reply::object(&request.message, &object, true, unix_ms()))])
    }

    /// The Node to create from what the edge sent.
    ///
    /// # Errors
    /// [`RequestError`] when it is no Node, or somebody else's.
    pub(super) fn new_node(&self, request: &Request) -> Result<Value, RequestError> {
        let mut node: Value =
            request.message.content.parse().map_err(|_| RequestError::Invalid { reason: "the content is no Node" })?;
        check_node_labels(&node).map_err(|reason| request.forbidden(reason))?;
        let Some(object) = node.as_object_mut() else {
            return Err(RequestError::Invalid { reason: "the content is no Node" });
        };
        object.insert("kind".to_owned(), "Node".into());
        object.insert("apiVersion".to_owned(), "v1".into());
        let metadata = object.entry("metadata").or_insert_with(|| json!({}));
        let Some(metadata) = metadata.as_object_mut() else {
            return Err(RequestError::Invalid { reason: "the Node's metadata is no object" });
        };
        metadata.insert("name".to_owned(), request.node.to_string().into());
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if let (Some(annotations), false) = (annotations.as_object_mut(), self.instance.is_empty()) {
            annotations.insert(CLOUDCORE_ANNOTATION.to_owned(), self.instance.clone().into());
        }
        Ok(node)
    }

    /// A node that cloudcore once registered but that lost its role label would be invisible: gives it back.
    async fn restore_edge_label(&self, request: &Request, reserved: &Map<String, Value>) {
        let lost = self
            .controller
            .ask(|cluster| cluster.node(&request.node).is_some_and(|node| !node.edge && node.cloudcore.is_some()));
        let Some(label) = reserved.get(EDGE_LABEL).filter(|_| lost) else { return };
        let change = json!({"metadata": {"labels": {EDGE_LABEL: label}}}).to_string();
        let outcome = async {
            let path = ApiPath::object(&Kind::Node, None, &request.node)?;
            self.api.patch(&Kind::Node, path, PatchKind::Merge, change).await.map(drop)
        };
        let outcome: Result<(), ApiError> = outcome.await;
        if let Err(error) = outcome {
            warn!(node = %request.node, error = %crate::chain(&error), "cannot restore the edge role label");
        }
    }
}

/// Labels whose prefix is `kubernetes.io` or ends in `.kubernetes.io`. Source: spec 02 §7.2 step 1.
fn reserved_labels(node: &Value) -> Map<String, Value> {
    let labels = node.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
    let reserved = |key: &str| {
        key.split_once('/').is_some_and(|(prefix, rest)| {
            !rest.contains('/') && (prefix == "kubernetes.io" || prefix.ends_with(".kubernetes.io"))
        })
    };
    labels.into_iter().filter(|(key, _)| reserved(key)).collect()
}

fn with_labels(empty_node: &str, labels: &Map<String, Value>) -> String {
    if labels.is_empty() {
        return empty_node.to_owned();
    }
    let labels = Value::Object(labels.clone()).to_string();
    empty_node.replacen(r#""creationTimestamp":null"#, &format!(r#""creationTimestamp":null,"labels":{labels}"#), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_and_well_known_labels_are_reserved() {
        let node = json!({"metadata": {"labels": {
            "kubernetes.io/os": "linux", "node-role.kubernetes.io/edge": "", "site": "a", "example.com/x": "y"}}});
        let keys: Vec<String> = reserved_labels(&node).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["kubernetes.io/os", "node-role.kubernetes.io/edge"]);
    }
}

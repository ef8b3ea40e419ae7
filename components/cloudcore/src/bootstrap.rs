//! What has to exist in the cluster before anything else: KubeEdge's namespace and its resource definitions.

use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;

use crate::kind::{Kind, ObjectKey};
use crate::kubeapi::{ApiError, ApiPath, KubeApi, PatchKind};
use crate::names::NAMESPACE;

/// How long a definition may take to be served, and how often that is looked at.
const ESTABLISHED_DEADLINE: Duration = Duration::from_secs(15);
const ESTABLISHED_POLL: Duration = Duration::from_millis(100);

/// Why the cluster could not be prepared.
#[derive(Debug, Error)]
pub enum BootstrapError {
    /// A definition shipped with this binary cannot be read.
    #[error("resource definition is not readable")]
    Definition(#[source] serde_yaml::Error),
    /// The API server failed.
    #[error("cannot apply {what}")]
    Api {
        /// Kind and name.
        what: String,
        /// What went wrong.
        #[source]
        source: ApiError,
    },
    /// A definition is stored but not served.
    #[error("resource definition {name} is not served after {} s", ESTABLISHED_DEADLINE.as_secs())]
    NotServed {
        /// Its name.
        name: String,
    },
}

impl BootstrapError {
    /// Whether trying again may help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Api { source, .. } => source.is_retryable() || source.is_conflict(),
            Self::NotServed { .. } => true,
            Self::Definition(_) => false,
        }
    }
}

/// Makes sure the namespace exists.
///
/// # Errors
/// [`BootstrapError::Api`].
pub async fn namespace(api: &KubeApi) -> Result<(), BootstrapError> {
    let kind = Kind::named("v1", "Namespace");
    let fail = |source| BootstrapError::Api { what: format!("Namespace {NAMESPACE}"), source };
    match api.get(&ObjectKey::cluster(kind.clone(), NAMESPACE)).await {
        Ok(_) => return Ok(()),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(fail(error)),
    }
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}).to_string();
    match api.create(&kind, None, body).await {
        Err(error) if !error.is_already_exists() => Err(fail(error)),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Creates the definitions or brings them up to date, and waits until each is served.
///
/// # Errors
/// [`BootstrapError`].
pub async fn definitions(api: &KubeApi, texts: &[&str]) -> Result<(), BootstrapError> {
    for text in texts {
        let definition: Value = serde_yaml::from_str(text).map_err(BootstrapError::Definition)?;
        definition_applied(api, &definition).await?;
    }
    Ok(())
}

async fn definition_applied(api: &KubeApi, definition: &Value) -> Result<(), BootstrapError> {
    let kind = Kind::named("apiextensions.k8s.io/v1", "CustomResourceDefinition");
    let name = definition.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let fail = |source| BootstrapError::Api { what: format!("CustomResourceDefinition {name}"), source };
    let key = ObjectKey::cluster(kind.clone(), name.as_str());
    let existing = match api.get(&key).await {
        Ok(existing) => Some(existing),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(fail(error)),
    };
    match existing {
        None => match api.create(&kind, None, definition.to_string()).await {
            Err(error) if !error.is_already_exists() => return Err(fail(error)),
            Ok(_) | Err(_) => {}
        },
        Some(existing) => {
            let held: Value = existing.parse().map_err(|error| fail(ApiError::Answer(error)))?;
            if !serves_all(&held, definition) {
                let path = ApiPath::of(&key).map_err(fail)?;
                let change = json!({"spec": definition.get("spec")}).to_string();
                api.patch(&kind, path, PatchKind::Merge, change).await.map_err(fail)?;
            }
        }
    }
    let served = async {
        loop {
            match api.get(&key).await {
                Ok(object) if is_established(&object.parse().unwrap_or_default()) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.is_retryable() || error.is_not_found() => {}
                Err(error) => return Err(fail(error)),
            }
            tokio::time::sleep(ESTABLISHED_POLL).await;
        }
    };
    match tokio::time::timeout(ESTABLISHED_DEADLINE, served).await {
        Ok(outcome) => outcome,
        Err(_) => Err(BootstrapError::NotServed { name: name.clone() }),
    }
}

/// Whether the stored definition has every version of ours. Another installation's richer one is left alone.
fn serves_all(held: &Value, ours: &Value) -> bool {
    let versions = |definition: &Value| -> Vec<String> {
        let list = definition.pointer("/spec/versions").and_then(Value::as_array).cloned().unwrap_or_default();
        let served = list.iter().filter(|v| v.get("served").and_then(Value::as_bool) == Some(true));
        served.filter_map(|version| version.get("name")?.as_str().map(str::to_owned)).collect()
    };
    let held = versions(held);
    versions(ours).iter().all(|version| held.contains(version))
}

fn is_established(definition: &Value) -> bool {
    let conditions = definition.pointer("/status/conditions").and_then(Value::as_array);
    conditions.is_some_and(|conditions| {
        conditions.iter().any(|condition| {
            condition.get("type").and_then(Value::as_str) == Some("Established")
                && condition.get("status").and_then(Value::as_str) == Some("True")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_richer_definition_is_left_alone() {
        let crd = |versions: &[&str]| {
            let versions: Vec<Value> = versions.iter().map(|name| json!({"name": name, "served": true})).collect();
            json!({"spec": {"versions": versions}})
        };
        assert!(serves_all(&crd(&["v1alpha1", "v1beta1"]), &crd(&["v1alpha1"])));
        assert!(!serves_all(&crd(&["v1alpha1"]), &crd(&["v1alpha1", "v1beta1"])));
    }

    #[test]
    fn established_is_a_condition() {
        let with = |status: &str| json!({"status": {"conditions": [{"type": "Established", "status": status}]}});
        assert!(is_established(&with("True")));
        assert!(!is_established(&with("False")));
        assert!(!is_established(&json!({})));
    }
}

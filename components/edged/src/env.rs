//! Environment of a container: `envFrom`, `env`, and the address of the local API.
//!
//! Variables keep their declaration order; a later one of the same name replaces the earlier value in place.
//! Source: spec 08 §8.6.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{Container, EnvVarSource, Pod};
use thiserror::Error;

use crate::doors::{KubeApi, KubeApiError};
use crate::facts::PodFacts;
use crate::fields::{self, FieldError};

/// Why a container's environment cannot be built; the text is what users read under `CreateContainerConfigError`.
#[derive(Debug, Error)]
pub enum EnvError {
    /// A ConfigMap or Secret could not be read.
    #[error(transparent)]
    Api(#[from] KubeApiError),
    /// The object has no such key.
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    Key {
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// Namespace of the object.
        namespace: String,
        /// Name of the object.
        name: String,
        /// The missing key.
        key: String,
    },
    /// A field reference that does not resolve.
    #[error(transparent)]
    Field(#[from] FieldError),
}

/// The variables of `container`, ready for CRI. Answers from the local store, so it works offline.
///
/// # Errors
/// See [`EnvError`]; the caller reports it as the waiting reason `CreateContainerConfigError` and tries again later.
pub async fn container_env(
    pod: &Pod,
    container: &Container,
    facts: &PodFacts,
    api: &dyn KubeApi,
) -> Result<Vec<(String, String)>, EnvError> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let mut env = Env::default();
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        if let Some(reference) = &source.config_map_ref {
            let found = optional(api.config_map(namespace, &reference.name).await, reference.optional)?;
            for (key, value) in found.and_then(|object| object.data).into_iter().flatten() {
                env.set(format!("{prefix}{key}"), value);
            }
        } else if let Some(reference) = &source.secret_ref {
            let found = optional(api.secret(namespace, &reference.name).await, reference.optional)?;
            for (key, value) in found.and_then(|object| object.data).into_iter().flatten() {
                env.set(format!("{prefix}{key}"), String::from_utf8_lossy(&value.0).into_owned());
            }
        }
    }
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, &variable.value_from) {
            (Some(value), _) if !value.is_empty() => Some(expand(value, &env.0)),
            (_, Some(source)) => from_source(pod, container, facts, api, namespace, source).await?,
            _ => Some(String::new()),
        };
        if let Some(value) = value {
            env.set(variable.name.clone(), value);
        }
    }
    for (name, value) in &facts.service_env {
        if env.position(name).is_none() {
            env.set(name.clone(), value.clone());
        }
    }
    Ok(env.0)
}

/// The value of one `valueFrom`; `None` when an optional object or key is missing.
async fn from_source(
    pod: &Pod,
    container: &Container,
    facts: &PodFacts,
    api: &dyn KubeApi,
    namespace: &str,
    source: &EnvVarSource,
) -> Result<Option<String>, EnvError> {
    let missing = |kind, name: &str, key: &str, is_optional: Option<bool>| {
        if is_optional == Some(true) {
            return Ok(None);
        }
        Err(EnvError::Key { kind, namespace: namespace.to_owned(), name: name.to_owned(), key: key.to_owned() })
    };
    if let Some(reference) = &source.field_ref {
        return Ok(Some(fields::env_field(&reference.field_path, pod, facts)?));
    }
    if let Some(reference) = &source.resource_field_ref {
        return Ok(Some(fields::resource_field(reference, pod, Some(container), facts)?));
    }
    if let Some(reference) = &source.config_map_key_ref {
        let found = optional(api.config_map(namespace, &reference.name).await, reference.optional)?;
        return match found.and_then(|object| object.data?.remove(&reference.key)) {
            Some(value) => Ok(Some(value)),
            None => missing("ConfigMap", &reference.name, &reference.key, reference.optional),
        };
    }
    if let Some(reference) = &source.secret_key_ref {
        let found = optional(api.secret(namespace, &reference.name).await, reference.optional)?;
        return match found.and_then(|object| object.data?.remove(&reference.key)) {
            Some(value) => Ok(Some(String::from_utf8_lossy(&value.0).into_owned())),
            None => missing("Secret", &reference.name, &reference.key, reference.optional),
        };
    }
    Ok(Some(String::new()))
}

/// `None` instead of "not found" for an optional reference.
fn optional<T>(answer: Result<T, KubeApiError>, is_optional: Option<bool>) -> Result<Option<T>, KubeApiError> {
    match answer {
        Ok(object) => Ok(Some(object)),
        Err(KubeApiError::NotFound { .. }) if is_optional == Some(true) => Ok(None),
        Err(error) => Err(error),
    }
}

#[derive(Default)]
struct Env(Vec<(String, String)>);

impl Env {
    fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|(known, _)| known == name)
    }

    fn set(&mut self, name: String, value: String) {
        match self.position(&name) {
            Some(at) => self.0[at].1 = value,
            None => self.0.push((name, value)),
        }
    }
}

/// Replaces `$(NAME)` by its value; unknown names stay as written, `$$` is one `$`. Used for env, command and args.
pub fn expand(text: &str, env: &[(String, String)]) -> String {
    expand_with(text, |name| env.iter().find(|(known, _)| known == name).map(|(_, value)| Cow::from(value))).0
}

/// Like [`expand`], and also returns the first name that is not known (`subPathExpr` refuses those).
pub fn expand_with<'a>(text: &str, lookup: impl Fn(&str) -> Option<Cow<'a, str>>) -> (String, Option<String>) {
    let mut expanded = String::with_capacity(text.len());
    let mut unknown = None;
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        expanded.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|open| open.split_once(')')) {
            if let Some(value) = lookup(name) {
                expanded.push_str(&value);
            } else {
                expanded.push_str("$(");
                expanded.push_str(name);
                expanded.push(')');
                unknown.get_or_insert_with(|| name.to_owned());
            }
            rest = after;
        } else {
            expanded.push('$');
        }
    }
    expanded.push_str(rest);
    (expanded, unknown)
}

#[cfg(test)]
mod tests;

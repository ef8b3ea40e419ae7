//! The three ways to change a stored object by a patch. Source: spec 10 §5.

mod strategic;

use json_patch::PatchOperation;
use serde_json::Value;
use thiserror::Error;

use super::json;
use super::resources::ResourceInfo;

/// How a patch body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    /// RFC 6902, `application/json-patch+json`.
    Json,
    /// RFC 7386, `application/merge-patch+json`.
    Merge,
    /// `application/strategic-merge-patch+json`, built-in kinds only.
    StrategicMerge,
    /// `application/apply-patch+yaml`.
    Apply,
}

impl PatchType {
    /// Reads a Content-Type; parameters are ignored.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::StrategicMerge),
            "application/apply-patch+yaml" => Some(Self::Apply),
            _ => None,
        }
    }
}

/// Why a patch was not applied. [`PatchError::status`] gives the HTTP code.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatchError {
    /// 415: this patch type does not exist for this kind.
    #[error("the body of the request was in an unknown format - accepted media types include: {accepted}")]
    Unsupported {
        /// Media types that work, comma separated.
        accepted: &'static str,
    },
    /// 400: the patch itself is not readable.
    #[error("{0}")]
    Malformed(String),
    /// 413: more operations than allowed.
    #[error("The allowed maximum operations in a JSON patch is 10000, got {0}")]
    TooManyOperations(usize),
    /// 422, empty `details`: a JSON patch operation does not fit the object.
    #[error("the server rejected our request due to an error in our request")]
    Rejected,
}

impl PatchError {
    /// HTTP status code.
    pub fn status(&self) -> u16 {
        match self {
            Self::Unsupported { .. } => 415,
            Self::Malformed(_) => 400,
            Self::TooManyOperations(_) => 413,
            Self::Rejected => 422,
        }
    }
}

/// Applies a patch to an object in the version `resource` serves.
///
/// The result still has to go through [`super::decode::decode_value`], defaulting and validation.
pub fn apply_patch(
    resource: &ResourceInfo,
    patch_type: PatchType,
    current: &Value,
    patch: &[u8],
) -> Result<Value, PatchError> {
    match patch_type {
        PatchType::Json => json_patch(current, patch),
        PatchType::Merge => {
            let mut result = current.clone();
            merge(&mut result, object(patch)?);
            Ok(result)
        }
        PatchType::StrategicMerge => match (resource.message, object(patch)?) {
            (Some(message), Value::Object(patch)) => strategic::merge(message, current, &patch),
            _ => Err(PatchError::Unsupported { accepted: CUSTOM_TYPES }),
        },
        PatchType::Apply => {
            let accepted = if resource.is_custom() { WORKING_CUSTOM_TYPES } else { WORKING_TYPES };
            Err(PatchError::Unsupported { accepted })
        }
    }
}

const CUSTOM_TYPES: &str = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
const WORKING_CUSTOM_TYPES: &str = "application/json-patch+json, application/merge-patch+json";
const WORKING_TYPES: &str =
    "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json";
/// Most operations one JSON patch may have.
const MAX_OPERATIONS: usize = 10_000;
/// Deepest nesting a JSON patch may build. Deeper values would exhaust the stack when they are walked or dropped.
const MAX_DEPTH: usize = 250;
/// Most bytes all `copy` operations of one JSON patch may add, roughly.
const MAX_COPIED: usize = 3 * 1024 * 1024;

/// Whether the patch itself sets `metadata.resourceVersion`: then a conflict is the caller's, not ours to retry.
pub fn names_resource_version(patch_type: PatchType, patch: &[u8]) -> bool {
    let Ok(document) = json::parse_json(patch) else { return false };
    match patch_type {
        PatchType::Json => document
            .value
            .as_array()
            .into_iter()
            .flatten()
            .any(|operation| operation["path"] == "/metadata/resourceVersion" && operation["op"] != "remove"),
        PatchType::Merge | PatchType::StrategicMerge | PatchType::Apply => {
            document.value["metadata"]["resourceVersion"].as_str().is_some_and(|version| !version.is_empty())
        }
    }
}

/// Reads a patch that must be an object.
fn object(patch: &[u8]) -> Result<Value, PatchError> {
    let document =
        json::parse_json(patch).map_err(|error| PatchError::Malformed(format!("error decoding patch: {error}")))?;
    if document.value.is_object() {
        return Ok(document.value);
    }
    Err(PatchError::Malformed("error decoding patch: json: cannot unmarshal into an object".to_owned()))
}

/// RFC 7386.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    if let Value::Object(map) = target {
        for (key, value) in patch {
            if value.is_null() {
                map.remove(&key);
            } else {
                merge(map.entry(key).or_insert(Value::Null), value);
            }
        }
    }
}

/// RFC 6902.
fn json_patch(current: &Value, patch: &[u8]) -> Result<Value, PatchError> {
    let document =
        json::parse_json(patch).map_err(|error| PatchError::Malformed(format!("error decoding patch: {error}")))?;
    let Value::Array(operations) = &document.value else {
        return Err(PatchError::Malformed(
            "error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch".to_owned(),
        ));
    };
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::TooManyOperations(operations.len()));
    }
    let operations: json_patch::Patch = serde_json::from_value(document.value)
        .map_err(|error| PatchError::Malformed(format!("error decoding patch: {error}")))?;
    let mut result = current.clone();
    let mut copied = 0;
    for operation in &operations.0 {
        let from = |pointer: &str| result.pointer(pointer);
        let placed = match operation {
            PatchOperation::Add(add) => Some((add.path.as_str(), &add.value)),
            PatchOperation::Replace(replace) => Some((replace.path.as_str(), &replace.value)),
            PatchOperation::Move(moved) => from(moved.from.as_str()).map(|value| (moved.path.as_str(), value)),
            PatchOperation::Copy(copy) => {
                // Repeated copies of a parent into its child double the object each time.
                copied += from(copy.from.as_str()).map_or(0, size);
                from(copy.from.as_str()).map(|value| (copy.path.as_str(), value))
            }
            PatchOperation::Remove(_) | PatchOperation::Test(_) => None,
        };
        let nesting = placed.map_or(0, |(path, value)| path.matches('/').count() + depth(value));
        if copied > MAX_COPIED || nesting > MAX_DEPTH {
            return Err(PatchError::Rejected);
        }
        json_patch::patch(&mut result, std::slice::from_ref(operation)).map_err(|_| PatchError::Rejected)?;
    }
    if result.is_object() { Ok(result) } else { Err(PatchError::Rejected) }
}

/// How many levels a value has.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Rough size of a value as text.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(size).sum::<usize>(),
        Value::Object(map) => 2 + map.iter().map(|(key, item)| key.len() + 4 + size(item)).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests;

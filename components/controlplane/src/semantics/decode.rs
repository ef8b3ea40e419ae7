//! From a request body to a clean JSON object: JSON, YAML or Kubernetes protobuf, checked against the schema table.
//!
//! Source: spec 10 §1.2 (media types), §2.4 (levels of field validation, nulls, quantities).

use serde_json::Value;
use thiserror::Error;

use super::resources::{ResourceInfo, join_group_version, split_group_version};
use super::schema::{self, MessageId};
use super::{canonical, crd, json, protobuf};

/// What to do with unknown and duplicate fields: the `fieldValidation` query parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    /// Drop them silently.
    Ignore,
    /// Drop them and say so in `Warning` headers. The default.
    #[default]
    Warn,
    /// Refuse the request.
    Strict,
}

impl FieldValidation {
    /// Reads the query parameter; absent or empty means [`FieldValidation::Warn`], other words are `None`.
    pub fn parse(value: Option<&str>) -> Option<Self> {
        match value {
            None | Some("" | "Warn") => Some(Self::Warn),
            Some("Ignore") => Some(Self::Ignore),
            Some("Strict") => Some(Self::Strict),
            Some(_) => None,
        }
    }
}

/// A kind a body must have: group (empty for core), version, kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gvk<'a> {
    /// API group, empty for core.
    pub group: &'a str,
    /// Version.
    pub version: &'a str,
    /// Kind.
    pub kind: &'a str,
}

/// A decoded body and what the client should be warned about.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Clean object with `apiVersion` and `kind` in place.
    pub object: Value,
    /// Texts for `Warning: 299` headers.
    pub warnings: Vec<String>,
}

/// Why a body was refused. [`DecodeError::status`] gives the HTTP code; the text is the Status message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// 415.
    #[error(
        "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf"
    )]
    MediaType,
    /// 400: everything else.
    #[error("{0}")]
    Malformed(String),
}

impl DecodeError {
    /// HTTP status code: 415 or 400.
    pub fn status(&self) -> u16 {
        match self {
            Self::MediaType => 415,
            Self::Malformed(_) => 400,
        }
    }
}

/// Deepest nesting an object may have, so that every reader of the stored text can read it again.
const MAX_DEPTH: usize = 100;

/// Decodes the body of a create or update of `resource`.
pub fn decode_request(
    content_type: &str,
    body: &[u8],
    resource: &ResourceInfo,
    field_validation: FieldValidation,
) -> Result<Decoded, DecodeError> {
    let expected = Gvk { group: &resource.group, version: &resource.version, kind: &resource.kind };
    let body = read(content_type, body, expected)?;
    let checked = match resource.message {
        Some(message) => built_in(body, message, expected)?,
        None => custom(body, resource)?,
    };
    checked.judge(expected, field_validation)
}

/// Decodes a body whose kind is not the resource's: `DeleteOptions`, `Binding`, `Eviction`, `Scale`, reviews.
///
/// `DeleteOptions` is accepted under any `apiVersion` and leaves as `v1`; other kinds must match exactly when the body
/// names its kind.
pub fn decode_typed(
    content_type: &str,
    body: &[u8],
    expected: Gvk<'_>,
    field_validation: FieldValidation,
) -> Result<Decoded, DecodeError> {
    let body = read(content_type, body, expected)?;
    let message = message_of(expected).ok_or_else(|| {
        malformed(format!("no kind {:?} is registered for version {:?}", expected.kind, expected.version))
    })?;
    built_in(body, message, expected)?.judge(expected, field_validation)
}

/// Checks and cleans an object that is already a value: the result of a patch or of a webhook.
pub fn decode_value(
    object: Value,
    resource: &ResourceInfo,
    field_validation: FieldValidation,
) -> Result<Decoded, DecodeError> {
    let expected = Gvk { group: &resource.group, version: &resource.version, kind: &resource.kind };
    let body = Body { object, duplicates: Vec::new() };
    let checked = match resource.message {
        Some(message) => built_in(body, message, expected)?,
        None => custom(body, resource)?,
    };
    checked.judge(expected, field_validation)
}

/// The schema of a kind: the first label of the group (`core` if empty), the version, the kind.
fn message_of(kind: Gvk<'_>) -> Option<MessageId> {
    if kind.kind == "DeleteOptions" {
        return schema::find("meta.v1.DeleteOptions");
    }
    let group = kind.group.split('.').next().filter(|label| !label.is_empty()).unwrap_or("core");
    schema::find(&format!("{group}.{}.{}", kind.version, kind.kind))
}

struct Body {
    object: Value,
    duplicates: Vec<String>,
}

/// A cleaned object and what was wrong with it but not fatal.
struct Checked {
    object: Value,
    findings: Vec<String>,
}

impl Checked {
    fn judge(self, kind: Gvk<'_>, level: FieldValidation) -> Result<Decoded, DecodeError> {
        match level {
            FieldValidation::Strict if !self.findings.is_empty() => Err(malformed(format!(
                "{} in version {:?} cannot be handled as a {}: strict decoding error: {}",
                kind.kind,
                kind.version,
                kind.kind,
                self.findings.join(", ")
            ))),
            FieldValidation::Warn => Ok(Decoded { object: self.object, warnings: self.findings }),
            FieldValidation::Ignore | FieldValidation::Strict => {
                Ok(Decoded { object: self.object, warnings: Vec::new() })
            }
        }
    }
}

fn malformed(text: String) -> DecodeError {
    DecodeError::Malformed(text)
}

fn read(content_type: &str, body: &[u8], expected: Gvk<'_>) -> Result<Body, DecodeError> {
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let unrecognized = |reason: String| {
        malformed(format!("the object provided is unrecognized (must be of type {}): {reason}", expected.kind))
    };
    let document = match media.as_str() {
        "" | "application/json" => json::parse_json(body)
            .map_err(|error| unrecognized(format!("couldn't get version/kind; json parse error: {error}")))?,
        "application/yaml" => {
            json::parse_yaml(body).map_err(|error| unrecognized(format!("yaml parse error: {error}")))?
        }
        "application/vnd.kubernetes.protobuf" => return read_protobuf(body, expected),
        _ => return Err(DecodeError::MediaType),
    };
    if !document.value.is_object() {
        return Err(unrecognized("couldn't get version/kind; json parse error: not an object".to_owned()));
    }
    Ok(Body { object: document.value, duplicates: document.duplicates })
}

fn read_protobuf(body: &[u8], expected: Gvk<'_>) -> Result<Body, DecodeError> {
    let unrecognized = |reason: String| {
        malformed(format!("the object provided is unrecognized (must be of type {}): {reason}", expected.kind))
    };
    let Some(rest) = body.strip_prefix(protobuf::PREFIX) else {
        let reason = "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]";
        return Err(unrecognized(reason.to_owned()));
    };
    let envelope = protobuf::envelope(rest).map_err(|error| unrecognized(error.to_string()))?;
    let (group, version) = split_group_version(envelope.api_version);
    let (mut group, mut version) = (group, version);
    if envelope.api_version.is_empty() {
        (group, version) = (expected.group, expected.version);
    }
    let kind = if envelope.kind.is_empty() { expected.kind } else { envelope.kind };
    let message = message_of(Gvk { group, version, kind })
        .ok_or_else(|| malformed(format!("no kind {kind:?} is registered for version {:?}", envelope.api_version)))?;
    let mut object = protobuf::decode(message, envelope.raw).map_err(|error| unrecognized(error.to_string()))?;
    if let Value::Object(map) = &mut object {
        map.insert("apiVersion".to_owned(), join_group_version(group, version).into());
        map.insert("kind".to_owned(), kind.into());
    }
    Ok(Body { object, duplicates: Vec::new() })
}

fn built_in(body: Body, message: MessageId, expected: Gvk<'_>) -> Result<Checked, DecodeError> {
    let Body { mut object, duplicates } = body;
    check_depth(&object)?;
    let api_version = match expected.kind {
        "DeleteOptions" => "v1".to_owned(),
        _ => join_group_version(expected.group, expected.version),
    };
    check_kind(&object, &api_version, expected)?;
    let mut unknown = Vec::new();
    canonical::clean(message, &mut object, &mut unknown).map_err(|error| {
        malformed(format!(
            "{} in version {:?} cannot be handled as a {}: {}",
            expected.kind, expected.version, expected.kind, error.0
        ))
    })?;
    if let Value::Object(map) = &mut object {
        map.insert("apiVersion".to_owned(), api_version.into());
        map.insert("kind".to_owned(), expected.kind.into());
    }
    Ok(Checked { object, findings: findings(duplicates, unknown) })
}

fn custom(body: Body, resource: &ResourceInfo) -> Result<Checked, DecodeError> {
    let Body { mut object, duplicates } = body;
    check_depth(&object)?;
    let expected = Gvk { group: &resource.group, version: &resource.version, kind: &resource.kind };
    for (field, name) in [("kind", "Kind"), ("apiVersion", "apiVersion")] {
        if object.get(field).and_then(Value::as_str).unwrap_or_default().is_empty() {
            let shown: String = object.to_string().chars().take(1024).collect();
            return Err(malformed(format!("Object '{name}' is missing in '{shown}'")));
        }
    }
    check_kind(&object, &resource.api_version(), expected)?;
    let mut unknown = Vec::new();
    crd::clean(resource, &mut object, &mut unknown).map_err(|error| {
        malformed(format!(
            "{} in version {:?} cannot be handled as a {}: {error}",
            expected.kind, expected.version, expected.kind
        ))
    })?;
    Ok(Checked { object, findings: findings(duplicates, unknown) })
}

fn findings(duplicates: Vec<String>, unknown: Vec<String>) -> Vec<String> {
    let unknown = unknown.into_iter().map(|path| format!("unknown field {path:?}"));
    unknown.chain(duplicates.into_iter().map(|path| format!("duplicate field {path:?}"))).collect()
}

/// `apiVersion` and `kind` may be absent but not different.
fn check_kind(object: &Value, api_version: &str, expected: Gvk<'_>) -> Result<(), DecodeError> {
    let text = |field| object.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let found_kind = text("kind").unwrap_or(expected.kind);
    let found_version = text("apiVersion").unwrap_or(api_version);
    if found_kind != expected.kind {
        let (_, version) = split_group_version(found_version);
        return Err(malformed(format!(
            "{found_kind} in version {version:?} cannot be handled as a {}: converting ({found_version}.{found_kind}) to ({api_version}.{}): unknown conversion",
            expected.kind, expected.kind
        )));
    }
    if found_version != api_version && expected.kind != "DeleteOptions" {
        return Err(malformed(format!(
            "the API version in the data ({found_version}) does not match the expected API version ({api_version})"
        )));
    }
    Ok(())
}

fn check_depth(object: &Value) -> Result<(), DecodeError> {
    fn fits(value: &Value, left: usize) -> bool {
        match value {
            Value::Array(items) => left > 0 && items.iter().all(|item| fits(item, left - 1)),
            Value::Object(map) => left > 0 && map.values().all(|item| fits(item, left - 1)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        }
    }
    if fits(object, MAX_DEPTH) {
        return Ok(());
    }
    Err(malformed(format!("the object is nested more than {MAX_DEPTH} levels deep")))
}

#[cfg(test)]
mod tests;

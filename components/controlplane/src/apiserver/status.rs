//! Failures as Kubernetes spells them: one type that becomes a `Status` object. Source: spec 10 §1.3.

use serde_json::{Map, Value, json};

use crate::{
    semantics::{decode::DecodeError, patch::PatchError, resources::ResourceInfo, validation::Invalid},
    store::StoreError,
};

/// A refused or failed request.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    /// HTTP status code.
    pub code: u16,
    /// Machine-readable reason; empty for plain internal errors.
    pub reason: &'static str,
    /// Sentence for people.
    pub message: String,
    /// `details`; left out when `None`.
    pub details: Option<Value>,
    /// `Retry-After` in seconds: only for requests that were not processed, client-go repeats them.
    pub retry_after: Option<u32>,
    /// `metadata.continue`: where an expired list may go on.
    pub continue_token: Option<String>,
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

/// `details` naming an object by its resource.
fn object_details(info: &ResourceInfo, name: &str) -> Value {
    let mut details = Map::new();
    if !name.is_empty() {
        details.insert("name".into(), name.into());
    }
    if !info.group.is_empty() {
        details.insert("group".into(), info.group.as_ref().into());
    }
    details.insert("kind".into(), info.plural.as_ref().into());
    Value::Object(details)
}

impl ApiError {
    /// Any error.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None, retry_after: None, continue_token: None }
    }

    /// Adds `details`.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// 400 with this text.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401; says nothing more on purpose.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 404 of an object.
    pub fn not_found(info: &ResourceInfo, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", info.qualified_plural()))
            .with_details(object_details(info, name))
    }

    /// 404 of a resource or subresource in a known group version.
    pub fn unknown_resource() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").with_details(json!({}))
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message).with_details(json!({}))
    }

    /// 409 of a create.
    pub fn already_exists(info: &ResourceInfo, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} \"{name}\" already exists", info.qualified_plural()))
            .with_details(object_details(info, name))
    }

    /// 409 of a write whose resourceVersion is not the current one.
    pub fn modified(info: &ResourceInfo, name: &str) -> Self {
        Self::conflict(
            info,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 409 with this cause.
    pub fn conflict(info: &ResourceInfo, name: &str, cause: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {cause}", info.qualified_plural());
        Self::new(409, "Conflict", message).with_details(object_details(info, name))
    }

    /// 409 of a delete precondition; names the Kind.
    pub fn precondition(info: &ResourceInfo, name: &str, cause: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {cause}", info.qualified_kind());
        let mut details = object_details(info, name);
        details["kind"] = info.kind.as_ref().into();
        Self::new(409, "Conflict", message).with_details(details)
    }

    /// 403 of an admission rule about one object.
    pub fn forbidden(info: &ResourceInfo, name: &str, cause: &str) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {cause}", info.qualified_plural());
        Self::new(403, "Forbidden", message).with_details(object_details(info, name))
    }

    /// 422 of validation; names the Kind.
    pub fn invalid(info: &ResourceInfo, name: &str, invalid: &Invalid) -> Self {
        Self::invalid_kind(&info.group, &info.kind, name, invalid)
    }

    /// 422 about an object that is not a resource, such as `ListOptions`.
    pub fn invalid_kind(group: &str, kind: &str, name: &str, invalid: &Invalid) -> Self {
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let causes: Vec<Value> = invalid
            .causes
            .iter()
            .map(|c| json!({"reason": c.reason.as_str(), "message": c.message, "field": c.field}))
            .collect();
        let mut details = json!({"name": name, "kind": kind, "causes": causes});
        if !group.is_empty() {
            details["group"] = group.into();
        }
        if name.is_empty()
            && let Some(details) = details.as_object_mut()
        {
            details.remove("name");
        }
        Self::new(422, "Invalid", format!("{qualified} \"{name}\" is invalid: {invalid}")).with_details(details)
    }

    /// 422 with one cause.
    pub fn invalid_field(info: &ResourceInfo, name: &str, field: &str, text: &str) -> Self {
        Self::one_cause(&info.group, &info.kind, name, field, text)
    }

    /// 422 of request options, which the reference reports as objects of group `meta.k8s.io`.
    pub fn invalid_options(kind: &str, field: &str, text: &str) -> Self {
        Self::one_cause("meta.k8s.io", kind, "", field, text)
    }

    fn one_cause(group: &str, kind: &str, name: &str, field: &str, text: &str) -> Self {
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let reason = match text.split(':').next().unwrap_or_default() {
            "Required value" => "FieldValueRequired",
            "Duplicate value" => "FieldValueDuplicate",
            "Not found" => "FieldValueNotFound",
            "Unsupported value" => "FieldValueNotSupported",
            "Forbidden" => "FieldValueForbidden",
            "Too long" => "FieldValueTooLong",
            _ => "FieldValueInvalid",
        };
        let mut details = Map::new();
        if !name.is_empty() {
            details.insert("name".into(), name.into());
        }
        if !group.is_empty() {
            details.insert("group".into(), group.into());
        }
        details.insert("kind".into(), kind.into());
        details.insert("causes".into(), json!([{"reason": reason, "message": text, "field": field}]));
        Self::new(422, "Invalid", format!("{qualified} \"{name}\" is invalid: {field}: {text}"))
            .with_details(Value::Object(details))
    }

    /// 410 of a list or watch from a compacted revision.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 500 with a text for the log reader.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {message}"))
            .with_details(json!({"causes": [{"message": message.to_string()}]}))
    }

    /// The `Status` object.
    pub fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if let Some(token) = &self.continue_token {
            status["metadata"]["continue"] = token.as_str().into();
        }
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Expired { .. } => Self::expired("The resourceVersion for the provided list is too old."),
            StoreError::Future { asked, current } => {
                let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
                Self::new(504, "Timeout", message).with_details(json!({
                    "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                    "retryAfterSeconds": 1,
                }))
            }
            StoreError::Closed => Self::new(503, "ServiceUnavailable", "the server is shutting down"),
            other => Self::internal(other),
        }
    }
}

impl From<DecodeError> for ApiError {
    fn from(error: DecodeError) -> Self {
        match error.status() {
            415 => Self::new(415, "UnsupportedMediaType", error.to_string()),
            _ => Self::bad_request(error.to_string()),
        }
    }
}

impl From<PatchError> for ApiError {
    fn from(error: PatchError) -> Self {
        let message = error.to_string();
        match error.status() {
            415 => Self::new(415, "UnsupportedMediaType", message),
            413 => Self::new(413, "RequestEntityTooLarge", message),
            422 => Self::new(422, "Invalid", message).with_details(json!({})),
            _ => Self::bad_request(message),
        }
    }
}

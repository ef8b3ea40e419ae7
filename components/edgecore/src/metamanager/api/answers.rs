//! What requests are made of and what answers mean: pure. Source: spec 01 §2.2, spec 02 §0.4, §6.3.

use edged::doors::KubeApiError;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use serde_json::value::RawValue;
use wire::message::{Content, Message};
use wire::reply::{Answer, ApiStatus};
use wire::resource::ResourceRef;

use crate::edgehub::uplink::CallError;

/// The object an answer holds, or the failure it reports.
pub(super) fn object_of(message: &Message) -> Result<Box<RawValue>, KubeApiError> {
    match Answer::read(&message.content) {
        Answer::Object(object) => Ok(object),
        Answer::Failed(status) => Err(api_failed(status)),
        Answer::Ok | Answer::List(_) => {
            Err(KubeApiError::Other { code: 0, message: "answer holds no object".to_owned() })
        }
    }
}

/// Reads an object that names itself. A stored error (spec 02 §6.3) is no object.
pub(super) fn read_object<T: DeserializeOwned>(json: &str) -> Option<T> {
    #[derive(Deserialize)]
    struct Shape {
        #[serde(rename = "ErrStatus")]
        error: Option<IgnoredAny>,
        metadata: Option<Named>,
    }
    #[derive(Deserialize)]
    struct Named {
        name: Option<String>,
    }
    let shape: Shape = serde_json::from_str(json).ok()?;
    let named = shape.metadata.and_then(|metadata| metadata.name).is_some_and(|name| !name.is_empty());
    if shape.error.is_some() || !named { None } else { serde_json::from_str(json).ok() }
}

/// The object with its type, which answers to writes leave out.
pub(super) fn typed(object: &str, kind: &str, api_version: &str) -> String {
    match serde_json::from_str::<serde_json::Map<String, Value>>(object) {
        Ok(mut map) => {
            map.insert("kind".to_owned(), kind.into());
            map.insert("apiVersion".to_owned(), api_version.into());
            Value::Object(map).to_string()
        }
        Err(_) => object.to_owned(),
    }
}

/// A patch travels as a string that holds JSON (spec 01 §2.2).
pub(super) fn patch_content(patch: &Value) -> Result<Content, KubeApiError> {
    let text = wire::go_json::to_string(patch).map_err(|error| unwritable(&error))?;
    Ok(Content::text(&text))
}

/// An object as content.
pub(super) fn json_content<T: serde::Serialize>(value: &T) -> Result<Content, KubeApiError> {
    Content::json(value).map_err(|error| unwritable(&error))
}

fn unwritable(error: &serde_json::Error) -> KubeApiError {
    KubeApiError::Other { code: 400, message: format!("request is not JSON: {error}") }
}

/// The answer does not hold what was asked for.
pub(super) fn unreadable(resource: &ResourceRef) -> KubeApiError {
    KubeApiError::Other { code: 500, message: format!("the answer about {resource} is not readable") }
}

/// There was no answer.
pub(super) fn call_failed(error: CallError) -> KubeApiError {
    match error {
        CallError::NotConnected | CallError::LinkLost => KubeApiError::NotConnected,
        CallError::Superseded | CallError::Timeout => KubeApiError::Other { code: 0, message: error.to_string() },
    }
}

/// The answer is a failure.
pub(super) fn api_failed(status: ApiStatus) -> KubeApiError {
    let message = status.message;
    match (status.reason.as_str(), status.code) {
        ("NotFound", _) | (_, 404) => KubeApiError::NotFound { message },
        ("AlreadyExists", _) => KubeApiError::AlreadyExists,
        ("Conflict", _) | (_, 409) => KubeApiError::Conflict { message },
        ("Forbidden", _) | (_, 403) => KubeApiError::Forbidden { message },
        (_, code) => KubeApiError::Other { code, message },
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    #[test]
    fn an_error_or_a_nameless_object_is_no_object() {
        let name = |json: &str| read_object::<ConfigMap>(json).map(|object| object.metadata.name);
        assert!(name(r#"{"metadata":{"name":"a"}}"#).is_some());
        for json in
            [r#"{"ErrStatus":{"code":404}}"#, r#"{"metadata":{}}"#, r#"{"metadata":{"name":""}}"#, "{}", "[]", "x"]
        {
            assert!(name(json).is_none(), "{json}");
        }
    }

    #[test]
    fn failures_keep_their_meaning() {
        let failure = |reason: &str, code| {
            api_failed(ApiStatus { reason: reason.into(), code, message: "m".into(), ..ApiStatus::default() })
        };
        assert!(matches!(failure("NotFound", 404), KubeApiError::NotFound { .. }));
        assert!(matches!(failure("AlreadyExists", 409), KubeApiError::AlreadyExists));
        assert!(matches!(failure("Conflict", 409), KubeApiError::Conflict { .. }));
        assert!(matches!(failure("Forbidden", 403), KubeApiError::Forbidden { .. }));
        assert!(failure("InternalError", 500).is_retryable());
        assert!(call_failed(CallError::LinkLost).is_retryable() && call_failed(CallError::Timeout).is_retryable());
    }
}

//! Typed answers of the cloud: `ObjectResp` and the `ErrStatus` error shape. Source: spec 01 §2.2, 02 §0.4.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::message::Content;

/// A Kubernetes API failure as it crosses the wire: the parts of `metav1.Status` that either side reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{message}")]
#[serde(default)]
pub struct ApiStatus {
    /// Always an (empty) object; Go's type has it.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// `Failure`.
    pub status: String,
    /// Human-readable text.
    pub message: String,
    /// Machine-readable reason: `NotFound`, `AlreadyExists`, `Conflict`, `Forbidden`, …
    pub reason: String,
    /// What the failure is about, verbatim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<serde_json::Value>,
    /// HTTP status code.
    pub code: u16,
}

impl Default for ApiStatus {
    fn default() -> Self {
        Self {
            metadata: serde_json::Map::new(),
            status: "Failure".to_owned(),
            message: String::new(),
            reason: String::new(),
            details: None,
            code: 0,
        }
    }
}

impl ApiStatus {
    /// A failure that is not the API server's own word.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { message: message.into(), reason: "InternalError".to_owned(), code: 500, ..Self::default() }
    }

    /// `404 NotFound` for an object; `kind` is the plural resource.
    pub fn not_found(kind: &str, name: &str) -> Self {
        Self {
            message: format!("{kind} \"{name}\" not found"),
            reason: "NotFound".to_owned(),
            details: Some(serde_json::json!({"name": name, "kind": kind})),
            code: 404,
            ..Self::default()
        }
    }

    /// The error content of a plain answer: `{"ErrStatus":{…}}`.
    pub fn to_content(&self) -> Content {
        Content::json(&ErrStatusOut { status: self }).expect("a status always serialises")
    }
}

#[derive(Serialize)]
struct ErrStatusOut<'a> {
    #[serde(rename = "ErrStatus")]
    status: &'a ApiStatus,
}

/// What an answer to a request holds, read from its content. Never mistakes an error for an object.
#[derive(Debug)]
pub enum Answer {
    /// The string `OK`.
    Ok,
    /// An object: plain, or the `Object` of a successful `ObjectResp`.
    Object(Box<RawValue>),
    /// The local database's answer: a list of stored values (spec 02 §4.2).
    List(Vec<String>),
    /// A failure in any of the shapes the peers use.
    Failed(ApiStatus),
}

impl Answer {
    /// Reads the content of an answer.
    ///
    /// A bare string other than `OK` is an error text; any non-null `Err`, and any object with a top-level
    /// `ErrStatus`, is a failure even when the peer left its details out.
    pub fn read(content: &Content) -> Self {
        if content.is_ok() {
            return Self::Ok;
        }
        match content.get().as_bytes().first() {
            Some(b'"') => Self::Failed(ApiStatus::internal(content.data())),
            Some(b'[') => match content.parse() {
                Ok(list) => Self::List(list),
                Err(error) => Self::Failed(ApiStatus::internal(format!("unreadable list answer: {error}"))),
            },
            Some(b'{') => Self::read_object(content),
            _ => Self::Failed(ApiStatus::internal("answer has no content")),
        }
    }

    fn read_object(content: &Content) -> Self {
        #[derive(Deserialize)]
        struct Shape {
            #[serde(rename = "Object")]
            object: Option<Box<RawValue>>,
            #[serde(rename = "Err", default)]
            error: ErrSlot,
            #[serde(rename = "ErrStatus")]
            status: Option<Box<RawValue>>,
        }
        let shape: Shape = match content.parse() {
            Ok(shape) => shape,
            Err(error) => return Self::Failed(ApiStatus::internal(format!("unreadable answer: {error}"))),
        };
        match shape {
            Shape { status: Some(status), .. } => Self::Failed(read_status(&status)),
            Shape { error: ErrSlot::Error(error), .. } => Self::Failed(read_error(&error)),
            Shape { error: ErrSlot::Null, object: Some(object), .. } => Self::Object(object),
            Shape { error: ErrSlot::Null, object: None, .. } => {
                Self::Failed(ApiStatus::internal("answer holds neither an object nor an error"))
            }
            Shape { error: ErrSlot::Absent, .. } => {
                Self::Object(RawValue::from_string(content.get().to_owned()).expect("content is valid JSON"))
            }
        }
    }
}

/// The key `Err`: only an answer to a write has it.
#[derive(Default)]
enum ErrSlot {
    #[default]
    Absent,
    Null,
    Error(Box<RawValue>),
}

impl<'de> Deserialize<'de> for ErrSlot {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Error))
    }
}

fn read_status(raw: &RawValue) -> ApiStatus {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| ApiStatus::internal(raw.get()))
}

fn read_error(raw: &RawValue) -> ApiStatus {
    #[derive(Deserialize)]
    struct Wrapped {
        #[serde(rename = "ErrStatus")]
        status: ApiStatus,
    }
    match serde_json::from_str::<Wrapped>(raw.get()) {
        Ok(wrapped) => wrapped.status,
        Err(_) => ApiStatus::internal(format!("cloud answered with error {}", raw.get())),
    }
}

/// The content `{"Object":…,"Err":…}` of answers to writes.
///
/// `object` is the resulting object, or on failure the empty typed object the peers expect (JSON `null` is
/// allowed).
pub fn object_resp(object: Option<&RawValue>, error: Option<&ApiStatus>) -> Content {
    #[derive(Serialize)]
    struct ObjectResp<'a> {
        #[serde(rename = "Object")]
        object: Option<&'a RawValue>,
        #[serde(rename = "Err")]
        error: Option<ErrStatusOut<'a>>,
    }
    Content::json(&ObjectResp { object, error: error.map(|status| ErrStatusOut { status }) })
        .expect("raw JSON and a status always serialise")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(json: &str) -> Answer {
        Answer::read(&Content::from(RawValue::from_string(json.to_owned()).expect("valid JSON")))
    }

    #[test]
    fn success_shapes() {
        assert!(matches!(read("\"OK\""), Answer::Ok));
        assert!(matches!(read(r#"{"Object":{"a":1},"Err":null}"#), Answer::Object(o) if o.get() == r#"{"a":1}"#));
        assert!(matches!(read(r#"{"kind":"ConfigMap"}"#), Answer::Object(_)));
        assert!(matches!(read(r#"["{}"]"#), Answer::List(l) if l == ["{}"]));
    }

    #[test]
    fn every_error_shape_is_a_failure() {
        let failed = |json: &str| match read(json) {
            Answer::Failed(status) => status,
            other => panic!("{other:?}"),
        };
        assert_eq!(failed(r#"{"Object":null,"Err":{"ErrStatus":{"reason":"NotFound","code":404}}}"#).code, 404);
        assert_eq!(failed(r#"{"ErrStatus":{"reason":"NotFound","message":"m","code":404}}"#).reason, "NotFound");
        assert_eq!(failed(r#"{"Object":{},"Err":{}}"#).code, 500);
        assert_eq!(failed(r#"{"Object":null,"Err":null}"#).code, 500);
        assert_eq!(failed("\"not connected\"").message, "not connected");
        assert_eq!(failed("null").code, 500);
    }

    #[test]
    fn object_resp_always_has_both_keys() {
        assert_eq!(object_resp(None, None).get(), r#"{"Object":null,"Err":null}"#);
        let status = ApiStatus::not_found("nodes", "edge1");
        assert_eq!(
            object_resp(None, Some(&status)).get(),
            r#"{"Object":null,"Err":{"ErrStatus":{"metadata":{},"status":"Failure","message":"nodes \"edge1\" not found","reason":"NotFound","details":{"kind":"nodes","name":"edge1"},"code":404}}}"#
        );
    }

    proptest! {
        #[test]
        fn any_object_is_an_answer(reason: String, message: String, code in 0..1000_u16) {
            let status = serde_json::json!({"status": "Failure", "reason": reason, "message": message, "code": code});
            for shape in [
                serde_json::json!({"ErrStatus": status}),
                serde_json::json!({"Object": null, "Err": {"ErrStatus": status}}),
                serde_json::json!({"Object": {}, "Err": [message]}),
            ] {
                prop_assert!(matches!(read(&shape.to_string()), Answer::Failed(_)), "{}", shape);
            }
        }

        #[test]
        fn text_is_never_mistaken_for_success(text: String) {
            let answer = Answer::read(&Content::text(&text));
            prop_assert_eq!(matches!(answer, Answer::Ok), text == "OK");
        }
    }
}

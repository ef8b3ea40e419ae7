//! The JSON envelope that cloud and edge exchange. Source: spec 01 §2.1, §2.2.
//!
//! Content is kept as the JSON text that arrived: numbers above 2^53 survive and relaying costs no re-encoding.
//! Encoding writes Go's key order, Go's string escapes and one trailing newline, so that a recorded message comes
//! back byte for byte.

use std::fmt;

use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;
use uuid::Uuid;

use crate::go_json;
use crate::operation::Operation;

/// Largest message either side accepts, in bytes; equals KubeEdge's QUIC cap. Source: spec 01 §3.3.
pub const MAX_MESSAGE: usize = 32 * 1024 * 1024;

/// The content of a successful answer or acknowledgement.
pub const OK: &str = "OK";

/// One message of the cloud–edge channel.
#[derive(Debug, Clone)]
pub struct Message {
    /// Identity, correlation and version.
    pub header: Header,
    /// Who sends what about which resource.
    pub route: Route,
    /// The payload.
    pub content: Content,
}

/// Identity, correlation and version of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Random lower-case UUID v4.
    pub id: String,
    /// The message this one answers or acknowledges.
    pub parent_id: Option<String>,
    /// Unix milliseconds.
    pub timestamp: i64,
    /// resourceVersion of the object in the content.
    pub resource_version: Option<String>,
}

/// Who sends what about which resource. Empty strings are absent on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Sending module.
    pub source: String,
    /// Routing group at the receiver.
    pub group: String,
    /// The verb.
    pub operation: Operation,
    /// `<namespace>/<type>[/<name>]` or a special resource; see [`crate::resource::ResourceRef`].
    pub resource: String,
}

/// A payload: JSON text, verbatim.
#[derive(Clone)]
pub struct Content(Box<RawValue>);

impl Content {
    /// JSON `null`.
    pub fn null() -> Self {
        Self(RawValue::NULL.to_owned())
    }

    /// The success marker `"OK"`.
    pub fn ok() -> Self {
        Self::text(OK)
    }

    /// A JSON string.
    pub fn text(text: &str) -> Self {
        Self(go_json::to_raw(&text).expect("a string always serialises"))
    }

    /// Any serialisable value, in Go's escaping.
    ///
    /// # Errors
    /// [`serde_json::Error`] when the value cannot be JSON (non-string map keys, failing `Serialize`).
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        go_json::to_raw(value).map(Self)
    }

    /// The JSON text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// Reads the payload as `T`.
    ///
    /// # Errors
    /// [`serde_json::Error`] when the payload has another shape.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.get())
    }

    /// "Content data" of spec 01 §2.2: a string's own text, anything else as its JSON text.
    pub fn data(&self) -> std::borrow::Cow<'_, str> {
        match serde_json::from_str::<String>(self.get()) {
            Ok(text) => text.into(),
            Err(_) => self.get().into(),
        }
    }

    /// Whether this is the string `OK`.
    pub fn is_ok(&self) -> bool {
        self.get() == "\"OK\""
    }

    /// Whether this is JSON `null`.
    pub fn is_null(&self) -> bool {
        self.get() == "null"
    }
}

impl From<Box<RawValue>> for Content {
    fn from(raw: Box<RawValue>) -> Self {
        Self(raw)
    }
}

impl fmt::Debug for Content {
    /// Shows the size only: content may be a Secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.get().len())
    }
}

/// Why bytes are not a message.
#[derive(Debug, Error)]
pub enum MessageError {
    /// Longer than [`MAX_MESSAGE`].
    #[error("message of {len} bytes exceeds the limit of {max}")]
    TooLong {
        /// Length found, bytes.
        len: usize,
        /// The limit, bytes.
        max: usize,
    },
    /// Not the JSON object of spec 01 §2.1.
    #[error("message is not a valid envelope")]
    Json(#[source] serde_json::Error),
}

impl Message {
    /// A new message with a fresh id. `now` is Unix milliseconds.
    pub fn new(
        source: &str,
        group: &str,
        operation: Operation,
        resource: impl Into<String>,
        content: Content,
        now: i64,
    ) -> Self {
        Self {
            header: Header { id: new_id(), parent_id: None, timestamp: now, resource_version: None },
            route: Route { source: source.to_owned(), group: group.to_owned(), operation, resource: resource.into() },
            content,
        }
    }

    /// Sets the version of the object in the content.
    #[must_use]
    pub fn with_resource_version(mut self, version: impl Into<String>) -> Self {
        self.header.resource_version = Some(version.into());
        self
    }

    /// The answer to `self`: new id, parent set, route copied, operation `response`. Source: spec 01 §2.6.
    #[must_use]
    pub fn response(&self, content: Content, now: i64) -> Self {
        Self {
            header: Header {
                id: new_id(),
                parent_id: Some(self.header.id.clone()),
                timestamp: now,
                resource_version: None,
            },
            route: Route { operation: Operation::Response, ..self.route.clone() },
            content,
        }
    }

    /// The acknowledgement of `self`. Source: spec 02 §0.5.
    #[must_use]
    pub fn ack(&self, now: i64) -> Self {
        self.response(Content::ok(), now)
    }

    /// The error answer to `self` from module `source`; the group is copied. Source: spec 01 §2.6.
    #[must_use]
    pub fn error(&self, source: &str, text: &str, now: i64) -> Self {
        let mut reply = self.response(Content::text(text), now);
        source.clone_into(&mut reply.route.source);
        reply.route.operation = Operation::Error;
        reply
    }

    /// Reads one message; bytes after the first JSON value are ignored, as the Go peers do.
    ///
    /// # Errors
    /// [`MessageError::TooLong`] before anything is parsed, [`MessageError::Json`] for everything else. Either is
    /// fatal to the connection (spec 01 §3.3).
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        if bytes.len() > MAX_MESSAGE {
            return Err(MessageError::TooLong { len: bytes.len(), max: MAX_MESSAGE });
        }
        let mut first = serde_json::Deserializer::from_slice(bytes).into_iter::<Message>();
        match first.next() {
            Some(message) => message.map_err(MessageError::Json),
            None => Err(MessageError::Json(de::Error::custom("empty message"))),
        }
    }

    /// Writes the message as the Go peers do: fixed key order, Go escapes, one trailing newline.
    pub fn encode(&self) -> String {
        let mut out = String::with_capacity(self.content.get().len() + 320);
        out.push_str("{\"header\":{\"msg_id\":");
        go_json::push_str(&mut out, &self.header.id);
        if let Some(parent) = &self.header.parent_id {
            out.push_str(",\"parent_msg_id\":");
            go_json::push_str(&mut out, parent);
        }
        out.push_str(",\"timestamp\":");
        out.push_str(&self.header.timestamp.to_string());
        if let Some(version) = &self.header.resource_version {
            out.push_str(",\"resourceversion\":");
            go_json::push_str(&mut out, version);
        }
        out.push_str("},\"route\":{");
        let route = [
            ("source", self.route.source.as_str()),
            ("group", self.route.group.as_str()),
            ("operation", self.route.operation.as_str()),
            ("resource", self.route.resource.as_str()),
        ];
        let mut comma = "";
        for (key, value) in route.into_iter().filter(|(_, value)| !value.is_empty()) {
            out.push_str(comma);
            out.push('"');
            out.push_str(key);
            out.push_str("\":");
            go_json::push_str(&mut out, value);
            comma = ",";
        }
        out.push_str("},\"content\":");
        out.push_str(self.content.get());
        out.push_str("}\n");
        out
    }
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// Reads a JSON object the way Go does: keys match case-insensitively, unknown ones are skipped, the last wins,
/// `null` leaves the field alone.
macro_rules! go_object {
    ($visitor:ident -> $value:ty, $expecting:literal, |$slots:ident: $state:ty| { $($key:literal => $field:ident: $type:ty),+ $(,)? } $finish:expr) => {
        struct $visitor;
        impl<'de> Visitor<'de> for $visitor {
            type Value = $value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($expecting)
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                let $slots = <$state>::default();
                Ok($finish)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut $slots = <$state>::default();
                while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    $(if key.eq_ignore_ascii_case($key) {
                        if let Some(value) = map.next_value::<Option<$type>>()? {
                            $slots.$field = Some(value);
                        }
                        continue;
                    })+
                    map.next_value::<IgnoredAny>()?;
                }
                Ok($finish)
            }
        }
        impl<'de> Deserialize<'de> for $value {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any($visitor)
            }
        }
    };
}

#[derive(Default)]
struct HeaderSlots {
    id: Option<String>,
    parent_id: Option<String>,
    timestamp: Option<i64>,
    version: Option<String>,
}
go_object!(HeaderVisitor -> Header, "a message header", |slots: HeaderSlots| {
    "msg_id" => id: String, "parent_msg_id" => parent_id: String,
    "timestamp" => timestamp: i64, "resourceversion" => version: String,
} Header {
    id: slots.id.unwrap_or_default(),
    parent_id: slots.parent_id.filter(|id| !id.is_empty()),
    timestamp: slots.timestamp.unwrap_or_default(),
    resource_version: slots.version.filter(|version| !version.is_empty()),
});

#[derive(Default)]
struct RouteSlots {
    source: Option<String>,
    group: Option<String>,
    operation: Option<String>,
    resource: Option<String>,
}
go_object!(RouteVisitor -> Route, "a message route", |slots: RouteSlots| {
    "source" => source: String, "group" => group: String,
    "operation" => operation: String, "resource" => resource: String,
} Route {
    source: slots.source.unwrap_or_default(),
    group: slots.group.unwrap_or_default(),
    operation: Operation::from(slots.operation.unwrap_or_default().as_str()),
    resource: slots.resource.unwrap_or_default(),
});

#[derive(Default)]
struct MessageSlots {
    header: Option<Header>,
    route: Option<Route>,
    content: Option<Box<RawValue>>,
}
go_object!(MessageVisitor -> Message, "a message envelope", |slots: MessageSlots| {
    "header" => header: Header, "route" => route: Route, "content" => content: Box<RawValue>,
} Message {
    header: slots.header.unwrap_or(Header { id: String::new(), parent_id: None, timestamp: 0, resource_version: None }),
    route: slots.route.unwrap_or(Route {
        source: String::new(), group: String::new(), operation: Operation::from(""), resource: String::new(),
    }),
    content: slots.content.map_or_else(Content::null, Content::from),
});

#[cfg(test)]
mod tests;

//! Objects, lists, tables and errors as response bytes. Source: spec 10 §1.2, §7.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    api::{present, present_value},
    body::{Body, full},
    meta,
    negotiate::{Encoding, Form, Shape},
    status::ApiError,
};
use crate::{
    semantics::{resources::ResourceInfo, table},
    store::Stored,
};

/// What rows of a table carry beside their cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// Metadata only.
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

impl IncludeObject {
    /// Reads the query parameter.
    pub fn parse(text: Option<&str>) -> Self {
        match text {
            Some("None") => Self::None,
            Some("Object") => Self::Object,
            _ => Self::Metadata,
        }
    }
}

/// Everything needed to show objects the way the client asked for.
#[derive(Clone, Debug)]
pub struct View {
    /// Negotiated form.
    pub form: Form,
    /// What table rows carry.
    pub include: IncludeObject,
    /// Indent JSON.
    pub pretty: bool,
}

impl View {
    fn content_type(&self) -> &'static str {
        match self.form.encoding {
            Encoding::Json => "application/json",
            Encoding::Yaml => "application/yaml",
        }
    }

    /// A response with a JSON value.
    pub fn value(&self, status: StatusCode, value: &Value) -> Response<Body> {
        respond(status, self.content_type(), self.text(value))
    }

    fn text(&self, value: &Value) -> Vec<u8> {
        let text = match self.form.encoding {
            Encoding::Yaml => serde_yaml::to_string(value).map(String::into_bytes).ok(),
            Encoding::Json if self.pretty => serde_json::to_vec_pretty(value).ok(),
            Encoding::Json => serde_json::to_vec(value).ok(),
        };
        // Writing a `Value` to memory cannot fail; an empty body would still be better than a panic.
        let mut text = text.unwrap_or_default();
        if self.form.encoding == Encoding::Json {
            text.push(b'\n');
        }
        text
    }

    /// A response with canonical JSON text, copied when nothing has to change.
    pub fn json_text(&self, status: StatusCode, text: &Bytes) -> Response<Body> {
        if self.form.encoding == Encoding::Json && !self.pretty {
            let mut out = Vec::with_capacity(text.len() + 1);
            out.extend_from_slice(text);
            out.push(b'\n');
            return respond(status, "application/json", out);
        }
        match serde_json::from_slice::<Value>(text) {
            Ok(value) => self.value(status, &value),
            Err(error) => self.error(&ApiError::internal(error)),
        }
    }

    /// A response with one object.
    pub fn object(&self, status: StatusCode, info: &ResourceInfo, stored: &Stored) -> Response<Body> {
        let shown = match self.form.shape {
            Shape::Full | Shape::Discovery(_) => {
                return match present(info, &stored.body) {
                    Ok(text) => self.json_text(status, &text),
                    Err(error) => self.error(&error),
                };
            }
            Shape::Table(version) => self.table(
                info,
                version,
                std::slice::from_ref(stored),
                |first| json!({"resourceVersion": meta::field(first, "resourceVersion")}),
            ),
            Shape::Partial(version) => present_value(info, &stored.body).map(|object| partial(&object, version)),
        };
        match shown {
            Ok(value) => self.value(status, &value),
            Err(error) => self.error(&error),
        }
    }

    /// A table of objects; `list_meta` gets the first object.
    pub fn table(
        &self,
        info: &ResourceInfo,
        version: &str,
        items: &[Stored],
        list_meta: impl FnOnce(&Value) -> Value,
    ) -> Result<Value, ApiError> {
        let now = Timestamp::now();
        let mut rows = Vec::with_capacity(items.len());
        let mut first = Value::Null;
        for (index, item) in items.iter().enumerate() {
            let object = present_value(info, &item.body)?;
            rows.push(self.row(info, &object, version, now));
            if index == 0 {
                first = object;
            }
        }
        let columns: Vec<Value> = table::columns(info).iter().map(table::Column::to_json).collect();
        Ok(json!({
            "kind": "Table", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": list_meta(&first),
            "columnDefinitions": columns, "rows": rows,
        }))
    }

    fn row(&self, info: &ResourceInfo, object: &Value, version: &str, now: Timestamp) -> Value {
        let row = table::row(info, object, now);
        let shown = match self.include {
            IncludeObject::None => Value::Null,
            IncludeObject::Metadata => partial(object, version),
            IncludeObject::Object => object.clone(),
        };
        let mut out = json!({"cells": row.cells, "object": shown});
        if !row.conditions.is_empty() {
            out["conditions"] = row.conditions.into();
        }
        out
    }

    /// One object as a watch frame shows it. `columns` is set for the first frame of a table watch.
    ///
    /// # Errors
    /// Damaged stored text.
    pub fn event_object(&self, info: &ResourceInfo, body: &Bytes, columns: bool) -> Result<Bytes, ApiError> {
        let value = match self.form.shape {
            Shape::Full | Shape::Discovery(_) => return present(info, body),
            Shape::Table(version) => {
                let object = present_value(info, body)?;
                let row = self.row(info, &object, version, Timestamp::now());
                let mut shown = json!({
                    "kind": "Table", "apiVersion": format!("meta.k8s.io/{version}"),
                    "metadata": {"resourceVersion": meta::field(&object, "resourceVersion")},
                    "columnDefinitions": null, "rows": [row],
                });
                if columns {
                    shown["columnDefinitions"] = table::columns(info).iter().map(table::Column::to_json).collect();
                }
                shown
            }
            Shape::Partial(version) => partial(&present_value(info, body)?, version),
        };
        Ok(serde_json::to_vec(&value).map_err(ApiError::internal)?.into())
    }

    /// A response with a failure.
    pub fn error(&self, error: &ApiError) -> Response<Body> {
        let code = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = self.value(code, &error.to_status());
        if let Some(seconds) = error.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if error.code == 403 {
            let value = header::HeaderValue::from_static("nosniff");
            response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, value);
        }
        response
    }
}

/// Metadata only.
pub fn partial(object: &Value, version: &str) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": object["metadata"],
    })
}

/// Any response with a finished body.
pub fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

//! One pass that turns a parsed value into the clean form of a built-in kind.
//!
//! Unknown fields leave (and are reported), nulls leave, wrong types are errors, quantities and times get their canonical
//! text, zero values of fields that Go writes only when set leave, fields that Go always writes are filled in. JSON, YAML
//! and protobuf bodies and patch results all take this way, so equal objects have equal text. Source: spec 10 §1.2, §2.4.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Number, Value, json};

use super::json::{MAX_FINDINGS, Path};
use super::quantity::Quantity;
use super::schema::{self, Field, Kind, MessageId, Shape};

/// A value of the wrong type; the text is Go's, which users search for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TypeError(pub(super) String);

/// Cleans `object` in place; paths of unknown fields go to `unknown`.
pub(super) fn clean(message: MessageId, object: &mut Value, unknown: &mut Vec<String>) -> Result<(), TypeError> {
    let mut pass = Pass { unknown };
    pass.message(message, object, Path::Root, true)
}

struct Pass<'a> {
    unknown: &'a mut Vec<String>,
}

impl Pass<'_> {
    fn message(&mut self, message: MessageId, value: &mut Value, path: Path<'_>, top: bool) -> Result<(), TypeError> {
        let Value::Object(map) = value else {
            return Err(mismatch(value, path, message.kind()));
        };
        let source = std::mem::take(map);
        for (key, mut value) in source {
            let at = path.key(&key);
            if message.is_root() && matches!(key.as_str(), "apiVersion" | "kind") {
                match value {
                    Value::Null => {}
                    Value::String(ref text) if text.is_empty() => {}
                    Value::String(_) => {
                        map.insert(key, value);
                    }
                    other => return Err(mismatch(&other, at, "string")),
                }
                continue;
            }
            let Some(field) = message.field(&key) else {
                if self.unknown.len() < MAX_FINDINGS {
                    self.unknown.push(at.to_string());
                }
                continue;
            };
            if value.is_null() {
                continue;
            }
            self.field(field, &mut value, at)?;
            if !value.is_null() && (field.is_pointer() || field.is_always() || !is_zero(field, &value)) {
                map.insert(key, value);
            }
        }
        self.fill(message, map, path, top)
    }

    /// Adds what Go writes even when nobody set it.
    fn fill(
        &mut self,
        message: MessageId,
        map: &mut Map<String, Value>,
        path: Path<'_>,
        top: bool,
    ) -> Result<(), TypeError> {
        for field in message.json_fields() {
            let metadata = top && field.name() == "metadata";
            if !(field.is_always() || metadata) || field.is_pointer() || map.contains_key(field.name()) {
                continue;
            }
            let mut zero = match (field.shape(), field.kind()) {
                (Shape::One, Kind::String) => json!(""),
                (Shape::One, Kind::Bool) => json!(false),
                (Shape::One, Kind::Int32 | Kind::Int64) => json!(0),
                (Shape::One, Kind::Message) => json!({}),
                _ => continue,
            };
            if let Some(inner) = field.message() {
                self.message(inner, &mut zero, path.key(field.name()), false)?;
            }
            map.insert(field.name().to_owned(), zero);
        }
        Ok(())
    }

    fn field(&mut self, field: &Field, value: &mut Value, path: Path<'_>) -> Result<(), TypeError> {
        match field.shape() {
            Shape::One => self.single(field, value, path),
            Shape::List => {
                let Value::Array(items) = value else {
                    return Err(mismatch(value, path, "[]").with_item(field));
                };
                for (index, item) in items.iter_mut().enumerate() {
                    if item.is_null() && field.kind() != Kind::Json {
                        *item = zero_item(field);
                    }
                    self.single(field, item, path.index(index))?;
                }
                Ok(())
            }
            Shape::Map => {
                let Value::Object(entries) = value else {
                    return Err(mismatch(value, path, "map[string]").with_item(field));
                };
                for (key, item) in entries.iter_mut() {
                    if item.is_null() {
                        *item = zero_item(field);
                    }
                    self.single(field, item, path.key(key))?;
                    if field.kind() == Kind::Quantity {
                        round_up(item);
                    }
                }
                Ok(())
            }
        }
    }

    fn single(&mut self, field: &Field, value: &mut Value, path: Path<'_>) -> Result<(), TypeError> {
        match field.kind() {
            Kind::String => expect(value.is_string(), value, path, "string"),
            Kind::Bool => expect(value.is_boolean(), value, path, "bool"),
            Kind::Int32 => integer(value, path, "int32", i64::from(i32::MIN), i64::from(i32::MAX)),
            Kind::Int64 => integer(value, path, "int64", i64::MIN, i64::MAX),
            Kind::Double => expect(value.is_number(), value, path, "float64"),
            Kind::Bytes => bytes(value, path),
            Kind::Quantity => quantity(value, path),
            Kind::Time => time(value, path, "%Y-%m-%dT%H:%M:%SZ"),
            Kind::MicroTime => time(value, path, "%Y-%m-%dT%H:%M:%S.%6fZ"),
            Kind::IntOrString if value.is_string() => Ok(()),
            Kind::IntOrString => integer(value, path, "intstr.IntOrString", i64::from(i32::MIN), i64::from(i32::MAX)),
            Kind::Raw | Kind::Json => Ok(()),
            Kind::FieldsV1 => expect(value.is_object(), value, path, "v1.FieldsV1"),
            Kind::Strings => strings(value, path),
            Kind::Message => self.message(field_message(field), value, path, false),
            Kind::SchemaOrArray => match value {
                Value::Array(items) => {
                    for (index, item) in items.iter_mut().enumerate() {
                        self.schema(item, path.index(index))?;
                    }
                    Ok(())
                }
                _ => self.schema(value, path),
            },
            Kind::SchemaOrBool if value.is_boolean() => Ok(()),
            Kind::SchemaOrStrings if value.is_array() => strings(value, path),
            Kind::SchemaOrBool | Kind::SchemaOrStrings => self.schema(value, path),
        }
    }

    fn schema(&mut self, value: &mut Value, path: Path<'_>) -> Result<(), TypeError> {
        match schema::find("apiextensions.v1.JSONSchemaProps") {
            Some(message) => self.message(message, value, path, false),
            None => Ok(()),
        }
    }
}

/// The message of a field of kind [`Kind::Message`]; other kinds never ask.
fn field_message(field: &Field) -> MessageId {
    field.message().unwrap_or_default()
}

/// What Go makes of a `null` item.
fn zero_item(field: &Field) -> Value {
    match field.kind() {
        Kind::String | Kind::Bytes => json!(""),
        Kind::Bool => json!(false),
        Kind::Int32 | Kind::Int64 | Kind::Double | Kind::IntOrString => json!(0),
        Kind::Quantity => json!("0"),
        Kind::Strings => json!([]),
        Kind::Time
        | Kind::MicroTime
        | Kind::Raw
        | Kind::FieldsV1
        | Kind::Json
        | Kind::SchemaOrArray
        | Kind::SchemaOrBool
        | Kind::SchemaOrStrings
        | Kind::Message => json!({}),
    }
}

/// Whether Go's `omitempty` (or, for structs, our canonical form) leaves the value out.
fn is_zero(field: &Field, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => {
            value.is_empty() || (field.kind() == Kind::Quantity && field.shape() == Shape::One && value == "0")
        }
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty() && field.kind() != Kind::Raw,
    }
}

fn expect(fits: bool, value: &Value, path: Path<'_>, wanted: &str) -> Result<(), TypeError> {
    if fits { Ok(()) } else { Err(mismatch(value, path, wanted)) }
}

impl TypeError {
    fn with_item(self, field: &Field) -> Self {
        let item = match field.kind() {
            Kind::Message => field_message(field).kind(),
            Kind::Bytes => "[]uint8",
            _ => "string",
        };
        Self(self.0 + item)
    }
}

fn mismatch(value: &Value, path: Path<'_>, wanted: &str) -> TypeError {
    let found = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if wanted.starts_with("int") => format!("number {number}"),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    };
    TypeError(format!("json: cannot unmarshal {found} into Go struct field {path} of type {wanted}"))
}

fn integer(value: &mut Value, path: Path<'_>, wanted: &str, min: i64, max: i64) -> Result<(), TypeError> {
    let number = match value {
        Value::Number(number) => number.as_i64().or_else(|| whole(number)),
        _ => None,
    };
    match number {
        Some(number) if (min..=max).contains(&number) => {
            *value = number.into();
            Ok(())
        }
        _ => Err(mismatch(value, path, wanted)),
    }
}

/// `1.0` and `1e3` are integers too.
fn whole(number: &Number) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let float = number.as_f64()?;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and below 2^53")]
    (float.fract() == 0.0 && float.abs() <= EXACT).then_some(float as i64)
}

fn bytes(value: &mut Value, path: Path<'_>) -> Result<(), TypeError> {
    let Value::String(text) = value else {
        return Err(mismatch(value, path, "[]uint8"));
    };
    if text.contains(['\n', '\r']) {
        text.retain(|c| !matches!(c, '\n' | '\r'));
    }
    STANDARD.decode(&*text).map(drop).map_err(|error| {
        let at = match error {
            base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
            base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => text.len() / 4 * 4,
        };
        TypeError(format!("{path}: illegal base64 data at input byte {at}"))
    })
}

fn quantity(value: &mut Value, path: Path<'_>) -> Result<(), TypeError> {
    let text = match value {
        Value::String(text) => std::mem::take(text),
        Value::Number(number) => number.to_string(),
        _ => return Err(mismatch(value, path, "resource.Quantity")),
    };
    // An empty text is the zero quantity, as in Go.
    let parsed = if text.is_empty() { Ok(Quantity::ZERO) } else { Quantity::parse(text.trim()) };
    let parsed =
        parsed.map_err(|error| TypeError(format!("{path}: unable to parse quantity's suffix or value: {error}")))?;
    *value = parsed.to_string().into();
    Ok(())
}

fn round_up(value: &mut Value) {
    if let Some(parsed) = value.as_str().and_then(|text| Quantity::parse(text).ok()) {
        *value = parsed.round_up_to_milli().to_string().into();
    }
}

fn time(value: &mut Value, path: Path<'_>, format: &str) -> Result<(), TypeError> {
    let Value::String(text) = value else {
        return Err(mismatch(value, path, "v1.Time"));
    };
    let parsed: Timestamp = text.parse().map_err(|_| {
        TypeError(format!("{path}: parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse"))
    })?;
    *value = parsed.strftime(format).to_string().into();
    Ok(())
}

fn strings(value: &Value, path: Path<'_>) -> Result<(), TypeError> {
    let fits = value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
    expect(fits, value, path, "[]string")
}

//! Kubernetes protobuf bodies to JSON values, driven by the schema table. Source: spec 10 §1.2.
//!
//! Only requests come in this form. The result still holds Go's zero values; [`super::canonical`] removes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Number, Value};
use thiserror::Error;

use super::schema::{self, Field, Kind, MessageId, Shape};

/// First bytes of every Kubernetes protobuf body.
pub(super) const PREFIX: &[u8] = b"k8s\0";
/// Deepest nesting of messages; CRD schemas are the deepest real ones.
const MAX_DEPTH: usize = 100;

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum ProtobufError {
    #[error("unexpected EOF")]
    Truncated,
    #[error("proto: integer overflow")]
    Overflow,
    #[error("proto: illegal wireType {0}")]
    WireType(u8),
    #[error("proto: wrong wireType for field {0}")]
    Mismatch(u32),
    #[error("proto: invalid UTF-8 in field {0}")]
    Utf8(u32),
    #[error("proto: time out of range")]
    Time,
    #[error("embedded JSON is not readable")]
    Json,
    #[error("proto: message nested too deeply")]
    Depth,
}

/// The envelope around every body.
#[derive(Debug, Default)]
pub(super) struct Envelope<'a> {
    pub(super) api_version: &'a str,
    pub(super) kind: &'a str,
    pub(super) raw: &'a [u8],
}

/// Reads the envelope that follows [`PREFIX`].
pub(super) fn envelope(body: &[u8]) -> Result<Envelope<'_>, ProtobufError> {
    let mut envelope = Envelope::default();
    let mut reader = Reader { rest: body };
    while let Some((number, wire)) = reader.next()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => {
                let mut meta = Reader { rest: bytes };
                while let Some((number, wire)) = meta.next()? {
                    match (number, wire) {
                        (1, wire) => envelope.api_version = wire.text(1)?,
                        (2, wire) => envelope.kind = wire.text(2)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => envelope.raw = bytes,
            _ => {}
        }
    }
    Ok(envelope)
}

/// Decodes one message to a JSON object.
pub(super) fn decode(message: MessageId, bytes: &[u8]) -> Result<Value, ProtobufError> {
    let mut map = Map::new();
    read_message(message, bytes, &mut map, 0)?;
    Ok(Value::Object(map))
}

fn read_message(
    message: MessageId,
    bytes: &[u8],
    map: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), ProtobufError> {
    if depth > MAX_DEPTH {
        return Err(ProtobufError::Depth);
    }
    let mut reader = Reader { rest: bytes };
    while let Some((number, wire)) = reader.next()? {
        let Some(field) = message.numbered(number) else { continue };
        if field.is_inline() {
            if let Some(inner) = field.message() {
                read_message(inner, wire.bytes(number)?, map, depth + 1)?;
            }
            continue;
        }
        match field.shape() {
            Shape::One => {
                map.insert(field.name().to_owned(), single(field, wire, depth)?);
            }
            Shape::List => {
                let entry = map.entry(field.name()).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(items) = entry {
                    push(field, wire, items, depth)?;
                }
            }
            Shape::Map => {
                let (key, value) = map_entry(field, wire.bytes(number)?, depth)?;
                let entry = map.entry(field.name()).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(entries) = entry {
                    entries.insert(key, value);
                }
            }
        }
    }
    Ok(())
}

/// One occurrence of a repeated field: an item, or a packed run of numbers.
fn push(field: &Field, wire: Wire<'_>, items: &mut Vec<Value>, depth: usize) -> Result<(), ProtobufError> {
    match (field.kind(), wire) {
        (Kind::Int32 | Kind::Int64 | Kind::Bool, Wire::Bytes(packed)) => {
            let mut reader = Reader { rest: packed };
            while !reader.rest.is_empty() {
                let number = reader.varint()?;
                items.push(single(field, Wire::Varint(number), depth)?);
            }
            Ok(())
        }
        (_, wire) => {
            items.push(single(field, wire, depth)?);
            Ok(())
        }
    }
}

fn map_entry(field: &Field, bytes: &[u8], depth: usize) -> Result<(String, Value), ProtobufError> {
    let (mut key, mut value) = (String::new(), None);
    let mut reader = Reader { rest: bytes };
    while let Some((number, wire)) = reader.next()? {
        match number {
            1 => wire.text(1)?.clone_into(&mut key),
            2 => value = Some(single(field, wire, depth)?),
            _ => {}
        }
    }
    let absent = match field.kind() {
        Kind::Message => Value::Object(Map::new()),
        _ => Value::Null,
    };
    Ok((key, value.unwrap_or(absent)))
}

fn single(field: &Field, wire: Wire<'_>, depth: usize) -> Result<Value, ProtobufError> {
    let number = field.number();
    Ok(match field.kind() {
        Kind::String => wire.text(number)?.into(),
        Kind::Bool => (wire.varint(number)? != 0).into(),
        Kind::Int32 => int32(wire.varint(number)?).into(),
        Kind::Int64 => wire.varint(number)?.cast_signed().into(),
        Kind::Double => match wire {
            Wire::Fixed64(bits) => Number::from_f64(f64::from_bits(bits)).map_or(Value::Null, Value::Number),
            Wire::Varint(_) | Wire::Bytes(_) | Wire::Fixed32 => return Err(ProtobufError::Mismatch(number)),
        },
        Kind::Bytes => STANDARD.encode(wire.bytes(number)?).into(),
        Kind::Quantity => match first(wire.bytes(number)?, 1)? {
            Some(text) => text.text(1)?.into(),
            None => Value::Null,
        },
        Kind::Time | Kind::MicroTime => time(wire.bytes(number)?)?,
        Kind::IntOrString => int_or_string(wire.bytes(number)?)?,
        Kind::Raw | Kind::FieldsV1 | Kind::Json => match first(wire.bytes(number)?, 1)? {
            Some(raw) if !raw.bytes(1)?.is_empty() => {
                serde_json::from_slice(raw.bytes(1)?).map_err(|_| ProtobufError::Json)?
            }
            _ => Value::Null,
        },
        Kind::Strings => texts(wire.bytes(number)?, 1)?,
        Kind::Message => {
            let mut map = Map::new();
            if let Some(message) = field.message() {
                read_message(message, wire.bytes(number)?, &mut map, depth + 1)?;
            }
            Value::Object(map)
        }
        Kind::SchemaOrArray => {
            let bytes = wire.bytes(number)?;
            match schemas(bytes, 1, depth)?.pop() {
                Some(one) => one,
                None => Value::Array(schemas(bytes, 2, depth)?),
            }
        }
        Kind::SchemaOrBool => {
            let bytes = wire.bytes(number)?;
            match schemas(bytes, 2, depth)?.pop() {
                Some(one) => one,
                None => first(bytes, 1)?.map_or(Ok(0), |allows| allows.varint(1)).map(|allows| (allows != 0).into())?,
            }
        }
        Kind::SchemaOrStrings => {
            let bytes = wire.bytes(number)?;
            match schemas(bytes, 1, depth)?.pop() {
                Some(one) => one,
                None => texts(bytes, 2)?,
            }
        }
    })
}

/// Negative 32-bit numbers travel as ten bytes; the low half is the number.
fn int32(varint: u64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "the high half is sign extension")]
    let low = varint as u32;
    low.cast_signed()
}

fn time(bytes: &[u8]) -> Result<Value, ProtobufError> {
    let (mut seconds, mut nanos) = (0_i64, 0_i32);
    let mut reader = Reader { rest: bytes };
    while let Some((number, wire)) = reader.next()? {
        match number {
            1 => seconds = wire.varint(1)?.cast_signed(),
            2 => nanos = int32(wire.varint(2)?),
            _ => {}
        }
    }
    if seconds == 0 && nanos == 0 {
        return Ok(Value::Null); // Go's zero time
    }
    let time = Timestamp::new(seconds, nanos).map_err(|_| ProtobufError::Time)?;
    Ok(time.to_string().into())
}

fn int_or_string(bytes: &[u8]) -> Result<Value, ProtobufError> {
    let (mut is_text, mut number, mut text) = (false, 0_i32, "");
    let mut reader = Reader { rest: bytes };
    while let Some((field, wire)) = reader.next()? {
        match field {
            1 => is_text = wire.varint(1)? == 1,
            2 => number = int32(wire.varint(2)?),
            3 => text = wire.text(3)?,
            _ => {}
        }
    }
    Ok(if is_text { text.into() } else { number.into() })
}

/// All texts of field `number`.
fn texts(bytes: &[u8], number: u32) -> Result<Value, ProtobufError> {
    let mut items = Vec::new();
    let mut reader = Reader { rest: bytes };
    while let Some((at, wire)) = reader.next()? {
        if at == number {
            items.push(wire.text(at)?.into());
        }
    }
    Ok(Value::Array(items))
}

/// All JSON schemas of field `number`.
fn schemas(bytes: &[u8], number: u32, depth: usize) -> Result<Vec<Value>, ProtobufError> {
    let Some(message) = schema::find("apiextensions.v1.JSONSchemaProps") else { return Ok(Vec::new()) };
    let mut items = Vec::new();
    let mut reader = Reader { rest: bytes };
    while let Some((at, wire)) = reader.next()? {
        if at == number {
            let mut map = Map::new();
            read_message(message, wire.bytes(at)?, &mut map, depth + 1)?;
            items.push(Value::Object(map));
        }
    }
    Ok(items)
}

/// The last occurrence of field `number`.
fn first(bytes: &[u8], number: u32) -> Result<Option<Wire<'_>>, ProtobufError> {
    let mut found = None;
    let mut reader = Reader { rest: bytes };
    while let Some((at, wire)) = reader.next()? {
        if at == number {
            found = Some(wire);
        }
    }
    Ok(found)
}

/// One field's value as it is on the wire.
#[derive(Debug, Clone, Copy)]
enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

impl<'a> Wire<'a> {
    fn varint(self, number: u32) -> Result<u64, ProtobufError> {
        match self {
            Wire::Varint(value) => Ok(value),
            Wire::Fixed64(_) | Wire::Bytes(_) | Wire::Fixed32 => Err(ProtobufError::Mismatch(number)),
        }
    }
    fn bytes(self, number: u32) -> Result<&'a [u8], ProtobufError> {
        match self {
            Wire::Bytes(bytes) => Ok(bytes),
            Wire::Varint(_) | Wire::Fixed64(_) | Wire::Fixed32 => Err(ProtobufError::Mismatch(number)),
        }
    }
    fn text(self, number: u32) -> Result<&'a str, ProtobufError> {
        str::from_utf8(self.bytes(number)?).map_err(|_| ProtobufError::Utf8(number))
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(u32, Wire<'a>)>, ProtobufError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| ProtobufError::Overflow)?;
        let wire = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => {
                let bytes = self.take(8)?;
                Wire::Fixed64(bytes.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte)))
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| ProtobufError::Truncated)?;
                Wire::Bytes(self.take(length)?)
            }
            5 => {
                self.take(4)?;
                Wire::Fixed32
            }
            other => return Err(ProtobufError::WireType(u8::try_from(other).unwrap_or(u8::MAX))),
        };
        Ok(Some((number, wire)))
    }

    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(ProtobufError::Truncated)?;
            self.rest = rest;
            if shift < 64 {
                value |= u64::from(byte & 0x7f) << shift;
            }
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ProtobufError::Overflow)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ProtobufError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(ProtobufError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}

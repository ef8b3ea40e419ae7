//! JSON and YAML text to values, with what `serde_json::Value` alone does not tell: duplicate keys and their paths.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Most values one body may hold. A JSON body of the largest allowed size stays below it; YAML aliases cannot pass it.
const MAX_VALUES: usize = 2_000_000;
/// Most findings that are remembered per body.
pub(super) const MAX_FINDINGS: usize = 100;

/// Where we are in a document; prints as `spec.containers[0].image`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path<'a> {
    /// The document itself.
    Root,
    /// A key of an object.
    Key(&'a Path<'a>, &'a str),
    /// An item of a list.
    Index(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(super) fn key(&'a self, key: &'a str) -> Path<'a> {
        Path::Key(self, key)
    }
    pub(super) fn index(&'a self, index: usize) -> Path<'a> {
        Path::Index(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Key(Path::Root, key) => f.write_str(key),
            Path::Key(parent, key) => write!(f, "{parent}.{key}"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A parsed document and the paths of keys that occurred twice (the last one won).
#[derive(Debug)]
pub(super) struct Document {
    pub(super) value: Value,
    pub(super) duplicates: Vec<String>,
}

/// Parses JSON; trailing text is an error.
pub(super) fn parse_json(body: &[u8]) -> Result<Document, String> {
    let state = State::default();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Seed { state: &state, path: Path::Root }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| error.to_string())?;
    Ok(Document { value, duplicates: state.duplicates.into_inner() })
}

/// Parses the first YAML document. JSON is YAML.
pub(super) fn parse_yaml(body: &[u8]) -> Result<Document, String> {
    let state = State::default();
    let Some(first) = serde_yaml::Deserializer::from_slice(body).next() else {
        return Err("no document".to_owned());
    };
    let value = Seed { state: &state, path: Path::Root }.deserialize(first).map_err(|error| error.to_string())?;
    Ok(Document { value, duplicates: state.duplicates.into_inner() })
}

#[derive(Default)]
struct State {
    duplicates: RefCell<Vec<String>>,
    values: Cell<usize>,
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    state: &'a State,
    path: Path<'a>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.state.values.set(self.state.values.get() + 1);
        if self.state.values.get() > MAX_VALUES {
            return Err(de::Error::custom("too many values"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Seed { state: self.state, path: self.path.index(list.len()) })? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key_seed(KeySeed)? {
            let value = entries.next_value_seed(Seed { state: self.state, path: self.path.key(&key) })?;
            if map.contains_key(&key) {
                let mut duplicates = self.state.duplicates.borrow_mut();
                if duplicates.len() < MAX_FINDINGS {
                    duplicates.push(self.path.key(&key).to_string());
                }
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// Keys are text in JSON; YAML also has numbers and booleans, which become text.
struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }
    fn visit_string<E>(self, value: String) -> Result<String, E> {
        Ok(value)
    }
    fn visit_bool<E>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }
    fn visit_i64<E>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }
    fn visit_u64<E>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }
    fn visit_f64<E>(self, value: f64) -> Result<String, E> {
        Ok(value.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn duplicate_keys_are_named_and_the_last_wins() {
        let document = parse_json(br#"{"data":{"k":"a","k":"b"},"l":[{"x":1,"x":2}]}"#).unwrap();
        assert_eq!(document.value, json!({"data": {"k": "b"}, "l": [{"x": 2}]}));
        assert_eq!(document.duplicates, ["data.k", "l[0].x"]);
    }

    #[test]
    fn yaml_keys_become_text() {
        let document = parse_yaml(b"data:\n  80: web\n  true: x\nn: 5\n").unwrap();
        assert_eq!(document.value, json!({"data": {"80": "web", "true": "x"}, "n": 5}));
    }

    #[test]
    fn text_after_the_document_is_refused() {
        assert!(parse_json(b"{} x").is_err());
        assert!(parse_json(b"").is_err());
        assert!(parse_json(&b"[".repeat(10_000)).is_err());
    }

    #[test]
    fn yaml_alias_bombs_end_early() {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        let level =
            |level: usize| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(","));
        text.extend((1..12).map(level));
        assert!(parse_yaml(text.as_bytes()).is_err());
    }
}

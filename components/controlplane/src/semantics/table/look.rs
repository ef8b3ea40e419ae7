//! Reading cells out of an object.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::Value;

use super::age;
use crate::semantics::validation::report::{items, text};

pub(super) const NONE: &str = "<none>";
pub(super) const UNSET: &str = "<unset>";

/// One object and the time for its ages.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) object: &'a Value,
    pub(super) now: Timestamp,
}

impl<'a> Look<'a> {
    /// The value at a dotted path; null when absent.
    pub(super) fn at(self, path: &str) -> &'a Value {
        const NULL: &Value = &Value::Null;
        path.split('.').try_fold(self.object, |value, key| value.get(key)).unwrap_or(NULL)
    }
    /// Text at a path, empty when absent.
    pub(super) fn text(self, path: &str) -> &'a str {
        text(self.at(path))
    }
    /// Number at a path, zero when absent.
    pub(super) fn number(self, path: &str) -> i64 {
        self.at(path).as_i64().unwrap_or_default()
    }
    /// Text at a path as a cell, empty when absent.
    pub(super) fn cell(self, path: &str) -> Value {
        self.text(path).into()
    }
    /// Text at a path as a cell, `other` when absent or empty.
    pub(super) fn cell_or(self, path: &str, other: &str) -> Value {
        or(self.text(path), other).into()
    }
    /// Number at a path as a cell.
    pub(super) fn integer(self, path: &str) -> Value {
        self.number(path).into()
    }
    /// Length of the list at a path as a cell.
    pub(super) fn count(self, path: &str) -> Value {
        items(self.at(path)).len().into()
    }
    /// The name.
    pub(super) fn name(self) -> Value {
        self.cell("metadata.name")
    }
    /// The age since creation.
    pub(super) fn age(self) -> Value {
        self.since("metadata.creationTimestamp")
    }
    /// The age of a timestamp at a path.
    pub(super) fn since(self, path: &str) -> Value {
        age::since(self.at(path), self.now).into()
    }
}

/// `word`, or `other` when it is empty.
pub(super) fn or<'a>(word: &'a str, other: &'a str) -> &'a str {
    if word.is_empty() { other } else { word }
}

/// `a=b,c=d`, sorted by key; `<none>` when empty.
pub(super) fn labels(map: &Value) -> String {
    let mut pairs: Vec<_> = map.as_object().into_iter().flatten().collect();
    pairs.sort_by_key(|(key, _)| *key);
    let list: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
    or(&list.join(","), NONE).to_owned()
}

/// A `LabelSelector` in one line; `<none>` when empty.
pub(super) fn selector(selector: &Value) -> String {
    let mut line = match labels(&selector["matchLabels"]) {
        none if none == NONE => String::new(),
        some => some,
    };
    for expression in items(&selector["matchExpressions"]) {
        let values: Vec<&str> = items(&expression["values"]).iter().map(text).collect();
        let key = text(&expression["key"]);
        let comma = if line.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = match text(&expression["operator"]) {
            "In" => write!(line, "{comma}{key} in ({})", values.join(",")),
            "NotIn" => write!(line, "{comma}{key} notin ({})", values.join(",")),
            "DoesNotExist" => write!(line, "{comma}!{key}"),
            _ => write!(line, "{comma}{key}"),
        };
    }
    or(&line, NONE).to_owned()
}

/// Names and images of the containers of a pod spec, comma separated.
pub(super) fn containers(spec: &Value) -> [Value; 2] {
    let join = |field: &str| {
        let list: Vec<&str> = items(&spec["containers"]).iter().map(|container| text(&container[field])).collect();
        Value::from(list.join(","))
    };
    [join("name"), join("image")]
}

/// A percent or a number as text; `other` when absent.
pub(super) fn int_or_string(value: &Value, other: &str) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => other.to_owned(),
    }
}

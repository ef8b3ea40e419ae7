//! One YAML document as data: what files are parsed into and what is printed from.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{ConfigError, emit};

/// A YAML value. Mappings keep their order; of two equal keys the later one wins (spec 06 R12).
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Node {
    /// `null`, `~` or nothing.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping; keys that are no text in the file are kept as their text.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Parses the first document of `text` (spec 06 R16). An empty text is an empty mapping.
    ///
    /// # Errors
    /// [`ConfigError::Yaml`] when the text is not YAML or its top level is not a mapping.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let Some(document) = serde_yaml::Deserializer::from_str(text).next() else { return Ok(Self::Map(Vec::new())) };
        match Self::deserialize(document).map_err(ConfigError::Yaml)? {
            Self::Null => Ok(Self::Map(Vec::new())),
            map @ Self::Map(_) => Ok(map),
            other => Err(ConfigError::Yaml(de::Error::custom(format!(
                "expected a mapping at the top level, found {}",
                other.kind()
            )))),
        }
    }

    /// An empty mapping.
    pub fn map() -> Self {
        Self::Map(Vec::new())
    }

    /// The value at a dotted path, `None` if any element is missing.
    pub fn at(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |node, key| match node {
            Self::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        })
    }

    /// Puts `value` at a dotted path, making mappings on the way; whatever else was in the way is replaced.
    pub fn put(&mut self, path: &str, value: Self) {
        let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
        if !matches!(self, Self::Map(_)) {
            *self = Self::map();
        }
        let Self::Map(entries) = self else { return };
        let index = entries.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
            entries.push((key.to_owned(), Self::Null));
            entries.len() - 1
        });
        match rest {
            Some(rest) => entries[index].1.put(rest, value),
            None => entries[index].1 = value,
        }
    }

    /// Takes the entry at a dotted path out.
    pub fn take(&mut self, path: &str) -> Option<Self> {
        let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
        let Self::Map(entries) = self else { return None };
        let index = entries.iter().position(|(name, _)| name == key)?;
        match rest {
            Some(rest) => entries[index].1.take(rest),
            None => Some(entries.remove(index).1),
        }
    }

    /// Lays `other` over this: mappings merge key by key, everything else replaces (spec 06 R8–R10).
    pub fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Map(entries), Self::Map(others)) => {
                for (key, value) in others {
                    match entries.iter_mut().find(|(name, _)| *name == key) {
                        Some((_, old)) => old.merge(value),
                        None => entries.push((key, value)),
                    }
                }
            }
            (this, other) => *this = other,
        }
    }

    /// Keeps only what lies at or under one of the dotted `paths`.
    #[must_use]
    pub fn pick(&self, paths: &[&str]) -> Self {
        let mut picked = Self::map();
        for path in paths {
            if let Some(value) = self.at(path) {
                picked.put(path, value.clone());
            }
        }
        picked
    }

    /// The YAML text as the Go programs print it: sorted keys, two spaces, list items in the column of their key.
    /// Source: spec 06 §3.
    pub fn to_yaml(&self) -> String {
        emit::emit(self)
    }

    /// What the value is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    /// The text of a scalar; `None` for lists and mappings.
    pub fn scalar_text(&self) -> Option<String> {
        match self {
            Self::Null => Some(String::new()),
            Self::Bool(value) => Some(value.to_string()),
            Self::Int(value) => Some(value.to_string()),
            Self::Float(value) => Some(value.to_string()),
            Self::Text(value) => Some(value.clone()),
            Self::List(_) | Self::Map(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        // Above i64 no field of ours can hold it; as a float it fails the range check with a clear message.
        #[expect(clippy::cast_precision_loss, reason = "only shown in a message")]
        Ok(i64::try_from(value).map_or(Node::Float(value as f64), Node::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = access.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        while let Some(key) = access.next_key::<Node>()? {
            let value = access.next_value()?;
            let Some(key) = key.scalar_text() else { return Err(de::Error::custom("a mapping key must be text")) };
            entries.retain(|(name, _)| *name != key);
            entries.push((key, value));
        }
        Ok(Node::Map(entries))
    }
}

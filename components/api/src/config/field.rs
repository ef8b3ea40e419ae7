//! What a field of a section can do: take a value from the file, print itself, say whether it is empty.

use std::collections::BTreeMap;

use super::{Node, Report};

/// A value in a configuration file.
pub trait Field {
    /// Takes the value from the file; absent parts stay as they are. Source: spec 06 §2.
    fn overlay(&mut self, node: &Node, report: &mut Report);

    /// The value as it is printed.
    fn print(&self) -> Node;

    /// Zero, false, empty: what Go's omit-empty leaves out.
    fn is_empty(&self) -> bool;
}

impl Field for bool {
    fn overlay(&mut self, node: &Node, report: &mut Report) {
        match node {
            Node::Null => {}
            Node::Bool(value) => *self = *value,
            // YAML 1.1 spellings, which our parser reads as text (spec 06 R5).
            Node::Text(text) => match text.to_ascii_lowercase().as_str() {
                "y" | "yes" | "on" => *self = true,
                "n" | "no" | "off" => *self = false,
                _ => report.mismatch("true or false", node),
            },
            other => report.mismatch("true or false", other),
        }
    }

    fn print(&self) -> Node {
        Node::Bool(*self)
    }

    fn is_empty(&self) -> bool {
        !*self
    }
}

/// YAML 1.1 whole numbers that our parser reads as text: octal with a leading zero, binary, underscores (R5).
fn yaml11_int(text: &str) -> Option<i64> {
    let odd = text.contains('_') || text.starts_with("0b") || (text.len() > 1 && text.starts_with('0'));
    let plain = text.replace('_', "");
    match plain.as_bytes() {
        _ if !odd => None,
        [b'0', b'b', ..] => i64::from_str_radix(&plain[2..], 2).ok(),
        [b'0', _, ..] => i64::from_str_radix(&plain[1..], 8).ok(),
        _ => plain.parse().ok(),
    }
}

macro_rules! integer_fields {
    ($($int:ty),*) => {$(
        impl Field for $int {
            fn overlay(&mut self, node: &Node, report: &mut Report) {
                let value = match node {
                    Node::Null => return,
                    Node::Int(value) => Some(*value),
                    Node::Text(text) => yaml11_int(text),
                    _ => None,
                };
                match value.and_then(|value| Self::try_from(value).ok()) {
                    Some(value) => *self = value,
                    None => report.mismatch(&format!("a whole number from {} to {}", Self::MIN, Self::MAX), node),
                }
            }

            fn print(&self) -> Node {
                // Wider than i64 cannot come in, so it cannot go out.
                Node::Int(i64::try_from(*self).unwrap_or(i64::MAX))
            }

            fn is_empty(&self) -> bool {
                *self == 0
            }
        }
    )*};
}
integer_fields!(u8, u16, u32, i32, i64);

impl Field for f64 {
    fn overlay(&mut self, node: &Node, report: &mut Report) {
        match node {
            Node::Null => {}
            Node::Float(value) => *self = *value,
            #[expect(clippy::cast_precision_loss, reason = "factors are small numbers")]
            Node::Int(value) => *self = *value as f64,
            // `--set` has no other way to write a fraction (spec 06 §11.2).
            Node::Text(text) => match text.parse() {
                Ok(value) => *self = value,
                Err(_) => report.mismatch("a number", node),
            },
            other => report.mismatch("a number", other),
        }
    }

    fn print(&self) -> Node {
        Node::Float(*self)
    }

    fn is_empty(&self) -> bool {
        *self == 0.0
    }
}

impl Field for String {
    fn overlay(&mut self, node: &Node, report: &mut Report) {
        match node {
            Node::Null => {}
            // An unquoted number or boolean is taken as its text (R6).
            Node::Text(_) | Node::Bool(_) | Node::Int(_) | Node::Float(_) => {
                *self = node.scalar_text().unwrap_or_default();
            }
            other => report.mismatch("text", other),
        }
    }

    fn print(&self) -> Node {
        Node::Text(self.clone())
    }

    fn is_empty(&self) -> bool {
        String::is_empty(self)
    }
}

impl<T: Field + Default> Field for Vec<T> {
    /// Replaces the whole list (R8).
    fn overlay(&mut self, node: &Node, report: &mut Report) {
        match node {
            Node::Null => {}
            Node::List(items) => {
                self.clear();
                for (index, item) in items.iter().enumerate() {
                    let mut value = T::default();
                    report.within(&index.to_string(), |report| value.overlay(item, report));
                    self.push(value);
                }
            }
            other => report.mismatch("a list", other),
        }
    }

    fn print(&self) -> Node {
        Node::List(self.iter().map(Field::print).collect())
    }

    fn is_empty(&self) -> bool {
        Vec::is_empty(self)
    }
}

impl<T: Field + Default> Field for BTreeMap<String, T> {
    /// Merges key by key (R9).
    fn overlay(&mut self, node: &Node, report: &mut Report) {
        match node {
            Node::Null => {}
            Node::Map(entries) => {
                for (key, item) in entries {
                    let value = self.entry(key.clone()).or_default();
                    report.within(key, |report| value.overlay(item, report));
                }
            }
            other => report.mismatch("a mapping", other),
        }
    }

    fn print(&self) -> Node {
        Node::Map(self.iter().map(|(key, value)| (key.clone(), value.print())).collect())
    }

    fn is_empty(&self) -> bool {
        BTreeMap::is_empty(self)
    }
}

impl<T: Field + Default> Field for Option<T> {
    fn overlay(&mut self, node: &Node, report: &mut Report) {
        match node {
            Node::Null => *self = None,
            node => self.get_or_insert_default().overlay(node, report),
        }
    }

    fn print(&self) -> Node {
        self.as_ref().map_or(Node::Null, Field::print)
    }

    fn is_empty(&self) -> bool {
        self.is_none()
    }
}

/// A part that we hand on without looking inside.
impl Field for Node {
    fn overlay(&mut self, node: &Node, _: &mut Report) {
        if *node != Node::Null {
            self.merge(node.clone());
        }
    }

    fn print(&self) -> Node {
        self.clone()
    }

    fn is_empty(&self) -> bool {
        matches!(self, Node::Null)
    }
}

//! YAML text in the layout of the Go programs. Source: spec 06 §3.
//!
//! Scripts patch the printed text line by line, so the layout is an interface: keys sorted by code point, two-space
//! indent, list items in the column of their key, `""`, `{}`, `null`, double quotes only where plain text would be
//! read as something else.

use std::fmt::Write as _;

use super::Node;

/// `node` as one YAML document with a final newline.
pub fn emit(node: &Node) -> String {
    let mut out = String::new();
    block(node, 0, &mut out);
    out
}

fn block(node: &Node, indent: usize, out: &mut String) {
    match node {
        Node::Map(entries) if !entries.is_empty() => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                if index > 0 || !out.ends_with("- ") {
                    pad(indent, out);
                }
                out.push_str(&scalar(key));
                out.push(':');
                child(value, indent, out);
            }
        }
        Node::List(items) if !items.is_empty() => {
            for item in items {
                pad(indent, out);
                out.push_str("- ");
                match item {
                    Node::Map(entries) if !entries.is_empty() => block(item, indent + 2, out),
                    Node::List(items) if !items.is_empty() => {
                        out.pop();
                        out.push('\n');
                        block(item, indent + 2, out);
                    }
                    other => line(other, out),
                }
            }
        }
        other => {
            pad(indent, out);
            line(other, out);
        }
    }
}

fn child(value: &Node, indent: usize, out: &mut String) {
    match value {
        Node::Map(entries) if !entries.is_empty() => {
            out.push('\n');
            block(value, indent + 2, out);
        }
        Node::List(items) if !items.is_empty() => {
            out.push('\n');
            block(value, indent, out);
        }
        other => {
            out.push(' ');
            line(other, out);
        }
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn line(node: &Node, out: &mut String) {
    match node {
        Node::Null => out.push_str("null"),
        Node::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        // Writing to a String cannot fail.
        Node::Int(value) => drop(write!(out, "{value}")),
        Node::Float(value) => drop(write!(out, "{value}")),
        Node::Text(value) => out.push_str(&scalar(value)),
        Node::List(_) => out.push_str("[]"),
        Node::Map(_) => out.push_str("{}"),
    }
    out.push('\n');
}

fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

fn is_plain(text: &str) -> bool {
    const RESERVED: [&str; 17] = [
        "null", "~", "true", "false", "yes", "no", "on", "off", "y", "n", "<<", "=", ".inf", "-.inf", "+.inf", ".nan",
        "-",
    ];
    let Some(first) = text.chars().next() else { return false };
    let number_like = text.parse::<f64>().is_ok()
        || (first.is_ascii_digit() && text.bytes().all(|byte| byte.is_ascii_hexdigit() || b"xob_.".contains(&byte)));
    !(first.is_whitespace()
        || "-?:,[]{}#&*!|>'\"%@`".contains(first) && !(first == '-' && text.len() > 1 && !text.starts_with("- "))
        || text.ends_with([' ', ':'])
        || text.contains(": ")
        || text.contains(" #")
        || text.chars().any(char::is_control)
        || RESERVED.contains(&text.to_ascii_lowercase().as_str())
        || (number_like && !looks_like_address(text)))
}

/// `10.0.0.1` is never a number although it is made of digits and dots.
fn looks_like_address(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b'.').count() > 1
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            control if control.is_control() => drop(write!(out, "\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

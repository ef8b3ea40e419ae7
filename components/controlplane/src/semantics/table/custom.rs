//! Tables of custom resources: the printer columns of their definition. Source: spec 10 §6 "additionalPrinterColumns".

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Column, age};
use crate::semantics::resources::Custom;
use crate::semantics::validation::report::text;

/// Name, then the declared columns, or Age when none are declared.
pub(super) fn columns(custom: &Custom) -> Vec<Column> {
    let column = |name: &str, kind: &str, format: &str, description: &str, priority| Column {
        name: name.to_owned(),
        column_type: kind.to_owned(),
        format: format.to_owned(),
        description: description.to_owned(),
        priority,
    };
    let mut columns = vec![column("Name", "string", "name", "Name", 0)];
    for declared in &custom.printer_columns {
        let of = |field: &str| text(&declared[field]);
        let priority = declared["priority"].as_i64().unwrap_or_default();
        columns.push(column(of("name"), of("type"), of("format"), of("description"), priority));
    }
    if custom.printer_columns.is_empty() {
        columns.push(column("Age", "date", "", "Age", 0));
    }
    columns
}

pub(super) fn cells(custom: &Custom, object: &Value, now: Timestamp) -> Vec<Value> {
    let mut cells = vec![object["metadata"]["name"].clone()];
    for declared in &custom.printer_columns {
        let found = find(object, text(&declared["jsonPath"]));
        cells.push(cell(&found, text(&declared["type"]), now));
    }
    if custom.printer_columns.is_empty() {
        cells.push(age::since(&object["metadata"]["creationTimestamp"], now).into());
    }
    cells
}

/// What a column of this type shows for the values its path found; null when it found none of the type.
fn cell(found: &[&Value], kind: &str, now: Timestamp) -> Value {
    let Some(first) = found.first() else { return Value::Null };
    match kind {
        "integer" => first.as_i64().or_else(|| text(first).parse().ok()).map_or(Value::Null, Value::from),
        "number" => first.as_f64().or_else(|| text(first).parse().ok()).map_or(Value::Null, Value::from),
        "boolean" => first.as_bool().map_or(Value::Null, Value::from),
        "date" => match first.as_str() {
            Some(_) => age::since(first, now).into(),
            None => Value::Null,
        },
        _ => match (found, first) {
            (_, Value::Null) => Value::Null,
            ([_], Value::String(text)) => json!(text),
            ([_], other) => other.to_string().into(),
            (many, _) => {
                let shown = many.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                shown.collect::<Vec<_>>().join(",").into()
            }
        },
    }
}

/// The values a simple JSON path names: `.a.b`, `.list[0]`, `.list[*].x`, `.list[?(@.type=="Ready")].status`, `['k']`.
pub(super) fn find<'a>(object: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![object];
    let mut rest = path.trim().trim_start_matches('{').trim_end_matches('}').trim_start_matches('$');
    while !rest.is_empty() {
        let step;
        (step, rest) = split(rest);
        found = found.into_iter().flat_map(|value| step_into(value, step)).collect();
        if found.is_empty() {
            break;
        }
    }
    found
}

/// The first step of a path and what follows it.
fn split(path: &str) -> (&str, &str) {
    if let Some(inner) = path.strip_prefix('[') {
        let (mut depth, mut quote) = (1_usize, None);
        for (at, c) in inner.char_indices() {
            match (c, quote) {
                (c, Some(open)) if c == open => quote = None,
                ('\'' | '"', None) => quote = Some(c),
                ('[' | '(', None) => depth += 1,
                (')', None) => depth = depth.saturating_sub(1),
                (']', None) => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return (&path[..at + 2], &inner[at + 1..]);
                    }
                }
                _ => {}
            }
        }
        return (path, "");
    }
    let name = path.strip_prefix('.').unwrap_or(path);
    // `\.` belongs to the name: annotation keys.
    let mut escaped = false;
    let end = name.char_indices().find(|(_, c)| {
        let ends = !escaped && matches!(c, '.' | '[');
        escaped = !escaped && *c == '\\';
        ends
    });
    name.split_at(end.map_or(name.len(), |(at, _)| at))
}

fn step_into<'a>(value: &'a Value, step: &str) -> Vec<&'a Value> {
    let Some(inner) = step.strip_prefix('[').and_then(|step| step.strip_suffix(']')) else {
        return match step {
            "" => vec![value],
            "*" => all(value),
            name => value.get(name.replace("\\.", ".")).into_iter().collect(),
        };
    };
    let inner = inner.trim();
    if inner == "*" {
        return all(value);
    }
    if let Some(condition) = inner.strip_prefix("?(").and_then(|inner| inner.strip_suffix(')')) {
        return all(value).into_iter().filter(|item| holds(item, condition)).collect();
    }
    if let Ok(index) = inner.parse::<i64>() {
        let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let at = if index < 0 {
            list.len().checked_sub(usize::try_from(-index).unwrap_or(usize::MAX))
        } else {
            usize::try_from(index).ok()
        };
        return at.and_then(|at| list.get(at)).into_iter().collect();
    }
    value.get(inner.trim_matches(['\'', '"'])).into_iter().collect()
}

fn all(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(map) => map.values().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// `@.field=="value"` or `@.field!="value"`, or only `@.field` for being there.
fn holds(item: &Value, condition: &str) -> bool {
    let (path, wanted, equal) = match (condition.split_once("=="), condition.split_once("!=")) {
        (Some((path, value)), _) => (path, Some(value), true),
        (None, Some((path, value))) => (path, Some(value), false),
        (None, None) => (condition, None, true),
    };
    let found = find_simple(item, path.trim().trim_start_matches('@'));
    match (found, wanted) {
        (found, None) => found.is_some(),
        (None, Some(_)) => !equal,
        (Some(found), Some(wanted)) => {
            let wanted = wanted.trim().trim_matches(['\'', '"']);
            let shown = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            let same = shown == wanted;
            same == equal
        }
    }
}

/// A dotted path without brackets; conditions need no more, and so cannot nest.
fn find_simple<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').filter(|name| !name.is_empty()).try_fold(value, |value, name| value.get(name))
}

//! Validation of custom objects by their structural schema. Source: spec 10 §6 "Validation".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use regex::Regex;
use serde_json::Value;

use super::super::json::Path;
use super::super::names;
use super::super::resources::Custom;
use super::super::validation::Cause;
use super::super::validation::report::{Report, items, text};

/// Largest compiled pattern, in bytes.
const PATTERN_SIZE: usize = 1 << 20;

/// Everything a custom object breaks of its schema.
pub(in crate::semantics) fn check(custom: &Custom, object: &Value) -> Vec<Cause> {
    let mut report = Report::default();
    if let Some(schema) = &custom.schema {
        value(schema, object, Path::Root, &mut report);
    }
    report.into_causes()
}

fn value(schema: &Value, object: &Value, path: Path<'_>, report: &mut Report) {
    if object.is_null() && schema["nullable"] == true {
        return;
    }
    let wanted = text(&schema["type"]);
    let int_or_string = schema["x-kubernetes-int-or-string"] == true;
    if int_or_string && !(object.is_string() || is_integer(object)) {
        let found = kind_of(object);
        report.wrong_type(path, found, format_args!("{path} in body must be of type integer or string: {found:?}"));
        return;
    }
    if !wanted.is_empty() && !has_type(object, wanted) {
        let found = kind_of(object);
        report.wrong_type(path, found, format_args!("{path} in body must be of type {wanted}: {found:?}"));
        return;
    }
    constraints(schema, object, path, report);
    match object {
        Value::Object(map) => {
            let required = items(&schema["required"]);
            for field in required.iter().map(text).filter(|field| !map.contains_key(*field)) {
                report.required(path.key(field), "");
            }
            for (key, item) in map {
                if let Some(property) = schema["properties"].get(key) {
                    value(property, item, path.key(key), report);
                } else if schema["additionalProperties"].is_object() {
                    value(&schema["additionalProperties"], item, path.key(key), report);
                }
            }
        }
        Value::Array(list) if schema["items"].is_object() => {
            for (index, item) in list.iter().enumerate() {
                value(&schema["items"], item, path.index(index), report);
            }
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    logic(schema, object, path, report);
}

/// Value validations alone: what allOf, anyOf, oneOf and not hold.
fn holds(schema: &Value, object: &Value) -> bool {
    let mut report = Report::default();
    value(schema, object, Path::Root, &mut report);
    report.into_causes().is_empty()
}

fn logic(schema: &Value, object: &Value, path: Path<'_>, report: &mut Report) {
    let invalid = |report: &mut Report, why: &str| {
        report.invalid(path, &"".into(), format_args!("{} {why}", Shown(path)));
    };
    for inner in items(&schema["allOf"]) {
        value(inner, object, path, report);
    }
    let any = items(&schema["anyOf"]);
    if !any.is_empty() && !any.iter().any(|inner| holds(inner, object)) {
        invalid(report, "in body must validate at least one schema (anyOf)");
    }
    let one = items(&schema["oneOf"]);
    if !one.is_empty() && one.iter().filter(|inner| holds(inner, object)).count() != 1 {
        invalid(report, "in body must validate one and only one schema (oneOf)");
    }
    if schema["not"].is_object() && holds(&schema["not"], object) {
        invalid(report, "in body must not validate the schema (not)");
    }
}

/// A path in a sentence; the root prints as `<nil>` does in Go's texts.
struct Shown<'a>(Path<'a>);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Path::Root => f.write_str("<nil>"),
            path @ (Path::Key(..) | Path::Index(..)) => path.fmt(f),
        }
    }
}

fn constraints(schema: &Value, object: &Value, path: Path<'_>, report: &mut Report) {
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(object)
    {
        let shown: Vec<String> =
            allowed.iter().map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned)).collect();
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        report.not_supported(path, object, &shown);
    }
    match object {
        Value::Number(_) => number(schema, object, path, report),
        Value::String(word) => string(schema, word, object, path, report),
        Value::Array(list) => array(schema, list, path, report),
        Value::Object(map) => {
            if schema["minProperties"].as_u64().is_some_and(|min| (map.len() as u64) < min) {
                let why = format!("{path} in body should have at least {} properties", schema["minProperties"]);
                report.invalid(path, object, why);
            }
            if let Some(max) = limit(&schema["maxProperties"])
                && map.len() > max
            {
                report.too_many(path, map.len(), max);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn number(schema: &Value, object: &Value, path: Path<'_>, report: &mut Report) {
    let Some(number) = object.as_f64() else { return };
    if let Some(min) = schema["minimum"].as_f64() {
        let exclusive = schema["exclusiveMinimum"] == true;
        if number < min || (exclusive && number <= min) {
            let or = if exclusive { "" } else { " or equal to" };
            report.invalid(
                path,
                object,
                format_args!("{path} in body should be greater than{or} {}", schema["minimum"]),
            );
        }
    }
    if let Some(max) = schema["maximum"].as_f64() {
        let exclusive = schema["exclusiveMaximum"] == true;
        if number > max || (exclusive && number >= max) {
            let or = if exclusive { "" } else { " or equal to" };
            report.invalid(path, object, format_args!("{path} in body should be less than{or} {}", schema["maximum"]));
        }
    }
    if let Some(factor) = schema["multipleOf"].as_f64().filter(|factor| *factor != 0.0) {
        let quotient = number / factor;
        if (quotient - quotient.round()).abs() > 1e-9 {
            report.invalid(
                path,
                object,
                format_args!("{path} in body should be a multiple of {}", schema["multipleOf"]),
            );
        }
    }
    let range = match text(&schema["format"]) {
        "int32" => Some((f64::from(i32::MIN), f64::from(i32::MAX))),
        _ => None,
    };
    if range.is_some_and(|(min, max)| number < min || number > max) {
        report.invalid(path, object, format_args!("{path} in body must be of type int32: {object}"));
    }
}

fn string(schema: &Value, word: &str, object: &Value, path: Path<'_>, report: &mut Report) {
    let length = word.chars().count();
    if limit(&schema["minLength"]).is_some_and(|min| length < min) {
        report.invalid(
            path,
            object,
            format_args!("{path} in body should be at least {} chars long", schema["minLength"]),
        );
    }
    if let Some(max) = limit(&schema["maxLength"])
        && length > max
    {
        report.too_long(path, max);
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        // A pattern of another dialect cannot be judged; the definition was accepted with it.
        let regex = regex::RegexBuilder::new(pattern).size_limit(PATTERN_SIZE).build();
        if regex.is_ok_and(|regex: Regex| !regex.is_match(word)) {
            report.invalid(path, object, format_args!("{path} in body should match '{pattern}'"));
        }
    }
    let format = text(&schema["format"]);
    if !format.is_empty() && !has_format(word, format) {
        report.invalid(path, object, format_args!("{path} in body must be of type {format}: {word:?}"));
    }
}

fn array(schema: &Value, list: &[Value], path: Path<'_>, report: &mut Report) {
    if limit(&schema["minItems"]).is_some_and(|min| list.len() < min) {
        let why = format!("{path} in body should have at least {} items", schema["minItems"]);
        report.invalid(path, &list.len().into(), why);
    }
    if let Some(max) = limit(&schema["maxItems"])
        && list.len() > max
    {
        report.too_many(path, list.len(), max);
    }
    let keys = items(&schema["x-kubernetes-list-map-keys"]);
    let same = |a: &Value, b: &Value| match text(&schema["x-kubernetes-list-type"]) {
        "set" => a == b,
        "map" => keys.iter().all(|key| a[text(key)] == b[text(key)]),
        _ => false,
    };
    for (index, item) in list.iter().enumerate() {
        if list[..index].iter().any(|other| same(other, item)) {
            let shown = if keys.is_empty() {
                item.clone()
            } else {
                keys.iter().map(|key| (text(key).to_owned(), item[text(key)].clone())).collect()
            };
            report.duplicate(path.index(index), &shown);
        }
    }
}

fn limit(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

fn has_type(value: &Value, wanted: &str) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => is_integer(value),
        _ => true,
    }
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if is_integer(value) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Formats that are checked; unknown ones accept everything, as in Kubernetes.
fn has_format(word: &str, format: &str) -> bool {
    match format {
        "date-time" => word.parse::<jiff::Timestamp>().is_ok(),
        "date" => word.parse::<jiff::civil::Date>().is_ok() && word.len() == 10,
        "byte" => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.decode(word).is_ok()
        }
        "ipv4" => word.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => word.parse::<Ipv6Addr>().is_ok(),
        "cidr" => word.split_once('/').is_some_and(|(address, length)| {
            address.parse::<IpAddr>().is_ok_and(|address| {
                length.parse::<u8>().is_ok_and(|length| length <= if address.is_ipv4() { 32 } else { 128 })
            })
        }),
        "uuid" => uuid::Uuid::try_parse(word).is_ok(),
        "hostname" => names::dns_subdomain(&word.to_lowercase()).is_none(),
        "email" => word.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty()),
        "uri" => {
            word.parse::<http::Uri>().is_ok_and(|uri| uri.scheme().is_some() || word.starts_with('/'))
                || has_scheme(word)
        }
        _ => true,
    }
}

/// URIs without authority, such as `mailto:` or `opc.tcp:`.
fn has_scheme(word: &str) -> bool {
    word.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
            && !rest.is_empty()
            && !rest.contains(char::is_whitespace)
    })
}

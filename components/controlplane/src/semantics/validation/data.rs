//! ConfigMap and Secret. Source: spec 10 §2.3, §2.5.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::report::{Report, text};
use crate::semantics::names;

/// Most bytes of data one object may hold.
const MAX_DATA: usize = 1_048_576;

/// Rules of a ConfigMap.
pub(super) fn config_map(object: &Value, old: Option<&Value>, report: &mut Report) {
    let mut total = 0;
    for (key, value) in object["data"].as_object().into_iter().flatten() {
        report.name(format_args!("data[{key}]"), key, names::config_key(key));
        total += text(value).len();
        if object["binaryData"].get(key).is_some() {
            let why = "duplicate of key present in binaryData";
            report.invalid(format_args!("data[{key}]"), &key.as_str().into(), why);
        }
    }
    for (key, value) in object["binaryData"].as_object().into_iter().flatten() {
        report.name(format_args!("binaryData[{key}]"), key, names::config_key(key));
        total += decoded_len(value);
    }
    if total > MAX_DATA {
        report.too_long("[]", MAX_DATA);
    }
    if let Some(old) = old {
        frozen(object, old, &["data", "binaryData"], report);
    }
}

/// Rules of a Secret.
pub(super) fn secret(object: &Value, old: Option<&Value>, report: &mut Report) {
    let mut total = 0;
    for (key, value) in object["data"].as_object().into_iter().flatten() {
        report.name(format_args!("data[{key}]"), key, names::config_key(key));
        total += decoded_len(value);
    }
    if total > MAX_DATA {
        report.too_long("data", MAX_DATA);
    }
    secret_type(object, report);
    if let Some(old) = old {
        report.immutable("type", &old["type"], &object["type"]);
        frozen(object, old, &["data"], report);
    }
}

fn secret_type(object: &Value, report: &mut Report) {
    let data = |key: &str| object["data"].get(key);
    match text(&object["type"]) {
        "kubernetes.io/service-account-token"
            if text(&object["metadata"]["annotations"]["kubernetes.io/service-account.name"]).is_empty() =>
        {
            report.required("metadata.annotations[kubernetes.io/service-account.name]", "");
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"] {
                if data(key).is_none() {
                    report.required(format_args!("data[{key}]"), "");
                }
            }
        }
        "kubernetes.io/dockerconfigjson" => docker_config(data(".dockerconfigjson"), ".dockerconfigjson", report),
        "kubernetes.io/dockercfg" => docker_config(data(".dockercfg"), ".dockercfg", report),
        "kubernetes.io/basic-auth" if data("username").is_none() && data("password").is_none() => {
            report.required("data[username]", "");
            report.required("data[password]", "");
        }
        "kubernetes.io/ssh-auth" if data("ssh-privatekey").is_none_or(|key| text(key).is_empty()) => {
            report.required("data[ssh-privatekey]", "");
        }
        _ => {}
    }
}

fn docker_config(value: Option<&Value>, key: &str, report: &mut Report) {
    let Some(value) = value else {
        report.required(format_args!("data[{key}]"), "");
        return;
    };
    let bytes = STANDARD.decode(text(value)).unwrap_or_default();
    if let Err(error) = serde_json::from_slice::<serde_json::Map<String, Value>>(&bytes) {
        // The content is a credential: it is never repeated.
        report.invalid(format_args!("data[{key}]"), &"<secret contents redacted>".into(), error);
    }
}

/// `immutable: true` is one-way and freezes the data.
fn frozen(object: &Value, old: &Value, fields: &[&str], report: &mut Report) {
    if old["immutable"] != true {
        return;
    }
    if object["immutable"] != true {
        report.forbidden("immutable", "field is immutable when `immutable` is set");
    }
    for field in fields {
        if object[field] != old[field] {
            report.forbidden(field, "field is immutable when `immutable` is set");
        }
    }
}

fn decoded_len(value: &Value) -> usize {
    let encoded = text(value).trim_end_matches('=');
    encoded.len() / 4 * 3 + (encoded.len() % 4 * 3) / 4
}

//! Volumes of a pod spec. Source: spec 10 §2.5.

use std::collections::BTreeSet;

use serde_json::Value;

use super::report::{Report, items, text};
use crate::semantics::json::Path;
use crate::semantics::names;

/// Checks the volumes and returns their names.
pub(super) fn volumes<'a>(spec: &'a Value, path: Path<'_>, report: &mut Report) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    for (index, volume) in items(&spec["volumes"]).iter().enumerate() {
        let at = path.index(index);
        let name = text(&volume["name"]);
        if name.is_empty() {
            report.required(at.key("name"), "");
        } else {
            report.name(at.key("name"), name, names::dns_label(name));
            if !seen.insert(name) {
                report.duplicate(at.key("name"), &volume["name"]);
            }
        }
        source(volume, at, report);
    }
    seen
}

fn source(volume: &Value, path: Path<'_>, report: &mut Report) {
    let mut sources = volume.as_object().into_iter().flatten().filter(|(key, _)| *key != "name");
    let Some((kind, source)) = sources.next() else {
        report.required(path, "must specify a volume type");
        return;
    };
    for (second, _) in sources {
        report.forbidden(path.key(second), "may not specify more than 1 volume type");
    }
    let at = path.key(kind);
    match kind.as_str() {
        "hostPath" => {
            let host = text(&source["path"]);
            if host.is_empty() {
                report.required(at.key("path"), "");
            } else if host.split('/').any(|part| part == "..") {
                report.invalid(at.key("path"), &source["path"], "must not contain '..'");
            }
            report.maybe_one_of(
                at.key("type"),
                &source["type"],
                &["DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice", ""],
            );
        }
        "configMap" => {
            if text(&source["name"]).is_empty() {
                report.required(at.key("name"), "");
            }
            files(source, at, report);
        }
        "secret" => {
            if text(&source["secretName"]).is_empty() {
                report.required(at.key("secretName"), "");
            }
            files(source, at, report);
        }
        "downwardAPI" => mode(&source["defaultMode"], at.key("defaultMode"), report),
        "projected" => projected(source, at, report),
        "persistentVolumeClaim" if text(&source["claimName"]).is_empty() => report.required(at.key("claimName"), ""),
        "nfs" => {
            for field in ["server", "path"] {
                if text(&source[field]).is_empty() {
                    report.required(at.key(field), "");
                }
            }
        }
        _ => {}
    }
}

fn projected(source: &Value, path: Path<'_>, report: &mut Report) {
    mode(&source["defaultMode"], path.key("defaultMode"), report);
    let list = path.key("sources");
    for (index, entry) in items(&source["sources"]).iter().enumerate() {
        let at = list.index(index);
        if entry.as_object().is_some_and(|map| map.len() > 1) {
            report.forbidden(at, "may not specify more than 1 volume type");
        }
        let token = &entry["serviceAccountToken"];
        if token.is_object() {
            let at = at.key("serviceAccountToken");
            let seconds = token["expirationSeconds"].as_i64().unwrap_or(3600);
            if seconds < 600 {
                report.invalid(
                    at.key("expirationSeconds"),
                    &token["expirationSeconds"],
                    "may not specify a duration less than 10 minutes",
                );
            }
            if seconds > 1 << 32 {
                report.invalid(
                    at.key("expirationSeconds"),
                    &token["expirationSeconds"],
                    "may not specify a duration larger than 2^32 seconds",
                );
            }
            if text(&token["path"]).is_empty() {
                report.required(at.key("path"), "");
            }
        }
    }
}

fn files(source: &Value, path: Path<'_>, report: &mut Report) {
    mode(&source["defaultMode"], path.key("defaultMode"), report);
    let list = path.key("items");
    for (index, item) in items(&source["items"]).iter().enumerate() {
        let at = list.index(index);
        if text(&item["key"]).is_empty() {
            report.required(at.key("key"), "");
        }
        let target = text(&item["path"]);
        if target.is_empty() {
            report.required(at.key("path"), "");
        } else if target.starts_with('/') {
            report.invalid(at.key("path"), &item["path"], "must be a relative path");
        } else if target.split('/').any(|part| part == "..") {
            report.invalid(at.key("path"), &item["path"], "must not contain '..'");
        }
        mode(&item["mode"], at.key("mode"), report);
    }
}

fn mode(mode: &Value, path: Path<'_>, report: &mut Report) {
    if mode.as_i64().is_some_and(|bits| !(0..=0o777).contains(&bits)) {
        report.invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive");
    }
}

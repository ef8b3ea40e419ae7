//! CustomResourceDefinitions: the resources they serve and what their structural schemas do to objects.
//!
//! Source: spec 10 §6.

mod check;
mod prune;

use serde_json::Value;

use super::canonical;
use super::json::Path;
use super::resources::{Custom, PART_VERBS, ResourceInfo, SCALE, STANDARD_VERBS, ScalePaths, Subresource, Text};
use super::schema;

pub(super) use check::check;
pub(super) use prune::default;

/// The resources a definition serves, one per served version, storage version first.
pub fn resources_of(definition: &Value) -> Vec<ResourceInfo> {
    let spec = &definition["spec"];
    let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let storage =
        versions.iter().find(|version| version["storage"] == true).and_then(|version| version["name"].as_str());
    let served = versions.iter().filter(|version| version["served"] == true);
    served.map(|version| resource(definition, version, storage.unwrap_or_default())).collect()
}

/// Schema problems clients should hear about when they create a definition.
pub fn warnings(definition: &Value) -> Vec<String> {
    let versions = definition["spec"]["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let with_rules = versions.iter().filter(|version| has_rules(&version["schema"]["openAPIV3Schema"]));
    let text = |version: &Value| {
        format!(
            "spec.versions[{}]: x-kubernetes-validations are stored but not evaluated by this server",
            version["name"].as_str().unwrap_or_default()
        )
    };
    with_rules.map(text).collect()
}

fn has_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.iter().any(|(key, inner)| key == "x-kubernetes-validations" || has_rules(inner)),
        Value::Array(items) => items.iter().any(has_rules),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn resource(definition: &Value, version: &Value, storage: &str) -> ResourceInfo {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let owned = |value: &Value| Text::Owned(value.as_str().unwrap_or_default().to_owned());
    let list = |value: &Value| value.as_array().into_iter().flatten().map(owned).collect();
    let or = |value: Text, other: String| if value.is_empty() { Text::Owned(other) } else { value };
    let kind = owned(&names["kind"]);
    let subresources = &version["subresources"];
    let has_status = subresources["status"].is_object();
    let scale = scale_paths(&subresources["scale"]);
    let mut parts = Vec::new();
    if has_status {
        parts.push(Subresource { name: "status", kind: "", foreign: None, verbs: PART_VERBS });
    }
    if scale.is_some() {
        parts.push(SCALE);
    }
    let deprecation_warning = (version["deprecated"] == true).then(|| {
        let told = version["deprecationWarning"].as_str().map(str::to_owned);
        told.unwrap_or_else(|| {
            format!(
                "{}/{} {kind} is deprecated",
                spec["group"].as_str().unwrap_or_default(),
                version["name"].as_str().unwrap_or_default()
            )
        })
    });
    ResourceInfo {
        group: owned(&spec["group"]),
        version: owned(&version["name"]),
        plural: owned(&names["plural"]),
        singular: or(owned(&names["singular"]), kind.to_lowercase()),
        list_kind: or(owned(&names["listKind"]), format!("{kind}List")),
        short_names: list(&names["shortNames"]),
        categories: list(&names["categories"]),
        namespaced: spec["scope"] == "Namespaced",
        verbs: STANDARD_VERBS,
        subresources: parts,
        has_status,
        has_scale: scale.is_some(),
        create_on_update: false,
        unconditional_update: false,
        has_generation: true,
        storage_group: owned(&spec["group"]),
        storage_version: Text::Owned(storage.to_owned()),
        message: None,
        custom: Some(Custom {
            definition: definition["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
            schema: version["schema"].get("openAPIV3Schema").cloned(),
            printer_columns: version["additionalPrinterColumns"].as_array().cloned().unwrap_or_default(),
            scale,
            selectable_fields: version["selectableFields"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|field| field["jsonPath"].as_str().map(str::to_owned))
                .collect(),
            deprecation_warning,
        }),
        kind,
    }
}

fn scale_paths(scale: &Value) -> Option<ScalePaths> {
    let text = |field| scale.get(field).and_then(Value::as_str).filter(|path| !path.is_empty()).map(str::to_owned);
    Some(ScalePaths {
        spec_replicas: text("specReplicasPath")?,
        status_replicas: text("statusReplicasPath")?,
        label_selector: text("labelSelectorPath"),
    })
}

/// Coerces metadata, removes what the schema does not know (paths go to `unknown`) and nulls that may not be null.
pub(super) fn clean(resource: &ResourceInfo, object: &mut Value, unknown: &mut Vec<String>) -> Result<(), String> {
    if let Value::Object(map) = object {
        let metadata = map.entry("metadata").or_insert_with(|| Value::Object(serde_json::Map::new()));
        clean_metadata(metadata, Path::Root.key("metadata"), unknown)?;
    }
    if let Some(schema) = resource.custom.as_ref().and_then(|custom| custom.schema.as_ref()) {
        prune::prune(schema, object, Path::Root, true, unknown);
        prune::drop_nulls(schema, object);
    }
    Ok(())
}

fn clean_metadata(metadata: &mut Value, path: Path<'_>, unknown: &mut Vec<String>) -> Result<(), String> {
    let Some(message) = schema::find("meta.v1.ObjectMeta") else { return Ok(()) };
    let mut found = Vec::new();
    canonical::clean(message, metadata, &mut found).map_err(|error| error.0)?;
    unknown.extend(found.into_iter().map(|field| format!("{path}.{field}")));
    Ok(())
}

#[cfg(test)]
mod tests;

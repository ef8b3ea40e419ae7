//! Object metadata: what the server sets, keeps and refuses. Source: spec 10 §4.1, §4.2.

use jiff::Timestamp;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Map, Value, json};

use super::status::ApiError;
use crate::semantics::resources::ResourceInfo;

/// Characters of generated name suffixes; no vowels, so no words.
const SUFFIX: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Length of generated suffixes.
const SUFFIX_LENGTH: usize = 5;
/// Longest base in front of a generated suffix.
const BASE_LENGTH: usize = 58;

/// A string field of `metadata`; empty when absent.
pub fn field<'a>(object: &'a Value, name: &str) -> &'a str {
    object["metadata"][name].as_str().unwrap_or_default()
}

/// `metadata.name`.
pub fn name(object: &Value) -> &str {
    field(object, "name")
}

/// `metadata.namespace`.
pub fn namespace(object: &Value) -> &str {
    field(object, "namespace")
}

/// `metadata.uid`.
pub fn uid(object: &Value) -> &str {
    field(object, "uid")
}

/// Whether deletion has begun.
pub fn is_deleting(object: &Value) -> bool {
    object["metadata"].get("deletionTimestamp").is_some_and(|t| !t.is_null())
}

/// The finalizers.
pub fn finalizers(object: &Value) -> Vec<&str> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The `metadata` map, created if absent.
pub fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    object["metadata"].as_object_mut().expect("the line above made it an object")
}

/// Seconds-precise time as the API prints it.
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Random characters that are valid in names.
pub fn random_suffix(length: usize) -> String {
    let mut bytes = vec![0; length];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        // No randomness from the kernel: a collision is detected at the store anyway.
        bytes = uuid::Uuid::new_v4().as_bytes().iter().copied().cycle().take(length).collect();
    }
    bytes.iter().map(|byte| char::from(SUFFIX[usize::from(*byte) % SUFFIX.len()])).collect()
}

/// A name for `generateName`.
pub fn generated_name(base: &str) -> String {
    let cut = base.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= BASE_LENGTH).last();
    format!("{}{}", &base[..cut.unwrap_or(0)], random_suffix(SUFFIX_LENGTH))
}

/// Checks the object against the URL and fills name and namespace in.
///
/// # Errors
/// 400 when they contradict each other.
pub fn match_url(info: &ResourceInfo, object: &mut Value, ns: &str, url_name: &str) -> Result<(), ApiError> {
    let in_body = namespace(object).to_owned();
    if info.namespaced {
        if !in_body.is_empty() && in_body != ns {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
    } else if !in_body.is_empty() && !info.is("", "namespaces") {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let body_name = name(object).to_owned();
    if !url_name.is_empty() && !body_name.is_empty() && body_name != url_name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({body_name}) does not match the name on the URL ({url_name})"
        )));
    }
    let metadata = metadata_mut(object);
    if info.namespaced {
        metadata.insert("namespace".into(), ns.into());
    } else {
        metadata.remove("namespace");
    }
    if !url_name.is_empty() {
        metadata.insert("name".into(), url_name.into());
    }
    Ok(())
}

/// Metadata of a new object. `uid` and `now` come from the caller so that retries keep them.
pub fn prepare_create(info: &ResourceInfo, object: &mut Value, uid: &str, now: Timestamp) {
    let metadata = metadata_mut(object);
    for absent in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion", "managedFields"] {
        metadata.remove(absent);
    }
    metadata.insert("uid".into(), uid.into());
    metadata.insert("creationTimestamp".into(), time(now).into());
    if info.has_generation {
        metadata.insert("generation".into(), 1.into());
    } else {
        metadata.remove("generation");
    }
}

/// Metadata of a changed object: what only the server decides is taken from the stored one.
///
/// # Errors
/// 409 when the uid is another object's; 422 for finalizers added to an object that is being deleted.
pub fn prepare_update(info: &ResourceInfo, old: &Value, new: &mut Value) -> Result<(), ApiError> {
    let object_name = name(old).to_owned();
    let claimed = uid(new).to_owned();
    if !claimed.is_empty() && claimed != uid(old) {
        return Err(ApiError::precondition(
            info,
            &object_name,
            &format!("Precondition failed: UID in precondition: {claimed}, UID in object meta: {}", uid(old)),
        ));
    }
    let metadata = metadata_mut(new);
    for kept in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "generateName",
        "resourceVersion",
        "selfLink",
    ] {
        match old["metadata"].get(kept) {
            Some(value) => metadata.insert(kept.into(), value.clone()),
            None => metadata.remove(kept),
        };
    }
    // An absent list keeps the entries, an empty one clears them.
    match metadata.get("managedFields").and_then(Value::as_array) {
        Some(entries) if entries.iter().all(|entry| entry.as_object().is_none_or(Map::is_empty)) => {
            metadata.remove("managedFields");
        }
        Some(_) => {}
        None => {
            if let Some(entries) = old["metadata"].get("managedFields") {
                metadata.insert("managedFields".into(), entries.clone());
            }
        }
    }
    if is_deleting(old) {
        let before = finalizers(old);
        let added: Vec<&str> = finalizers(new).into_iter().filter(|f| !before.contains(f)).collect();
        if !added.is_empty() {
            let text = format!(
                "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers {added:?}"
            );
            return Err(ApiError::invalid_field(info, &object_name, "metadata.finalizers", &text));
        }
    }
    Ok(())
}

/// Raises the generation by one.
pub fn bump_generation(object: &mut Value) {
    let next = object["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
    metadata_mut(object).insert("generation".into(), next.into());
}

/// Whether two objects differ in nothing but their resourceVersion.
pub fn same_content(old: &Value, new: &Value) -> bool {
    let (Some(old_map), Some(new_map)) = (old.as_object(), new.as_object()) else { return old == new };
    let rest = |map: &Map<String, Value>| map.iter().filter(|(key, _)| *key != "metadata").count();
    if rest(old_map) != rest(new_map) {
        return false;
    }
    let same_rest =
        old_map.iter().filter(|(key, _)| *key != "metadata").all(|(key, value)| new_map.get(key) == Some(value));
    let metadata = |object: &Value| -> Map<String, Value> {
        let mut metadata = object["metadata"].as_object().cloned().unwrap_or_default();
        metadata.remove("resourceVersion");
        metadata
    };
    same_rest && metadata(old) == metadata(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_cut_to_63_characters() {
        let name = generated_name(&"x".repeat(80));
        assert_eq!(name.len(), 63);
        assert_eq!(generated_name("web-").len(), 9);
    }

    #[test]
    fn the_resource_version_alone_is_no_difference() {
        let a = json!({"metadata": {"name": "a", "resourceVersion": "1"}, "data": {"k": "v"}});
        let mut b = json!({"metadata": {"name": "a", "resourceVersion": "2"}, "data": {"k": "v"}});
        assert!(same_content(&a, &b));
        b["data"]["k"] = "w".into();
        assert!(!same_content(&a, &b));
        b["data"] = json!({"k": "v", "l": 1});
        assert!(!same_content(&a, &b));
    }
}

//! The standard roles and bindings, from `policy.yaml` to objects. Source: spec 10 §8.4.

use serde::Deserialize;
use serde_json::{Value, json};

use super::rbac::GROUP;

/// The embedded list; small enough to be read once at start.
const POLICY: &str = include_str!("policy.yaml");
/// Users set this annotation to `false` to keep us away from a standard object.
pub const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    cluster_roles: Vec<Role>,
    cluster_role_bindings: Vec<Binding>,
    roles: Vec<Role>,
}

#[derive(Deserialize)]
struct Role {
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    rules: Vec<Value>,
    #[serde(default)]
    aggregate: Option<String>,
    #[serde(default)]
    of: Vec<String>,
}

#[derive(Deserialize)]
struct Binding {
    name: String,
    role: String,
    subjects: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    kind: String,
    name: String,
}

/// One standard object: plural, namespace and the object without uid and times.
pub struct Standard {
    /// Plural of the RBAC kind.
    pub plural: &'static str,
    /// Namespace; empty for cluster-scoped kinds.
    pub ns: String,
    /// The object.
    pub object: Value,
}

fn metadata(name: &str, ns: &str) -> Value {
    let mut metadata = json!({
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {AUTOUPDATE: "true"},
    });
    if !ns.is_empty() {
        metadata["namespace"] = ns.into();
    }
    metadata
}

fn aggregation_label(into: &str) -> String {
    format!("rbac.authorization.k8s.io/aggregate-to-{into}")
}

fn role(kind: &str, role: Role) -> Value {
    let mut object = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": metadata(&role.name, &role.namespace),
    });
    if let Some(into) = &role.aggregate {
        object["metadata"]["labels"][aggregation_label(into)] = "true".into();
    }
    if role.of.is_empty() {
        object["rules"] = role.rules.into();
    } else {
        let selectors = role.of.iter().map(|of| json!({"matchLabels": {aggregation_label(of): "true"}}));
        object["aggregationRule"] = json!({"clusterRoleSelectors": selectors.collect::<Vec<_>>()});
        object["rules"] = json!([]);
    }
    object
}

/// Every standard object.
///
/// # Errors
/// When the embedded list is not readable; a test keeps that from happening.
pub fn standard() -> Result<Vec<Standard>, serde_yaml::Error> {
    let policy: Policy = serde_yaml::from_str(POLICY)?;
    let mut objects = Vec::new();
    for one in policy.cluster_roles {
        objects.push(Standard { plural: "clusterroles", ns: String::new(), object: role("ClusterRole", one) });
    }
    for one in policy.roles {
        objects.push(Standard { plural: "roles", ns: one.namespace.clone(), object: role("Role", one) });
    }
    for one in policy.cluster_role_bindings {
        let subjects: Vec<Value> = one
            .subjects
            .iter()
            .map(|subject| json!({"apiGroup": GROUP, "kind": subject.kind, "name": subject.name}))
            .collect();
        let object = json!({
            "apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRoleBinding", "metadata": metadata(&one.name, ""),
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": one.role},
            "subjects": subjects,
        });
        objects.push(Standard { plural: "clusterrolebindings", ns: String::new(), object });
    }
    Ok(objects)
}

/// Adds what the standard has and `current` lacks; `None` when nothing is missing or the user said hands off.
pub fn complete(current: &Value, standard: &Value) -> Option<Value> {
    if current["metadata"]["annotations"][AUTOUPDATE] == "false" || standard["aggregationRule"].is_object() {
        return None;
    }
    let mut new = current.clone();
    for list in ["rules", "subjects"] {
        let wanted = standard[list].as_array().cloned().unwrap_or_default();
        let mut have = current[list].as_array().cloned().unwrap_or_default();
        let missing: Vec<Value> = wanted.into_iter().filter(|item| !have.contains(item)).collect();
        if !missing.is_empty() {
            have.extend(missing);
            new[list] = have.into();
        }
    }
    (new != *current).then_some(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_policy_is_readable_and_bindings_name_existing_roles() {
        let objects = standard().unwrap();
        let names: Vec<&Value> =
            objects.iter().filter(|o| o.plural == "clusterroles").map(|o| &o.object["metadata"]["name"]).collect();
        for binding in objects.iter().filter(|o| o.plural == "clusterrolebindings") {
            assert!(names.contains(&&binding.object["roleRef"]["name"]), "{}", binding.object);
        }
    }

    #[test]
    fn missing_rules_are_added_and_user_rules_stay() {
        let standard = json!({"rules": [{"verbs": ["get"]}]});
        let current = json!({"metadata": {}, "rules": [{"verbs": ["list"]}]});
        let new = complete(&current, &standard).unwrap();
        assert_eq!(new["rules"].as_array().unwrap().len(), 2);
        assert!(complete(&new, &standard).is_none());
    }
}

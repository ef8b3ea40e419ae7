//! Rows of role bindings.

use serde_json::Value;

use super::look::Look;
use crate::semantics::validation::report::{items, text};

pub(super) fn binding(look: Look<'_>) -> Vec<Value> {
    let of = |kind: &str| {
        let subjects = items(look.at("subjects")).iter().filter(|subject| subject["kind"] == kind);
        let list: Vec<String> = subjects
            .map(|subject| match (kind, text(&subject["namespace"])) {
                ("ServiceAccount", namespace) => format!("{namespace}/{}", text(&subject["name"])),
                _ => text(&subject["name"]).to_owned(),
            })
            .collect();
        Value::from(list.join(", "))
    };
    let role = format!("{}/{}", look.text("roleRef.kind"), look.text("roleRef.name"));
    vec![look.name(), role.into(), look.age(), of("User"), of("Group"), of("ServiceAccount")]
}

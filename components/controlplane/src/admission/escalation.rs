//! Nobody grants what he does not hold, unless he may `escalate` or `bind`. Source: spec 10 §8.4.

use serde_json::Value;

use crate::{
    apiserver::{
        api::{Api, Target, WriteContext},
        meta,
        status::ApiError,
    },
    security::{
        rbac::{self, Decision, RoleRef, Rule},
        user::Attributes,
    },
};

/// Checks a new or changed RBAC object.
pub fn check(
    api: &Api,
    context: &WriteContext,
    target: &Target,
    old: Option<&Value>,
    object: &Value,
) -> Result<(), ApiError> {
    if context.user.is_omnipotent() {
        return Ok(());
    }
    let granted: Vec<Rule> = match target.storage.plural.as_ref() {
        "roles" | "clusterroles" => {
            // Labels count: an aggregating role takes the rules of whatever its selector finds.
            let same = |old: &Value| {
                old["rules"] == object["rules"]
                    && old["aggregationRule"] == object["aggregationRule"]
                    && old["metadata"]["labels"] == object["metadata"]["labels"]
            };
            if old.is_some_and(same) || may(api, context, target, object, "escalate") {
                return Ok(());
            }
            let aggregates = |role: &Value| role["aggregationRule"].is_object();
            if aggregates(object) || old.is_some_and(aggregates) {
                let everything = Rule {
                    verbs: vec!["*".into()],
                    api_groups: vec!["*".into()],
                    resources: vec!["*".into()],
                    ..Rule::default()
                };
                vec![everything]
            } else {
                rbac::rules_of(&object["rules"])
            }
        }
        _ => {
            if old.is_some_and(|old| old["roleRef"] == object["roleRef"] && old["subjects"] == object["subjects"]) {
                return Ok(());
            }
            let role: RoleRef = serde_json::from_value(object["roleRef"].clone()).unwrap_or_default();
            if may_bind(api, context, target, &role) {
                return Ok(());
            }
            api.rbac.rules_of_role(&target.ns, &role).unwrap_or_default()
        }
    };
    let missing = api.rbac.missing(&context.user, &target.ns, &granted);
    if missing.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = missing.iter().map(rbac::describe).collect();
    let cause = format!(
        "user {:?} (groups={:?}) is attempting to grant RBAC permissions not currently held:\n{}",
        context.user.name,
        context.user.groups,
        list.join("\n")
    );
    Err(ApiError::forbidden(&target.info, meta::name(object), &cause))
}

fn may(api: &Api, context: &WriteContext, target: &Target, object: &Value, verb: &str) -> bool {
    let asked = Attributes {
        verb: verb.into(),
        group: rbac::GROUP.into(),
        version: "v1".into(),
        resource: target.storage.plural.to_string(),
        ns: target.ns.clone(),
        name: meta::name(object).to_owned(),
        ..Attributes::default()
    };
    matches!(api.rbac.authorize(&context.user, &asked), Decision::Allow(_))
}

fn may_bind(api: &Api, context: &WriteContext, target: &Target, role: &RoleRef) -> bool {
    let cluster = role.kind == "ClusterRole";
    let asked = Attributes {
        verb: "bind".into(),
        group: rbac::GROUP.into(),
        version: "v1".into(),
        resource: if cluster { "clusterroles" } else { "roles" }.into(),
        ns: target.ns.clone(),
        name: role.name.clone(),
        ..Attributes::default()
    };
    matches!(api.rbac.authorize(&context.user, &asked), Decision::Allow(_))
}

//! Role-based access control: a compiled index of the four RBAC kinds and the question "may this user do that".
//!
//! The index is updated object by object right after the store committed a change, so the next request sees it.
//! Source: spec 10 §8.4.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use serde::Deserialize;
use serde_json::Value;

use super::user::{Attributes, User, service_account_user};

/// The API group of the RBAC kinds.
pub const GROUP: &str = "rbac.authorization.k8s.io";

/// One policy rule.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    /// Verbs, `*` for all.
    pub verbs: Vec<String>,
    /// API groups, `*` for all.
    pub api_groups: Vec<String>,
    /// Resources as `x`, `x/sub`, `*/sub` or `*`.
    pub resources: Vec<String>,
    /// Object names; empty for all.
    pub resource_names: Vec<String>,
    /// Non-resource paths, exact or with a trailing `*`.
    #[serde(rename = "nonResourceURLs")]
    pub non_resource_urls: Vec<String>,
}

impl Rule {
    fn allows(&self, asked: &Attributes) -> bool {
        let has = |list: &[String], wanted: &str| list.iter().any(|item| item == "*" || item == wanted);
        if !has(&self.verbs, &asked.verb) {
            return false;
        }
        if asked.resource.is_empty() {
            return self.non_resource_urls.iter().any(|url| match url.strip_suffix('*') {
                Some(prefix) => asked.path.starts_with(prefix),
                None => *url == asked.path,
            });
        }
        has(&self.api_groups, &asked.group)
            && self.resources.iter().any(|resource| resource_matches(resource, asked))
            && (self.resource_names.is_empty() || self.resource_names.contains(&asked.name))
    }

    /// Whether this rule grants everything one single permission asks for; used against escalation.
    fn covers(&self, single: &Rule) -> bool {
        let within = |have: &[String], want: &[String]| {
            have.iter().any(|item| item == "*") || want.iter().all(|item| have.contains(item))
        };
        let resources = |have: &[String], want: &[String]| {
            want.iter().all(|wanted| {
                have.iter().any(|item| {
                    item == "*"
                        || item == wanted
                        || wanted.split_once('/').is_some_and(|(_, sub)| item.strip_prefix("*/") == Some(sub))
                })
            })
        };
        let urls = |have: &[String], want: &[String]| {
            want.iter().all(|wanted| {
                have.iter()
                    .any(|url| url == wanted || url.strip_suffix('*').is_some_and(|prefix| wanted.starts_with(prefix)))
            })
        };
        within(&self.verbs, &single.verbs)
            && within(&self.api_groups, &single.api_groups)
            && resources(&self.resources, &single.resources)
            && urls(&self.non_resource_urls, &single.non_resource_urls)
            && (self.resource_names.is_empty()
                || (!single.resource_names.is_empty()
                    && single.resource_names.iter().all(|name| self.resource_names.contains(name))))
    }
}

fn resource_matches(pattern: &str, asked: &Attributes) -> bool {
    if pattern == "*" {
        return true;
    }
    if asked.subresource.is_empty() {
        return pattern == asked.resource;
    }
    match pattern.split_once('/') {
        Some((resource, sub)) => sub == asked.subresource && (resource == "*" || resource == asked.resource),
        None => false,
    }
}

/// A subject of a binding.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
struct Subject {
    kind: String,
    name: String,
    namespace: String,
}

impl Subject {
    fn is(&self, user: &User, binding_ns: &str) -> bool {
        match self.kind.as_str() {
            "User" => self.name == user.name,
            "Group" => user.is_in(&self.name),
            "ServiceAccount" => {
                let ns = if self.namespace.is_empty() { binding_ns } else { &self.namespace };
                service_account_user(ns, &self.name) == user.name
            }
            _ => false,
        }
    }

    fn describe(&self) -> String {
        match self.kind.as_str() {
            "ServiceAccount" => format!("ServiceAccount \"{}/{}\"", self.name, self.namespace),
            kind => format!("{kind} \"{}\"", self.name),
        }
    }
}

/// What a binding points at.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct RoleRef {
    /// `Role` or `ClusterRole`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

#[derive(Clone, Debug, Default)]
struct Binding {
    subjects: Vec<Subject>,
    role: RoleRef,
}

type Name = (String, String);

#[derive(Default)]
struct Index {
    /// Roles by (namespace, name); ClusterRoles under the empty namespace.
    roles: BTreeMap<Name, Vec<Rule>>,
    /// Bindings by (namespace, name); ClusterRoleBindings under the empty namespace.
    bindings: BTreeMap<Name, Binding>,
}

/// The compiled policy.
#[derive(Default)]
pub struct Rbac {
    index: RwLock<Index>,
}

/// What an authorizer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allowed, and by which binding.
    Allow(String),
    /// Nothing allows it.
    NoOpinion,
}

impl Rbac {
    /// Takes over the current state of one RBAC object; `None` when it is gone. Other resources are ignored.
    pub fn apply(&self, plural: &str, ns: &str, name: &str, object: Option<&Value>) {
        let key = (ns.to_owned(), name.to_owned());
        let part = |field: &str| object.and_then(|o| o.get(field)).cloned().unwrap_or(Value::Null);
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        match plural {
            "roles" | "clusterroles" => {
                match object {
                    Some(_) => index.roles.insert(key, rules_of(&part("rules"))),
                    None => index.roles.remove(&key),
                };
            }
            "rolebindings" | "clusterrolebindings" => {
                let binding = Binding {
                    subjects: serde_json::from_value(part("subjects")).unwrap_or_default(),
                    role: serde_json::from_value(part("roleRef")).unwrap_or_default(),
                };
                match object {
                    Some(_) => index.bindings.insert(key, binding),
                    None => index.bindings.remove(&key),
                };
            }
            _ => {}
        }
    }

    /// Answers one question.
    pub fn authorize(&self, user: &User, asked: &Attributes) -> Decision {
        if user.is_omnipotent() {
            return Decision::Allow(String::new());
        }
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        for (name, binding, subject) in index.bindings_of(user, &asked.ns) {
            if index.rules(&name.0, &binding.role).iter().any(|rule| rule.allows(asked)) {
                let which = if name.0.is_empty() {
                    format!("ClusterRoleBinding \"{}\"", name.1)
                } else {
                    format!("RoleBinding \"{}/{}\"", name.1, name.0)
                };
                return Decision::Allow(format!(
                    "RBAC: allowed by {which} of {} \"{}\" to {}",
                    binding.role.kind,
                    binding.role.name,
                    subject.describe()
                ));
            }
        }
        Decision::NoOpinion
    }

    /// Every rule that applies to a user in a namespace.
    pub fn rules_for(&self, user: &User, ns: &str) -> Vec<Rule> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let mut rules = Vec::new();
        if user.is_omnipotent() {
            let all = || vec!["*".to_owned()];
            rules.push(Rule { verbs: all(), api_groups: all(), resources: all(), ..Rule::default() });
            rules.push(Rule { verbs: all(), non_resource_urls: all(), ..Rule::default() });
        }
        for (name, binding, _) in index.bindings_of(user, ns) {
            rules.extend(index.rules(&name.0, &binding.role).iter().cloned());
        }
        rules
    }

    /// The rules of the role a binding in `ns` would point at; `None` when it does not exist.
    pub fn rules_of_role(&self, ns: &str, role: &RoleRef) -> Option<Vec<Rule>> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.role(ns, role).cloned()
    }

    /// The permissions among `wanted` that `user` does not hold in `ns`, one single permission each.
    pub fn missing(&self, user: &User, ns: &str, wanted: &[Rule]) -> Vec<Rule> {
        let held = self.rules_for(user, ns);
        let singles = wanted.iter().flat_map(split);
        singles.filter(|single| !held.iter().any(|rule| rule.covers(single))).collect()
    }
}

impl Index {
    fn bindings_of<'a>(
        &'a self,
        user: &'a User,
        ns: &'a str,
    ) -> impl Iterator<Item = (&'a Name, &'a Binding, &'a Subject)> {
        let relevant = move |name: &Name| name.0.is_empty() || (!ns.is_empty() && name.0 == ns);
        self.bindings.iter().filter(move |(name, _)| relevant(name)).filter_map(move |(name, binding)| {
            let subject = binding.subjects.iter().find(|subject| subject.is(user, &name.0))?;
            Some((name, binding, subject))
        })
    }

    fn role(&self, binding_ns: &str, role: &RoleRef) -> Option<&Vec<Rule>> {
        let ns = if role.kind == "ClusterRole" { "" } else { binding_ns };
        self.roles.get(&(ns.to_owned(), role.name.clone()))
    }

    fn rules(&self, binding_ns: &str, role: &RoleRef) -> &[Rule] {
        self.role(binding_ns, role).map_or(&[], Vec::as_slice)
    }
}

/// Reads a `rules` list.
pub fn rules_of(rules: &Value) -> Vec<Rule> {
    serde_json::from_value(rules.clone()).unwrap_or_default()
}

/// A rule as single permissions: one verb on one resource or path each.
fn split(rule: &Rule) -> Vec<Rule> {
    let one = |text: &String| vec![text.clone()];
    let mut singles = Vec::new();
    for verb in &rule.verbs {
        for group in &rule.api_groups {
            for resource in &rule.resources {
                let names: Vec<Vec<String>> = if rule.resource_names.is_empty() {
                    vec![Vec::new()]
                } else {
                    rule.resource_names.iter().map(one).collect()
                };
                for resource_names in names {
                    singles.push(Rule {
                        verbs: one(verb),
                        api_groups: one(group),
                        resources: one(resource),
                        resource_names,
                        non_resource_urls: Vec::new(),
                    });
                }
            }
        }
        for url in &rule.non_resource_urls {
            singles.push(Rule { verbs: one(verb), non_resource_urls: one(url), ..Rule::default() });
        }
    }
    singles
}

/// A rule as error messages print it, in Go's struct notation.
pub fn describe(rule: &Rule) -> String {
    let list = |items: &[String]| items.iter().map(|item| format!("{item:?}")).collect::<Vec<_>>().join(", ");
    if rule.non_resource_urls.is_empty() {
        let names = match rule.resource_names.as_slice() {
            [] => String::new(),
            names => format!(", ResourceNames:[{}]", list(names)),
        };
        let (groups, resources) = (list(&rule.api_groups), list(&rule.resources));
        format!("{{APIGroups:[{groups}], Resources:[{resources}]{names}, Verbs:[{}]}}", list(&rule.verbs))
    } else {
        format!("{{NonResourceURLs:[{}], Verbs:[{}]}}", list(&rule.non_resource_urls), list(&rule.verbs))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy() -> Rbac {
        let rbac = Rbac::default();
        rbac.apply(
            "clusterroles",
            "",
            "view",
            Some(&json!({"rules": [
                {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "pods/log"]},
                {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/api/*"]},
            ]})),
        );
        rbac.apply(
            "roles",
            "ns",
            "one",
            Some(&json!({"rules": [
                {"verbs": ["*"], "apiGroups": ["apps"], "resources": ["*"], "resourceNames": ["web"]},
            ]})),
        );
        rbac.apply(
            "rolebindings",
            "ns",
            "b",
            Some(&json!({
                "subjects": [{"kind": "ServiceAccount", "name": "sa", "namespace": "ns"}],
                "roleRef": {"kind": "Role", "name": "one"},
            })),
        );
        rbac.apply(
            "clusterrolebindings",
            "",
            "v",
            Some(&json!({
                "subjects": [{"kind": "Group", "name": "system:serviceaccounts:ns"}],
                "roleRef": {"kind": "ClusterRole", "name": "view"},
            })),
        );
        rbac
    }

    fn asked(verb: &str, group: &str, resource: &str, sub: &str, ns: &str, name: &str) -> Attributes {
        Attributes {
            verb: verb.into(),
            group: group.into(),
            resource: resource.into(),
            subresource: sub.into(),
            ns: ns.into(),
            name: name.into(),
            ..Attributes::default()
        }
    }

    #[test]
    fn rules_match_verbs_groups_resources_names_and_paths() {
        let rbac = policy();
        let sa = User { in_process: false, ..User::in_process("system:serviceaccount:ns:sa") };
        let may = |attributes: &Attributes| matches!(rbac.authorize(&sa, attributes), Decision::Allow(_));
        assert!(may(&asked("get", "", "pods", "", "other", "p")));
        assert!(may(&asked("get", "", "pods", "log", "ns", "p")));
        assert!(!may(&asked("get", "", "pods", "exec", "ns", "p")));
        assert!(!may(&asked("delete", "", "pods", "", "ns", "p")));
        assert!(may(&asked("delete", "apps", "deployments", "", "ns", "web")));
        assert!(!may(&asked("delete", "apps", "deployments", "", "ns", "db")));
        assert!(!may(&asked("delete", "apps", "deployments", "", "other", "web")));
        assert!(may(&Attributes { verb: "get".into(), path: "/api/v1".into(), ..Attributes::default() }));
        assert!(!may(&Attributes { verb: "get".into(), path: "/metrics".into(), ..Attributes::default() }));
    }

    #[test]
    fn missing_permissions_are_named_one_by_one() {
        let rbac = policy();
        let sa = User { in_process: false, ..User::in_process("system:serviceaccount:ns:sa") };
        let wanted = rules_of(&json!([{"verbs": ["get", "delete"], "apiGroups": [""], "resources": ["pods"]}]));
        let missing = rbac.missing(&sa, "ns", &wanted);
        assert_eq!(missing.len(), 1);
        assert_eq!(describe(&missing[0]), r#"{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}"#);
    }
}

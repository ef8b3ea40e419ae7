//! Identities and what they want to do.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Members may do everything.
pub const MASTERS: &str = "system:masters";
/// Everybody who proved an identity.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Everybody who did not.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// Name of whoever did not prove an identity.
pub const ANONYMOUS: &str = "system:anonymous";
/// Prefix of ServiceAccount user names.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// An authenticated (or anonymous) caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// User name.
    pub name: String,
    /// Stable id; empty when the authenticator has none.
    pub uid: String,
    /// Groups.
    pub groups: Vec<String>,
    /// Authenticator-specific facts.
    pub extra: BTreeMap<String, Vec<String>>,
    /// A component of this process: allowed everything, whatever its groups are.
    pub in_process: bool,
}

impl User {
    /// Nobody in particular.
    pub fn anonymous() -> Self {
        Self { name: ANONYMOUS.into(), groups: vec![UNAUTHENTICATED.into()], ..Self::default() }
    }

    /// A component of this process by name; ServiceAccount names get their groups.
    pub fn in_process(name: &str) -> Self {
        let mut groups = service_account_groups(name).unwrap_or_default();
        groups.push(AUTHENTICATED.into());
        Self { name: name.into(), groups, in_process: true, ..Self::default() }
    }

    /// Whether no policy needs to be asked.
    pub fn is_omnipotent(&self) -> bool {
        self.in_process || self.is_in(MASTERS)
    }

    /// Namespace and name when this is a ServiceAccount.
    pub fn service_account(&self) -> Option<(&str, &str)> {
        split_service_account(&self.name)
    }

    /// Whether the user is in a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// `authentication.k8s.io` UserInfo.
    pub fn to_json(&self) -> Value {
        let mut info = json!({"username": self.name, "groups": self.groups});
        if !self.uid.is_empty() {
            info["uid"] = self.uid.as_str().into();
        }
        if !self.extra.is_empty() {
            info["extra"] = json!(self.extra);
        }
        info
    }
}

/// Namespace and name of a ServiceAccount user name.
pub fn split_service_account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix(SERVICE_ACCOUNT)?.split_once(':')
}

/// User name of a ServiceAccount.
pub fn service_account_user(ns: &str, name: &str) -> String {
    format!("{SERVICE_ACCOUNT}{ns}:{name}")
}

/// The groups a ServiceAccount is in by being one.
pub fn service_account_groups(user: &str) -> Option<Vec<String>> {
    let (ns, _) = split_service_account(user)?;
    Some(vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{ns}")])
}

/// What somebody wants to do, as authorization sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Verb.
    pub verb: String,
    /// API group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Plural; empty for non-resource requests.
    pub resource: String,
    /// Subresource.
    pub subresource: String,
    /// Namespace; empty for cluster-wide requests.
    pub ns: String,
    /// Object name; empty when the request names none.
    pub name: String,
    /// Path of non-resource requests.
    pub path: String,
}

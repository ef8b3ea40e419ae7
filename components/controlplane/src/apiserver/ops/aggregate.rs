//! ClusterRole aggregation: a role with an `aggregationRule` holds the union of the roles it selects.
//! Source: spec 10 §8.4.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    apiserver::{
        api::{Api, WriteContext},
        ops::strategy::Part,
        selectors::labels_of,
        status::ApiError,
    },
    security::rbac,
};

/// Who writes aggregated rules.
const IDENTITY: &str = "system:serviceaccount:kube-system:clusterrole-aggregation-controller";

impl Api {
    /// After a change of one ClusterRole: every aggregated role is brought up to date.
    pub(in crate::apiserver) async fn aggregate_roles(&self, changed: &str) {
        if let Err(error) = self.aggregate_all().await {
            tracing::warn!(error = %error, role = %changed, "cluster role aggregation failed");
        }
    }

    /// Brings every aggregated ClusterRole up to date.
    ///
    /// # Errors
    /// Store errors.
    pub async fn aggregate_all(&self) -> Result<(), ApiError> {
        let target = self.builtin(rbac::GROUP, "clusterroles", "", "").await?;
        let stored = self.store.list(target.rk, None).await?.items;
        let mut all = Vec::with_capacity(stored.len());
        for item in &stored {
            all.push((item.name.clone(), labels_of(&item.body), item.value()?));
        }
        let context = WriteContext::in_process(IDENTITY);
        let unions = all.iter().filter(|(_, _, role)| role["aggregationRule"].is_object());
        let outdated = unions.map(|(name, _, role)| (name, role, union(role, &all)));
        let Some((name, _, rules)) = outdated.into_iter().find(|(_, role, rules)| role["rules"] != *rules) else {
            return Ok(());
        };
        // The write comes back here and takes care of the next one, which may depend on this one.
        let target = target.named(name);
        let written = self.change(&context, &target, Part::Whole, |old| {
            let mut new = old.clone();
            new["rules"] = rules.clone();
            Ok(new)
        });
        written.await.map(|_| ())
    }
}

fn union(role: &Value, all: &[(String, BTreeMap<String, String>, Value)]) -> Value {
    let mut rules: Vec<Value> = Vec::new();
    for selector in role["aggregationRule"]["clusterRoleSelectors"].as_array().into_iter().flatten() {
        for (_, _, other) in all.iter().filter(|(_, labels, _)| selects(selector, labels)) {
            for rule in other["rules"].as_array().into_iter().flatten() {
                if other["metadata"]["name"] != role["metadata"]["name"] && !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    json!(rules)
}

/// Whether a `LabelSelector` object selects these labels.
pub fn selects(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    let exact = selector["matchLabels"]
        .as_object()
        .into_iter()
        .flatten()
        .all(|(key, value)| labels.get(key).map(String::as_str) == value.as_str());
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten().all(|expression| {
        let value = labels.get(expression["key"].as_str().unwrap_or_default());
        let listed = || {
            let values = expression["values"].as_array().into_iter().flatten();
            values.filter_map(Value::as_str).any(|one| value.is_some_and(|v| v == one))
        };
        match expression["operator"].as_str() {
            Some("In") => listed(),
            Some("NotIn") => !listed(),
            Some("Exists") => value.is_some(),
            Some("DoesNotExist") => value.is_none(),
            _ => false,
        }
    });
    exact && expressions
}

//! Eviction: a delete that asks the disruption budgets first. Source: spec 10 §1.3 (429).

use serde_json::{Value, json};

use super::{
    aggregate::selects,
    delete::{DeleteOptions, Deleted},
};
use crate::apiserver::{
    api::{Api, Target, WriteContext},
    meta,
    selectors::labels_of,
    status::ApiError,
};

impl Api {
    /// Evicts the pod `target`.
    ///
    /// A pod that has ended or never started is not protected. A budget is respected as its status says
    /// (`disruptionsAllowed`); the disruption controller keeps that number.
    ///
    /// # Errors
    /// 429 with cause `DisruptionBudget` when a budget forbids it, otherwise those of a delete.
    pub async fn evict(&self, context: &WriteContext, target: &Target, eviction: &Value) -> Result<Deleted, ApiError> {
        let (options, dry_run) = DeleteOptions::read(&eviction["deleteOptions"])?;
        let context = WriteContext { dry_run: dry_run || context.dry_run, ..context.clone() };
        let stored = self.get(target).await?;
        let pod = stored.value()?;
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        let protected = !matches!(phase, "Succeeded" | "Failed" | "Pending") && !meta::is_deleting(&pod);
        if protected && let Some(budget) = self.forbidding_budget(target, &stored.body).await? {
            let message = "Cannot evict pod as it would violate the pod's disruption budget.";
            let cause = format!("The disruption budget {budget} needs more healthy pods");
            return Err(ApiError::new(429, "TooManyRequests", message)
                .with_details(json!({"causes": [{"reason": "DisruptionBudget", "message": cause}]})));
        }
        self.delete(&context, target, &options).await
    }

    async fn forbidding_budget(&self, target: &Target, pod: &[u8]) -> Result<Option<String>, ApiError> {
        let Ok(budgets) = self.builtin("policy", "poddisruptionbudgets", &target.ns, "").await else {
            return Ok(None);
        };
        let labels = labels_of(pod);
        for item in self.store.list(budgets.rk, Some(&target.ns)).await?.items {
            let budget = item.value()?;
            let selector = &budget["spec"]["selector"];
            let allowed = budget["status"]["disruptionsAllowed"].as_i64().unwrap_or(0);
            if selector.is_object() && selects(selector, &labels) && allowed <= 0 {
                return Ok(Some(item.name));
            }
        }
        Ok(None)
    }
}

//! Admission: what this server adds to objects and refuses for reasons other than their shape. Source: spec 10 §8.6.
//!
//! NamespaceLifecycle is part of the write transaction (see `apiserver::ops::create`), because only there the answer
//! cannot become stale.

mod certificates;
mod escalation;
mod nodes;
mod pods;

use serde_json::Value;

use crate::apiserver::{
    api::{Api, Target, WriteContext},
    ops::strategy::Part,
    status::ApiError,
};

/// Runs the plugins that look at new objects; `object` is in its storage version.
///
/// # Errors
/// 403 and 422 of the plugins.
pub async fn create(api: &Api, context: &WriteContext, target: &Target, object: &mut Value) -> Result<(), ApiError> {
    match (target.storage.group.as_ref(), target.storage.plural.as_ref()) {
        ("", "pods") => {
            pods::service_account(api, target, object).await?;
            pods::priority(api, target, object).await?;
            pods::default_tolerations(object);
        }
        ("", "nodes") => nodes::taint_new(object),
        ("certificates.k8s.io", "certificatesigningrequests") => certificates::restrict_subject(target, object)?,
        (crate::security::rbac::GROUP, _) => escalation::check(api, context, target, None, object)?,
        _ => {}
    }
    Ok(())
}

/// Runs the plugins that look at changes.
///
/// # Errors
/// 403 and 422 of the plugins.
#[expect(clippy::unused_async, reason = "plugins that read the store join here, and callers must not change then")]
pub async fn update(
    api: &Api,
    context: &WriteContext,
    target: &Target,
    part: Part,
    old: &Value,
    object: &mut Value,
) -> Result<(), ApiError> {
    if part == Part::Main && target.storage.group == crate::security::rbac::GROUP {
        escalation::check(api, context, target, Some(old), object)?;
    }
    if part == Part::Approval {
        certificates::approve(api, context, target, old)?;
    }
    if part == Part::Main && target.storage.is("", "pods") {
        pods::default_tolerations(object);
    }
    Ok(())
}

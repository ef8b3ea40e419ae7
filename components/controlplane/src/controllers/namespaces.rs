//! Empties and then finalizes namespaces that are being deleted. Source: spec 10 §10.9.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::service_accounts::account;
use crate::apiserver::api::{Api, Target, WriteContext};
use crate::apiserver::ops::delete::DeleteOptions;
use crate::apiserver::ops::strategy::Part;
use crate::apiserver::status::ApiError;
use crate::feed::{Feed, list};

/// The finalizer that this controller removes.
const KUBERNETES: &str = "kubernetes";
/// How soon a namespace that still has content is looked at again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often a pass runs when nothing is being deleted.
const IDLE: Duration = Duration::from_mins(5);

/// Runs until `stop`.
pub async fn run(api: Arc<Api>, stop: CancellationToken) {
    let mut namespaces = Feed::new(&api, "", "namespaces");
    loop {
        let wait = match pass(&api).await {
            Ok(false) => IDLE,
            Ok(true) => AGAIN,
            Err(error) => {
                tracing::warn!(controller = "namespace", error = %error, "pass failed");
                AGAIN
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            _ = namespaces.next() => {}
            () = tokio::time::sleep(wait) => {}
        }
        // One pass for all that is known by now.
        while tokio::time::timeout(Duration::ZERO, namespaces.next()).await.is_ok() {}
    }
}

/// One pass; says whether a namespace still waits for its content to go.
async fn pass(api: &Api) -> Result<bool, ApiError> {
    let mut left = false;
    for namespace in list(api, "", "namespaces", None).await? {
        let name = namespace["metadata"]["name"].as_str().unwrap_or_default();
        if namespace["metadata"]["deletionTimestamp"].is_null() {
            continue;
        }
        let context = WriteContext::in_process(&account("namespace-controller"));
        if empty(api, &context, name).await? {
            let target = api.builtin("", "namespaces", "", name).await?;
            let finalized = api
                .change(&context, &target, Part::Finalize, |namespace| {
                    let mut namespace = namespace.clone();
                    let mut finalizers = namespace["spec"]["finalizers"].as_array().cloned().unwrap_or_default();
                    finalizers.retain(|finalizer| finalizer != KUBERNETES);
                    namespace["spec"]["finalizers"] = finalizers.into();
                    Ok(namespace)
                })
                .await;
            match finalized {
                Ok(_) => {}
                Err(error) if error.code == 404 => {}
                Err(error) => return Err(error),
            }
        } else {
            left = true;
        }
    }
    Ok(left)
}

/// Deletes what is in the namespace; says whether nothing is left.
async fn empty(api: &Api, context: &WriteContext, name: &str) -> Result<bool, ApiError> {
    let mut clean = true;
    let snapshot = api.registry.snapshot();
    for info in snapshot.resources.iter().filter(|info| info.namespaced && info.allows("delete")) {
        let target = api.target_of(&snapshot, info, name, "").await?;
        if api.store.count(target.rk, Some(name)).await? == 0 {
            continue;
        }
        delete_all(api, context, &target).await?;
        clean &= api.store.count(target.rk, Some(name)).await? == 0;
    }
    Ok(clean)
}

async fn delete_all(api: &Api, context: &WriteContext, target: &Target) -> Result<(), ApiError> {
    for item in api.store.list(target.rk, Some(&target.ns)).await?.items {
        match api.delete(context, &target.named(&item.name), &DeleteOptions::default()).await {
            Ok(_) => {}
            Err(error) if error.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

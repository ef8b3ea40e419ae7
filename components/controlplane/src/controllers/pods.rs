//! Pods whose node is gone. Source: spec 10 §10.11.
//!
//! A re-registering edge deletes and creates its Node under the same name, so a node must be missing for a whole
//! quarantine before its pods are taken. Pods of a node that is merely silent are never touched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::service_accounts::account;
use crate::apiserver::api::{Api, WriteContext};
use crate::apiserver::ops::delete::DeleteOptions;
use crate::apiserver::status::ApiError;

/// How often the pass runs.
const EVERY: Duration = Duration::from_secs(20);
/// How long a node must be missing.
const QUARANTINE: Duration = Duration::from_secs(40);

/// Runs until `stop`.
pub async fn run(api: Arc<Api>, stop: CancellationToken) {
    let mut missing = BTreeMap::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        if let Err(error) = pass(&api, &mut missing, Instant::now()).await {
            tracing::warn!(controller = "podgc", error = %error, "pass failed");
        }
    }
}

/// What matters of a pod here.
#[derive(Deserialize)]
struct Facts {
    metadata: Meta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    name: String,
    namespace: String,
    uid: String,
    deletion_timestamp: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    node_name: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    start_time: Option<String>,
}

async fn pass(api: &Api, missing: &mut BTreeMap<String, Instant>, now: Instant) -> Result<(), ApiError> {
    let nodes = api.builtin("", "nodes", "", "").await?.rk;
    let (nodes, _) = api
        .store
        .scan(nodes, None, BTreeSet::new(), |known, _, name, _| {
            known.insert(name.to_owned());
        })
        .await?;
    let pods = api.builtin("", "pods", "", "").await?.rk;
    // One pod at a time in memory; only those without a living node are kept.
    let (suspects, _) = api
        .store
        .scan(pods, None, Vec::new(), move |suspects: &mut Vec<Facts>, _, _, body| {
            let Ok(pod) = serde_json::from_slice::<Facts>(body) else { return };
            let going = pod.metadata.deletion_timestamp.is_some();
            let node = &pod.spec.node_name;
            let suspect = if node.is_empty() { going } else { !nodes.contains(node) };
            if suspect {
                suspects.push(pod);
            }
        })
        .await?;
    let gone: BTreeSet<&str> =
        suspects.iter().map(|pod| pod.spec.node_name.as_str()).filter(|node| !node.is_empty()).collect();
    missing.retain(|node, _| gone.contains(node.as_str()));
    for node in gone {
        missing.entry(node.to_owned()).or_insert(now);
    }
    for pod in &suspects {
        let node = &pod.spec.node_name;
        let orphaned = missing.get(node).is_some_and(|since| now.duration_since(*since) >= QUARANTINE);
        let never_placed = node.is_empty();
        // A pod may be older than its node: one that was never reported by anybody waits for it, unless it is unwanted.
        let reported = pod.status.start_time.is_some();
        if (orphaned && (reported || pod.metadata.deletion_timestamp.is_some())) || never_placed {
            let target = api.builtin("", "pods", &pod.metadata.namespace, &pod.metadata.name).await?;
            let options =
                DeleteOptions { grace: Some(0), uid: Some(pod.metadata.uid.clone()), ..DeleteOptions::default() };
            match api.delete(&WriteContext::in_process(&account("pod-garbage-collector")), &target, &options).await {
                Ok(_) => {}
                Err(error) if matches!(error.code, 404 | 409) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

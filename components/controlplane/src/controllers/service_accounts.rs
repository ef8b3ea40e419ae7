//! Every active namespace has ServiceAccount `default` and ConfigMap `kube-root-ca.crt`. Source: spec 10 §10.9.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::apiserver::api::{Api, WriteContext};
use crate::apiserver::ops::strategy::Part;
use crate::apiserver::status::ApiError;
use crate::feed::list;

/// The ConfigMap that tells pods the cluster CA.
const ROOT_CA: &str = "kube-root-ca.crt";

/// Names of the namespaces that are not being deleted.
async fn active(api: &Api) -> Result<Vec<String>, ApiError> {
    let namespaces = list(api, "", "namespaces", None).await?;
    Ok(namespaces
        .into_iter()
        .filter(|namespace| namespace["metadata"]["deletionTimestamp"].is_null())
        .filter_map(|namespace| namespace["metadata"]["name"].as_str().map(str::to_owned))
        .collect())
}

/// One pass of the ServiceAccount controller.
///
/// # Errors
/// Store errors; a namespace that vanished meanwhile is not one.
pub async fn accounts(api: Arc<Api>) -> Result<(), ApiError> {
    for ns in active(&api).await? {
        let target = api.builtin("", "serviceaccounts", &ns, "default").await?;
        if api.find(&target).await?.is_none() {
            let account =
                json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": ns}});
            create(&api, "service-account-controller", &target.named(""), account).await?;
        }
    }
    Ok(())
}

/// One pass of the root CA publisher; an edited copy is repaired.
///
/// # Errors
/// Store errors; a namespace that vanished meanwhile is not one.
pub async fn root_ca(api: Arc<Api>) -> Result<(), ApiError> {
    let identity = "root-ca-cert-publisher";
    for ns in active(&api).await? {
        let target = api.builtin("", "configmaps", &ns, ROOT_CA).await?;
        let data = json!({"ca.crt": api.facts.ca_pem});
        match api.find(&target).await? {
            None => {
                let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": ROOT_CA, "namespace": ns,
                    "annotations": {"kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc."}},
                    "data": data});
                create(&api, identity, &target.named(""), map).await?;
            }
            Some(map) if map["data"] != data => {
                let context = WriteContext::in_process(&account(identity));
                api.change(&context, &target, Part::Main, |map| {
                    let mut map = map.clone();
                    map["data"] = data.clone();
                    Ok(map)
                })
                .await?;
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// The user name of a controller.
pub fn account(controller: &str) -> String {
    format!("system:serviceaccount:kube-system:{controller}")
}

/// Creates an object; one that exists by now, or whose namespace is going, is as good.
async fn create(
    api: &Api,
    controller: &str,
    target: &crate::apiserver::api::Target,
    object: Value,
) -> Result<(), ApiError> {
    match api.create(&WriteContext::in_process(&account(controller)), target, object).await {
        Ok(_) => Ok(()),
        Err(error) if matches!(error.code, 403 | 404 | 409) => Ok(()),
        Err(error) => Err(error),
    }
}

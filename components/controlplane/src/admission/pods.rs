//! What a pod gets when it is created: its ServiceAccount's token, a priority, and patience with failing nodes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::apiserver::{
    api::{Api, Target},
    meta,
    status::ApiError,
};

/// Where containers find their token.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Prefix of the volume with the token.
const TOKEN_VOLUME: &str = "kube-api-access-";
/// Marks pods that a node runs on its own.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// Seconds pods stay on a failing node unless they say otherwise.
const PATIENCE: i64 = 300;

/// How often a missing account `default` is looked for again.
const DEFAULT_ACCOUNT_TRIES: u32 = 20;
/// Pause between two looks.
const DEFAULT_ACCOUNT_PAUSE: Duration = Duration::from_millis(50);

/// ServiceAccount admission.
pub async fn service_account(api: &Api, target: &Target, pod: &mut Value) -> Result<(), ApiError> {
    let name = meta::name(pod).to_owned();
    let account_name = pod["spec"]["serviceAccountName"].as_str().unwrap_or_default().to_owned();
    if pod["metadata"]["annotations"].get(MIRROR).is_some() {
        if !account_name.is_empty() {
            let cause = "a mirror pod may not reference service accounts";
            return Err(ApiError::forbidden(&target.info, &name, cause));
        }
        return Ok(());
    }
    let account_name = if account_name.is_empty() { "default".to_owned() } else { account_name };
    pod["spec"]["serviceAccountName"] = account_name.as_str().into();
    pod["spec"]["serviceAccount"] = account_name.as_str().into();
    let account = api.builtin("", "serviceaccounts", &target.ns, &account_name).await?;
    let mut found = api.find(&account).await?;
    // A namespace that was just made gets its account a moment later; a manifest often brings both.
    for _ in 0..DEFAULT_ACCOUNT_TRIES {
        if found.is_some() || account_name != "default" {
            break;
        }
        tokio::time::sleep(DEFAULT_ACCOUNT_PAUSE).await;
        found = api.find(&account).await?;
    }
    let Some(account) = found else {
        let cause = format!(
            "error looking up service account {}/{account_name}: serviceaccount \"{account_name}\" not found",
            target.ns
        );
        return Err(ApiError::forbidden(&target.info, &name, &cause));
    };
    let no_secrets = pod["spec"]["imagePullSecrets"].as_array().is_none_or(Vec::is_empty);
    if no_secrets && account["imagePullSecrets"].as_array().is_some_and(|secrets| !secrets.is_empty()) {
        pod["spec"]["imagePullSecrets"] = account["imagePullSecrets"].clone();
    }
    let wanted = pod["spec"]["automountServiceAccountToken"]
        .as_bool()
        .or_else(|| account["automountServiceAccountToken"].as_bool())
        .unwrap_or(true);
    if wanted {
        mount_token(pod);
    }
    Ok(())
}

fn mount_token(pod: &mut Value) {
    let existing =
        pod["spec"]["volumes"].as_array().into_iter().flatten().find_map(|volume| {
            volume["name"].as_str().filter(|name| name.starts_with(TOKEN_VOLUME)).map(str::to_owned)
        });
    let volume = existing.clone().unwrap_or_else(|| format!("{TOKEN_VOLUME}{}", meta::random_suffix(5)));
    let mut mounted = false;
    for list in ["containers", "initContainers"] {
        // Not by index: that would put a null where there is no list.
        let containers = pod["spec"].get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let taken = container["volumeMounts"]
                .as_array()
                .is_some_and(|mounts| mounts.iter().any(|mount| mount["mountPath"] == TOKEN_PATH));
            if taken {
                continue;
            }
            if !container["volumeMounts"].is_array() {
                container["volumeMounts"] = json!([]);
            }
            if let Some(mounts) = container["volumeMounts"].as_array_mut() {
                mounts.push(json!({"name": volume, "mountPath": TOKEN_PATH, "readOnly": true}));
                mounted = true;
            }
        }
    }
    if !mounted || existing.is_some() {
        return;
    }
    if !pod["spec"]["volumes"].is_array() {
        pod["spec"]["volumes"] = json!([]);
    }
    if let Some(volumes) = pod["spec"]["volumes"].as_array_mut() {
        volumes.push(json!({
            "name": volume,
            "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [
                    {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
                ]}},
            ]},
        }));
    }
}

/// Priority admission.
pub async fn priority(api: &Api, target: &Target, pod: &mut Value) -> Result<(), ApiError> {
    let name = meta::name(pod).to_owned();
    let class_name = pod["spec"]["priorityClassName"].as_str().unwrap_or_default().to_owned();
    let classes = api.builtin("scheduling.k8s.io", "priorityclasses", "", &class_name).await?;
    let class = if class_name.is_empty() {
        let mut default: Option<Value> = None;
        for item in api.store.list(classes.rk, None).await?.items {
            let class = item.value()?;
            let higher = |other: &Value| class["value"].as_i64() < other["value"].as_i64();
            if class["globalDefault"] == true && default.as_ref().is_none_or(higher) {
                default = Some(class);
            }
        }
        default
    } else {
        let Some(class) = api.find(&classes).await? else {
            let cause = format!("no PriorityClass with name {class_name} was found");
            return Err(ApiError::forbidden(&target.info, &name, &cause));
        };
        Some(class)
    };
    let value = class.as_ref().and_then(|class| class["value"].as_i64()).unwrap_or(0);
    if let Some(asked) = pod["spec"]["priority"].as_i64().filter(|asked| *asked != value) {
        let cause = format!(
            "the integer value of priority ({asked}) must not be provided in pod spec; priority admission controller computed {value} from the given PriorityClass name"
        );
        return Err(ApiError::forbidden(&target.info, &name, &cause));
    }
    pod["spec"]["priority"] = value.into();
    let policy = class
        .as_ref()
        .and_then(|class| class["preemptionPolicy"].as_str())
        .unwrap_or("PreemptLowerPriority")
        .to_owned();
    pod["spec"]["preemptionPolicy"] = policy.into();
    if let (true, Some(class)) = (class_name.is_empty(), class) {
        pod["spec"]["priorityClassName"] = class["metadata"]["name"].clone();
    }
    Ok(())
}

/// DefaultTolerationSeconds admission.
pub fn default_tolerations(pod: &mut Value) {
    if !pod["spec"]["tolerations"].is_array() {
        pod["spec"]["tolerations"] = json!([]);
    }
    let Some(tolerations) = pod["spec"]["tolerations"].as_array_mut() else { return };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = tolerations.iter().any(|toleration| {
            let any = |field: &str, value: &str| {
                toleration[field].as_str().unwrap_or_default().is_empty() || toleration[field] == value
            };
            any("key", key) && any("effect", "NoExecute")
        });
        if !tolerated {
            tolerations.push(json!({
                "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": PATIENCE,
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerations_are_added_once() {
        let mut pod = json!({"spec": {}});
        default_tolerations(&mut pod);
        default_tolerations(&mut pod);
        assert_eq!(pod["spec"]["tolerations"].as_array().unwrap().len(), 2);
        let mut all = json!({"spec": {"tolerations": [{"operator": "Exists"}]}});
        default_tolerations(&mut all);
        assert_eq!(all["spec"]["tolerations"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn every_container_without_a_mount_gets_the_token() {
        let mut pod = json!({"spec": {"containers": [
            {"name": "a"}, {"name": "b", "volumeMounts": [{"name": "x", "mountPath": TOKEN_PATH}]},
        ]}});
        mount_token(&mut pod);
        assert_eq!(pod["spec"]["volumes"].as_array().unwrap().len(), 1);
        assert_eq!(pod["spec"]["containers"][0]["volumeMounts"][0]["mountPath"], TOKEN_PATH);
        assert_eq!(pod["spec"]["containers"][1]["volumeMounts"].as_array().unwrap().len(), 1);
    }
}

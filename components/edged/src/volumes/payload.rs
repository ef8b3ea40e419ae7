//! Gathers the files of configMap, secret, downwardAPI and projected volumes. Source: spec 08 §11.3, §11.5, §11.6.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{
    ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, ProjectedVolumeSource, ServiceAccountTokenProjection, Volume,
    VolumeProjection,
};

use super::atomic::{Payload, ProjectedFile};
use super::tokens::Tokens;
use crate::doors::{KubeApi, KubeApiError};
use crate::facts::PodFacts;
use crate::fields;

/// The API's default for `defaultMode`.
const DEFAULT_MODE: i32 = 0o644;

/// Why the files of a volume cannot be had now.
#[derive(Debug)]
pub struct Fault {
    /// The kubelet's words.
    pub reason: String,
    /// The cloud is away: what was written before is still the best there is.
    pub offline: bool,
}

impl From<KubeApiError> for Fault {
    fn from(error: KubeApiError) -> Self {
        Self { offline: error.is_retryable(), reason: error.to_string() }
    }
}

impl Fault {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), offline: false }
    }
}

/// What the gathering needs to know.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// Where objects and tokens come from.
    pub api: &'a dyn KubeApi,
    /// Tokens already had.
    pub tokens: &'a Tokens,
    /// Whose volume it is.
    pub pod: &'a Pod,
    /// What is not in its spec.
    pub facts: &'a PodFacts,
    /// Now.
    pub now: Timestamp,
}

/// A source of keys: where it is, which keys are wanted, and whether it may be missing.
struct Wanted<'a> {
    name: &'a str,
    items: Option<&'a [KeyToPath]>,
    optional: bool,
    mode: u32,
}

/// The files of `volume`; `None` when it is not a volume made of files.
pub async fn gather(volume: &Volume, sources: Sources<'_>) -> Option<Result<Payload, Fault>> {
    let mode = |mode: Option<i32>| bits(mode.unwrap_or(DEFAULT_MODE));
    if let Some(source) = &volume.config_map {
        let items = source.items.as_deref();
        let optional = source.optional == Some(true);
        return Some(
            sources.config_map(Wanted { name: &source.name, items, optional, mode: mode(source.default_mode) }).await,
        );
    }
    if let Some(source) = &volume.secret {
        let name = source.secret_name.as_deref().unwrap_or_default();
        let items = source.items.as_deref();
        let optional = source.optional == Some(true);
        return Some(sources.secret(Wanted { name, items, optional, mode: mode(source.default_mode) }).await);
    }
    if let Some(source) = &volume.downward_api {
        return Some(sources.downward_api(source.items.as_deref().unwrap_or_default(), mode(source.default_mode)));
    }
    match &volume.projected {
        Some(source) => Some(sources.projected(source).await),
        None => None,
    }
}

impl Sources<'_> {
    fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or("default")
    }

    async fn config_map(&self, wanted: Wanted<'_>) -> Result<Payload, Fault> {
        match self.api.config_map(self.namespace(), wanted.name).await {
            Ok(object) => select(&config_map_bytes(object), &wanted, |key| {
                format!("configmap references non-existent config key: {key}")
            }),
            Err(KubeApiError::NotFound { .. }) if wanted.optional => Ok(Payload::new()),
            Err(error) => Err(error.into()),
        }
    }

    async fn secret(&self, wanted: Wanted<'_>) -> Result<Payload, Fault> {
        match self.api.secret(self.namespace(), wanted.name).await {
            Ok(object) => select(&object.data.unwrap_or_default(), &wanted, |key| {
                format!("references non-existent secret key: {key}")
            }),
            Err(KubeApiError::NotFound { .. }) if wanted.optional => Ok(Payload::new()),
            Err(error) => Err(error.into()),
        }
    }

    fn downward_api(&self, items: &[DownwardAPIVolumeFile], default_mode: u32) -> Result<Payload, Fault> {
        let mut payload = Payload::new();
        let mut faults = Vec::new();
        for item in items {
            let value = match (&item.field_ref, &item.resource_field_ref) {
                (Some(reference), _) => fields::volume_field(&reference.field_path, self.pod),
                (None, Some(reference)) => fields::resource_field(reference, self.pod, None, self.facts),
                (None, None) => Ok(String::new()),
            };
            match value {
                Ok(value) => {
                    let mode = item.mode.map_or(default_mode, bits);
                    payload.insert(item.path.clone(), ProjectedFile { bytes: value.into_bytes(), mode, uid: None });
                }
                Err(error) => faults.push(error.to_string()),
            }
        }
        aggregate(faults, false).map_or(Ok(payload), Err)
    }

    async fn projected(&self, source: &ProjectedVolumeSource) -> Result<Payload, Fault> {
        let default_mode = bits(source.default_mode.unwrap_or(DEFAULT_MODE));
        let mut payload = Payload::new();
        let mut faults = Vec::new();
        let mut offline = true;
        for part in source.sources.iter().flatten() {
            match self.part(part, default_mode).await {
                Ok(files) => payload.extend(files),
                Err(fault) => {
                    offline &= fault.offline;
                    faults.push(fault.reason);
                }
            }
        }
        aggregate(faults, offline).map_or(Ok(payload), Err)
    }

    async fn part(&self, part: &VolumeProjection, mode: u32) -> Result<Payload, Fault> {
        if let Some(source) = &part.secret {
            let optional = source.optional == Some(true);
            let wanted = Wanted { name: &source.name, items: source.items.as_deref(), optional, mode };
            return self.secret(wanted).await;
        }
        if let Some(source) = &part.config_map {
            let optional = source.optional == Some(true);
            let wanted = Wanted { name: &source.name, items: source.items.as_deref(), optional, mode };
            return self.config_map(wanted).await;
        }
        if let Some(source) = &part.downward_api {
            return self.downward_api(source.items.as_deref().unwrap_or_default(), mode);
        }
        if let Some(source) = &part.service_account_token {
            return self.token(source, mode).await;
        }
        if let Some(source) = &part.cluster_trust_bundle {
            if source.optional == Some(true) {
                return Ok(Payload::new());
            }
            return Err(Fault::new("ClusterTrustBundle projection is not supported"));
        }
        Ok(Payload::new())
    }

    async fn token(&self, source: &ServiceAccountTokenProjection, default_mode: u32) -> Result<Payload, Fault> {
        let token = self.tokens.token(self.api, self.pod, source, self.now).await.map_err(|error| Fault {
            reason: format!("failed to fetch token: {error}"),
            offline: error.is_retryable(),
        })?;
        let uid = only_user(self.pod);
        let mode = if uid.is_some() || super::spec::fs_group(self.pod).is_some() { 0o600 } else { default_mode };
        Ok(Payload::from([(source.path.clone(), ProjectedFile { bytes: token.into_bytes(), mode, uid })]))
    }
}

/// The user all containers of the pod run as, if the spec names exactly one. Source: spec 08 §11.6.
fn only_user(pod: &Pod) -> Option<u32> {
    let spec = pod.spec.as_ref()?;
    let pod_user = spec.security_context.as_ref().and_then(|context| context.run_as_user);
    let all = spec.init_containers.iter().flatten().chain(&spec.containers);
    let mut users = all.map(|c| c.security_context.as_ref().and_then(|context| context.run_as_user).or(pod_user));
    let first = users.next()??;
    users.all(|user| user == Some(first)).then_some(u32::try_from(first).ok()?)
}

fn bits(mode: i32) -> u32 {
    mode.unsigned_abs() & 0o7777
}

fn aggregate(mut faults: Vec<String>, offline: bool) -> Option<Fault> {
    match faults.len() {
        0 => None,
        1 => Some(Fault { reason: faults.remove(0), offline }),
        _ => Some(Fault { reason: format!("[{}]", faults.join(", ")), offline }),
    }
}

fn config_map_bytes(object: ConfigMap) -> BTreeMap<String, ByteString> {
    let mut bytes = object.binary_data.unwrap_or_default();
    bytes.extend(object.data.into_iter().flatten().map(|(key, text)| (key, ByteString(text.into_bytes()))));
    bytes
}

/// The wanted keys as files. Without `items` every key is one.
fn select(
    data: &BTreeMap<String, ByteString>,
    wanted: &Wanted<'_>,
    missing: impl Fn(&str) -> String,
) -> Result<Payload, Fault> {
    let file = |bytes: &ByteString, mode| ProjectedFile { bytes: bytes.0.clone(), mode, uid: None };
    let Some(items) = wanted.items.filter(|items| !items.is_empty()) else {
        return Ok(data.iter().map(|(key, bytes)| (key.clone(), file(bytes, wanted.mode))).collect());
    };
    let mut payload = Payload::new();
    for item in items {
        match data.get(&item.key) {
            Some(bytes) => {
                payload.insert(item.path.clone(), file(bytes, item.mode.map_or(wanted.mode, bits)));
            }
            None if wanted.optional => {}
            None => return Err(Fault::new(missing(&item.key))),
        }
    }
    Ok(payload)
}

//! What a pod's spec refers to. Source: spec 02 §1.2, extended by every container kind and volume secret.

use serde::Deserialize;

use crate::kind::{Kind, ObjectKey};
use crate::object::Object;

/// The parts of a pod that decide who needs what.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// `spec.nodeName`, unless unbound.
    pub node: Option<String>,
    /// `spec.serviceAccountName`; `default` when absent.
    pub service_account: String,
    /// ConfigMaps and Secrets, each once.
    pub configs: Vec<ObjectKey>,
    /// PersistentVolumeClaims by name.
    pub claims: Vec<String>,
    /// Whether a volume holds a service account token.
    pub projects_token: bool,
}

impl PodFacts {
    /// Reads the facts of a pod.
    ///
    /// # Errors
    /// [`serde_json::Error`] when the spec is not a pod's.
    pub fn read(pod: &Object) -> Result<Self, serde_json::Error> {
        let PodText { spec } = pod.parse()?;
        let namespace = pod.meta.namespace.clone().unwrap_or_else(|| "default".into());
        let mut facts = Self {
            node: spec.node_name.filter(|node| !node.is_empty()),
            service_account: spec.service_account_name.filter(|name| !name.is_empty()).unwrap_or("default".to_owned()),
            ..Self::default()
        };
        let mut add = |kind: Kind, name: Option<String>| {
            let Some(name) = name.filter(|name| !name.is_empty()) else { return };
            let key = ObjectKey { kind, namespace: Some(namespace.clone()), name: name.into() };
            if !facts.configs.contains(&key) {
                facts.configs.push(key);
            }
        };
        for secret in spec.image_pull_secrets {
            add(Kind::Secret, secret.name);
        }
        let containers = [spec.init_containers, spec.containers, spec.ephemeral_containers];
        for container in containers.into_iter().flatten() {
            for from in container.env_from {
                add(Kind::ConfigMap, from.config_map_ref.and_then(|r| r.name));
                add(Kind::Secret, from.secret_ref.and_then(|r| r.name));
            }
            for from in container.env.into_iter().filter_map(|env| env.value_from) {
                add(Kind::ConfigMap, from.config_map_key_ref.and_then(|r| r.name));
                add(Kind::Secret, from.secret_key_ref.and_then(|r| r.name));
            }
        }
        let mut claims = Vec::new();
        let mut projects_token = false;
        for volume in spec.volumes {
            add(Kind::ConfigMap, volume.config_map.and_then(|r| r.name));
            add(Kind::Secret, volume.secret.and_then(|r| r.secret_name));
            add(Kind::Secret, volume.azure_file.and_then(|r| r.secret_name));
            add(Kind::Secret, volume.csi.and_then(|r| r.node_publish_secret_ref).and_then(|r| r.name));
            let drivers =
                [volume.cephfs, volume.flex_volume, volume.iscsi, volume.rbd, volume.scale_io, volume.storageos];
            for driver in drivers.into_iter().flatten() {
                add(Kind::Secret, driver.secret_ref.and_then(|r| r.name));
            }
            for source in volume.projected.into_iter().flat_map(|projected| projected.sources) {
                add(Kind::ConfigMap, source.config_map.and_then(|r| r.name));
                add(Kind::Secret, source.secret.and_then(|r| r.name));
                projects_token |= source.service_account_token.is_some();
            }
            if let Some(claim) = volume.persistent_volume_claim.and_then(|claim| claim.claim_name) {
                claims.push(claim);
            } else if volume.ephemeral.is_some() {
                claims.push(format!("{}-{}", pod.meta.name, volume.name));
            }
        }
        facts.claims = claims;
        facts.projects_token = projects_token;
        Ok(facts)
    }
}

#[derive(Deserialize)]
struct PodText {
    #[serde(default)]
    spec: Spec,
}

macro_rules! shapes {
    ($($name:ident { $($field:ident: $type:ty),+ $(,)? })+) => {$(
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        #[allow(clippy::struct_field_names, reason = "the names are Kubernetes'")]
        struct $name { $(#[serde(deserialize_with = "null_is_default")] $field: $type),+ }
    )+};
}

shapes! {
    Spec {
        node_name: Option<String>,
        service_account_name: Option<String>,
        image_pull_secrets: Vec<Named>,
        init_containers: Vec<Container>,
        containers: Vec<Container>,
        ephemeral_containers: Vec<Container>,
        volumes: Vec<Volume>,
    }
    Named { name: Option<String> }
    Container { env_from: Vec<EnvFrom>, env: Vec<Env> }
    EnvFrom { config_map_ref: Option<Named>, secret_ref: Option<Named> }
    Env { value_from: Option<ValueFrom> }
    ValueFrom { config_map_key_ref: Option<Named>, secret_key_ref: Option<Named> }
    Volume {
        name: String,
        config_map: Option<Named>,
        secret: Option<SecretVolume>,
        azure_file: Option<SecretVolume>,
        csi: Option<Csi>,
        cephfs: Option<Driver>,
        flex_volume: Option<Driver>,
        iscsi: Option<Driver>,
        rbd: Option<Driver>,
        scale_io: Option<Driver>,
        storageos: Option<Driver>,
        projected: Option<Projected>,
        persistent_volume_claim: Option<Claim>,
        ephemeral: Option<Present>,
    }
    SecretVolume { secret_name: Option<String> }
    Csi { node_publish_secret_ref: Option<Named> }
    Driver { secret_ref: Option<Named> }
    Projected { sources: Vec<Source> }
    Source { config_map: Option<Named>, secret: Option<Named>, service_account_token: Option<Present> }
    Claim { claim_name: Option<String> }
}

#[derive(Deserialize, Default)]
struct Present {}

/// Reads an absent value out of `null`, as Go does.
pub(crate) fn null_is_default<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(
    d: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(d).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_reference_is_found_once() {
        let pod = r#"{"metadata":{"name":"p","namespace":"prod"},"spec":{"nodeName":"e1","serviceAccountName":"sa",
          "imagePullSecrets":[{"name":"pull"}],
          "initContainers":[{"name":"i","envFrom":[{"configMapRef":{"name":"init-cm"}}]}],
          "containers":[{"name":"c","env":[{"name":"A","value":"1"},{"name":"B","valueFrom":{"secretKeyRef":{"name":"env-s","key":"k"}}}]}],
          "ephemeralContainers":[{"name":"e","envFrom":[{"secretRef":{"name":"dbg-s"}}]}],
          "volumes":[{"name":"a","configMap":{"name":"init-cm"}},{"name":"b","secret":{"secretName":"vol-s"}},
            {"name":"c","projected":{"sources":[{"serviceAccountToken":{"path":"t"}},{"configMap":{"name":"root-ca"}},{"secret":{"name":"proj-s"}}]}},
            {"name":"d","persistentVolumeClaim":{"claimName":"data"}},{"name":"scratch","ephemeral":{"volumeClaimTemplate":{"spec":{}}}},
            {"name":"f","csi":{"driver":"x","nodePublishSecretRef":{"name":"csi-s"}}},{"name":"g","emptyDir":{}}]}}"#;
        let facts = PodFacts::read(&Object::read(&Kind::Pod, pod).expect("reads")).expect("a pod");
        assert_eq!(facts.node.as_deref(), Some("e1"));
        assert_eq!(facts.service_account, "sa");
        assert_eq!(facts.claims, ["data", "p-scratch"]);
        assert!(facts.projects_token);
        let names: Vec<String> = facts.configs.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "prod/secret/pull",
                "prod/configmap/init-cm",
                "prod/secret/env-s",
                "prod/secret/dbg-s",
                "prod/secret/vol-s",
                "prod/configmap/root-ca",
                "prod/secret/proj-s",
                "prod/secret/csi-s",
            ]
        );
    }

    #[test]
    fn an_unbound_pod_has_no_node() {
        let pod = Object::read(&Kind::Pod, r#"{"metadata":{"name":"p"},"spec":{"containers":null}}"#).expect("reads");
        let facts = PodFacts::read(&pod).expect("a pod");
        assert_eq!((facts.node, facts.service_account.as_str()), (None, "default"));
    }
}

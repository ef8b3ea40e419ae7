//! Service account tokens of projected volumes: kept until most of their life is over, and longer while offline.
//!
//! Source: spec 08 §11.6, §2.4.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccountTokenProjection};
use tracing::warn;

use crate::doors::{KubeApi, KubeApiError};

/// Lifetime asked for when the projection names none. Source: Kubernetes API default.
const DEFAULT_EXPIRATION_SECONDS: i64 = 3600;
/// A token older than this is renewed even if it lives longer.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    pod_uid: String,
    service_account: String,
    audience: String,
    expiration_seconds: i64,
}

struct Cached {
    token: String,
    issued: Timestamp,
    expires: Timestamp,
}

impl Cached {
    /// When a new one should be asked for: after 80 % of its life, or a day.
    fn is_stale(&self, now: Timestamp) -> bool {
        let age = now.duration_since(self.issued);
        let life = self.expires.duration_since(self.issued);
        age > MAX_AGE || age.as_secs().saturating_mul(5) >= life.as_secs().saturating_mul(4)
    }
}

/// Tokens of the pods of this node; entries go when their pod goes.
#[derive(Default)]
pub struct Tokens {
    cached: Mutex<HashMap<Key, Cached>>,
}

impl Tokens {
    /// A token for `projection`: the cached one, or a new one from `api` when that is getting old.
    ///
    /// While no new one can be had the old one is served, even after its end: a pod with an old token can still be
    /// started offline, one without cannot.
    ///
    /// # Errors
    /// Only when there has never been a token.
    pub async fn token(
        &self,
        api: &dyn KubeApi,
        pod: &Pod,
        projection: &ServiceAccountTokenProjection,
        now: Timestamp,
    ) -> Result<String, KubeApiError> {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone());
        let key = Key {
            pod_uid: text(&pod.metadata.uid),
            service_account: account.filter(|name| !name.is_empty()).unwrap_or_else(|| "default".to_owned()),
            audience: text(&projection.audience),
            expiration_seconds: projection.expiration_seconds.unwrap_or(DEFAULT_EXPIRATION_SECONDS),
        };
        let old = self.with(|cached| cached.get(&key).map(|entry| (entry.token.clone(), entry.is_stale(now))));
        if let Some((token, false)) = old {
            return Ok(token);
        }
        let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
        let request = request(&key, pod);
        let answer = match api.service_account_token(namespace, &key.service_account, request).await {
            Ok(answer) => answer,
            Err(error) => {
                let Some((token, _)) = old else { return Err(error) };
                warn!(pod.uid = %key.pod_uid, error = %error, "service account token not renewed, the old one stays");
                return Ok(token);
            }
        };
        let Some(status) = answer.status else {
            return Err(KubeApiError::Other { code: 0, message: "token request answered without a token".to_owned() });
        };
        let token = status.token.clone();
        let life = SignedDuration::from_secs(key.expiration_seconds);
        let expires = status.expiration_timestamp.0;
        // A token from the store below may have been issued long ago: count its age from its end.
        let issued = expires.checked_sub(life).map_or(now, |issued| issued.min(now));
        self.with(|cached| cached.insert(key, Cached { token: status.token, issued, expires }));
        Ok(token)
    }

    /// Forgets the tokens of a pod that is gone.
    pub fn forget(&self, pod_uid: &str) {
        self.with(|cached| cached.retain(|key, _| key.pod_uid != pod_uid));
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut HashMap<Key, Cached>) -> T) -> T {
        use_it(&mut self.cached.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn request(key: &Key, pod: &Pod) -> TokenRequest {
    TokenRequest {
        metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta::default(),
        spec: TokenRequestSpec {
            audiences: Some(key.audience.clone()).filter(|audience| !audience.is_empty()).into_iter().collect(),
            expiration_seconds: Some(key.expiration_seconds),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Pod".to_owned()),
                name: pod.metadata.name.clone(),
                uid: pod.metadata.uid.clone(),
            }),
        },
        status: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fake_api::FakeApi;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_740_816_930 + seconds).unwrap()
    }

    fn pod(uid: &str) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "web", "uid": uid}, "spec": {"containers": []}})).unwrap()
    }

    async fn get(tokens: &Tokens, api: &FakeApi, uid: &str, second: i64) -> Result<String, KubeApiError> {
        let projection = serde_json::from_value(json!({"path": "token", "expirationSeconds": 3607})).unwrap();
        tokens.token(api, &pod(uid), &projection, at(second)).await
    }

    fn expiring_at(second: i64) -> FakeApi {
        let api = FakeApi::new();
        api.state().token_expires = at(second);
        api
    }

    #[tokio::test]
    async fn a_token_is_kept_for_four_fifths_of_its_life() {
        let (api, tokens) = (expiring_at(3607), Tokens::default());
        assert_eq!(get(&tokens, &api, "u", 0).await.unwrap(), "default-1");
        assert_eq!(get(&tokens, &api, "u", 2880).await.unwrap(), "default-1");
        assert_eq!(get(&tokens, &api, "u", 2890).await.unwrap(), "default-2");
        assert_eq!(get(&tokens, &api, "other", 0).await.unwrap(), "default-3");
    }

    #[tokio::test]
    async fn offline_the_old_token_stays_even_after_its_end() {
        let (api, tokens) = (expiring_at(3607), Tokens::default());
        get(&tokens, &api, "u", 0).await.unwrap();
        api.state().token_fails = true;
        assert_eq!(get(&tokens, &api, "u", 9000).await.unwrap(), "default-1");
        assert!(get(&tokens, &api, "never-had-one", 0).await.is_err());
    }

    #[tokio::test]
    async fn a_long_lived_token_is_renewed_daily() {
        let (api, tokens) = (expiring_at(1_000_000), Tokens::default());
        get(&tokens, &api, "u", 0).await.unwrap();
        assert_eq!(get(&tokens, &api, "u", 86_400).await.unwrap(), "default-1");
        assert_eq!(get(&tokens, &api, "u", 86_401).await.unwrap(), "default-2");
    }

    #[tokio::test]
    async fn tokens_go_with_their_pod() {
        let (api, tokens) = (expiring_at(3607), Tokens::default());
        get(&tokens, &api, "u", 0).await.unwrap();
        tokens.forget("u");
        assert_eq!(get(&tokens, &api, "u", 1).await.unwrap(), "default-2");
    }
}

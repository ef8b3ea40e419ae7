//! Service account tokens: where they are kept and when they are renewed. Source: spec 02 §6.1, §6.5, 08 §2.4.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};

/// The type word of token rows.
pub const KIND: &str = "serviceaccounttoken";

/// A token older than this is renewed.
const MAX_AGE: Duration = Duration::from_hours(24);

/// The row key of a request, in the peers' notation.
///
/// The peers store a token under the key of the *answer*, in which the API server has filled the audiences, and so
/// never find it again. Here the request's key is used, which is known before the answer.
pub fn key(namespace: &str, name: &str, spec: &TokenRequestSpec) -> String {
    use std::fmt::Write as _;

    let mut key = format!("{}/", key_prefix(namespace, name));
    if spec.audiences.is_empty() {
        key.push_str("[]string(nil)");
    } else {
        let quoted: Vec<_> = spec.audiences.iter().map(|audience| format!("{audience:?}")).collect();
        let _ = write!(key, "[]string{{{}}}", quoted.join(", "));
    }
    let _ = write!(key, "/{}/", spec.expiration_seconds.unwrap_or(0));
    let bound = spec.bound_object_ref.clone().unwrap_or_default();
    let _ = write!(
        key,
        "v1.BoundObjectReference{{Kind:{:?}, APIVersion:{:?}, Name:{:?}, UID:{:?}}}",
        bound.kind.unwrap_or_default(),
        bound.api_version.unwrap_or_default(),
        bound.name.unwrap_or_default(),
        bound.uid.unwrap_or_default(),
    );
    key
}

/// The part of a key that names the service account.
pub fn key_prefix(namespace: &str, name: &str) -> String {
    format!("{name:?}/{namespace:?}")
}

/// Reads a stored token; anything without a token is not one.
pub fn read(json: &str) -> Option<TokenRequest> {
    let token: TokenRequest = serde_json::from_str(json).ok()?;
    token.status.as_ref().is_some_and(|status| !status.token.is_empty()).then_some(token)
}

/// Whether a token may still be handed out without asking for a new one: not in the last fifth of its life and not
/// older than a day.
pub fn is_fresh(token: &TokenRequest, now: Timestamp) -> bool {
    let Some(status) = &token.status else { return false };
    let Some(life) = token.spec.expiration_seconds.filter(|life| *life > 0) else { return true };
    let expires = status.expiration_timestamp.0.as_second();
    let issued = expires - life;
    let now = now.as_second();
    now < expires - life / 5 && now < issued + i64::try_from(MAX_AGE.as_secs()).unwrap_or(i64::MAX)
}

/// The best token among rows that a peer stored, for a request made while the cloud is away: the same service
/// account, the same pod, and audiences that cannot be another consumer's. Never one bound to another pod.
pub fn best_match(
    rows: &[(String, String)],
    namespace: &str,
    name: &str,
    wanted: &TokenRequestSpec,
) -> Option<TokenRequest> {
    let prefix = format!("{}/", key_prefix(namespace, name));
    let uid = |spec: &TokenRequestSpec| spec.bound_object_ref.as_ref().and_then(|bound| bound.uid.clone());
    let mut found: Vec<_> = rows
        .iter()
        .filter(|(key, _)| key.starts_with(&prefix))
        .filter_map(|(_, json)| read(json))
        .filter(|token| uid(&token.spec) == uid(wanted))
        .filter(|token| wanted.audiences.is_empty() || token.spec.audiences == wanted.audiences)
        .collect();
    if wanted.audiences.is_empty() && found.iter().any(|token| token.spec.audiences != found[0].spec.audiences) {
        return None; // no way to tell which of them is the default one
    }
    found.sort_by_key(|token| token.status.as_ref().map(|status| status.expiration_timestamp.0));
    found.pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(audiences: &[&str], uid: &str) -> TokenRequestSpec {
        serde_json::from_value(serde_json::json!({"audiences": audiences, "expirationSeconds": 3607,
            "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "web-0", "uid": uid}}))
        .expect("a spec")
    }

    fn token(audiences: &[&str], uid: &str, expires: &str) -> String {
        serde_json::json!({"metadata": {"creationTimestamp": null}, "spec": {"audiences": audiences, "expirationSeconds": 3600,
            "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "web-0", "uid": uid}},
            "status": {"token": "t", "expirationTimestamp": expires}})
        .to_string()
    }

    #[test]
    fn keys_are_in_go_notation() {
        assert_eq!(
            key("prod", "web-sa", &request(&[], "8f")),
            r#""web-sa"/"prod"/[]string(nil)/3607/v1.BoundObjectReference{Kind:"Pod", APIVersion:"v1", Name:"web-0", UID:"8f"}"#
        );
        assert!(key("prod", "web-sa", &request(&["a", "b"], "8f")).contains(r#"/[]string{"a", "b"}/3607/"#));
    }

    #[test]
    fn the_last_fifth_of_a_life_is_stale() {
        let token = read(&token(&["a"], "8f", "2026-01-01T01:00:00Z")).expect("a token");
        let at = |text: &str| text.parse().expect("a timestamp");
        assert!(is_fresh(&token, at("2026-01-01T00:47:59Z")));
        assert!(!is_fresh(&token, at("2026-01-01T00:48:00Z")));
    }

    #[test]
    fn only_the_pods_own_token_is_served_offline() {
        let peer_key = |uid: &str| format!(r#""sa"/"ns"/[]string{{"api"}}/3607/{uid}"#);
        let rows = vec![
            (peer_key("other"), token(&["api"], "other", "2026-01-01T01:00:00Z")),
            (peer_key("old"), token(&["api"], "mine", "2026-01-01T01:00:00Z")),
            (peer_key("new"), token(&["api"], "mine", "2026-01-01T02:00:00Z")),
            (peer_key("poison"), r#"{"ErrStatus":{"code":404}}"#.to_owned()),
        ];
        let found = best_match(&rows, "ns", "sa", &request(&[], "mine")).expect("a token");
        assert_eq!(found.status.expect("status").expiration_timestamp.0.to_string(), "2026-01-01T02:00:00Z");
        assert!(best_match(&rows, "ns", "sa", &request(&["vault"], "mine")).is_none());
        assert!(best_match(&rows, "ns", "sa", &request(&[], "third")).is_none());
        assert!(best_match(&rows, "ns", "other-sa", &request(&[], "mine")).is_none());
    }
}

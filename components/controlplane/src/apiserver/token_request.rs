//! `serviceaccounts/token`: issues a token. Source: spec 10 §8.2.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    api::{Api, Target},
    meta,
    status::ApiError,
};
use crate::security::tokens::Grant;

/// Lifetime when none is asked for, in seconds.
const DEFAULT_SECONDS: i64 = 3600;
/// Shortest lifetime, in seconds.
const LEAST_SECONDS: i64 = 600;
/// What pods ask for; such tokens live a year so that an edge without a link keeps a usable one.
const POD_SECONDS: i64 = 3607;
/// One year, in seconds.
const EXTENDED_SECONDS: i64 = 365 * 24 * 3600;

impl Api {
    /// Issues a token for the account `target`; `request` is a decoded `TokenRequest`.
    ///
    /// # Errors
    /// 404 for a missing account or bound object, 409 for another uid, 422 for lifetimes that are too short.
    pub async fn request_token(&self, target: &Target, request: &Value) -> Result<Value, ApiError> {
        let invalid = |field: &str, text: &str| {
            let mut error = ApiError::invalid_field(&target.info, "", field, text);
            error.message = format!("TokenRequest.authentication.k8s.io \"\" is invalid: {field}: {text}");
            error
        };
        let account = self.get(target).await?.value()?;
        let spec = &request["spec"];
        let seconds = spec["expirationSeconds"].as_i64().unwrap_or(DEFAULT_SECONDS);
        if seconds < LEAST_SECONDS {
            let text = format!("Invalid value: {seconds}: may not specify a duration less than 10 minutes");
            return Err(invalid("spec.expirationSeconds", &text));
        }
        if seconds > 1 << 32 {
            let text = format!("Invalid value: {seconds}: may not specify a duration larger than 2^32 seconds");
            return Err(invalid("spec.expirationSeconds", &text));
        }
        let mut audiences: Vec<String> = serde_json::from_value(spec["audiences"].clone()).unwrap_or_default();
        if audiences.is_empty() {
            audiences.push(self.facts.issuer.clone());
        }
        let bound = self.bound_object(target, &spec["boundObjectRef"]).await?;
        let from_pod = matches!(bound, Some(("pod", ..))) || bound.is_none();
        let extended = seconds == POD_SECONDS && from_pod && audiences.contains(&self.facts.issuer);
        let now = Timestamp::now();
        let grant = Grant {
            issuer: self.facts.issuer.clone(),
            audiences: audiences.clone(),
            ns: target.ns.clone(),
            name: target.name.clone(),
            uid: meta::uid(&account).to_owned(),
            bound,
            seconds: if extended { EXTENDED_SECONDS } else { seconds },
            warn_after: extended.then_some(seconds),
        };
        let token = self.tokens.issue(&grant, now).ok_or_else(|| ApiError::internal("token could not be signed"))?;
        let expires = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
        let mut spec = json!({"audiences": audiences, "expirationSeconds": seconds});
        spec["boundObjectRef"] = request["spec"]["boundObjectRef"].clone();
        Ok(json!({
            "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": target.name, "namespace": target.ns, "creationTimestamp": meta::time(now)},
            "spec": spec,
            "status": {"token": token, "expirationTimestamp": meta::time(expires)},
        }))
    }

    async fn bound_object(
        &self,
        target: &Target,
        reference: &Value,
    ) -> Result<Option<(&'static str, String, String)>, ApiError> {
        if !reference.is_object() {
            return Ok(None);
        }
        let (claim, plural) = match reference["kind"].as_str() {
            Some("Pod") => ("pod", "pods"),
            Some("Secret") => ("secret", "secrets"),
            Some("Node") => ("node", "nodes"),
            other => {
                let kind = other.unwrap_or_default();
                return Err(ApiError::bad_request(format!(
                    "cannot bind token for serviceaccount to object of type {kind}"
                )));
            }
        };
        let ns = if plural == "nodes" { "" } else { &target.ns };
        let name = reference["name"].as_str().unwrap_or_default();
        let object = self.builtin("", plural, ns, name).await?;
        let found = self.get(&object).await?.value()?;
        let asked = reference["uid"].as_str().unwrap_or_default();
        if !asked.is_empty() && asked != meta::uid(&found) {
            let cause = format!(
                "the UID in the bound object reference ({asked}) does not match the UID in record. The object might have been deleted and then recreated"
            );
            return Err(ApiError::conflict(&object.info, name, &cause));
        }
        if plural == "pods" && found["spec"]["serviceAccountName"] != target.name.as_str() {
            let message = format!(
                "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
                target.name
            );
            return Err(ApiError::bad_request(message));
        }
        Ok(Some((claim, name.to_owned(), meta::uid(&found).to_owned())))
    }
}

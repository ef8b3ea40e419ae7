//! Questions instead of objects: token, access and identity reviews. Source: spec 10 §8.1, §8.4.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{api::Api, meta, status::ApiError};
use crate::security::{
    authn::token_user,
    rbac::{Decision, Rule},
    user::{Attributes, User},
};

impl Api {
    /// Answers the review `request` of the resource `plural`, asked by `user` in `ns`.
    ///
    /// # Errors
    /// 404 for resources that are no reviews, 400 for reviews without a question.
    pub async fn review(&self, user: &User, plural: &str, ns: &str, request: Value) -> Result<Value, ApiError> {
        let mut answer = request;
        let status = match plural {
            "tokenreviews" => self.token_review(&answer["spec"]).await?,
            "selfsubjectreviews" => {
                meta::metadata_mut(&mut answer).insert("creationTimestamp".into(), meta::time(Timestamp::now()).into());
                json!({"userInfo": user.to_json()})
            }
            "selfsubjectaccessreviews" => self.access(user, &answer["spec"], ns),
            "subjectaccessreviews" | "localsubjectaccessreviews" => {
                let subject = subject(&answer["spec"]);
                if subject.name.is_empty() && subject.groups.is_empty() {
                    return Err(ApiError::bad_request("spec.user: at least one of user or group must be specified"));
                }
                self.access(&subject, &answer["spec"], ns)
            }
            "selfsubjectrulesreviews" => {
                let ns = answer["spec"]["namespace"].as_str().unwrap_or_default().to_owned();
                self.rules(user, &ns)
            }
            _ => return Err(ApiError::unknown_resource()),
        };
        answer["status"] = status;
        Ok(answer)
    }

    async fn token_review(&self, spec: &Value) -> Result<Value, ApiError> {
        let token = spec["token"].as_str().unwrap_or_default();
        let audiences: Vec<String> = serde_json::from_value(spec["audiences"].clone()).unwrap_or_default();
        Ok(match token_user(self, token, Some(&audiences)).await? {
            Some((user, audiences)) => {
                json!({"authenticated": true, "user": user.to_json(), "audiences": audiences})
            }
            None => json!({"user": {}, "error": "invalid bearer token"}),
        })
    }

    fn access(&self, user: &User, spec: &Value, ns: &str) -> Value {
        match self.rbac.authorize(user, &attributes(spec, ns)) {
            Decision::Allow(reason) if reason.is_empty() => json!({"allowed": true}),
            Decision::Allow(reason) => json!({"allowed": true, "reason": reason}),
            Decision::NoOpinion => json!({"allowed": false}),
        }
    }

    fn rules(&self, user: &User, ns: &str) -> Value {
        let rules = self.rbac.rules_for(user, ns);
        let (urls, resources): (Vec<&Rule>, Vec<&Rule>) =
            rules.iter().partition(|rule| !rule.non_resource_urls.is_empty());
        let resources: Vec<Value> = resources
            .into_iter()
            .map(|rule| {
                let mut shown = json!({"verbs": rule.verbs, "apiGroups": rule.api_groups, "resources": rule.resources});
                if !rule.resource_names.is_empty() {
                    shown["resourceNames"] = json!(rule.resource_names);
                }
                shown
            })
            .collect();
        let urls: Vec<Value> = urls
            .into_iter()
            .map(|rule| json!({"verbs": rule.verbs, "nonResourceURLs": rule.non_resource_urls}))
            .collect();
        json!({"resourceRules": resources, "nonResourceRules": urls, "incomplete": false})
    }
}

fn subject(spec: &Value) -> User {
    User {
        name: spec["user"].as_str().unwrap_or_default().to_owned(),
        uid: spec["uid"].as_str().unwrap_or_default().to_owned(),
        groups: serde_json::from_value(spec["groups"].clone()).unwrap_or_default(),
        extra: serde_json::from_value(spec["extra"].clone()).unwrap_or_default(),
        in_process: false,
    }
}

fn attributes(spec: &Value, url_ns: &str) -> Attributes {
    let resource = &spec["resourceAttributes"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if resource.is_object() {
        let ns = text(&resource["namespace"]);
        return Attributes {
            verb: text(&resource["verb"]),
            group: text(&resource["group"]),
            version: text(&resource["version"]),
            resource: text(&resource["resource"]),
            subresource: text(&resource["subresource"]),
            ns: if ns.is_empty() { url_ns.to_owned() } else { ns },
            name: text(&resource["name"]),
            path: String::new(),
        };
    }
    let path = &spec["nonResourceAttributes"];
    Attributes { verb: text(&path["verb"]), path: text(&path["path"]), ..Attributes::default() }
}

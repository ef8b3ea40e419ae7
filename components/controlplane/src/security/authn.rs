//! Authentication: client certificate, ServiceAccount token, or nobody. Source: spec 10 §8.1–8.3.

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    rbac::Decision,
    user::{ANONYMOUS, AUTHENTICATED, Attributes, User, service_account_groups, split_service_account},
};
use crate::apiserver::{api::Api, meta, status::ApiError};

/// A token of a deleted pod stays good for so long, for its last words.
const AFTERLIFE: SignedDuration = SignedDuration::from_secs(60);

/// What the connection proved before any request.
#[derive(Clone, Debug, Default)]
pub enum Peer {
    /// Nothing.
    #[default]
    Nobody,
    /// A certificate of our client CA.
    Certificate(User),
    /// A certificate that is expired or somebody else's.
    BadCertificate,
    /// A component of this process, already known.
    InProcess(User),
}

/// Finds out who sent a request.
///
/// # Errors
/// 401 when a credential was presented and is not good.
pub async fn authenticate(api: &Api, peer: &Peer, headers: &HeaderMap) -> Result<User, ApiError> {
    if let Peer::InProcess(user) = peer {
        return Ok(user.clone());
    }
    if let Peer::Certificate(user) = peer {
        return Ok(user.clone());
    }
    match (bearer(headers), peer) {
        (Some(token), _) => match token_user(api, &token, None).await? {
            Some((user, _)) => Ok(user),
            None => Err(ApiError::unauthorized()),
        },
        (None, Peer::BadCertificate) => Err(ApiError::unauthorized()),
        (None, _) => Ok(User::anonymous()),
    }
}

/// The bearer token of a request, also from WebSocket subprotocols.
fn bearer(headers: &HeaderMap) -> Option<String> {
    const SUBPROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(header) = text("authorization") {
        let (scheme, token) = header.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned()).filter(|t| !t.is_empty());
    }
    let protocols = text("sec-websocket-protocol")?;
    let encoded = protocols.split(',').find_map(|protocol| protocol.trim().strip_prefix(SUBPROTOCOL))?;
    String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}

/// The account a token stands for and the audiences it is good for; `None` when it is not good.
///
/// # Errors
/// Store errors.
pub async fn token_user(
    api: &Api,
    token: &str,
    audiences: Option<&[String]>,
) -> Result<Option<(User, Vec<String>)>, ApiError> {
    let now = Timestamp::now();
    let ours: Vec<String>;
    let accepted = match audiences {
        Some(asked) if !asked.is_empty() => asked,
        _ => {
            ours = std::iter::once(api.facts.issuer.clone()).chain(api.facts.audiences.iter().cloned()).collect();
            &ours
        }
    };
    let Ok(claims) = api.tokens.verify(token, &api.facts.issuer, accepted, now) else { return Ok(None) };
    let kubernetes = &claims["kubernetes.io"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (ns, name) = (text(&kubernetes["namespace"]), text(&kubernetes["serviceaccount"]["name"]));
    let account = api.builtin("", "serviceaccounts", &ns, &name).await?;
    let alive = api.find(&account).await?.is_some_and(|a| meta::uid(&a) == text(&kubernetes["serviceaccount"]["uid"]));
    if !alive {
        return Ok(None);
    }
    for (claim, plural) in [("pod", "pods"), ("secret", "secrets"), ("node", "nodes")] {
        let bound = &kubernetes[claim];
        // A pod-bound token also names the pod's node, for information only.
        if !bound.is_object() || (claim == "node" && kubernetes["pod"].is_object()) {
            continue;
        }
        let ns = if plural == "nodes" { "" } else { &ns };
        let target = api.builtin("", plural, ns, &text(&bound["name"])).await?;
        let Some(object) = api.find(&target).await? else { return Ok(None) };
        if meta::uid(&object) != text(&bound["uid"]) || is_long_gone(&object, now) {
            return Ok(None);
        }
    }
    let user_name = text(&claims["sub"]);
    let mut user = User {
        groups: service_account_groups(&user_name).unwrap_or_default(),
        name: user_name,
        uid: text(&kubernetes["serviceaccount"]["uid"]),
        ..User::default()
    };
    user.groups.push(AUTHENTICATED.into());
    let mut extra = |key: &str, value: String| {
        user.extra.insert(format!("authentication.kubernetes.io/{key}"), vec![value]);
    };
    if kubernetes["pod"].is_object() {
        extra("pod-name", text(&kubernetes["pod"]["name"]));
        extra("pod-uid", text(&kubernetes["pod"]["uid"]));
    }
    if let Some(id) = claims["jti"].as_str() {
        extra("credential-id", format!("JTI={id}"));
    }
    let named = claims["aud"].as_array().into_iter().flatten().map(text);
    let audiences = named.filter(|audience| accepted.contains(audience)).collect();
    Ok(Some((user, audiences)))
}

fn is_long_gone(object: &Value, now: Timestamp) -> bool {
    let deleted: Option<Timestamp> = object["metadata"]["deletionTimestamp"].as_str().and_then(|t| t.parse().ok());
    deleted.is_some_and(|at| now.duration_since(at) > AFTERLIFE)
}

/// Replaces the caller by the one he acts for, if he may.
///
/// # Errors
/// 403 when he may not, 400 when the headers do not name a user.
pub fn impersonate(api: &Api, user: User, headers: &HeaderMap) -> Result<User, ApiError> {
    let values = |name: &str| {
        let all = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        all.map(str::to_owned).collect::<Vec<_>>()
    };
    let (names, groups, uids) = (values("impersonate-user"), values("impersonate-group"), values("impersonate-uid"));
    let extra: Vec<(String, String)> = headers
        .iter()
        .filter_map(|(header, value)| {
            let key = header.as_str().strip_prefix("impersonate-extra-")?;
            Some((key.to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect();
    let Some(name) = names.into_iter().next() else {
        if groups.is_empty() && uids.is_empty() && extra.is_empty() {
            return Ok(user);
        }
        return Err(ApiError::bad_request("requested impersonation without impersonating a user"));
    };
    let mut asked = vec![match split_service_account(&name) {
        Some((ns, account)) => permission("", "serviceaccounts", "", ns, account),
        None => permission("", "users", "", "", &name),
    }];
    asked.extend(groups.iter().map(|group| permission("", "groups", "", "", group)));
    asked.extend(uids.iter().map(|uid| permission("authentication.k8s.io", "uids", "", "", uid)));
    asked.extend(extra.iter().map(|(key, value)| permission("authentication.k8s.io", "userextras", key, "", value)));
    for attributes in &asked {
        if api.rbac.authorize(&user, attributes) == Decision::NoOpinion {
            return Err(denied(&user, attributes));
        }
    }
    let mut target = User { uid: uids.into_iter().next().unwrap_or_default(), groups, ..User::default() };
    if target.groups.is_empty() {
        target.groups = service_account_groups(&name).unwrap_or_default();
    }
    if name != ANONYMOUS && !target.is_in(AUTHENTICATED) {
        target.groups.push(AUTHENTICATED.into());
    }
    for (key, value) in extra {
        target.extra.entry(key).or_default().push(value);
    }
    target.name = name;
    Ok(target)
}

fn permission(group: &str, resource: &str, subresource: &str, ns: &str, name: &str) -> Attributes {
    Attributes {
        verb: "impersonate".into(),
        group: group.into(),
        version: "v1".into(),
        resource: resource.into(),
        subresource: subresource.into(),
        ns: ns.into(),
        name: name.into(),
        ..Attributes::default()
    }
}

/// The 403 of authorization.
pub fn denied(user: &User, asked: &Attributes) -> ApiError {
    if asked.resource.is_empty() {
        let message = format!("forbidden: User {:?} cannot {} path {:?}", user.name, asked.verb, asked.path);
        return ApiError::new(403, "Forbidden", message).with_details(serde_json::json!({}));
    }
    let resource = if asked.subresource.is_empty() {
        asked.resource.clone()
    } else {
        format!("{}/{}", asked.resource, asked.subresource)
    };
    let qualified =
        if asked.group.is_empty() { asked.resource.clone() } else { format!("{}.{}", asked.resource, asked.group) };
    let object = if asked.name.is_empty() { String::new() } else { format!(" {:?}", asked.name) };
    let scope = if asked.ns.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {:?}", asked.ns)
    };
    let message = format!(
        "{qualified}{object} is forbidden: User {:?} cannot {} resource {resource:?} in API group {:?} {scope}",
        user.name, asked.verb, asked.group
    );
    let mut details = serde_json::json!({"kind": asked.resource});
    if !asked.name.is_empty() {
        details["name"] = asked.name.as_str().into();
    }
    if !asked.group.is_empty() {
        details["group"] = asked.group.as_str().into();
    }
    ApiError::new(403, "Forbidden", message).with_details(details)
}

//! The way of a request from the wire to its handler and back. Source: spec 10 §1.1.
//!
//! Order: panic guard, audit id, request line, who, on whose behalf, may he, load limit, time limit, handler.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt as _, Limited};
use hyper::upgrade::OnUpgrade;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error};

use super::{
    api::Api,
    body::Body,
    discovery,
    encode::{IncludeObject, View, respond},
    handlers::{Call, page_not_found},
    negotiate::{JSON, negotiate},
    request::{RequestInfo, ResourcePath},
    status::ApiError,
};
use crate::security::{
    authn::{self, Peer},
    rbac::Decision,
    user::{Attributes, User},
};

/// Largest request body, in bytes.
const MAX_BODY: usize = 3_145_728;
/// Longest request that is not a stream.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
/// Reads in flight. More are refused.
const READS: usize = 400;
/// Writes in flight. More are refused.
const WRITES: usize = 200;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The server behind every listener and every in-process client.
pub struct Server {
    api: Arc<Api>,
    reads: Semaphore,
    writes: Semaphore,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Server {
    /// A server over `api`; `stop` ends its watches.
    pub fn new(api: Arc<Api>, stop: CancellationToken) -> Self {
        Self { api, reads: Semaphore::new(READS), writes: Semaphore::new(WRITES), tasks: TaskTracker::new(), stop }
    }

    /// Answers one request. Never fails: failures are responses.
    pub async fn handle<B>(&self, peer: &Peer, request: Request<B>) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes> + Send,
        B::Error: Into<BoxError>,
    {
        let given = request.headers().get("audit-id").cloned();
        let audit_id = given.or_else(|| HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).ok());
        let pretty = wants_pretty(&request);
        let guarded = AssertUnwindSafe(self.route(peer, request, pretty)).catch_unwind().await;
        let mut response = guarded.unwrap_or_else(|_| {
            error!("request handler panicked");
            plain_view(pretty).error(&ApiError::internal("the server met an unexpected condition"))
        });
        let headers = response.headers_mut();
        if let Some(audit_id) = audit_id {
            headers.insert(HeaderName::from_static("audit-id"), audit_id);
        }
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
        response
    }

    async fn route<B>(&self, peer: &Peer, request: Request<B>, pretty: bool) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes> + Send,
        B::Error: Into<BoxError>,
    {
        let (mut parts, body) = request.into_parts();
        let info = RequestInfo::parse(&parts.method, &parts.uri);
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        let outcome = self.serve(peer, &parts, upgrade, &info, body, pretty).await;
        outcome.unwrap_or_else(|error| {
            debug!(code = error.code, path = %info.path, error = %error, "request refused");
            plain_view(pretty).error(&error)
        })
    }

    async fn serve<B>(
        &self,
        peer: &Peer,
        parts: &Parts,
        upgrade: Option<OnUpgrade>,
        info: &RequestInfo,
        body: B,
        pretty: bool,
    ) -> Result<Response<Body>, ApiError>
    where
        B: hyper::body::Body<Data = Bytes> + Send,
        B::Error: Into<BoxError>,
    {
        let (method, headers) = (&parts.method, &parts.headers);
        let user = authn::authenticate(&self.api, peer, headers).await?;
        let user = authn::impersonate(&self.api, user, headers)?;
        if *method == Method::HEAD || *method == Method::OPTIONS {
            return Err(ApiError::method_not_allowed());
        }
        self.authorize(&user, info)?;
        let streams = is_stream(info);
        let lane = if matches!(info.verb, "get" | "list") { &self.reads } else { &self.writes };
        let _slot = if streams {
            None
        } else {
            match lane.try_acquire() {
                Ok(slot) => Some(slot),
                Err(_) => return Ok(too_many()),
            }
        };
        let work = async {
            let body = collect(body).await?;
            match &info.resource {
                Some(path) => {
                    let call = Call {
                        api: &self.api,
                        user,
                        request: info,
                        path,
                        headers,
                        body,
                        pretty,
                        method,
                        upgrade: Mutex::new(upgrade),
                        tasks: &self.tasks,
                        stop: &self.stop,
                    };
                    call.run().await
                }
                None => self.paths(headers, info, pretty).await,
            }
        };
        let limit = time_limit(info);
        match tokio::time::timeout(limit, work).await {
            Ok(outcome) => outcome,
            Err(_) => {
                Err(ApiError::new(504, "Timeout", "Timeout: request did not complete within the allotted timeout"))
            }
        }
    }

    async fn paths(&self, headers: &HeaderMap, info: &RequestInfo, pretty: bool) -> Result<Response<Body>, ApiError> {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        // Discovery is negotiated strictly; plain texts such as health checks are served to anybody.
        let form = negotiate(accept, discovery::offers(&info.path)).unwrap_or(JSON);
        let view = View { form, include: IncludeObject::Metadata, pretty };
        Ok(match discovery::answer(&self.api, info, headers, &view).await? {
            Some(response) => response,
            None => page_not_found(),
        })
    }

    fn authorize(&self, user: &User, info: &RequestInfo) -> Result<(), ApiError> {
        let asked = match &info.resource {
            Some(path) => attributes(path, info),
            None => Attributes { verb: info.verb.into(), path: info.path.clone(), ..Attributes::default() },
        };
        match self.api.rbac.authorize(user, &asked) {
            Decision::Allow(_) => Ok(()),
            Decision::NoOpinion => Err(authn::denied(user, &asked)),
        }
    }
}

fn attributes(path: &ResourcePath, info: &RequestInfo) -> Attributes {
    let mut name = path.name.clone();
    if name.is_empty()
        && let Some(fields) = info.query.get("fieldSelector")
    {
        let single = fields.split(',').find_map(|term| term.strip_prefix("metadata.name="));
        single.unwrap_or_default().trim_start_matches('=').clone_into(&mut name);
    }
    // A namespace is inside itself, so that a RoleBinding in it can grant access to it.
    let ns = if path.group.is_empty() && path.plural == "namespaces" { path.name.clone() } else { path.ns.clone() };
    Attributes {
        verb: info.verb.into(),
        group: path.group.clone(),
        version: path.version.clone(),
        resource: path.plural.clone(),
        subresource: path.subresource.clone(),
        ns,
        name,
        path: String::new(),
    }
}

async fn collect<B>(body: B) -> Result<Bytes, ApiError>
where
    B: hyper::body::Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let message = format!("Request entity too large: limit is {MAX_BODY}");
            Err(ApiError::new(413, "RequestEntityTooLarge", message))
        }
        Err(_) => Err(ApiError::bad_request("the body of the request could not be read")),
    }
}

fn plain_view(pretty: bool) -> View {
    View { form: JSON, include: IncludeObject::Metadata, pretty }
}

fn too_many() -> Response<Body> {
    let text = "Too many requests, please try again later.\n";
    let mut response = respond(StatusCode::TOO_MANY_REQUESTS, "text/plain; charset=utf-8", text);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn wants_pretty<B>(request: &Request<B>) -> bool {
    let query = super::request::Query::parse(request.uri().query().unwrap_or_default());
    if query.has("pretty") {
        return query.flag("pretty");
    }
    let agent = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    ["curl", "Wget", "Mozilla/5.0"].iter().any(|browser| agent.starts_with(browser))
}

/// Watches and what nodes answer live long and are not counted against the load limits.
fn is_stream(info: &RequestInfo) -> bool {
    let from_node =
        |path: &ResourcePath| matches!(path.subresource.as_str(), "log" | "exec" | "attach" | "portforward" | "proxy");
    info.verb == "watch" || info.resource.as_ref().is_some_and(from_node)
}

/// `timeout` shortens the limit; streams have their own.
fn time_limit(info: &RequestInfo) -> Duration {
    if is_stream(info) {
        return REQUEST_TIMEOUT;
    }
    info.query
        .get("timeout")
        .and_then(go_duration)
        .filter(|d| !d.is_zero())
        .map_or(REQUEST_TIMEOUT, |d| d.min(REQUEST_TIMEOUT))
}

/// Durations as Go writes them, for example `1m30s`; `None` for anything else.
fn go_duration(text: &str) -> Option<Duration> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += number
            * match rest.get(..unit)? {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 0.001,
                _ => return None,
            };
        rest = rest.get(unit..)?;
    }
    Duration::try_from_secs_f64(total).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations() {
        assert_eq!(go_duration("32s"), Some(Duration::from_secs(32)));
        assert_eq!(go_duration("5m46s"), Some(Duration::from_secs(346)));
        assert_eq!(go_duration("1500ms"), Some(Duration::from_millis(1500)));
        assert_eq!(go_duration("x"), None);
    }
}

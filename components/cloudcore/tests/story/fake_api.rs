//! A Kubernetes API in memory, as far as cloudcore uses one: objects by path, versions, watches, merge patches.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::watch;

type Out = UnsyncBoxBody<Bytes, Infallible>;

#[derive(Default)]
struct State {
    version: u64,
    /// Objects by `<plural>/<namespace>/<name>`.
    objects: BTreeMap<String, Value>,
    /// Every event ever: version, plural, type, object.
    log: Vec<(u64, String, &'static str, Value)>,
    /// Plural whose writes fail.
    broken: Option<String>,
    /// Namespace in which nothing can be created any more.
    terminating: Option<String>,
}

/// See the module's text.
#[derive(Clone)]
pub struct FakeApi {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

/// What a request path names.
struct Target {
    plural: String,
    namespace: String,
    name: String,
    sub: String,
}

impl Target {
    fn parse(path: &str) -> Self {
        let mut rest: Vec<&str> = path.trim_matches('/').split('/').collect();
        rest.drain(..if rest[0] == "api" { 2 } else { 3 });
        let mut namespace = "";
        if rest[0] == "namespaces" && rest.len() > 2 {
            namespace = rest[1];
            rest.drain(..2);
        }
        let part = |n: usize| rest.get(n).copied().unwrap_or_default().to_owned();
        Self { plural: part(0), namespace: namespace.to_owned(), name: part(1), sub: part(2) }
    }

    fn key(&self) -> String {
        format!("{}/{}/{}", self.plural, self.namespace, self.name)
    }
}

impl FakeApi {
    pub fn new() -> Self {
        Self { state: Arc::default(), changed: watch::Sender::new(0) }
    }

    pub fn client(&self) -> kube::Client {
        let this = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let this = this.clone();
            async move { Ok::<_, Infallible>(this.answer(request).await) }
        });
        kube::Client::new(service, "default")
    }

    /// The object under `<plural>/<namespace>/<name>`.
    pub fn get(&self, key: &str) -> Option<Value> {
        self.state.lock().expect("lock").objects.get(key).cloned()
    }

    /// Creates or replaces an object.
    pub fn put(&self, key: &str, mut object: Value) -> Value {
        let mut state = self.state.lock().expect("lock");
        let existing = state.objects.get(key).map(|old| old["metadata"]["uid"].clone());
        let kind = if existing.is_some() { "MODIFIED" } else { "ADDED" };
        let parts: Vec<&str> = key.split('/').collect();
        state.version += 1;
        let version = state.version;
        let metadata = &mut object["metadata"];
        metadata["uid"] = existing.unwrap_or_else(|| format!("uid-{version}").into());
        metadata["resourceVersion"] = version.to_string().into();
        metadata["name"] = parts[2].into();
        metadata["managedFields"] = json!([{"manager": "test"}]);
        if !parts[1].is_empty() {
            metadata["namespace"] = parts[1].into();
        }
        if parts[0] == "customresourcedefinitions" {
            object["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
        }
        state.objects.insert(key.to_owned(), object.clone());
        state.log.push((version, parts[0].to_owned(), kind, object.clone()));
        drop(state);
        self.changed.send_replace(version);
        object
    }

    /// Makes every write of this kind fail, or none any more.
    pub fn break_writes(&self, plural: Option<&str>) {
        self.state.lock().expect("lock").broken = plural.map(str::to_owned);
    }

    /// Lets a namespace go away: nothing can be created in it from now on.
    pub fn terminate(&self, namespace: &str) {
        self.state.lock().expect("lock").terminating = Some(namespace.to_owned());
    }

    /// Removes an object.
    pub fn delete(&self, key: &str) -> Option<Value> {
        let mut state = self.state.lock().expect("lock");
        let mut object = state.objects.remove(key)?;
        state.version += 1;
        let version = state.version;
        object["metadata"]["resourceVersion"] = version.to_string().into();
        let plural = key.split('/').next().expect("a plural").to_owned();
        state.log.push((version, plural, "DELETED", object.clone()));
        drop(state);
        self.changed.send_replace(version);
        Some(object)
    }

    async fn answer(&self, request: Request<Body>) -> Response<Out> {
        let target = Target::parse(request.uri().path());
        let query = request.uri().query().unwrap_or_default().to_owned();
        let method = request.method().clone();
        let body = request.into_body().collect().await.expect("body").to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let key = target.key();
        let broken = self.state.lock().expect("lock").broken.clone();
        if method != Method::GET && broken.as_ref() == Some(&target.plural) {
            return failure(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "broken on purpose");
        }
        let terminating = self.state.lock().expect("lock").terminating.clone();
        if method == Method::POST && terminating.as_ref() == Some(&target.namespace) {
            let mut body = status(StatusCode::FORBIDDEN, "Forbidden", "the namespace is going away");
            body["details"] = json!({"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]});
            return reply(StatusCode::FORBIDDEN, &body);
        }
        match method {
            Method::GET if target.name.is_empty() && query.contains("watch=true") => self.watch(&target.plural, &query),
            Method::GET if target.name.is_empty() => {
                let state = self.state.lock().expect("lock");
                let prefix = format!("{}/", target.plural);
                let items: Vec<&Value> =
                    state.objects.iter().filter(|(key, _)| key.starts_with(&prefix)).map(|(_, v)| v).collect();
                let version = state.version.to_string();
                let list = json!({"kind": "List", "apiVersion": "v1",
                    "metadata": {"resourceVersion": version}, "items": items});
                reply(StatusCode::OK, &list)
            }
            Method::GET => self.get(&key).map_or_else(|| missing(&target), |object| reply(StatusCode::OK, &object)),
            Method::POST if target.sub == "token" => {
                let mut token = body;
                token["status"] = json!({"token": "t", "expirationTimestamp": "2030-01-01T00:00:00Z"});
                reply(StatusCode::CREATED, &token)
            }
            Method::POST => {
                let name = body["metadata"]["name"].as_str().unwrap_or_default();
                let key = format!("{}/{}/{name}", target.plural, target.namespace);
                if self.get(&key).is_some() {
                    let text = format!("{} \"{name}\" already exists", target.plural);
                    return failure(StatusCode::CONFLICT, "AlreadyExists", &text);
                }
                reply(StatusCode::CREATED, &self.put(&key, body))
            }
            Method::PUT => reply(StatusCode::OK, &self.put(&key, body)),
            Method::PATCH => match self.get(&key) {
                None => missing(&target),
                Some(mut object) => {
                    let before = object.clone();
                    merge(&mut object, &body);
                    let object = if object == before { object } else { self.put(&key, object) };
                    reply(StatusCode::OK, &object)
                }
            },
            Method::DELETE => {
                self.delete(&key).map_or_else(|| missing(&target), |object| reply(StatusCode::OK, &object))
            }
            _ => failure(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "no"),
        }
    }

    fn watch(&self, plural: &str, query: &str) -> Response<Out> {
        let from = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion="));
        let from: u64 = from.and_then(|text| text.parse().ok()).unwrap_or_default();
        let start = (from, self.clone(), self.changed.subscribe(), plural.to_owned());
        let frames = stream::unfold(start, |(from, api, mut changed, plural)| async move {
            loop {
                let mut lines = String::new();
                let seen = {
                    let state = api.state.lock().expect("lock");
                    for (_, _, kind, object) in
                        state.log.iter().filter(|(version, of, ..)| *version > from && *of == plural)
                    {
                        writeln!(lines, "{{\"type\":\"{kind}\",\"object\":{object}}}").expect("a String");
                    }
                    state.version
                };
                if !lines.is_empty() {
                    let frame = Ok::<_, Infallible>(Frame::data(Bytes::from(lines)));
                    return Some((frame, (seen, api, changed, plural)));
                }
                changed.changed().await.ok()?;
            }
        });
        Response::new(StreamBody::new(frames).boxed_unsync())
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let target = target.as_object_mut().expect("an object");
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}

fn reply(status: StatusCode, value: &Value) -> Response<Out> {
    let body = Full::new(Bytes::from(value.to_string())).boxed_unsync();
    Response::builder().status(status).body(body).expect("a response")
}

fn failure(code: StatusCode, reason: &str, message: &str) -> Response<Out> {
    reply(code, &status(code, reason, message))
}

fn status(code: StatusCode, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16()})
}

fn missing(target: &Target) -> Response<Out> {
    let text = format!("{} \"{}\" not found", target.plural, target.name);
    failure(StatusCode::NOT_FOUND, "NotFound", &text)
}

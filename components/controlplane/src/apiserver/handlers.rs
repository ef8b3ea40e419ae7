//! Resource requests: decode, call the operation, encode.

mod scale;
mod streams;
mod write;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use serde_json::{Value, json};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    api::{Api, Target, WriteContext},
    body::Body,
    encode::{IncludeObject, View, respond},
    list::{self, ListOptions},
    negotiate::{Offers, negotiate},
    ops::strategy::Part,
    request::{RequestInfo, ResourcePath},
    status::ApiError,
    watch::WatchOptions,
};
use crate::{
    security::user::User,
    semantics::{
        decode::{self, Decoded, FieldValidation, Gvk},
        resources::ResourceInfo,
        table,
    },
};

/// One decoded request line with everything a handler needs.
pub struct Call<'a> {
    /// The state of the server.
    pub api: &'a Arc<Api>,
    /// Who asks.
    pub user: User,
    /// The parsed request line.
    pub request: &'a RequestInfo,
    /// The resource part of it.
    pub path: &'a ResourcePath,
    /// Request headers.
    pub headers: &'a HeaderMap,
    /// Request body.
    pub body: Bytes,
    /// Indent JSON answers.
    pub pretty: bool,
    /// Request method.
    pub method: &'a Method,
    /// What a connection becomes after a 101; taken once.
    pub upgrade: Mutex<Option<OnUpgrade>>,
    /// Owns what runs on after the response.
    pub tasks: &'a TaskTracker,
    /// Ends watches and sessions when the server stops.
    pub stop: &'a CancellationToken,
}

/// Plain text of the reference for paths it has never heard of.
pub fn page_not_found() -> Response<Body> {
    respond(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n")
}

fn text_header<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

impl Call<'_> {
    /// Runs the request.
    ///
    /// # Errors
    /// Whatever the client has to know.
    pub async fn run(self) -> Result<Response<Body>, ApiError> {
        let snapshot = self.api.registry.snapshot();
        let path = self.path;
        if !snapshot.has_group_version(&path.group, &path.version) {
            return Ok(page_not_found());
        }
        let found = snapshot.find(&path.group, &path.version, &path.plural);
        let info = found.ok_or_else(ApiError::unknown_resource)?;
        if info.namespaced && path.ns.is_empty() && !path.name.is_empty() {
            return Err(ApiError::unknown_resource());
        }
        if !info.namespaced && !path.ns.is_empty() {
            return Err(ApiError::unknown_resource());
        }
        if !path.subresource.is_empty() && info.subresource(&path.subresource).is_none() {
            return Err(ApiError::unknown_resource());
        }
        let is_review = info.allows("create") && !info.allows("get");
        if is_review {
            return self.review(info).await;
        }
        let target = self.api.target_of(&snapshot, info, &path.ns, &path.name).await?;
        let view = self.view(info)?;
        if path.subresource.is_empty() { self.object(target, view).await } else { self.part(target, view).await }
    }

    fn view(&self, info: &ResourceInfo) -> Result<View, ApiError> {
        let shapes = self.path.subresource.is_empty() || self.path.subresource == "status";
        let offers = Offers { table: shapes && table::has_table(info), partial: shapes, discovery: false };
        let form = negotiate(text_header(self.headers, &header::ACCEPT), offers)?;
        let include = IncludeObject::parse(self.request.query.get("includeObject"));
        Ok(View { form, include, pretty: self.pretty })
    }

    /// Options every write has.
    fn context(&self) -> Result<WriteContext, ApiError> {
        let mut dry_run = false;
        for value in self.request.query.all("dryRun") {
            if value != "All" {
                let kind = match self.request.verb {
                    "create" => "CreateOptions",
                    "patch" => "PatchOptions",
                    "update" => "UpdateOptions",
                    _ => "DeleteOptions",
                };
                let text = format!("Unsupported value: {value:?}: supported values: \"All\"");
                return Err(ApiError::invalid_options(kind, "dryRun", &text));
            }
            dry_run = true;
        }
        Ok(WriteContext { user: self.user.clone(), dry_run })
    }

    fn field_validation(&self) -> Result<FieldValidation, ApiError> {
        let value = self.request.query.get("fieldValidation");
        FieldValidation::parse(value).ok_or_else(|| {
            let text = format!(
                "Unsupported value: {:?}: supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
                value.unwrap_or_default()
            );
            ApiError::invalid_options("CreateOptions", "fieldValidation", &text)
        })
    }

    fn content_type(&self) -> &str {
        text_header(self.headers, &header::CONTENT_TYPE).unwrap_or("application/json")
    }

    fn decode(&self, info: &ResourceInfo) -> Result<Decoded, ApiError> {
        Ok(decode::decode_request(self.content_type(), &self.body, info, self.field_validation()?)?)
    }

    fn decode_typed(&self, group: &str, version: &str, kind: &str) -> Result<Value, ApiError> {
        let expected = Gvk { group, version, kind };
        Ok(decode::decode_typed(self.content_type(), &self.body, expected, FieldValidation::Ignore)?.object)
    }

    async fn object(self, target: Target, view: View) -> Result<Response<Body>, ApiError> {
        if !target.info.allows(self.request.verb) {
            return Err(ApiError::method_not_allowed());
        }
        match self.request.verb {
            "get" => {
                if let Some(revision) = list::parse_revision(self.request.query.get("resourceVersion"))?
                    && revision > self.api.store.revision()
                {
                    let current = self.api.store.committed().await?;
                    if revision > current {
                        return Err(crate::store::StoreError::Future { asked: revision, current }.into());
                    }
                }
                let stored = self.api.get(&target).await?;
                Ok(view.object(StatusCode::OK, &target.info, &stored))
            }
            "list" => {
                let options = ListOptions::parse(&target, &self.request.query)?;
                let page = self.api.page(&target, &options).await?;
                Ok(list::respond(&view, &target, &page))
            }
            "watch" => {
                let chance = uuid::Uuid::new_v4().as_u64_pair().0;
                let options = WatchOptions::parse(&target, &self.request.query, chance)?;
                self.api.watch_response(target, view, options, self.stop.clone()).await
            }
            "create" if self.path.name.is_empty() => self.create(&target, &view).await,
            "update" if !self.path.name.is_empty() => self.update(&target, &view, Part::Main).await,
            "patch" if !self.path.name.is_empty() => self.patch(&target, &view, Part::Main).await,
            "delete" => self.delete(&target, &view).await,
            "deletecollection" => self.delete_collection(&target, &view).await,
            _ => Err(ApiError::method_not_allowed()),
        }
    }

    async fn part(self, target: Target, view: View) -> Result<Response<Body>, ApiError> {
        let allowed =
            target.info.subresource(&self.path.subresource).is_some_and(|sub| sub.verbs.contains(&self.request.verb));
        if !allowed {
            return Err(ApiError::method_not_allowed());
        }
        let part = match self.path.subresource.as_str() {
            "status" => Part::Status,
            "finalize" => Part::Finalize,
            "approval" => Part::Approval,
            "ephemeralcontainers" => Part::EphemeralContainers,
            "scale" => return self.scale(&target, &view).await,
            "binding" => return self.binding(&target, &view).await,
            "eviction" => return self.eviction(&target, &view).await,
            "token" => {
                let request = self.decode_typed("authentication.k8s.io", "v1", "TokenRequest")?;
                let answer = self.api.request_token(&target, &request).await?;
                return Ok(view.value(StatusCode::CREATED, &answer));
            }
            _ => return self.stream(&target).await,
        };
        match self.request.verb {
            "get" => {
                let stored = self.api.get(&target).await?;
                Ok(view.object(StatusCode::OK, &target.info, &stored))
            }
            "update" => self.update(&target, &view, part).await,
            "patch" => self.patch(&target, &view, part).await,
            _ => Err(ApiError::method_not_allowed()),
        }
    }

    /// Resources that are questions or commands and are never stored.
    async fn review(self, info: &Arc<ResourceInfo>) -> Result<Response<Body>, ApiError> {
        if self.request.verb != "create" {
            return Err(ApiError::method_not_allowed());
        }
        let form = negotiate(text_header(self.headers, &header::ACCEPT), Offers::default())?;
        let view = View { form, include: IncludeObject::Metadata, pretty: self.pretty };
        let mut object = self.decode(info)?.object;
        if info.is("", "bindings") {
            let name = super::meta::name(&object).to_owned();
            let pods = self.api.builtin("", "pods", &self.path.ns, &name).await?;
            self.api.bind(&self.context()?, &pods, &object).await?;
            return Ok(view.value(StatusCode::CREATED, &success(201)));
        }
        if info.namespaced {
            super::meta::match_url(info, &mut object, &self.path.ns, "")?;
        }
        let answer = self.api.review(&self.user, &info.plural, &self.path.ns, object).await?;
        Ok(view.value(StatusCode::CREATED, &answer))
    }

    async fn binding(self, target: &Target, view: &View) -> Result<Response<Body>, ApiError> {
        let binding = self.decode_typed("", "v1", "Binding")?;
        self.api.bind(&self.context()?, target, &binding).await?;
        Ok(view.value(StatusCode::CREATED, &success(201)))
    }

    async fn eviction(self, target: &Target, view: &View) -> Result<Response<Body>, ApiError> {
        let eviction = self.decode_typed("policy", "v1", "Eviction")?;
        self.api.evict(&self.context()?, target, &eviction).await?;
        Ok(view.value(StatusCode::CREATED, &success(201)))
    }
}

/// A `Status` of success.
fn success(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code})
}

//! Create, update, patch and delete as requests.

use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::Call;
use crate::{
    apiserver::{
        api::Target,
        body::Body,
        encode::View,
        list::ListOptions,
        meta,
        ops::{
            delete::{DeleteOptions, Deleted},
            strategy::Part,
            update::{Patch, UpdateOptions},
        },
        status::ApiError,
    },
    semantics::{
        decode::{self, FieldValidation, Gvk},
        patch::PatchType,
        resources::ResourceInfo,
    },
    store::Stored,
};

fn with_warnings(mut response: Response<Body>, warnings: &[String]) -> Response<Body> {
    for warning in warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"").replace(['\r', '\n'], " ");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(http::header::WARNING, value);
        }
    }
    response
}

fn deprecation(info: &ResourceInfo) -> Vec<String> {
    info.custom.as_ref().and_then(|custom| custom.deprecation_warning.clone()).into_iter().collect()
}

impl Call<'_> {
    pub(super) async fn create(self, target: &Target, view: &View) -> Result<Response<Body>, ApiError> {
        let context = self.context()?;
        let decoded = self.decode(&target.info)?;
        let stored = self.api.create(&context, target, decoded.object).await?;
        let mut warnings = decoded.warnings;
        warnings.extend(deprecation(&target.info));
        Ok(with_warnings(view.object(StatusCode::CREATED, &target.info, &stored), &warnings))
    }

    pub(super) async fn update(self, target: &Target, view: &View, part: Part) -> Result<Response<Body>, ApiError> {
        let context = self.context()?;
        let decoded = self.decode(&target.info)?;
        let options = UpdateOptions { part, is_put: true };
        let object = decoded.object;
        let creates = part == Part::Main && target.info.create_on_update;
        let (status, stored) = match self.api.update(&context, target, object.clone(), options).await {
            Err(error) if error.code == 404 && creates => {
                let mut object = object;
                meta::metadata_mut(&mut object).insert("name".into(), target.name.as_str().into());
                (StatusCode::CREATED, self.api.create(&context, target, object).await?)
            }
            outcome => (StatusCode::OK, outcome?),
        };
        Ok(with_warnings(view.object(status, &target.info, &stored), &decoded.warnings))
    }

    pub(super) async fn patch(self, target: &Target, view: &View, part: Part) -> Result<Response<Body>, ApiError> {
        let context = self.context()?;
        let Some(kind) = PatchType::from_content_type(self.content_type()) else {
            let error = ApiError::new(415, "UnsupportedMediaType", "415: Unsupported Media Type");
            return Err(error.with_details(json!({})));
        };
        if self.request.query.has("force") && kind != PatchType::Apply {
            let text = "Forbidden: may not be specified for non-apply patch";
            return Err(ApiError::invalid_options("PatchOptions", "force", text));
        }
        if kind == PatchType::Apply {
            if self.request.query.get("fieldManager").is_none() {
                let text = "Required value: is required for apply patch";
                return Err(ApiError::invalid_options("PatchOptions", "fieldManager", text));
            }
            let accepted =
                "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json";
            let text =
                format!("server-side apply is not supported by this server - accepted media types include: {accepted}");
            return Err(ApiError::new(415, "UnsupportedMediaType", text));
        }
        let patch = Patch { kind, body: &self.body, field_validation: self.field_validation()?, part };
        let (stored, warnings) = self.api.patch(&context, target, patch).await?;
        Ok(with_warnings(view.object(StatusCode::OK, &target.info, &stored), &warnings))
    }

    /// Options of a delete from the body or, when that is empty, from the query.
    fn delete_options(&self, info: &ResourceInfo) -> Result<(DeleteOptions, bool), ApiError> {
        let query = &self.request.query;
        let options = if self.body.is_empty() {
            let mut options = json!({});
            if let Some(seconds) = query.get("gracePeriodSeconds") {
                let seconds: i64 = seconds
                    .parse()
                    .map_err(|_| ApiError::bad_request(format!("gracePeriodSeconds: Invalid value: {seconds:?}")))?;
                options["gracePeriodSeconds"] = seconds.into();
            }
            if let Some(policy) = query.get("propagationPolicy") {
                options["propagationPolicy"] = policy.into();
            }
            if query.has("orphanDependents") {
                options["orphanDependents"] = query.flag("orphanDependents").into();
            }
            options
        } else {
            // Clients send them in the group version of the resource, or in v1, or in anything.
            let expected = Gvk { group: &info.group, version: &info.version, kind: "DeleteOptions" };
            decode::decode_typed(self.content_type(), &self.body, expected, FieldValidation::Ignore)?.object
        };
        let (options, dry_run) = DeleteOptions::read(&options)?;
        Ok((options, dry_run || self.context()?.dry_run))
    }

    pub(super) async fn delete(self, target: &Target, view: &View) -> Result<Response<Body>, ApiError> {
        let (options, dry_run) = self.delete_options(&target.info)?;
        let mut context = self.context()?;
        context.dry_run = dry_run;
        Ok(match self.api.delete(&context, target, &options).await? {
            Deleted::Pending(stored) => view.object(StatusCode::OK, &target.info, &stored),
            // Pods answer with themselves, everything else with a success.
            Deleted::Gone(stored) if target.info.is("", "pods") => view.object(StatusCode::OK, &target.info, &stored),
            Deleted::Gone(stored) => view.value(StatusCode::OK, &deleted_status(target, &stored)?),
        })
    }

    pub(super) async fn delete_collection(self, target: &Target, view: &View) -> Result<Response<Body>, ApiError> {
        let (options, dry_run) = self.delete_options(&target.info)?;
        let mut context = self.context()?;
        context.dry_run = dry_run;
        let list = ListOptions::parse(target, &self.request.query)?;
        let items = self.api.delete_collection(&context, target, list.selector(), &options).await?;
        let revision = self.api.store.revision();
        let page = crate::apiserver::list::Page { revision, items, next: None, remaining: None };
        Ok(crate::apiserver::list::respond(view, target, &page))
    }
}

fn deleted_status(target: &Target, stored: &Stored) -> Result<Value, ApiError> {
    let object = stored.value()?;
    let mut details = json!({
        "name": target.name, "kind": target.info.plural.as_ref(), "uid": meta::uid(&object),
    });
    if !target.info.group.is_empty() {
        details["group"] = target.info.group.as_ref().into();
    }
    Ok(json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}))
}

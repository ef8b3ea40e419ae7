//! The `scale` subresource of workloads and custom resources. Source: spec 10 §4.5.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::Call;
use crate::{
    apiserver::{api::Target, body::Body, encode::View, meta, ops::strategy::Part, status::ApiError},
    semantics::{
        patch::{self, PatchType},
        resources::ResourceInfo,
    },
};

/// Where the replicas of a kind are.
struct Paths {
    spec: String,
    status: String,
    selector: Option<String>,
}

fn paths(info: &ResourceInfo) -> Paths {
    match info.custom.as_ref().and_then(|custom| custom.scale.clone()) {
        Some(scale) => {
            Paths { spec: scale.spec_replicas, status: scale.status_replicas, selector: scale.label_selector }
        }
        None => Paths { spec: ".spec.replicas".into(), status: ".status.replicas".into(), selector: None },
    }
}

fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.trim_start_matches('.').split('.').try_fold(object, |value, part| value.get(part))
}

fn set(object: &mut Value, path: &str, value: Value) {
    let mut place = object;
    for part in path.trim_start_matches('.').split('.') {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[part];
    }
    *place = value;
}

/// A label selector object as the text selectors are written in.
fn selector_text(selector: &Value) -> String {
    let mut terms: Vec<String> = selector["matchLabels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let values = expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let values = values.collect::<Vec<_>>().join(",");
        terms.push(match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    terms.join(",")
}

fn scale_of(info: &ResourceInfo, object: &Value) -> Value {
    let paths = paths(info);
    let number = |path: &str| at(object, path).and_then(Value::as_i64).unwrap_or(0);
    let selector = match &paths.selector {
        Some(path) => at(object, path).and_then(Value::as_str).unwrap_or_default().to_owned(),
        None if info.is_custom() => String::new(),
        None => selector_text(&object["spec"]["selector"]),
    };
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(field) {
            metadata[field] = value.clone();
        }
    }
    let mut status = json!({"replicas": number(&paths.status)});
    if !selector.is_empty() {
        status["selector"] = selector.into();
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": number(&paths.spec)}, "status": status,
    })
}

impl Call<'_> {
    pub(super) async fn scale(self, target: &Target, view: &View) -> Result<Response<Body>, ApiError> {
        if self.request.verb == "get" {
            let object = self.api.get(target).await?.value()?;
            return Ok(view.value(StatusCode::OK, &scale_of(&target.info, &object)));
        }
        let context = self.context()?;
        let submitted =
            if self.request.verb == "update" { Some(self.decode_typed("autoscaling", "v1", "Scale")?) } else { None };
        let kind = match PatchType::from_content_type(self.content_type()) {
            // A Scale has no lists, so the strategic form means the same as the plain one.
            Some(PatchType::StrategicMerge) => Some(PatchType::Merge),
            other => other,
        };
        let (info, paths) = (&target.info, paths(&target.info));
        let stored = self
            .api
            .change(&context, target, Part::Whole, |old| {
                let current = scale_of(info, old);
                let wanted = match (&submitted, kind) {
                    (Some(scale), _) => scale.clone(),
                    (None, Some(kind @ (PatchType::Json | PatchType::Merge))) => {
                        patch::apply_patch(info, kind, &current, &self.body)?
                    }
                    (None, _) => return Err(ApiError::new(415, "UnsupportedMediaType", "415: Unsupported Media Type")),
                };
                let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or(0);
                if replicas < 0 {
                    let text = format!("Invalid value: {replicas}: must be greater than or equal to 0");
                    return Err(ApiError::invalid_field(info, meta::name(old), "spec.replicas", &text));
                }
                let mut new = old.clone();
                set(&mut new, &paths.spec, replicas.into());
                let version = meta::field(&wanted, "resourceVersion");
                if !version.is_empty() {
                    meta::metadata_mut(&mut new).insert("resourceVersion".into(), version.into());
                }
                Ok(new)
            })
            .await?;
        Ok(view.value(StatusCode::OK, &scale_of(info, &stored.value()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_written_as_text() {
        let selector = json!({
            "matchLabels": {"app": "d1"},
            "matchExpressions": [{"key": "t", "operator": "In", "values": ["a", "b"]}, {"key": "x", "operator": "Exists"}],
        });
        assert_eq!(selector_text(&selector), "app=d1,t in (a,b),x");
    }
}

//! Paths that are not resources: version, health, discovery, OpenAPI. Source: spec 10 §1.4.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    api::Api,
    body::Body,
    encode::{View, respond},
    negotiate::{Form, Offers, Shape, negotiate},
    registry::Snapshot,
    request::RequestInfo,
    status::ApiError,
};
use crate::semantics::{discovery, openapi};

/// What this server claims to be; `+`, because Helm takes a `-` for a pre-release.
const MINOR: &str = "32";
const GIT_VERSION: &str = "v1.32.10+kubeedge.1";

/// Health checks by name; `etcd` is what monitoring scripts ask for.
const CHECKS: &[&str] = &["ping", "storage", "etcd"];

/// Answers a path outside of resources; `None` when there is nothing.
///
/// # Errors
/// 406 and store errors.
pub async fn answer(
    api: &Api,
    request: &RequestInfo,
    headers: &HeaderMap,
    view: &View,
) -> Result<Option<Response<Body>>, ApiError> {
    let snapshot = api.registry.snapshot();
    let parts: Vec<&str> = request.path.split('/').filter(|part| !part.is_empty()).collect();
    let plain = |value: Value| Some(view.value(StatusCode::OK, &value));
    Ok(match parts.as_slice() {
        [] => plain(root_paths(&snapshot)),
        ["version"] => plain(version()),
        ["healthz" | "livez" | "readyz", check @ ..] => Some(health(api, request, parts[0], check).await),
        ["api"] => Some(groups(api, headers, view, &snapshot, true)?),
        ["apis"] => Some(groups(api, headers, view, &snapshot, false)?),
        ["api", version] => discovery::resource_list(&snapshot.resources, "", version).and_then(plain),
        ["apis", group] => discovery::group(&snapshot.resources, group).and_then(plain),
        ["apis", group, version] => discovery::resource_list(&snapshot.resources, group, version).and_then(plain),
        ["openapi", "v2"] => Some(openapi_v2(headers, view)),
        ["openapi", "v3"] => Some(with_etag(headers, view, &openapi::index(&snapshot.resources))),
        ["openapi", "v3", "api", version] => document(request, view, &snapshot, "", version),
        ["openapi", "v3", "apis", group, version] => document(request, view, &snapshot, group, version),
        [".well-known", "openid-configuration"] => plain(json!({
            "issuer": api.facts.issuer,
            "jwks_uri": format!("https://{}/openid/v1/jwks", api.facts.server_address),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })),
        ["openid", "v1", "jwks"] => {
            Some(respond(StatusCode::OK, "application/jwk-set+json", api.tokens.key_set().to_string()))
        }
        _ => None,
    })
}

/// The form of discovery answers; aggregated ones are offered on `/api` and `/apis` only.
pub fn offers(path: &str) -> Offers {
    Offers { discovery: matches!(path.trim_matches('/'), "api" | "apis"), ..Offers::default() }
}

fn version() -> Value {
    json!({
        "major": "1", "minor": MINOR, "gitVersion": GIT_VERSION, "gitCommit": "unknown", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc",
        "platform": format!("linux/{}", architecture()),
    })
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn root_paths(snapshot: &Snapshot) -> Value {
    let mut paths: Vec<String> =
        ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]
            .iter()
            .map(|path| (*path).to_owned())
            .collect();
    for info in snapshot.resources.iter().filter(|info| !info.group.is_empty()) {
        paths.push(format!("/apis/{}", info.group));
        paths.push(format!("/apis/{}/{}", info.group, info.version));
    }
    paths.sort();
    paths.dedup();
    json!({"paths": paths})
}

async fn health(api: &Api, request: &RequestInfo, endpoint: &str, check: &[&str]) -> Response<Body> {
    let excluded: Vec<&str> = request.query.all("exclude").collect();
    let wanted: Vec<&str> = match check {
        [] => CHECKS.iter().copied().filter(|check| !excluded.contains(check)).collect(),
        [one] if CHECKS.contains(one) => vec![one],
        _ => return respond(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n"),
    };
    let storage = api.store.committed().await.is_ok();
    let results = wanted.into_iter().map(|check| (check, check == "ping" || storage));
    let good = results.clone().all(|(_, passed)| passed);
    let lines: String = results
        .flat_map(
            |(check, passed)| {
                if passed { ["[+]", check, " ok\n"] } else { ["[-]", check, " failed: reason withheld\n"] }
            },
        )
        .collect();
    let verbose = request.query.has("verbose");
    let (status, text) = match (good, verbose) {
        (true, false) => (StatusCode::OK, "ok".to_owned()),
        (true, true) => (StatusCode::OK, format!("{lines}{endpoint} check passed\n")),
        (false, _) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{lines}{endpoint} check failed\n")),
    };
    respond(status, "text/plain; charset=utf-8", text)
}

fn groups(
    api: &Api,
    headers: &HeaderMap,
    view: &View,
    snapshot: &Snapshot,
    core: bool,
) -> Result<Response<Body>, ApiError> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let form = negotiate(accept, Offers { discovery: true, ..Offers::default() })?;
    let view = View { form: Form { encoding: form.encoding, shape: Shape::Full }, ..view.clone() };
    Ok(match form.shape {
        Shape::Discovery(version) => {
            let body = discovery::aggregated(&snapshot.resources, core, version);
            let mut response = with_etag(headers, &view, &body);
            let kind = format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
            if let Ok(kind) = HeaderValue::from_str(&kind) {
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
            }
            response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
            response
        }
        _ if core => view.value(StatusCode::OK, &discovery::api_versions(&api.facts.server_address)),
        _ => view.value(StatusCode::OK, &discovery::group_list(&snapshot.resources)),
    })
}

fn with_etag(headers: &HeaderMap, view: &View, body: &Value) -> Response<Body> {
    let digest = Sha256::digest(body.to_string());
    let tag = digest.iter().take(16).fold(String::from("\""), |mut tag, byte| {
        use std::fmt::Write as _;
        let _ = write!(tag, "{byte:02X}");
        tag
    }) + "\"";
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response = if known.is_some_and(|known| known.contains(&tag)) {
        respond(StatusCode::NOT_MODIFIED, "application/json", "")
    } else {
        view.value(StatusCode::OK, body)
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// `/openapi/v2` without definitions, which is all that clients need to leave validation to the server: kubectl asks for
/// it when a kind is in no v3 document and skips its own checks for kinds that are not in this one either.
fn openapi_v2(headers: &HeaderMap, view: &View) -> Response<Body> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !accept.contains("proto-openapi.spec.v2") {
        let info = json!({"title": "Kubernetes", "version": GIT_VERSION});
        let document = json!({"swagger": "2.0", "info": info, "paths": {}, "definitions": {}});
        return with_etag(headers, view, &document);
    }
    // gnostic's openapi.v2.Document: 1 swagger, 2 info {1 title, 2 version}, 8 paths, 9 definitions.
    let field = |tag: u8, content: &[u8]| -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap_or(0);
        [&[tag, length], content].concat()
    };
    let info = [field(0x0a, b"Kubernetes"), field(0x12, GIT_VERSION.as_bytes())].concat();
    let document = [field(0x0a, b"2.0"), field(0x12, &info), field(0x42, b""), field(0x4a, b"")].concat();
    let mut response = respond(StatusCode::OK, "application/octet-stream", document);
    let varied = HeaderValue::from_static("application/com.github.proto-openapi.spec.v2@v1.0+protobuf");
    response.headers_mut().insert("x-varied-accept", varied);
    response
}

fn document(
    request: &RequestInfo,
    view: &View,
    snapshot: &Snapshot,
    group: &str,
    version: &str,
) -> Option<Response<Body>> {
    let body = openapi::document(&snapshot.resources, group, version)?;
    let current = openapi::hash(&snapshot.resources, group, version);
    match request.query.get("hash") {
        Some(asked) if asked != current => {
            let mut response = respond(StatusCode::MOVED_PERMANENTLY, "text/plain; charset=utf-8", "");
            let location = format!("{}?hash={current}", request.path);
            if let Ok(location) = HeaderValue::from_str(&location) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            Some(response)
        }
        asked => {
            let mut response = view.value(StatusCode::OK, &body);
            if asked.is_some() {
                let headers = response.headers_mut();
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
                if let Ok(tag) = HeaderValue::from_str(&format!("\"{current}\"")) {
                    headers.insert(header::ETAG, tag);
                }
            }
            Some(response)
        }
    }
}

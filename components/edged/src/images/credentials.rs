//! Registry credentials from a pod's pull secrets, and which of them fit an image. Source: spec 08 §12.2.

use std::collections::BTreeMap;
use std::fmt;

use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};
use k8s_openapi::api::core::v1::{Pod, Secret};
use serde::Deserialize;
use tracing::warn;

use crate::cri::proto::AuthConfig;
use crate::doors::KubeApi;
use crate::{images, pod};

/// One entry of a docker configuration. `Debug` shows the registry only.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Key of the entry without scheme: host with optional port and path, globs per host label.
    registry: String,
    username: String,
    password: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("registry", &self.registry).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct DockerConfigJson {
    #[serde(default)]
    auths: BTreeMap<String, DockerConfigEntry>,
}

#[derive(Deserialize)]
struct DockerConfigEntry {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    auth: String,
}

/// Reads the pull secrets of a pod. Missing or unreadable ones are named in the log and skipped.
pub async fn of_pod(pod: &Pod, api: &dyn KubeApi) -> Vec<Credential> {
    let references = pod.spec.as_ref().and_then(|spec| spec.image_pull_secrets.as_deref()).unwrap_or(&[]);
    let mut found = Vec::new();
    for reference in references {
        match api.secret(pod::namespace(pod), &reference.name).await {
            Ok(secret) => found.extend(of_secret(&secret)),
            Err(err) => {
                warn!(pod.uid = pod::uid(pod), secret = reference.name, error = %err, "image pull secret missing");
            }
        }
    }
    found.sort_by(|a, b| b.registry.cmp(&a.registry)); // longer keys of one registry first
    found
}

fn of_secret(secret: &Secret) -> Vec<Credential> {
    let data = |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).map(|bytes| bytes.0.as_slice());
    let entries = match secret.type_.as_deref() {
        Some("kubernetes.io/dockerconfigjson") => data(".dockerconfigjson")
            .and_then(|bytes| serde_json::from_slice::<DockerConfigJson>(bytes).ok())
            .map(|config| config.auths),
        Some("kubernetes.io/dockercfg") => data(".dockercfg").and_then(|bytes| serde_json::from_slice(bytes).ok()),
        _ => None,
    };
    entries.unwrap_or_default().into_iter().filter_map(|(key, entry)| credential(&key, entry)).collect()
}

fn credential(key: &str, entry: DockerConfigEntry) -> Option<Credential> {
    let (username, password) = if entry.auth.is_empty() {
        (entry.username, entry.password)
    } else {
        let decoded = decode_base64(&entry.auth)?;
        let (user, password) = decoded.split_once(':')?;
        (user.to_owned(), password.trim_end_matches('\0').to_owned())
    };
    Some(Credential { registry: normalise_key(key), username, password })
}

fn normalise_key(key: &str) -> String {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let bare = bare.trim_end_matches('/');
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let path = match path {
        "v1" | "v2" => "",
        other => other.strip_prefix("v1/").or_else(|| other.strip_prefix("v2/")).unwrap_or(other),
    };
    if path.is_empty() { host.to_owned() } else { format!("{host}/{path}") }
}

/// The credentials that fit, best first.
pub fn for_image(credentials: &[Credential], image: &str) -> Vec<AuthConfig> {
    let full = images::canonical(image);
    credentials
        .iter()
        .filter(|credential| matches(&credential.registry, &full))
        .map(|credential| AuthConfig {
            username: credential.username.clone(),
            password: credential.password.clone(),
            ..AuthConfig::default()
        })
        .collect()
}

/// Same port, as many host labels with `*` per label, and the key's path a prefix of the image's.
fn matches(key: &str, image: &str) -> bool {
    let (key_host, key_path) = key.split_once('/').unwrap_or((key, ""));
    let (host, path) = image.split_once('/').unwrap_or((image, ""));
    let host = if host == "docker.io" && key_host == "index.docker.io" { "index.docker.io" } else { host };
    let split = |host: &str| -> (Vec<String>, Option<String>) {
        let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port.to_owned())));
        (name.split('.').map(str::to_owned).collect(), port)
    };
    let ((key_labels, key_port), (labels, port)) = (split(key_host), split(host));
    key_port == port
        && key_labels.len() == labels.len()
        && key_labels.iter().zip(&labels).all(|(pattern, label)| glob(pattern, label))
        && path.starts_with(key_path)
}

fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|start| rest.is_char_boundary(start) && glob(after, &rest[start..]))
        }),
    }
}

/// Standard base64, padded or not.
fn decode_base64(text: &str) -> Option<String> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&alphabet::STANDARD, config);
    String::from_utf8(engine.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fit_images_by_host_port_and_path() {
        let fits = [
            ("index.docker.io", "docker.io/library/nginx:1"),
            ("docker.io", "docker.io/library/nginx:1"),
            ("*.example.com", "a.example.com/x:1"),
            ("r.io:5000/team", "r.io:5000/team/x:1"),
        ];
        let misfits =
            [("*.example.com", "a.b.example.com/x:1"), ("r.io", "r.io:5000/x:1"), ("r.io/other", "r.io/team/x:1")];
        assert!(fits.iter().all(|(key, image)| matches(key, image)));
        assert!(!misfits.iter().any(|(key, image)| matches(key, image)));
    }

    #[test]
    fn entry_reads_auth_or_user_and_password() {
        let secret: Secret = serde_json::from_value(serde_json::json!({
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": "eyJhdXRocyI6eyJodHRwczovL2luZGV4LmRvY2tlci5pby92MS8iOnsiYXV0aCI6ImRUcHcifX19"},
        }))
        .unwrap();
        let found = of_secret(&secret);
        let auth = for_image(&found, "nginx");
        assert_eq!(auth.len(), 1);
        assert_eq!((auth[0].username.as_str(), auth[0].password.as_str()), ("u", "p"));
        assert_eq!(format!("{:?}", found[0]), "Credential { registry: \"index.docker.io\", .. }");
    }

    #[test]
    fn base64_needs_no_padding() {
        assert_eq!(decode_base64("dTpw").as_deref(), Some("u:p"));
        assert_eq!(decode_base64("YTpiYw==").as_deref(), Some("a:bc"));
        assert_eq!(decode_base64("YTpiYw").as_deref(), Some("a:bc"));
        assert_eq!(decode_base64("?"), None);
    }
}

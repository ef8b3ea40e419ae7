//! Makes a container's image present: policy, pull secrets, pull, back-off and what the user reads when it fails.
//! Source: spec 08 §12.1, §12.2.

pub mod credentials;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use thiserror::Error;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;
use tracing::{debug, info};

use crate::backoff::Backoff;
use crate::cri::{CriError, Runtime, proto as p};
use crate::doors::Settings;
use crate::pod;

use credentials::Credential;

/// Why an image is not there. The variant is the waiting reason, the text its message.
#[derive(Debug, Clone, Error)]
pub enum ImageError {
    /// The name cannot be understood.
    #[error(
        "Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": invalid reference format"
    )]
    Invalid {
        /// As written in the pod.
        image: String,
    },
    /// The runtime could not say whether the image is present.
    #[error("Failed to inspect image \"\": {0}")]
    Inspect(#[source] CriError),
    /// Policy Never, and it is not present.
    #[error("Container image \"{image}\" is not present with pull policy of Never")]
    NeverPull {
        /// As written in the pod.
        image: String,
    },
    /// The last pull failed not long ago.
    #[error("Back-off pulling image \"{image}\": ErrImagePull: {cause}")]
    BackOff {
        /// As written in the pod.
        image: String,
        /// Text of the last failure.
        cause: String,
        /// When the next pull is due.
        until: Instant,
    },
    /// The pull failed now.
    #[error("{cause}")]
    Pull {
        /// The runtime's words, or those of several attempts.
        cause: String,
    },
}

impl ImageError {
    /// `state.waiting.reason`. Source: spec 08 §9.5.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "InvalidImageName",
            Self::Inspect(_) => "ImageInspectError",
            Self::NeverPull { .. } => "ErrImageNeverPull",
            Self::BackOff { .. } => "ImagePullBackOff",
            Self::Pull { cause } if cause.contains("RegistryUnavailable") => "RegistryUnavailable",
            Self::Pull { cause } if cause.contains("SignatureValidationFailed") => "SignatureValidationFailed",
            Self::Pull { .. } => "ErrImagePull",
        }
    }
}

/// A present image: what to hand to `CreateContainer`, and whom it runs as.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalImage {
    /// Local ID or reference.
    pub reference: String,
    /// Numeric user of the image's configuration.
    pub uid: Option<i64>,
    /// Textual user of the image's configuration.
    pub username: String,
}

/// Longest look for a newer image when there is one at hand and the container ran here before: a registry that does not
/// answer must not keep a whole node from coming back.
const REFRESH_LIMIT: Duration = Duration::from_secs(5);

/// How much a pull may cost when the image is present already and the policy is Always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// The node is cut off: what is here is used.
    Never,
    /// The container ran here before and comes back: no longer than [`REFRESH_LIMIT`].
    Brief,
    /// The first start of this pod here, perhaps a rollout: as long as it takes.
    Full,
}

/// What the pod remembers about its images between passes.
#[derive(Debug, Clone, Default)]
pub struct ImageMemory {
    backoff: Backoff,
    /// Text of the last failed pull, for the back-off message.
    last_cause: String,
}

/// Pulls images for all pods; limits how many at a time and how often.
#[derive(Debug)]
pub struct Images {
    runtime: Runtime,
    slots: Arc<Semaphore>,
    bucket: Mutex<TokenBucket>,
}

/// The full name a runtime knows an image by: registry, `library/` and tag filled in. Only for comparisons.
pub fn canonical(image: &str) -> String {
    let tagged = with_default_tag(image).unwrap_or_else(|| image.to_owned());
    match tagged.split_once('/') {
        None => format!("docker.io/library/{tagged}"),
        Some((registry, rest)) if registry == "docker.io" && !rest.contains('/') => format!("docker.io/library/{rest}"),
        Some((registry, _)) if registry.contains(['.', ':']) || registry == "localhost" => tagged,
        Some(_) => format!("docker.io/{tagged}"),
    }
}

/// Appends `:latest` to a name without tag and digest; `None` when it is no image name.
pub fn with_default_tag(image: &str) -> Option<String> {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let last = name.rsplit('/').next().unwrap_or_default();
    let (last_name, tag) = match last.split_once(':') {
        Some((last_name, tag)) => (last_name, Some(tag)),
        None => (last, None),
    };
    let path_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    let tag_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let prefix_fits = name.rsplit_once('/').is_none_or(|(prefix, _)| {
        prefix.split('/').enumerate().all(|(index, part)| {
            let host = index == 0; // may carry a port and upper case
            !part.is_empty() && part.chars().all(|c| path_char(c) || host && (c == ':' || c.is_ascii_uppercase()))
        })
    });
    let fits = prefix_fits
        && !last_name.is_empty()
        && last_name.chars().all(path_char)
        && tag.is_none_or(|tag| !tag.is_empty() && tag.len() <= 128 && tag.chars().all(tag_char))
        && digest.is_none_or(|digest| digest.contains(':'));
    match (fits, tag, digest) {
        (false, _, _) => None,
        (true, None, None) => Some(format!("{image}:latest")),
        (true, _, _) => Some(image.to_owned()),
    }
}

fn pull_policy(container: &Container, image: &str) -> Policy {
    match container.image_pull_policy.as_deref() {
        Some("Always") => Policy::Always,
        Some("Never") => Policy::Never,
        Some("IfNotPresent") => Policy::IfNotPresent,
        _ if image.ends_with(":latest") => Policy::Always,
        _ => Policy::IfNotPresent,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Always,
    IfNotPresent,
    Never,
}

impl Images {
    /// Limits come from the settings: one pull at a time, or at most so many.
    pub fn new(runtime: Runtime, settings: &Settings) -> Self {
        let slots = match (settings.serialize_image_pulls, settings.max_parallel_image_pulls) {
            (true, _) => 1,
            (false, Some(limit)) => usize::try_from(limit.max(1)).unwrap_or(1),
            (false, None) => usize::try_from(settings.max_pods).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS),
        };
        let bucket = TokenBucket::new(settings.registry_pull_qps, settings.registry_burst);
        Self { runtime, slots: Arc::new(Semaphore::new(slots)), bucket: Mutex::new(bucket) }
    }

    /// Makes the image of `container` present.
    ///
    /// Cancel-safe: a cancelled pull counts as not tried. `credentials` are tried in order.
    pub async fn ensure(
        &self,
        pod: &Pod,
        container: &Container,
        sandbox: &p::PodSandboxConfig,
        credentials: &[Credential],
        refresh: Refresh,
        memory: &mut ImageMemory,
    ) -> Result<LocalImage, ImageError> {
        let written = container.image.clone().unwrap_or_default();
        let image = with_default_tag(&written).ok_or_else(|| ImageError::Invalid { image: written.clone() })?;
        let present = self.runtime.image_status(&image).await.map_err(ImageError::Inspect)?;
        let policy = pull_policy(container, &image);
        match (policy, present.as_ref()) {
            (Policy::Never | Policy::IfNotPresent, Some(image)) => return Ok(local(image)),
            (Policy::Always, Some(image)) if refresh == Refresh::Never => return Ok(local(image)),
            (Policy::Never, None) => return Err(ImageError::NeverPull { image: written }),
            (Policy::Always, _) | (Policy::IfNotPresent, None) => {}
        }
        if let Some((_, until)) = memory.backoff.remaining_since_next(&image, Instant::now()) {
            if let Some(present) = &present {
                return Ok(local(present));
            }
            let cause = memory.last_cause.clone();
            return Err(ImageError::BackOff { image: written, cause, until });
        }
        let limit = (refresh == Refresh::Brief && present.is_some()).then_some(REFRESH_LIMIT);
        match within(limit, self.pull(pod, &image, sandbox, credentials)).await {
            Ok(reference) => {
                memory.backoff.reset(&image);
                let pulled = self.runtime.image_status(&reference).await.map_err(ImageError::Inspect)?;
                Ok(pulled.map_or(LocalImage { reference, ..LocalImage::default() }, |image| local(&image)))
            }
            Err(cause) => {
                let now = Instant::now();
                memory.backoff.next(&image, now, now);
                memory.last_cause.clone_from(&cause);
                // Policy Always with the image at hand and a registry out of reach: an edge that is cut off keeps
                // working with what it has. Source: spec 08 §18.1 item 5.
                if let Some(present) = present.as_ref().filter(|_| is_unreachable(&cause)) {
                    info!(image, error = cause, "registry not reachable, using the local image");
                    return Ok(local(present));
                }
                Err(ImageError::Pull { cause })
            }
        }
    }

    /// Pulls with each credential in turn, or without any; returns the reference or the failures' text.
    async fn pull(
        &self,
        pod: &Pod,
        image: &str,
        sandbox: &p::PodSandboxConfig,
        credentials: &[Credential],
    ) -> Result<String, String> {
        let _slot = self.slots.acquire().await.map_err(|_| "image puller is stopped".to_owned())?;
        if !self.bucket.lock().await.take(Instant::now()) {
            return Err("pull QPS exceeded".to_owned());
        }
        debug!(pod.uid = pod::uid(pod), image, "pulling image");
        let matching = credentials::for_image(credentials, image);
        let started = Instant::now();
        let mut failures = Vec::new();
        let attempts: Vec<Option<p::AuthConfig>> =
            if matching.is_empty() { vec![None] } else { matching.into_iter().map(Some).collect() };
        for auth in attempts {
            match self.runtime.pull_image(image, auth, sandbox.clone()).await {
                Ok(reference) => {
                    info!(pod.uid = pod::uid(pod), image, took = ?started.elapsed(), "image pulled");
                    return Ok(reference);
                }
                Err(err) => failures.push(err.to_string()),
            }
        }
        Err(match failures.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        })
    }
}

/// A pull that takes longer than `limit` counts as one whose registry did not answer.
async fn within(limit: Option<Duration>, pull: impl Future<Output = Result<String, String>>) -> Result<String, String> {
    let Some(limit) = limit else { return pull.await };
    tokio::time::timeout(limit, pull).await.unwrap_or_else(|_| Err(format!("pull not done in {limit:?}: i/o timeout")))
}

fn local(image: &p::Image) -> LocalImage {
    LocalImage {
        reference: image.id.clone(),
        uid: image.uid.as_ref().map(|uid| uid.value),
        username: image.username.clone(),
    }
}

/// Whether a pull failed before any registry answered.
fn is_unreachable(cause: &str) -> bool {
    ["dial tcp", "i/o timeout", "no such host", "connection refused", "network is unreachable", "TLS handshake timeout"]
        .iter()
        .any(|sign| cause.contains(sign))
}

/// So many pulls a second with a burst.
#[derive(Debug)]
struct TokenBucket {
    per_second: u32,
    burst: u32,
    tokens: f64,
    filled: Instant,
}

impl TokenBucket {
    fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second, burst: burst.max(1), tokens: f64::from(burst.max(1)), filled: Instant::now() }
    }

    fn take(&mut self, now: Instant) -> bool {
        if self.per_second == 0 {
            return true;
        }
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * f64::from(self.per_second);
        self.tokens = (self.tokens + gained).min(f64::from(self.burst));
        self.filled = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

/// How long after a failed start for lack of an image the pod is looked at again.
pub fn retry_at(error: &ImageError, now: Instant) -> Instant {
    match error {
        ImageError::BackOff { until, .. } => *until,
        // Soon: only to tell the user that the pull now backs off.
        ImageError::Pull { .. } => now + Duration::from_secs(2),
        ImageError::Invalid { .. } | ImageError::Inspect(_) | ImageError::NeverPull { .. } => {
            now + Duration::from_secs(15)
        }
    }
}

#[cfg(test)]
mod tests;

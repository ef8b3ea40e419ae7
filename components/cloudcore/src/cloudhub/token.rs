//! The join token in the secret `tokensecret`: made at start, replaced long before it ends, for ever.
//! Source: spec 01 §7.3.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pki::{Authority, JoinToken};
use supervisor::backoff::Backoff;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cloudhub::identity::{opaque_secret, write_secret};
use crate::kubeapi::{ApiError, KubeApi};

const SECRET: &str = "tokensecret";
const KEY: &str = "tokendata";

/// Issues tokens.
pub struct TokenIssuer {
    authority: Arc<Authority>,
    api: KubeApi,
    refresh: Duration,
}

impl TokenIssuer {
    /// `refresh` is the time between tokens; each lives twice as long.
    pub fn new(authority: Arc<Authority>, api: KubeApi, refresh: Duration) -> Self {
        Self { authority, api, refresh }
    }

    /// Writes a fresh token.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn issue(&self, now: Timestamp) -> Result<(), ApiError> {
        let life = SignedDuration::try_from(self.refresh * 2).unwrap_or(SignedDuration::from_hours(24));
        let token = JoinToken::issue(&self.authority, now + life);
        let body = opaque_secret(SECRET, [(KEY, token.as_str().as_bytes().to_vec())]);
        write_secret(&self.api, SECRET, body).await
    }

    /// Replaces the token every `refresh` until `stop`. A failure is repeated soon, never the last word.
    pub async fn run(&self, stop: CancellationToken) {
        let retry = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));
        let mut failures = 0;
        loop {
            let pause = if failures == 0 { self.refresh } else { retry.pause(failures) };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            match self.issue(Timestamp::now()).await {
                Ok(()) => {
                    failures = 0;
                    info!("join token refreshed");
                }
                Err(error) => {
                    failures += 1;
                    warn!(error = %crate::chain(&error), failures, "join token not refreshed yet");
                }
            }
        }
    }
}

//! One module's lives, one after the other.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info, info_span, warn};

use crate::BoxError;
use crate::backoff::Backoff;
use crate::health::{Health, State};

type Life = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// A name and a way to start a life.
pub(crate) struct Module {
    name: &'static str,
    start: Arc<dyn Fn(CancellationToken) -> Life + Send + Sync>,
}

impl Module {
    pub(crate) fn new<F, Fut, E>(name: &'static str, start: F) -> Self
    where
        F: Fn(CancellationToken) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let start = Arc::new(move |stop| {
            let life = start(stop);
            Box::pin(async move { life.await.map_err(Into::into) }) as Life
        });
        Self { name, start }
    }

    /// Starts lives until one ends well or everything stops.
    pub(crate) async fn run(self, backoff: Backoff, health: Health, stop: CancellationToken) {
        let mut failures = 0;
        loop {
            health.set(self.name, State::Running);
            let born = Instant::now();
            let outcome = self.live(stop.child_token()).await;
            match outcome {
                Ok(()) if stop.is_cancelled() => return health.set(self.name, State::Stopped),
                Ok(()) => {
                    info!(module = self.name, "module finished");
                    return health.set(self.name, State::Finished);
                }
                Err(error) if stop.is_cancelled() => {
                    warn!(module = self.name, error = %chain(&*error), "module failed while stopping");
                    return health.set(self.name, State::Stopped);
                }
                Err(error) => {
                    failures = if born.elapsed() >= backoff.reset_after { 1 } else { failures + 1 };
                    let pause = backoff.pause(failures);
                    let error = chain(&*error);
                    warn!(module = self.name, %error, restart_in = ?pause, "module failed");
                    health.failed(self.name, error);
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = stop.cancelled() => return health.set(self.name, State::Stopped),
                    }
                }
            }
        }
    }

    /// One life, in a task of its own so that a panic ends nothing else.
    async fn live(&self, stop: CancellationToken) -> Result<(), BoxError> {
        let start = Arc::clone(&self.start);
        let mut life = JoinSet::new();
        life.spawn(async move { start(stop).await }.instrument(info_span!("module", name = self.name)));
        match life.join_next().await {
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) => Err(panic_text(error).into()),
            None => Ok(()),
        }
    }
}

fn panic_text(error: JoinError) -> String {
    let said = error.try_into_panic().ok().and_then(|payload: Box<dyn Any + Send>| {
        let said = payload.downcast_ref::<&str>().map(ToString::to_string);
        said.or_else(|| payload.downcast_ref::<String>().cloned())
    });
    format!("panicked: {}", said.as_deref().unwrap_or("no message"))
}

/// The error and its causes on one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

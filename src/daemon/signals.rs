//! Signals that end a component, and how much time it gets. Source: spec 05 §9.2.

use std::{future::Future, io, time::Duration};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Time that a component has to end in good order.
const GRACE: Duration = Duration::from_secs(30);

/// Runs `life` until it ends by itself or a signal asks it to. A second signal, or the end of the grace time, ends
/// it without ceremony.
///
/// # Errors
/// What `life` returns, or that signals cannot be received.
pub async fn until_asked<E: From<io::Error>>(
    stop: CancellationToken,
    life: impl Future<Output = Result<(), E>>,
) -> Result<(), E> {
    let mut signals = Signals::new()?;
    tokio::pin!(life);
    tokio::select! {
        outcome = &mut life => return outcome,
        name = signals.next() => info!(signal = name, "Get os signal, ending"),
    }
    stop.cancel();
    tokio::select! {
        outcome = &mut life => outcome,
        name = signals.next() => {
            warn!(signal = name, "second signal, ending at once");
            Ok(())
        }
        () = tokio::time::sleep(GRACE) => {
            warn!(after = ?GRACE, "not ended in time, ending at once");
            Ok(())
        }
    }
}

struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "interrupt",
            _ = self.terminate.recv() => "terminated",
            _ = self.quit.recv() => "quit",
            _ = self.hangup.recv() => "hangup",
        }
    }
}

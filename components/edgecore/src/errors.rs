//! One line for an error and its causes, and a log that does not repeat itself.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

/// Shows an error with its causes, outermost first.
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// How often an unchanged complaint is repeated.
const REPEAT: Duration = Duration::from_mins(10);

/// Warns once about a lasting trouble, and again when it changes or every ten minutes: an edge that is offline for
/// a week must not fill its disk with saying so.
#[derive(Debug, Default)]
pub struct Complaint {
    last: Option<(String, Instant)>,
}

impl Complaint {
    /// Something failed and will be tried again in `retry_in`.
    pub fn about(&mut self, what: &'static str, error: &(dyn Error + 'static), retry_in: Duration) {
        let text = Chain(error).to_string();
        let now = Instant::now();
        match &self.last {
            Some((said, at)) if *said == text && now < *at + REPEAT => {
                debug!(error = text, ?retry_in, "{what}");
            }
            _ => {
                warn!(error = text, ?retry_in, "{what}");
                self.last = Some((text, now));
            }
        }
    }

    /// It works again.
    pub fn over(&mut self) {
        self.last = None;
    }
}

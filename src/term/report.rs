//! Failures as the operator reads them: what could not be done, why, what to type next.
//!
//! Errors state facts; advice is added here, at the edge, once, with a stable id.

use std::{error::Error, fmt::Write as _, process::ExitCode};

use super::note;

/// Exit codes of keadm. Source: spec 05 §1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Something failed while it was done.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// A check failed before anything was changed.
    Preflight = 3,
    /// The host already has another installation.
    Occupied = 4,
    /// The operator said no.
    Aborted = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What to do about a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// Stable id: `--ignore-preflight-errors` and scripts use it.
    pub id: &'static str,
    /// What to type or change next.
    pub fix: String,
}

impl Advice {
    /// Advice with its id.
    #[expect(clippy::unnecessary_wraps, reason = "every arm of `advice` returns an option")]
    pub fn new(id: &'static str, fix: impl Into<String>) -> Option<Self> {
        Some(Self { id, fix: fix.into() })
    }
}

/// A fact that comes with advice.
pub trait Advise: Error {
    /// What to do about it; `None` when there is nothing to add to the fact.
    fn advice(&self) -> Option<Advice>;
}

/// One reason of a failure, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The chain of facts, outermost first.
    pub text: String,
    /// What to do.
    pub advice: Option<Advice>,
}

impl<E: Advise> From<&E> for Cause {
    fn from(error: &E) -> Self {
        Self { text: chain(error), advice: error.advice() }
    }
}

/// A command that could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What could not be done.
    pub headline: String,
    /// Why; all reasons that were found at once.
    pub causes: Vec<Cause>,
    /// Further lines of evidence, such as the end of a log.
    pub evidence: Vec<String>,
    /// The exit code.
    pub exit: Exit,
}

impl Failure {
    /// A failure with one reason.
    pub fn new<E: Advise>(exit: Exit, headline: impl Into<String>, error: &E) -> Self {
        Self { headline: headline.into(), causes: vec![error.into()], evidence: Vec::new(), exit }
    }

    /// A failure with several reasons.
    pub fn of<E: Advise>(exit: Exit, headline: impl Into<String>, errors: &[E]) -> Self {
        let causes = errors.iter().map(Cause::from).collect();
        Self { headline: headline.into(), causes, evidence: Vec::new(), exit }
    }

    /// The whole text, with a final newline.
    pub fn text(&self) -> String {
        let mut text = format!("error: {}\n", self.headline);
        // Writing to a String cannot fail.
        for cause in &self.causes {
            let _ = writeln!(text, "cause: {}", indented(&cause.text));
            if let Some(advice) = &cause.advice {
                let _ = writeln!(text, "  fix: {}  [{}]", indented(&advice.fix), advice.id);
            }
        }
        for line in &self.evidence {
            let _ = writeln!(text, "     | {line}");
        }
        text
    }

    /// Shows it and gives the exit code.
    pub fn print(&self) -> ExitCode {
        note(self.text().trim_end());
        self.exit.into()
    }
}

/// Continuation lines stand under the first one.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n       ")
}

/// The chain of an error, outermost first; a link that only repeats the one before is left out.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut last = text.clone();
    let mut source = error.source();
    while let Some(error) = source {
        let link = error.to_string();
        if !last.ends_with(&link) {
            text.push_str(": ");
            text.push_str(&link);
        }
        last = link;
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the door")]
    struct Door(#[source] std::io::Error);

    impl Advise for Door {
        fn advice(&self) -> Option<Advice> {
            Advice::new("DoorLocked", "turn the key")
        }
    }

    #[test]
    fn the_chain_is_printed_once_and_the_advice_has_its_id() {
        let failure = Failure::new(Exit::Preflight, "cannot enter", &Door(std::io::Error::other("it is locked")));
        assert_eq!(
            failure.text(),
            "error: cannot enter\ncause: cannot open the door: it is locked\n  fix: turn the key  [DoorLocked]\n"
        );
    }
}

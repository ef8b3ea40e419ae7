//! Asking before something that cannot be undone.

use std::io::{self, IsTerminal as _};

use dialoguer::Confirm;

/// What became of the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Go on.
    Yes,
    /// Do nothing.
    No,
    /// Nobody is there to answer.
    NoTerminal,
}

/// Asks a yes/no question on the terminal; no is the default.
pub fn confirm(question: &str) -> Answer {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Answer::NoTerminal;
    }
    match Confirm::new().with_prompt(question).default(false).interact() {
        Ok(true) => Answer::Yes,
        Ok(false) => Answer::No,
        Err(_) => Answer::NoTerminal,
    }
}

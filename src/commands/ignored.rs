//! `--ignore-preflight-errors`: checks to skip by the id of their advice.

use crate::term::report::Advise;

/// The ids, or all.
#[derive(Debug, Clone, Default)]
pub struct Ignored(Vec<String>);

impl Ignored {
    /// From the command line.
    pub fn new(ids: Vec<String>) -> Self {
        Self(ids)
    }

    /// Whether this finding is to be skipped.
    pub fn covers(&self, error: &impl Advise) -> bool {
        let Some(advice) = error.advice() else { return false };
        self.0.iter().any(|id| id.eq_ignore_ascii_case("all") || id.eq_ignore_ascii_case(advice.id))
    }
}

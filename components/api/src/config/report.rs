//! What was noticed while a file was read: mistakes that stop the start, and oddities that do not.

use std::fmt;

use super::Node;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Dotted YAML path of the value.
    pub path: String,
    /// What is wrong, without a full stop.
    pub message: String,
}

/// All mistakes of one file. Prints one indented line each inside brackets, like the Go programs do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Notes a mistake.
    pub fn push(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { path: path.into(), message: message.into() });
    }

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mistakes in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// `Err(self)` when anything was noted.
    ///
    /// # Errors
    /// The problems themselves.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "[")?;
        for problem in &self.0 {
            writeln!(formatter, "  {}: {}", problem.path, problem.message)?;
        }
        write!(formatter, "]")
    }
}

impl std::error::Error for Problems {}

/// An oddity that does not stop the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Dotted YAML path of the key.
    pub path: String,
    /// What is odd about it.
    pub kind: WarningKind,
}

/// What is odd about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WarningKind {
    /// No release that we know has this key; `nearest` is the known key it resembles.
    UnknownKey {
        /// Known key of the same section.
        nearest: Option<&'static str>,
    },
    /// The section is `null`; the default is used (spec 06 R11).
    NullSection,
    /// A key of an older release was read as another one (spec 06 §9.2).
    Converted {
        /// Dotted path that now holds the value.
        to: String,
    },
    /// A key of an older release has no meaning any more (spec 06 §9.2).
    Obsolete,
    /// Read correctly, but it probably does not do what was meant.
    Suspicious {
        /// Why.
        reason: &'static str,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.path)?;
        match &self.kind {
            WarningKind::UnknownKey { nearest: Some(nearest) } => {
                write!(formatter, "unknown key, ignored; did you mean `{nearest}`?")
            }
            WarningKind::UnknownKey { nearest: None } => write!(formatter, "unknown key, ignored"),
            WarningKind::NullSection => write!(formatter, "is null, the default is used"),
            WarningKind::Converted { to } => write!(formatter, "key of an older release, read as `{to}`"),
            WarningKind::Obsolete => write!(formatter, "key of an older release without effect, ignored"),
            WarningKind::Suspicious { reason } => write!(formatter, "{reason}"),
        }
    }
}

/// Collects problems and warnings while a tree is walked.
#[derive(Debug, Default)]
pub struct Report {
    path: Vec<String>,
    problems: Problems,
    warnings: Vec<Warning>,
}

impl Report {
    /// Runs `visit` one level deeper.
    pub fn within(&mut self, key: &str, visit: impl FnOnce(&mut Self)) {
        self.path.push(key.to_owned());
        visit(self);
        self.path.pop();
    }

    /// Notes a mistake at the current path.
    pub fn problem(&mut self, message: impl Into<String>) {
        self.problems.push(self.path.join("."), message);
    }

    /// Notes that the value at the current path is of the wrong kind.
    pub fn mismatch(&mut self, expected: &str, found: &Node) {
        let shown = match found {
            Node::Text(text) if text.len() <= 40 => format!("the text \"{text}\""),
            Node::Int(value) => format!("the number {value}"),
            other => other.kind().to_owned(),
        };
        self.problem(format!("expected {expected}, found {shown}"));
    }

    /// Notes an oddity at the current path.
    pub fn warn(&mut self, kind: WarningKind) {
        self.warnings.push(Warning { path: self.path.join("."), kind });
    }

    /// The warnings, or the problems if there are any.
    ///
    /// # Errors
    /// All problems that were noted.
    pub fn finish(self) -> Result<Vec<Warning>, Problems> {
        self.problems.into_result().map(|()| self.warnings)
    }
}

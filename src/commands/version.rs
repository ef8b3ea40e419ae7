//! `keadm version`. Source: spec 05 §2.9.

use thiserror::Error;

use crate::{
    cli::version::VersionArgs,
    term::{
        self,
        report::{Advice, Advise, Exit, Failure},
    },
    version::Info,
};

/// Why no version is printed.
#[derive(Debug, Error)]
pub enum VersionError {
    /// Unknown `-o`.
    #[error("invalid output format: {0}")]
    Format(String),
}

impl Advise for VersionError {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::Format(_) => Advice::new("OutputFormat", "use -o short, -o yaml, -o json, or leave it out"),
        }
    }
}

/// Prints the version.
///
/// # Errors
/// [`VersionError::Format`].
pub fn version(args: &VersionArgs) -> Result<(), Failure> {
    let info = Info::of_this_build();
    match args.output.as_str() {
        "" => term::data(&format!("version: {}", info.go_syntax())),
        "short" => term::data(info.git_version),
        "json" => term::data(&serde_json::to_string_pretty(&info).unwrap_or_default()),
        "yaml" => {
            let node = serde_json::to_string(&info).map(|text| api::config::Node::parse(&text));
            if let Ok(Ok(node)) = node {
                term::data(&node.to_yaml());
            }
        }
        other => {
            let error = VersionError::Format(other.to_owned());
            return Err(Failure::new(Exit::Usage, "cannot print the version", &error));
        }
    }
    Ok(())
}

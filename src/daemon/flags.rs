//! The flags of cloudcore and edgecore: those of the Go programs of all releases. Source: spec 05 §9.1.

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{Arg, ArgAction, ArgMatches, Command, error::ErrorKind};

use crate::term;

/// Flags of old releases that nothing here needs: accepted so that old unit files start.
const LEGACY: [&str; 15] = [
    "add_dir_header",
    "alsologtostderr",
    "legacy-stderr-threshold-behavior",
    "log-file",
    "log-flush-frequency",
    "log_backtrace_at",
    "log_dir",
    "log_file",
    "log_file_max_size",
    "logtostderr",
    "one_output",
    "skip_headers",
    "skip_log_headers",
    "stderrthreshold",
    "vmodule",
];

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Run.
    Run,
    /// Print the full configuration.
    DefaultConfig,
    /// Print the small configuration.
    MinConfig,
    /// Print the release.
    Version,
    /// Print everything about the build.
    RawVersion,
}

/// The flags.
#[derive(Debug)]
pub struct Flags {
    /// Configuration file.
    pub config: PathBuf,
    /// Log verbosity, klog's levels.
    pub v: u8,
    /// Legacy flags that were given.
    pub ignored: Vec<&'static str>,
    request: Request,
}

/// A flag whose value may be left out.
fn optional(name: &'static str, help: &'static str, values: &'static [&'static str]) -> Arg {
    Arg::new(name)
        .long(name)
        .help(help)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .value_parser(clap::builder::PossibleValuesParser::new(values))
        .hide_possible_values(true)
}

fn command(name: &'static str, default_file: &'static str) -> Command {
    let command = Command::new(name)
        .disable_version_flag(true)
        .about(format!("The component {name} of KubeEdge"))
        .arg(
            Arg::new("config")
                .long("config")
                .help("The configuration file")
                .value_parser(clap::value_parser!(PathBuf))
                .default_value(default_file),
        )
        .arg(optional("minconfig", "Print a small configuration and end", &["true", "false"]))
        .arg(optional("defaultconfig", "Print the full default configuration and end", &["true", "false"]))
        .arg(optional("version", "Print the version and end; raw prints all of it", &["true", "false", "raw"]))
        .arg(
            Arg::new("v")
                .short('v')
                .long("v")
                .help("Log verbosity: 0 is usual, 4 shows decisions, 6 and more shows everything")
                .value_parser(clap::value_parser!(u8))
                .default_value("0"),
        )
        .arg(Arg::new("rest").num_args(0..).hide(true).action(ArgAction::Append));
    LEGACY.iter().fold(command, |command, name| {
        command
            .arg(Arg::new(*name).long(*name).hide(true).num_args(0..=1).require_equals(true).action(ArgAction::Append))
    })
}

impl Flags {
    /// Reads the command line.
    ///
    /// # Errors
    /// The exit code after help or a complaint was printed: 1 for a flag that is unknown or makes no sense.
    pub fn parse(name: &'static str, default_file: &'static str, arguments: Vec<OsString>) -> Result<Self, ExitCode> {
        match command(name, default_file).try_get_matches_from(arguments) {
            Ok(matches) => Ok(Self::from_matches(&matches)),
            Err(error) if error.kind() == ErrorKind::DisplayHelp => {
                term::data_text(&error.to_string());
                Err(ExitCode::SUCCESS)
            }
            Err(error) => {
                term::note(error.to_string().trim_end());
                Err(ExitCode::FAILURE)
            }
        }
    }

    fn from_matches(matches: &ArgMatches) -> Self {
        let value = |name: &str| matches.get_one::<String>(name).map_or("false", String::as_str);
        let request = match (value("version"), value("defaultconfig"), value("minconfig")) {
            ("raw", _, _) => Request::RawVersion,
            ("true", _, _) => Request::Version,
            (_, _, "true") => Request::MinConfig,
            (_, "true", _) => Request::DefaultConfig,
            _ => Request::Run,
        };
        let typed = |name: &&&str| matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
        Self {
            config: matches.get_one::<PathBuf>("config").cloned().unwrap_or_default(),
            v: matches.get_one::<u8>("v").copied().unwrap_or_default(),
            ignored: LEGACY.iter().filter(typed).copied().collect(),
            request,
        }
    }

    /// What is wanted.
    pub fn request(&self) -> Request {
        self.request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str], request: Request) -> Flags {
        let arguments = std::iter::once("edgecore").chain(arguments.iter().copied()).map(OsString::from).collect();
        let flags = Flags::parse("edgecore", "/default.yaml", arguments).expect("parses");
        assert_eq!(flags.request(), request);
        flags
    }

    #[test]
    fn every_spelling_that_unit_files_use() {
        let flags = check(&[], Request::Run);
        assert_eq!((flags.config, flags.v), ("/default.yaml".into(), 0));
        let flags =
            check(&["--config=/x", "--v=4", "--logtostderr=true", "--log_dir=/tmp", "--alsologtostderr"], Request::Run);
        assert_eq!(flags.config, PathBuf::from("/x"));
        assert_eq!(flags.v, 4);
        assert_eq!(flags.ignored, ["alsologtostderr", "log_dir", "logtostderr"]);
        assert_eq!(check(&["--config", "/x", "-v", "2", "extra"], Request::Run).v, 2);
        check(&["--minconfig"], Request::MinConfig);
        check(&["--minconfig=true"], Request::MinConfig);
        check(&["--minconfig=false"], Request::Run);
        check(&["--defaultconfig"], Request::DefaultConfig);
        check(&["--version"], Request::Version);
        check(&["--version=raw"], Request::RawVersion);
    }

    #[test]
    fn other_flags_and_values_are_refused() {
        for argument in ["--nonsense", "--minconfig=maybe", "-x"] {
            let arguments = vec!["edgecore".into(), argument.into()];
            assert!(Flags::parse("edgecore", "/default.yaml", arguments).is_err(), "{argument}");
        }
    }
}

//! Running the components: flags, configuration file, log, signals, runtime.

pub mod cloudcore;
mod control_plane;
pub mod edgecore;
mod flags;
mod load;
mod logging;
mod pages;
mod signals;

use std::{ffi::OsString, process::ExitCode};

use flags::{Flags, Request};

use crate::{
    term::{self, report},
    version::{Info, VERSION},
};

/// What a component prints when it is only asked about itself.
struct Texts {
    name: &'static str,
    default_file: &'static str,
    default_config: fn(&api::config::HostFacts) -> String,
    min_config: fn(&api::config::HostFacts) -> String,
}

/// Answers requests for text; otherwise hands the flags to `run`. Exit code 1 for anything that went wrong, as the
/// Go programs do.
fn main(
    arguments: Vec<OsString>,
    texts: &Texts,
    run: impl FnOnce(&Flags) -> Result<(), Box<dyn std::error::Error + Send + Sync>>,
) -> ExitCode {
    let flags = match Flags::parse(texts.name, texts.default_file, arguments) {
        Ok(flags) => flags,
        Err(answer) => return answer,
    };
    match flags.request() {
        Request::DefaultConfig => term::data_text(&(texts.default_config)(&crate::host::net::facts())),
        Request::MinConfig => term::data_text(&(texts.min_config)(&crate::host::net::facts())),
        Request::Version => term::data(&format!("KubeEdge {VERSION}")),
        Request::RawVersion => term::data(&Info::of_this_build().go_syntax()),
        Request::Run => {
            logging::init(flags.v);
            // `keadm supervise` waits for signals with them blocked, and a child inherits that.
            let _ = nix::sys::signal::SigSet::empty().thread_set_mask();
            if let Err(error) = run(&flags) {
                tracing::error!(error = %report::chain(&*error), "{} ends", texts.name);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

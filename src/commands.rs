//! What each command does.

pub mod certgen;
pub mod cluster;
pub mod completion;
pub mod debug;
pub mod gettoken;
pub mod https;
pub mod ignored;
pub mod init;
pub mod install;
pub mod join;
pub mod kubeconfig;
pub mod neighbours;
pub mod reset;
pub mod runtime;
pub mod script;
pub mod strvals;
pub mod supervise;
pub mod version;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser as _, error::ErrorKind};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    cli::{Cli, Command},
    host::real::RealHost,
    term::{
        self,
        report::{Exit, Failure},
    },
};

/// Runs `keadm` with these arguments.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return told(&error),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(cli.command)),
        Err(error) => {
            term::note(&format!("error: cannot start\ncause: {error}"));
            return Exit::Failed.into();
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.print(),
    }
}

/// Help goes to stdout and is a success; complaints go to stderr.
fn told(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        term::data_text(&error.to_string());
        return ExitCode::SUCCESS;
    }
    term::note(error.to_string().trim_end());
    Exit::Usage.into()
}

async fn dispatch(command: Command) -> Result<(), Failure> {
    let host = RealHost::default();
    match command {
        Command::Init(args) => init::command(args, host).await,
        Command::Join(args) => join::command(args, host).await,
        Command::Gettoken(args) => gettoken::command(&args, &host).await,
        Command::Reset(args) => reset::command(args, host).await,
        Command::Certgen(args) => certgen::command(&args, &host),
        Command::Debug(args) => debug::command(&args, &host).await,
        Command::Version(args) => version::version(&args),
        Command::Completion(args) => {
            completion::completion(args.shell);
            Ok(())
        }
    }
}

/// Ends when the operator or the system wants us to stop. Where signals cannot be received it never ends.
pub async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

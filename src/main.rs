//! KubeEdge's whole platform in one binary.
//!
//! `keadm` is the operator's tool; under the names `cloudcore` and `edgecore`, or with such a first argument, the
//! same binary is that component. Every room is a module: `cli` holds what may be typed, `commands` what is done,
//! `host` touches the system, `term` talks to the operator, `daemon` runs the components.

mod applet;
mod cli;
mod commands;
mod daemon;
mod host;
mod term;
mod version;

use std::{env, process::ExitCode};

use applet::Applet;

fn main() -> ExitCode {
    let (applet, arguments) = Applet::from_arguments(env::args_os().collect());
    applet.run(arguments)
}

//! `--pre-run` and `--post-run`: a program of the operator's, run without a shell of ours.

use std::{
    io,
    path::Path,
    process::{Command, Stdio},
};

/// Runs the program; its output goes to the terminal. A script needs its `#!` line: no shell is chosen for it.
///
/// # Errors
/// When it cannot be started or ends with a failure.
pub fn run(program: &Path) -> io::Result<()> {
    let status = Command::new(program).stdin(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
}

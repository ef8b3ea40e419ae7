//! systemd, through `systemctl` with argument vectors.

use std::process::{Command, Stdio};

use super::HostError;

/// Whether systemd is PID 1 of this host.
pub fn is_running() -> bool {
    std::path::Path::new("/run/systemd/system").is_dir()
}

/// Runs `systemctl` with these arguments.
///
/// # Errors
/// When it cannot be started or reports a failure.
pub fn systemctl(arguments: &[&str]) -> Result<(), HostError> {
    run("systemctl", arguments)
}

/// The last lines of a unit's journal.
pub fn journal(unit: &str, lines: usize) -> Vec<String> {
    let count = lines.to_string();
    let output = Command::new("journalctl")
        .args(["--unit", unit, "--lines", &count, "--no-pager", "--output=cat"])
        .stdin(Stdio::null())
        .output();
    output.map(|output| lines_of(&output.stdout)).unwrap_or_default()
}

fn run(program: &str, arguments: &[&str]) -> Result<(), HostError> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| HostError::Program { program: program.to_owned(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = lines_of(&output.stderr).pop().unwrap_or_else(|| output.status.to_string());
    Err(HostError::Exit { command: format!("{program} {}", arguments.join(" ")), output: said })
}

fn lines_of(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

//! `keadm supervise <component>`: keeps a component running on hosts without a service manager. Not for typing.
//!
//! A session of its own, one child, a pid file; restarts with backoff; TERM ends both. It sleeps in `sigwait` and
//! wakes only for signals and, rarely, to keep the log small.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{SigSet, Signal, kill},
    unistd::{Pid, alarm, setsid},
};

use crate::{
    host::service::{CLOUDCORE, EDGECORE, Service},
    term::note,
};

/// First pause before a restart, seconds; doubles.
const FIRST_PAUSE: u32 = 1;
/// Longest pause, seconds. Short: pods wait for edgecore, and it starts in milliseconds.
const LAST_PAUSE: u32 = 5;
/// A child that ran this long starts over with the first pause.
const GOOD_RUN: Duration = Duration::from_secs(10);
/// How long a child may take to end.
const GRACE_SECONDS: u32 = 30;
/// Period of the look at the log, seconds.
const LOG_PERIOD: u32 = 600;
/// Size from which the log is moved aside, bytes; one older file is kept.
const MAX_LOG: u64 = 10 * 1024 * 1024;

/// Runs until it is told to end.
pub fn main(arguments: &[OsString]) -> ExitCode {
    let service = match arguments.get(1).and_then(|name| name.to_str()) {
        Some("cloudcore") => CLOUDCORE,
        Some("edgecore") => EDGECORE,
        _ => {
            note("supervise needs cloudcore or edgecore");
            return ExitCode::FAILURE;
        }
    };
    match supervise(&service) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("supervise {}: {error}", service.name));
            ExitCode::FAILURE
        }
    }
}

fn supervise(service: &Service) -> std::io::Result<()> {
    let _ = setsid(); // fails only for a process group leader, which is as good
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD, Signal::SIGALRM] {
        signals.add(signal);
    }
    signals.thread_block()?;
    let pid_file = service.pid_file();
    write_pid(&pid_file)?;

    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        keep_small(&service.log_file()); // a child that ends at once never gets to the look in between
        let stopped = match spawn(service) {
            Ok(mut child) => watch(&mut child, &signals, service)?,
            Err(error) => {
                note(&format!("cannot start {}: {error}", service.name));
                false
            }
        };
        if stopped {
            break;
        }
        pause = if started.elapsed() >= GOOD_RUN { FIRST_PAUSE } else { pause };
        note(&format!("{} ended, starting it again in {pause} s", service.name));
        alarm::set(pause);
        if wait_for(&signals, &[Signal::SIGALRM])? != Signal::SIGALRM {
            break;
        }
        pause = (pause * 2).min(LAST_PAUSE);
    }
    drop(fs::remove_file(&pid_file));
    Ok(())
}

fn write_pid(path: &Path) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(path)?;
    writeln!(file, "{}", std::process::id())
}

/// The child inherits our log as its output, and our signal mask, which it clears by itself.
fn spawn(service: &Service) -> std::io::Result<Child> {
    Command::new(service.program()).stdin(Stdio::null()).spawn()
}

/// Waits until the child ends; `true` if because we were told to end.
fn watch(child: &mut Child, signals: &SigSet, service: &Service) -> std::io::Result<bool> {
    alarm::set(LOG_PERIOD);
    loop {
        match signals.wait()? {
            Signal::SIGCHLD => {
                if child.try_wait()?.is_some() {
                    alarm::cancel();
                    return Ok(false);
                }
            }
            Signal::SIGALRM => {
                keep_small(&service.log_file());
                alarm::set(LOG_PERIOD);
            }
            Signal::SIGHUP => {}
            _ => {
                end(child, signals)?;
                return Ok(true);
            }
        }
    }
}

/// Ends the child in good order, then by force.
fn end(child: &mut Child, signals: &SigSet) -> std::io::Result<()> {
    let Ok(pid) = i32::try_from(child.id()) else { return Ok(()) };
    let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    alarm::set(GRACE_SECONDS);
    while child.try_wait()?.is_none() {
        if signals.wait()? == Signal::SIGALRM {
            child.kill()?;
            child.wait()?;
            break;
        }
    }
    alarm::cancel();
    Ok(())
}

/// The next signal out of `wanted`, or one that tells us to end.
fn wait_for(signals: &SigSet, wanted: &[Signal]) -> std::io::Result<Signal> {
    loop {
        let signal = signals.wait()?;
        if wanted.contains(&signal) || matches!(signal, Signal::SIGTERM | Signal::SIGINT) {
            return Ok(signal);
        }
    }
}

/// Moves a large log aside by copying and truncating: the child keeps writing to the same file.
fn keep_small(log: &Path) {
    let large = fs::metadata(log).is_ok_and(|metadata| metadata.len() > MAX_LOG);
    if large {
        let older = log.with_extension("log.1");
        if fs::copy(log, older).is_ok() {
            drop(fs::OpenOptions::new().write(true).truncate(true).open(log));
        }
    }
}

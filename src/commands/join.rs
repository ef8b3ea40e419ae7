//! `keadm join`: makes this host an edge node. Everything is checked before anything is changed; whatever fails after
//! that is undone. Source: spec 05 §4, §17.10.

pub mod cloud;
pub mod config;
pub mod error;
pub mod plan;
pub mod preflight;
pub mod settings;

use std::{path::Path, time::Duration};

use api::names::{BOOTSTRAP_FILE, EDGECORE_CONFIG_FILE};
use cloud::{Cloud, HttpsCloud};
use error::JoinError;
use preflight::{Checked, Finding};
use settings::JoinSettings;
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    ignored::Ignored,
    install, neighbours,
    runtime::{CriRuntimes, Runtimes},
    script,
};
use crate::{
    cli::join::JoinArgs,
    host::{Action, Host, InitSystem, dry::DryHost, real::RealHost, service::EDGECORE},
    term::{
        note,
        report::{Exit, Failure},
        steps::Steps,
    },
};

/// Pause between two looks at whether the node has registered.
const POLL: Duration = Duration::from_millis(100);
/// Log lines shown when it has not.
const EVIDENCE_LINES: usize = 20;

/// How a join ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// The node is registered.
    Registered,
    /// It was already; nothing was changed.
    Already,
    /// edgecore was started; nobody waited.
    Started,
    /// Nothing was done, as asked.
    DryRun,
}

/// What a join works with.
pub struct Surroundings<'a> {
    /// The machine.
    pub host: &'a dyn Host,
    /// The other end.
    pub cloud: &'a dyn Cloud,
    /// Container runtimes.
    pub runtimes: &'a dyn Runtimes,
    /// Where progress is told.
    pub steps: &'a Steps,
}

/// Runs `keadm join`.
///
/// # Errors
/// As [`join`].
pub async fn command(args: JoinArgs, host: RealHost) -> Result<(), Failure> {
    let dry_run = args.dry_run;
    let dry = DryHost(RealHost::default());
    let host: &dyn Host = if dry_run { &dry } else { &host };
    let ignored = Ignored::new(args.ignore_preflight_errors.clone());
    let (target, post_run) = (args.cloudcore_ipport.clone(), args.post_run.clone());
    let settings = JoinSettings::from_args(args, host)
        .map_err(|errors| Failure::of(Exit::Preflight, format!("cannot join {target}"), &errors))?;
    let cloud = HttpsCloud { hub: settings.cloud.clone(), certificates: settings.cloud.with_port(settings.cert_port) };
    let steps = Steps::on_stderr();
    let with = Surroundings { host, cloud: &cloud, runtimes: &CriRuntimes, steps: &steps };
    let joined = join(&settings, &ignored, &with).await?;
    drop(steps);
    match joined {
        Joined::Already => note(&format!("Node {} has already joined {}; nothing was changed.", settings.node, target)),
        Joined::DryRun => note("Nothing was changed."),
        Joined::Started => note(&format!("KubeEdge edgecore is running, For logs visit: {}", logs(host))),
        Joined::Registered => {
            note(&format!("Node {} has joined {}. For logs visit: {}", settings.node, target, logs(host)));
        }
    }
    if let Some(program) = post_run.filter(|_| !dry_run) {
        note(&format!("Executing post-run script: {}", program.display()));
        if let Err(error) = script::run(&program) {
            note(&format!("warning: script {} failed: {error}", program.display()));
        }
    }
    Ok(())
}

/// How to read the log of edgecore.
fn logs(host: &dyn Host) -> String {
    match host.init_system() {
        InitSystem::Systemd => "journalctl -u edgecore.service -xe".to_owned(),
        InitSystem::None => EDGECORE.log_file().display().to_string(),
    }
}

/// Joins. On any failure after the checks the host is put back as it was.
///
/// # Errors
/// [`Exit::Preflight`] before anything was changed, [`Exit::Occupied`] when the host belongs to another cloud,
/// [`Exit::Failed`] afterwards.
pub async fn join(settings: &JoinSettings, ignored: &Ignored, with: &Surroundings<'_>) -> Result<Joined, Failure> {
    let headline = format!("cannot join {}", settings.cloud);
    if let Some(program) = &settings.pre_run {
        with.steps.begin(&format!("Executing pre-run script: {}", program.display()));
        script::run(program).map_err(|error| {
            Failure::new(Exit::Failed, headline.as_str(), &JoinError::Script { path: program.clone(), source: error })
        })?;
    }

    with.steps.begin("Check this host and the way to the cloud");
    let checked = match preflight::check(settings, ignored, with).await {
        Ok(Finding::Joined) => {
            with.steps.done();
            return Ok(Joined::Already);
        }
        Ok(Finding::Stopped) => return start_again(settings, &headline, with),
        Ok(Finding::Ready(checked)) => checked,
        Err(errors) => {
            with.steps.failed();
            let occupied = errors.iter().any(|error| matches!(error, JoinError::Occupied { .. }));
            let exit = if occupied { Exit::Occupied } else { Exit::Preflight };
            return Err(Failure::of(exit, headline, &errors));
        }
    };

    let endpoint = &checked.config.modules.edged.tailored_kubelet_config.container_runtime_endpoint;
    let before = if settings.dry_run { None } else { with.runtimes.pods(endpoint).await.ok() };
    // Whoever presses Ctrl-C after this point gets a clean host back.
    let outcome = tokio::select! {
        outcome = set_up(settings, &checked, with) => outcome,
        () = super::interrupted() => Err(JoinError::Interrupted),
    };
    match outcome {
        Ok(joined) => {
            with.steps.done();
            Ok(joined)
        }
        Err(error) => {
            if !settings.dry_run {
                end_pods(endpoint, before.as_deref(), with).await;
            }
            Err(undo(&headline, &error, with))
        }
    }
}

/// Has an edgecore run again that was set up before: after a boot without a service manager, or when it was stopped.
fn start_again(settings: &JoinSettings, headline: &str, with: &Surroundings<'_>) -> Result<Joined, Failure> {
    with.steps.begin("Run EdgeCore daemon");
    for action in install::start(EDGECORE, with.host) {
        with.host.act(action).map_err(|error| undo(headline, &error.into(), with))?;
    }
    with.steps.done();
    Ok(if settings.dry_run { Joined::DryRun } else { Joined::Started })
}

/// Stops edgecore and removes the pods that it has started: those that were not there `before`.
async fn end_pods(endpoint: &str, before: Option<&[String]>, with: &Surroundings<'_>) {
    let warn = |error: &dyn std::error::Error| with.steps.warn(&crate::term::report::chain(error));
    if let Err(error) = with.host.act(Action::Stop { service: EDGECORE }) {
        warn(&error);
    }
    // Beside another node agent nobody knows whose the new ones are.
    let Some(before) = before.filter(|_| neighbours::running(with.host).is_none()) else { return };
    if let Err(error) = with.runtimes.remove_pods(endpoint, before).await {
        warn(&error);
    }
}

fn undo(headline: &str, error: &JoinError, with: &Surroundings<'_>) -> Failure {
    with.steps.failed();
    let mut failure = Failure::new(Exit::Failed, headline, error);
    if let JoinError::NotRegistered { log, .. } = error {
        failure.evidence.clone_from(log);
    }
    with.steps.begin("Put the host back as it was");
    for error in with.host.roll_back() {
        with.steps.warn(&crate::term::report::chain(&error));
    }
    with.steps.done();
    failure
}

async fn set_up(settings: &JoinSettings, checked: &Checked, with: &Surroundings<'_>) -> Result<Joined, JoinError> {
    let host = with.host;
    with.steps.begin("Generate EdgeCore configuration");
    for action in plan::files(settings, checked, host)? {
        host.act(action)?;
    }
    with.steps.begin("Run EdgeCore daemon");
    for action in plan::start(host) {
        host.act(action)?;
    }
    if settings.dry_run {
        return Ok(Joined::DryRun);
    }
    if settings.wait.is_zero() {
        return Ok(Joined::Started);
    }
    with.steps.begin(&format!("Wait until node {} is registered", settings.node));
    let deadline = Instant::now() + settings.wait;
    if timeout_at(deadline, registered(settings, &checked.ca_der, with.cloud)).await.is_err() {
        let log = host.log_tail(&EDGECORE, EVIDENCE_LINES);
        return Err(JoinError::NotRegistered { node: settings.node.clone(), after: settings.wait, log });
    }
    // With its certificate on the disk edgecore needs the token no more; without it, after every restart.
    let certificate = Path::new(&checked.config.modules.edge_hub.tls_cert_file);
    if timeout_at(deadline, exists(certificate, host)).await.is_ok() {
        host.act(Action::RemoveFile { path: BOOTSTRAP_FILE.into() })?;
    } else {
        with.steps.warn(&format!("{} does not exist yet: {BOOTSTRAP_FILE} is kept", certificate.display()));
    }
    Ok(Joined::Registered)
}

async fn exists(path: &Path, host: &dyn Host) {
    while host.kind(path).is_none() {
        sleep(POLL).await;
    }
}

/// Ends when the cloud knows the node. The check before joining saw that it did not.
async fn registered(settings: &JoinSettings, ca_der: &[u8], cloud: &dyn Cloud) {
    // An error now and then is no reason to give up: the deadline is.
    while !matches!(cloud.knows_node(ca_der, &settings.node).await, Ok(true)) {
        sleep(POLL).await;
    }
}

/// Whether a file of a former join is there.
fn has_config(host: &dyn Host) -> bool {
    host.kind(Path::new(EDGECORE_CONFIG_FILE)).is_some()
}

#[cfg(test)]
mod tests;

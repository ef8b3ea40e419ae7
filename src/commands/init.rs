//! `keadm init`: sets up the cloud side on this host, with a Kubernetes of its own where there is none.
//! Source: spec 05 §3, §17; spec 10 §0 D10, §8.5.

pub mod choice;
pub mod config;
pub mod error;
pub mod plan;
pub mod preflight;
pub mod ready;

use std::{path::Path, time::Duration};

use api::{cloudcore::CloudCoreConfig, names::CLOUDCORE_CONFIG_FILE};
use choice::Choice;
use error::InitError;

use super::{
    cluster::{Clusters, KubeClusters},
    gettoken::join_command,
    ignored::Ignored,
};
use crate::{
    cli::init::InitArgs,
    host::{Action, Host, InitSystem, dry::DryHost, real::RealHost, service::CLOUDCORE},
    term::{
        data, note,
        report::{Exit, Failure},
        steps::Steps,
    },
};

const HEADLINE: &str = "cannot set up the cloud side";
/// Log lines shown when cloudcore does not get ready.
const EVIDENCE_LINES: usize = 20;

/// What an init works with.
pub struct Surroundings<'a> {
    /// The machine.
    pub host: &'a dyn Host,
    /// Clusters.
    pub clusters: &'a dyn Clusters,
    /// What runs on this host.
    pub probe: &'a dyn ready::Probe,
    /// Where progress is told.
    pub steps: &'a Steps,
}

/// How an init ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Initialized {
    /// Everything runs; the command for other hosts.
    Ready {
        /// `keadm join …`.
        join_command: String,
        /// Whether anything was changed.
        changed: bool,
    },
    /// cloudcore was started; nobody waited.
    Started,
    /// Nothing was done, as asked.
    DryRun,
}

/// Runs `keadm init`.
///
/// # Errors
/// As [`init`].
pub async fn command(args: InitArgs, host: RealHost) -> Result<(), Failure> {
    let dry = DryHost(RealHost::default());
    let host: &dyn Host = if args.dry_run { &dry } else { &host };
    let steps = Steps::on_stderr();
    let with = Surroundings { host, clusters: &KubeClusters, probe: &ready::LocalProbe, steps: &steps };
    let outcome = init(&args, &with).await?;
    drop(steps);
    match outcome {
        Initialized::DryRun => note("Nothing was changed."),
        Initialized::Started => note(&format!("KubeEdge cloudcore is running, For logs visit: {}", logs(host))),
        Initialized::Ready { join_command, changed } => {
            if changed {
                note(&format!("CloudCore started. For logs visit: {}", logs(host)));
            } else {
                note("CloudCore is already set up and running; nothing was changed.");
            }
            note("On each edge host, run as root:\n");
            data(&join_command);
        }
    }
    Ok(())
}

fn logs(host: &dyn Host) -> String {
    match host.init_system() {
        InitSystem::Systemd => "journalctl -u cloudcore.service -xe".to_owned(),
        InitSystem::None => CLOUDCORE.log_file().display().to_string(),
    }
}

/// Sets up the cloud side. On any failure after the checks the host is put back as it was.
///
/// # Errors
/// [`Exit::Preflight`] before anything was changed, [`Exit::Failed`] afterwards.
pub async fn init(args: &InitArgs, with: &Surroundings<'_>) -> Result<Initialized, Failure> {
    with.steps.begin("Check this host");
    let before = |error: &InitError| Failure::new(Exit::Preflight, HEADLINE, error);
    if !with.host.is_root() && !args.dry_run {
        return Err(before(&InitError::NotRoot));
    }
    let choice = choice::choose(args, with).await.map_err(|error| before(&error))?;
    with.steps.detail(&choice.to_string());
    let current = current(with.host).map_err(|error| before(&error))?;
    let wanted = config::build(args, &choice, current.as_ref(), &with.host.facts()).map_err(|error| before(&error))?;
    let running = preflight::running(with.host);
    let unchanged = current.as_ref() == Some(&wanted);

    if !(unchanged && running.is_some()) {
        let errors = if args.skip_preflight_checks {
            Vec::new()
        } else {
            preflight::check(&wanted, current.is_some(), running, with.host)
        };
        let ignored = Ignored::new(args.ignore_preflight_errors.clone());
        let errors: Vec<_> = errors.into_iter().filter(|error| !ignored.covers(error)).collect();
        if !errors.is_empty() {
            with.steps.failed();
            return Err(Failure::of(Exit::Preflight, HEADLINE, &errors));
        }
    }

    // Whoever presses Ctrl-C after this point gets a clean host back.
    let work = match (unchanged, running.is_some()) {
        (true, true) => Work::None,
        (true, false) if with.host.kind(&CLOUDCORE.program()).is_some() => Work::Start,
        (_, running) => Work::Install { running },
    };
    let outcome = tokio::select! {
        outcome = install(args, &choice, &wanted, work, with) => outcome,
        () = super::interrupted() => Err(InitError::Interrupted),
    };
    match outcome {
        Ok(initialized) => {
            with.steps.done();
            Ok(initialized)
        }
        Err(error) => Err(undo(&error, with)),
    }
}

/// What there is to do before cloudcore runs as wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// It does.
    None,
    /// It only stopped: after a boot without a service manager, say.
    Start,
    /// Files first.
    Install {
        /// It runs with other settings.
        running: bool,
    },
}

/// The configuration that is there.
fn current(host: &dyn Host) -> Result<Option<CloudCoreConfig>, InitError> {
    let path = Path::new(CLOUDCORE_CONFIG_FILE);
    let Some(text) = host.read(path)? else { return Ok(None) };
    let read = CloudCoreConfig::from_yaml(&String::from_utf8_lossy(&text), &host.facts());
    read.map(|(config, _)| Some(config)).map_err(InitError::CurrentConfig)
}

fn undo(error: &InitError, with: &Surroundings<'_>) -> Failure {
    with.steps.failed();
    let mut failure = Failure::new(Exit::Failed, HEADLINE, error);
    if let InitError::NotReady { log, .. } = error {
        failure.evidence.clone_from(log);
    }
    with.steps.begin("Put the host back as it was");
    for error in with.host.roll_back() {
        with.steps.warn(&crate::term::report::chain(&error));
    }
    with.steps.done();
    failure
}

async fn install(
    args: &InitArgs,
    choice: &Choice,
    wanted: &CloudCoreConfig,
    work: Work,
    with: &Surroundings<'_>,
) -> Result<Initialized, InitError> {
    let host = with.host;
    let changed = work != Work::None;
    if changed {
        if work != Work::Start {
            with.steps.begin("Install cloudcore");
            for action in plan::files(wanted, host)? {
                host.act(action)?;
            }
        }
        with.steps.begin("Start cloudcore");
        if work == (Work::Install { running: true }) {
            host.act(Action::Stop { service: CLOUDCORE })?;
        }
        for action in super::install::start(CLOUDCORE, host) {
            host.act(action)?;
        }
    }
    if args.dry_run {
        return Ok(Initialized::DryRun);
    }
    if args.force && changed {
        return Ok(Initialized::Started);
    }
    let wait = Duration::from_secs(args.timeout);
    let token = ready::wait(choice, wanted, wait, with).await.map_err(|missing| InitError::NotReady {
        missing,
        after: wait,
        log: host.log_tail(&CLOUDCORE, EVIDENCE_LINES),
    })?;
    let mut wrote = changed;
    if *choice == Choice::Embedded {
        let actions = plan::kubeconfigs(wanted, host)?;
        if !actions.is_empty() {
            with.steps.begin("Make the cluster known to kubectl");
        }
        for action in actions {
            wrote = true;
            host.act(action)?;
        }
    }
    let join_command = join_command(wanted, &token).ok_or(InitError::NoAddress)?;
    Ok(Initialized::Ready { join_command, changed: wrote })
}

#[cfg(test)]
mod tests;

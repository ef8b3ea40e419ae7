//! `keadm reset`: takes away what init and join put on this host, and nothing else. Works on whatever is left of a
//! former installation; running it twice is fine. Source: spec 05 §6.5.

pub mod inventory;
pub mod plan;

use std::{io, path::PathBuf};

use inventory::Inventory;
use thiserror::Error;

use super::{
    cluster::{ClusterError, Clusters, KubeClusters},
    runtime::{CriRuntimes, RuntimeError, Runtimes},
    script,
};
use crate::{
    cli::reset::{ResetArgs, Side},
    host::{Action, Host, HostError, dry::DryHost, real::RealHost},
    term::{
        self, note,
        prompt::{Answer, confirm},
        report::{Advice, Advise, Cause, Exit, Failure},
        steps::Steps,
    },
};

const HEADLINE: &str = "cannot reset this host";

/// What stops a reset, or stays behind after it.
#[derive(Debug, Error)]
pub enum ResetError {
    /// We may not change the system.
    #[error("keadm does not run as root")]
    NotRoot,
    /// The operator said no.
    #[error("aborted reset operation")]
    Aborted,
    /// Nobody can be asked.
    #[error("there is no terminal to ask for confirmation")]
    NoTerminal,
    /// A script failed.
    #[error("script {} failed", path.display())]
    Script {
        /// The program.
        path: PathBuf,
        /// How.
        #[source]
        source: io::Error,
    },
    /// The pods could not be removed.
    #[error("pods were not removed")]
    Pods(#[source] RuntimeError),
    /// Pods have left something, and there is no runtime to ask for them.
    #[error("{} holds pods, but no container runtime was found", dir.display())]
    NoRuntime {
        /// The directory.
        dir: PathBuf,
    },
    /// The namespace could not be removed.
    #[error("the namespace kubeedge was not removed")]
    Namespace(#[source] ClusterError),
    /// Something on the host stays.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl Advise for ResetError {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::NotRoot => Advice::new("NotRoot", "run the same command with sudo"),
            Self::Aborted => Advice::new("Aborted", "nothing was changed"),
            Self::NoTerminal => Advice::new("NoTerminal", "pass --force to go on without a question"),
            Self::Script { .. } => Advice::new("Script", "the output of the script is above; nothing was changed"),
            Self::Pods(RuntimeError::Stubborn { .. }) => {
                Advice::new("PodsLeft", "configuration, database and programs are kept: run reset again")
            }
            Self::Pods(_) => Advice::new(
                "RuntimeEndpoint",
                "configuration, database and programs are kept: start the container runtime and run reset again, or \
                 name its socket with --remote-runtime-endpoint",
            ),
            Self::NoRuntime { dir } => Advice::new(
                "RuntimeEndpoint",
                format!(
                    "configuration, database and programs are kept: start the container runtime and run reset again, \
                     or name its socket with --remote-runtime-endpoint; if it is gone for good, remove {} first",
                    dir.display()
                ),
            ),
            Self::Namespace(_) => {
                Advice::new("Namespace", "run `kubectl delete namespace kubeedge` against that cluster")
            }
            Self::Host(HostError::Mounted { path }) => {
                Advice::new("Mounted", format!("run `umount {}`, then reset again", path.display()))
            }
            Self::Host(_) => Advice::new("Host", "remove the obstacle, then reset again"),
        }
    }
}

/// Runs `keadm reset`.
///
/// # Errors
/// As [`reset`].
pub async fn command(args: ResetArgs, host: RealHost) -> Result<(), Failure> {
    let dry = DryHost(RealHost::default());
    let host: &dyn Host = if args.dry_run { &dry } else { &host };
    let steps = Steps::on_stderr();
    reset(&args, host, &CriRuntimes, &KubeClusters, &steps).await
}

/// Takes everything away.
///
/// # Errors
/// [`Exit::Preflight`] and [`Exit::Aborted`] before anything was changed; [`Exit::Failed`] when something stays.
pub async fn reset(
    args: &ResetArgs,
    host: &dyn Host,
    runtimes: &dyn Runtimes,
    clusters: &dyn Clusters,
    steps: &Steps,
) -> Result<(), Failure> {
    let before = |exit, error: &ResetError| Err(Failure::new(exit, HEADLINE, error));
    if !host.is_root() && !args.dry_run {
        return before(Exit::Preflight, &ResetError::NotRoot);
    }
    let found = Inventory::of(host, args.side, args.remote_runtime_endpoint.as_deref());
    if !found.cloud && !found.edge {
        note("None of KubeEdge components are installed on this host");
        return Ok(());
    }
    if !args.force && !args.dry_run {
        note("[reset] WARNING: Changes made to this host by 'keadm init' or 'keadm join' will be reverted.");
        match confirm("[reset] Are you sure you want to proceed?") {
            Answer::Yes => {}
            Answer::No => return before(Exit::Aborted, &ResetError::Aborted),
            Answer::NoTerminal => return before(Exit::Aborted, &ResetError::NoTerminal),
        }
    }
    if let Some(program) = args.pre_run.as_ref().filter(|_| !args.dry_run) {
        steps.begin(&format!("Executing pre-run script: {}", program.display()));
        if let Err(source) = script::run(program) {
            return before(Exit::Failed, &ResetError::Script { path: program.clone(), source });
        }
    }

    let mut left = Vec::new();
    if found.edge {
        steps.begin("Stop edgecore");
        act(plan::stop_edge(&found, host), host, &mut left);
        steps.begin("Clean up containers managed by KubeEdge");
        if let Err(error) = remove_pods(args, &found, runtimes, steps).await {
            // Whoever runs reset again needs what says where the pods are.
            left.push(error);
            return Err(incomplete(&left, steps));
        }
        steps.begin("Clean up what edgecore left");
        act(plan::remove_edge(&found, host), host, &mut left);
    }
    if found.cloud {
        if args.side == Some(Side::Cloud) {
            remove_namespace(args, &found, clusters, steps, &mut left).await;
        }
        steps.begin("Stop cloudcore");
        act(plan::stop_cloud(host), host, &mut left);
        steps.begin("Clean up what cloudcore left");
        act(plan::remove_cloud(&found, host), host, &mut left);
    }
    steps.begin("Clean up directories");
    act(plan::remove_shared(&found, host), host, &mut left);

    if !left.is_empty() {
        return Err(incomplete(&left, steps));
    }
    steps.done();
    if let Some(program) = args.post_run.as_ref().filter(|_| !args.dry_run)
        && let Err(error) = script::run(program)
    {
        steps.warn(&format!("script {} failed: {error}", program.display()));
    }
    note(if args.dry_run { "Nothing was changed." } else { "reset node successfully!" });
    Ok(())
}

fn incomplete(left: &[ResetError], steps: &Steps) -> Failure {
    steps.failed();
    let causes = left.iter().map(Cause::from).collect();
    let headline = "some things could not be removed".to_owned();
    Failure { headline, causes, evidence: Vec::new(), exit: Exit::Failed }
}

/// Does all it can; what fails stays behind and is told.
fn act(actions: Vec<Action>, host: &dyn Host, left: &mut Vec<ResetError>) {
    for action in actions {
        left.extend(host.act(action).err().map(ResetError::Host));
    }
}

async fn remove_pods(
    args: &ResetArgs,
    found: &Inventory,
    runtimes: &dyn Runtimes,
    steps: &Steps,
) -> Result<(), ResetError> {
    if let Some(reason) = &found.other_agent {
        steps.warn(&format!("pods, their directories and cgroups stay: {reason}"));
        return Ok(());
    }
    let Some(endpoint) = &found.runtime_endpoint else {
        steps.detail("no container runtime was found");
        return match &found.pods_on_disk {
            Some(dir) if !args.dry_run => Err(ResetError::NoRuntime { dir: dir.clone() }),
            _ => Ok(()),
        };
    };
    if args.dry_run {
        term::data(&format!("would remove every pod from {endpoint}"));
        return Ok(());
    }
    let removed = runtimes.remove_pods(endpoint, &[]).await.map_err(ResetError::Pods)?;
    steps.detail(&if removed.is_empty() { "no pods".to_owned() } else { format!("removed {}", removed.join(", ")) });
    Ok(())
}

async fn remove_namespace(
    args: &ResetArgs,
    found: &Inventory,
    clusters: &dyn Clusters,
    steps: &Steps,
    left: &mut Vec<ResetError>,
) {
    let Some(kubeconfig) = args.kube_config.as_ref().or(found.external_kubeconfig.as_ref()) else { return };
    steps.begin("Remove the namespace kubeedge from the cluster");
    if args.dry_run {
        term::data(&format!("would remove namespace kubeedge from the cluster of {}", kubeconfig.display()));
        return;
    }
    left.extend(clusters.remove_namespace(kubeconfig).await.err().map(ResetError::Namespace));
}

#[cfg(test)]
mod tests;

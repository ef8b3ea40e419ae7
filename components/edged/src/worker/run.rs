//! A pass of a living pod. Source: spec 08 §5.3, §6.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;
use tracing::{debug, info};

use crate::observed::{PodRuntime, observe};
use crate::plan::{self, Plan, SandboxPlan};
use crate::{hash, pod};

use super::start::{Starter, backoff_key};
use super::{Agent, Gauges, Interrupt, Memory, Outcome, PassError, Verdicts, clean, instant_of, stop};

/// Spread of the periodic look, so that twenty pods do not look at once.
fn resync(agent: &Agent, pod: &Pod) -> Instant {
    let base = agent.settings.sync_frequency;
    let spread = hash::container_hash(pod::uid(pod), "") % 500;
    Instant::now() + base + base * spread / 1000
}

/// One pass.
pub async fn run(
    agent: &Agent,
    pod: &Arc<Pod>,
    memory: &mut Memory,
    interrupt: &Interrupt,
) -> Result<Outcome, PassError> {
    let observed = observe(&agent.runtime, pod::uid(pod)).await?;
    memory.fingerprint = observed.fingerprint();
    if pod::api_says_terminal(pod) || memory.status.as_ref().is_some_and(pod::is_terminal) {
        return Ok(Outcome::Ended); // never run again what the API knows as ended
    }
    forget_gone(memory, &observed);
    agent.tell_probes(pod, memory, &observed, false);
    if !memory.took_over {
        take_over(pod, memory, &observed);
        memory.took_over = true;
    }
    let status = agent.compute(pod, memory, &observed, false);
    if pod::is_terminal(&status) {
        return Ok(Outcome::Ended);
    }
    agent.report(pod, memory, status, false).await;
    let plan = decide(agent, pod, memory, &observed);
    if plan.sandbox == SandboxPlan::Stop {
        return Ok(Outcome::Ended); // the stop pass kills what is left and computes the final status
    }
    if is_steady(&plan) {
        clean::prune(agent, pod, &observed).await;
        refresh_volumes(agent, pod, &observed).await;
        return Ok(Outcome::Look(resync(agent, pod)));
    }
    let network_error = agent.runtime_facts().and_then(|facts| facts.network_error);
    if let Some(error) = network_error.filter(|_| !pod::host_network(pod)) {
        return Err(PassError::NoNetwork(error));
    }
    let next_try = execute(agent, pod, memory, &observed, plan, interrupt).await?;

    let observed = observe(&agent.runtime, pod::uid(pod)).await?;
    memory.fingerprint = observed.fingerprint();
    forget_gone(memory, &observed);
    agent.tell_probes(pod, memory, &observed, false);
    let status = agent.compute(pod, memory, &observed, false);
    if pod::is_terminal(&status) {
        return Ok(Outcome::Ended);
    }
    agent.report(pod, memory, status, false).await;
    clean::prune(agent, pod, &observed).await;
    let look = match next_try {
        Some(when) => when,
        // Something more is to be done already, such as the next init container: at once.
        None if !is_steady(&decide(agent, pod, memory, &observed)) => Instant::now(),
        None => resync(agent, pod),
    };
    Ok(Outcome::Look(look))
}

fn decide(agent: &Agent, pod: &Pod, memory: &Memory, observed: &PodRuntime) -> Plan {
    let mut plan = plan::plan(pod, observed, &Verdicts { gauges: Gauges { agent, pod }, memory });
    if let SandboxPlan::Create { attempt, .. } = &mut plan.sandbox {
        *attempt = (*attempt).max(memory.attempt_floor);
    }
    plan
}

fn is_steady(plan: &Plan) -> bool {
    matches!(plan.sandbox, SandboxPlan::Keep { .. }) && plan.kill.is_empty() && plan.start.is_empty()
}

/// Drops what was remembered about containers that no longer exist.
fn forget_gone(memory: &mut Memory, observed: &PodRuntime) {
    let exists =
        |id: &String| observed.containers.iter().any(|container| &container.id == id && container.is_running());
    memory.adopted.retain(exists);
}

/// First pass of this process: containers of an earlier run, or of another agent, are kept, and their crash loops
/// continue where they were. Source: spec 08 §6.3, §8.5, §18.4.
fn take_over(pod: &Pod, memory: &mut Memory, observed: &PodRuntime) {
    let all = pod::containers(pod).iter().chain(pod::init_containers(pod));
    for container in all {
        let Some(current) = observed.newest(&container.name) else { continue };
        let image = container.image.as_deref().unwrap_or_default();
        if current.is_running() && current.hash != hash::container_hash(&container.name, image) {
            info!(container = container.name, container.id = current.id, "adopting container of an older agent");
            memory.adopted.insert(current.id.clone());
        }
        // Containers of an earlier sandbox ended with it, which is no crash loop.
        let same_sandbox = observed.sandboxes.first().is_some_and(|it| it.ready && it.id == current.sandbox_id);
        let started = instant_of(current.started_at, Timestamp::now(), Instant::now());
        if let Some(started) = started.filter(|_| same_sandbox) {
            memory.backoff.seed(&backoff_key(container), current.restart_count, started);
        }
    }
}

async fn refresh_volumes(agent: &Agent, pod: &Pod, observed: &PodRuntime) {
    if let Err(error) = agent.volumes.refresh(pod, &agent.facts(observed)).await {
        debug!(%error, "volume not refreshed");
    }
}

/// Carries out a plan; returns when a start that failed or backs off is due again.
async fn execute(
    agent: &Agent,
    pod: &Arc<Pod>,
    memory: &mut Memory,
    observed: &PodRuntime,
    plan: Plan,
    interrupt: &Interrupt,
) -> Result<Option<Instant>, PassError> {
    for kill in &plan.kill {
        if let Some(container) = observed.containers.iter().find(|container| container.id == kill.id) {
            info!(container = container.name, reason = kill.message, "stopping container");
            let grace = stop::container_grace(pod, container, Some(kill.cause));
            stop::kill_container(agent, pod, container, grace).await?;
        }
    }
    // Killed ones are started in the same pass: look again only when something was killed.
    let refreshed;
    let observed = if plan.kill.is_empty() {
        observed
    } else {
        refreshed = observe(&agent.runtime, pod::uid(pod)).await?;
        &refreshed
    };
    let mut starter = Starter::prepare(agent, pod, memory.seen.unwrap_or_else(Timestamp::now))?;
    let prepared = interrupt.any.run_until_cancelled(starter.mount(observed)).await;
    prepared.unwrap_or(Err(PassError::Interrupted))?;
    match &plan.sandbox {
        SandboxPlan::Keep { id } => {
            let attempt = observed.sandboxes.first().map_or(0, |sandbox| sandbox.attempt);
            starter.use_sandbox(id, attempt, observed.ips().to_vec());
        }
        SandboxPlan::Create { attempt, replace } => {
            if *replace {
                info!("pod sandbox changed, it will be killed and re-created");
                stop::kill_pod(agent, pod, observed, pod::grace(pod)).await?;
                clean::remove_init_containers(agent, pod, observed).await?;
            }
            if let Err(error) = starter.create_sandbox(*attempt).await {
                if is_name_taken(&error) {
                    memory.attempt_floor = attempt + 1;
                }
                return Err(error.into());
            }
        }
        SandboxPlan::Stop => return Ok(None),
    }
    let mut next_try: Option<Instant> = None;
    for reference in plan.start {
        if interrupt.any.is_cancelled() {
            return Err(PassError::Interrupted);
        }
        let attempt = starter.start(reference, observed, memory, interrupt).await?;
        if let Some(due) = attempt.retry {
            next_try = Some(next_try.map_or(due, |it| it.min(due)));
        }
        if attempt.blocks_others {
            break;
        }
    }
    Ok(next_try)
}

/// The runtime still reserves the name of an attempt that timed out on our side. Source: spec 08 §19 P-5, P-6.
pub fn is_name_taken(error: &crate::cri::CriError) -> bool {
    error.message.contains("is reserved for") || error.message.contains("already exists")
}

/// How long a failed start waits when nothing says otherwise.
pub const START_RETRY: Duration = Duration::from_secs(10);

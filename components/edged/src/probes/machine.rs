//! What one probe does next. Pure: time is an argument, probing is somebody else's.
//!
//! | State | Event | Next | Action |
//! |---|---|---|---|
//! | any | `Started` | `Gated` or `Waiting` (until the initial delay is over) | |
//! | any | `Stopped` | `Idle` | readiness: publish Failure |
//! | any | `Deleting` (startup, liveness) | `Ended` | |
//! | `Gated` | `Opened` (startup probe succeeded) | `Waiting` | |
//! | `Waiting` | `Tick` when due | `InFlight` | probe |
//! | `InFlight` | error, fewer than 3 | `InFlight` | probe again |
//! | `InFlight` | error, the third | `Waiting` one period | |
//! | `InFlight` | below threshold | `Waiting` one period | |
//! | `InFlight` | threshold reached | `Waiting`, or `OnHold` when there is nothing more to ask | publish if it changed |
//!
//! Source: spec 08 §10.1.

use std::time::Duration;

use k8s_openapi::api::core::v1::Probe;
use tokio::time::Instant;

use super::{ProbeKind, ProbeResult};

/// Immediate attempts when a probe could not be run at all.
const MAX_ATTEMPTS: u8 = 3;

/// Numbers of a probe, defaults applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From the container's start to the first attempt.
    pub initial_delay: Duration,
    /// Between attempts.
    pub period: Duration,
    /// For one attempt.
    pub timeout: Duration,
    /// Successes in a row that count.
    pub success_threshold: u32,
    /// Failures in a row that count.
    pub failure_threshold: u32,
}

impl Timing {
    /// The numbers of `probe`.
    pub fn of(probe: &Probe) -> Self {
        let at_least = |value: Option<i32>, default: u32, least: u32| {
            value.and_then(|value| u32::try_from(value).ok()).filter(|value| *value >= least).unwrap_or(default)
        };
        let seconds = |value, default, least| Duration::from_secs(at_least(value, default, least).into());
        Self {
            initial_delay: seconds(probe.initial_delay_seconds, 0, 0),
            period: seconds(probe.period_seconds, 10, 1),
            timeout: seconds(probe.timeout_seconds, 1, 1),
            success_threshold: at_least(probe.success_threshold, 1, 1),
            failure_threshold: at_least(probe.failure_threshold, 3, 1),
        }
    }
}

/// What one attempt brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The application answered well.
    Success,
    /// It did not.
    Failure,
    /// The question could not be asked.
    Error,
}

/// What happens to a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Its container runs, with a new ID.
    Started {
        /// When the first attempt may be made.
        not_before: Instant,
        /// Other probes wait for the startup probe; startup probes themselves never do.
        gated: bool,
        /// What a stored status says about this container.
        seed: Option<ProbeResult>,
    },
    /// The startup probe of its container succeeded.
    Opened,
    /// Its container does not run any more.
    Stopped,
    /// Its pod is being deleted.
    Deleting,
    /// Time has passed.
    Tick,
    /// An attempt of this generation is over.
    Outcome {
        /// From [`Action::Probe`].
        generation: u64,
        /// What it brought.
        attempt: Attempt,
    },
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Ask the container.
    Probe {
        /// To be handed back with the outcome; answers of an older one are ignored.
        generation: u64,
    },
    /// The result has changed.
    Publish(ProbeResult),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Gated { not_before: Instant },
    Waiting { due: Instant },
    InFlight { errors: u8 },
    OnHold,
    Ended,
}

/// One probe of one container.
#[derive(Debug, Clone)]
pub struct Machine {
    kind: ProbeKind,
    timing: Timing,
    state: State,
    generation: u64,
    /// The last attempts that agreed, and how many.
    streak: Option<(ProbeResult, u32)>,
    result: Option<ProbeResult>,
}

impl Machine {
    /// A probe whose container does not run yet.
    pub fn new(kind: ProbeKind, timing: Timing) -> Self {
        Self { kind, timing, state: State::Idle, generation: 0, streak: None, result: None }
    }

    /// Which probe it is.
    pub fn kind(&self) -> ProbeKind {
        self.kind
    }

    /// Its numbers.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// What it says now; `None`: a startup probe without an answer yet.
    pub fn result(&self) -> Option<ProbeResult> {
        self.result
    }

    /// When the next [`Event::Tick`] does something.
    pub fn due(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { due } => Some(due),
            State::Idle | State::Gated { .. } | State::InFlight { .. } | State::OnHold | State::Ended => None,
        }
    }

    /// Takes one event.
    pub fn step(&mut self, event: Event, now: Instant) -> Option<Action> {
        match (event, self.state) {
            (_, State::Ended) | (Event::Stopped, State::Idle) => None,
            (Event::Started { not_before, gated, seed }, _) => {
                self.start(not_before, gated, seed);
                None
            }
            (Event::Stopped, _) => {
                self.generation += 1;
                self.state = State::Idle;
                (self.kind == ProbeKind::Readiness).then(|| self.publish(ProbeResult::Failure)).flatten()
            }
            (Event::Deleting, _) => {
                if self.kind != ProbeKind::Readiness {
                    self.generation += 1;
                    self.state = State::Ended;
                    self.result = Some(ProbeResult::Success);
                }
                None
            }
            (Event::Opened, State::Gated { not_before }) => {
                self.state = State::Waiting { due: not_before.max(now) };
                None
            }
            (Event::Tick, State::Waiting { due }) if due <= now => {
                self.state = State::InFlight { errors: 0 };
                Some(Action::Probe { generation: self.generation })
            }
            (Event::Outcome { generation, attempt }, State::InFlight { errors }) if generation == self.generation => {
                self.outcome(attempt, errors, now)
            }
            (Event::Opened | Event::Tick | Event::Outcome { .. }, _) => None,
        }
    }

    fn start(&mut self, not_before: Instant, gated: bool, seed: Option<ProbeResult>) {
        self.generation += 1;
        self.streak = None;
        self.result = seed.or(match self.kind {
            ProbeKind::Startup => None,
            ProbeKind::Liveness => Some(ProbeResult::Success),
            ProbeKind::Readiness => Some(ProbeResult::Failure),
        });
        self.state = match self.kind {
            ProbeKind::Startup if seed == Some(ProbeResult::Success) => State::OnHold,
            ProbeKind::Liveness | ProbeKind::Readiness if gated => State::Gated { not_before },
            ProbeKind::Startup | ProbeKind::Liveness | ProbeKind::Readiness => State::Waiting { due: not_before },
        };
    }

    fn outcome(&mut self, attempt: Attempt, errors: u8, now: Instant) -> Option<Action> {
        let next = State::Waiting { due: now + self.timing.period };
        let (result, threshold) = match attempt {
            Attempt::Error if errors + 1 < MAX_ATTEMPTS => {
                self.state = State::InFlight { errors: errors + 1 };
                return Some(Action::Probe { generation: self.generation });
            }
            Attempt::Error => {
                self.state = next;
                return None;
            }
            Attempt::Success => (ProbeResult::Success, self.timing.success_threshold),
            Attempt::Failure => (ProbeResult::Failure, self.timing.failure_threshold),
        };
        let in_a_row = match self.streak {
            Some((last, count)) if last == result => count.saturating_add(1),
            Some(_) | None => 1,
        };
        self.streak = Some((result, in_a_row));
        self.state = next;
        if in_a_row < threshold {
            return None;
        }
        let nothing_more_to_ask = match (self.kind, result) {
            (ProbeKind::Startup, _) | (ProbeKind::Liveness, ProbeResult::Failure) => true,
            (ProbeKind::Liveness, ProbeResult::Success) | (ProbeKind::Readiness, _) => false,
        };
        if nothing_more_to_ask {
            self.state = State::OnHold;
            self.streak = None;
        }
        self.publish(result)
    }

    fn publish(&mut self, result: ProbeResult) -> Option<Action> {
        (self.result.replace(result) != Some(result)).then_some(Action::Publish(result))
    }
}

#[cfg(test)]
mod tests;

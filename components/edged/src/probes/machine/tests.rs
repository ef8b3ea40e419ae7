//! The transitions, on pure time.

use proptest::prelude::*;

use super::*;

struct Lab {
    machine: Machine,
    zero: Instant,
}

fn lab(kind: ProbeKind, success_threshold: u32, failure_threshold: u32) -> Lab {
    let timing = Timing {
        initial_delay: Duration::from_secs(5),
        period: Duration::from_secs(10),
        timeout: Duration::from_secs(1),
        success_threshold,
        failure_threshold,
    };
    Lab { machine: Machine::new(kind, timing), zero: Instant::now() }
}

impl Lab {
    fn at(&self, second: u64) -> Instant {
        self.zero + Duration::from_secs(second)
    }

    fn start(&mut self, gated: bool, seed: Option<ProbeResult>) {
        let event = Event::Started { not_before: self.at(5), gated, seed };
        assert_eq!(self.machine.step(event, self.zero), None);
    }

    /// Ticks at `second`, answers with `attempt`, returns what was published.
    fn probe(&mut self, second: u64, attempt: Attempt) -> Option<ProbeResult> {
        let now = self.at(second);
        let Some(Action::Probe { generation }) = self.machine.step(Event::Tick, now) else {
            panic!("not due at {second}")
        };
        match self.machine.step(Event::Outcome { generation, attempt }, now) {
            Some(Action::Publish(result)) => Some(result),
            Some(Action::Probe { .. }) => panic!("asked again"),
            None => None,
        }
    }

    fn due(&self) -> Option<u64> {
        self.machine.due().map(|due| due.duration_since(self.zero).as_secs())
    }
}

use Attempt::{Error, Failure, Success};

#[test]
fn liveness_fails_at_the_threshold_and_then_waits_for_a_new_container() {
    let mut lab = lab(ProbeKind::Liveness, 1, 3);
    lab.start(false, None);
    assert_eq!(lab.machine.result(), Some(ProbeResult::Success));
    assert_eq!(lab.due(), Some(5));
    assert_eq!(lab.machine.step(Event::Tick, lab.at(4)), None);
    assert_eq!(lab.probe(5, Failure), None);
    assert_eq!(lab.probe(15, Failure), None);
    assert_eq!(lab.probe(25, Success), None);
    assert_eq!(lab.probe(35, Failure), None);
    assert_eq!(lab.probe(45, Failure), None);
    assert_eq!(lab.probe(55, Failure), Some(ProbeResult::Failure));
    assert_eq!(lab.due(), None);
    lab.start(false, None);
    assert_eq!(lab.machine.result(), Some(ProbeResult::Success));
    assert_eq!(lab.due(), Some(5));
}

#[test]
fn readiness_comes_and_goes_and_ends_with_the_container() {
    let mut lab = lab(ProbeKind::Readiness, 2, 1);
    lab.start(false, None);
    assert_eq!(lab.machine.result(), Some(ProbeResult::Failure));
    assert_eq!(lab.probe(5, Success), None);
    assert_eq!(lab.probe(15, Success), Some(ProbeResult::Success));
    assert_eq!(lab.probe(25, Success), None);
    assert_eq!(lab.probe(35, Failure), Some(ProbeResult::Failure));
    assert_eq!(lab.probe(45, Success), None);
    assert_eq!(lab.probe(55, Success), Some(ProbeResult::Success));
    let stopped = lab.machine.step(Event::Stopped, lab.at(60));
    assert_eq!(stopped, Some(Action::Publish(ProbeResult::Failure)));
    assert_eq!(lab.machine.step(Event::Stopped, lab.at(61)), None);
}

#[test]
fn startup_succeeds_once_and_opens_the_gate_for_the_others() {
    let mut startup = lab(ProbeKind::Startup, 1, 2);
    startup.start(true, None);
    assert_eq!(startup.machine.result(), None);
    assert_eq!(startup.probe(5, Failure), None);
    assert_eq!(startup.probe(15, Success), Some(ProbeResult::Success));
    assert_eq!(startup.due(), None);

    let mut liveness = lab(ProbeKind::Liveness, 1, 1);
    liveness.start(true, None);
    assert_eq!(liveness.due(), None);
    liveness.machine.step(Event::Opened, liveness.at(15));
    assert_eq!(liveness.due(), Some(15));
}

#[test]
fn a_startup_probe_that_never_succeeds_fails() {
    let mut lab = lab(ProbeKind::Startup, 1, 2);
    lab.start(false, None);
    assert_eq!(lab.probe(5, Failure), None);
    assert_eq!(lab.probe(15, Failure), Some(ProbeResult::Failure));
}

#[test]
fn errors_are_tried_three_times_at_once_and_then_ignored() {
    let mut lab = lab(ProbeKind::Liveness, 1, 1);
    lab.start(false, None);
    let now = lab.at(5);
    let Some(Action::Probe { generation }) = lab.machine.step(Event::Tick, now) else { panic!() };
    let error = Event::Outcome { generation, attempt: Error };
    assert_eq!(lab.machine.step(error, now), Some(Action::Probe { generation }));
    assert_eq!(lab.machine.step(error, now), Some(Action::Probe { generation }));
    assert_eq!(lab.machine.step(error, now), None);
    assert_eq!(lab.due(), Some(15));
    assert_eq!(lab.machine.result(), Some(ProbeResult::Success));
}

#[test]
fn an_answer_about_an_older_container_is_ignored() {
    let mut lab = lab(ProbeKind::Liveness, 1, 1);
    lab.start(false, None);
    let Some(Action::Probe { generation }) = lab.machine.step(Event::Tick, lab.at(5)) else { panic!() };
    lab.start(false, None);
    let late = Event::Outcome { generation, attempt: Failure };
    assert_eq!(lab.machine.step(late, lab.at(6)), None);
    assert_eq!(lab.machine.result(), Some(ProbeResult::Success));
}

#[test]
fn deletion_ends_liveness_but_not_readiness() {
    for (kind, goes_on) in [(ProbeKind::Liveness, false), (ProbeKind::Startup, false), (ProbeKind::Readiness, true)] {
        let mut lab = lab(kind, 1, 1);
        lab.start(false, None);
        lab.machine.step(Event::Deleting, lab.at(1));
        assert_eq!(lab.due().is_some(), goes_on, "{kind:?}");
    }
}

#[test]
fn stored_results_hold_until_a_probe_disagrees() {
    let mut ready = lab(ProbeKind::Readiness, 1, 2);
    ready.start(false, Some(ProbeResult::Success));
    assert_eq!(ready.machine.result(), Some(ProbeResult::Success));
    assert_eq!(ready.probe(5, Failure), None);
    assert_eq!(ready.probe(15, Failure), Some(ProbeResult::Failure));
    let mut startup = lab(ProbeKind::Startup, 1, 2);
    startup.start(false, Some(ProbeResult::Success));
    assert_eq!(startup.due(), None);
}

#[test]
fn defaults_are_those_of_kubernetes() {
    let timing = Timing::of(&Probe { period_seconds: Some(0), timeout_seconds: Some(-1), ..Probe::default() });
    assert_eq!((timing.period, timing.timeout), (Duration::from_secs(10), Duration::from_secs(1)));
    assert_eq!((timing.success_threshold, timing.failure_threshold), (1, 3));
}

proptest! {
    #[test]
    fn a_published_result_always_differs_from_the_one_before(
        attempts in proptest::collection::vec(0_u8..4, 0..60), kind in 0_u8..3, success in 1_u32..3, failure in 1_u32..4,
    ) {
        let kind = [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness][usize::from(kind)];
        let mut lab = lab(kind, success, failure);
        lab.start(false, None);
        let mut now = lab.zero;
        let mut generation = 1;
        for attempt in attempts {
            now += Duration::from_secs(10);
            let before = lab.machine.result();
            let event = match attempt {
                0 => Event::Outcome { generation, attempt: Success },
                1 => Event::Outcome { generation, attempt: Failure },
                2 => Event::Outcome { generation, attempt: Error },
                _ => Event::Tick,
            };
            match lab.machine.step(event, now) {
                Some(Action::Publish(result)) => {
                    prop_assert_ne!(before, Some(result));
                    prop_assert_eq!(lab.machine.result(), Some(result));
                }
                Some(Action::Probe { generation: asked }) => generation = asked,
                None => prop_assert_eq!(before, lab.machine.result()),
            }
        }
    }
}

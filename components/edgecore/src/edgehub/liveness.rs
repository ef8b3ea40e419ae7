//! Is the other end still there? Pure: the reader asks, and does what it is told.
//!
//! | State | Time passes | Anything arrives |
//! |---|---|---|
//! | `Hearing` | after [`QUIET`] without a frame: send a ping, go to `Asked` | stay |
//! | `Asked` | after [`ANSWER`] more: the link is dead | go to `Hearing` |
//!
//! The peers notice a half-open connection only when something is sent, 15 to 30 s late (spec 01 §6.6).

use std::time::Duration;

use tokio::time::Instant;

/// Silence after which the other end is asked for a sign of life.
pub const QUIET: Duration = Duration::from_secs(5);
/// How long it has to give one.
pub const ANSWER: Duration = Duration::from_secs(5);

/// What is known of the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// Something arrived at this instant.
    Hearing(Instant),
    /// Nothing has arrived since a ping was sent at this instant.
    Asked(Instant),
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Look again at this instant.
    Wait(Instant),
    /// Send a ping, then look again at this instant.
    Ping(Instant),
    /// The other end is gone.
    Dead,
}

impl Liveness {
    /// Judges at `now`; `heard` is when anything last arrived.
    pub fn step(self, heard: Instant, now: Instant) -> (Self, Step) {
        let state = match self {
            Self::Asked(asked) if heard < asked => self,
            Self::Asked(_) => Self::Hearing(heard),
            Self::Hearing(before) => Self::Hearing(heard.max(before)),
        };
        match state {
            Self::Hearing(heard) if now < heard + QUIET => (state, Step::Wait(heard + QUIET)),
            Self::Hearing(_) => (Self::Asked(now), Step::Ping(now + ANSWER)),
            Self::Asked(asked) if now < asked + ANSWER => (state, Step::Wait(asked + ANSWER)),
            Self::Asked(_) => (state, Step::Dead),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_peer_is_asked_once_and_then_dead_after_ten_seconds() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (state, step) = Liveness::Hearing(start).step(start, at(1));
        assert_eq!(step, Step::Wait(at(5)));
        let (state, step) = state.step(start, at(5));
        assert_eq!(step, Step::Ping(at(10)));
        let (state, step) = state.step(start, at(7));
        assert_eq!(step, Step::Wait(at(10)));
        assert_eq!(state.step(start, at(10)).1, Step::Dead);
    }

    #[test]
    fn any_frame_after_the_ping_is_a_sign_of_life() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (state, _) = Liveness::Hearing(start).step(start, at(5));
        let (state, step) = state.step(at(6), at(10));
        assert_eq!((state, step), (Liveness::Hearing(at(6)), Step::Wait(at(11))));
        assert_eq!(state.step(at(6), at(11)).1, Step::Ping(at(16)));
    }
}

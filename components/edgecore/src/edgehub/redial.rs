//! When to dial the cloud again: pure arithmetic, the caller brings time and chance. Source: spec 01 §6.6 BETTER.

use std::time::Duration;

/// When to dial the cloud again.
///
/// The first try after a link that held comes at once. Within the first ten minutes of an outage the wait grows
/// from 0.3 s to 3 s, so that a node is back within seconds of a restarted cloud; after that to 30 s, so that a
/// site without network does not burn its battery dialling.
#[derive(Debug, Clone)]
pub struct Redial {
    tries: u32,
}

/// A link that lived this long was good: the next outage starts from the beginning.
pub const HELD: Duration = Duration::from_secs(10);
/// First wait of an outage.
pub const REDIAL_MIN: Duration = Duration::from_millis(300);
/// Longest wait in the first [`REDIAL_EAGER`] of an outage.
pub const REDIAL_EAGER_MAX: Duration = Duration::from_secs(3);
/// How long an outage is met eagerly.
pub const REDIAL_EAGER: Duration = Duration::from_mins(10);
/// Longest wait later on.
pub const REDIAL_MAX: Duration = Duration::from_secs(30);

impl Redial {
    /// At process start: the first dial is immediate.
    pub fn new() -> Self {
        Self { tries: 0 }
    }

    /// A link ended after `lived`; one that did not hold counts as a failed try.
    pub fn link_ended(&mut self, lived: Duration) {
        if lived >= HELD {
            *self = Self::new();
        }
    }

    /// The wait before the next dial, `out_for` after the outage began.
    pub fn next(&mut self, out_for: Duration, chance: f64) -> Duration {
        let tries = self.tries;
        self.tries = tries.saturating_add(1);
        if tries == 0 {
            return Duration::ZERO;
        }
        let max = if out_for < REDIAL_EAGER { REDIAL_EAGER_MAX } else { REDIAL_MAX };
        let exact = REDIAL_MIN.saturating_mul(1 << (tries - 1).min(20)).min(max);
        exact.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
    }
}

impl Default for Redial {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redials_at_once_then_eagerly_then_every_30_s() {
        let mut redial = Redial::new();
        let mut at = Duration::ZERO;
        let mut dials = Vec::new();
        while at < Duration::from_secs(700) {
            at += redial.next(at, 0.0);
            dials.push(at.as_millis());
        }
        assert_eq!(dials[..6], [0, 300, 900, 2100, 4500, 7500]);
        let last = dials.len() - 1;
        assert_eq!(dials[last] - dials[last - 1], 30_000, "after ten minutes the wait is 30 s");
    }

    #[test]
    fn a_link_that_did_not_hold_is_a_failed_try() {
        let mut redial = Redial::new();
        assert_eq!(redial.next(Duration::ZERO, 0.0), Duration::ZERO);
        redial.link_ended(Duration::from_secs(1));
        assert_eq!(redial.next(Duration::ZERO, 0.0), REDIAL_MIN);
        redial.link_ended(HELD);
        assert_eq!(redial.next(Duration::ZERO, 0.0), Duration::ZERO);
    }

    #[test]
    fn chance_shortens_by_up_to_half() {
        let mut redial = Redial::new();
        redial.next(Duration::ZERO, 1.0);
        assert_eq!(redial.next(Duration::ZERO, 1.0), REDIAL_MIN / 2);
    }
}

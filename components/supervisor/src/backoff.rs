//! Growing pauses between attempts, with jitter so that a fleet does not come back in one instant.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// How long to pause before the next attempt: `min`, doubled each time, up to `max`, each shortened at random by up
/// to the fraction `jitter`.
#[derive(Debug, Clone)]
pub struct Backoff {
    /// First pause.
    pub min: Duration,
    /// Longest pause.
    pub max: Duration,
    /// 0.0 for exact pauses, up to 1.0 for anything between nothing and the full pause.
    pub jitter: f64,
    /// A life at least this long makes the next pause `min` again.
    pub reset_after: Duration,
    /// Where chance comes from: a number in 0.0..1.0.
    pub random: fn() -> f64,
}

impl Backoff {
    /// From `min` to `max` with a third of jitter; a life of `max` counts as success.
    pub fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, jitter: 0.33, reset_after: max, random }
    }

    /// The pause after `failures` failed attempts in a row, counted from 1.
    pub fn pause(&self, failures: u32) -> Duration {
        let doubled = self.min.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        let jitter = self.jitter.clamp(0.0, 1.0) * (self.random)().clamp(0.0, 1.0);
        doubled.min(self.max).mul_f64(1.0 - jitter)
    }

    /// The pauses of an unbroken row of failures.
    pub fn pauses(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let backoff = self.clone();
        (1..=u32::MAX).map(move |failures| backoff.pause(failures))
    }
}

/// A random number in 0.0..1.0, good enough to spread load and for nothing else.
pub fn random() -> f64 {
    // Every RandomState hashes with fresh keys; 53 bits fill a float.
    let bits = RandomState::new().build_hasher().finish() >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
    let fraction = bits as f64 / (1_u64 << 53) as f64;
    fraction
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_the_maximum() {
        let exact = Backoff { jitter: 0.0, ..Backoff::new(SECOND, 30 * SECOND) };
        assert_eq!(exact.pauses().take(7).map(|pause| pause.as_secs()).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(exact.pause(u32::MAX), 30 * SECOND);
    }

    proptest! {
        #[test]
        fn jitter_only_shortens(failures: u32, jitter in 0.0..=1.0_f64) {
            let backoff = Backoff { jitter, ..Backoff::new(SECOND, 30 * SECOND) };
            let full = Backoff { jitter: 0.0, ..backoff.clone() }.pause(failures);
            let pause = backoff.pause(failures);
            prop_assert!(pause <= full && pause.as_secs_f64() >= full.as_secs_f64() * (1.0 - jitter) - 1e-6);
        }

        #[test]
        fn random_is_a_fraction(_ in 0..50) {
            prop_assert!((0.0..1.0).contains(&random()));
        }
    }
}

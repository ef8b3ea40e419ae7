//! Token bucket for requests: `messageQPS` and `messageBurst`. Source: spec 01 §6.7.

use std::time::Duration;

use tokio::time::Instant;

/// Lets `burst` requests pass at once and `rate` a second in the long run. Pure: the caller brings the time.
#[derive(Debug, Clone)]
pub struct Bucket {
    period: Duration,
    burst: u32,
    /// When the bucket would be full again.
    full_at: Option<Instant>,
}

impl Bucket {
    /// A full bucket. A rate or burst of 0 lets everything pass.
    pub fn new(rate: u32, burst: u32) -> Self {
        let period = if rate == 0 || burst == 0 { Duration::ZERO } else { Duration::from_secs(1) / rate };
        Self { period, burst: burst.max(1), full_at: None }
    }

    /// When the next request may pass; `now` or earlier means at once.
    pub fn ready_at(&self, now: Instant) -> Instant {
        match self.full_at {
            Some(full_at) => {
                let slack = self.period * (self.burst - 1);
                full_at.checked_sub(slack).map_or(now, |ready| ready.max(now))
            }
            None => now,
        }
    }

    /// A request passed.
    pub fn take(&mut self, now: Instant) {
        self.full_at = Some(self.full_at.unwrap_or(now).max(now) + self.period);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
        let mut bucket = Bucket::new(10, 3);
        let start = Instant::now();
        let mut passed = Vec::new();
        for _ in 0..6 {
            tokio::time::sleep_until(bucket.ready_at(Instant::now())).await;
            bucket.take(Instant::now());
            passed.push(start.elapsed().as_millis());
        }
        assert_eq!(passed[..3], [0, 0, 0]);
        // The timer of a paused runtime has a granularity of one millisecond.
        for (at, expected) in passed[3..].iter().zip([100, 200, 300]) {
            assert!(at.abs_diff(expected) <= 2, "{passed:?}");
        }
    }

    #[test]
    fn zero_means_no_limit() {
        let now = Instant::now();
        let mut bucket = Bucket::new(0, 0);
        for _ in 0..1000 {
            assert_eq!(bucket.ready_at(now), now);
            bucket.take(now);
        }
    }
}

//! Delays that double while something keeps failing, remembered per key. Source: spec 08 §6.3.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// First delay.
pub const BASE: Duration = Duration::from_secs(10);
/// Longest delay.
pub const MAX: Duration = Duration::from_mins(5);
/// Quiet time after which a key is forgotten.
pub const FORGET: Duration = Duration::from_mins(10);

#[derive(Debug, Clone, Copy)]
struct Entry {
    delay: Duration,
    since: Instant,
}

impl Entry {
    fn is_forgotten(&self, failed: Instant) -> bool {
        failed.saturating_duration_since(self.since) > FORGET
    }
}

/// The delays of one pod; its size is bounded by the pod's containers and images.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    entries: BTreeMap<String, Entry>,
}

impl Backoff {
    /// How long `key` must still wait if its last failure was at `failed`: the delay and its end. `None` is not at all.
    pub fn remaining(&self, key: &str, failed: Instant, now: Instant) -> Option<(Duration, Instant)> {
        let entry = self.entries.get(key).filter(|entry| !entry.is_forgotten(failed))?;
        let due = failed + entry.delay;
        (now < due).then_some((entry.delay, due))
    }

    /// How long `key` must still wait since its last [`Backoff::next`].
    pub fn remaining_since_next(&self, key: &str, now: Instant) -> Option<(Duration, Instant)> {
        let since = self.entries.get(key)?.since;
        self.remaining(key, since, now)
    }

    /// Records another attempt after a failure at `failed`: the first gets the base delay, later ones double it, a
    /// key that was quiet for long starts over.
    pub fn next(&mut self, key: &str, failed: Instant, now: Instant) {
        let delay = match self.entries.get(key).filter(|entry| !entry.is_forgotten(failed)) {
            Some(entry) => (entry.delay * 2).min(MAX),
            None => BASE,
        };
        self.entries.insert(key.to_owned(), Entry { delay, since: now });
    }

    /// Starts `key` at the delay it would have after `count` restarts, the last one at `since`, unless it is known
    /// already. Used once after a restart of the agent, whose memory of crash loops would otherwise be empty.
    pub fn seed(&mut self, key: &str, count: u32, since: Instant) {
        if count > 0 && !self.entries.contains_key(key) {
            let doublings = (count - 1).min(5);
            let delay = (BASE * (1 << doublings)).min(MAX);
            self.entries.insert(key.to_owned(), Entry { delay, since });
        }
    }

    /// Forgets `key`.
    pub fn reset(&mut self, key: &str) {
        self.entries.remove(key);
    }
}

/// A duration as Go prints it, in whole seconds: `10s`, `2m40s`, `1h0m0s`.
pub fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn delay_doubles_to_five_minutes_and_is_forgotten_after_ten() {
        let start = Instant::now();
        let mut backoff = Backoff::default();
        assert_eq!(backoff.remaining("c", start, start), None);
        let mut delays = Vec::new();
        for _ in 0..7 {
            backoff.next("c", start, start);
            delays.push(backoff.remaining("c", start, start).map_or(0, |(delay, _)| delay.as_secs()));
        }
        assert_eq!(delays, [10, 20, 40, 80, 160, 300, 300]);
        let later = start + FORGET + Duration::from_secs(1);
        assert_eq!(backoff.remaining("c", later, later), None);
        backoff.next("c", later, later);
        assert_eq!(backoff.entries["c"].delay, BASE);
    }

    #[tokio::test(start_paused = true)]
    async fn seeding_continues_a_crash_loop() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        backoff.seed("c", 3, now);
        assert_eq!(backoff.remaining("c", now, now).map(|(delay, _)| delay.as_secs()), Some(40));
        backoff.seed("c", 9, now);
        assert_eq!(backoff.remaining("c", now, now).map(|(delay, _)| delay.as_secs()), Some(40));
    }

    #[test]
    fn durations_print_as_in_go() {
        let printed: Vec<_> = [10, 160, 300, 3600].map(|it| go_duration(Duration::from_secs(it))).into();
        assert_eq!(printed, ["10s", "2m40s", "5m0s", "1h0m0s"]);
    }
}

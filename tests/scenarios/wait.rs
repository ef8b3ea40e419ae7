//! Waiting on a condition with a deadline: no scenario sleeps and hopes.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Waits until `look` gives a value and returns it with the time it took.
///
/// # Panics
/// When `deadline` passes; `look` explains itself by its last error.
pub fn until<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Result<T, String>) -> (T, Duration) {
    let start = Instant::now();
    loop {
        match look() {
            Ok(value) => return (value, start.elapsed()),
            Err(last) => {
                assert!(start.elapsed() < deadline, "{what}: not within {deadline:?}; last seen: {last}");
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

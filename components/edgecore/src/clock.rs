//! Calendar time as an argument: certificates, tokens and message timestamps are tested at fixed dates.

use jiff::Timestamp;

/// Where calendar time comes from.
#[derive(Debug, Clone, Copy)]
pub struct WallClock(fn() -> Timestamp);

impl WallClock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Timestamp::now)
    }

    /// A clock read by `now`; tests pass a constant.
    pub fn from_fn(now: fn() -> Timestamp) -> Self {
        Self(now)
    }

    /// The time now.
    pub fn now(self) -> Timestamp {
        (self.0)()
    }

    /// The time now in Unix milliseconds, as message headers want it.
    pub fn unix_millis(self) -> i64 {
        self.now().as_millisecond()
    }
}

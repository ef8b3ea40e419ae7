//! How often one address may ask for a certificate.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

/// Requests an address may make at once; a whole site may join from behind one.
pub const BURST: f64 = 100.0;
/// Requests an address may make per second in the long run.
pub const PER_SECOND: f64 = 10.0;
/// Addresses remembered. Full: addresses that have been quiet are forgotten, then new ones are refused.
pub const MAX_ADDRESSES: usize = 4096;

/// A token bucket per address.
#[derive(Debug, Default)]
pub struct RateLimit {
    buckets: HashMap<IpAddr, (f64, Instant)>,
}

impl RateLimit {
    /// Whether a request of `peer` is fine now; counts it if so.
    pub fn allows(&mut self, peer: IpAddr, now: Instant) -> bool {
        let filled = |(tokens, at): (f64, Instant)| {
            (tokens + now.saturating_duration_since(at).as_secs_f64() * PER_SECOND).min(BURST)
        };
        if self.buckets.len() >= MAX_ADDRESSES && !self.buckets.contains_key(&peer) {
            self.buckets.retain(|_, bucket| filled(*bucket) < BURST);
            if self.buckets.len() >= MAX_ADDRESSES {
                return false;
            }
        }
        let bucket = self.buckets.entry(peer).or_insert((BURST, now));
        let tokens = filled(*bucket);
        let allowed = tokens >= 1.0;
        *bucket = (if allowed { tokens - 1.0 } else { tokens }, now);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_fine_and_a_flood_is_not() {
        let (mut limit, start) = (RateLimit::default(), Instant::now());
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        assert_eq!((0..150).filter(|_| limit.allows(one, start)).count(), 100);
        assert!(limit.allows(other, start));
        assert_eq!((0..150).filter(|_| limit.allows(one, start + Duration::from_secs(2))).count(), 20);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut limit, start) = (RateLimit::default(), Instant::now());
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        let admitted = (0..5000).filter(|n| limit.allows(address(*n), start)).count();
        assert_eq!((admitted, limit.buckets.len()), (MAX_ADDRESSES, MAX_ADDRESSES));
        assert!(limit.allows(address(9999), start + Duration::from_mins(1)));
        assert_eq!(limit.buckets.len(), 1);
    }
}

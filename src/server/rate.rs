//! Token buckets per address: how often one client may ask, and how often it is told that it is wrong.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Addresses that are remembered at a time; beyond it those that have been quiet longest are forgotten.
const MAX_ADDRESSES: usize = 10_000;

/// A bucket for every address, refilled steadily.
pub struct Buckets {
    by_address: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    filled: f64,
    at: Instant,
}

/// How fast buckets fill, and how much they hold.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// What is added in a second.
    pub per_second: f64,
    /// What a bucket holds.
    pub burst: f64,
}

impl Bucket {
    fn refilled(self, rate: Rate, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        (self.filled + since * rate.per_second).min(rate.burst)
    }
}

impl Buckets {
    /// All full.
    pub fn new() -> Self {
        Self {
            by_address: Mutex::default(),
        }
    }

    /// Takes one from the bucket of an address; false when it is empty.
    pub fn take(&self, address: IpAddr, rate: Rate, now: Instant) -> bool {
        let address = network(address);
        let mut buckets = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = buckets.get(&address).copied();
        let filled = known.map_or(rate.burst, |bucket| bucket.refilled(rate, now));
        let enough = filled >= 1.0;
        if enough {
            if known.is_none() && buckets.len() >= MAX_ADDRESSES {
                forget(&mut buckets, rate, now);
            }
            let filled = filled - 1.0;
            buckets.insert(address, Bucket { filled, at: now });
        }
        enough
    }
}

/// Forgets who is as good as new, and if that is nobody, everybody: memory is bounded whoever comes.
fn forget(buckets: &mut HashMap<IpAddr, Bucket>, rate: Rate, now: Instant) {
    buckets.retain(|_, bucket| bucket.refilled(rate, now) < rate.burst);
    if buckets.len() >= MAX_ADDRESSES {
        buckets.clear();
    }
}

/// One customer has a whole /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let bits = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(bits.into())
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RATE: Rate = Rate {
        per_second: 10.0,
        burst: 3.0,
    };

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let buckets = Buckets::new();
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let now = Instant::now();
        let taken: Vec<bool> = (0..4).map(|_| buckets.take(address, RATE, now)).collect();
        assert_eq!(taken, [true, true, true, false]);
        assert!(buckets.take("192.0.2.2".parse().unwrap(), RATE, now));
        let later = now + Duration::from_millis(100);
        assert!(buckets.take(address, RATE, later));
        assert!(!buckets.take(address, RATE, later));
    }

    #[test]
    fn memory_is_bounded_whoever_comes() {
        let buckets = Buckets::new();
        let now = Instant::now();
        for n in 0..25_000_u32 {
            let address = IpAddr::from(n.to_be_bytes());
            assert!(buckets.take(address, RATE, now));
        }
        assert!(buckets.by_address.lock().unwrap().len() <= MAX_ADDRESSES);
    }

    #[test]
    fn a_whole_network_of_ipv6_is_one_client() {
        let one = network("2001:db8::1".parse().unwrap());
        assert_eq!(one, network("2001:db8::ffff:1".parse().unwrap()));
        assert_ne!(one, network("2001:db8:0:1::1".parse().unwrap()));
        assert_eq!(
            network("::ffff:192.0.2.1".parse().unwrap()),
            IpAddr::from([192, 0, 2, 1])
        );
    }
}

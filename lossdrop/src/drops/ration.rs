//! Rations: so many drops of each kind a second, and as many at once.

use std::collections::HashMap;

use lossdrop_common::{DropKey, counters::refill};

/// Buckets at which all begin anew: more keys than the kernel's table usually holds.
const AT_MOST: usize = 65_536;

/// A bucket of tokens that fills by the kernel's time.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    rate: u32,
    tokens: u32,
    refilled_ns: u64,
}

impl Bucket {
    /// A full one, at this time.
    pub const fn new(rate: u32, ktime_ns: u64) -> Self {
        Self { rate, tokens: rate, refilled_ns: ktime_ns }
    }

    /// Takes a token if there is one.
    pub fn take(&mut self, ktime_ns: u64) -> bool {
        if self.tokens == 0 {
            (self.tokens, self.refilled_ns) = refill(self.rate.into(), self.refilled_ns, ktime_ns);
        }
        let has_one = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        has_one
    }
}

/// A bucket for each key.
#[derive(Clone, Debug)]
pub struct Buckets {
    rate: u32,
    of_key: HashMap<DropKey, Bucket>,
}

impl Buckets {
    pub fn new(rate: u32) -> Self {
        Self { rate, of_key: HashMap::new() }
    }

    /// Takes a token of the key's, if there is one.
    pub fn take(&mut self, key: &DropKey, ktime_ns: u64) -> bool {
        if self.of_key.len() >= AT_MOST {
            self.of_key.clear();
        }
        let bucket = self.of_key.entry(*key).or_insert_with(|| Bucket::new(self.rate, ktime_ns));
        bucket.take(ktime_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_key_has_its_rate_a_second_and_as_many_at_once_whatever_others_take() {
        let mut buckets = Buckets::new(2);
        let [a, b] = [1, 2].map(|location| DropKey { location, ..DropKey::default() });
        let took =
            |buckets: &mut Buckets, key: &DropKey, at| (0..5).filter(|_| buckets.take(key, at)).count();
        assert_eq!(took(&mut buckets, &a, SECOND), 2);
        assert_eq!(took(&mut buckets, &b, SECOND), 2);
        assert_eq!(took(&mut buckets, &a, SECOND + SECOND / 2), 1);
        assert_eq!(took(&mut buckets, &a, 10 * SECOND), 2);
    }

    #[test]
    fn time_that_runs_backwards_fills_nothing() {
        let mut bucket = Bucket::new(1, 5 * SECOND);
        assert!(bucket.take(5 * SECOND) && !bucket.take(SECOND) && !bucket.take(0));
    }

    #[test]
    fn more_keys_than_there_is_room_for_begin_anew() {
        let mut buckets = Buckets::new(1);
        for location in 0..AT_MOST as u64 + 2 {
            assert!(buckets.take(&DropKey { location, ..DropKey::default() }, 0));
            assert!(buckets.of_key.len() <= AT_MOST);
        }
    }
}

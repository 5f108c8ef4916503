//! How many drops are looked at in detail. The kernel rations each kind of drop on each CPU; where kinds and CPUs are many,
//! this keeps us from looking at more than anybody needs. None is hidden by others: each kind has its least.

use lossdrop_common::DropKey;

use crate::drops::ration::{Bucket, Buckets};

/// Drops a second.
const OF_A_KIND: u32 = 100;
const OF_ALL: u32 = 1000;
const AT_LEAST: u32 = 5;

/// Of each kind and of all together, and the least of each.
#[derive(Clone, Debug)]
pub(crate) struct Ration {
    kinds: Buckets,
    all: Option<Bucket>,
    least: Buckets,
}

impl Default for Ration {
    fn default() -> Self {
        Self { kinds: Buckets::new(OF_A_KIND), all: None, least: Buckets::new(AT_LEAST) }
    }
}

impl Ration {
    /// Whether a drop is looked at.
    pub(crate) fn takes(&mut self, key: &DropKey, ktime_ns: u64) -> bool {
        let all = self.all.get_or_insert(Bucket::new(OF_ALL, ktime_ns));
        (self.kinds.take(key, ktime_ns) && all.take(ktime_ns)) || self.least.take(key, ktime_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn taken(ration: &mut Ration, location: u64, ktime_ns: u64) -> u32 {
        let key = DropKey { location, ..DropKey::default() };
        (0..10_000).map(|_| u32::from(ration.takes(&key, ktime_ns))).sum()
    }

    #[test]
    fn a_kind_has_its_part_and_all_together_have_theirs() {
        let mut ration = Ration::default();
        let first: Vec<u32> = (0..20).map(|kind| taken(&mut ration, kind, SECOND)).collect();
        assert!(first[..9].iter().all(|taken| *taken == OF_A_KIND + AT_LEAST), "{first:?}");
        assert!(first[10..].iter().all(|taken| *taken == AT_LEAST), "the least is never hidden: {first:?}");
        assert!((OF_ALL..=OF_ALL + 20 * AT_LEAST).contains(&first.iter().sum()), "{first:?}");
        assert_eq!(taken(&mut ration, 0, 2 * SECOND), OF_A_KIND + AT_LEAST, "each second anew");
    }
}

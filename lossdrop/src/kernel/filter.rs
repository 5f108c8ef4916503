//! Filters as the kernel program takes them: which kinds are in use, and what each of its maps holds.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use lossdrop_common::{FilterKinds, LenRange, MarkMatch, PortWord};

/// What the kernel program filters by. Kinds are ANDed, values of one kind ORed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// The kinds in use.
    pub kinds: FilterKinds,
    /// What the maps hold, by their names in the program.
    pub maps: BTreeMap<&'static str, Entries>,
}

/// What a map of the filters holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Entries {
    Numbers(BTreeSet<u32>),
    /// Names of devices, as [`lossdrop_common::Event::ifname`].
    Names(BTreeSet<[u64; 2]>),
    /// All of [`lossdrop_common::PortBits::WORDS`].
    Ports(Vec<PortWord>),
    /// Prefixes with the [`lossdrop_common::HostBits`] of every prefix that covers them: the trie finds only the longest.
    Prefixes(BTreeMap<IpNet, u32>),
    Marks(Vec<MarkMatch>),
    Lengths(Vec<LenRange>),
}

impl Entries {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Names(names) => names.len(),
            Self::Ports(words) => words.len(),
            Self::Prefixes(prefixes) => prefixes.len(),
            Self::Marks(marks) => marks.len(),
            Self::Lengths(lengths) => lengths.len(),
        }
    }
}

impl Filter {
    /// Nothing is refused.
    pub fn is_empty(&self) -> bool {
        self.kinds == FilterKinds::default()
    }

    /// The numbers in a map; none where it is not in use.
    pub fn numbers(&self, map: &str) -> BTreeSet<u32> {
        match self.maps.get(map) {
            Some(Entries::Numbers(numbers)) => numbers.clone(),
            _ => BTreeSet::new(),
        }
    }
}

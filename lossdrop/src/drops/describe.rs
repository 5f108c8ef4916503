//! What a key means: names for its numbers, and whether its drops are noise. Worked out once a key.

use std::{
    collections::{HashMap, HashSet},
    iter,
    rc::Rc,
};

use lossdrop_common::DropKey;

use crate::{
    kernel::{Names, symbols::is_tracing},
    knowledge::{Assessment, Cause, Severity, classify},
};

/// Keys at which the cache begins anew. Only drops beyond the key table can bring more than it holds.
const CACHE_AT_MOST: usize = 65_536;

/// A key in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// `None` on a kernel that has no reasons.
    pub reason: Option<String>,
    /// `symbol+0x1f`; the bare address where the kernel hides its symbols.
    pub location: String,
    pub symbol: Option<String>,
    pub assessment: Assessment,
    pub meaning: &'static str,
}

impl Described {
    pub fn cause(&self) -> Cause {
        self.assessment.kind.cause
    }

    /// Noise: hidden by default.
    pub fn benign(&self) -> bool {
        self.assessment.severity == Severity::Benign
    }
}

/// Describes keys by the running kernel's names.
#[derive(Debug)]
pub struct Describer {
    names: Names,
    /// Addresses in modules that were met since the symbols were read.
    met: HashSet<u64>,
    cache: HashMap<DropKey, Rc<Described>>,
}

impl Describer {
    pub fn new(names: Names) -> Self {
        Self { names, met: HashSet::new(), cache: HashMap::new() }
    }

    pub fn describe(&mut self, key: &DropKey) -> Rc<Described> {
        if let Some(known) = self.cache.get(key) {
            return Rc::clone(known);
        }
        if self.cache.len() >= CACHE_AT_MOST {
            self.cache.clear();
        }
        self.keep_up(iter::once(key.location));
        let reason = self.names.reasons.as_ref().map(|reasons| reasons.name(key.reason).into_owned());
        let symbol = self.names.symbols.resolve(key.location).map(|symbol| symbol.name.to_owned());
        let classified = classify(reason.as_deref(), symbol.as_deref(), key);
        let described = Rc::new(Described {
            location: self.address(key.location),
            assessment: classified.assessment,
            meaning: classified.meaning,
            reason,
            symbol,
        });
        self.cache.insert(*key, Rc::clone(&described));
        described
    }

    /// Reads the kernel's symbols again if an address may be in a module that came after they were read. To be called with a
    /// drop's stack before it is described.
    pub fn keep_up(&mut self, addresses: impl Iterator<Item = u64>) {
        if self.met.len() >= CACHE_AT_MOST {
            self.met.clear();
        }
        let met = &mut self.met;
        let symbols = &self.names.symbols;
        let new = addresses
            .filter(|address| !symbols.is_core(*address))
            .filter(|address| met.insert(*address))
            .count();
        if new > 0
            && let Some(symbols) = symbols.reloaded()
        {
            self.names.symbols = symbols.into();
            self.cache.clear();
            // Those of modules that are there no more.
            self.met.clear();
        }
    }

    /// An address as `symbol+0x1f`.
    pub fn address(&self, address: u64) -> String {
        match self.names.symbols.resolve(address) {
            Some(symbol) => format!("{}+{:#x}", symbol.name, symbol.offset),
            None => format!("{address:#x}"),
        }
    }

    /// The stack, innermost first, from the function that frees the packet on: the frames of tracing are left out, as
    /// are those of programs compiled at run time, which have no name.
    pub fn stack(&self, addresses: impl Iterator<Item = u64>) -> Vec<String> {
        let traced = |address: &u64| match self.names.symbols.resolve(*address) {
            Some(symbol) => !is_tracing(symbol.name),
            None => self.names.symbols.is_empty(),
        };
        addresses.filter(traced).map(|address| self.address(address)).collect()
    }

    /// The functions of the stack, innermost first, as [`Describer::stack`] has them; empty where the kernel hides its
    /// symbols.
    pub fn frames(&self, addresses: impl Iterator<Item = u64>) -> Vec<&str> {
        addresses
            .filter_map(|address| self.names.symbols.resolve(address))
            .map(|symbol| symbol.name)
            .filter(|name| !is_tracing(name))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        drops::decode::decode,
        kernel::symbols::Symbols,
        testing::{self, RECORDED, RECORDED_LAYOUT},
    };

    #[test]
    fn a_key_is_described_by_the_kernel_s_names() {
        let described = testing::describer().describe(&testing::fault().key);
        assert_eq!(described.reason.as_deref(), Some("NETFILTER_DROP"));
        assert_eq!(
            (described.location.as_str(), described.symbol.as_deref()),
            ("nf_hook_slow+0x10", Some("nf_hook_slow"))
        );
        assert_eq!((described.cause(), described.benign()), (Cause::Netfilter, false));
        assert!(!described.meaning.is_empty());
    }

    #[test]
    fn the_same_key_is_worked_out_once() {
        let mut describer = testing::describer();
        let first = describer.describe(&testing::noise().key);
        assert!(first.benign());
        assert!(Rc::ptr_eq(&first, &describer.describe(&testing::noise().key)));
    }

    #[test]
    fn without_names_there_are_numbers() {
        let mut describer = Describer::new(Names::default());
        let key = DropKey { location: 0xffff_ffff_8100_1234, reason: 5, ..DropKey::default() };
        let described = describer.describe(&key);
        assert_eq!((described.reason.as_deref(), described.symbol.as_deref()), (None, None));
        assert_eq!(described.location, "0xffffffff81001234");
        assert_eq!(describer.stack([0x10, 0x20].into_iter()), ["0x10", "0x20"]);
        assert!(describer.frames([0x10, 0x20].into_iter()).is_empty());
    }

    #[test]
    fn a_reason_without_a_name_is_reported_by_its_number() {
        let described = testing::describer().describe(&DropKey { reason: 77, ..testing::fault().key });
        assert_eq!(described.reason.as_deref(), Some("REASON_77"));
        assert!(!described.benign());
    }

    #[test]
    fn a_module_that_came_later_is_named() {
        let mut describer = Describer::new(Names { reasons: None, symbols: Symbols::outdated().into() });
        let key = DropKey { location: 0x10, ..DropKey::default() };
        let described = describer.describe(&DropKey::default());
        describer.cache.insert(key, described);
        // Read again; how many there are differs from moment to moment.
        assert!(!describer.names.symbols.is_empty());
        describer.names.symbols = Symbols::outdated().into();
        describer.keep_up([0x10].into_iter());
        assert!(!describer.names.symbols.is_empty() && describer.cache.is_empty());
        // Met before: nothing is read.
        describer.names.symbols = Symbols::outdated().into();
        describer.met.insert(0x10);
        describer.keep_up([0x10].into_iter());
        assert!(describer.names.symbols.is_empty());
    }

    #[test]
    fn more_keys_than_the_cache_holds_are_described_all_the_same() {
        let mut describer = Describer::new(Names::default());
        for reason in 0..CACHE_AT_MOST + 2 {
            describer
                .describe(&DropKey { reason: u32::try_from(reason).expect("small"), ..DropKey::default() });
            assert!(describer.cache.len() <= CACHE_AT_MOST);
        }
    }

    #[test]
    fn a_stack_begins_where_the_packet_is_freed() {
        let describer = testing::recorded_describer();
        for bytes in RECORDED {
            let decoded = decode(RECORDED_LAYOUT, bytes).expect("an event");
            let stack = describer.stack(decoded.stack.iter());
            assert!(stack[0].contains("skb"), "{stack:?}");
            assert!(stack.contains(&describer.address(decoded.event.key.location)), "{stack:?}");
            assert!(!stack.iter().any(|frame| is_tracing(frame)), "{stack:?}");
            let functions = stack.iter().map(|frame| frame.split('+').next().unwrap_or(frame));
            assert_eq!(describer.frames(decoded.stack.iter()), functions.collect::<Vec<_>>());
        }
    }
}

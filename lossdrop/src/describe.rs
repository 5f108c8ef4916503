//! What a key means: names for its numbers, and whether its drops are noise. Worked out once a key.

use std::{collections::HashMap, rc::Rc};

use lossdrop_common::DropKey;

use crate::{
    kernel::reasons::Reasons,
    knowledge::{Class, classify},
    symbols::{Symbols, is_tracing},
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
    pub class: Class,
    pub benign: bool,
    pub meaning: &'static str,
}

/// Describes keys by the running kernel's names.
#[derive(Debug)]
pub struct Describer {
    /// `None` on a kernel that has no reasons.
    reasons: Option<Reasons>,
    symbols: Symbols,
    cache: HashMap<DropKey, Rc<Described>>,
}

impl Describer {
    pub fn new(reasons: Option<Reasons>, symbols: Symbols) -> Self {
        Self { reasons, symbols, cache: HashMap::new() }
    }

    pub fn describe(&mut self, key: &DropKey) -> Rc<Described> {
        if let Some(known) = self.cache.get(key) {
            return Rc::clone(known);
        }
        if self.cache.len() >= CACHE_AT_MOST {
            self.cache.clear();
        }
        let reason = self.reasons.as_ref().map(|reasons| reasons.name(key.reason).into_owned());
        let symbol = self.symbols.resolve(key.location).map(|symbol| symbol.name.to_owned());
        let classified = classify(reason.as_deref(), symbol.as_deref(), key);
        let described = Rc::new(Described {
            location: self.address(key.location),
            class: classified.class,
            benign: classified.benign,
            meaning: classified.meaning,
            reason,
            symbol,
        });
        self.cache.insert(*key, Rc::clone(&described));
        described
    }

    /// An address as `symbol+0x1f`.
    pub fn address(&self, address: u64) -> String {
        match self.symbols.resolve(address) {
            Some(symbol) => format!("{}+{:#x}", symbol.name, symbol.offset),
            None => format!("{address:#x}"),
        }
    }

    /// The stack, innermost first, from the function that frees the packet on: the frames of tracing are left out, as
    /// are those of programs compiled at run time, which have no name.
    pub fn stack(&self, addresses: impl Iterator<Item = u64>) -> Vec<String> {
        let traced = |address: &u64| match self.symbols.resolve(*address) {
            Some(symbol) => !is_tracing(symbol.name),
            None => self.symbols.is_empty(),
        };
        addresses.filter(traced).map(|address| self.address(address)).collect()
    }
}

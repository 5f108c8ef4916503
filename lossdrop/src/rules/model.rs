//! The rules of one network namespace, as its tools list them.

use std::collections::HashMap;

use super::{packet::Field, values::Elements};
use crate::knowledge::{Family, Hook};

/// Which tool made a table, hence which one changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Api {
    /// `iptables-legacy` and `ip6tables-legacy`.
    IptablesLegacy,
    /// `iptables-nft` and `ip6tables-nft`.
    IptablesNft,
    /// `arptables-nft`.
    ArptablesNft,
    /// `ebtables-nft`.
    EbtablesNft,
    /// `nft`.
    Nft,
}

impl Api {
    /// The kernel runs its rules in `nft_do_chain`.
    pub(crate) const fn is_nft(self) -> bool {
        !matches!(self, Self::IptablesLegacy)
    }
}

/// Everything that could be read of a namespace's rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ruleset {
    /// In no order that matters: priorities decide.
    pub tables: Vec<Table>,
}

impl Ruleset {
    /// The table of this tool, family and name.
    pub(crate) fn table(&self, api: Api, family: Family, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.api == api && table.family == family && table.name == name)
    }

    /// Some rule gives packets a mark, so a rule before it saw another one.
    pub(crate) fn sets_marks(&self) -> bool {
        let mut chains = self.tables.iter().flat_map(|table| &table.chains);
        chains.any(|chain| chain.rules.iter().any(|rule| rule.sets_mark))
    }
}

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Table {
    /// Whose it is.
    pub api: Api,
    /// Which packets it sees.
    pub family: Family,
    /// Its name.
    pub name: String,
    /// The command that changes it: `nft`, `iptables`, `iptables-legacy`, `ip6tables-nft`, …
    pub tool: String,
    /// Its chains.
    pub chains: Vec<Chain>,
    /// Named sets and maps.
    pub sets: HashMap<String, NamedSet>,
    index: HashMap<String, usize>,
}

impl Table {
    /// One without chains.
    pub(crate) fn new(api: Api, family: Family, name: &str, tool: &str) -> Self {
        Self {
            api,
            family,
            name: name.to_owned(),
            tool: tool.to_owned(),
            chains: Vec::new(),
            sets: HashMap::new(),
            index: HashMap::new(),
        }
    }

    /// Adds a chain, or replaces that of the same name.
    pub(crate) fn add(&mut self, chain: Chain) {
        match self.index.get(&chain.name) {
            Some(at) => self.chains[*at] = chain,
            None => {
                self.index.insert(chain.name.clone(), self.chains.len());
                self.chains.push(chain);
            }
        }
    }

    /// The chain of this name.
    pub(crate) fn chain(&self, name: &str) -> Option<&Chain> {
        self.index.get(name).map(|at| &self.chains[*at])
    }

    /// The chain of this name, to be changed.
    pub(crate) fn chain_mut(&mut self, name: &str) -> Option<&mut Chain> {
        self.index.get(name).map(|at| &mut self.chains[*at])
    }
}

/// A named set or map of nft.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NamedSet {
    /// What is in it.
    pub elements: Elements,
    /// Packets or timeouts change it: what is not in it now may have been.
    pub volatile: bool,
}

/// A chain.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chain {
    /// Its name.
    pub name: String,
    /// For a chain that the kernel enters by itself.
    pub base: Option<Base>,
    /// Packets that its policy decided about, where counted.
    pub policy_packets: Option<u64>,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

/// What makes a chain a base chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    /// Where it is asked.
    pub hook: Hook,
    /// Lower ones are asked earlier.
    pub priority: i32,
    /// What no rule decided about is dropped.
    pub drops: bool,
    /// Of type nat: asked for a connection's first packet only.
    pub nat: bool,
    /// Of netdev and ingress chains; empty: unknown.
    pub devices: Vec<String>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    /// Its place in the chain, from 1.
    pub position: usize,
    /// nft's name for it.
    pub handle: Option<u64>,
    /// As its tool prints it, without counters or handle: `-A INPUT -p tcp …`, or `tcp dport 80 drop`.
    pub text: String,
    /// All of them must match.
    pub matches: Vec<Match>,
    /// What then happens.
    pub verdict: Verdict,
    /// Packets that matched, where counted.
    pub counter: Option<Counter>,
    /// Matches or not by rate, share or quota.
    pub by_chance: bool,
    /// Matches what conntrack found invalid.
    pub ct_invalid: bool,
    /// Changes the packet's mark.
    pub sets_mark: bool,
}

/// A rule's counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counter {
    /// Packets counted.
    pub packets: u64,
    /// Exactly the packets that the verdict was for; else others may be among them.
    pub exact: bool,
}

/// One condition of a rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Match {
    /// A comparison that we can make.
    Test(Test),
    /// Depends on a rate, a share or a quota.
    Chance(String),
    /// Not for us to judge.
    Unknown(String),
}

/// A comparison.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Test {
    /// One, or several for a concatenation.
    pub key: Vec<Operand>,
    /// How it is compared.
    pub relation: Relation,
    /// With what.
    pub values: Values,
}

/// A field, or some of its bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operand {
    /// Of the packet.
    pub field: Field,
    /// What is done to it, in order.
    pub bits: Vec<(BitOperation, u128)>,
}

impl From<Field> for Operand {
    fn from(field: Field) -> Self {
        Self { field, bits: Vec::new() }
    }
}

/// Done to a field before it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BitOperation {
    /// `&`.
    And,
    /// `|`.
    Or,
    /// `^`.
    Xor,
}

/// How a key is compared with values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// It is one of them.
    Within,
    /// It is none of them.
    Outside,
    /// It shares a bit with one.
    AnyBit,
    /// It shares no bit with any.
    NoBit,
}

/// What a key is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    /// Written in the rule.
    Given(Elements),
    /// A named set of the table.
    Named(String),
}

/// What a rule does to a packet that it matches.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// On to the next rule.
    Continue,
    /// Done with this base chain.
    Accept,
    /// Dropped.
    Drop,
    /// Dropped, and the sender is reported.
    Reject,
    /// To a program, which may drop it.
    Queue,
    /// Taken out of the way, not dropped.
    Stolen,
    /// Handshakes are taken out of the way; an acknowledgement whose SYN cookie is wrong is dropped.
    SynProxy,
    /// Back to the chain that jumped here.
    Return,
    /// Into that chain, and back.
    Jump(String),
    /// Into that chain, for good.
    Goto(String),
    /// By a verdict map. Key of `None`: cannot be evaluated. Not found: on to the next rule.
    Map {
        /// What is looked up.
        key: Option<Vec<Operand>>,
        /// Where.
        elements: Values,
    },
    /// Not for us to judge; it may drop.
    Unknown(String),
}

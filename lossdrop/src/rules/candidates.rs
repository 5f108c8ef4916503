//! Which rules and policies of a hook may have dropped a packet.

use super::{
    model::{Api, Chain, Rule, Ruleset, Verdict},
    packet::Packet,
    walk::Walk,
};
use crate::knowledge::{Family, Hook};

/// Where a packet was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Whose hook it was; that of a bridge for frames, of netdev for ingress and egress. Never inet.
    pub family: Family,
    /// Which hook.
    pub hook: Hook,
    /// The drop's stack shows nft at work (`Some(true)`), or shows that it was not (`Some(false)`).
    pub nft: Option<bool>,
    /// It was on its way to a program, or came back from there: only queues are of interest.
    pub queued: bool,
}

/// What may have dropped a packet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    /// A rule, or what happens without any.
    pub what: What,
    /// Whose table it is.
    pub api: Api,
    /// The table's family.
    pub family: Family,
    /// The table.
    pub table: String,
    /// The chain that it is in.
    pub chain: String,
    /// The hook of the chain that the kernel entered.
    pub hook: Hook,
    /// The chains jumped through, from the base chain on; without `chain` itself.
    pub path: Vec<String>,
    /// The packet matches for sure, and got here unless an earlier candidate dropped it.
    pub sure: bool,
    /// Packets counted between the two readings; `None` without a counter.
    pub delta: Option<u64>,
    /// The counter counts nothing but what this dropped.
    pub exact: bool,
    /// The command that changes the table.
    pub tool: String,
}

/// The two kinds of a candidate.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "candidates are few, and most of them are rules")]
pub(crate) enum What {
    /// A rule.
    Rule {
        /// Its place in the chain, from 1.
        position: usize,
        /// nft's name for it.
        handle: Option<u64>,
        /// As its tool prints it.
        text: String,
        /// [`Verdict::Drop`], [`Verdict::Reject`], [`Verdict::SynProxy`], [`Verdict::Queue`] or [`Verdict::Unknown`].
        verdict: Verdict,
        /// The element of a map or set that decided.
        element: Option<Decisive>,
        /// Matches by rate, share or quota.
        by_chance: bool,
        /// Matches what conntrack found invalid.
        ct_invalid: bool,
    },
    /// The policy of a base chain.
    Policy,
}

/// An element of a named set or map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decisive {
    /// The set's or map's name.
    pub set: String,
    /// The key, as nft writes it.
    pub key: String,
}

impl Candidate {
    /// Both are the same rule or policy, whatever packet they were found for.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let key = |what: &What| match what {
            // A handle is a rule's own for good, a position only until another rule goes.
            What::Rule { position, handle, .. } => Some((*handle, handle.map_or(*position, |_| 0))),
            What::Policy => None,
        };
        (self.api, self.family, key(&self.what)) == (other.api, other.family, key(&other.what))
            && self.table == other.table
            && self.chain == other.chain
            && self.hook == other.hook
    }

    /// `iptables filter INPUT rule 1`, `nft inet lab input handle 3`, `iptables filter INPUT policy DROP`.
    pub(crate) fn name(&self) -> String {
        let place = format!("{} {}", self.owner(), self.chain);
        match (&self.what, self.api) {
            (What::Rule { handle: Some(handle), .. }, Api::Nft) => format!("{place} handle {handle}"),
            (What::Rule { position, .. }, _) => format!("{place} rule {position}"),
            (What::Policy, Api::Nft) => format!("{place} policy drop"),
            (What::Policy, _) => format!("{place} policy DROP"),
        }
    }

    /// Tool and table: `iptables filter`, `nft inet lab`.
    fn owner(&self) -> String {
        let tool = match (self.api, self.family) {
            (Api::IptablesLegacy, Family::Ip6) => "ip6tables-legacy",
            (Api::IptablesLegacy, _) => "iptables-legacy",
            (Api::IptablesNft, Family::Ip6) => "ip6tables",
            (Api::IptablesNft, _) => "iptables",
            (Api::ArptablesNft, _) => "arptables",
            (Api::EbtablesNft, _) => "ebtables",
            (Api::Nft, family) => return format!("nft {} {}", family.name(), self.table),
        };
        format!("{tool} {}", self.table)
    }

    /// The rule's text; of a policy, what makes it.
    pub(crate) fn text(&self) -> String {
        match (&self.what, self.api) {
            (What::Rule { text, .. }, _) => text.clone(),
            (What::Policy, Api::Nft) => "policy drop".to_owned(),
            (What::Policy, _) => format!("-P {} DROP", self.chain),
        }
    }
}

/// A namespace's rules before and after packets were dropped.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    before: &'a Ruleset,
    after: &'a Ruleset,
    /// Some rule gives packets a mark, so a rule before it saw another one.
    sets_marks: bool,
    /// Rules came or went meanwhile: those of either reading may have dropped it.
    changed: bool,
}

impl<'a> Comparison<'a> {
    /// Of two readings.
    pub(crate) fn new(before: &'a Ruleset, after: &'a Ruleset) -> Self {
        let sets_marks = before.sets_marks() || after.sets_marks();
        Self { before, after, sets_marks, changed: !same_rules(before, after) }
    }

    /// Everything that may have dropped the packet, in the order in which the kernel asks it.
    pub(crate) fn candidates(&self, place: &Place, packet: &Packet) -> Vec<Candidate> {
        let packet = at_hook(packet, place.hook);
        let mut found = Walk::of(self.before, *place, &packet, self.sets_marks);
        if self.changed {
            let later = Walk::of(self.after, *place, &packet, self.sets_marks);
            // The text of a quota changes, too, as it is used up.
            let has_handle = |a: &Candidate| matches!(a.what, What::Rule { handle: Some(_), .. });
            let same = |a: &Candidate, b: &Candidate| a.is(b) && (has_handle(a) || a.text() == b.text());
            for candidate in &mut found {
                candidate.sure &= later.iter().any(|other| same(candidate, other));
            }
            for mut candidate in later {
                if !found.iter().any(|known| same(known, &candidate)) {
                    candidate.sure = false;
                    found.push(candidate);
                }
            }
        }
        for candidate in &mut found {
            let before = count(self.before, candidate);
            let after = count(self.after, candidate);
            // A rule that is new in a chain that was read before began at nothing.
            let began = before.map(|(packets, _)| packets).or(chain(self.before, candidate).map(|_| 0));
            candidate.delta = after.and_then(|(packets, _)| packets.checked_sub(began?));
            candidate.exact = after.is_some_and(|(_, exact)| exact);
        }
        found
    }
}

/// On some hooks there is no device yet, or no longer.
fn at_hook(packet: &Packet, hook: Hook) -> Packet {
    let mut packet = packet.clone();
    match hook {
        Hook::Ingress | Hook::Prerouting | Hook::Input => packet.output_device = Some(String::new()),
        Hook::Output | Hook::Egress => packet.input_device = Some(String::new()),
        Hook::Forward | Hook::Postrouting => {}
    }
    packet
}

fn same_rules(one: &Ruleset, other: &Ruleset) -> bool {
    let same_chain = |(a, b): (&Chain, &Chain)| {
        a.name == b.name
            && a.base == b.base
            && a.rules.len() == b.rules.len()
            && a.rules.iter().zip(&b.rules).all(|(a, b)| a.handle == b.handle && a.text == b.text)
    };
    one.tables.len() == other.tables.len()
        && one.tables.iter().zip(&other.tables).all(|(a, b)| {
            (a.api, a.family, &a.name) == (b.api, b.family, &b.name)
                && a.chains.len() == b.chains.len()
                && a.chains.iter().zip(&b.chains).all(same_chain)
                && a.sets == b.sets
        })
}

/// Packets and whether they are this candidate's alone.
fn count(ruleset: &Ruleset, candidate: &Candidate) -> Option<(u64, bool)> {
    let chain = chain(ruleset, candidate)?;
    let What::Rule { position, handle, text, .. } = &candidate.what else {
        return Some((chain.policy_packets?, true));
    };
    let counter = this_rule(chain, *position, *handle, text)?.counter?;
    Some((counter.packets, counter.exact))
}

fn chain<'a>(ruleset: &'a Ruleset, candidate: &Candidate) -> Option<&'a Chain> {
    ruleset.table(candidate.api, candidate.family, &candidate.table)?.chain(&candidate.chain)
}

/// By its handle; else the one of this text that is nearest to its old position.
fn this_rule<'a>(chain: &'a Chain, position: usize, handle: Option<u64>, text: &str) -> Option<&'a Rule> {
    if handle.is_some() {
        return chain.rules.iter().find(|rule| rule.handle == handle);
    }
    let same = chain.rules.iter().filter(|rule| rule.text == text);
    same.min_by_key(|rule| rule.position.abs_diff(position))
}

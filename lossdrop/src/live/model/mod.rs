//! The drops so far, exactly counted, in units small enough for every grouping.
//!
//! The kernel counts by key. What was new under a key since the last refresh is shared out among the drops that were reported
//! in detail meanwhile, so that flows, ports, processes and culprits have their part, and all parts together are what the
//! kernel counted.

mod cases;
mod detail;
mod history;
mod key_details;
mod names;
mod sharer;
mod table;

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use lossdrop_common::DropKey;

use cases::Resolved;
pub(crate) use cases::{Case, CaseId, Cases};
use history::History;
use key_details::KeyDetails;
use names::Names;
pub(crate) use sharer::Sharer;

use crate::{
    diagnose::{
        build::Named,
        group::{GroupKey, Target, flow},
    },
    drops::{Drop, Kept, accounting::Accounting, describe::Describer, packet, verdict::Verdict},
    identity::Resolver,
    kernel::counters::Counters,
    knowledge::Severity,
    live::lens::{GroupBy, RowKey, Table},
};

/// Units that are kept apart; drops beyond are reported by their case alone.
const UNITS_AT_MOST: usize = 65_536;
/// Flows, ports and processes that are kept apart, each.
const NAMES_AT_MOST: usize = 16_384;
/// Drops in detail that are kept for a closer look.
const RECENT: usize = 512;

/// How much is kept apart.
#[derive(Clone, Copy, Debug)]
struct Limits {
    units: usize,
    names: usize,
}

/// Stands for all those that are not kept apart, and for none.
pub(crate) const UNKNOWN: u32 = 0;

/// What tells units apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UnitKey {
    pub key: DropKey,
    pub case: CaseId,
    /// Numbers of names; [`UNKNOWN`] where none is known.
    pub flow: u32,
    pub port: u32,
    pub owner: u32,
}

/// Whether numbers are more than a share by a sample.
#[derive(Clone, Copy, Debug)]
struct Exact {
    /// All drops of the key have one case, or all were reported in detail.
    case: bool,
    /// All were reported in detail.
    flow: bool,
}

/// Drops that no grouping tells apart.
#[derive(Clone, Copy, Debug)]
struct Unit {
    key: UnitKey,
    total: u64,
    exact: Exact,
}

/// A drop in detail, and the unit that it belongs to.
#[derive(Clone, Debug)]
struct Recent {
    unit: UnitKey,
    sample: Kept,
}

/// The drops since the counting began.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    limits: Limits,
    units: Vec<Unit>,
    by_key: HashMap<UnitKey, u32>,
    cases: Cases,
    names: Names,
    history: History,
    /// What the kernel had counted at the last refresh.
    counted: HashMap<DropKey, u64>,
    details: HashMap<DropKey, KeyDetails>,
    /// Units for drops of keys of which no detail has come.
    without: HashMap<DropKey, u32>,
    recent: VecDeque<Recent>,
    /// The last of each key, which a storm of others does not push out.
    of_key: HashMap<DropKey, Recent>,
    /// Drops for whose key the kernel's table had no room.
    other: u64,
    books: Accounting,
    details_lost: u64,
}

impl Model {
    /// Keeps so many intervals of history.
    pub(crate) fn new(intervals: usize) -> Self {
        Self::within(Limits { units: UNITS_AT_MOST, names: NAMES_AT_MOST }, intervals)
    }

    fn within(limits: Limits, intervals: usize) -> Self {
        Self {
            limits,
            units: Vec::new(),
            by_key: HashMap::new(),
            cases: Cases::default(),
            names: Names::new(limits.names),
            history: History::new(intervals),
            counted: HashMap::new(),
            details: HashMap::new(),
            without: HashMap::new(),
            recent: VecDeque::new(),
            of_key: HashMap::new(),
            other: 0,
            books: Accounting::default(),
            details_lost: 0,
        }
    }

    /// Takes in a drop that was reported in detail; its count comes with the next refresh.
    pub(crate) fn read(&mut self, drop: &Drop<'_>) {
        // The culprits of noise are not looked for: all of a kind is one.
        let target = if drop.verdict.assessment.severity == Severity::Benign {
            Target::None
        } else {
            Target::of(drop)
        };
        self.add(drop, target);
    }

    /// As one of the drops that this tells from others.
    pub(crate) fn add(&mut self, drop: &Drop<'_>, target: Target) {
        let event = &drop.event;
        let group = GroupKey::new(drop.verdict.assessment.kind, &event.key, target);
        let unit = UnitKey {
            key: event.key,
            case: self.cases.of_group(group, &drop.verdict),
            flow: self.names.flow(|| flow(event), event),
            port: packet::ports(event).map_or(UNKNOWN, |(src, dst)| names::port(event.key.l4, src.min(dst))),
            owner: drop.owner.map_or(UNKNOWN, |owner| self.names.owner(owner)),
        };
        self.names.device(event.key.netns, event.key.ifindex, || drop.iface());
        *self.details.entry(event.key).or_default().fresh.entry(unit).or_default() += 1;
        let recent = Recent { unit, sample: drop.keep() };
        if self.of_key.len() < RECENT || self.of_key.contains_key(&event.key) {
            self.of_key.insert(event.key, recent.clone());
        }
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(recent);
    }

    /// Takes in what the kernel has counted up to now. The details must be read after the counters: then those of every
    /// drop that is new are here.
    pub(crate) fn refresh(&mut self, counters: &Counters, span: Duration, describer: &mut Describer) {
        let mut parts: HashMap<u32, u64> = HashMap::new();
        for (key, row) in &counters.rows {
            let before = self.counted.insert(*key, row.count).unwrap_or(0);
            let new = row.count.saturating_sub(before);
            if new > 0 {
                self.names.describe(key, describer);
                for (unit, count, exact) in self.share(key, new, describer) {
                    if count > 0 {
                        let index = self.unit(unit);
                        let unit = &mut self.units[index as usize];
                        unit.total += count;
                        unit.exact = Exact {
                            case: unit.exact.case && exact.case,
                            flow: unit.exact.flow && exact.flow,
                        };
                        *parts.entry(index).or_default() += count;
                    }
                }
            }
        }
        let other = counters.other.count.saturating_sub(self.other);
        self.other = counters.other.count;
        if self.other > 0 {
            // The kernel's table is full: keys that it has no room for are reported again and again, and never counted.
            self.details.retain(|key, _| counters.rows.contains_key(key));
        }
        self.history.push(span, parts.into_iter().collect(), other);
        self.balance(counters);
    }

    /// Shares new drops of a key out.
    fn share(&mut self, key: &DropKey, new: u64, describer: &mut Describer) -> Vec<(UnitKey, u64, Exact)> {
        let fresh = self.details.get_mut(key).and_then(|details| details.take(new));
        let detailed: u64 = fresh.iter().flatten().map(|(_, count)| count).sum();
        if let Some(fresh) = fresh {
            self.tell_late(key, &fresh);
            self.note_cases(key, fresh);
        }
        let Some(known) = self.details.get_mut(key).filter(|details| !details.last.is_empty()) else {
            let described = describer.describe(key);
            let group = GroupKey::new(described.assessment.kind, key, Target::None);
            let case = self.cases.of_group(group, &Verdict::of(&described));
            let unit = UnitKey { key: *key, case, flow: UNKNOWN, port: UNKNOWN, owner: UNKNOWN };
            let index = self.unit(unit);
            self.without.insert(*key, index);
            return vec![(unit, new, Exact { case: true, flow: false })];
        };
        known.guessed += new - detailed;
        let exact = Exact { case: !known.is_mixed || detailed == new, flow: detailed == new };
        let mut sharer = Sharer::new(known.last.iter().map(|(_, count)| *count));
        let parts = sharer.share(new);
        known.last.iter().zip(parts).map(|((unit, _), count)| (*unit, count, exact)).collect()
    }

    /// Once a key's drops have several cases, what was not reported in detail may have had any of them.
    fn note_cases(&mut self, key: &DropKey, fresh: Vec<(UnitKey, u64)>) {
        let details = self.details.entry(*key).or_default();
        if details.mixes(&fresh) {
            let guessed = self.units.iter_mut().filter(|unit| unit.key.key == *key && !unit.exact.flow);
            guessed.for_each(|unit| unit.exact.case = false);
        }
        details.last = fresh;
    }

    /// The first details of a key have come after its first counts: those are theirs.
    fn tell_late(&mut self, key: &DropKey, fresh: &[(UnitKey, u64)]) {
        let Some(without) = self.without.remove(key) else { return };
        let mut sharer = Sharer::new(fresh.iter().map(|(_, count)| *count));
        let parts = sharer.share(self.units[without as usize].total);
        let to: Vec<(u32, u64)> =
            fresh.iter().zip(parts).map(|((unit, _), count)| (self.unit(*unit), count)).collect();
        self.move_unit(without, &to);
        self.history.settle(&HashMap::from([(without, to)]));
    }

    fn unit(&mut self, mut key: UnitKey) -> u32 {
        if let Some(known) = self.by_key.get(&key) {
            return *known;
        }
        if self.units.len() >= self.limits.units {
            key = UnitKey { flow: UNKNOWN, port: UNKNOWN, owner: UNKNOWN, ..key };
            if let Some(known) = self.by_key.get(&key) {
                return *known;
            }
        }
        let index = u32::try_from(self.units.len()).unwrap_or(u32::MAX);
        self.units.push(Unit { key, total: 0, exact: Exact { case: true, flow: true } });
        self.by_key.insert(key, index);
        index
    }

    fn balance(&mut self, counters: &Counters) {
        let (counted, details) = (counters.counted(), counters.details_lost());
        // While drops go on, the kernel's sum is some drops ahead of the rows that were read before it: what a frame
        // accounts for is what its rows hold, and what the kernel itself says that it lost.
        let lost = counters.lost.saturating_sub(details + counters.other.lost);
        self.details_lost = details + counters.other.lost;
        self.books = Accounting {
            seen: counted + counters.other.count + counters.filtered + lost,
            shown: counted + counters.other.count,
            suppressed: 0,
            filtered: counters.filtered,
            lost,
            benign: 0,
            unselected: 0,
        };
    }

    /// Takes in the final counters, which are exact: what no row holds was lost.
    pub(crate) fn settle_books(&mut self, counters: &Counters) {
        let held = self.books.shown + self.books.filtered;
        self.books.seen = counters.seen.max(held);
        self.books.lost = self.books.seen - held;
    }

    /// Takes in the culprits that a look at the machine has named: the drops of a group that had no culprit are now theirs.
    pub(crate) fn learn(&mut self, named: Vec<Named>, at: Duration) {
        let resolved = self.cases.learn(named, at);
        let mut groups: HashMap<CaseId, (Resolved, Sharer)> = resolved
            .into_iter()
            .map(|resolved| {
                let sharer = Sharer::new(resolved.1.iter().map(|(_, weight)| *weight));
                (resolved.0, (resolved, sharer))
            })
            .collect();
        let mut moved = HashMap::new();
        // Those that are added meanwhile are the culprits'.
        for index in 0..self.units.len() {
            let Unit { key, total, exact: was_exact } = self.units[index];
            let Some(((_, parts, exact), sharer)) = groups.get_mut(&key.case).filter(|_| total > 0) else {
                continue;
            };
            let to: Vec<(u32, u64)> = parts
                .iter()
                .zip(sharer.share(total))
                .filter(|(_, count)| *count > 0)
                .map(|((case, _), count)| (self.unit(UnitKey { case: *case, ..key }), count))
                .collect();
            for (unit, _) in &to {
                let unit = &mut self.units[*unit as usize];
                unit.exact = Exact { case: unit.exact.case && was_exact.case && *exact, ..unit.exact };
            }
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            self.move_unit(index, &to);
            moved.insert(index, to);
        }
        self.history.settle(&moved);
        self.cases.searched();
    }

    /// The machine has been looked at: the search for culprits that begins now is for the drops so far.
    pub(crate) fn note_survey(&mut self) {
        for unit in self.units.iter().filter(|unit| unit.total > 0) {
            self.cases.note_survey(unit.key.case);
        }
    }

    /// The drops of a unit are in these now.
    fn move_unit(&mut self, from: u32, to: &[(u32, u64)]) {
        let was_exact = self.units[from as usize].exact;
        self.units[from as usize].total = 0;
        for (unit, count) in to {
            let unit = &mut self.units[*unit as usize];
            unit.total += count;
            unit.exact.flow &= was_exact.flow;
        }
    }

    /// Whether there are drops whose culprit was not looked for yet.
    pub(crate) fn has_unnamed(&self) -> bool {
        self.units.iter().any(|unit| unit.total > 0 && self.cases.is_unnamed(unit.key.case))
    }

    /// Names of namespaces that were found meanwhile.
    pub(crate) fn name_places(&mut self, resolver: &Resolver) {
        for inum in self.counted.keys().map(|key| key.netns) {
            if inum != 0
                && let Some(name) = resolver.netns(inum)
            {
                self.names.netns(inum, &name.name);
            }
        }
    }

    /// Names of namespaces, as a look at the machine found them.
    pub(crate) fn name_netns<'a>(&mut self, names: impl Iterator<Item = (u32, &'a str)>) {
        for (inum, name) in names {
            self.names.netns(inum, name);
        }
    }

    /// Names of devices by namespace and index.
    pub(crate) fn name_devices<'a>(&mut self, names: impl Iterator<Item = (u32, u32, &'a str)>) {
        for (netns, ifindex, name) in names {
            self.names.device(netns, ifindex, || name.to_owned());
        }
    }

    /// What became of a row: that of a group whose culprit is named now.
    pub(crate) fn follow(&self, row: RowKey) -> Option<RowKey> {
        let id = u32::try_from(row.id).ok().filter(|_| row.group == GroupBy::Cause)?;
        let (culprit, _) = self.cases.resolve(id).iter().max_by_key(|(_, weight)| *weight)?;
        Some(RowKey { id: (*culprit).into(), ..row })
    }

    /// Where every drop went, as a table has it.
    pub(crate) fn books(&self, table: &Table) -> Accounting {
        Accounting {
            shown: table.shown,
            suppressed: table.benign + table.unselected,
            benign: table.benign,
            unselected: table.unselected,
            ..self.books
        }
    }

    pub(crate) fn details_lost(&self) -> u64 {
        self.details_lost
    }
}

#[cfg(test)]
mod tests;

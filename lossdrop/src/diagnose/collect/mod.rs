//! From events to groups, while the run lasts; names are looked up meanwhile, since sockets and processes may be gone
//! when it is over.

use std::collections::{BTreeMap, HashMap, HashSet};

use lossdrop_common::{DropKey, Event};

use super::group::{Group, GroupKey, Shares, Target, share_out};
use crate::{
    drops::{
        Drop, Reader,
        describe::{Described, Describer},
        verdict::Verdict,
    },
    identity::owners,
    kernel::counters::Counters,
    knowledge::{Kind, Severity},
};

/// Groups that are kept apart; drops beyond are grouped by kind and device alone.
const GROUPS_AT_MOST: usize = 2048;

/// Drops in groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: Vec<Group>,
    by_key: HashMap<GroupKey, usize>,
    shares: Shares,
}

/// Collects drops in groups, while the run lasts.
#[derive(Debug, Default)]
pub(crate) struct Collector(Groups);

/// What a run collected.
#[derive(Debug)]
pub(crate) struct Collected {
    pub groups: Vec<Group>,
    /// Noise by kind.
    pub benign: BTreeMap<String, (&'static Kind, u64)>,
    /// Noise by key.
    pub noise: Vec<(DropKey, &'static Kind, u64)>,
}

impl Reader for Collector {
    fn wants(&mut self, _event: &Event, _described: &Described) -> bool {
        true
    }

    fn read(&mut self, drop: &Drop<'_>) {
        self.0.add(drop);
    }
}

impl Collector {
    /// Shares the kernel's exact counts out among the groups.
    pub(crate) fn finish(self, counters: &Counters, describer: &mut Describer) -> Collected {
        let mut collected = self.0.finish(counters, describer);
        collected.find_late_owners();
        collected
    }
}

impl Groups {
    /// Takes a drop in.
    pub(crate) fn add(&mut self, drop: &Drop<'_>) {
        let key = drop.event.key;
        let index = self.group(&drop.verdict, &key, Target::of(drop));
        self.groups[index].add(drop);
        *self.shares.entry(key).or_default().entry(index).or_default() += 1;
    }

    fn group(&mut self, verdict: &Verdict, key: &DropKey, target: Target) -> usize {
        let target = if self.groups.len() < GROUPS_AT_MOST { target } else { Target::None };
        let key = GroupKey::new(verdict.assessment.kind, key, target);
        if let Some(known) = self.by_key.get(&key) {
            let group = &mut self.groups[*known];
            group.verdict.assessment.confidence =
                group.verdict.assessment.confidence.min(verdict.assessment.confidence);
            group.verdict.assessment.severity =
                group.verdict.assessment.severity.max(verdict.assessment.severity);
            return *known;
        }
        self.groups.push(Group::new(key.clone(), verdict.clone()));
        self.by_key.insert(key, self.groups.len() - 1);
        self.groups.len() - 1
    }

    /// Shares the kernel's exact counts out among the groups.
    pub(crate) fn finish(mut self, counters: &Counters, describer: &mut Describer) -> Collected {
        for (key, row) in &counters.rows {
            let shares = self.shares.remove(key).unwrap_or_default();
            if shares.is_empty() {
                // None was reported in detail: the key itself says what there is to say.
                let described = describer.describe(key);
                let verdict = Verdict::of(&described);
                let index = self.group(&verdict, key, Target::None);
                self.groups[index].count += row.count;
                *self.groups[index].keys.entry(*key).or_default() += row.count;
                continue;
            }
            let (indices, detailed): (Vec<usize>, Vec<u64>) = shares.into_iter().unzip();
            let (parts, exact) = share_out(row.count, &detailed);
            for (index, part) in indices.into_iter().zip(parts) {
                let group = &mut self.groups[index];
                group.count += part;
                group.exact &= exact;
                *group.keys.entry(*key).or_default() += part;
            }
        }
        let groups = self.groups.into_iter().filter(|group| group.count > 0).collect();
        let mut collected = Collected { groups, benign: BTreeMap::new(), noise: Vec::new() };
        collected.sort_out();
        collected
    }
}

impl Collected {
    /// Looks once more for the owners of groups that have none: the first look-up may have come too late for the few
    /// drops of a group.
    pub(crate) fn find_late_owners(&mut self) {
        let unowned = |group: &&mut Group| group.samples.iter().all(|sample| sample.owner.is_none());
        let inodes: HashSet<u64> = self
            .groups
            .iter_mut()
            .filter(unowned)
            .filter_map(|group| {
                group.find(|sample| Some(sample.event.socket_ino).filter(|inode| *inode != 0))
            })
            .collect();
        if inodes.is_empty() {
            return;
        }
        let owners = owners::find(&inodes);
        for sample in self.groups.iter_mut().flat_map(|group| &mut group.samples) {
            if sample.owner.is_none() {
                sample.owner = owners.get(&sample.event.socket_ino).cloned();
            }
        }
    }

    /// Looks at each group again.
    pub(crate) fn judge(&mut self, judge: impl Fn(&mut Group)) {
        self.groups.iter_mut().for_each(judge);
        self.sort_out();
    }

    /// Noise is no group.
    fn sort_out(&mut self) {
        for group in self.groups.extract_if(.., |group| group.verdict.assessment.severity == Severity::Benign)
        {
            let kind = group.verdict.assessment.kind;
            self.noise.extend(group.keys.iter().map(|(key, count)| (*key, kind, *count)));
            self.benign.entry(kind.to_string()).or_insert((kind, 0)).1 += group.count;
        }
    }
}

#[cfg(test)]
mod tests;

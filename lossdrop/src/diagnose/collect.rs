//! From events to groups, while the run lasts; names are looked up meanwhile, since sockets and processes may be gone
//! when it is over.

use std::collections::{BTreeMap, HashMap, HashSet};

use log::warn;
use lossdrop_common::DropKey;

use super::group::{Group, GroupKey, Sample, Shares, Target, share_out};
use crate::{
    accounting::Counters,
    decode::{Decoded, Layout},
    describe::Describer,
    hook::hook,
    judge::{Seen, judge},
    knowledge::{Class, Kind, Severity, kinds},
    output::packet,
    owners,
    resolve::Resolver,
    source::Batch,
    trace::clock_offset_ns,
    verdict::Verdict,
};

/// Groups that are told apart; drops beyond are grouped by kind and device alone.
const GROUPS_AT_MOST: usize = 2048;

/// A drop that was told in detail, with the verdict on it.
#[derive(Clone, Debug)]
pub struct Judged {
    pub verdict: Verdict,
    pub target: Target,
    pub sample: Sample,
}

/// Hears of drops and judges them.
#[derive(Debug)]
pub struct Witness {
    pub describer: Describer,
    pub resolver: Resolver,
    layout: Layout,
}

impl Witness {
    pub fn new(describer: Describer, layout: Layout) -> Self {
        Self { describer, resolver: Resolver::default(), layout }
    }

    /// The drops of a batch that are wanted, by their keys.
    pub async fn hear(&mut self, batch: &Batch, mut wants: impl FnMut(&DropKey) -> bool) -> Vec<Judged> {
        let offset = clock_offset_ns();
        let mut events = Vec::with_capacity(batch.len());
        for bytes in batch.iter() {
            match self.layout.decode(bytes) {
                Ok(decoded) if wants(&decoded.event.key) => events.push(decoded),
                Ok(_) => {}
                Err(error) => warn!("{error}"),
            }
        }
        self.resolver
            .prepare(events.iter().map(|decoded| (decoded.event.key.netns, decoded.event.socket_ino)))
            .await;
        events.iter().map(|decoded| self.judge(decoded, offset)).collect()
    }

    fn judge(&mut self, decoded: &Decoded<'_>, clock_offset_ns: i128) -> Judged {
        let event = decoded.event;
        let facts = decoded.facts();
        self.describer.keep_up(decoded.stack());
        let described = self.describer.describe(&event.key);
        let frames: Vec<&str> = self.describer.frames(decoded.stack());
        let seen = Seen { event: &event, facts: facts.as_ref(), frames: &frames, packet: decoded.packet };
        let verdict = judge(&described, &seen);
        let target = target(verdict.kind, &seen);
        let sample = Sample {
            unix_ns: i128::from(event.ktime_ns) + clock_offset_ns,
            event,
            facts,
            frames: frames.into_iter().map(str::to_owned).collect(),
            packet: decoded.packet.into(),
            owner: self.resolver.owner(event.socket_ino).cloned(),
        };
        Judged { verdict, target, sample }
    }
}

/// Drops in groups.
#[derive(Debug, Default)]
pub struct Groups {
    groups: Vec<Group>,
    by_key: HashMap<GroupKey, usize>,
    shares: Shares,
}

/// The drops so far, and who hears of them.
#[derive(Debug)]
pub struct Collector {
    witness: Witness,
    groups: Groups,
}

/// What a run collected.
#[derive(Debug)]
pub struct Collected {
    pub groups: Vec<Group>,
    /// Noise by kind.
    pub benign: BTreeMap<String, (&'static Kind, u64)>,
    /// Noise by key.
    pub noise: Vec<(DropKey, &'static Kind, u64)>,
}

impl Collector {
    pub fn new(describer: Describer, layout: Layout) -> Self {
        Self { witness: Witness::new(describer, layout), groups: Groups::default() }
    }

    /// Takes the events of a batch in.
    pub async fn process(&mut self, batch: &Batch) {
        for judged in self.witness.hear(batch, |_| true).await {
            self.groups.add(&judged);
        }
    }

    /// Shares the kernel's exact counts out among the groups.
    pub fn finish(mut self, counters: &Counters) -> Collected {
        let mut collected = self.groups.finish(counters, &mut self.witness.describer);
        collected.find_late_owners();
        collected
    }
}

impl Groups {
    /// Takes a drop in.
    pub fn add(&mut self, judged: &Judged) {
        let Judged { verdict, target, sample } = judged;
        let key = sample.event.key;
        let index = self.group(verdict, &key, target.clone());
        self.groups[index].add(sample);
        *self.shares.entry(key).or_default().entry(index).or_default() += 1;
    }

    fn group(&mut self, verdict: &Verdict, key: &DropKey, target: Target) -> usize {
        let target = if self.groups.len() < GROUPS_AT_MOST { target } else { Target::None };
        let key = GroupKey::new(verdict.kind, key, target);
        if let Some(known) = self.by_key.get(&key) {
            let group = &mut self.groups[*known];
            group.verdict.confidence = group.verdict.confidence.min(verdict.confidence);
            group.verdict.severity = group.verdict.severity.max(verdict.severity);
            return *known;
        }
        self.groups.push(Group::new(key.clone(), verdict.clone()));
        self.by_key.insert(key, self.groups.len() - 1);
        self.groups.len() - 1
    }

    /// Shares the kernel's exact counts out among the groups.
    pub fn finish(mut self, counters: &Counters, describer: &mut Describer) -> Collected {
        for (key, row) in &counters.rows {
            let shares = self.shares.remove(key).unwrap_or_default();
            if shares.is_empty() {
                // None was told in detail: the key itself says what there is to say.
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
    pub fn find_late_owners(&mut self) {
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
    pub fn judge(&mut self, judge: impl Fn(&mut Group)) {
        self.groups.iter_mut().for_each(judge);
        self.sort_out();
    }

    /// Noise is no group.
    fn sort_out(&mut self) {
        for group in self.groups.extract_if(.., |group| group.verdict.severity == Severity::Benign) {
            let kind = group.verdict.kind;
            self.noise.extend(group.keys.iter().map(|(key, count)| (*key, kind, *count)));
            self.benign.entry(kind.to_string()).or_insert((kind, 0)).1 += group.count;
        }
    }
}

/// What tells culprits of one kind at one device apart.
fn target(kind: &'static Kind, seen: &Seen<'_>) -> Target {
    let event = seen.event;
    let addresses = packet::addresses(event);
    let ports = packet::ports(event);
    if kind == &kinds::DEVICE_FOREIGN_VLAN {
        return packet::vlan(event).map_or(Target::None, |vlan| Target::Number(vlan.into()));
    }
    match kind.class {
        Class::Netfilter => Target::Hook(hook(seen.frames).map_or_else(String::new, |hook| hook.to_string())),
        Class::Socket | Class::Memory | Class::Tcp => match (addresses, ports) {
            (Some((_, dst)), Some((_, dport))) => Target::Port(event.key.l4, dst, dport),
            (Some((_, dst)), None) => Target::Port(event.key.l4, dst, 0),
            (None, _) => Target::None,
        },
        Class::Routing => addresses.map_or(Target::None, |(src, dst)| Target::Path(src, dst)),
        Class::Neighbour => addresses.map_or(Target::None, |(_, dst)| Target::Destination(dst)),
        Class::Mtu => seen.route().map_or(Target::None, |route| Target::Number(route.ifindex)),
        Class::Queue
        | Class::Checksum
        | Class::Malformed
        | Class::Bpf
        | Class::Xfrm
        | Class::Tunnel
        | Class::Device
        | Class::Housekeeping
        | Class::Unknown => Target::None,
    }
}

#[cfg(test)]
mod tests;

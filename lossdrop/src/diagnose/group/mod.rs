//! Drops that belong together while a run lasts.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use lossdrop_common::{DropKey, Event};

use super::finding::{Flow, Size};
use crate::{
    drops::{Detail, Drop, Kept, packet, verdict::Verdict},
    knowledge::{Cause, Kind, kinds},
    rules::hook::hook,
};

/// Flows that are kept apart in a group; those beyond are counted with the group alone.
const FLOWS_AT_MOST: usize = 1024;
/// Flows that a finding shows.
const FLOWS_SHOWN: usize = 5;
/// Packets that a group keeps for a closer look.
pub(crate) const SAMPLES: usize = 256;
/// Lengths that are kept apart in a group.
const SIZES_AT_MOST: usize = 64;

/// What makes drops belong together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct GroupKey {
    pub kind: &'static Kind,
    pub netns: u32,
    pub ifindex: u32,
    pub target: Target,
}

impl GroupKey {
    pub(crate) fn new(kind: &'static Kind, key: &DropKey, target: Target) -> Self {
        Self { kind, netns: key.netns, ifindex: key.ifindex, target }
    }
}

/// What tells the drops of one kind at one device apart: what may turn out to be different culprits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Target {
    None,
    /// Netfilter: the hook and what evaluates the rules.
    Hook(String),
    /// A socket or a closed port: protocol, address, port.
    Port(u8, IpAddr, u16),
    /// A route or a neighbour: the destination.
    Destination(IpAddr),
    /// A route as it is looked up for a packet that came in: source and destination.
    Path(IpAddr, IpAddr),
    /// A number of the packet's own: a VLAN, a VNI.
    Number(u32),
}

impl Target {
    /// What tells culprits of one kind at one device apart.
    pub(crate) fn of(drop: &Drop<'_>) -> Self {
        let kind = drop.verdict.assessment.kind;
        let (addresses, ports) = (drop.addresses(), drop.ports());
        if kind == &kinds::DEVICE_FOREIGN_VLAN {
            return packet::vlan(&drop.event).map_or(Self::None, |vlan| Self::Number(vlan.into()));
        }
        match kind.cause {
            Cause::Netfilter => {
                Self::Hook(hook(&drop.frames).map_or_else(String::new, |hook| hook.to_string()))
            }
            Cause::Socket | Cause::Memory | Cause::Tcp => match (addresses, ports) {
                (Some((_, dst)), Some((_, dport))) => Self::Port(drop.event.key.l4, dst, dport),
                (Some((_, dst)), None) => Self::Port(drop.event.key.l4, dst, 0),
                (None, _) => Self::None,
            },
            Cause::Routing => addresses.map_or(Self::None, |(src, dst)| Self::Path(src, dst)),
            Cause::Neighbour => addresses.map_or(Self::None, |(_, dst)| Self::Destination(dst)),
            Cause::Mtu => drop.route().map_or(Self::None, |route| Self::Number(route.ifindex)),
            Cause::Queue
            | Cause::Checksum
            | Cause::Malformed
            | Cause::Bpf
            | Cause::Xfrm
            | Cause::Tunnel
            | Cause::Device
            | Cause::Housekeeping
            | Cause::Unknown => Self::None,
        }
    }
}

/// The drops of a group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub key: GroupKey,
    pub verdict: Verdict,
    /// Drops reported in detail.
    pub detailed: u64,
    /// All of them, once they are shared out.
    pub count: u64,
    /// `count` is exact.
    pub exact: bool,
    pub first_ns: i128,
    pub last_ns: i128,
    pub samples: Vec<Kept>,
    /// The kernel's keys of these drops, with this group's part of each.
    pub keys: BTreeMap<DropKey, u64>,
    flows: HashMap<String, u64>,
    sizes: BTreeMap<u32, u64>,
}

impl Group {
    pub(crate) fn new(key: GroupKey, verdict: Verdict) -> Self {
        Self {
            key,
            verdict,
            detailed: 0,
            count: 0,
            exact: true,
            first_ns: i128::MAX,
            last_ns: i128::MIN,
            samples: Vec::new(),
            keys: BTreeMap::new(),
            flows: HashMap::new(),
            sizes: BTreeMap::new(),
        }
    }

    /// Adds a drop that was reported in detail.
    pub(crate) fn add(&mut self, drop: &Drop<'_>) {
        self.count_in(drop, drop.unix_ns);
        if self.samples.len() < SAMPLES {
            self.samples.push(drop.keep());
        }
    }

    fn count_in(&mut self, detail: &Detail, unix_ns: i128) {
        self.detailed += 1;
        self.first_ns = self.first_ns.min(unix_ns);
        self.last_ns = self.last_ns.max(unix_ns);
        let flow = flow(&detail.event);
        if self.flows.contains_key(&flow) || self.flows.len() < FLOWS_AT_MOST {
            *self.flows.entry(flow).or_default() += 1;
        }
        let len = detail.event.len;
        if self.sizes.contains_key(&len) || self.sizes.len() < SIZES_AT_MOST {
            *self.sizes.entry(len).or_default() += 1;
        }
    }

    /// Adds a drop that was kept.
    pub(crate) fn add_kept(&mut self, kept: &Kept) {
        self.count_in(kept, kept.unix_ns);
        if self.samples.len() < SAMPLES {
            self.samples.push(kept.clone());
        }
    }

    /// Takes in another group with the same culprit.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.verdict.assessment.confidence =
            self.verdict.assessment.confidence.min(other.verdict.assessment.confidence);
        self.detailed += other.detailed;
        self.count += other.count;
        self.exact &= other.exact;
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
        for (key, count) in other.keys {
            *self.keys.entry(key).or_default() += count;
        }
        for (flow, count) in other.flows {
            *self.flows.entry(flow).or_default() += count;
        }
        for (len, count) in other.sizes {
            *self.sizes.entry(len).or_default() += count;
        }
        self.samples.extend(other.samples);
        self.samples.truncate(SAMPLES);
    }

    /// A part of the group: as many drops, with these samples. Its keys are those of the samples.
    pub(crate) fn part(&self, count: u64, samples: impl Iterator<Item = Kept>) -> Self {
        let mut part = Self::new(self.key.clone(), self.verdict.clone());
        (part.count, part.exact) = (count, self.exact);
        let samples: Vec<Kept> = samples.collect();
        let reported: u64 = samples.len() as u64;
        let mut keys: BTreeMap<DropKey, u64> = BTreeMap::new();
        for sample in samples {
            *keys.entry(sample.event.key).or_default() += 1;
            part.add_kept(&sample);
        }
        let detailed: Vec<u64> = keys.values().copied().collect();
        let (parts, _) = share_out(count.max(reported), &detailed);
        part.keys = keys.into_keys().zip(parts).collect();
        part
    }

    /// The most frequent flows.
    pub(crate) fn top_flows(&self) -> Vec<Flow> {
        let mut flows: Vec<Flow> =
            self.flows.iter().map(|(flow, count)| Flow { flow: flow.clone(), count: *count }).collect();
        flows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.flow.cmp(&b.flow)));
        flows.truncate(FLOWS_SHOWN);
        flows
    }

    pub(crate) fn sizes(&self) -> Vec<Size> {
        self.sizes.iter().map(|(len, count)| Size { len: *len, count: *count }).collect()
    }

    /// The shortest and the longest IP length.
    pub(crate) fn size_range(&self) -> Option<(u32, u32)> {
        Some((*self.sizes.first_key_value()?.0, *self.sizes.last_key_value()?.0))
    }

    /// The first drop that was reported in detail.
    pub(crate) fn sample(&self) -> Option<&Kept> {
        self.samples.first()
    }

    /// Source and destination of the first that has them.
    pub(crate) fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        self.find(|kept| kept.addresses())
    }

    /// Source and destination port, likewise.
    pub(crate) fn ports(&self) -> Option<(u16, u16)> {
        self.find(|kept| kept.ports())
    }

    /// Something that the first sample that has it says.
    pub(crate) fn find<T>(&self, look: impl FnMut(&Kept) -> Option<T>) -> Option<T> {
        self.samples.iter().find_map(look)
    }
}

/// `10.0.0.1:51034 → 10.0.0.2:80 TCP`: what of a packet's words is the same for all packets of a flow.
pub(crate) fn flow(event: &Event) -> String {
    const TCP: &str = " TCP";
    let line = packet::line(event);
    // Brackets stand around IPv6 addresses, too; flags are those behind the protocol.
    let flags = line.find(" TCP [").map(|at| at + TCP.len());
    let end = flags.or_else(|| line.rfind(" len ")).unwrap_or(line.len());
    line[..end].to_owned()
}

/// Shares the kernel's exact counts out among the groups: `detailed` says how many drops of a key were reported in detail as
/// belonging to which group. Returns each group's part, and whether it is exact.
pub(crate) fn share_out(count: u64, detailed: &[u64]) -> (Vec<u64>, bool) {
    let reported: u64 = detailed.iter().sum();
    if reported == 0 {
        return (vec![0; detailed.len()], count == 0);
    }
    let part = |own: u64| u128::from(own) * u128::from(count) / u128::from(reported);
    let mut parts: Vec<u64> =
        detailed.iter().map(|own| u64::try_from(part(*own)).unwrap_or(u64::MAX)).collect();
    let mut rest = count.saturating_sub(parts.iter().sum());
    // What rounding left goes to those that were reported in detail, one each.
    for (part, own) in parts.iter_mut().zip(detailed) {
        if rest > 0 && *own > 0 {
            *part += 1;
            rest -= 1;
        }
    }
    let sharers = detailed.iter().filter(|own| **own > 0).count();
    (parts, sharers == 1 || reported == count)
}

/// Which groups a key's drops went to.
pub(crate) type Shares = HashMap<DropKey, BTreeMap<usize, u64>>;

#[cfg(test)]
mod tests;

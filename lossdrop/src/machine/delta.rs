//! Which counters moved between two moments.

use std::collections::BTreeMap;

use super::{Counters, Machine, NetState, Part, snmp};

/// A counter that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The namespace's inode number; `None` for the machine's own counters.
    pub netns: Option<u32>,
    pub scope: Scope,
    pub name: String,
    pub delta: u64,
}

/// Whose counter it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Link {
        index: u32,
        name: String,
    },
    /// The driver's own counters of a device.
    Driver {
        index: u32,
        name: String,
    },
    Qdisc {
        index: u32,
        kind: String,
        handle: String,
        parent: String,
    },
    Class {
        index: u32,
        kind: String,
        handle: String,
    },
    Snmp,
    Xfrm,
    Conntrack,
    NfQueue {
        number: u16,
    },
    Listener {
        address: std::net::IpAddr,
        port: u16,
        inode: u32,
    },
    UdpSocket {
        address: std::net::IpAddr,
        port: u16,
        inode: u32,
    },
    Softnet {
        cpu: u32,
    },
    NeighbourTables,
}

impl Scope {
    /// Whether its counters may begin anew: the object is a new one of the same name, or was set up again.
    const fn may_restart(&self) -> bool {
        match self {
            Self::Link { .. }
            | Self::Driver { .. }
            | Self::Qdisc { .. }
            | Self::Class { .. }
            | Self::NfQueue { .. }
            | Self::Listener { .. }
            | Self::UdpSocket { .. } => true,
            Self::Snmp | Self::Xfrm | Self::Conntrack | Self::Softnet { .. } | Self::NeighbourTables => false,
        }
    }
}

type Readings = BTreeMap<(Option<u32>, Scope, String), u64>;

/// The counters that moved. What is new, or began anew, has counted from 0.
pub fn delta(before: &Machine, after: &Machine) -> Vec<Moved> {
    let old = readings(before);
    readings(after)
        .into_iter()
        .filter_map(|(key, now)| {
            let moved = match old.get(&key) {
                Some(then) if now >= *then => now - then,
                Some(_) if key.1.may_restart() => now,
                None if key.0.is_some_and(|netns| is_new(before, netns, &key.1)) => now,
                Some(_) | None => 0,
            };
            let (netns, scope, name) = key;
            (moved > 0).then_some(Moved { netns, scope, name, delta: moved })
        })
        .collect()
}

/// Whether a counter that was not there before would have been seen.
fn is_new(before: &Machine, netns: u32, scope: &Scope) -> bool {
    let Some(state) = before.netns.get(&netns) else { return false };
    let read = |part| !state.unread.contains(&part);
    match scope {
        // Drivers have counters that come and go; and a device may have had another name.
        Scope::Link { index, .. } | Scope::Driver { index, .. } => {
            read(Part::Links) && state.link(*index).is_none()
        }
        Scope::Qdisc { .. } => read(Part::Qdiscs),
        Scope::Class { .. } => read(Part::Classes),
        Scope::Snmp | Scope::Xfrm => read(Part::Counters),
        Scope::Listener { .. } => read(Part::Listeners),
        Scope::UdpSocket { .. } => read(Part::Udp),
        Scope::Conntrack | Scope::NfQueue { .. } => true,
        Scope::Softnet { .. } | Scope::NeighbourTables => false,
    }
}

fn readings(machine: &Machine) -> Readings {
    let mut all = Readings::new();
    for softnet in &machine.softnet {
        let counters = [
            ("processed", softnet.processed),
            ("dropped", softnet.dropped),
            ("time_squeeze", softnet.time_squeeze),
            ("flow_limit", softnet.flow_limit),
        ];
        add(&mut all, None, &Scope::Softnet { cpu: softnet.cpu }, counters);
    }
    let tables = machine.neighbour_tables.iter().map(|(name, sum)| (name.as_str(), *sum));
    add(&mut all, None, &Scope::NeighbourTables, tables);
    for (inum, state) in &machine.netns {
        devices(&mut all, *inum, state);
        protocols(&mut all, *inum, state);
    }
    all
}

fn devices(all: &mut Readings, inum: u32, state: &NetState) {
    for link in &state.links {
        let (index, name) = (link.index, link.name.clone());
        let driver = link.driver_stats.iter().map(|(name, count)| (name.as_str(), *count));
        add(all, Some(inum), &Scope::Driver { index, name: name.clone() }, driver);
        let counters = link.stats.iter().map(|(name, count)| (*name, *count));
        add(all, Some(inum), &Scope::Link { index, name }, counters);
    }
    for qdisc in &state.qdiscs {
        let scope = Scope::Qdisc {
            index: qdisc.index,
            kind: qdisc.kind.clone(),
            handle: qdisc.handle.clone(),
            parent: qdisc.parent.clone(),
        };
        add(all, Some(inum), &scope, traffic(&qdisc.counters));
    }
    for class in &state.classes {
        let scope =
            Scope::Class { index: class.index, kind: class.kind.clone(), handle: class.handle.clone() };
        add(all, Some(inum), &scope, traffic(&class.counters));
    }
}

fn protocols(all: &mut Readings, inum: u32, state: &NetState) {
    for (name, count) in state.snmp.iter().filter(|(name, _)| snmp::is_counter(name)) {
        let scope = if name.starts_with("Xfrm") { Scope::Xfrm } else { Scope::Snmp };
        add(all, Some(inum), &scope, [(name.as_str(), *count)]);
    }
    for (name, count) in state.conntrack.iter().flat_map(|conntrack| &conntrack.stats) {
        add(all, Some(inum), &Scope::Conntrack, [(name.as_str(), *count)]);
    }
    for queue in &state.nfqueues {
        let counters = [("queue_dropped", queue.queue_dropped), ("user_dropped", queue.user_dropped)];
        add(all, Some(inum), &Scope::NfQueue { number: queue.number }, counters);
    }
    for listener in &state.listeners {
        let (address, port, inode) = (listener.address, listener.port, listener.inode);
        let counters = [("drops", listener.drops.into())];
        add(all, Some(inum), &Scope::Listener { address, port, inode }, counters);
    }
    for socket in &state.udp {
        let (address, port, inode) = (socket.address, socket.port, socket.inode);
        let counters = [("drops", socket.drops.into())];
        add(all, Some(inum), &Scope::UdpSocket { address, port, inode }, counters);
    }
}

fn traffic(counters: &Counters) -> [(&'static str, u64); 5] {
    [
        ("bytes", counters.bytes),
        ("packets", counters.packets),
        ("drops", counters.drops.into()),
        ("overlimits", counters.overlimits.into()),
        ("requeues", counters.requeues.into()),
    ]
}

fn add<'a>(
    all: &mut Readings,
    netns: Option<u32>,
    scope: &Scope,
    counters: impl IntoIterator<Item = (&'a str, u64)>,
) {
    for (name, count) in counters {
        all.insert((netns, scope.clone(), name.to_owned()), count);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Qdisc, Softnet},
        *,
    };

    fn machine(drops: Option<u32>, no_ports: u64) -> Machine {
        let qdisc = |drops| Qdisc {
            kind: "tbf".to_owned(),
            counters: Counters { drops, ..Counters::default() },
            ..Qdisc::default()
        };
        let snmp = [("TcpCurrEstab", no_ports), ("UdpNoPorts", no_ports)];
        let state = NetState {
            inum: 7,
            qdiscs: drops.map(qdisc).into_iter().collect(),
            snmp: snmp.map(|(name, count)| (name.to_owned(), count)).into(),
            ..NetState::default()
        };
        let softnet = vec![Softnet { dropped: no_ports, ..Softnet::default() }];
        Machine { netns: [(7, state)].into(), softnet, ..Machine::default() }
    }

    fn moved(before: &Machine, after: &Machine) -> Vec<(Option<u32>, String, u64)> {
        delta(before, after).into_iter().map(|moved| (moved.netns, moved.name, moved.delta)).collect()
    }

    #[test]
    fn only_counters_that_grew_are_reported() {
        let none: [(Option<u32>, String, u64); 0] = [];
        assert_eq!(moved(&machine(Some(3), 5), &machine(Some(3), 5)), none);
        assert_eq!(
            moved(&machine(Some(3), 5), &machine(Some(4), 7)),
            [
                (None, "dropped".to_owned(), 2),
                (Some(7), "drops".to_owned(), 1),
                (Some(7), "UdpNoPorts".to_owned(), 2),
            ]
        );
    }

    #[test]
    fn what_is_new_or_began_anew_has_counted_from_zero() {
        let drops = |before, after| moved(&machine(before, 0), &machine(after, 0));
        assert_eq!(drops(None, Some(4)), [(Some(7), "drops".to_owned(), 4)]);
        assert_eq!(drops(Some(9), Some(4)), [(Some(7), "drops".to_owned(), 4)]);
        assert_eq!(drops(Some(9), None), []);
        // These never begin anew: a smaller number is an odd reading.
        assert_eq!(moved(&machine(None, 9), &machine(None, 4)), []);
    }

    #[test]
    fn a_part_that_was_not_read_before_tells_nothing() {
        let mut before = machine(None, 0);
        before.netns.get_mut(&7).expect("it was read").unread.insert(Part::Qdiscs);
        assert_eq!(moved(&before, &machine(Some(4), 0)), []);
    }

    #[test]
    fn a_namespace_that_was_not_read_before_tells_nothing() {
        let before = Machine { netns: BTreeMap::new(), ..machine(None, 0) };
        assert_eq!(moved(&before, &machine(Some(4), 4)), [(None, "dropped".to_owned(), 4)]);
    }
}

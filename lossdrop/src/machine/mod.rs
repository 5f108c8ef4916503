//! What the kernel's own counters and tables say in each network namespace. It reads, off the events' path, and changes
//! nothing; what it can't read in time is a gap that it tells.

mod addresses;
mod attached;
mod conntrack;
mod delta;
mod ethtool;
mod links;
mod neighbours;
mod netlink;
mod nfqueue;
mod pool;
mod qdiscs;
mod routes;
mod snmp;
mod sockets;
mod softnet;
mod sysctl;
mod take;
mod vlans;
mod wireguard;
mod xfrm;

use std::collections::{BTreeMap, BTreeSet};

pub use addresses::Address;
pub use attached::{Action, Attached, Filter, Hook, attached, cgroup_root, filters};
pub use conntrack::Conntrack;
pub use delta::{Moved, Scope, delta};
pub use links::{BridgePort, Link, Peer, Tunnel, Xdp};
pub use neighbours::{Neighbour, NeighbourState, neighbours};
pub use nfqueue::NfQueue;
pub use pool::for_each;
pub use qdiscs::{Class, Counters, Limit, Qdisc};
pub use routes::{Query, Route, RouteKind, reverse_path, route};
pub use sockets::{Listener, UdpSocket};
pub use softnet::Softnet;
pub use sysctl::sysctl;
pub use vlans::{PortVlan, bridge_vlans};
pub use wireguard::{WgPeer, wireguard_peers};
pub use xfrm::{Direction, XfrmPolicy, xfrm_policies};

pub use crate::kernel::programs::{CgroupPrograms, Program};

/// A moment of the machine.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// By inode number.
    pub netns: BTreeMap<u32, NetState>,
    /// One a CPU that is online.
    pub softnet: Vec<Softnet>,
    /// The settings that hold for all namespaces, by their dotted names.
    pub sysctls: BTreeMap<String, String>,
    /// Counters of the neighbour tables, for all namespaces together: `arp_cache.table_fulls` and the like.
    pub neighbour_tables: BTreeMap<String, u64>,
    pub gaps: Vec<Gap>,
}

/// What could not be read, and what is therefore unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub what: String,
    pub consequence: String,
}

/// What is read of a namespace in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Links,
    Addresses,
    Qdiscs,
    Classes,
    Counters,
    Listeners,
    Udp,
    Neighbours,
}

impl Part {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Links => "devices",
            Self::Addresses => "addresses",
            Self::Qdiscs => "queueing disciplines",
            Self::Classes => "traffic classes",
            Self::Counters => "protocol counters",
            Self::Listeners => "listening sockets",
            Self::Udp => "UDP sockets",
            Self::Neighbours => "neighbours",
        }
    }
}

/// A moment of a network namespace.
#[derive(Clone, Debug, Default)]
pub struct NetState {
    pub inum: u32,
    pub links: Vec<Link>,
    pub addresses: Vec<Address>,
    pub qdiscs: Vec<Qdisc>,
    pub classes: Vec<Class>,
    /// Counters by the names that `nstat` has for them, and those of `/proc/net/xfrm_stat`.
    pub snmp: BTreeMap<String, u64>,
    /// `None` where connections are not tracked.
    pub conntrack: Option<Conntrack>,
    pub nfqueues: Vec<NfQueue>,
    pub listeners: Vec<Listener>,
    pub udp: Vec<UdpSocket>,
    pub neighbours: Vec<Neighbour>,
    /// What could not be read, and is therefore empty.
    pub unread: BTreeSet<Part>,
}

impl NetState {
    pub fn link(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    pub fn link_named(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// The queueing disciplines of a device: the root first, as the kernel lists them.
    pub fn qdiscs_of(&self, index: u32) -> impl Iterator<Item = &Qdisc> {
        self.qdiscs.iter().filter(move |qdisc| qdisc.index == index)
    }
}

impl Machine {
    /// The other end of a veth pair, or the device below: its namespace and itself.
    pub fn peer(&self, link: &Link) -> Option<(&NetState, &Link)> {
        let peer = link.peer.as_ref()?;
        let state = self.netns.get(&peer.netns?)?;
        Some((state, state.link(peer.index)?))
    }
}

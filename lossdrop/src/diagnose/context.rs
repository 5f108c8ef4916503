//! What the culprits are looked for in: the machine before and after, its rules, its names.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use super::place::Places;
use crate::{
    identity::owners::Owner,
    machine::{
        self, Attached, Filter, Hook, Link, Listener, Machine, Moved, NetState, PortVlan, Query, Route,
        UdpSocket, WgPeer, XfrmPolicy,
    },
    rules::Ruleset,
};

/// A single question to the kernel may take so long.
const ONE_ANSWER: Duration = Duration::from_millis(500);

/// A namespace's rules before and after the run.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub before: Ruleset,
    pub after: Ruleset,
    /// They could be read both times, with all tools that are needed.
    pub complete: bool,
    /// Packets dropped in this time, in nanoseconds since 1970, are in the counters' deltas.
    pub counted: std::ops::Range<i128>,
}

/// Everything that is known when the run is over.
#[derive(Debug)]
pub(crate) struct Context {
    pub before: Machine,
    pub after: Machine,
    pub moved: Vec<Moved>,
    pub rules: BTreeMap<u32, Rules>,
    pub places: Places,
    /// In this run drops of nft's rules were freed in nft's own code: those that were not are none of nft's.
    pub frees_in_nft: bool,
    /// Processes by the inode number of a socket that they hold.
    pub owners: BTreeMap<u64, Owner>,
    /// Until then the kernel is asked; what is not answered stays open.
    pub deadline: Instant,
}

impl Context {
    /// A device as it is now, else as it was.
    pub(crate) fn link(&self, netns: u32, ifindex: u32) -> Option<&Link> {
        [&self.after, &self.before].into_iter().find_map(|machine| machine.netns.get(&netns)?.link(ifindex))
    }

    pub(crate) fn link_named(&self, netns: u32, name: &str) -> Option<&Link> {
        [&self.after, &self.before]
            .into_iter()
            .find_map(|machine| machine.netns.get(&netns)?.link_named(name))
    }

    pub(crate) fn state(&self, netns: u32) -> Option<&NetState> {
        self.after.netns.get(&netns)
    }

    /// The tunnels that send through a device of this name.
    pub(crate) fn tunnels_over(&self, netns: u32, device: &str) -> Vec<Link> {
        const TUNNELS: [&str; 9] =
            ["vxlan", "geneve", "gre", "gretap", "ip6gre", "ipip", "sit", "ip6tnl", "wireguard"];
        let Some(state) = self.state(netns) else { return Vec::new() };
        let below = state.link_named(device).map(|link| link.index);
        let is_tunnel = |link: &&Link| link.kind.as_deref().is_some_and(|kind| TUNNELS.contains(&kind));
        let mut tunnels: Vec<Link> = state.links.iter().filter(is_tunnel).cloned().collect();
        // One that names the device comes first; most find their way by the routes.
        tunnels.sort_by_key(|link| link.peer.map(|peer| peer.index) != below);
        tunnels
    }

    fn has_time(&self) -> bool {
        Instant::now() < self.deadline
    }

    /// A kernel parameter of the namespace by its dotted name.
    pub(crate) fn sysctl(&self, netns: u32, name: &str) -> Option<String> {
        let path = self.places.path(netns).filter(|_| self.has_time())?;
        machine::sysctl(path, name, ONE_ANSWER)
    }

    pub(crate) fn sysctl_number(&self, netns: u32, name: &str) -> Option<u64> {
        self.sysctl(netns, name)?.trim().parse().ok()
    }

    /// The way of a packet, as the kernel would route it now.
    pub(crate) fn route(&self, netns: u32, query: Query) -> Option<Route> {
        let path = self.places.path(netns).filter(|_| self.has_time())?;
        machine::route(path, query, ONE_ANSWER)
    }

    /// The way back to whoever sent a packet.
    pub(crate) fn reverse_path(&self, netns: u32, source: IpAddr) -> Option<Route> {
        let path = self.places.path(netns).filter(|_| self.has_time())?;
        machine::reverse_path(path, source, None, ONE_ANSWER)
    }

    /// The filters and programs on a device.
    pub(crate) fn attached(&self, netns: u32, ifindex: u32) -> Option<Attached> {
        let path = self.places.path(netns).filter(|_| self.has_time())?;
        machine::attached(path, ifindex, ONE_ANSWER).ok()
    }

    /// The filters at a hook of a device; none where they can't be read.
    pub(crate) fn filters(&self, netns: u32, ifindex: u32, hook: Hook) -> Vec<Filter> {
        let path = self.places.path(netns).filter(|_| self.has_time());
        path.and_then(|path| machine::filters(path, ifindex, hook, ONE_ANSWER).ok()).unwrap_or_default()
    }

    /// The VLANs of each bridge port, by its index; none where they can't be read.
    pub(crate) fn bridge_vlans(&self, netns: u32) -> BTreeMap<u32, Vec<PortVlan>> {
        let path = self.places.path(netns).filter(|_| self.has_time());
        path.and_then(|path| machine::bridge_vlans(path, ONE_ANSWER).ok()).unwrap_or_default()
    }

    /// The peers of a WireGuard device; `None` where they can't be read.
    pub(crate) fn wireguard_peers(&self, netns: u32, ifindex: u32) -> Option<Vec<WgPeer>> {
        let path = self.places.path(netns).filter(|_| self.has_time())?;
        machine::wireguard_peers(path, ifindex, ONE_ANSWER).ok()
    }

    /// The devices on top of one, in any namespace, each with its own: VLANs, macvlans, tunnels that are bound to it.
    pub(crate) fn devices_over(&self, netns: u32, ifindex: u32) -> impl Iterator<Item = (u32, &Link)> {
        let links = self.after.netns.iter().flat_map(|(inum, state)| {
            let of_state = |link| (*inum, link);
            state.links.iter().map(of_state)
        });
        let is_over = move |(_, link): &(u32, &Link)| {
            link.peer.is_some_and(|below| below.index == ifindex && below.netns == Some(netns))
        };
        links.filter(is_over)
    }

    /// The IPsec policies of the namespace; none where they can't be read.
    pub(crate) fn xfrm_policies(&self, netns: u32) -> Vec<XfrmPolicy> {
        let path = self.places.path(netns).filter(|_| self.has_time());
        path.and_then(|path| machine::xfrm_policies(path, ONE_ANSWER).ok()).unwrap_or_default()
    }

    /// The UDP socket that a datagram to this address finds.
    pub(crate) fn udp_socket(&self, netns: u32, address: IpAddr, port: u16) -> Option<&UdpSocket> {
        let state = self.state(netns).or_else(|| self.before.netns.get(&netns))?;
        let of_port = || state.udp.iter().filter(|socket| socket.port == port);
        of_port()
            .find(|socket| socket.address == address)
            .or_else(|| of_port().find(|socket| socket.address.is_unspecified()))
    }

    /// Listeners at a port.
    pub(crate) fn listener(&self, netns: u32, address: IpAddr, port: u16) -> Option<&Listener> {
        let state = self.state(netns).or_else(|| self.before.netns.get(&netns))?;
        let of_port = || state.listeners.iter().filter(|socket| socket.port == port);
        of_port()
            .find(|socket| socket.address == address)
            .or_else(|| of_port().find(|socket| socket.address.is_unspecified()))
    }

    /// The process that holds a socket.
    pub(crate) fn owner(&self, inode: u64) -> Option<&Owner> {
        self.owners.get(&inode)
    }
}

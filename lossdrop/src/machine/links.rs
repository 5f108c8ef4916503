//! The devices of a namespace, with their counters.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    net::IpAddr,
    os::fd::AsRawFd as _,
    time::Instant,
};

use super::{
    netlink::{Fields as _, address, attribute, attributes, dump, get, push_attribute, text},
    take::open,
};
use crate::{identity::namespaces::Namespaces, machine::ethtool};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    pub mtu: u32,
    /// 0 where the driver sets no limit.
    pub min_mtu: u32,
    pub max_mtu: u32,
    /// The interface flags: `IFF_UP`, `IFF_LOWER_UP` and the like.
    pub flags: u32,
    /// As `ip link` calls it: `UP`, `DOWN`, `LOWERLAYERDOWN`, `UNKNOWN` and the like.
    pub operstate: &'static str,
    pub carrier: bool,
    /// `veth`, `bridge`, `vxlan`, `tun`, `macvlan`, `vlan` and the like; `None` for hardware and the loopback.
    pub kind: Option<String>,
    /// The index of the bridge, bond or VRF that it belongs to.
    pub master: Option<u32>,
    pub peer: Option<Peer>,
    pub xdp: Xdp,
    pub txqlen: u32,
    /// The length of the link layer's header, by the device's type: 14 bytes for Ethernet.
    pub header_len: u32,
    /// The counters that `ip -s -s link` shows, by the kernel's names for them: `rx_dropped` and the like.
    pub stats: BTreeMap<&'static str, u64>,
    /// The driver's own counters (`ethtool -S`) that tell of losses.
    pub driver_stats: BTreeMap<String, u64>,
    /// Of VXLAN and Geneve.
    pub vni: Option<u32>,
    pub tunnel: Option<Tunnel>,
    /// Of an ipvlan that routes (`l3`, `l3s`) rather than switches.
    pub routes: bool,
    pub vlan: Option<u16>,
    /// Of a bridge: whether it filters by VLAN.
    pub vlan_filtering: bool,
    pub bridge_port: Option<BridgePort>,
}

impl Link {
    pub fn stat(&self, name: &str) -> u64 {
        self.stats.get(name).copied().unwrap_or(0)
    }

    pub const fn is_up(&self) -> bool {
        self.flags & libc::IFF_UP.cast_unsigned() != 0
    }
}

/// The other end of a veth pair; for a VLAN, a macvlan or a tunnel the device below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub index: u32,
    /// The inode number of its namespace; `None` if nothing leads there.
    pub netns: Option<u32>,
}

/// The numbers of the XDP programs on a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Xdp {
    pub native: Option<u32>,
    pub generic: Option<u32>,
    pub offload: Option<u32>,
}

impl Xdp {
    pub fn programs(self) -> impl Iterator<Item = u32> {
        [self.native, self.generic, self.offload].into_iter().flatten()
    }
}

/// The ends of a tunnel in IP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tunnel {
    /// `None` for any.
    pub local: Option<IpAddr>,
    pub remote: Option<IpAddr>,
    /// Of GRE: the key that packets must have on their way in.
    pub key: Option<u32>,
    /// What it adds to a packet: the outer IP header and its own.
    pub overhead: u32,
}

/// What a bridge does with a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgePort {
    /// `disabled`, `listening`, `learning`, `forwarding` or `blocking`.
    pub state: &'static str,
    /// Frames from another isolated port are refused.
    pub isolated: bool,
    /// Frames from an address that was not authorised are refused.
    pub locked: bool,
    pub learning: bool,
    /// Frames for an address that is not known are sent here, too.
    pub flood: bool,
    pub multicast_flood: bool,
    pub neighbour_suppression: bool,
}

/// What later parts of `linux/if_link.h` number; libc has only the older ones.
mod attributes_of {
    pub(super) const MIN_MTU: u16 = 50;
    pub(super) const MAX_MTU: u16 = 51;

    pub(super) const INFO_KIND: u16 = 1;
    pub(super) const INFO_DATA: u16 = 2;
    pub(super) const INFO_SLAVE_KIND: u16 = 4;
    pub(super) const INFO_SLAVE_DATA: u16 = 5;

    pub(super) const VXLAN_ID: u16 = 1;
    pub(super) const GENEVE_ID: u16 = 1;
    pub(super) const IPVLAN_MODE: u16 = 1;
    pub(super) const GRE_IFLAGS: u16 = 2;
    pub(super) const GRE_OFLAGS: u16 = 3;
    pub(super) const GRE_IKEY: u16 = 4;
    pub(super) const GRE_LOCAL: u16 = 6;
    pub(super) const GRE_REMOTE: u16 = 7;
    pub(super) const IPTUN_LOCAL: u16 = 2;
    pub(super) const IPTUN_REMOTE: u16 = 3;
    pub(super) const VLAN_ID: u16 = 1;
    pub(super) const BRIDGE_VLAN_FILTERING: u16 = 7;

    pub(super) const XDP_ATTACHED: u16 = 2;
    pub(super) const XDP_PROG_ID: u16 = 4;
    pub(super) const XDP_DRV_PROG_ID: u16 = 5;
    pub(super) const XDP_SKB_PROG_ID: u16 = 6;
    pub(super) const XDP_HW_PROG_ID: u16 = 7;

    pub(super) const PORT_STATE: u16 = 1;
    pub(super) const PORT_LEARNING: u16 = 8;
    pub(super) const PORT_UNICAST_FLOOD: u16 = 9;
    pub(super) const PORT_MCAST_FLOOD: u16 = 27;
    pub(super) const PORT_NEIGH_SUPPRESS: u16 = 32;
    pub(super) const PORT_ISOLATED: u16 = 33;
    pub(super) const PORT_LOCKED: u16 = 39;
}

/// `struct rtnl_link_stats64`, in its order; later kernels append.
const STATS: [&str; 25] = [
    "rx_packets",
    "tx_packets",
    "rx_bytes",
    "tx_bytes",
    "rx_errors",
    "tx_errors",
    "rx_dropped",
    "tx_dropped",
    "multicast",
    "collisions",
    "rx_length_errors",
    "rx_over_errors",
    "rx_crc_errors",
    "rx_frame_errors",
    "rx_fifo_errors",
    "rx_missed_errors",
    "tx_aborted_errors",
    "tx_carrier_errors",
    "tx_fifo_errors",
    "tx_heartbeat_errors",
    "tx_window_errors",
    "rx_compressed",
    "tx_compressed",
    "rx_nohandler",
    "rx_otherhost_dropped",
];

/// The devices of the thread's namespace, whose inode number is `inum`. `namespaces` are where a peer may be.
pub(crate) fn read(inum: u32, namespaces: &Namespaces, deadline: Instant) -> io::Result<Vec<Link>> {
    let answers = dump(libc::RTM_GETLINK, &[0; HEADER], deadline)?;
    let mut links: Vec<(Link, Option<i32>)> = answers.iter().filter_map(|answer| parse(answer)).collect();
    let wanted: BTreeSet<i32> = links.iter().filter_map(|(_, nsid)| *nsid).collect();
    let known = inode_numbers(&wanted, namespaces, deadline);
    for (link, nsid) in &mut links {
        if let Some(peer) = &mut link.peer {
            peer.netns = match nsid {
                Some(nsid) => known.get(nsid).copied(),
                None => Some(inum),
            };
        }
        link.driver_stats = ethtool::statistics(&link.name);
        link.driver_stats.retain(|name, _| tells_of_losses(name));
    }
    Ok(links.into_iter().map(|(link, _)| link).collect())
}

/// Whether a driver's counter of this name may count lost packets.
fn tells_of_losses(name: &str) -> bool {
    const PARTS: [&str; 8] = ["drop", "err", "miss", "discard", "no_buf", "nobuf", "fifo", "over"];
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part))
}

const ETHERNET: u32 = 14;

/// `struct ifinfomsg`: family, padding, type at 2, index at 4, flags at 8, change.
const HEADER: usize = 16;

/// A device, and the thread's namespace's number for that of its peer.
fn parse(message: &[u8]) -> Option<(Link, Option<i32>)> {
    let mut link = Link {
        header_len: header_len(message.u16_at(2)?),
        index: message.u32_at(4)?,
        flags: message.u32_at(8)?,
        operstate: "UNKNOWN",
        ..Link::default()
    };
    let mut nsid = None;
    for (kind, value) in attributes(message.get(HEADER..)?) {
        match kind {
            libc::IFLA_IFNAME => link.name = text(value),
            libc::IFLA_MTU => link.mtu = value.u32_at(0)?,
            attributes_of::MIN_MTU => link.min_mtu = value.u32_at(0)?,
            attributes_of::MAX_MTU => link.max_mtu = value.u32_at(0)?,
            libc::IFLA_OPERSTATE => link.operstate = operstate(value.u8_at(0)?),
            libc::IFLA_CARRIER => link.carrier = value.u8_at(0)? != 0,
            libc::IFLA_MASTER => link.master = value.u32_at(0),
            // 0 is "none": a tunnel that is bound to no device.
            libc::IFLA_LINK => {
                link.peer =
                    value.u32_at(0).filter(|index| *index != 0).map(|index| Peer { index, netns: None });
            }
            libc::IFLA_LINK_NETNSID => nsid = value.i32_at(0),
            libc::IFLA_TXQLEN => link.txqlen = value.u32_at(0)?,
            libc::IFLA_STATS64 => link.stats = stats(value),
            libc::IFLA_XDP => link.xdp = xdp(value),
            libc::IFLA_LINKINFO => link_info(value, &mut link),
            _ => {}
        }
    }
    Some((link, nsid))
}

fn stats(value: &[u8]) -> BTreeMap<&'static str, u64> {
    STATS.into_iter().enumerate().map_while(|(place, name)| Some((name, value.u64_at(place * 8)?))).collect()
}

fn xdp(value: &[u8]) -> Xdp {
    use attributes_of::{XDP_ATTACHED, XDP_DRV_PROG_ID, XDP_HW_PROG_ID, XDP_PROG_ID, XDP_SKB_PROG_ID};
    let id = |kind| attribute(value, kind).and_then(|id| id.u32_at(0)).filter(|id| *id != 0);
    // With one program only, older kernels tell its number and the mode that it is attached in.
    let only = |mode| {
        let attached = attribute(value, XDP_ATTACHED).and_then(|mode| mode.u8_at(0));
        id(XDP_PROG_ID).filter(|_| attached == Some(mode))
    };
    Xdp {
        native: id(XDP_DRV_PROG_ID).or_else(|| only(1)),
        generic: id(XDP_SKB_PROG_ID).or_else(|| only(2)),
        offload: id(XDP_HW_PROG_ID).or_else(|| only(3)),
    }
}

fn link_info(info: &[u8], link: &mut Link) {
    use attributes_of::{
        BRIDGE_VLAN_FILTERING, GENEVE_ID, INFO_DATA, INFO_KIND, INFO_SLAVE_DATA, INFO_SLAVE_KIND,
        IPVLAN_MODE, VLAN_ID, VXLAN_ID,
    };
    link.kind = attribute(info, INFO_KIND).map(text);
    let data = attribute(info, INFO_DATA).unwrap_or_default();
    match link.kind.as_deref() {
        Some("vxlan") => link.vni = attribute(data, VXLAN_ID).and_then(|id| id.u32_at(0)),
        Some("geneve") => link.vni = attribute(data, GENEVE_ID).and_then(|id| id.u32_at(0)),
        Some(kind @ ("gre" | "gretap" | "ip6gre" | "ip6gretap")) => link.tunnel = Some(gre(kind, data)),
        Some("ipip" | "sit" | "ip6tnl") => link.tunnel = Some(ip_tunnel(data)),
        // Mode 0 is `l2`.
        Some("ipvlan") => {
            link.routes = attribute(data, IPVLAN_MODE).and_then(|mode| mode.u16_at(0)).unwrap_or(0) != 0;
        }
        Some("vlan") => link.vlan = attribute(data, VLAN_ID).and_then(|id| id.u16_at(0)),
        Some("bridge") => {
            link.vlan_filtering =
                attribute(data, BRIDGE_VLAN_FILTERING).and_then(|on| on.u8_at(0)).unwrap_or(0) != 0;
        }
        _ => {}
    }
    if attribute(info, INFO_SLAVE_KIND).map(text).as_deref() == Some("bridge") {
        link.bridge_port = attribute(info, INFO_SLAVE_DATA).map(bridge_port);
    }
}

fn gre(kind: &str, data: &[u8]) -> Tunnel {
    use attributes_of::{GRE_IFLAGS, GRE_IKEY, GRE_LOCAL, GRE_OFLAGS, GRE_REMOTE};
    /// Each makes the header four bytes longer (RFC 2890).
    const CHECKSUM: u16 = 0x8000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const HEADER: u32 = 4;
    let flags = |kind| attribute(data, kind).and_then(|flags| flags.be16_at(0)).unwrap_or(0);
    let key = attribute(data, GRE_IKEY).and_then(|key| key.array_at(0)).map(u32::from_be_bytes);
    let ethernet = if kind.ends_with("tap") { ETHERNET } else { 0 };
    let fields = (flags(GRE_OFLAGS) & (CHECKSUM | KEY | SEQUENCE)).count_ones();
    let mut tunnel = Tunnel {
        local: end(data, GRE_LOCAL),
        remote: end(data, GRE_REMOTE),
        key: key.filter(|_| flags(GRE_IFLAGS) & KEY != 0),
        overhead: HEADER + 4 * fields + ethernet,
    };
    tunnel.overhead += outer(&tunnel);
    tunnel
}

fn ip_tunnel(data: &[u8]) -> Tunnel {
    use attributes_of::{IPTUN_LOCAL, IPTUN_REMOTE};
    let mut tunnel =
        Tunnel { local: end(data, IPTUN_LOCAL), remote: end(data, IPTUN_REMOTE), ..Tunnel::default() };
    tunnel.overhead = outer(&tunnel);
    tunnel
}

/// An end of a tunnel; a zero address is none.
fn end(data: &[u8], kind: u16) -> Option<IpAddr> {
    attribute(data, kind).and_then(address).filter(|address| !address.is_unspecified())
}

/// The length of the outer IP header.
const fn outer(tunnel: &Tunnel) -> u32 {
    match (tunnel.remote, tunnel.local) {
        (Some(IpAddr::V6(_)), _) | (None, Some(IpAddr::V6(_))) => 40,
        _ => 20,
    }
}

fn bridge_port(data: &[u8]) -> BridgePort {
    use attributes_of::{
        PORT_ISOLATED, PORT_LEARNING, PORT_LOCKED, PORT_MCAST_FLOOD, PORT_NEIGH_SUPPRESS, PORT_STATE,
        PORT_UNICAST_FLOOD,
    };
    let number = |kind| attribute(data, kind).and_then(|value| value.u8_at(0));
    let flag = |kind, default| number(kind).map_or(default, |on| on != 0);
    BridgePort {
        state: match number(PORT_STATE) {
            Some(0) => "disabled",
            Some(1) => "listening",
            Some(2) => "learning",
            Some(3) => "forwarding",
            Some(4) => "blocking",
            _ => "unknown",
        },
        isolated: flag(PORT_ISOLATED, false),
        locked: flag(PORT_LOCKED, false),
        learning: flag(PORT_LEARNING, true),
        flood: flag(PORT_UNICAST_FLOOD, true),
        multicast_flood: flag(PORT_MCAST_FLOOD, true),
        neighbour_suppression: flag(PORT_NEIGH_SUPPRESS, false),
    }
}

/// RFC 2863, as `ip link` spells it.
const fn operstate(state: u8) -> &'static str {
    match state {
        1 => "NOTPRESENT",
        2 => "DOWN",
        3 => "LOWERLAYERDOWN",
        4 => "TESTING",
        5 => "DORMANT",
        6 => "UP",
        _ => "UNKNOWN",
    }
}

/// `dev->hard_header_len`, which no interface tells, by the device's type (`ARPHRD_…`).
const fn header_len(kind: u16) -> u32 {
    match kind {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => ETHERNET,
        libc::ARPHRD_INFINIBAND => 24,
        // Tunnels and tun devices carry bare IP packets.
        _ => 0,
    }
}

/// The inode numbers behind the numbers that the thread's namespace has for others.
fn inode_numbers(wanted: &BTreeSet<i32>, namespaces: &Namespaces, deadline: Instant) -> BTreeMap<i32, u32> {
    let mut found = BTreeMap::new();
    for (inum, namespace) in namespaces.iter() {
        if found.len() == wanted.len() {
            break;
        }
        let nsid = open(inum, namespace).and_then(|file| nsid_of(&file, deadline));
        if let Some(nsid) = nsid.ok().flatten().filter(|nsid| wanted.contains(nsid)) {
            found.insert(nsid, inum);
        }
    }
    found
}

/// The number that the thread's namespace has for another; `None` if it never needed one.
fn nsid_of(namespace: &File, deadline: Instant) -> io::Result<Option<i32>> {
    const NETNSA_NSID: u16 = 1;
    const NETNSA_FD: u16 = 3;
    /// `struct rtgenmsg`, padded.
    const GENERIC_HEADER: usize = 4;
    let mut request = vec![0; GENERIC_HEADER];
    push_attribute(&mut request, NETNSA_FD, &namespace.as_raw_fd().to_ne_bytes());
    let answer = get(libc::RTM_GETNSID, &request, deadline)?;
    let nsid = attribute(answer.get(GENERIC_HEADER..).unwrap_or_default(), NETNSA_NSID);
    Ok(nsid.and_then(|nsid| nsid.i32_at(0)).filter(|nsid| *nsid >= 0))
}

#[cfg(test)]
mod tests {
    use super::{super::netlink::nested, *};

    fn header(kind: u16) -> Vec<u8> {
        let mut message = vec![0; HEADER];
        message[2..4].copy_from_slice(&kind.to_ne_bytes());
        message[4..8].copy_from_slice(&7_u32.to_ne_bytes());
        message[8..12].copy_from_slice(&1_u32.to_ne_bytes());
        message
    }

    #[test]
    fn a_veth_s_end_is_read_with_its_peer() {
        let mut message = header(libc::ARPHRD_ETHER);
        let stats: Vec<u8> = (0..24_u64).flat_map(u64::to_ne_bytes).collect();
        for (kind, value) in [
            (libc::IFLA_IFNAME, &b"eth0\0"[..]),
            (libc::IFLA_MTU, &1400_u32.to_ne_bytes()),
            (libc::IFLA_LINK, &3_u32.to_ne_bytes()),
            (libc::IFLA_LINK_NETNSID, &2_i32.to_ne_bytes()),
            (libc::IFLA_OPERSTATE, &[6]),
            (libc::IFLA_STATS64, &stats),
            (libc::IFLA_LINKINFO, &nested(&[(1, b"veth\0")])),
            (200, b"from a later kernel"),
        ] {
            push_attribute(&mut message, kind, value);
        }
        let (link, nsid) = parse(&message).expect("whole");
        assert_eq!((link.index, link.name.as_str(), link.mtu, link.header_len), (7, "eth0", 1400, 14));
        assert_eq!((link.kind.as_deref(), link.operstate, link.is_up()), (Some("veth"), "UP", true));
        assert_eq!((link.peer, nsid), (Some(Peer { index: 3, netns: None }), Some(2)));
        // The kernel that wrote it has one counter fewer.
        assert_eq!((link.stat("rx_dropped"), link.stat("rx_nohandler"), link.stats.len()), (6, 23, 24));
        assert_eq!(parse(&message[..7]), None);
    }

    #[test]
    fn a_bridge_port_tells_its_state_and_flags() {
        let data = nested(&[(1, &[4]), (33, &[1]), (8, &[0])]);
        let mut link = Link::default();
        link_info(
            &nested(&[
                (1, b"vxlan\0"),
                (2, &nested(&[(1, &77_u32.to_ne_bytes())])),
                (4, b"bridge\0"),
                (5, &data),
            ]),
            &mut link,
        );
        assert_eq!(link.vni, Some(77));
        let port = link.bridge_port.expect("a port");
        assert_eq!((port.state, port.isolated, port.learning, port.flood), ("blocking", true, false, true));
    }

    #[test]
    fn a_tunnel_tells_its_ends_its_key_and_what_it_adds() {
        let of = |kind: &[u8], data: &[(u16, &[u8])]| {
            let mut link = Link::default();
            link_info(&nested(&[(1, kind), (2, &nested(data))]), &mut link);
            link
        };
        let key = &7_u32.to_be_bytes();
        let (iflags, oflags) = (&0x2000_u16.to_be_bytes(), &0x3000_u16.to_be_bytes());
        let local = &[10, 0, 0, 1];
        let gre = of(b"gre\0", &[(2, iflags), (3, oflags), (4, key), (6, local), (7, &[0; 4])]);
        let local = Some(IpAddr::from(*local));
        assert_eq!(gre.tunnel, Some(Tunnel { local, remote: None, key: Some(7), overhead: 32 }));
        let without_key = of(b"gre\0", &[(2, &[0, 0]), (4, key)]).tunnel.expect("a tunnel");
        assert_eq!((without_key.key, without_key.overhead), (None, 24));
        let ip6tnl = of(b"ip6tnl\0", &[(2, &[1; 16]), (3, &[2; 16])]).tunnel.expect("a tunnel");
        assert_eq!((ip6tnl.remote, ip6tnl.overhead), (Some(IpAddr::from([2; 16])), 40));
        assert_eq!(of(b"geneve\0", &[(1, &42_u32.to_ne_bytes())]).vni, Some(42));
        assert!(of(b"ipvlan\0", &[(1, &1_u16.to_ne_bytes())]).routes);
        assert!(!of(b"ipvlan\0", &[(1, &0_u16.to_ne_bytes())]).routes);
    }

    #[test]
    fn xdp_programs_are_reported_by_their_mode() {
        let id = 12_u32.to_ne_bytes();
        assert_eq!(xdp(&nested(&[(2, &[0])])), Xdp::default());
        assert_eq!(xdp(&nested(&[(2, &[2]), (4, &id)])).generic, Some(12));
        assert_eq!(xdp(&nested(&[(2, &[1]), (4, &id), (5, &id)])).programs().collect::<Vec<_>>(), [12]);
    }

    #[test]
    fn only_counters_of_losses_are_kept_of_a_driver_s() {
        for name in ["rx_queue_0_xdp_drops", "rx_missed_errors", "rx_no_buffer_count", "TxDiscards"] {
            assert!(tells_of_losses(name), "{name}");
        }
        assert!(!tells_of_losses("rx_queue_0_xdp_packets"));
    }
}

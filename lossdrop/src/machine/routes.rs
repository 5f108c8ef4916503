//! What a namespace would do with a packet: the entry of its routing tables that matches, or the refusal.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    time::{Duration, Instant},
};

use ipnet::IpNet;
use nix::net::if_::if_nameindex;

use super::{
    netlink::{Fields as _, address, attribute, attributes, dump, get, octets, push_attribute},
    take::within,
};

/// Which packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    pub dst: IpAddr,
    /// Needed for IPv4 with `iif`: the kernel looks at the source of what arrives.
    pub src: Option<IpAddr>,
    /// The index of the device that it arrives on; `None` for one that is sent from here.
    pub iif: Option<u32>,
    pub mark: Option<u32>,
}

impl Query {
    pub const fn to(dst: IpAddr) -> Self {
        Self { dst, src: None, iif: None, mark: None }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub kind: RouteKind,
    /// The prefix of the entry that matched; `None` where no entry did.
    pub dst: Option<IpNet>,
    pub table: Option<u32>,
    /// The device's index and name.
    pub oif: Option<(u32, String)>,
    pub gateway: Option<IpAddr>,
    /// The entry's own MTU, if it has one.
    pub mtu: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    Unicast,
    Local,
    Broadcast,
    Anycast,
    Multicast,
    Blackhole,
    /// Without a prefix, for what arrives: it is not forwarded (`ip_forward` is off), or a rule refuses it.
    Unreachable,
    Prohibit,
    Throw,
    /// No entry matches.
    NoRoute,
    /// A packet with this source may not arrive on this device (IPv4's `rp_filter`).
    ReversePath,
    /// The source or the destination is none that may arrive from outside, or the source none to send from here.
    Martian,
    /// Refused, or of a type that is not known.
    Other,
}

impl RouteKind {
    /// As `ip route` calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unicast => "unicast",
            Self::Local => "local",
            Self::Broadcast => "broadcast",
            Self::Anycast => "anycast",
            Self::Multicast => "multicast",
            Self::Blackhole => "blackhole",
            Self::Unreachable => "unreachable",
            Self::Prohibit => "prohibit",
            Self::Throw => "throw",
            Self::NoRoute => "no route",
            Self::ReversePath => "reverse path",
            Self::Martian => "martian",
            Self::Other => "other",
        }
    }

    const fn from_type(kind: u8) -> Self {
        match kind {
            libc::RTN_UNICAST => Self::Unicast,
            libc::RTN_LOCAL => Self::Local,
            libc::RTN_BROADCAST => Self::Broadcast,
            libc::RTN_ANYCAST => Self::Anycast,
            libc::RTN_MULTICAST => Self::Multicast,
            libc::RTN_BLACKHOLE => Self::Blackhole,
            libc::RTN_UNREACHABLE => Self::Unreachable,
            libc::RTN_PROHIBIT => Self::Prohibit,
            libc::RTN_THROW => Self::Throw,
            _ => Self::Other,
        }
    }

    /// `fib_props` in `net/ipv4/fib_semantics.c`, and `ip6_rt_type_to_error` in `net/ipv6/route.c`. EINVAL stands for a
    /// martian, too.
    fn from_error(error: &io::Error) -> Option<Self> {
        match error.raw_os_error()? {
            libc::EINVAL => Some(Self::Blackhole),
            libc::EHOSTUNREACH => Some(Self::Unreachable),
            libc::EACCES => Some(Self::Prohibit),
            libc::ENETUNREACH | libc::EAGAIN => Some(Self::NoRoute),
            libc::EXDEV => Some(Self::ReversePath),
            _ => None,
        }
    }

    const fn is_refusal(self) -> bool {
        matches!(self, Self::Blackhole | Self::Unreachable | Self::Prohibit)
    }
}

/// What a namespace does with a packet; `None` if it could not be asked.
pub fn route(netns: &Path, query: Query, limit: Duration) -> Option<Route> {
    within(netns, limit, move |deadline| look_up(query, deadline)).ok()?.ok()
}

/// The way back to a source: where it leads, and by which device. A strict `rp_filter` refuses packets from that
/// source that arrive on another.
pub fn reverse_path(netns: &Path, source: IpAddr, mark: Option<u32>, limit: Duration) -> Option<Route> {
    route(netns, Query { mark, ..Query::to(source) }, limit)
}

/// In the thread's namespace.
fn look_up(query: Query, deadline: Instant) -> io::Result<Route> {
    let names = names();
    match get(libc::RTM_GETROUTE, &request(query), deadline) {
        Ok(answer) => {
            let (route, oif) = parse(&answer).ok_or(io::ErrorKind::InvalidData)?;
            let oif = oif.map(|index| (index, names.get(&index).cloned().unwrap_or_default()));
            Ok(Route { oif, ..route })
        }
        Err(error) => refusal(query, &error, deadline)?.ok_or(error),
    }
}

/// What a refusal means; `None` if it is none.
fn refusal(query: Query, error: &io::Error, deadline: Instant) -> io::Result<Option<Route>> {
    let Some(kind) = RouteKind::from_error(error) else { return Ok(None) };
    let entry = if kind.is_refusal() { refusing_entry(query.dst, kind, deadline)? } else { None };
    let (dst, table) = entry.unzip();
    let kind = match (kind, dst, query) {
        (RouteKind::Blackhole, None, Query { iif: Some(iif), src: Some(src), mark, .. }) => {
            refused_source(src, iif, mark, deadline)
        }
        // Which of the errors IPv4 has for it depends on the kernel.
        (_, None, Query { iif: None, src: Some(src @ IpAddr::V4(_)), .. }) if !is_local(src, deadline) => {
            RouteKind::Martian
        }
        _ => kind,
    };
    Ok(Some(Route { kind, dst, table, oif: None, gateway: None, mtu: None }))
}

fn is_local(address: IpAddr, deadline: Instant) -> bool {
    let answer = get(libc::RTM_GETROUTE, &request(Query::to(address)), deadline);
    answer.ok().as_deref().and_then(parse).is_some_and(|(route, _)| route.kind == RouteKind::Local)
}

/// Why a packet may not arrive with this source. Later kernels (6.18) do not tell the reverse path's refusal from
/// the others.
fn refused_source(source: IpAddr, iif: u32, mark: Option<u32>, deadline: Instant) -> RouteKind {
    let way_back = get(libc::RTM_GETROUTE, &request(Query { mark, ..Query::to(source) }), deadline);
    match way_back.ok().as_deref().and_then(parse) {
        Some((Route { kind: RouteKind::Unicast, .. }, oif)) if oif == Some(iif) => RouteKind::Martian,
        Some((Route { kind: RouteKind::Unicast, .. }, _)) | None => RouteKind::ReversePath,
        Some(_) => RouteKind::Martian,
    }
}

/// The entry that refuses a destination, with its table. The kernel tells the refusal only, so the tables are searched
/// for the longest prefix.
fn refusing_entry(dst: IpAddr, kind: RouteKind, deadline: Instant) -> io::Result<Option<(IpNet, u32)>> {
    let mut header = [0; HEADER];
    header[0] = family(dst);
    let answers = dump(libc::RTM_GETROUTE, &header, deadline)?;
    let entries = answers.iter().filter_map(|answer| parse(answer)).filter_map(|(route, _)| {
        let prefix = route.dst.filter(|prefix| route.kind == kind && prefix.contains(&dst))?;
        Some((prefix, route.table?))
    });
    Ok(entries.max_by_key(|(prefix, _)| prefix.prefix_len()))
}

/// `struct rtmsg`: family, lengths of the destination's and the source's prefix, TOS, table, protocol, scope and type a
/// byte each, flags.
const HEADER: usize = 12;

// `linux/rtnetlink.h`; the libc crate has them for glibc only.
const RTM_F_LOOKUP_TABLE: u32 = 0x1000;
const RTM_F_FIB_MATCH: u32 = 0x2000;
const RTA_VIA: u16 = 18;

fn request(query: Query) -> Vec<u8> {
    let bits = |address: IpAddr| if address.is_ipv4() { 32 } else { 128 };
    let mut message = vec![family(query.dst), bits(query.dst), query.src.map_or(0, bits), 0, 0, 0, 0, 0];
    message.extend((RTM_F_FIB_MATCH | RTM_F_LOOKUP_TABLE).to_ne_bytes());
    push_attribute(&mut message, libc::RTA_DST, &octets(query.dst));
    if let Some(src) = query.src {
        push_attribute(&mut message, libc::RTA_SRC, &octets(src));
    }
    for (kind, number) in [(libc::RTA_IIF, query.iif), (libc::RTA_MARK, query.mark)] {
        if let Some(number) = number {
            push_attribute(&mut message, kind, &number.to_ne_bytes());
        }
    }
    message
}

const fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    }
}

/// An entry, without the device's name, and the device's index.
fn parse(message: &[u8]) -> Option<(Route, Option<u32>)> {
    const RTAX_MTU: u16 = 2;
    let any = match i32::from(message.u8_at(0)?) {
        libc::AF_INET => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        libc::AF_INET6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let (len, table) = (message.u8_at(1)?, message.u8_at(4)?);
    let mut route = Route {
        kind: RouteKind::from_type(message.u8_at(7)?),
        dst: IpNet::new(any, len).ok(),
        table: Some(table.into()),
        oif: None,
        gateway: None,
        mtu: None,
    };
    let mut oif = None;
    for (kind, value) in attributes(message.get(HEADER..)?) {
        match kind {
            libc::RTA_DST => route.dst = IpNet::new(address(value)?, len).ok(),
            libc::RTA_TABLE => route.table = value.u32_at(0),
            libc::RTA_OIF => oif = value.u32_at(0),
            libc::RTA_GATEWAY => route.gateway = address(value),
            // `struct rtvia`: family, address.
            RTA_VIA => route.gateway = value.get(2..).and_then(address),
            libc::RTA_METRICS => route.mtu = attribute(value, RTAX_MTU).and_then(|mtu| mtu.u32_at(0)),
            // The first of several ways; which one a packet takes depends on its flow. `struct rtnexthop`: length,
            // flags, hops, device, attributes.
            libc::RTA_MULTIPATH => {
                oif = oif.or_else(|| value.u32_at(4));
                let end = usize::from(value.u16_at(0)?);
                let way = value.get(8..end).unwrap_or_default();
                route.gateway = route.gateway.or_else(|| attribute(way, libc::RTA_GATEWAY).and_then(address));
            }
            _ => {}
        }
    }
    Some((route, oif))
}

fn names() -> BTreeMap<u32, String> {
    let devices = if_nameindex().map(|devices| {
        devices
            .iter()
            .map(|device| (device.index(), super::netlink::text(device.name().to_bytes())))
            .collect()
    });
    devices.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_tells_its_prefix_way_and_mtu() {
        let mut message = vec![libc::AF_INET as u8, 16, 0, 0, 254, 0, 0, libc::RTN_UNICAST, 0, 0, 0, 0];
        let mut metrics = Vec::new();
        push_attribute(&mut metrics, 2, &1300_u32.to_ne_bytes());
        for (kind, value) in [
            (libc::RTA_DST, &[10, 9, 0, 0][..]),
            (libc::RTA_TABLE, &1000_u32.to_ne_bytes()),
            (libc::RTA_OIF, &7_u32.to_ne_bytes()),
            (libc::RTA_GATEWAY, &[10, 0, 0, 1]),
            (libc::RTA_METRICS, &metrics),
        ] {
            push_attribute(&mut message, kind, value);
        }
        let (route, oif) = parse(&message).expect("whole");
        assert_eq!(
            (route.kind, oif, route.table, route.mtu),
            (RouteKind::Unicast, Some(7), Some(1000), Some(1300))
        );
        assert_eq!(route.dst, "10.9.0.0/16".parse().ok());
        assert_eq!(route.gateway, "10.0.0.1".parse().ok());
        assert_eq!(parse(&message[..7]), None);
    }

    #[test]
    fn a_default_route_has_no_destination_and_several_ways_the_first() {
        let mut message = vec![libc::AF_INET6 as u8, 0, 0, 0, 254, 0, 0, libc::RTN_UNICAST, 0, 0, 0, 0];
        let mut way = [28_u16.to_ne_bytes().as_slice(), &[0, 0], &9_u32.to_ne_bytes()].concat();
        let gateway: Ipv6Addr = "fd00::1".parse().expect("valid");
        push_attribute(&mut way, libc::RTA_GATEWAY, &gateway.octets());
        push_attribute(&mut message, libc::RTA_MULTIPATH, &way);
        let (route, oif) = parse(&message).expect("whole");
        assert_eq!((route.dst, oif, route.gateway), ("::/0".parse().ok(), Some(9), Some(gateway.into())));
    }

    #[test]
    fn refusals_are_known_by_their_error() {
        let kind = |code| RouteKind::from_error(&io::Error::from_raw_os_error(code));
        assert_eq!(kind(libc::EHOSTUNREACH), Some(RouteKind::Unreachable));
        assert_eq!(kind(libc::EPERM), None);
    }
}

//! The words for a packet's headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lossdrop_common::{Event, L3, Shape, event::bytes_of, parse};

use crate::knowledge::protocols::protocol_name;

/// The flags of a TCP header, by the letters that are usual for them.
const TCP_FLAGS: [(u8, char); 8] =
    [(0x02, 'S'), (0x01, 'F'), (0x04, 'R'), (0x08, 'P'), (0x10, 'A'), (0x20, 'U'), (0x40, 'E'), (0x80, 'C')];

/// `SA` for SYN and ACK, and so on; empty for none.
pub fn tcp_flags(flags: u8) -> String {
    TCP_FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, letter)| letter).collect()
}

/// Source and destination.
pub fn addresses(event: &Event) -> Option<(IpAddr, IpAddr)> {
    let address = |words: [u64; 2]| {
        let bytes @ [a, b, c, d, ..] = bytes_of(words);
        match L3::from_u8(event.key.l3) {
            L3::Ipv6 => Some(IpAddr::V6(Ipv6Addr::from(bytes))),
            L3::Ipv4 | L3::Arp => Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d))),
            L3::Other => None,
        }
    };
    if event.flags & Event::HAS_ADDRESSES == 0 {
        return None;
    }
    Some((address(event.src)?, address(event.dst)?))
}

/// Source and destination.
pub fn ports(event: &Event) -> Option<(u16, u16)> {
    (event.flags & Event::HAS_PORTS != 0).then_some((event.sport, event.dport))
}

pub fn vlan(event: &Event) -> Option<u16> {
    (event.vlan_tci != Event::NO_VLAN).then_some(event.vlan_tci & 0xfff)
}

/// The network layer: `ipv4`, `ipv6`, `arp`, or the EtherType as `0x88cc`; `None` for none.
pub fn l3(event: &Event) -> Option<String> {
    match L3::from_u8(event.key.l3) {
        L3::Ipv4 => Some("ipv4".to_owned()),
        L3::Ipv6 => Some("ipv6".to_owned()),
        L3::Arp => Some("arp".to_owned()),
        L3::Other if event.ethertype == 0 => None,
        L3::Other => Some(format!("{:#06x}", event.ethertype)),
    }
}

/// The transport protocol: a name, else its number; `None` where the packet has no IP header.
pub fn protocol(event: &Event) -> Option<String> {
    match L3::from_u8(event.key.l3) {
        L3::Ipv4 | L3::Ipv6 => Some(match protocol_name(event.key.l4.into()) {
            Some(name) => name.to_owned(),
            None => event.key.l4.to_string(),
        }),
        L3::Arp | L3::Other => None,
    }
}

/// A protocol's name, else `proto 99`.
pub fn protocol_word(number: u8) -> String {
    protocol_name(number.into()).map_or_else(|| format!("proto {number}"), str::to_owned)
}

/// The packet in one line: `10.99.0.1:41234 → 10.99.0.2:80 TCP [S] len 60`.
pub fn line(event: &Event) -> String {
    let mut parts = Vec::new();
    match (addresses(event), ports(event)) {
        (Some((src, dst)), Some((sport, dport))) => {
            parts.push(format!("{} → {}", endpoint(src, sport), endpoint(dst, dport)));
        }
        (Some((src, dst)), None) => parts.push(format!("{src} → {dst}")),
        (None, _) => {}
    }
    match L3::from_u8(event.key.l3) {
        L3::Arp => parts.push("ARP".to_owned()),
        L3::Ipv4 | L3::Ipv6 => {
            if let Some(protocol) = protocol(event) {
                parts.push(transport(event, &protocol));
            }
        }
        L3::Other if event.ethertype != 0 => parts.push(format!("EtherType {:#06x}", event.ethertype)),
        L3::Other => {}
    }
    if event.key.shape().contains(Shape::FRAGMENT) {
        parts.push("fragment".to_owned());
    }
    if let Some(vlan) = vlan(event) {
        parts.push(format!("vlan {vlan}"));
    }
    parts.push(format!("len {}", event.len));
    parts.join(" ")
}

/// `10.0.0.2:80`, `[fd00::2]:80`.
pub fn endpoint(address: IpAddr, port: u16) -> String {
    match address {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    }
}

fn transport(event: &Event, protocol: &str) -> String {
    let name = match protocol.parse::<u8>() {
        Ok(number) => format!("proto {number}"),
        Err(_) if event.key.l4 == parse::IPPROTO_ICMPV6 => "ICMPv6".to_owned(),
        Err(_) => protocol.to_ascii_uppercase(),
    };
    if event.flags & Event::HAS_ICMP != 0 {
        return format!("{name} {}", icmp(event));
    }
    if event.flags & Event::HAS_TCP_FLAGS != 0 {
        return format!("{name} [{}]", tcp_flags(event.tcp_flags));
    }
    name
}

/// The ICMP messages that an operator meets; others by their numbers.
fn icmp(event: &Event) -> String {
    let v6 = event.key.l4 == parse::IPPROTO_ICMPV6;
    let name = match (v6, event.icmp_type, event.icmp_code) {
        (false, 0, _) | (true, 129, _) => "echo reply",
        (false, 8, _) | (true, 128, _) => "echo request",
        (false, 3, 4) | (true, 2, _) => "too big",
        (false, 3, _) | (true, 1, _) => "unreachable",
        (false, 5, _) | (true, 137, _) => "redirect",
        (false, 11, _) | (true, 3, _) => "time exceeded",
        (true, 133, _) => "router solicitation",
        (true, 134, _) => "router advertisement",
        (true, 135, _) => "neighbour solicitation",
        (true, 136, _) => "neighbour advertisement",
        (true, 143, _) => "MLD report",
        (_, kind, code) => return format!("type {kind} code {code}"),
    };
    name.to_owned()
}

//! A dropped packet as the rules of a hook see it.

use lossdrop_common::{Event, Facts, L3, Shape};

use crate::{
    drops::{Kept, judge::name},
    kernel::layout::withheld,
    knowledge::{Family, Hook},
    rules::{ConnectionState, Packet, hook::HookPoint},
};

/// What a rule can see of the packet.
pub(super) fn packet(sample: &Kept, point: HookPoint) -> Packet {
    let event = &sample.event;
    let l3 = L3::from_u8(event.key.l3);
    let (source, destination) = sample.addresses().unzip();
    let (source_port, destination_port) = sample.ports().unzip();
    let byte = |at: usize| sample.packet.get(at).copied();
    let word = |at: usize| Some(u16::from_be_bytes([byte(at)?, byte(at + 1)?]));
    let has = |flag: u8| event.flags & flag != 0;
    let is_ip = matches!(l3, L3::Ipv4 | L3::Ipv6);
    let (input_device, output_device) = devices(sample, point);
    Packet {
        ether_type: Some(event.ethertype),
        source,
        destination,
        protocol: is_ip.then_some(event.key.l4),
        source_port,
        destination_port,
        tcp_flags: has(Event::HAS_TCP_FLAGS).then_some(event.tcp_flags),
        icmp_type: has(Event::HAS_ICMP).then_some(event.icmp_type),
        icmp_code: has(Event::HAS_ICMP).then_some(event.icmp_code),
        length: is_ip.then_some(event.len),
        ttl: match l3 {
            L3::Ipv4 => byte(8),
            L3::Ipv6 => byte(7),
            L3::Arp | L3::Other => None,
        },
        tos: match l3 {
            L3::Ipv4 => byte(1),
            L3::Ipv6 => word(0).map(|word| (word >> 4) as u8),
            L3::Arp | L3::Other => None,
        },
        fragment: match l3 {
            L3::Ipv4 => word(6),
            L3::Ipv6 | L3::Arp | L3::Other => None,
        },
        input_device,
        output_device,
        mark: known(sample, withheld::MARK).map(|facts| facts.packet.mark),
        connection: connection(sample, point),
        reply: connection_info(sample).map(|info| info >= 3),
        packet_type: known(sample, withheld::PACKET_TYPE).map(|facts| facts.packet.pkt_type),
        arp_operation: (l3 == L3::Arp).then(|| word(6)).flatten(),
        ether_source: None,
        ether_destination: None,
    }
}

/// The devices that it came in by and is to leave by, as the hook has them.
fn devices(sample: &Kept, point: HookPoint) -> (Option<String>, Option<String>) {
    let own = Some(sample.iface()).filter(|name| !name.is_empty());
    let route = sample.route().map(|route| name(route.name));
    // Under a bridge, the rules of IP see the bridge rather than its ports.
    let is_bridged =
        point.family != Family::Bridge && sample.frames.iter().any(|frame| frame.starts_with("br_nf_"));
    match (point.hook, point.family) {
        _ if is_bridged => (None, None),
        (Hook::Ingress | Hook::Prerouting | Hook::Input, _) => (own, None),
        (Hook::Forward, Family::Bridge) => (None, own),
        (Hook::Forward, _) => (own.filter(|_| !sample.has_shape(Shape::NO_DEVICE)), route),
        (Hook::Output | Hook::Postrouting | Hook::Egress, _) => (None, route.or(own)),
    }
}

/// The facts, unless this part of them would be wrong on this kernel.
fn known(sample: &Kept, part: u32) -> Option<&Facts> {
    sample.facts.as_deref().filter(|facts| facts.present & part == 0)
}

/// `enum ip_conntrack_info`.
fn connection_info(sample: &Kept) -> Option<u8> {
    let facts = known(sample, withheld::CONNTRACK)?;
    (facts.present & Facts::CONNTRACK != 0).then_some(facts.packet.ctinfo)
}

/// `IP_CT_UNTRACKED`: such a packet has no connection.
const UNTRACKED: u8 = 7;

fn connection(sample: &Kept, point: HookPoint) -> Option<ConnectionState> {
    let facts = known(sample, withheld::CONNTRACK)?;
    match connection_info(sample) {
        Some(0 | 3) => Some(ConnectionState::Established),
        Some(1 | 4) => Some(ConnectionState::Related),
        Some(2) => Some(ConnectionState::New),
        Some(UNTRACKED) => Some(ConnectionState::Untracked),
        Some(_) => None,
        None if facts.packet.ctinfo == UNTRACKED => Some(ConnectionState::Untracked),
        // Behind conntrack, a packet without a connection is one that it found invalid. Before it, none has one.
        None => {
            let behind = matches!(point.hook, Hook::Input | Hook::Forward | Hook::Postrouting);
            behind.then_some(ConnectionState::Invalid)
        }
    }
}

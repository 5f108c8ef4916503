//! Events for the unit tests: made up, and recorded from a kernel (`tests-data/recorded`).

use std::net::IpAddr;

use lossdrop_common::{DropKey, Event, L3, Shape, event::words_of, parse::IPPROTO_TCP};

use crate::{decode::Layout, describe::Describer, kernel::reasons::Reasons, source::Batch, symbols::Symbols};

/// The events of `tests-data/recorded`, in their order.
pub(crate) const RECORDED: [&[u8]; 5] = [
    include_bytes!("../tests-data/recorded/0.event"),
    include_bytes!("../tests-data/recorded/1.event"),
    include_bytes!("../tests-data/recorded/2.event"),
    include_bytes!("../tests-data/recorded/3.event"),
    include_bytes!("../tests-data/recorded/4.event"),
];
pub(crate) const RECORDED_LAYOUT: Layout = Layout { stack_bytes: 256, snaplen: 128 };

/// The names for the recorded events.
pub(crate) fn recorded_describer() -> Describer {
    let reasons = include_str!("../tests-data/recorded/reasons").lines().map(|line| {
        let (number, name) = line.split_once(' ').expect("a number and a name");
        (number.parse().expect("a number"), name.to_owned())
    });
    let symbols = Symbols::read(&include_bytes!("../tests-data/recorded/kallsyms")[..]).expect("a table");
    Describer::new(Some(Reasons::from_names(reasons)), symbols)
}

/// The names for the events made up below: one function a page, one reason each.
pub(crate) fn describer() -> Describer {
    let reasons = [(NOT_SPECIFIED, "NOT_SPECIFIED"), (NO_SOCKET, "NO_SOCKET"), (NETFILTER, "NETFILTER_DROP")];
    let reasons = Reasons::from_names(reasons.map(|(number, name)| (number, name.to_owned())));
    let symbols = "ffff000000001000 T nf_hook_slow\n\
                   ffff000000002000 T __udp4_lib_rcv\n\
                   ffff000000003000 T tcp_v4_rcv\n\
                   ffff000000004000 T _etext\n";
    Describer::new(Some(reasons), Symbols::read(symbols.as_bytes()).expect("a table"))
}

pub(crate) const NOT_SPECIFIED: u32 = 2;
pub(crate) const NO_SOCKET: u32 = 3;
pub(crate) const NETFILTER: u32 = 8;

/// A SYN that a netfilter rule dropped: a fault.
pub(crate) fn fault() -> Event {
    let key = DropKey { location: 0xffff_0000_0000_1010, reason: NETFILTER, ..ipv4(6, &[Shape::SYN]) };
    Event { tcp_flags: 0x02, ..packet(key, "10.99.0.1", "10.99.0.2", Some((41234, 80))) }
}

/// A RST that no socket waited for: noise.
pub(crate) fn noise() -> Event {
    let key = DropKey { location: 0xffff_0000_0000_3020, reason: NO_SOCKET, ..ipv4(6, &[Shape::RST]) };
    Event { tcp_flags: 0x04, ..packet(key, "10.99.0.2", "10.99.0.1", Some((80, 41234))) }
}

/// The key of an IPv4 packet on the device 2 of no namespace: nothing that would be looked up on this machine.
pub(crate) fn ipv4(l4: u8, shape: &[Shape]) -> DropKey {
    let shape = shape.iter().fold(Shape::default(), |all, bit| all.with(*bit));
    DropKey { ifindex: 2, l3: L3::Ipv4 as u8, l4, shape: shape.0, ..DropKey::default() }
}

pub(crate) fn packet(key: DropKey, src: &str, dst: &str, ports: Option<(u16, u16)>) -> Event {
    let (sport, dport) = ports.unwrap_or_default();
    Event {
        key,
        ktime_ns: 1_000_000_000,
        skb_len: 40,
        len: 60,
        cpu: 1,
        mtu: 1500,
        src: address(src),
        dst: address(dst),
        sport,
        dport,
        ethertype: if key.l3 == L3::Ipv6 as u8 { 0x86dd } else { 0x0800 },
        vlan_tci: Event::NO_VLAN,
        flags: match (ports.is_some(), key.l4) {
            (true, IPPROTO_TCP) => Event::HAS_ADDRESSES | Event::HAS_PORTS | Event::HAS_TCP_FLAGS,
            (true, _) => Event::HAS_ADDRESSES | Event::HAS_PORTS,
            (false, _) => Event::HAS_ADDRESSES,
        },
        ifname: name("veth0"),
        ..Event::default()
    }
}

/// An address as an event carries it.
pub(crate) fn address(text: &str) -> [u64; 2] {
    let mut padded = [0; 16];
    match text.parse().expect("an address") {
        IpAddr::V4(address) => padded[..4].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => padded = address.octets(),
    }
    words_of(padded)
}

/// A device's name as an event carries it.
pub(crate) fn name(text: &str) -> [u64; 2] {
    let mut padded = [0; 16];
    padded[..text.len()].copy_from_slice(text.as_bytes());
    words_of(padded)
}

/// The event as the kernel program writes it: field by field in the order of the ABI.
pub(crate) fn bytes(layout: Layout, event: &Event, stack: &[u64], packet: &[u8]) -> Vec<u8> {
    let Event {
        key,
        ktime_ns,
        socket_ino,
        skb_len,
        len,
        cpu,
        mtu,
        src,
        dst,
        sport,
        dport,
        ethertype,
        vlan_tci,
        tcp_flags,
        icmp_type,
        icmp_code,
        flags,
        packet_len: _,
        stack_len: _,
        ifname,
    } = *event;
    let DropKey { location, reason, netns, ifindex, l3, l4, shape } = key;
    let stack = stack.iter().flat_map(|address| address.to_ne_bytes()).collect::<Vec<u8>>();
    let lens = [packet.len(), stack.len()].map(|len| u16::try_from(len).expect("a small event"));
    let mut bytes = location.to_ne_bytes().to_vec();
    bytes.extend([reason, netns, ifindex].iter().flat_map(|field| field.to_ne_bytes()));
    bytes.extend([l3, l4]);
    bytes.extend(shape.to_ne_bytes());
    bytes.extend([ktime_ns, socket_ino].iter().flat_map(|field| field.to_ne_bytes()));
    bytes.extend([skb_len, len, cpu, mtu].iter().flat_map(|field| field.to_ne_bytes()));
    bytes.extend([src, dst].as_flattened().iter().flat_map(|word| word.to_ne_bytes()));
    bytes.extend([sport, dport, ethertype, vlan_tci].iter().flat_map(|field| field.to_ne_bytes()));
    bytes.extend([tcp_flags, icmp_type, icmp_code, flags]);
    bytes.extend(lens.iter().flat_map(|field| field.to_ne_bytes()));
    bytes.extend(ifname.iter().flat_map(|word| word.to_ne_bytes()));
    for (part, room) in [(&stack[..], layout.stack_bytes), (packet, layout.snaplen)] {
        let end = bytes.len() + room;
        bytes.extend(part);
        bytes.resize(end, 0xaa);
    }
    bytes
}

/// The events as one batch, without stacks and packets.
pub(crate) fn batch<'a>(events: impl IntoIterator<Item = &'a Event>) -> Batch {
    let mut batch = Batch::default();
    for event in events {
        batch.push(&bytes(Layout::default(), event, &[], &[]));
    }
    batch
}

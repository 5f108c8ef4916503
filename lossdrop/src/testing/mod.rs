//! Events for the unit tests: made up, and recorded from a kernel (`tests-data/recorded`).

pub(crate) mod diagnosis;
pub(crate) mod live;
mod page;

pub(crate) use page::Page;

use std::{net::IpAddr, path::Path};

use lossdrop_common::{
    DropKey, Event, FactOffsets, Facts, L3, Offsets, Shape,
    event::words_of,
    facts::{DeviceFacts, NetfilterFacts, PacketFacts, PeerFacts, QdiscFacts, RouteFacts, SocketFacts},
    parse::IPPROTO_TCP,
};

use crate::{
    capture::{Batch, Capture, Clock, Recording},
    drops::{Drop, Observer, decode::decode, describe::Describer},
    kernel::{KernelInfo, Names, layout::Layout, reasons::Reasons, symbols::Symbols, types::Types},
};

/// The events of `tests-data/recorded`, in their order.
pub(crate) const RECORDED: [&[u8]; 5] = [
    include_bytes!("../../tests-data/recorded/0.event"),
    include_bytes!("../../tests-data/recorded/1.event"),
    include_bytes!("../../tests-data/recorded/2.event"),
    include_bytes!("../../tests-data/recorded/3.event"),
    include_bytes!("../../tests-data/recorded/4.event"),
];
pub(crate) const RECORDED_LAYOUT: Layout =
    Layout { facts: false, stack_bytes: 256, snaplen: 128, withheld: 0 };

/// The same with their names, as a capture reads them.
pub(crate) fn recording() -> Recording {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests-data/recorded");
    Recording::open(&folder).expect("it is part of the sources")
}

/// The names for the recorded events.
pub(crate) fn recorded_describer() -> Describer {
    Describer::new(Capture::from(recording()).names())
}

/// The names for the events made up below: one function a page, one reason each.
pub(crate) fn names() -> Names {
    let reasons = [(NOT_SPECIFIED, "NOT_SPECIFIED"), (NO_SOCKET, "NO_SOCKET"), (NETFILTER, "NETFILTER_DROP")];
    let reasons = Reasons::from_names(reasons.map(|(number, name)| (number, name.to_owned())));
    let symbols = "ffff000000001000 T nf_hook_slow\n\
                   ffff000000002000 T __udp4_lib_rcv\n\
                   ffff000000003000 T tcp_v4_rcv\n\
                   ffff000000003800 T ip_local_deliver\n\
                   ffff000000004000 T _etext\n";
    Names { reasons: Some(reasons), symbols: Symbols::read(symbols.as_bytes()).expect("a table").into() }
}

pub(crate) fn describer() -> Describer {
    Describer::new(names())
}

pub(crate) fn observer() -> Observer {
    Observer::new(names())
}

/// A kernel that has every field and these reasons.
pub(crate) fn info(reasons: Reasons) -> KernelInfo {
    KernelInfo {
        release: "6.1".to_owned(),
        btf_path: Types::own_path(),
        contradiction: None,
        args: 3,
        offsets: Offsets::NONE,
        missing: Vec::new(),
        fact_offsets: FactOffsets::NONE,
        missing_facts: Vec::new(),
        reasons,
        probes: Vec::new(),
    }
}

/// A drop, as the observer makes it of an event with the names above.
pub(crate) fn dropped(event: &Event) -> Drop<'static> {
    dropped_with(event, None, &[], &[])
}

/// With facts, a stack and a packet.
pub(crate) fn dropped_with(
    event: &Event,
    facts: Option<&Facts>,
    stack: &[u64],
    packet: &[u8],
) -> Drop<'static> {
    let layout =
        Layout { facts: facts.is_some(), stack_bytes: stack.len() * 8, snaplen: packet.len(), withheld: 0 };
    // The drops of tests outlive whatever made them.
    let bytes: &'static [u8] = bytes(layout, event, facts, stack, packet).leak();
    let mut describer = describer();
    let described = describer.describe(&event.key);
    let decoded = decode(layout, bytes).expect("an event");
    Drop::new(decoded, Clock::default(), described, Box::leak(Box::new(describer)))
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

/// A bundle of segments that leaves through one end of a veth pair, with all that can be known of it.
pub(crate) fn facts() -> Facts {
    Facts {
        // Every group, and nothing that is not reported.
        present: u32::MAX >> 8,
        packet: PacketFacts {
            mark: 0x10,
            gso_size: 1448,
            gso_segs: 3,
            queue_mapping: 1,
            pkt_type: 4,
            ctinfo: 2,
        },
        route: RouteFacts { ifindex: 2, mtu: 1500, route_mtu: 1400, pad: 0, name: name("veth0") },
        device: DeviceFacts {
            flags: 0x1043,
            hard_header_len: 14,
            kind: 1,
            bridge_ifindex: 5,
            pad: 0,
            link_kind: name("veth"),
        },
        peer: PeerFacts {
            ifindex: 3,
            netns: 42,
            mtu: 100,
            flags: 0x1043,
            hard_header_len: 14,
            pad: [0; 3],
            name: name("eth0"),
        },
        qdisc: QdiscFacts {
            kind: name("tbf"),
            handle: 0x8001_0000,
            limit: 0,
            qlen: 2,
            backlog: 2084,
            drops: 17,
            flags: 0,
        },
        socket: SocketFacts {
            rcvbuf: 4608,
            rmem: 4609,
            backlog: 1,
            sndbuf: 212_992,
            wmem: 2,
            drops: 3,
            ack_backlog: 4,
            max_ack_backlog: 128,
            protocol: 6,
            family: 2,
            kind: 1,
            port: 80,
            state: 10,
            filtered: 1,
            pad: [0; 6],
        },
        netfilter: NetfilterFacts {
            table: long_name("filter"),
            chain: long_name("a-chain-of-twenty-by"),
            rule_handle: 17,
            flags: NetfilterFacts::NFT | NetfilterFacts::RULE,
            hook: 1,
            pf: 2,
            family: 1,
            pad: [0; 3],
        },
    }
}

/// The name of a table or a chain as facts carry it.
pub(crate) fn long_name(text: &str) -> [u64; 4] {
    let (first, second) = text.split_at(text.len().min(16));
    let [[a, b], [c, d]] = [first, second].map(name);
    [a, b, c, d]
}

/// The facts as the kernel program writes them: field by field in the order of the ABI.
fn fact_bytes(facts: &Facts) -> Vec<u8> {
    let Facts { present, packet, route, device, peer, qdisc, socket, netfilter } = *facts;
    let mut bytes = Vec::new();
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>();
    let shorts = |shorts: &[u16]| shorts.iter().flat_map(|short| short.to_ne_bytes()).collect::<Vec<u8>>();
    let name = |name: [u64; 2]| lossdrop_common::event::bytes_of(name);
    bytes.extend(words(&[present, packet.mark]));
    bytes.extend(shorts(&[packet.gso_size, packet.gso_segs, packet.queue_mapping]));
    bytes.extend([packet.pkt_type, packet.ctinfo]);
    bytes.extend(words(&[route.ifindex, route.mtu, route.route_mtu, 0]));
    bytes.extend(name(route.name));
    bytes.extend(words(&[device.flags]));
    bytes.extend(shorts(&[device.hard_header_len, device.kind]));
    bytes.extend(words(&[device.bridge_ifindex, 0]));
    bytes.extend(name(device.link_kind));
    bytes.extend(words(&[peer.ifindex, peer.netns, peer.mtu, peer.flags]));
    bytes.extend(shorts(&[peer.hard_header_len, 0, 0, 0]));
    bytes.extend(name(peer.name));
    bytes.extend(name(qdisc.kind));
    bytes.extend(words(&[qdisc.handle, qdisc.limit, qdisc.qlen, qdisc.backlog, qdisc.drops, qdisc.flags]));
    bytes.extend(words(&[socket.rcvbuf, socket.rmem, socket.backlog, socket.sndbuf, socket.wmem]));
    bytes.extend(words(&[socket.drops, socket.ack_backlog, socket.max_ack_backlog]));
    bytes.extend(shorts(&[socket.protocol, socket.family, socket.kind, socket.port]));
    bytes.extend([socket.state, socket.filtered, 0, 0, 0, 0, 0, 0]);
    bytes
        .extend([netfilter.table, netfilter.chain].as_flattened().iter().flat_map(|word| word.to_ne_bytes()));
    bytes.extend(netfilter.rule_handle.to_ne_bytes());
    bytes.extend(shorts(&[netfilter.flags]));
    bytes.extend([netfilter.hook, netfilter.pf, netfilter.family, 0, 0, 0]);
    bytes
}

/// The event as the kernel program writes it: field by field in the order of the ABI. With facts where the layout has them,
/// empty ones for `None`.
pub(crate) fn bytes(
    layout: Layout,
    event: &Event,
    facts: Option<&Facts>,
    stack: &[u64],
    packet: &[u8],
) -> Vec<u8> {
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
    if layout.facts {
        bytes.extend(fact_bytes(facts.unwrap_or(&Facts::default())));
    }
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
        batch.push(&bytes(Layout::default(), event, None, &[], &[]));
    }
    batch
}

use lossdrop_common::{
    L3, Shape,
    event::words_of,
    parse::{IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP},
};

use crate::packet::*;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AH: u8 = 51;
const NO_NEXT: u8 = 59;
const DEST_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;

/// An extension header of 8 bytes and as many units more.
fn extension(kind: u8, next: u8, units: u8) -> Vec<u8> {
    let unit = if kind == AH { 4 } else { 8 };
    let mut header = vec![next, units];
    header.resize(8 + usize::from(units) * unit, 0);
    header
}

/// `offset`: in bytes.
fn fragment(next: u8, offset: u16, more: bool) -> Vec<u8> {
    let field = offset | u16::from(more);
    [&[next, 0xff], &field.to_be_bytes()[..], &[0, 0, 0, 9]].concat()
}

/// The headers in their order, then a transport header.
fn chain(extensions: &[(u8, u8)], transport: u8, segment: &[u8]) -> Vec<u8> {
    let kinds = extensions.iter().map(|(kind, _)| *kind).chain([transport]);
    let mut payload = Vec::new();
    for ((kind, units), next) in extensions.iter().zip(kinds.clone().skip(1)) {
        payload.extend(extension(*kind, next, *units));
    }
    payload.extend(segment);
    ipv6(V6_DST, kinds.clone().next().expect("the transport"), &payload)
}

#[test]
fn a_syn_is_read_with_addresses_ports_and_flags() {
    let found = parsed(IPV6, &ipv6(V6_DST, IPPROTO_TCP, &tcp(41234, 443, 0x02, b"")));
    assert_eq!((found.l3, found.l4), (L3::Ipv6 as u8, IPPROTO_TCP));
    assert_eq!((found.src, found.dst), (words_of(V6_SRC), words_of(V6_DST)));
    assert_eq!((found.sport, found.dport, found.tcp_flags, found.len), (41234, 443, 0x02, 60));
    assert_eq!(found.flags, HAS_ADDRESSES | HAS_PORTS | HAS_TCP_FLAGS);
    assert_shape(&found, &[Shape::SYN]);
}

#[test]
fn each_extension_header_is_looked_through() {
    for kind in [HOP_BY_HOP, ROUTING, AH, DEST_OPTIONS, MOBILITY] {
        for units in [0, 1, 5, 255] {
            let empty = chain(&[(kind, units)], IPPROTO_UDP, &udp(5353, 53, b""));
            let found = parsed(IPV6, &empty);
            assert_eq!((found.l4, found.sport, found.dport), (IPPROTO_UDP, 5353, 53), "{kind} {units}");
            assert_shape(&found, &[]);
            let full = chain(&[(kind, units)], IPPROTO_UDP, &udp(5353, 53, b"x"));
            assert_shape(&parsed(IPV6, &full), &[Shape::PAYLOAD]);
        }
    }
}

#[test]
fn a_chain_of_eight_is_followed_and_one_of_nine_keeps_the_ninth_as_protocol() {
    let all = [HOP_BY_HOP, DEST_OPTIONS, ROUTING, AH, DEST_OPTIONS, MOBILITY, ROUTING, DEST_OPTIONS, AH]
        .map(|kind| (kind, 1));
    let eight = parsed(IPV6, &chain(&all[..8], IPPROTO_TCP, &tcp(1, 2, 0x10, b"")));
    assert_eq!((eight.l4, eight.sport, eight.dport), (IPPROTO_TCP, 1, 2));
    let nine = parsed(IPV6, &chain(&all, IPPROTO_TCP, &tcp(1, 2, 0x10, b"")));
    assert_eq!((nine.l4, nine.flags), (AH, HAS_ADDRESSES));
    assert_shape(&nine, &[]);
}

#[test]
fn the_first_fragment_and_an_atomic_one_have_ports() {
    for more in [true, false] {
        let payload = [fragment(IPPROTO_UDP, 0, more), udp(1000, 2000, &[7; 16])].concat();
        let found = parsed(IPV6, &ipv6(V6_DST, FRAGMENT, &payload));
        assert_eq!((found.l4, found.sport, found.dport), (IPPROTO_UDP, 1000, 2000));
        assert_shape(&found, &[Shape::PAYLOAD]);
    }
}

#[test]
fn a_later_fragment_has_a_protocol_and_no_ports() {
    for (offset, more) in [(8, true), (8, false), (0xfff8, true), (1480, false)] {
        let payload = [fragment(IPPROTO_UDP, offset, more), udp(1000, 2000, &[7; 16])].concat();
        let found = parsed(IPV6, &ipv6(V6_DST, FRAGMENT, &payload));
        assert_eq!((found.l4, found.sport, found.flags), (IPPROTO_UDP, 0, HAS_ADDRESSES));
        assert_shape(&found, &[Shape::FRAGMENT]);
    }
}

#[test]
fn a_fragment_behind_other_extensions_is_one_too() {
    let rest = [fragment(IPPROTO_TCP, 64, false), tcp(1, 2, 0x10, b"x")].concat();
    let payload = [extension(HOP_BY_HOP, FRAGMENT, 2), rest].concat();
    let found = parsed(IPV6, &ipv6(V6_DST, HOP_BY_HOP, &payload));
    assert_eq!(found.l4, IPPROTO_TCP);
    assert_shape(&found, &[Shape::FRAGMENT]);
}

#[test]
fn icmpv6_has_a_type_and_a_code() {
    let found = parsed(IPV6, &ipv6(V6_DST, IPPROTO_ICMPV6, &[135, 0, 0, 0]));
    assert_eq!((found.icmp_type, found.icmp_code, found.flags), (135, 0, HAS_ADDRESSES | HAS_ICMP));
    let mut multicast = V6_DST;
    multicast[..2].copy_from_slice(&[0xff, 0x02]);
    assert_shape(&parsed(IPV6, &ipv6(multicast, IPPROTO_ICMPV6, &[135, 0])), &[Shape::MULTICAST]);
}

#[test]
fn a_packet_without_a_next_header_or_of_another_protocol_has_no_ports() {
    for next in [NO_NEXT, 50, 132 - 1, 253] {
        let found = parsed(IPV6, &ipv6(V6_DST, next, &ports(1, 2)));
        assert_eq!((found.l4, found.flags), (next, HAS_ADDRESSES));
    }
}

#[test]
fn an_aggregate_of_unknown_length_has_payload_and_the_buffer_s_length() {
    let mut packet = ipv6(V6_DST, IPPROTO_TCP, &tcp(1, 2, 0x10, &[7; 100]));
    packet[4..6].fill(0);
    let found = parsed(IPV6, &packet);
    assert_eq!(found.len, 160);
    assert_shape(&found, &[Shape::ACK, Shape::PAYLOAD]);
}

#[test]
fn a_payload_length_shorter_than_the_extensions_means_no_payload() {
    let mut packet = chain(&[(HOP_BY_HOP, 1)], IPPROTO_UDP, &udp(1, 2, b"data"));
    packet[4..6].copy_from_slice(&[0, 4]);
    let found = parsed(IPV6, &packet);
    assert_eq!((found.len, found.sport), (44, 1));
    assert_shape(&found, &[]);
}

#[test]
fn what_is_no_ipv6_header_is_left_alone() {
    let mut packet = ipv6(V6_DST, IPPROTO_TCP, &tcp(1, 2, 0x02, b""));
    packet[0] = 0x45;
    assert_unread(&parsed(IPV6, &packet));
}

#[test]
fn a_prefix_tells_only_what_lies_in_it() {
    let extensions = [(HOP_BY_HOP, 1), (AH, 4), (DEST_OPTIONS, 0)];
    let behind = 40 + 16 + 24 + 8;
    let packet = chain(&extensions, IPPROTO_TCP, &tcp(1000, 2000, 0x12, b"data"));
    for len in 0..packet.len() {
        let found = parsed_prefix(IPV6, &packet, len);
        assert_eq!(found.flags & HAS_ADDRESSES != 0, len >= 40, "{len} bytes");
        assert_eq!(found.flags & HAS_PORTS != 0, len >= behind + 4, "{len} bytes");
        assert_eq!(found.tcp_flags != 0, len >= behind + 14, "{len} bytes");
        let l4 = match len {
            0..40 => 0,
            40..48 => HOP_BY_HOP,
            48..64 => AH,
            64..88 => DEST_OPTIONS,
            _ => IPPROTO_TCP,
        };
        assert_eq!(found.l4, l4, "{len} bytes");
        if len < 40 {
            assert_unread(&found);
        }
    }
}

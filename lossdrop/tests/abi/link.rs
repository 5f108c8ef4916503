//! What lies below IP: tags, unset headers, types of packet, ARP.

use lossdrop_common::{
    L3, Shape,
    parse::{IPPROTO_UDP, Link},
};

use crate::packet::*;

/// The packet behind a link-layer header whose type is `protocol`, and the network header at `network` bytes behind
/// that header.
fn framed(protocol: u16, behind: &[u8], network: u16) -> (Buffer, Link) {
    let frame = [&[2; 12][..], &protocol.to_be_bytes(), behind].concat();
    let (buffer, link) = buffer(protocol, &frame);
    (buffer, Link { mac: HEADROOM, network: HEADROOM + 14 + network, ..link })
}

fn datagram() -> Vec<u8> {
    ipv4(IPPROTO_UDP, &udp(1000, 2000, b"x"))
}

#[test]
fn one_tag_or_two_are_looked_through_wherever_the_network_header_points() {
    let one = [&tag(7, IPV4)[..], &datagram()].concat();
    let two = [&tag(7, VLAN)[..], &tag(8, IPV4), &datagram()].concat();
    for (protocol, behind, tags) in [(VLAN, &one, 1), (QINQ, &one, 1), (VLAN, &two, 2), (QINQ, &two, 2)] {
        for network in [0, 4, 8].into_iter().filter(|behind| *behind <= tags * 4) {
            let (buffer, link) = framed(protocol, behind, network);
            let found = headers(&buffer, link);
            assert_eq!((found.ethertype, found.l3, found.dport), (IPV4, L3::Ipv4 as u8, 2000), "{network}");
            assert_eq!(found.start, u32::from(HEADROOM) + 14 + u32::from(tags) * 4);
        }
    }
}

#[test]
fn without_a_link_layer_header_the_network_header_points_at_the_tag() {
    let behind = [&tag(7, VLAN)[..], &tag(8, IPV6), &ipv6(V6_DST, IPPROTO_UDP, &udp(1, 2, b""))].concat();
    for mac in [u16::MAX, HEADROOM, HEADROOM - 13] {
        let (buffer, link) = buffer(QINQ, &behind);
        let found = headers(&buffer, Link { mac, ..link });
        assert_eq!((found.ethertype, found.l3, found.dport), (IPV6, L3::Ipv6 as u8, 2), "mac {mac}");
    }
}

#[test]
fn a_third_tag_is_not_looked_through() {
    let behind = [&tag(7, VLAN)[..], &tag(8, VLAN), &tag(9, IPV4), &datagram()].concat();
    let (buffer, link) = framed(QINQ, &behind, 0);
    let found = headers(&buffer, link);
    assert_eq!(found.ethertype, VLAN);
    assert_unread(&found);
}

#[test]
fn a_tag_that_is_not_there_tells_no_ethertype() {
    let behind = [&tag(7, IPV4)[..], &datagram()].concat();
    for len in 0..4 {
        for mac in [u16::MAX, HEADROOM - 14] {
            let (mut buffer, link) = buffer(VLAN, &behind);
            buffer.end = u32::from(HEADROOM) + len;
            let found = headers(&buffer, Link { mac, end: buffer.end, ..link });
            assert_eq!(found.ethertype, VLAN, "{len} bytes of the tag, mac {mac}");
            assert_unread(&found);
        }
    }
}

#[test]
fn a_header_that_was_never_set_is_not_followed() {
    for protocol in [IPV4, IPV6, ARP, VLAN, 0] {
        for (network, mac) in [(0, 0), (0, HEADROOM), (0, u16::MAX), (u16::MAX, u16::MAX)] {
            let (buffer, link) = buffer(protocol, &datagram());
            let found = headers(&buffer, Link { network, mac, ..link });
            assert_unread(&found);
            assert_eq!((found.ethertype, found.len), (protocol, link.skb_len));
        }
    }
}

#[test]
fn a_network_header_at_or_behind_the_end_is_not_followed() {
    let (buffer, link) = buffer(IPV4, &datagram());
    for network in [buffer.end, buffer.end + 1, 0xfffe] {
        let network = network.try_into().expect("16 bits");
        assert_unread(&headers(&buffer, Link { network, ..link }));
    }
    assert_unread(&headers(&buffer, Link { end: 0, ..link }));
}

#[test]
fn the_link_layer_tells_whom_the_packet_was_for() {
    let shapes = [&[][..], &[Shape::BROADCAST], &[Shape::MULTICAST], &[Shape::OTHERHOST], &[], &[], &[], &[]];
    for (pkt_type, shape) in (0..).zip(shapes) {
        let (buffer, link) = buffer(0x88cc, &[7; 20]);
        let found = headers(&buffer, Link { pkt_type, ..link });
        assert_shape(&found, shape);
        assert_unread(&found);
        assert_eq!((found.ethertype, found.len), (0x88cc, 20));
    }
}

#[test]
fn both_layers_add_to_the_shape() {
    let (buffer, link) = buffer(IPV4, &datagram());
    let found = headers(&buffer, Link { pkt_type: 1, ..link });
    assert_shape(&found, &[Shape::BROADCAST, Shape::PAYLOAD]);
}

#[test]
fn a_buffer_of_length_zero_is_empty() {
    let (buffer, link) = buffer(0, &[]);
    let found = headers(&buffer, link);
    assert_shape(&found, &[Shape::EMPTY]);
    assert_unread(&found);
}

#[test]
fn arp_has_the_addresses_of_both_hosts() {
    let found = parsed(ARP, &arp());
    assert_eq!((found.l3, found.l4, found.flags), (L3::Arp as u8, 0, HAS_ADDRESSES));
    assert_eq!((found.src, found.dst), (v4(V4_SRC), v4(V4_DST)));
}

#[test]
fn arp_is_arp_even_where_its_addresses_cannot_be_read() {
    for len in 1..28 {
        let found = parsed_prefix(ARP, &arp(), len);
        assert_eq!((found.l3, found.flags, found.src), (L3::Arp as u8, 0, [0; 2]), "{len} bytes");
    }
    for (at, size) in [(4, 8), (5, 16)] {
        let mut packet = arp();
        packet[at] = size;
        let found = parsed(ARP, &packet);
        assert_eq!((found.l3, found.flags, found.dst), (L3::Arp as u8, 0, [0; 2]));
    }
}

use lossdrop_common::{L3, Shape, parse::IPPROTO_TCP, parse::IPPROTO_UDP};

use crate::packet::*;

const MORE_FRAGMENTS: u16 = 0x2000;

#[test]
fn a_syn_is_read_with_addresses_ports_and_flags() {
    let found = parsed(IPV4, &ipv4(IPPROTO_TCP, &tcp(41234, 80, 0x02, b"")));
    assert_eq!((found.l3, found.l4), (L3::Ipv4 as u8, IPPROTO_TCP));
    assert_eq!((found.src, found.dst), (v4(V4_SRC), v4(V4_DST)));
    assert_eq!((found.sport, found.dport, found.tcp_flags), (41234, 80, 0x02));
    assert_eq!((found.len, found.start, found.ethertype), (40, HEADROOM.into(), IPV4));
    assert_eq!(found.flags, HAS_ADDRESSES | HAS_PORTS | HAS_TCP_FLAGS);
    assert_shape(&found, &[Shape::SYN]);
}

#[test]
fn every_tcp_flag_is_kept_and_four_of_them_make_the_shape() {
    for flags in 0..=0xff_u8 {
        let found = parsed(IPV4, &ipv4(IPPROTO_TCP, &tcp(1, 2, flags, b"")));
        assert_eq!(found.tcp_flags, flags);
        let shape =
            [(0x01, Shape::FIN), (0x02, Shape::SYN), (0x04, Shape::RST), (0x10, Shape::ACK)].into_iter();
        let wanted: Vec<Shape> = shape.filter(|(bit, _)| flags & bit != 0).map(|(_, bit)| bit).collect();
        assert_shape(&found, &wanted);
    }
}

#[test]
fn payload_begins_behind_the_options_of_both_headers() {
    let options = [1; 12];
    for (ip_options, tcp_options) in
        [(&[][..], &[][..]), (&options[..], &[]), (&[], &options), (&[1; 40], &[1; 40])]
    {
        for (payload, shape) in [
            (&b""[..], &[Shape::ACK][..]),
            (b"x", &[Shape::ACK, Shape::PAYLOAD]),
            (&[7; 1000], &[Shape::ACK, Shape::PAYLOAD]),
        ] {
            let segment = tcp_with(tcp_options, 443, 50000, 0x10, payload);
            let found = parsed(IPV4, &ipv4_with(ip_options, 0, IPPROTO_TCP, &segment));
            assert_eq!((found.sport, found.dport), (443, 50000));
            assert_shape(&found, shape);
        }
    }
}

#[test]
fn padding_behind_the_packet_is_no_payload() {
    let mut frame = ipv4(IPPROTO_TCP, &tcp(1, 2, 0x10, b""));
    frame.extend([0; 6]);
    let found = parsed(IPV4, &frame);
    assert_shape(&found, &[Shape::ACK]);
    assert_eq!(found.len, 40);
}

#[test]
fn payload_in_fragments_of_the_buffer_counts_though_it_is_not_linear() {
    let packet = ipv4(IPPROTO_TCP, &tcp(1, 2, 0x10, &[7; 1000]));
    let found = parsed_prefix(IPV4, &packet, 40);
    assert_shape(&found, &[Shape::ACK, Shape::PAYLOAD]);
    assert_eq!(found.len, 1040);
}

#[test]
fn an_aggregate_of_unknown_length_has_payload_and_the_buffer_s_length() {
    let mut packet = ipv4(IPPROTO_TCP, &tcp(1, 2, 0x10, &[7; 100]));
    packet[2..4].fill(0);
    let found = parsed(IPV4, &packet);
    assert_eq!(found.len, 140);
    assert_shape(&found, &[Shape::ACK, Shape::PAYLOAD]);
}

#[test]
fn a_total_length_shorter_than_the_headers_means_no_payload() {
    for total in [1_u8, 19, 20, 27] {
        let mut packet = ipv4(IPPROTO_UDP, &udp(1, 2, &[7; 10]));
        packet[2..4].copy_from_slice(&[0, total]);
        let found = parsed(IPV4, &packet);
        assert_eq!(found.len, total.into());
        assert_shape(&found, &[]);
    }
}

#[test]
fn udp_has_ports_and_payload_behind_eight_bytes() {
    for (payload, shape) in [(&b""[..], &[][..]), (b"x", &[Shape::PAYLOAD])] {
        let found = parsed(IPV4, &ipv4(IPPROTO_UDP, &udp(5353, 53, payload)));
        assert_eq!((found.sport, found.dport, found.tcp_flags), (5353, 53, 0));
        assert_eq!(found.flags, HAS_ADDRESSES | HAS_PORTS);
        assert_shape(&found, shape);
    }
}

#[test]
fn every_protocol_with_ports_has_them_read_and_no_other() {
    for protocol in 0..=255 {
        let found = parsed(IPV4, &ipv4(protocol, &ports(9, 8).repeat(5)));
        assert_eq!(found.l4, protocol);
        let (flag, wanted) = match protocol {
            6 => (HAS_PORTS | HAS_TCP_FLAGS, (9, 8)),
            17 | 33 | 132 | 136 => (HAS_PORTS, (9, 8)),
            1 | 58 => (HAS_ICMP, (0, 0)),
            _ => (0, (0, 0)),
        };
        assert_eq!((found.flags, found.sport, found.dport), (HAS_ADDRESSES | flag, wanted.0, wanted.1));
    }
}

#[test]
fn icmp_has_a_type_and_a_code() {
    let found = parsed(IPV4, &ipv4(1, &[3, 4, 0, 0, 0, 0, 5, 220]));
    assert_eq!((found.icmp_type, found.icmp_code), (3, 4));
    assert_eq!(found.flags, HAS_ADDRESSES | HAS_ICMP);
}

#[test]
fn the_first_fragment_has_ports_and_the_others_have_none() {
    let datagram = udp(1000, 2000, &[7; 16]);
    let first = parsed(IPV4, &ipv4_with(&[], MORE_FRAGMENTS, IPPROTO_UDP, &datagram));
    assert_eq!((first.sport, first.dport), (1000, 2000));
    assert_shape(&first, &[Shape::PAYLOAD]);
    for fragment in [MORE_FRAGMENTS | 1, 1, 0x1fff, 0x1000] {
        let other = parsed(IPV4, &ipv4_with(&[], fragment, IPPROTO_UDP, &datagram));
        assert_eq!((other.l4, other.sport, other.dport, other.flags), (IPPROTO_UDP, 0, 0, HAS_ADDRESSES));
        assert_shape(&other, &[Shape::FRAGMENT]);
    }
}

#[test]
fn the_flags_beside_the_offset_make_no_fragment() {
    for flags in [0, 0x4000, 0x8000, 0xc000] {
        let found = parsed(IPV4, &ipv4_with(&[], flags, IPPROTO_UDP, &udp(1, 2, b"")));
        assert_shape(&found, &[]);
    }
}

#[test]
fn destinations_of_many_hosts_are_reported_from_one_another() {
    for (destination, shape) in [
        ([224, 0, 0, 1], &[Shape::MULTICAST][..]),
        ([239, 255, 255, 250], &[Shape::MULTICAST]),
        ([223, 255, 255, 255], &[]),
        ([240, 0, 0, 1], &[]),
        ([255, 255, 255, 255], &[Shape::BROADCAST]),
        ([255, 255, 255, 254], &[]),
    ] {
        let mut packet = ipv4(IPPROTO_UDP, &udp(1, 2, b""));
        packet[16..20].copy_from_slice(&destination);
        assert_shape(&parsed(IPV4, &packet), shape);
    }
}

#[test]
fn what_is_no_ipv4_header_is_left_alone() {
    for first in [0x35, 0x44, 0x40, 0x65, 0x00, 0xff] {
        let mut packet = ipv4(IPPROTO_TCP, &tcp(1, 2, 0x02, b""));
        packet[0] = first;
        let found = parsed(IPV4, &packet);
        assert_unread(&found);
        assert_eq!((found.ethertype, found.len), (IPV4, 40));
    }
}

#[test]
fn a_prefix_tells_only_what_lies_in_it() {
    for options in [0, 4, 40] {
        let packet = ipv4_with(&vec![1; options], 0, IPPROTO_TCP, &tcp(1000, 2000, 0x12, b"data"));
        for len in 0..packet.len() {
            let found = parsed_prefix(IPV4, &packet, len);
            assert_eq!(found.flags & HAS_ADDRESSES != 0, len >= 20, "{len} bytes");
            assert_eq!(found.flags & HAS_PORTS != 0, len >= 20 + options + 4, "{len} bytes");
            assert_eq!(found.sport != 0, len >= 20 + options + 4, "{len} bytes");
            assert_eq!(found.tcp_flags != 0, len >= 20 + options + 14, "{len} bytes");
            if len < 20 {
                assert_unread(&found);
            }
        }
    }
}

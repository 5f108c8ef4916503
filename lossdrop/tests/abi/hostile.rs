//! Whatever the bytes are: no panic, no overflow, and nothing that depends on bytes behind the end.

use lossdrop_common::{
    L3, Shape,
    parse::{Bytes, Link, Packet},
};
use proptest::{collection::vec, prelude::*};

use crate::packet::*;

/// A buffer that has any bytes anywhere, and some that cannot be read.
#[derive(Debug)]
struct Anything {
    bytes: Vec<u8>,
    readable: u32,
}

impl Packet for Anything {
    fn read(&self, offset: u32, bytes: &mut Bytes) -> bool {
        for (index, byte) in bytes.0.iter_mut().enumerate() {
            *byte = self.bytes[(offset as usize).wrapping_add(index) % self.bytes.len()];
        }
        offset < self.readable
    }
}

fn link() -> impl Strategy<Value = Link> {
    let protocol =
        prop_oneof![8 => proptest::sample::select(vec![IPV4, IPV6, ARP, VLAN, QINQ]), 1 => any::<u16>()];
    let header = || prop_oneof![4 => 0..200_u16, 1 => any::<u16>(), 1 => Just(u16::MAX)];
    let end = prop_oneof![4 => 0..400_u32, 1 => any::<u32>(), 1 => u32::MAX - 50..];
    (protocol, header(), header(), 0..8_u8, end, any::<u32>()).prop_map(
        |(protocol, network, mac, pkt_type, end, skb_len)| Link {
            protocol,
            network,
            mac,
            pkt_type,
            end,
            skb_len,
        },
    )
}

/// Packets that are right up to a point: the ends of headers are where parsers go wrong.
fn packet() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let transport = || prop_oneof![Just(1), Just(6), Just(17), Just(58), Just(132), any::<u8>()];
    let next = || proptest::sample::select(vec![0, 6, 17, 43, 44, 51, 58, 59, 60, 135]);
    let extensions = vec((next(), 0..4_u8, any::<[u8; 6]>()), 0..12);
    prop_oneof![
        (0..11_usize, transport(), prop_oneof![3 => Just(0), 1 => any::<u16>()], vec(any::<u8>(), 0..60))
            .prop_map(|(options, protocol, fragment, rest)| {
                (IPV4, ipv4_with(&vec![1; options * 4], fragment, protocol, &rest))
            }),
        (next(), extensions, vec(any::<u8>(), 0..60)).prop_map(|(first, extensions, rest)| {
            let mut payload = Vec::new();
            for (next, units, body) in extensions {
                payload.extend([next, units]);
                payload.extend(body);
                payload.extend(vec![0; usize::from(units) * 8]);
            }
            payload.extend(rest);
            (IPV6, ipv6(V6_DST, first, &payload))
        }),
        Just((ARP, arp())),
        (any::<u16>(), any::<u8>()).prop_map(|(vlan, flags)| {
            (VLAN, [&tag(vlan, IPV4)[..], &ipv4(6, &tcp(1, 2, flags, b"x"))].concat())
        }),
    ]
}

fn assert_consistent(found: &Found, link: Link) -> Result<(), TestCaseError> {
    prop_assert!(found.flags & !(HAS_PORTS | HAS_TCP_FLAGS | HAS_ADDRESSES | HAS_ICMP) == 0);
    let has = |flag| found.flags & flag != 0;
    prop_assert!(!(has(HAS_PORTS) && has(HAS_ICMP)), "{found:?}");
    prop_assert!(has(HAS_ADDRESSES) || (found.src, found.dst) == ([0; 2], [0; 2]), "{found:?}");
    prop_assert!(has(HAS_PORTS) || (found.sport, found.dport, found.tcp_flags) == (0, 0, 0), "{found:?}");
    prop_assert!(has(HAS_ICMP) || (found.icmp_type, found.icmp_code) == (0, 0), "{found:?}");
    let ip_header = match L3::from_u8(found.l3) {
        L3::Ipv4 => 20,
        L3::Ipv6 => 40,
        L3::Arp | L3::Other => 0,
    };
    prop_assert!(!has(HAS_TCP_FLAGS) || (has(HAS_PORTS) && found.l4 == 6), "{found:?}");
    prop_assert!(has(HAS_TCP_FLAGS) || found.tcp_flags == 0, "{found:?}");
    if has(HAS_PORTS) || has(HAS_ICMP) {
        prop_assert!(ip_header != 0 && has(HAS_ADDRESSES), "{found:?}");
        let transport = match (has(HAS_TCP_FLAGS), has(HAS_PORTS)) {
            (true, _) => 14,
            (false, true) => 4,
            (false, false) => 2,
        };
        prop_assert!(found.start + ip_header + transport <= link.end, "{found:?}");
        prop_assert!(!found.shape.contains(Shape::FRAGMENT), "{found:?}");
    }
    prop_assert!(!has(HAS_ADDRESSES) || found.start + ip_header <= link.end, "{found:?}");
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_at_all_are_parsed(
        link in link(), bytes in vec(any::<u8>(), 1..300), readable in prop_oneof![Just(u32::MAX), 0..300_u32]
    ) {
        let found = headers(&Anything { bytes, readable }, link);
        assert_consistent(&found, link)?;
    }

    #[test]
    fn bytes_behind_the_end_tell_nothing((protocol, bytes) in packet(), cut in any::<prop::sample::Index>()) {
        let (mut buffer, mut link) = buffer(protocol, &bytes);
        link.end = u32::from(HEADROOM) + u32::try_from(cut.index(bytes.len() + 1)).expect("a small packet");
        buffer.end = link.end;
        let found = headers(&buffer, link);
        assert_consistent(&found, link)?;
        for behind in [0, 1, 0x11, 0x45, 0x60, 0xff] {
            prop_assert_eq!(headers(&Buffer { behind, ..buffer.clone() }, link), found);
        }
        // Least of all the rest of the packet.
        buffer.end = u32::MAX;
        prop_assert_eq!(headers(&buffer, link), found);
    }

    #[test]
    fn what_cannot_be_read_tells_nothing((protocol, bytes) in packet(), readable in 0..200_u32) {
        let (buffer, link) = buffer(protocol, &bytes);
        let found = headers(&Anything { bytes: buffer.head, readable }, link);
        assert_consistent(&found, link)?;
        if readable <= HEADROOM.into() && protocol != VLAN {
            assert_unread(&found);
        }
    }
}

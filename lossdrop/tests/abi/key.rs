use std::collections::HashSet;

use lossdrop_common::{
    DropKey, HostKey, L3, PROBES, PortBits, Shape,
    event::{bytes_of, words_of},
};
use proptest::prelude::*;

fn key() -> impl Strategy<Value = DropKey> {
    any::<(u64, u32, u32, u32, u8, u8, u16)>().prop_map(
        |(location, reason, netns, ifindex, l3, l4, shape)| DropKey {
            location,
            reason,
            netns,
            ifindex,
            l3,
            l4,
            shape,
        },
    )
}

/// The key with one bit of one field changed.
fn with_flipped_bit(mut key: DropKey, bit: u32) -> DropKey {
    match bit {
        0..64 => key.location ^= 1 << bit,
        64..96 => key.reason ^= 1 << (bit - 64),
        96..128 => key.netns ^= 1 << (bit - 96),
        128..160 => key.ifindex ^= 1 << (bit - 128),
        160..168 => key.l3 ^= 1 << (bit - 160),
        168..176 => key.l4 ^= 1 << (bit - 168),
        _ => key.shape ^= 1 << (bit - 176),
    }
    key
}

proptest! {
    #[test]
    fn keys_are_the_same_where_they_are_equal(a in key(), b in key()) {
        prop_assert!(a.same(&a));
        prop_assert_eq!(a.same(&b), a == b);
    }

    #[test]
    fn every_bit_of_a_key_tells_it_from_others(key in key()) {
        for bit in 0..192 {
            let other = with_flipped_bit(key, bit);
            prop_assert!(key != other && !key.same(&other), "bit {bit}");
            let changed: u32 = key.words().iter().zip(other.words()).map(|(a, b)| (a ^ b).count_ones()).sum();
            prop_assert_eq!(changed, 1, "bit {}", bit);
        }
    }

    #[test]
    fn bytes_and_words_are_the_same_memory(bytes in any::<[u8; 16]>()) {
        let words = words_of(bytes);
        prop_assert_eq!(bytes_of(words), bytes);
        prop_assert_eq!([words[0].to_ne_bytes(), words[1].to_ne_bytes()].concat(), bytes);
    }
}

/// How many of the keys find no row, in a table that is probed as in `lossdrop-ebpf/src/count.rs`.
fn without_a_row(keys: impl Iterator<Item = DropKey>, rows: u32) -> usize {
    let mut taken = HashSet::new();
    keys.filter(|key| !(0..PROBES).any(|probe| taken.insert(key.hash().wrapping_add(probe) & (rows - 1))))
        .count()
}

#[test]
fn a_table_that_is_a_quarter_full_has_a_row_for_every_key() {
    /// What differs, how many keys there are, and the n-th of them.
    type Keys = (&'static str, u32, fn(u32) -> DropKey);
    const ROWS: u32 = 4096;
    const BASE: DropKey = DropKey {
        location: 0xffff_ffff_81a2_b3c4,
        reason: 5,
        netns: 4_026_531_840,
        ifindex: 2,
        l3: 4,
        l4: 6,
        shape: 2,
    };
    let differing: [Keys; 6] = [
        ("location", 1024, |n| DropKey { location: BASE.location + u64::from(n) * 4, ..BASE }),
        ("reason", 1024, |n| DropKey { reason: n, ..BASE }),
        ("network namespace", 1024, |n| DropKey { netns: BASE.netns + n, ..BASE }),
        ("device", 1024, |n| DropKey { ifindex: n, ..BASE }),
        ("protocol", 256, |n| DropKey { l4: n.to_le_bytes()[0], ..BASE }),
        ("shape", 1024, |n| DropKey { shape: u16::try_from(n).expect("small"), ..BASE }),
    ];
    for (what, keys, key) in differing {
        assert_eq!(without_a_row((0..keys).map(key), ROWS), 0, "keys that differ in their {what}");
    }
    let busy_host = (1..=40).flat_map(|ifindex| {
        [(4, 1), (4, 6), (4, 17), (6, 6), (6, 17), (6, 58)]
            .into_iter()
            .flat_map(move |(l3, l4)| [0, 2, 16, 18].map(|shape| DropKey { ifindex, l3, l4, shape, ..BASE }))
    });
    assert_eq!(without_a_row(busy_host, ROWS), 0, "40 devices, 6 protocols, 4 shapes");
}

#[test]
fn every_bit_of_the_shape_has_one_name() {
    let bits: Vec<u16> = Shape::NAMES.iter().map(|(bit, _)| bit.0).collect();
    assert_eq!(bits, (0..bits.len()).map(|index| 1 << index).collect::<Vec<u16>>());
    let names: HashSet<_> = Shape::NAMES.iter().map(|(_, name)| name).collect();
    assert_eq!(names.len(), bits.len());
    assert_eq!(format!("{:?}", Shape::SYN.with(Shape::NO_DEVICE)), "{\"SYN\", \"no device\"}");
}

#[test]
fn a_shape_contains_all_and_intersects_any() {
    let both = Shape::SYN.with(Shape::ACK);
    assert!(both.contains(Shape::SYN) && both.contains(both) && !Shape::SYN.contains(both));
    assert!(Shape::SYN.intersects(both) && !Shape::FIN.intersects(both));
    assert_eq!(Shape::SYN.with_if(Shape::ACK, true), both);
    assert_eq!(Shape::SYN.with_if(Shape::ACK, false), Shape::SYN);
    assert_eq!(DropKey { shape: both.0, ..DropKey::default() }.shape(), both);
}

#[test]
fn layers_survive_their_number() {
    for l3 in [L3::Other, L3::Arp, L3::Ipv4, L3::Ipv6] {
        assert_eq!(L3::from_u8(l3 as u8), l3);
    }
    for unknown in [2, 3, 5, 7, 255] {
        assert_eq!(L3::from_u8(unknown), L3::Other);
    }
}

#[test]
fn host_keys_of_one_address_differ_by_family_and_arp_is_ipv4() {
    let address = words_of(*b"\x0a\x01\x02\x03\0\0\0\0\0\0\0\0\0\0\0\0");
    let key = |l3: L3| HostKey::new(l3 as u8, address);
    assert_eq!(key(L3::Ipv4), key(L3::Arp));
    assert_ne!(key(L3::Ipv4), key(L3::Ipv6));
}

#[test]
fn the_port_words_cover_every_port() {
    assert_eq!(PortBits::WORDS * 64, 65536);
}

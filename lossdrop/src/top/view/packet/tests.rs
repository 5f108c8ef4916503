use super::*;
use crate::top::view::tests::fixture::REQUEST;

/// Each header in a line.
fn reported(bytes: &[u8]) -> Vec<String> {
    decode(bytes).into_iter().map(|(name, fields)| format!("{name} {}", fields.join(" "))).collect()
}

#[test]
fn a_segment_of_tcp_is_reported_by_its_headers() {
    assert_eq!(
        reported(&REQUEST),
        [
            "IPv4 10.0.0.1 → 10.0.0.2 version 4 header 20 tos 0x00 length 131 id 0x1c46 flags DF offset 0 ttl 64 \
             protocol 6 (tcp) checksum 0x0a2d",
            "TCP 51034 → 80 flags PA seq 1032458498 ack 1996619408 window 502 header 32 checksum 0x145d urgent 0",
        ]
    );
}

#[test]
fn a_fragment_has_no_transport_header() {
    let mut bytes = REQUEST;
    bytes[6..8].copy_from_slice(&[0x20, 0x02]);
    let reported = reported(&bytes);
    assert_eq!(reported.len(), 1);
    assert!(reported[0].contains("flags MF offset 16"), "{reported:?}");
}

#[test]
fn what_was_cut_off_is_not_reported() {
    assert_eq!(reported(&REQUEST[..39]).len(), 1);
    assert_eq!(reported(&REQUEST[..40]).len(), 2);
    assert!(reported(&REQUEST[..19]).is_empty());
    assert!(reported(&[]).is_empty());
    assert!(reported(&[0x00; 40]).is_empty());
}

/// From 2001:db8::1 to ff02::1, with that after the header.
fn ipv6(next: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x6a, 0xb1, 0x23, 0x45, 0, 16, next, 255];
    bytes.extend("2001:db8::1".parse::<Ipv6Addr>().expect("an address").octets());
    bytes.extend("ff02::1".parse::<Ipv6Addr>().expect("an address").octets());
    bytes.extend(rest);
    bytes
}

#[test]
fn the_transport_header_is_found_behind_extensions_of_ipv6() {
    let udp = [0x14, 0xe9, 0x00, 0x35, 0x00, 0x08, 0xab, 0xcd];
    let hop = [[44, 0, 5, 2, 0, 0, 1, 0].as_slice(), &[17, 0, 0, 1, 0xde, 0xad, 0xbe, 0xef], &udp].concat();
    assert_eq!(
        reported(&ipv6(0, &hop)),
        [
            "IPv6 2001:db8::1 → ff02::1 version 6 class 0xab label 0x12345 payload 16 next 0 hop limit 255",
            "Frag offset 0 id 0xdeadbeef",
            "UDP 5353 → 53 length 8 checksum 0xabcd",
        ]
    );
    let echo = [128, 0, 0x12, 0x34, 0, 7, 0, 9];
    assert_eq!(reported(&ipv6(58, &echo))[1], "ICMPv6 type 128 code 0 checksum 0x1234 id 7 seq 9");
    let solicitation = [135, 0, 0x12, 0x34, 0, 0, 0, 0];
    assert_eq!(reported(&ipv6(58, &solicitation))[1], "ICMPv6 type 135 code 0 checksum 0x1234");
}

#[test]
fn a_dump_shows_bytes_and_what_can_be_printed_of_them() {
    assert_eq!(
        dump(&REQUEST[50..], 80),
        [
            "0000  80 05 47 45 54 20 2f 20 48 54 54 50 2f 31 2e 31  ..GET / HTTP/1.1",
            "0010  0d 0a 48 6f                                      ..Ho",
        ]
    );
    assert_eq!(dump(&REQUEST[50..60], 40)[1], "0008  48 54                    HT");
}

proptest::proptest! {
    #[test]
    fn any_bytes_can_be_decoded(mut bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120), version in 0..3_u8) {
        if let Some(first) = bytes.first_mut() {
            *first = [0x45, 0x60, *first][usize::from(version)];
        }
        decode(&bytes);
    }
}

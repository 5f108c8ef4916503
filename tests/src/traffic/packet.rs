//! Packets built byte by byte, checksums included.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
pub(super) const ETHERTYPE_IPV4: u16 = 0x0800;
pub(super) const ETHERTYPE_ARP: u16 = 0x0806;
pub(super) const ETHERTYPE_IPV6: u16 = 0x86dd;
pub(super) const ETHERTYPE_LLDP: u16 = 0x88cc;
const HOP_BY_HOP: u8 = 0;
const DESTINATION_OPTIONS: u8 = 60;
const TTL: u8 = 64;

/// Which part of a datagram that was cut in two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// Offset 0, more fragments: carries the UDP header.
    First,
    /// Offset 64 bytes, the last one: carries no ports.
    NonFirst,
}

/// Payload of the first fragment's UDP packet: with its header exactly the 64 bytes at which the second one starts.
const FRAGMENT_BYTES: usize = 64;

/// A SYN with an MSS option: 44 bytes.
pub(super) fn syn(src: SocketAddrV4, dst: SocketAddrV4, sequence: u32) -> Vec<u8> {
    tcp(src, dst, sequence, 0x02, &[2, 4, 0x05, 0xb4])
}

/// An ACK: 40 bytes.
pub(super) fn ack(src: SocketAddrV4, dst: SocketAddrV4, sequence: u32) -> Vec<u8> {
    tcp(src, dst, sequence, 0x10, &[])
}

/// The length of `options` is a multiple of four.
fn tcp(src: SocketAddrV4, dst: SocketAddrV4, sequence: u32, flags: u8, options: &[u8]) -> Vec<u8> {
    let words = (20 + options.len()) / 4;
    let mut tcp = Vec::with_capacity(4 * words);
    tcp.extend(src.port().to_be_bytes());
    tcp.extend(dst.port().to_be_bytes());
    tcp.extend(sequence.to_be_bytes());
    tcp.extend(0u32.to_be_bytes());
    tcp.extend([(words as u8) << 4, flags]);
    tcp.extend(64240u16.to_be_bytes());
    tcp.extend([0; 4]);
    tcp.extend(options);
    let sum = checksum(&[&pseudo_v4(*src.ip(), *dst.ip(), TCP, tcp.len()), &tcp]);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    ipv4(*src.ip(), *dst.ip(), TCP, 0, 0, &tcp)
}

pub(super) fn udp_v4(src: SocketAddrV4, dst: SocketAddrV4, payload: usize) -> Vec<u8> {
    udp_v4_flagged(src, dst, 0, payload)
}

/// With DF.
pub(super) fn udp_v4_df(src: SocketAddrV4, dst: SocketAddrV4, payload: usize) -> Vec<u8> {
    udp_v4_flagged(src, dst, 0x4000, payload)
}

fn udp_v4_flagged(src: SocketAddrV4, dst: SocketAddrV4, flags: u16, payload: usize) -> Vec<u8> {
    let pseudo = pseudo_v4(*src.ip(), *dst.ip(), UDP, 8 + payload);
    ipv4(*src.ip(), *dst.ip(), UDP, 0, flags, &udp(src.port(), dst.port(), &vec![0; payload], &pseudo))
}

pub(super) fn udp_v6(src: SocketAddrV6, dst: SocketAddrV6, payload: usize) -> Vec<u8> {
    let pseudo = pseudo_v6(*src.ip(), *dst.ip(), UDP, 8 + payload);
    ipv6(*src.ip(), *dst.ip(), UDP, &udp(src.port(), dst.port(), &vec![0; payload], &pseudo))
}

/// An IPv4 packet that claims another length, in a header whose checksum is right.
pub(super) fn with_ipv4_length(mut packet: Vec<u8>, claimed: usize) -> Vec<u8> {
    packet[2..4].copy_from_slice(&length(claimed));
    packet[10..12].fill(0);
    let sum = checksum(&[&packet[..20]]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// One fragment of a UDP datagram of 128 bytes; both halves carry the same `id`.
pub(super) fn fragment_v4(src: SocketAddrV4, dst: SocketAddrV4, id: u16, which: Fragment) -> Vec<u8> {
    let pseudo = pseudo_v4(*src.ip(), *dst.ip(), UDP, 2 * FRAGMENT_BYTES);
    let whole = udp(src.port(), dst.port(), &[0; 2 * FRAGMENT_BYTES - 8], &pseudo);
    let (flags, bytes) = match which {
        Fragment::First => (0x2000, &whole[..FRAGMENT_BYTES]),
        Fragment::NonFirst => ((FRAGMENT_BYTES / 8) as u16, &whole[FRAGMENT_BYTES..]),
    };
    ipv4(*src.ip(), *dst.ip(), UDP, id, flags, bytes)
}

pub(super) fn echo(src: Ipv4Addr, dst: Ipv4Addr, id: u16, sequence: u16) -> Vec<u8> {
    let mut icmp = vec![8, 0, 0, 0];
    icmp.extend(id.to_be_bytes());
    icmp.extend(sequence.to_be_bytes());
    icmp.extend([0; 8]);
    let sum = checksum(&[&icmp]);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    ipv4(src, dst, ICMP, 0, 0, &icmp)
}

/// UDP behind a hop-by-hop and a destination options header (8 bytes each, padding only).
pub(super) fn udp_v6_ext(src: SocketAddrV6, dst: SocketAddrV6, payload: usize) -> Vec<u8> {
    let pseudo = pseudo_v6(*src.ip(), *dst.ip(), UDP, 8 + payload);
    let mut body = vec![DESTINATION_OPTIONS, 0, 1, 4, 0, 0, 0, 0];
    body.extend([UDP, 0, 1, 4, 0, 0, 0, 0]);
    body.extend(udp(src.port(), dst.port(), &vec![0; payload], &pseudo));
    ipv6(*src.ip(), *dst.ip(), HOP_BY_HOP, &body)
}

pub(super) fn echo_v6(src: Ipv6Addr, dst: Ipv6Addr, id: u16, sequence: u16) -> Vec<u8> {
    let mut icmp = vec![128, 0, 0, 0];
    icmp.extend(id.to_be_bytes());
    icmp.extend(sequence.to_be_bytes());
    icmp.extend([0; 8]);
    let sum = checksum(&[&pseudo_v6(src, dst, ICMPV6, icmp.len()), &icmp]);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    ipv6(src, dst, ICMPV6, &icmp)
}

/// Who has `dst`? Asked by `src`.
pub(super) fn arp_request(mac: [u8; 6], src: Ipv4Addr, dst: Ipv4Addr) -> Vec<u8> {
    let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1];
    arp.extend(mac);
    arp.extend(src.octets());
    arp.extend([0; 6]);
    arp.extend(dst.octets());
    arp
}

/// An Ethernet frame, its payload behind an 802.1Q tag for each of `tags` (VLAN numbers), the outermost first.
pub(super) fn frame(dst: [u8; 6], src: [u8; 6], tags: &[u16], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(14 + 4 * tags.len() + payload.len());
    frame.extend(dst);
    frame.extend(src);
    for vid in tags {
        frame.extend(0x8100u16.to_be_bytes());
        frame.extend(vid.to_be_bytes());
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

pub(super) fn ipv4(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, id: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend(length(20 + body.len()));
    packet.extend(id.to_be_bytes());
    packet.extend(flags.to_be_bytes());
    packet.extend([TTL, protocol, 0, 0]);
    packet.extend(src.octets());
    packet.extend(dst.octets());
    let sum = checksum(&[&packet]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(body);
    packet
}

fn ipv6(src: Ipv6Addr, dst: Ipv6Addr, next_header: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(length(body.len()));
    packet.extend([next_header, TTL]);
    packet.extend(src.octets());
    packet.extend(dst.octets());
    packet.extend(body);
    packet
}

fn udp(src: u16, dst: u16, payload: &[u8], pseudo: &[u8]) -> Vec<u8> {
    let mut udp = Vec::with_capacity(8 + payload.len());
    udp.extend(src.to_be_bytes());
    udp.extend(dst.to_be_bytes());
    udp.extend(length(8 + payload.len()));
    udp.extend([0, 0]);
    udp.extend(payload);
    // 0 would mean "no checksum".
    let sum = match checksum(&[pseudo, &udp]) {
        0 => 0xffff,
        sum => sum,
    };
    udp[6..8].copy_from_slice(&sum.to_be_bytes());
    udp
}

fn pseudo_v4(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, len: usize) -> Vec<u8> {
    [&src.octets()[..], &dst.octets(), &[0, protocol], &length(len)].concat()
}

fn pseudo_v6(src: Ipv6Addr, dst: Ipv6Addr, protocol: u8, len: usize) -> Vec<u8> {
    [&src.octets()[..], &dst.octets(), &[0, 0], &length(len), &[0, 0, 0, protocol]].concat()
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}

/// The Internet checksum (RFC 1071); every part but the last has an even length.
pub(super) fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum =
        words.map(|word| u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0))).sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_a_known_ipv4_header() {
        let header =
            [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
        assert_eq!(checksum(&[&header]), 0xb861);
    }

    #[test]
    fn a_syn_sums_up_to_zero() {
        let packet = syn("10.0.0.1:1025".parse().unwrap(), "10.0.0.2:80".parse().unwrap(), 7);
        assert_eq!(packet.len(), 44);
        assert_eq!(checksum(&[&packet[..20]]), 0);
        assert_eq!(
            checksum(&[&pseudo_v4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), TCP, 24), &packet[20..]]),
            0
        );
    }
}

//! Frames with something wrong, or meant for somebody else, straight out of a device.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use anyhow::Result;

use super::packet;
use super::raw::{parse_mac, send_frames};
use crate::netns::Netns;
use crate::veth::End;

const SRC: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 7000);
const DST: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 7001);
const SRC_V6: SocketAddrV6 = SocketAddrV6::new(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1), 7000, 0, 0);
const DST_V6: SocketAddrV6 = SocketAddrV6::new(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2), 7001, 0, 0);
const PAYLOAD: usize = 20;

/// Where a checksum stands, from the IP header on.
const IPV4_SUM: usize = 10;
const ICMP_SUM: usize = 20 + 2;
const UDP_SUM: usize = 20 + 6;
const TCP_SUM: usize = 20 + 16;
const UDP_V6_SUM: usize = 40 + 6;
const UDP_LENGTH: usize = 20 + 4;

/// What is odd about a frame. All else is right: from 10.0.0.1 (fd00::1), port 7000, to 10.0.0.2 (fd00::2), port 7001, in
/// UDP where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Odd {
    UdpChecksum,
    UdpChecksumV6,
    TcpChecksum,
    IcmpChecksum,
    IpChecksum,
    /// The IP header says that the packet is shorter than the header.
    IpHeader,
    /// The IP header says that the packet is longer than the frame.
    IpLength,
    /// The UDP header says that the datagram is longer than the packet.
    UdpLength,
    /// An IP protocol that nothing handles.
    Protocol(u8),
    Source(Ipv4Addr),
    Destination(Ipv4Addr),
    /// Behind an 802.1Q tag.
    Vlan(u16),
    /// To the link address of nobody.
    OtherHost,
    /// To a multicast group, of IPv4 and of IPv6, that nobody has joined.
    Group,
    GroupV6,
    /// Of the protocol by which switches announce themselves.
    Lldp,
}

/// Sends `count` such frames out of the `eth0` of `from` to that of `to`; their number.
///
/// # Errors
/// When one of them has no `eth0`, or a frame is refused.
pub fn odd_frames(from: &Netns, to: &Netns, odd: Odd, count: u64) -> Result<u64> {
    let far = parse_mac(&End::new(to, "eth0", &[]).mac()?)?;
    send_frames(from, "eth0", count, |near| frame(odd, far, near))
}

fn frame(odd: Odd, far: [u8; 6], near: [u8; 6]) -> Vec<u8> {
    let (mac, tag) = match odd {
        Odd::OtherHost => ([2, 0, 0, 0, 0, 0x77], None),
        Odd::Group => ([1, 0, 0x5e, 1, 2, 3], None),
        Odd::GroupV6 => ([0x33, 0x33, 0, 0, 0x12, 0x34], None),
        Odd::Lldp => ([1, 0x80, 0xc2, 0, 0, 0x0e], None),
        Odd::Vlan(vid) => (far, Some(vid)),
        _ => (far, None),
    };
    let ethertype = match odd {
        Odd::Lldp => packet::ETHERTYPE_LLDP,
        Odd::GroupV6 | Odd::UdpChecksumV6 => packet::ETHERTYPE_IPV6,
        _ => packet::ETHERTYPE_IPV4,
    };
    packet::frame(mac, near, tag.as_slice(), ethertype, &body(odd))
}

fn body(odd: Odd) -> Vec<u8> {
    let udp = |src: Ipv4Addr, dst: Ipv4Addr| {
        packet::udp_v4(SocketAddrV4::new(src, SRC.port()), SocketAddrV4::new(dst, DST.port()), PAYLOAD)
    };
    let plain = udp(*SRC.ip(), *DST.ip());
    match odd {
        Odd::UdpChecksum => spoiled(plain, UDP_SUM),
        Odd::UdpChecksumV6 => spoiled(packet::udp_v6(SRC_V6, DST_V6, PAYLOAD), UDP_V6_SUM),
        Odd::TcpChecksum => spoiled(packet::syn(SRC, DST, 1), TCP_SUM),
        Odd::IcmpChecksum => spoiled(packet::echo(*SRC.ip(), *DST.ip(), 7, 0), ICMP_SUM),
        Odd::IpChecksum => spoiled(plain, IPV4_SUM),
        Odd::IpHeader => packet::with_ipv4_length(plain, 12),
        Odd::IpLength => packet::with_ipv4_length(plain, 200),
        Odd::UdpLength => spoiled(plain, UDP_LENGTH),
        Odd::Protocol(protocol) => packet::ipv4(*SRC.ip(), *DST.ip(), protocol, 0, 0, &[0; PAYLOAD]),
        Odd::Source(src) => udp(src, *DST.ip()),
        Odd::Destination(dst) => udp(*SRC.ip(), dst),
        Odd::Group => udp(*SRC.ip(), Ipv4Addr::new(239, 1, 2, 3)),
        Odd::GroupV6 => {
            let group = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 0x1234);
            packet::udp_v6(SRC_V6, SocketAddrV6::new(group, DST.port(), 0, 0), PAYLOAD)
        }
        Odd::Vlan(_) | Odd::OtherHost => plain,
        Odd::Lldp => vec![2, 7, 4, 2, 0, 0, 0, 0, 1, 0, 0],
    }
}

/// With every bit of the two bytes at `at` turned.
fn spoiled(mut packet: Vec<u8>, at: usize) -> Vec<u8> {
    packet[at..at + 2].iter_mut().for_each(|byte| *byte = !*byte);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_odd_about_a_frame_is_wrong() {
        let right = frame(Odd::Source(*SRC.ip()), [2; 6], [4; 6]);
        let wrong = frame(Odd::UdpChecksum, [2; 6], [4; 6]);
        let differing: Vec<_> = (0..right.len()).filter(|&at| right[at] != wrong[at]).collect();
        assert_eq!(differing, [14 + UDP_SUM, 14 + UDP_SUM + 1]);
    }

    #[test]
    fn a_false_length_has_a_right_checksum() {
        let (right, wrong) = (body(Odd::Source(*SRC.ip())), body(Odd::IpLength));
        assert_eq!(wrong[2..4], 200u16.to_be_bytes());
        assert_ne!(right[10..12], wrong[10..12]);
        assert_eq!(packet::checksum(&[&wrong[..20]]), 0);
    }
}

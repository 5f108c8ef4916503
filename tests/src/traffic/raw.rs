//! Packets that no ordinary socket would send: one call, one packet each, no retransmission.

use std::iter;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::ops::Range;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6,
    SockaddrLike, sendto, socket,
};

use super::packet::{self, Fragment};
use crate::netns::Netns;

/// Sends one SYN from each of `ports`; returns their number. A reply meets no socket at `src`: its kernel answers RST.
///
/// # Errors
/// When a packet is refused.
pub fn tcp_syn(ns: &Netns, src: Ipv4Addr, ports: Range<u16>, dst: SocketAddrV4) -> Result<u64> {
    let packets = ports.map(|port| packet::syn(SocketAddrV4::new(src, port), dst, u32::from(port) << 16));
    send_v4(ns, *dst.ip(), packets)
}

/// As [`tcp_syn`], but ACKs that belong to no connection; one that arrives is answered with RST.
///
/// # Errors
/// When a packet is refused.
pub fn tcp_ack(ns: &Netns, src: Ipv4Addr, ports: Range<u16>, dst: SocketAddrV4) -> Result<u64> {
    let packets = ports.map(|port| packet::ack(SocketAddrV4::new(src, port), dst, u32::from(port) << 16));
    send_v4(ns, *dst.ip(), packets)
}

/// Sends `count` datagrams with DF; returns how many left. Some kernels refuse those above the path MTU that they have
/// learnt, others do not look at it.
///
/// # Errors
/// When a packet is refused for another reason.
pub fn udp_df(ns: &Netns, src: SocketAddrV4, dst: SocketAddrV4, count: u64, payload: usize) -> Result<u64> {
    let send = |_| match send_v4(ns, *dst.ip(), iter::once(packet::udp_v4_df(src, dst, payload))) {
        Err(error) if error.downcast_ref() == Some(&Errno::EMSGSIZE) => Ok(0),
        sent => sent,
    };
    (0..count).map(send).sum()
}

/// Sends `count` echo requests; returns their number. The replies meet no socket.
///
/// # Errors
/// When a packet is refused.
pub fn icmp_echo(ns: &Netns, src: Ipv4Addr, dst: Ipv4Addr, id: u16, count: u16) -> Result<u64> {
    send_v4(ns, dst, (0..count).map(|sequence| packet::echo(src, dst, id, sequence)))
}

/// As [`icmp_echo`], by IPv6.
///
/// # Errors
/// When a packet is refused.
pub fn icmpv6_echo(ns: &Netns, src: Ipv6Addr, dst: Ipv6Addr, id: u16, count: u16) -> Result<u64> {
    send_v6(ns, dst, (0..count).map(|sequence| packet::echo_v6(src, dst, id, sequence)))
}

/// Sends one fragment of each of `count` UDP datagrams (144 bytes, cut in two); the other half never comes unless it
/// is sent with the same `first_id`.
///
/// # Errors
/// When a packet is refused.
pub fn ipv4_fragments(
    ns: &Netns,
    src: SocketAddrV4,
    dst: SocketAddrV4,
    which: Fragment,
    first_id: u16,
    count: u16,
) -> Result<u64> {
    send_v4(ns, *dst.ip(), (0..count).map(|n| packet::fragment_v4(src, dst, first_id.wrapping_add(n), which)))
}

/// Sends `count` IPv6 packets whose UDP header stands behind a hop-by-hop and a destination options header.
///
/// # Errors
/// When a packet is refused.
pub fn ipv6_ext_udp(
    ns: &Netns,
    src: SocketAddrV6,
    dst: SocketAddrV6,
    count: u64,
    payload: usize,
) -> Result<u64> {
    send_v6(ns, *dst.ip(), (0..count).map(|_| packet::udp_v6_ext(src, dst, payload)))
}

/// As [`udp_df`], by IPv6, where no router fragments.
///
/// # Errors
/// When a packet is refused: one too big for the device, for instance.
pub fn udp_v6_raw(
    ns: &Netns,
    src: SocketAddrV6,
    dst: SocketAddrV6,
    count: u64,
    payload: usize,
) -> Result<u64> {
    send_v6(ns, *dst.ip(), (0..count).map(|_| packet::udp_v6(src, dst, payload)))
}

/// Sends `count` UDP datagrams in frames straight out of `dev`, to the link address `mac` (`aa:bb:…`), behind an 802.1Q
/// tag for each of `tags` (VLAN numbers), the outermost first.
///
/// # Errors
/// When there is no such device, the link address does not parse, or a frame is refused.
#[expect(clippy::too_many_arguments, reason = "a frame has that many fields")]
pub fn framed_udp(
    ns: &Netns,
    dev: &str,
    mac: &str,
    tags: &[u16],
    src: SocketAddrV4,
    dst: SocketAddrV4,
    count: u64,
    payload: usize,
) -> Result<u64> {
    let mac = parse_mac(mac)?;
    let packet = packet::udp_v4(src, dst, payload);
    send_frames(ns, dev, count, |own| packet::frame(mac, own, tags, packet::ETHERTYPE_IPV4, &packet))
}

/// Broadcasts `count` ARP requests of `src` for `dst` out of `dev`; returns their number.
///
/// # Errors
/// When there is no such device, or a frame is refused.
pub fn arp_request(ns: &Netns, dev: &str, src: Ipv4Addr, dst: Ipv4Addr, count: u64) -> Result<u64> {
    send_frames(ns, dev, count, |own| {
        packet::frame([0xff; 6], own, &[], packet::ETHERTYPE_ARP, &packet::arp_request(own, src, dst))
    })
}

/// `frame` gets the link address of `dev`.
pub(super) fn send_frames(
    ns: &Netns,
    dev: &str,
    count: u64,
    frame: impl FnOnce([u8; 6]) -> Vec<u8> + Send,
) -> Result<u64> {
    ns.run(|| {
        let link = link_addr(dev)?;
        let frame = frame(link.addr().with_context(|| format!("{dev} has no link address"))?);
        // Protocol 0: this socket receives nothing.
        send_all(AddressFamily::Packet, None, &link, (0..count).map(|_| frame.clone()))
    })
}

fn send_v4(ns: &Netns, dst: Ipv4Addr, packets: impl Iterator<Item = Vec<u8>> + Send) -> Result<u64> {
    let to = SockaddrIn::from(SocketAddrV4::new(dst, 0));
    ns.run(|| send_all(AddressFamily::Inet, SockProtocol::Raw, &to, packets))
}

fn send_v6(ns: &Netns, dst: Ipv6Addr, packets: impl Iterator<Item = Vec<u8>> + Send) -> Result<u64> {
    let to = SockaddrIn6::from(SocketAddrV6::new(dst, 0, 0, 0));
    ns.run(|| send_all(AddressFamily::Inet6, SockProtocol::Raw, &to, packets))
}

fn send_all(
    family: AddressFamily,
    protocol: impl Into<Option<SockProtocol>>,
    to: &dyn SockaddrLike,
    packets: impl Iterator<Item = Vec<u8>>,
) -> Result<u64> {
    let socket = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
        .context("cannot open a raw socket")?;
    let mut sent = 0;
    for packet in packets {
        sendto(socket.as_raw_fd(), &packet, to, MsgFlags::empty())
            .with_context(|| format!("raw packet {sent} of {} bytes refused", packet.len()))?;
        sent += 1;
    }
    Ok(sent)
}

fn link_addr(dev: &str) -> Result<LinkAddr> {
    let mut interfaces = getifaddrs()?.filter(|interface| interface.interface_name == dev);
    let link = interfaces.find_map(|interface| interface.address?.as_link_addr().copied());
    link.with_context(|| format!("no device {dev}"))
}

pub(super) fn parse_mac(text: &str) -> Result<[u8; 6]> {
    let bytes: Result<Vec<u8>, _> = text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect();
    bytes.ok().and_then(|bytes| bytes.try_into().ok()).with_context(|| format!("not a link address: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_address_has_six_bytes() {
        assert_eq!(parse_mac("0a:00:ff:01:02:03").unwrap(), [0x0a, 0, 0xff, 1, 2, 3]);
        assert!(parse_mac("0a:00").is_err());
    }
}

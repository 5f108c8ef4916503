//! Packets to parse: built from parts, in a buffer that has other things before and behind them.

use lossdrop_common::{
    Event, L3, Shape,
    event::words_of,
    parse::{Bytes, Headers, Link, Packet, Scratch, parse},
};

pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const ARP: u16 = 0x0806;
pub(crate) const IPV6: u16 = 0x86dd;
pub(crate) const VLAN: u16 = 0x8100;
pub(crate) const QINQ: u16 = 0x88a8;

pub(crate) const HAS_PORTS: u8 = Event::HAS_PORTS;
pub(crate) const HAS_TCP_FLAGS: u8 = Event::HAS_TCP_FLAGS;
pub(crate) const HAS_ADDRESSES: u8 = Event::HAS_ADDRESSES;
pub(crate) const HAS_ICMP: u8 = Event::HAS_ICMP;

/// Where packets begin in the buffers below.
pub(crate) const HEADROOM: u16 = 64;

/// `skb->head`: what lies behind `end` can be read, as in the kernel, and belongs to none.
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    pub(crate) head: Vec<u8>,
    pub(crate) end: u32,
    /// What is read behind `end`.
    pub(crate) behind: u8,
}

impl Packet for Buffer {
    fn read(&self, offset: u32, bytes: &mut Bytes) -> bool {
        for (at, byte) in (u64::from(offset)..).zip(&mut bytes.0) {
            let known = usize::try_from(at).ok().filter(|_| at < u64::from(self.end));
            *byte = known.and_then(|at| self.head.get(at)).copied().unwrap_or(self.behind);
        }
        true
    }
}

/// A buffer whose linear part ends with `packet`, and what `struct sk_buff` says of it.
pub(crate) fn buffer(protocol: u16, packet: &[u8]) -> (Buffer, Link) {
    let head = [&[0x5a; HEADROOM as usize][..], packet].concat();
    let end = u32::try_from(head.len()).expect("a small packet");
    let link = Link {
        protocol,
        network: HEADROOM,
        mac: u16::MAX,
        pkt_type: 0,
        end,
        skb_len: u32::try_from(packet.len()).expect("a small packet"),
    };
    (Buffer { head, end, behind: 0xee }, link)
}

/// What the parser finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    headers: Headers,
    pub(crate) src: [u64; 2],
    pub(crate) dst: [u64; 2],
}

impl std::ops::Deref for Found {
    type Target = Headers;

    fn deref(&self) -> &Headers {
        &self.headers
    }
}

/// Parses the packet in the leavings of another one, as in the kernel.
pub(crate) fn headers(packet: &impl Packet, link: Link) -> Found {
    let mut scratch = Scratch::EMPTY;
    let (other, other_link) = buffer(IPV6, &ipv6([0xff; 16], 6, &tcp(1, 2, 0xff, b"leavings")));
    parse(&other, other_link, &mut scratch);
    parse(packet, link, &mut scratch);
    let headers = scratch.headers;
    Found { headers, src: headers.src, dst: headers.dst }
}

pub(crate) fn parsed(protocol: u16, packet: &[u8]) -> Found {
    let (buffer, link) = buffer(protocol, packet);
    headers(&buffer, link)
}

/// What the parser finds of the first `len` bytes.
pub(crate) fn parsed_prefix(protocol: u16, packet: &[u8], len: usize) -> Found {
    let (mut buffer, mut link) = buffer(protocol, packet);
    buffer.end = u32::from(HEADROOM) + u32::try_from(len).expect("a small packet");
    link.end = buffer.end;
    headers(&buffer, link)
}

pub(crate) const V4_SRC: [u8; 4] = [10, 99, 0, 1];
pub(crate) const V4_DST: [u8; 4] = [10, 99, 0, 2];
pub(crate) const V6_SRC: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
pub(crate) const V6_DST: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// An IPv4 address as the parser reports it.
pub(crate) fn v4(address: [u8; 4]) -> [u64; 2] {
    let mut padded = [0; 16];
    padded[..4].copy_from_slice(&address);
    words_of(padded)
}

pub(crate) fn ipv4(protocol: u8, transport: &[u8]) -> Vec<u8> {
    ipv4_with(&[], 0, protocol, transport)
}

/// `fragment`: the flags and the offset as they stand in the header.
pub(crate) fn ipv4_with(options: &[u8], fragment: u16, protocol: u8, transport: &[u8]) -> Vec<u8> {
    assert!(options.len().is_multiple_of(4));
    let header_len = 20 + options.len();
    let version = 0x40 | u8::try_from(header_len / 4).expect("at most 40 bytes of options");
    let total = u16::try_from(header_len + transport.len()).expect("a small packet");
    let mut packet = vec![version, 0];
    packet.extend(total.to_be_bytes());
    packet.extend([0x12, 0x34]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(V4_SRC);
    packet.extend(V4_DST);
    packet.extend(options);
    packet.extend(transport);
    packet
}

pub(crate) fn ipv6(destination: [u8; 16], next: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).expect("a small packet");
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(len.to_be_bytes());
    packet.extend([next, 64]);
    packet.extend(V6_SRC);
    packet.extend(destination);
    packet.extend(payload);
    packet
}

pub(crate) fn tcp(sport: u16, dport: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    tcp_with(&[], sport, dport, flags, payload)
}

pub(crate) fn tcp_with(options: &[u8], sport: u16, dport: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    assert!(options.len().is_multiple_of(4));
    let doff = u8::try_from(5 + options.len() / 4).expect("at most 40 bytes of options");
    let mut segment = ports(sport, dport).to_vec();
    segment.extend([0, 0, 0, 1, 0, 0, 0, 2, doff << 4, flags, 0, 1, 0, 0, 0, 0]);
    segment.extend(options);
    segment.extend(payload);
    segment
}

pub(crate) fn udp(sport: u16, dport: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + payload.len()).expect("a small packet");
    [&ports(sport, dport)[..], &len.to_be_bytes(), &[0, 0], payload].concat()
}

pub(crate) fn ports(sport: u16, dport: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (sport.to_be_bytes(), dport.to_be_bytes());
    [a, b, c, d]
}

/// Who has `V4_DST`? Tell `V4_SRC`.
pub(crate) fn arp() -> Vec<u8> {
    [&[0, 1, 8, 0, 6, 4, 0, 1][..], &[2; 6], &V4_SRC, &[0; 6], &V4_DST].concat()
}

/// A VLAN's tag and the type of what it carries.
pub(crate) fn tag(vlan: u16, ethertype: u16) -> [u8; 4] {
    ports(vlan, ethertype)
}

#[track_caller]
pub(crate) fn assert_shape(found: &Found, wanted: &[Shape]) {
    let wanted = wanted.iter().fold(Shape::default(), |all, bit| all.with(*bit));
    assert_eq!(found.shape, wanted);
}

#[track_caller]
pub(crate) fn assert_unread(found: &Found) {
    let Headers { sport, dport, l3, l4, tcp_flags, icmp_type, icmp_code, flags, .. } = found.headers;
    assert_eq!((sport, dport, tcp_flags, icmp_type, icmp_code, flags), (0, 0, 0, 0, 0, 0), "{found:?}");
    assert_eq!((l3, l4, found.src, found.dst), (L3::Other as u8, 0, [0; 2], [0; 2]), "{found:?}");
}

//! Reads the headers of a packet: addresses, ports, flags, and the [`Shape`] of the key.
//!
//! Written for the BPF verifier (bounded loops, fixed-size reads, no slices), and used by both sides.

use crate::{Event, L3, Shape};

const ETH_P_IPV4: u16 = 0x0800;
const ETH_P_ARP: u16 = 0x0806;
const ETH_P_8021Q: u16 = 0x8100;
const ETH_P_8021AD: u16 = 0x88a8;
const ETH_P_IPV6: u16 = 0x86dd;

const ETH_HEADER: u32 = 14;
const ETH_TYPE: u32 = 12;
const VLAN_TAG: u32 = 4;
/// Tags that are looked through: two, as 802.1ad stacks them.
const MAX_VLAN_TAGS: u32 = 2;

const IPPROTO_HOP_BY_HOP: u8 = 0;
pub const IPPROTO_ICMP: u8 = 1;
pub const IPPROTO_TCP: u8 = 6;
pub const IPPROTO_UDP: u8 = 17;
const IPPROTO_DCCP: u8 = 33;
const IPPROTO_ROUTING: u8 = 43;
const IPPROTO_FRAGMENT: u8 = 44;
const IPPROTO_AH: u8 = 51;
pub const IPPROTO_ICMPV6: u8 = 58;
const IPPROTO_DEST_OPTIONS: u8 = 60;
const IPPROTO_SCTP: u8 = 132;
const IPPROTO_MOBILITY: u8 = 135;
const IPPROTO_UDPLITE: u8 = 136;
/// IPv6 extension headers that are looked through; a packet with more keeps the last one's number as its protocol.
const MAX_EXTENSIONS: u32 = 8;

/// `PACKET_BROADCAST` and its neighbours (`include/uapi/linux/if_packet.h`).
const PACKET_BROADCAST: u8 = 1;
const PACKET_MULTICAST: u8 = 2;
const PACKET_OTHERHOST: u8 = 3;

/// The linear part of a packet buffer, addressed from `skb->head`.
pub trait Packet {
    /// Fills `bytes` from `offset` on; false where it can't. Bytes at or behind [`Link::end`] may be read and may
    /// be anything.
    fn read(&self, offset: u32, bytes: &mut Bytes) -> bool;
}

/// Where `struct sk_buff` says that the headers are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    /// `protocol`, host order.
    pub protocol: u16,
    /// `network_header`.
    pub network: u16,
    /// `mac_header`; 0xffff where it is not set.
    pub mac: u16,
    pub pkt_type: u8,
    /// `tail`.
    pub end: u32,
    /// `len`.
    pub skb_len: u32,
}

/// What the parser works on: in the kernel it lives in a map, as the BPF stack has no room for it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Scratch {
    pub headers: Headers,
    bytes: Bytes,
}

/// What is read of a packet at once: an IPv4 and a TCP header without options. Aligned, so that the compiler reads
/// words of it at once.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub struct Bytes(pub [u8; 40]);

impl Scratch {
    pub const EMPTY: Self = Self { headers: Headers::EMPTY, bytes: Bytes([0; 40]) };
}

/// What the headers say. Fields that could not be read are 0 and their flag is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Headers {
    /// Offset of the network header behind any VLAN tags, from `skb->head`.
    pub start: u32,
    /// Length by the IP header, else `skb->len`.
    pub len: u32,
    pub ethertype: u16,
    pub sport: u16,
    pub dport: u16,
    /// As [`crate::DropKey::l3`].
    pub l3: u8,
    pub l4: u8,
    pub tcp_flags: u8,
    pub icmp_type: u8,
    pub icmp_code: u8,
    /// As [`Event::flags`].
    pub flags: u8,
    pub shape: Shape,
    /// As [`Event::src`].
    pub src: [u64; 2],
    pub dst: [u64; 2],
}

impl Headers {
    const EMPTY: Self = Self {
        start: 0,
        len: 0,
        ethertype: 0,
        sport: 0,
        dport: 0,
        l3: 0,
        l4: 0,
        tcp_flags: 0,
        icmp_type: 0,
        icmp_code: 0,
        flags: 0,
        shape: Shape(0),
        src: [0; 2],
        dst: [0; 2],
    };

    /// Clears the fields that `parse` may leave unset.
    #[inline(always)]
    fn reset(&mut self) {
        clear(&mut self.sport);
        clear(&mut self.dport);
        clear(&mut self.l3);
        clear(&mut self.l4);
        clear(&mut self.tcp_flags);
        clear(&mut self.icmp_type);
        clear(&mut self.icmp_code);
        clear(&mut self.flags);
        clear(&mut self.src[0]);
        clear(&mut self.src[1]);
        clear(&mut self.dst[0]);
        clear(&mut self.dst[1]);
    }
}

/// Writes 0, by itself: neighbouring writes together would become a call of `memset` in BPF.
#[inline(always)]
fn clear<T: Default>(field: &mut T) {
    // SAFETY: a mutable reference is valid for writes.
    unsafe { core::ptr::from_mut(field).write_volatile(T::default()) };
}

/// Reads the headers into `scratch.headers`, whatever stood there before.
#[inline(always)]
pub fn parse(packet: &impl Packet, link: Link, scratch: &mut Scratch) {
    let Scratch { headers, bytes } = scratch;
    headers.reset();
    headers.start = link.network as u32;
    headers.len = link.skb_len;
    headers.ethertype = link.protocol;
    headers.shape = Shape::default()
        .with_if(Shape::EMPTY, link.skb_len == 0)
        .with_if(Shape::BROADCAST, link.pkt_type == PACKET_BROADCAST)
        .with_if(Shape::MULTICAST, link.pkt_type == PACKET_MULTICAST)
        .with_if(Shape::OTHERHOST, link.pkt_type == PACKET_OTHERHOST);
    // A header that was never set is at offset 0 or 0xffff, outside the linear part.
    if link.network < 2 {
        return;
    }
    if is_vlan(link.protocol) {
        skip_vlan(packet, link, headers, bytes);
    }
    if headers.start >= link.end || !packet.read(headers.start, bytes) {
        return;
    }
    match headers.ethertype {
        ETH_P_IPV4 => ipv4(packet, link.end, headers, bytes),
        ETH_P_IPV6 => ipv6(packet, link.end, headers, bytes),
        ETH_P_ARP => arp(link.end, headers, bytes),
        _ => {}
    }
}

const fn is_vlan(ethertype: u16) -> bool {
    ethertype == ETH_P_8021Q || ethertype == ETH_P_8021AD
}

/// The tag is still in the packet. `network_header` may point at it, or behind it; where the link-layer header is
/// known, that decides.
#[inline(always)]
fn skip_vlan(packet: &impl Packet, link: Link, headers: &mut Headers, bytes: &mut Bytes) {
    let mut at = if link.mac != u16::MAX && link.mac as u32 + ETH_HEADER <= link.network as u32 {
        link.mac as u32 + ETH_TYPE
    } else {
        // Behind the link layer's own type field, which `protocol` repeats.
        link.network as u32 - 2
    };
    let mut ethertype = link.protocol;
    let mut tags = 0;
    while tags < MAX_VLAN_TAGS && is_vlan(ethertype) {
        if at + VLAN_TAG + 2 > link.end || !packet.read(at + VLAN_TAG, bytes) {
            return;
        }
        at += VLAN_TAG;
        ethertype = be16(bytes, 0);
        tags += 1;
    }
    headers.ethertype = ethertype;
    headers.start = at + 2;
}

#[inline(always)]
fn ipv4(packet: &impl Packet, end: u32, headers: &mut Headers, bytes: &mut Bytes) {
    let header_len = (bytes.0[0] & 0x0f) as u32 * 4;
    if headers.start + 20 > end || bytes.0[0] >> 4 != 4 || header_len < 20 {
        return;
    }
    headers.l3 = L3::Ipv4 as u8;
    headers.flags |= Event::HAS_ADDRESSES;
    headers.src[0] = u32_at(bytes, 12);
    headers.dst[0] = u32_at(bytes, 16);
    headers.l4 = bytes.0[9];
    let total = be16(bytes, 2) as u32;
    if total != 0 {
        headers.len = total;
    }
    headers.shape = headers
        .shape
        .with_if(Shape::MULTICAST, bytes.0[16] & 0xf0 == 0xe0)
        .with_if(Shape::BROADCAST, bytes.0[16..20] == [0xff; 4]);
    if be16(bytes, 6) & 0x1fff != 0 {
        headers.shape = headers.shape.with(Shape::FRAGMENT);
        return;
    }
    let at = headers.start + header_len;
    // Total length 0: an aggregate that is longer than the field can say.
    let payload = if total == 0 { u32::MAX } else { total.saturating_sub(header_len) };
    let available = end.saturating_sub(at);
    if header_len == 20 {
        transport_header(bytes, 20, available, payload, headers);
    } else if packet.read(at, bytes) {
        transport_header(bytes, 0, available, payload, headers);
    }
}

#[inline(always)]
fn ipv6(packet: &impl Packet, end: u32, headers: &mut Headers, bytes: &mut Bytes) {
    if headers.start + 40 > end || bytes.0[0] >> 4 != 6 {
        return;
    }
    headers.l3 = L3::Ipv6 as u8;
    headers.flags |= Event::HAS_ADDRESSES;
    headers.src = [u64_at(bytes, 8), u64_at(bytes, 16)];
    headers.dst = [u64_at(bytes, 24), u64_at(bytes, 32)];
    headers.shape = headers.shape.with_if(Shape::MULTICAST, bytes.0[24] == 0xff);
    let payload_len = be16(bytes, 4) as u32;
    if payload_len != 0 {
        headers.len = payload_len + 40;
    }
    let mut next = bytes.0[6];
    let mut at = headers.start + 40;
    let mut seen = 0;
    while seen < MAX_EXTENSIONS {
        let units = match next {
            IPPROTO_HOP_BY_HOP | IPPROTO_ROUTING | IPPROTO_DEST_OPTIONS | IPPROTO_MOBILITY => 8,
            IPPROTO_AH => 4,
            IPPROTO_FRAGMENT => 0,
            _ => break,
        };
        if at + 8 > end {
            break;
        }
        if !packet.read(at, bytes) {
            break;
        }
        if next == IPPROTO_FRAGMENT && be16(bytes, 2) & 0xfff8 != 0 {
            headers.l4 = bytes.0[0];
            headers.shape = headers.shape.with(Shape::FRAGMENT);
            return;
        }
        next = bytes.0[0];
        // The length counts units behind the first 8 bytes; a fragment header has no length field.
        at += 8 + bytes.0[1] as u32 * units;
        seen += 1;
    }
    headers.l4 = next;
    if !packet.read(at, bytes) {
        return;
    }
    let payload =
        if payload_len == 0 { u32::MAX } else { (headers.start + 40 + payload_len).saturating_sub(at) };
    transport_header(bytes, 0, end.saturating_sub(at), payload, headers);
}

/// The header is in `bytes` from `at` on, and `available` bytes of it are in the linear part; the transport layer is
/// `payload` bytes long by the IP header.
#[inline(always)]
fn transport_header(bytes: &Bytes, at: usize, available: u32, payload: u32, headers: &mut Headers) {
    match headers.l4 {
        IPPROTO_TCP | IPPROTO_UDP | IPPROTO_SCTP | IPPROTO_DCCP | IPPROTO_UDPLITE if available >= 4 => {
            headers.sport = be16(bytes, at);
            headers.dport = be16(bytes, at + 2);
            headers.flags |= Event::HAS_PORTS;
            if headers.l4 == IPPROTO_UDP {
                headers.shape = headers.shape.with_if(Shape::PAYLOAD, payload > 8);
            }
            if headers.l4 == IPPROTO_TCP && available >= 14 {
                let flags = bytes.0[at + 13];
                headers.tcp_flags = flags;
                headers.flags |= Event::HAS_TCP_FLAGS;
                headers.shape = headers
                    .shape
                    .with_if(Shape::FIN, flags & 0x01 != 0)
                    .with_if(Shape::SYN, flags & 0x02 != 0)
                    .with_if(Shape::RST, flags & 0x04 != 0)
                    .with_if(Shape::ACK, flags & 0x10 != 0)
                    .with_if(Shape::PAYLOAD, payload > (bytes.0[at + 12] >> 4) as u32 * 4);
            }
        }
        IPPROTO_ICMP | IPPROTO_ICMPV6 if available >= 2 => {
            headers.icmp_type = bytes.0[at];
            headers.icmp_code = bytes.0[at + 1];
            headers.flags |= Event::HAS_ICMP;
        }
        _ => {}
    }
}

#[inline(always)]
fn arp(end: u32, headers: &mut Headers, bytes: &Bytes) {
    headers.l3 = L3::Arp as u8;
    // Ethernet and IPv4: 6-byte link-layer and 4-byte protocol addresses.
    if headers.start + 28 <= end && bytes.0[4] == 6 && bytes.0[5] == 4 {
        headers.src[0] = u32_at(bytes, 14);
        headers.dst[0] = u32_at(bytes, 24);
        headers.flags |= Event::HAS_ADDRESSES;
    }
}

#[inline(always)]
fn be16(bytes: &Bytes, at: usize) -> u16 {
    u16::from_be_bytes([bytes.0[at], bytes.0[at + 1]])
}

/// Four bytes as the first ones of a word.
#[inline(always)]
fn u32_at(bytes: &Bytes, at: usize) -> u64 {
    u64::from_ne_bytes([bytes.0[at], bytes.0[at + 1], bytes.0[at + 2], bytes.0[at + 3], 0, 0, 0, 0])
}

/// Eight bytes as a word.
#[inline(always)]
fn u64_at(bytes: &Bytes, at: usize) -> u64 {
    let bytes = &bytes.0;
    u64::from_ne_bytes([
        bytes[at],
        bytes[at + 1],
        bytes[at + 2],
        bytes[at + 3],
        bytes[at + 4],
        bytes[at + 5],
        bytes[at + 6],
        bytes[at + 7],
    ])
}

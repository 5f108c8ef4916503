//! A drop in detail, as it crosses the ring buffer.

use crate::DropKey;

/// The most bytes of packet that an event carries.
pub const MAX_SNAPLEN: u32 = 256;

/// The most frames of kernel stack that an event carries.
pub const MAX_STACK: u32 = 32;

/// The fixed part of an event. [`Facts`](crate::Facts) follow where they are asked for, then `stack_len` bytes of return
/// addresses (`u64`, innermost first) in a field of [`Config::stack_bytes`](crate::Config::stack_bytes), then `packet_len` bytes of packet, from the network header
/// on, in a field of [`Config::snaplen`](crate::Config::snaplen), rounded up.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Event {
    pub key: DropKey,
    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub ktime_ns: u64,
    /// Inode number of the socket that the packet belongs to (the receiving one where the kernel tells it, else
    /// `skb->sk`); 0 for none.
    pub socket_ino: u64,
    /// `skb->len`: what of the packet the dropping layer had before it, in bytes.
    pub skb_len: u32,
    /// The packet's length by its IP header, in bytes; `skb_len` where it has none.
    pub len: u32,
    pub cpu: u32,
    /// MTU of the key's device, in bytes; 0 where there is none.
    pub mtu: u32,
    /// Source address as its bytes lie in the packet, IPv4 in the first four bytes.
    pub src: [u64; 2],
    pub dst: [u64; 2],
    /// 0 where the packet has no ports.
    pub sport: u16,
    pub dport: u16,
    /// `skb->protocol` or the EtherType behind the packet's VLAN tags.
    pub ethertype: u16,
    /// VLAN tag (TCI); [`Event::NO_VLAN`] for none.
    pub vlan_tci: u16,
    /// The 8 flags of the TCP header's 14th byte.
    pub tcp_flags: u8,
    pub icmp_type: u8,
    pub icmp_code: u8,
    /// Bits of [`Event::HAS_PORTS`] and its neighbours.
    pub flags: u8,
    pub packet_len: u16,
    pub stack_len: u16,
    /// Name of the key's device as its bytes lie in the kernel, padded with NULs.
    pub ifname: [u64; 2],
}

impl Event {
    /// No VLAN tag: priority 7, drop eligible, VLAN 4095, which 802.1Q reserves.
    pub const NO_VLAN: u16 = 0xffff;

    /// The packet's ports were read.
    pub const HAS_PORTS: u8 = 1 << 0;
    /// The packet's addresses were read.
    pub const HAS_ADDRESSES: u8 = 1 << 1;
    /// The packet's ICMP or ICMPv6 type and code were read.
    pub const HAS_ICMP: u8 = 1 << 2;
    /// The packet's TCP flags were read.
    pub const HAS_TCP_FLAGS: u8 = 1 << 3;
}

/// 16 bytes as the words that lie in memory as they do.
pub const fn words_of(bytes: [u8; 16]) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
    [u64::from_ne_bytes([a, b, c, d, e, f, g, h]), u64::from_ne_bytes([i, j, k, l, m, n, o, p])]
}

/// The bytes of an address or a device's name.
pub const fn bytes_of(words: [u64; 2]) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h] = words[0].to_ne_bytes();
    let [i, j, k, l, m, n, o, p] = words[1].to_ne_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

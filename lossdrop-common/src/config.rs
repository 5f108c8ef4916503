//! What user space tells the kernel program before it is loaded.
//!
//! It becomes one frozen global in `.rodata`, which the verifier folds into constants: a feature that is off costs
//! nothing, and an offset that a kernel lacks is never used.

use crate::FactOffsets;

/// The offset of a field that the running kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// [`Config::rate`] for details that are not rationed.
pub const RATE_UNLIMITED: u64 = u64::MAX;

/// How the program is attached, hence how it may read kernel memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// `tp_btf/kfree_skb`: typed pointers, direct loads.
    TpBtf,
    /// `raw_tracepoint/kfree_skb`: plain addresses, `bpf_probe_read_kernel`.
    RawTracepoint,
}

/// Byte offsets in the running kernel's structures, from its BTF; [`ABSENT`] where it has no such field.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Offsets {
    pub skb_dev: u32,
    pub skb_sk: u32,
    pub skb_refdst: u32,
    pub skb_len: u32,
    pub skb_protocol: u32,
    /// The bit-field `pkt_type`, in bits.
    pub skb_pkt_type: u32,
    pub skb_head: u32,
    /// `tail`: an offset from `head` on 64-bit kernels.
    pub skb_tail: u32,
    pub skb_network_header: u32,
    pub skb_mac_header: u32,
    pub skb_vlan_tci: u32,
    /// `vlan_proto`. Where there is no `vlan_present`, a value other than 0 says that the tag was taken out of the
    /// packet.
    pub skb_vlan_proto: u32,
    /// The bit-field `vlan_present`, in bits (before 6.2).
    pub skb_vlan_present: u32,
    pub dev_name: u32,
    pub dev_ifindex: u32,
    /// `nd_net.net`.
    pub dev_net: u32,
    pub dev_mtu: u32,
    /// `_tx`, an array of `struct netdev_queue`.
    pub dev_tx: u32,
    /// `struct netdev_queue::dev`, which points back.
    pub txq_dev: u32,
    /// `struct net::ns.inum`.
    pub net_inum: u32,
    /// `struct sock::__sk_common.skc_net.net`.
    pub sk_net: u32,
    pub sk_state: u32,
    pub sk_socket: u32,
    /// From a `struct socket` to the number of its inode (`struct socket_alloc`).
    pub socket_ino: u32,
    pub dst_dev: u32,
    /// `dev_addr`, a pointer to the device's MAC.
    pub dev_addr: u32,
}

impl Offsets {
    /// A kernel that has nothing.
    pub const NONE: Self = Self {
        skb_dev: ABSENT,
        skb_sk: ABSENT,
        skb_refdst: ABSENT,
        skb_len: ABSENT,
        skb_protocol: ABSENT,
        skb_pkt_type: ABSENT,
        skb_head: ABSENT,
        skb_tail: ABSENT,
        skb_network_header: ABSENT,
        skb_mac_header: ABSENT,
        skb_vlan_tci: ABSENT,
        skb_vlan_proto: ABSENT,
        skb_vlan_present: ABSENT,
        dev_name: ABSENT,
        dev_ifindex: ABSENT,
        dev_net: ABSENT,
        dev_mtu: ABSENT,
        dev_tx: ABSENT,
        txq_dev: ABSENT,
        net_inum: ABSENT,
        sk_net: ABSENT,
        sk_state: ABSENT,
        sk_socket: ABSENT,
        socket_ino: ABSENT,
        dst_dev: ABSENT,
        dev_addr: ABSENT,
    };
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Config {
    pub offsets: Offsets,
    pub fact_offsets: FactOffsets,
    /// Arguments of the tracepoint: 2 (no reason), 3, or 4 (`rx_sk`).
    pub args: u32,
    /// [`FilterKinds`](crate::FilterKinds) as bits: the kinds that are in use.
    pub filters: u32,
    /// Not 0: [`Facts`](crate::Facts) are in an event; [`Config::FACTS_WITH_PROBES`]: also what the optional probes know.
    pub facts: u32,
    pub pad: u32,
    /// Detail events a second for each key, or [`RATE_UNLIMITED`].
    pub rate: u64,
    /// Rows of the key table for each CPU, a power of two, without the `other` row.
    pub slots: u32,
    /// Bytes of packet in an event, in a field that is rounded up to a multiple of 8; at most [`MAX_SNAPLEN`](crate::MAX_SNAPLEN).
    pub snaplen: u32,
    /// Bytes of stack in an event: 8 for each frame, 0 for none.
    pub stack_bytes: u32,
    /// Not 0: the kernel side logs what it does.
    pub debug: u32,
}

impl Config {
    /// [`Config::facts`] where the optional probes are attached.
    pub const FACTS_WITH_PROBES: u32 = 2;

    /// What the object file holds until user space overrides it.
    pub const DEFAULT: Self = Self {
        offsets: Offsets::NONE,
        fact_offsets: FactOffsets::NONE,
        args: 2,
        filters: 0,
        facts: 0,
        pad: 0,
        rate: RATE_UNLIMITED,
        slots: 1,
        snaplen: 0,
        stack_bytes: 0,
        debug: 0,
    };
}

//! What else the kernel knew when the packet died: an optional part of a detail event.

/// Follows the [`Event`](crate::Event) where [`Config::facts`](crate::Config::facts) is set. A group without its bit in
/// `present` is all zeroes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Facts {
    /// Bits of [`Facts::CONNTRACK`] and its neighbours.
    pub present: u32,
    pub packet: PacketFacts,
    pub route: RouteFacts,
    pub device: DeviceFacts,
    pub peer: PeerFacts,
    pub qdisc: QdiscFacts,
    pub socket: SocketFacts,
    pub netfilter: NetfilterFacts,
}

impl Facts {
    /// The packet belongs to a connection that conntrack knows.
    pub const CONNTRACK: u32 = 1 << 0;
    /// The packet has a route with a device.
    pub const ROUTE: u32 = 1 << 1;
    /// The packet has a device, its own or its route's: the one of the event's key.
    pub const DEVICE: u32 = 1 << 2;
    /// The device is one end of a veth pair whose other end is there.
    pub const PEER: u32 = 1 << 3;
    /// The packet's transmit queue on the device has a queueing discipline.
    pub const QDISC: u32 = 1 << 4;
    /// The packet has a socket that is neither a request nor in `TIME_WAIT`.
    pub const SOCKET: u32 = 1 << 5;
    /// The optional probes saw netfilter at work on the packet.
    pub const NETFILTER: u32 = 1 << 6;
}

/// From `struct sk_buff` and its `skb_shared_info`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct PacketFacts {
    pub mark: u32,
    /// Bytes of payload in each segment; 0 for a packet that is no bundle of segments.
    pub gso_size: u16,
    pub gso_segs: u16,
    pub queue_mapping: u16,
    /// `PACKET_HOST` and its neighbours (`include/uapi/linux/if_packet.h`).
    pub pkt_type: u8,
    /// `enum ip_conntrack_info`, where [`Facts::CONNTRACK`] is set.
    pub ctinfo: u8,
}

/// The device of the packet's route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RouteFacts {
    pub ifindex: u32,
    /// Of the device, in bytes.
    pub mtu: u32,
    /// The MTU that the route itself sets, in bytes; 0 for none.
    pub route_mtu: u32,
    pub pad: u32,
    pub name: [u64; 2],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct DeviceFacts {
    /// `IFF_UP` and its neighbours.
    pub flags: u32,
    /// Bytes.
    pub hard_header_len: u16,
    /// `ARPHRD_ETHER` and its neighbours.
    pub kind: u16,
    /// The bridge that the device is a port of; 0 for none.
    pub bridge_ifindex: u32,
    pub pad: u32,
    /// What `ip link add … type` calls it; empty for hardware.
    pub link_kind: [u64; 2],
}

/// The other end of a veth pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct PeerFacts {
    pub ifindex: u32,
    pub netns: u32,
    pub mtu: u32,
    pub flags: u32,
    pub hard_header_len: u16,
    pub pad: [u16; 3],
    pub name: [u64; 2],
}

/// The root queueing discipline of the packet's transmit queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct QdiscFacts {
    pub kind: [u64; 2],
    /// `major << 16 | minor`.
    pub handle: u32,
    /// Packets or bytes, as the kind has it; 0 where the kind keeps it elsewhere.
    pub limit: u32,
    /// Packets.
    pub qlen: u32,
    /// Bytes.
    pub backlog: u32,
    /// Packets dropped so far.
    pub drops: u32,
    /// [`QdiscFacts::PER_CPU`] and its neighbours.
    pub flags: u32,
}

impl QdiscFacts {
    /// `TCQ_F_CPUSTATS` (`include/net/sch_generic.h`): each CPU counts for itself, and `qlen`, `backlog` and `drops` stay 0.
    pub const PER_CPU: u32 = 0x20;
}

/// The packet's socket: the receiving one where the kernel tells it, else `skb->sk`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SocketFacts {
    /// Limit of the receive buffer in bytes of memory.
    pub rcvbuf: u32,
    /// What of it is in use.
    pub rmem: u32,
    /// Bytes that wait for the owner of the socket's lock.
    pub backlog: u32,
    pub sndbuf: u32,
    /// What of it is in use.
    pub wmem: u32,
    /// Packets that the socket has dropped so far.
    pub drops: u32,
    /// Connections that wait to be accepted.
    pub ack_backlog: u32,
    pub max_ack_backlog: u32,
    pub protocol: u16,
    pub family: u16,
    /// `SOCK_STREAM` and its neighbours.
    pub kind: u16,
    /// The local port.
    pub port: u16,
    /// `TCP_ESTABLISHED` and its neighbours.
    pub state: u8,
    /// Not 0: a filter of its own looks at what it receives (`SO_ATTACH_FILTER`, `SO_ATTACH_BPF`).
    pub filtered: u8,
    pub pad: [u8; 6],
}

/// What netfilter was doing with the packet, by the optional probes. It is of use for a drop within netfilter only: a packet
/// that got through and died elsewhere may still have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct NetfilterFacts {
    /// The first 31 bytes of the table's name.
    pub table: [u64; 4],
    /// The first 31 bytes of the chain's name: the one of the rule where `rule_handle` is known, else the base chain.
    pub chain: [u64; 4],
    /// `nft -a list ruleset` shows it; 0 where it is not known.
    pub rule_handle: u64,
    /// Bits of [`NetfilterFacts::NFT`] and its neighbours.
    pub flags: u16,
    /// `NF_INET_PRE_ROUTING` and its neighbours, or those of `pf`.
    pub hook: u8,
    /// `NFPROTO_IPV4` and its neighbours: the family of the hook.
    pub pf: u8,
    /// The family of the nftables table, which may be `NFPROTO_INET`.
    pub family: u8,
    pub pad: [u8; 3],
}

impl NetfilterFacts {
    /// nftables was at work: `table`, `chain` and `family` are known.
    pub const NFT: u16 = 1 << 0;
    /// A rule with the verdict `drop` was reached, though before 6.4 its handle is known in base chains only. Other expressions
    /// that drop (`vmap`, `reject`, those of iptables) do not set it.
    pub const RULE: u16 = 1 << 1;
    /// The base chain's policy is to drop.
    pub const POLICY_DROP: u16 = 1 << 2;
    /// A legacy xtables table dropped the packet: `table` is known.
    pub const XT: u16 = 1 << 3;
    /// Conntrack refused the packet.
    pub const CONNTRACK: u16 = 1 << 4;
}

/// A structure of offsets, and its value on a kernel that has nothing.
macro_rules! fact_offsets {
    ($($(#[$meta:meta])* $field:ident),+ $(,)?) => {
        /// Byte offsets of the fields that only facts need, and sizes of structures; [`ABSENT`](crate::ABSENT) where the
        /// running kernel has none.
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        pub struct FactOffsets {
            $($(#[$meta])* pub $field: u32),+
        }

        impl FactOffsets {
            /// A kernel that has nothing.
            pub const NONE: Self = Self { $($field: crate::ABSENT),+ };
        }
    };
}

fact_offsets! {
    skb_mark,
    /// `end`: an offset from `head` on 64-bit kernels, where `struct skb_shared_info` lies.
    skb_end,
    skb_nfct,
    skb_queue_mapping,
    shared_gso_size,
    shared_gso_segs,
    dst_metrics,
    dev_flags,
    dev_hard_header_len,
    dev_type,
    dev_priv_flags,
    /// The value of `IFF_BRIDGE_PORT`.
    bridge_port_flag,
    dev_rx_handler_data,
    bridge_port_bridge,
    bridge_dev,
    dev_link_ops,
    link_ops_kind,
    dev_num_tx_queues,
    /// Where a driver's own part of a device begins: `netdev_priv()`.
    dev_priv,
    veth_peer,
    /// Bytes of a `struct netdev_queue`.
    txq_size,
    txq_qdisc,
    qdisc_ops,
    qdisc_ops_id,
    qdisc_handle,
    qdisc_limit,
    qdisc_flags,
    qdisc_qlen,
    qdisc_backlog,
    qdisc_drops,
    sk_rcvbuf,
    sk_rmem,
    sk_backlog_len,
    sk_sndbuf,
    sk_wmem,
    sk_drops,
    /// The two counters behind a pointer that busy sockets have instead (since 6.18).
    sk_drop_counters,
    drop_counters_first,
    drop_counters_second,
    sk_ack_backlog,
    sk_max_ack_backlog,
    sk_protocol,
    sk_family,
    sk_type,
    sk_num,
    sk_filter,
    hook_state_hook,
    hook_state_pf,
    pktinfo_skb,
    pktinfo_state,
    regs_verdict_code,
    expr_ops,
    expr_ops_size,
    /// The bit-field `dlen` of `struct nft_rule_dp`, in bits. The lowest bit tells the last one.
    rule_dlen,
    /// The bit-field `handle`, in bits.
    rule_handle,
    rule_data,
    rule_last_chain,
    chain_table,
    chain_name,
    chain_blob_0,
    chain_blob_1,
    blob_size,
    blob_data,
    nft_table_name,
    /// The bit-field `family` of `struct nft_table`, in bits.
    nft_table_family,
    base_chain_chain,
    base_chain_policy,
    xt_table_name,
}

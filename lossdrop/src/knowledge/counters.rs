//! The kernel's own counters that tell of losses, and the kinds of drop that move each.

use lossdrop_common::{
    L3,
    parse::{IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP},
};

use super::{Kind, kinds};

/// Whose counter a row of the table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Link,
    Qdisc,
    Protocol,
    Conntrack,
    Softnet,
    NfQueue,
}

/// How a drop is found to be one that a counter counted.
#[derive(Clone, Copy, Debug)]
pub enum Where {
    /// The packet was at the counter's device.
    AtDevice,
    /// The counter's device is the culprit: for a veth, not the one that the packet was at.
    Culprit,
    /// Anywhere in the counter's namespace.
    Netns,
    /// Anywhere.
    Anywhere,
}

/// A counter that tells of losses, and the kinds of drop that move it.
#[derive(Clone, Copy, Debug)]
pub struct Counter {
    pub of: Of,
    pub name: &'static str,
    pub place: Where,
    /// Of this network layer only.
    pub l3: Option<L3>,
    /// Of this IP protocol only.
    pub l4: Option<u8>,
    pub kinds: &'static [&'static Kind],
    pub remark: &'static str,
}

/// Rows: `Of "name" place (l3)? (l4)?: [KINDS] "remark"?;`.
macro_rules! counters {
    ($($of:ident $name:literal $place:ident $(l3 $l3:ident)? $(l4 $l4:ident)?: [$($kind:ident)*] $($remark:literal)?;)+) => {
        &[$(Counter {
            of: Of::$of,
            name: $name,
            place: Where::$place,
            l3: counters!(@l3 $($l3)?),
            l4: counters!(@l4 $($l4)?),
            kinds: &[$(&kinds::$kind),*],
            remark: concat!($($remark)?),
        }),+]
    };
    (@l3) => { None };
    (@l3 $l3:ident) => { Some(L3::$l3) };
    (@l4) => { None };
    (@l4 $l4:ident) => { Some($l4) };
}

/// The counters of the kernel that tell of losses (`include/uapi/linux/snmp.h`, `struct rtnl_link_stats64`, `tc -s`,
/// `/proc/net/softnet_stat`, `/proc/net/stat/nf_conntrack`). The first row that fits a counter holds.
pub static COUNTERS: &[Counter] = counters! {
    Link "rx_dropped" Culprit: [MTU_VETH_PEER DEVICE_DOWN];
    Link "rx_dropped" AtDevice: [QUEUE_CPU_BACKLOG HOUSEKEEPING_UNHANDLED_PROTOCOL BPF_XDP DEVICE_REFUSED];
    Link "tx_dropped" AtDevice: [MTU_VETH_PEER DEVICE_DOWN QUEUE_TUN_RING QUEUE_VETH_RING BPF_TAP DEVICE_SEGMENTATION
        DEVICE_BOND DEVICE_MACVLAN DEVICE_TUN MTU_BRIDGE_PORT TUNNEL_SEND TUNNEL_WIREGUARD DEVICE_BRIDGE_NO_PORT
        NEIGHBOUR_UNREACHABLE];
    Link "rx_nohandler" AtDevice: [HOUSEKEEPING_UNHANDLED_PROTOCOL];
    Link "rx_errors" AtDevice: [];
    Link "tx_errors" AtDevice: [TUNNEL_SEND TUNNEL_WIREGUARD MTU_OUTPUT MTU_TUNNEL];
    Link "rx_missed_errors" AtDevice: [];
    Link "rx_over_errors" AtDevice: [];
    Link "rx_fifo_errors" AtDevice: [];
    Link "rx_crc_errors" AtDevice: [];
    Link "rx_length_errors" AtDevice: [];
    Link "rx_frame_errors" AtDevice: [];
    Link "tx_carrier_errors" AtDevice: [];
    Qdisc "drops" AtDevice: [QUEUE_QDISC_LIMIT QUEUE_QDISC_AQM QUEUE_QDISC_OVERSIZE QUEUE_NETEM BPF_TC_INGRESS
        BPF_TC_EGRESS BPF_TC_POLICE];
    Softnet "dropped" Anywhere: [QUEUE_CPU_BACKLOG];
    Conntrack "drop" Netns: [NETFILTER_CONNTRACK_FULL NETFILTER_CONNTRACK_RACE];
    Conntrack "early_drop" Netns: [NETFILTER_CONNTRACK_FULL];
    Conntrack "insert_failed" Netns: [NETFILTER_CONNTRACK_RACE];
    Conntrack "invalid" Netns: [NETFILTER_CONNTRACK_INVALID];
    NfQueue "queue_dropped" Netns: [NETFILTER_NFQUEUE_FULL];
    NfQueue "user_dropped" Netns: [NETFILTER_NFQUEUE_FULL];
    Protocol "UdpNoPorts" Netns l3 Ipv4 l4 IPPROTO_UDP: [SOCKET_CLOSED_PORT];
    Protocol "Udp6NoPorts" Netns l3 Ipv6 l4 IPPROTO_UDP: [SOCKET_CLOSED_PORT];
    Protocol "UdpRcvbufErrors" Netns l3 Ipv4 l4 IPPROTO_UDP: [SOCKET_RCVBUF];
    Protocol "Udp6RcvbufErrors" Netns l3 Ipv6 l4 IPPROTO_UDP: [SOCKET_RCVBUF];
    Protocol "UdpMemErrors" Netns l3 Ipv4 l4 IPPROTO_UDP: [MEMORY_PROTOCOL];
    Protocol "Udp6MemErrors" Netns l3 Ipv6 l4 IPPROTO_UDP: [MEMORY_PROTOCOL];
    Protocol "UdpInCsumErrors" Netns l3 Ipv4: [CHECKSUM_UDP];
    Protocol "Udp6InCsumErrors" Netns l3 Ipv6: [CHECKSUM_UDP];
    Protocol "UdpInErrors" Netns l3 Ipv4 l4 IPPROTO_UDP: [SOCKET_RCVBUF SOCKET_FILTER BPF_CGROUP_INGRESS CHECKSUM_UDP
        MEMORY_PROTOCOL MALFORMED_LENGTH];
    Protocol "Udp6InErrors" Netns l3 Ipv6 l4 IPPROTO_UDP: [SOCKET_RCVBUF SOCKET_FILTER BPF_CGROUP_INGRESS CHECKSUM_UDP
        MEMORY_PROTOCOL MALFORMED_LENGTH];
    Protocol "UdpSndbufErrors" Netns l3 Ipv4 l4 IPPROTO_UDP: [MTU_VETH_PEER DEVICE_DOWN QUEUE_QDISC_LIMIT
        QUEUE_QDISC_AQM QUEUE_QDISC_OVERSIZE QUEUE_NETEM QUEUE_DEVICE_DOWN QUEUE_TUN_RING BPF_TC_EGRESS BPF_TC_POLICE NETFILTER_RULE
        NETFILTER_POLICY];
    Protocol "UdpSndbufErrors" Netns: [SOCKET_SEND_BUFFER];
    Protocol "Udp6SndbufErrors" Netns l3 Ipv6 l4 IPPROTO_UDP: [MTU_VETH_PEER DEVICE_DOWN QUEUE_QDISC_LIMIT
        QUEUE_QDISC_AQM QUEUE_QDISC_OVERSIZE QUEUE_NETEM QUEUE_DEVICE_DOWN QUEUE_TUN_RING BPF_TC_EGRESS BPF_TC_POLICE NETFILTER_RULE
        NETFILTER_POLICY];
    Protocol "Udp6SndbufErrors" Netns: [SOCKET_SEND_BUFFER];
    Protocol "TcpInCsumErrors" Netns l4 IPPROTO_TCP: [CHECKSUM_TCP];
    Protocol "TcpInErrs" Netns l4 IPPROTO_TCP: [CHECKSUM_TCP MALFORMED_LENGTH MALFORMED_HEADER TCP_STATE];
    Protocol "IcmpInCsumErrors" Netns l4 IPPROTO_ICMP: [CHECKSUM_ICMP];
    Protocol "IcmpInErrors" Netns l4 IPPROTO_ICMP: [CHECKSUM_ICMP MALFORMED_LENGTH MALFORMED_HEADER MALFORMED_PROTOCOL];
    Protocol "IpInHdrErrors" Netns l3 Ipv4: [MALFORMED_HEADER MALFORMED_LENGTH CHECKSUM_IP ROUTING_TTL];
    Protocol "Ip6InHdrErrors" Netns l3 Ipv6: [MALFORMED_HEADER MALFORMED_LENGTH ROUTING_TTL MALFORMED_EXTENSION];
    Protocol "IpExtInCsumErrors" Netns l3 Ipv4: [CHECKSUM_IP];
    Protocol "IpExtInTruncatedPkts" Netns l3 Ipv4: [MALFORMED_LENGTH];
    Protocol "Ip6InTruncatedPkts" Netns l3 Ipv6: [MALFORMED_LENGTH];
    Protocol "IpInAddrErrors" Netns l3 Ipv4: [ROUTING_FORWARDING_OFF ROUTING_UNREACHABLE ROUTING_PROHIBIT ROUTING_BLACKHOLE
        ROUTING_NO_ROUTE ROUTING_REFUSED];
    Protocol "Ip6InAddrErrors" Netns l3 Ipv6: [ROUTING_FORWARDING_OFF ROUTING_UNREACHABLE ROUTING_PROHIBIT ROUTING_REFUSED
        ROUTING_MARTIAN];
    Protocol "IpExtInNoRoutes" Netns l3 Ipv4: [ROUTING_NO_ROUTE ROUTING_UNREACHABLE];
    Protocol "Ip6InNoRoutes" Netns l3 Ipv6: [ROUTING_NO_ROUTE ROUTING_UNREACHABLE ROUTING_PROHIBIT ROUTING_BLACKHOLE];
    Protocol "IpOutNoRoutes" Netns l3 Ipv4: [ROUTING_NO_ROUTE] "also sends that failed with an error and never made a packet";
    Protocol "Ip6OutNoRoutes" Netns l3 Ipv6: [ROUTING_NO_ROUTE] "also sends that failed with an error and never made a packet";
    Protocol "TcpExtIPReversePathFilter" Netns: [ROUTING_RP_FILTER];
    Protocol "IpFragFails" Netns l3 Ipv4: [MTU_FORWARD MTU_OUTPUT MTU_TUNNEL];
    Protocol "Ip6FragFails" Netns l3 Ipv6: [MTU_FORWARD MTU_OUTPUT MTU_TUNNEL];
    Protocol "Ip6InTooBigErrors" Netns l3 Ipv6: [MTU_FORWARD];
    Protocol "IpReasmFails" Netns l3 Ipv4: [MTU_REASSEMBLY MTU_FRAGMENT];
    Protocol "IpReasmTimeout" Netns l3 Ipv4: [MTU_REASSEMBLY];
    Protocol "Ip6ReasmFails" Netns l3 Ipv6: [MTU_REASSEMBLY MTU_FRAGMENT];
    Protocol "Ip6ReasmTimeout" Netns l3 Ipv6: [MTU_REASSEMBLY];
    Protocol "IpInDiscards" Netns l3 Ipv4: [MEMORY_ALLOCATION];
    Protocol "Ip6InDiscards" Netns l3 Ipv6: [MEMORY_ALLOCATION ROUTING_IPV6_DISABLED];
    Protocol "IpOutDiscards" Netns l3 Ipv4: [NETFILTER_DROP NETFILTER_RULE NETFILTER_POLICY NETFILTER_REJECT MEMORY_ALLOCATION
        NEIGHBOUR_TABLE_FULL BPF_CGROUP_EGRESS BPF_TC_EGRESS BPF_TC_POLICE MTU_VETH_PEER QUEUE_QDISC_LIMIT QUEUE_QDISC_OVERSIZE
        QUEUE_QDISC_AQM QUEUE_NETEM QUEUE_DEVICE_DOWN];
    Protocol "Ip6OutDiscards" Netns l3 Ipv6: [NETFILTER_DROP NETFILTER_RULE NETFILTER_POLICY NETFILTER_REJECT
        MEMORY_ALLOCATION BPF_CGROUP_EGRESS BPF_TC_EGRESS BPF_TC_POLICE MTU_VETH_PEER QUEUE_QDISC_LIMIT QUEUE_QDISC_OVERSIZE QUEUE_QDISC_AQM
        QUEUE_NETEM QUEUE_DEVICE_DOWN];
    Protocol "IpInUnknownProtos" Netns l3 Ipv4: [SOCKET_PROTOCOL];
    Protocol "Ip6InUnknownProtos" Netns l3 Ipv6: [SOCKET_PROTOCOL];
    Protocol "TcpExtListenOverflows" Netns: [SOCKET_ACCEPT_QUEUE];
    Protocol "TcpExtListenDrops" Netns: [SOCKET_ACCEPT_QUEUE SOCKET_SYN_QUEUE];
    Protocol "TcpExtTCPReqQFullDrop" Netns: [SOCKET_SYN_QUEUE];
    Protocol "TcpExtTCPBacklogDrop" Netns: [SOCKET_BACKLOG];
    Protocol "TcpExtTCPRcvQDrop" Netns: [MEMORY_PROTOCOL];
    Protocol "TcpExtTCPZeroWindowDrop" Netns: [SOCKET_ZERO_WINDOW];
    Protocol "TcpExtTCPOFODrop" Netns: [SOCKET_ZERO_WINDOW MEMORY_PROTOCOL];
    Protocol "TcpExtPFMemallocDrop" Netns: [MEMORY_ALLOCATION];
    Protocol "TcpExtTCPMinTTLDrop" Netns: [TCP_STATE];
};

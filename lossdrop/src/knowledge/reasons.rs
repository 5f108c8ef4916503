//! The kernel's core drop reasons (`enum skb_drop_reason`, `include/net/dropreason-core.h`) since 5.17.

use super::{
    Confidence, Kind, Noise, Severity,
    conditions::{
        LATE, NO_DEVICE, OTHER_PROTOCOL_OR_GROUP, SYN_ACK, TO_GROUP, TO_OTHER_HOST, WITHOUT_PAYLOAD,
    },
    subsystems::SUBSYSTEMS,
};

/// A drop reason of some kernel.
#[derive(Clone, Copy, Debug)]
pub struct Reason {
    /// Without `SKB_DROP_REASON_`; a subsystem's as its enumerator is spelled.
    pub name: &'static str,
    /// [`UNKNOWN_UNKNOWN`](super::kinds::UNKNOWN_UNKNOWN) only where the location decides.
    pub kind: &'static Kind,
    /// Of a drop that is no noise.
    pub severity: Severity,
    pub confidence: Confidence,
    pub noise: Noise,
    /// One sentence without a full stop.
    pub meaning: &'static str,
}

/// Rows of a table of reasons: `NAME: KIND (noise) as Severity is Confidence, "meaning";`, where no noise is never, the
/// severity is else the kind's, and the confidence certain.
macro_rules! reasons {
    (
        $($name:ident: $kind:ident $(($($noise:tt)+))? $(as $severity:ident)? $(is $confidence:ident)?,
          $meaning:literal;)+
    ) => {
        [$($crate::knowledge::Reason {
            name: stringify!($name),
            kind: &$crate::knowledge::kinds::$kind,
            severity: $crate::knowledge::reasons::severity!($kind $($severity)?),
            confidence: $crate::knowledge::reasons::confidence!($($confidence)?),
            noise: $crate::knowledge::reasons::noise!($($($noise)+)?),
            meaning: $meaning,
        }),+]
    };
}
pub(super) use reasons;

macro_rules! noise {
    () => {
        $crate::knowledge::Noise::Never
    };
    (always) => {
        $crate::knowledge::Noise::Always
    };
    (when $condition:ident) => {
        $crate::knowledge::Noise::When($condition)
    };
}
pub(super) use noise;

macro_rules! severity {
    ($kind:ident) => {
        $crate::knowledge::kinds::$kind.severity
    };
    ($kind:ident $severity:ident) => {
        $crate::knowledge::Severity::$severity
    };
}
pub(super) use severity;

macro_rules! confidence {
    () => {
        $crate::knowledge::Confidence::Certain
    };
    ($confidence:ident) => {
        $crate::knowledge::Confidence::$confidence
    };
}
pub(super) use confidence;

/// Every reason that a kernel is known to give, core reasons first.
pub static REASONS: &[Reason] = &{
    let mut all = [CORE[0]; CORE.len() + SUBSYSTEMS.len()];
    let (core, subsystems) = all.split_at_mut(CORE.len());
    core.copy_from_slice(CORE);
    subsystems.copy_from_slice(SUBSYSTEMS);
    all
};

const CORE: &[Reason] = &reasons! {
    NOT_SPECIFIED: UNKNOWN_UNKNOWN,
        "the kernel gives no reason; the function that dropped the packet may tell";
    // No reasons, and without `DROP_REASON_` in their names: a drop that has one was not given a reason.
    NOT_DROPPED_YET: UNKNOWN_UNKNOWN,
        "the kernel gives no reason; the function that dropped the packet may tell";
    CONSUMED: HOUSEKEEPING_PROCESSED (always),
        "the packet was delivered or used up, not dropped";

    // Sockets.
    NO_SOCKET: SOCKET_CLOSED_PORT (when LATE),
        "no socket is open for the packet: a closed port, or a connection that no longer exists";
    SOCKET_CLOSE: HOUSEKEEPING_SOCKET_CLOSED (always),
        "a local socket was closed with unread data in its queue";
    SOCKET_FILTER: SOCKET_FILTER,
        "a filter on the socket, a cgroup ingress program or (older kernels) a security module refused it";
    TCP_FILTER: SOCKET_FILTER,
        "a filter on the socket, a cgroup ingress program or a security module refused it";
    SOCKET_RCVBUFF: SOCKET_RCVBUF,
        "the socket's receive buffer is full: the application reads too slowly or the buffer is too small";
    SOCKET_BACKLOG: SOCKET_BACKLOG,
        "the socket's backlog is full: the application holds the socket too long for the rate of arrival";
    SECURITY_HOOK: SOCKET_SECURITY,
        "a security module (SELinux, AppArmor, …) refused the packet";
    PACKET_SOCK_ERROR: SOCKET_CAPTURE (always),
        "a capture socket (tcpdump, DHCP, …) had no room for its copy; the packet itself went on";
    UNIX_DISCONNECT: HOUSEKEEPING_LOCAL_SOCKET (always),
        "a local AF_UNIX socket changed or lost its peer with unread data in its queue";
    UNIX_SKIP_OOB: HOUSEKEEPING_LOCAL_SOCKET (always),
        "an application skipped out-of-band data on a local AF_UNIX socket";
    IP_NOPROTO: SOCKET_PROTOCOL,
        "nothing on this host handles the packet's IP protocol";

    // Policy.
    NETFILTER_DROP: NETFILTER_DROP,
        "netfilter said drop: a rule, a chain's policy, or a limit of conntrack";
    XFRM_POLICY: XFRM_POLICY,
        "an IPsec policy refuses the packet, for instance as it came unencrypted";
    PSP_INPUT: XFRM_PSP,
        "the PSP encryption of the packet is not what its connection requires";
    PSP_OUTPUT: XFRM_PSP,
        "the packet was to leave without the PSP encryption that its connection requires";
    BPF_CGROUP_EGRESS: BPF_CGROUP_EGRESS,
        "a cgroup egress BPF program refused the packet";
    TC_INGRESS: BPF_TC_INGRESS,
        "a tc program, filter or action dropped the packet on its way in";
    TC_EGRESS: BPF_TC_EGRESS,
        "a tc program, filter or action dropped the packet on its way out";
    TC_COOKIE_ERROR: BPF_TC_ERROR,
        "tc lost track of the packet between hardware and software (extension cookie)";
    TC_CHAIN_NOTFOUND: BPF_TC_ERROR,
        "a tc action goes to a chain that does not exist";
    TC_RECLASSIFY_LOOP: BPF_TC_ERROR,
        "tc filters or redirections form a loop";
    TC_ERROR: BPF_TC_ERROR,
        "tc failed on the packet: a missing chain, a loop, or an extension cookie that is lost";
    XDP: BPF_XDP,
        "generic XDP dropped the packet, or could not redirect it";
    TAP_FILTER: BPF_TAP,
        "a BPF filter on the tun/tap device refused the packet";
    TAP_TXFILTER: HOUSEKEEPING_OTHER_HOST (always),
        "the reader of the tap device did not ask for this destination MAC address";

    // Checksums.
    TCP_CSUM: CHECKSUM_TCP,
        "the TCP checksum is wrong: damage on the way, or a faulty offload";
    UDP_CSUM: CHECKSUM_UDP,
        "the UDP checksum is wrong: damage on the way, or a faulty offload";
    ICMP_CSUM: CHECKSUM_ICMP,
        "the ICMP checksum is wrong";
    IP_CSUM: CHECKSUM_IP,
        "the checksum of the IPv4 header is wrong";
    SKB_CSUM: CHECKSUM_OTHER,
        "the packet's checksum is wrong or could not be computed";

    // Headers.
    PKT_TOO_SMALL: MALFORMED_LENGTH,
        "the packet is shorter than its headers say";
    IP_INHDR: MALFORMED_HEADER is Likely,
        "the IP header is invalid, or its TTL or hop limit ran out";
    HDR_TRUNC: MALFORMED_LENGTH,
        "the packet is too short for its headers";
    INVALID_PROTO: MALFORMED_PROTOCOL (when TO_GROUP),
        "the packet breaks the rules of its protocol, for instance a broadcast ping";
    UNHANDLED_PROTO: HOUSEKEEPING_UNHANDLED_PROTOCOL (when OTHER_PROTOCOL_OR_GROUP) as Fault,
        "nothing on this host handles the protocol (LLDP, STP, …), or the device is a passive bond member";
    PTYPE_ABSENT: HOUSEKEEPING_UNHANDLED_PROTOCOL (when OTHER_PROTOCOL_OR_GROUP) as Fault,
        "nothing on this host handles the protocol (LLDP, STP, …), or the device is a passive bond member";
    IPV6_BAD_EXTHDR: MALFORMED_EXTENSION,
        "an IPv6 extension header is invalid";
    IPV6_TOO_MANY_EXTHDRS: MALFORMED_EXTENSION,
        "the packet has more IPv6 extension headers than the kernel accepts";
    IPV6_NDISC_FRAG: MALFORMED_NDISC,
        "a fragmented neighbour-discovery message, which is refused (suppress_frag_ndisc)";
    IPV6_NDISC_HOP_LIMIT: MALFORMED_NDISC,
        "a neighbour-discovery message that crossed a router (hop limit below 255): forged, or a bad tunnel";
    IPV6_NDISC_BAD_CODE: MALFORMED_NDISC,
        "a neighbour-discovery message with an unknown code";
    IPV6_NDISC_BAD_OPTIONS: MALFORMED_NDISC,
        "a neighbour-discovery message with invalid options";
    IPV6_NDISC_NS_OTHERHOST: HOUSEKEEPING_OTHER_HOST (always),
        "a neighbour solicitation that asks for another host";
    CAN_RX_INVALID_FRAME: MALFORMED_HEADER,
        "an invalid CAN frame, or one from a device that is no CAN device";
    CANFD_RX_INVALID_FRAME: MALFORMED_HEADER,
        "an invalid CAN FD frame, or one from a device that is no CAN device";
    CANXL_RX_INVALID_FRAME: MALFORMED_HEADER,
        "an invalid CAN XL frame, or one from a device that is no CAN device";

    // Addresses and routes.
    OTHERHOST: HOUSEKEEPING_OTHER_HOST (when TO_OTHER_HOST) as Fault,
        "the frame is for another host (flooding, promiscuous mode)";
    UNICAST_IN_L2_MULTICAST: ROUTING_REFUSED as Policy,
        "an IP packet for this host in a multicast frame, which drop_unicast_in_l2_multicast refuses";
    IP_RPFILTER: ROUTING_RP_FILTER,
        "reverse-path filter: the source is not reachable through the interface that the packet came in by";
    IP_OUTNOROUTES: ROUTING_NO_ROUTE,
        "there is no route for an outgoing packet";
    IP_INNOROUTES: ROUTING_NO_ROUTE,
        "there is no route to forward or accept the packet by";
    IP_INADDRERRORS: ROUTING_REFUSED,
        "the destination is unreachable from here, or an address is not acceptable";
    IP_LOCAL_SOURCE: ROUTING_MARTIAN,
        "the source is one of this host's own addresses: a duplicate address, a loop, or forged";
    IP_INVALID_SOURCE: ROUTING_MARTIAN,
        "the source address is multicast, broadcast or zero";
    IP_LOCALNET: ROUTING_MARTIAN,
        "a 127.0.0.0/8 address came from the network (route_localnet is off)";
    IP_INVALID_DEST: ROUTING_MARTIAN,
        "the destination address is zero";
    IPV6DISABLED: ROUTING_IPV6_DISABLED (always),
        "IPv6 is disabled on the device";

    // Neighbours.
    NEIGH_CREATEFAIL: NEIGHBOUR_TABLE_FULL,
        "no entry could be made for the next hop: the neighbour table is full (gc_thresh3), or no memory";
    NEIGH_FAILED: NEIGHBOUR_UNREACHABLE,
        "the next hop does not answer ARP or neighbour discovery: it is down, or not on this network";
    NEIGH_QUEUEFULL: NEIGHBOUR_QUEUE_FULL,
        "too many packets wait for the next hop's link-layer address (unres_qlen_bytes)";
    NEIGH_DEAD: NEIGHBOUR_GONE,
        "the next hop's entry was just being deleted";
    NEIGH_HH_FILLFAIL: NEIGHBOUR_HEADER,
        "the link-layer header could not be built";
    ARP_PVLAN_DISABLE: NEIGHBOUR_ARP,
        "a packet goes back out of the port it came in by, and proxy_arp_pvlan is off";

    // Size.
    PKT_TOO_BIG: MTU_FORWARD,
        "the packet is larger than the MTU ahead and must not be fragmented; the sender gets an ICMP error";
    DUP_FRAG: MTU_FRAGMENT,
        "a fragment that has arrived already";
    FRAG_REASM_TIMEOUT: MTU_REASSEMBLY,
        "not all fragments of the packet arrived in time";
    FRAG_TOO_FAR: MTU_FRAGMENT,
        "too many other fragments of the sender came in between (ipfrag_max_dist)";

    // TCP.
    TCP_AUTH_HDR: TCP_AUTH,
        "the TCP-MD5 or TCP-AO option is malformed, or both are there";
    TCP_MD5NOTFOUND: TCP_AUTH,
        "the connection requires a TCP-MD5 signature and the segment has none";
    TCP_MD5UNEXPECTED: TCP_AUTH,
        "the segment has a TCP-MD5 signature that the connection is not configured for";
    TCP_MD5FAILURE: TCP_AUTH,
        "the TCP-MD5 signature is wrong: the peers' passwords differ";
    TCP_AONOTFOUND: TCP_AUTH,
        "the connection requires a TCP-AO signature and the segment has none";
    TCP_AOUNEXPECTED: TCP_AUTH,
        "the segment has a TCP-AO signature that the connection is not configured for";
    TCP_AOKEYNOTFOUND: TCP_AUTH,
        "the segment's TCP-AO key is not known here";
    TCP_AOFAILURE: TCP_AUTH,
        "the TCP-AO signature is wrong: the peers' keys differ";
    TCP_FLAGS: TCP_STATE,
        "the TCP flags do not fit the state of the connection: a scan, or a peer out of step";
    TCP_ABORT_ON_DATA: TCP_STATE,
        "data came after the application had closed the connection, so it is reset";
    TCP_ZEROWINDOW: SOCKET_ZERO_WINDOW,
        "data came while the receive window is closed: the application does not read";
    TCP_OLD_DATA: TCP_DUPLICATE (always),
        "the data had arrived already: the peer sent it twice, as it missed our acknowledgement";
    TCP_OVERWINDOW: TCP_WINDOW,
        "the data lies beyond the receive window";
    TCP_OFOMERGE: TCP_DUPLICATE (always),
        "the data is in the out-of-order queue already";
    TCP_RFC7323_PAWS: TCP_TIMESTAMP,
        "the segment's timestamp is too old: a stray duplicate, or clients behind one NAT address";
    TCP_RFC7323_PAWS_ACK: TCP_DUPLICATE (always),
        "an acknowledgement that was overtaken by a newer one";
    TCP_RFC7323_TW_PAWS: TCP_TIMESTAMP (when WITHOUT_PAYLOAD),
        "too old a timestamp for a connection in TIME_WAIT; a SYN hints at clients behind one NAT address";
    TCP_RFC7323_TSECR: TCP_TIMESTAMP,
        "the last segment of the handshake echoes a timestamp that was never sent";
    TCP_LISTEN_OVERFLOW: SOCKET_ACCEPT_QUEUE,
        "the listener's accept queue is full: the application accepts too slowly or its backlog is too small";
    TCP_OLD_SEQUENCE: TCP_DUPLICATE (always),
        "the segment lies before the window: a duplicate, a keep-alive or a window probe";
    TCP_INVALID_SEQUENCE: TCP_WINDOW,
        "the segment's sequence number is outside the window";
    TCP_INVALID_END_SEQUENCE: TCP_WINDOW,
        "the segment ends beyond the window";
    TCP_INVALID_ACK_SEQUENCE: TCP_STATE,
        "the answer to our SYN acknowledges something else: an old connection, or a device that rewrites";
    TCP_RESET: TCP_RESET (always),
        "an RST that does not fit its connection";
    TCP_INVALID_SYN: TCP_STATE (when SYN_ACK),
        "a SYN inside an open connection: the peer restarted or reuses the port, and got a challenge ACK";
    TCP_CLOSE: TCP_CLOSING (when WITHOUT_PAYLOAD) as Fault,
        "the socket is closed already";
    TCP_FASTOPEN: TCP_FAST_OPEN,
        "the segment does not fit a Fast Open handshake";
    TCP_OLD_ACK: TCP_DUPLICATE (when WITHOUT_PAYLOAD) as Fault,
        "the segment acknowledges what was acknowledged before";
    TCP_TOO_OLD_ACK: TCP_WINDOW,
        "the segment acknowledges far too old data: a stray segment, or forged";
    TCP_ACK_UNSENT_DATA: TCP_WINDOW,
        "the segment acknowledges data that was never sent";
    TCP_OFO_QUEUE_PRUNE: SOCKET_RCVBUF,
        "out-of-order data was thrown away as the receive buffer is full";
    TCP_OFO_DROP: TCP_DUPLICATE (always),
        "the out-of-order data had been received in order meanwhile";
    TCP_MINTTL: TCP_AUTH as Policy,
        "the TTL or hop limit is below what the socket accepts (IP_MINTTL)";

    // Queues and memory.
    QDISC_DROP: QUEUE_QDISC_LIMIT is Likely,
        "the queue discipline refused the packet: its limit, its AQM, or (noop) a device that is down";
    QDISC_OVERLIMIT: QUEUE_QDISC_LIMIT,
        "the queue discipline is at its limit";
    QDISC_CONGESTED: QUEUE_QDISC_AQM,
        "the queue discipline dropped early to signal congestion (CoDel, PIE, RED, …)";
    QDISC_BURST_DROP: QUEUE_QDISC_LIMIT,
        "too many packets wait for the queue discipline's lock (net.core.qdisc_max_burst)";
    CAKE_FLOOD: QUEUE_QDISC_AQM,
        "cake protects the others from a flow that does not slow down";
    FQ_BAND_LIMIT: QUEUE_QDISC_LIMIT,
        "fq: the priority band is at its limit";
    FQ_HORIZON_LIMIT: QUEUE_QDISC_LIMIT,
        "fq: the packet is to be sent too far in the future";
    FQ_FLOW_LIMIT: QUEUE_QDISC_LIMIT,
        "fq: the flow is at its limit";
    DUALPI2_STEP_DROP: QUEUE_QDISC_AQM,
        "dualpi2: the low-latency queue is over its delay threshold";
    CPU_BACKLOG: QUEUE_CPU_BACKLOG,
        "the CPU's input queue is full (netdev_max_backlog), or the flow is over its share (flow limit)";
    MACVLAN_BROADCAST_BACKLOG: QUEUE_MULTICAST_BACKLOG,
        "the macvlan's queue for broadcasts and multicasts is full (bcqueuelen)";
    IPVLAN_MULTICAST_BACKLOG: QUEUE_MULTICAST_BACKLOG,
        "the ipvlan's queue for broadcasts and multicasts is full";
    FULL_RING: QUEUE_TUN_RING,
        "the ring of the tun/tap device is full: the program or virtual machine behind it reads too slowly";
    QUEUE_PURGE: HOUSEKEEPING_PURGE (when NO_DEVICE) as Fault is Possible,
        "a queue was emptied, as when a socket is closed or a device removed";
    PROTO_MEM: MEMORY_PROTOCOL,
        "the protocol's memory limit is reached (tcp_mem, udp_mem, or the cgroup's)";
    NOMEM: MEMORY_ALLOCATION,
        "memory could not be allocated";
    PFMEMALLOC: MEMORY_ALLOCATION,
        "memory is so short that the packet came from the emergency reserve, which its socket may not use";
    SKB_UCOPY_FAULT: MEMORY_COPY,
        "data could not be copied from or to the program's memory";

    // Devices, bridges, tunnels.
    SKB_GSO_SEG: DEVICE_SEGMENTATION,
        "the aggregated packet could not be cut into segments";
    SKB_BAD_GSO: MALFORMED_HEADER,
        "the packet claims to be an aggregate, and its headers contradict";
    DEV_HDR: DEVICE_TUN,
        "the driver's own header on the packet is invalid";
    DEV_READY: DEVICE_DOWN,
        "the device is not up or not ready";
    RECURSION_LIMIT: DEVICE_LOOP,
        "virtual devices are stacked too deep, or in a loop";
    MAC_INVALID_SOURCE: DEVICE_LOOP,
        "the frame's source MAC address is invalid, or the device's own: a sign of a loop";
    LOCAL_MAC: DEVICE_LOOP,
        "the frame's source MAC address is this device's own: a sign of a loop";
    MAC_IEEE_MAC_CONTROL: HOUSEKEEPING_PROCESSED (always),
        "an Ethernet pause frame, which ends at the port";
    BRIDGE_INGRESS_STP_STATE: DEVICE_BRIDGE_STP,
        "the bridge port is not forwarding (spanning tree, or just up)";
    NO_TX_TARGET: DEVICE_BRIDGE_NO_PORT,
        "the bridge or VXLAN has no port or remote to send the frame to";
    VXLAN_INVALID_HDR: TUNNEL_INVALID,
        "the VXLAN header is invalid";
    VXLAN_VNI_NOT_FOUND: TUNNEL_UNKNOWN_VNI,
        "no VXLAN device here has the packet's VNI";
    VXLAN_ENTRY_EXISTS: TUNNEL_MOVED,
        "the source MAC address is fixed to another remote";
    IP_TUNNEL_ECN: TUNNEL_ECN,
        "the ECN marks of the outer and the inner header contradict";
    TUNNEL_TXINFO: TUNNEL_SEND,
        "the tunnel device gets its remote from packet metadata (external), and the packet has none";
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::knowledge::kinds;

    #[test]
    fn no_reason_is_listed_twice() {
        let names: BTreeSet<_> = REASONS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), REASONS.len());
    }

    #[test]
    fn every_reason_has_a_name_and_a_sentence_that_fits_on_a_line() {
        for Reason { name, kind, meaning, .. } in REASONS {
            assert!(
                name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'),
                "{name}"
            );
            assert!(!meaning.is_empty() && !meaning.ends_with('.'), "{name}");
            assert!(meaning.chars().count() <= 110, "{name}: {meaning}");
            let vague = ["NOT_SPECIFIED", "NOT_DROPPED_YET"].contains(name);
            assert_eq!(**kind == kinds::UNKNOWN_UNKNOWN, vague, "{name}");
        }
    }
}

//! The kernel's core drop reasons (`enum skb_drop_reason`, `include/net/dropreason-core.h`) since 5.17.

use super::conditions::{LATE, NO_DEVICE, OTHER_PROTOCOL_OR_GROUP, TO_GROUP, TO_OTHER_HOST, WITHOUT_PAYLOAD};
use super::subsystems::SUBSYSTEMS;
use super::{Class, Noise};

/// A drop reason of some kernel.
#[derive(Clone, Copy, Debug)]
pub struct Reason {
    /// Without `SKB_DROP_REASON_`; a subsystem's as its enumerator is spelled.
    pub name: &'static str,
    /// [`Class::Unknown`] only where the location decides.
    pub class: Class,
    pub noise: Noise,
    /// One sentence without a full stop.
    pub meaning: &'static str,
}

/// Rows of a table of reasons: `NAME: Class (noise), "meaning";`, where no noise is never.
macro_rules! reasons {
    ($($name:ident: $class:ident $(($($noise:tt)+))?, $meaning:literal;)+) => {
        [$($crate::knowledge::Reason {
            name: stringify!($name),
            class: $crate::knowledge::Class::$class,
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

/// Every reason that a kernel is known to give, core reasons first.
pub static REASONS: &[Reason] = &{
    let mut all = [Reason { name: "", class: Class::Unknown, noise: Noise::Never, meaning: "" };
        CORE.len() + SUBSYSTEMS.len()];
    let (core, subsystems) = all.split_at_mut(CORE.len());
    core.copy_from_slice(CORE);
    subsystems.copy_from_slice(SUBSYSTEMS);
    all
};

const CORE: &[Reason] = &reasons! {
    NOT_SPECIFIED: Unknown,
        "the kernel gives no reason; the function that dropped the packet may tell";
    // No reasons, and without `DROP_REASON_` in their names: a drop that has one was not given a reason.
    NOT_DROPPED_YET: Unknown,
        "the kernel gives no reason; the function that dropped the packet may tell";
    CONSUMED: Housekeeping (always),
        "the packet was delivered or used up, not dropped";

    // Sockets.
    NO_SOCKET: Socket (when LATE),
        "no socket is open for the packet: a closed port, or a connection that no longer exists";
    SOCKET_CLOSE: Housekeeping (always),
        "a local socket was closed with unread data in its queue";
    SOCKET_FILTER: Socket,
        "a filter on the socket, a cgroup ingress program or (older kernels) a security module refused it";
    TCP_FILTER: Socket,
        "a filter on the socket, a cgroup ingress program or a security module refused it";
    SOCKET_RCVBUFF: Queue,
        "the socket's receive buffer is full: the application reads too slowly or the buffer is too small";
    SOCKET_BACKLOG: Queue,
        "the socket's backlog is full: the application holds the socket too long for the rate of arrival";
    SECURITY_HOOK: Socket,
        "a security module (SELinux, AppArmor, …) refused the packet";
    PACKET_SOCK_ERROR: Socket,
        "a capture socket (tcpdump, DHCP, …) had no room for its copy; the packet itself went on";
    UNIX_DISCONNECT: Housekeeping (always),
        "a local AF_UNIX socket changed or lost its peer with unread data in its queue";
    UNIX_SKIP_OOB: Housekeeping (always),
        "an application skipped out-of-band data on a local AF_UNIX socket";
    IP_NOPROTO: Routing,
        "nothing on this host handles the packet's IP protocol";

    // Policy.
    NETFILTER_DROP: Netfilter,
        "netfilter said drop: a rule, a chain's policy, or a limit of conntrack";
    XFRM_POLICY: Xfrm,
        "an IPsec policy refuses the packet, for instance as it came unencrypted";
    PSP_INPUT: Xfrm,
        "the PSP encryption of the packet is not what its connection requires";
    PSP_OUTPUT: Xfrm,
        "the packet was to leave without the PSP encryption that its connection requires";
    BPF_CGROUP_EGRESS: Bpf,
        "a cgroup egress BPF program refused the packet";
    TC_INGRESS: Bpf,
        "a tc program, filter or action dropped the packet on its way in";
    TC_EGRESS: Bpf,
        "a tc program, filter or action dropped the packet on its way out";
    TC_COOKIE_ERROR: Bpf,
        "tc lost track of the packet between hardware and software (extension cookie)";
    TC_CHAIN_NOTFOUND: Bpf,
        "a tc action goes to a chain that does not exist";
    TC_RECLASSIFY_LOOP: Bpf,
        "tc filters or redirections form a loop";
    TC_ERROR: Bpf,
        "tc failed on the packet: a missing chain, a loop, or an extension cookie that is lost";
    XDP: Bpf,
        "generic XDP dropped the packet, or could not redirect it";
    TAP_FILTER: Bpf,
        "a BPF filter on the tun/tap device refused the packet";
    TAP_TXFILTER: Housekeeping (always),
        "the reader of the tap device did not ask for this destination MAC address";

    // Checksums.
    TCP_CSUM: Checksum,
        "the TCP checksum is wrong: damage on the way, or a faulty offload";
    UDP_CSUM: Checksum,
        "the UDP checksum is wrong: damage on the way, or a faulty offload";
    ICMP_CSUM: Checksum,
        "the ICMP checksum is wrong";
    IP_CSUM: Checksum,
        "the checksum of the IPv4 header is wrong";
    SKB_CSUM: Checksum,
        "the packet's checksum is wrong or could not be computed";

    // Headers.
    PKT_TOO_SMALL: Malformed,
        "the packet is shorter than its headers say";
    IP_INHDR: Malformed,
        "the IP header is invalid, or its TTL or hop limit ran out";
    HDR_TRUNC: Malformed,
        "the packet is too short for its headers";
    INVALID_PROTO: Malformed (when TO_GROUP),
        "the packet breaks the rules of its protocol, for instance a broadcast ping";
    UNHANDLED_PROTO: Housekeeping (when OTHER_PROTOCOL_OR_GROUP),
        "nothing on this host handles the protocol (LLDP, STP, …), or the device is a passive bond member";
    PTYPE_ABSENT: Housekeeping (when OTHER_PROTOCOL_OR_GROUP),
        "nothing on this host handles the protocol (LLDP, STP, …), or the device is a passive bond member";
    IPV6_BAD_EXTHDR: Malformed,
        "an IPv6 extension header is invalid";
    IPV6_TOO_MANY_EXTHDRS: Malformed,
        "the packet has more IPv6 extension headers than the kernel accepts";
    IPV6_NDISC_FRAG: Malformed,
        "a fragmented neighbour-discovery message, which is refused (suppress_frag_ndisc)";
    IPV6_NDISC_HOP_LIMIT: Malformed,
        "a neighbour-discovery message that crossed a router (hop limit below 255): forged, or a bad tunnel";
    IPV6_NDISC_BAD_CODE: Malformed,
        "a neighbour-discovery message with an unknown code";
    IPV6_NDISC_BAD_OPTIONS: Malformed,
        "a neighbour-discovery message with invalid options";
    IPV6_NDISC_NS_OTHERHOST: Housekeeping (always),
        "a neighbour solicitation that asks for another host";
    CAN_RX_INVALID_FRAME: Malformed,
        "an invalid CAN frame, or one from a device that is no CAN device";
    CANFD_RX_INVALID_FRAME: Malformed,
        "an invalid CAN FD frame, or one from a device that is no CAN device";
    CANXL_RX_INVALID_FRAME: Malformed,
        "an invalid CAN XL frame, or one from a device that is no CAN device";

    // Addresses and routes.
    OTHERHOST: Housekeeping (when TO_OTHER_HOST),
        "the frame is for another host (flooding, promiscuous mode)";
    UNICAST_IN_L2_MULTICAST: Routing,
        "an IP packet for this host in a multicast frame, which drop_unicast_in_l2_multicast refuses";
    IP_RPFILTER: Routing,
        "reverse-path filter: the source is not reachable through the interface that the packet came in by";
    IP_OUTNOROUTES: Routing,
        "there is no route for an outgoing packet";
    IP_INNOROUTES: Routing,
        "there is no route to forward or accept the packet by";
    IP_INADDRERRORS: Routing,
        "the destination is unreachable from here, or an address is not acceptable";
    IP_LOCAL_SOURCE: Routing,
        "the source is one of this host's own addresses: a duplicate address, a loop, or forged";
    IP_INVALID_SOURCE: Routing,
        "the source address is multicast, broadcast or zero";
    IP_LOCALNET: Routing,
        "a 127.0.0.0/8 address came from the network (route_localnet is off)";
    IP_INVALID_DEST: Routing,
        "the destination address is zero";
    IPV6DISABLED: Routing (always),
        "IPv6 is disabled on the device";

    // Neighbours.
    NEIGH_CREATEFAIL: Neighbour,
        "no entry could be made for the next hop: the neighbour table is full (gc_thresh3), or no memory";
    NEIGH_FAILED: Neighbour,
        "the next hop does not answer ARP or neighbour discovery: it is down, or not on this network";
    NEIGH_QUEUEFULL: Neighbour,
        "too many packets wait for the next hop's link-layer address (unres_qlen_bytes)";
    NEIGH_DEAD: Neighbour,
        "the next hop's entry was just being deleted";
    NEIGH_HH_FILLFAIL: Neighbour,
        "the link-layer header could not be built";
    ARP_PVLAN_DISABLE: Neighbour,
        "a packet goes back out of the port it came in by, and proxy_arp_pvlan is off";

    // Size.
    PKT_TOO_BIG: Mtu,
        "the packet is larger than the MTU ahead and must not be fragmented; the sender is told by ICMP";
    DUP_FRAG: Mtu,
        "a fragment that has arrived already";
    FRAG_REASM_TIMEOUT: Mtu,
        "not all fragments of the packet arrived in time";
    FRAG_TOO_FAR: Mtu,
        "too many other fragments of the sender came in between (ipfrag_max_dist)";

    // TCP.
    TCP_AUTH_HDR: Tcp,
        "the TCP-MD5 or TCP-AO option is malformed, or both are there";
    TCP_MD5NOTFOUND: Tcp,
        "the connection requires a TCP-MD5 signature and the segment has none";
    TCP_MD5UNEXPECTED: Tcp,
        "the segment has a TCP-MD5 signature that the connection is not configured for";
    TCP_MD5FAILURE: Tcp,
        "the TCP-MD5 signature is wrong: the peers' passwords differ";
    TCP_AONOTFOUND: Tcp,
        "the connection requires a TCP-AO signature and the segment has none";
    TCP_AOUNEXPECTED: Tcp,
        "the segment has a TCP-AO signature that the connection is not configured for";
    TCP_AOKEYNOTFOUND: Tcp,
        "the segment's TCP-AO key is not known here";
    TCP_AOFAILURE: Tcp,
        "the TCP-AO signature is wrong: the peers' keys differ";
    TCP_FLAGS: Tcp,
        "the TCP flags do not fit the state of the connection: a scan, or a peer out of step";
    TCP_ABORT_ON_DATA: Tcp,
        "data came after the application had closed the connection, so it is reset";
    TCP_ZEROWINDOW: Queue,
        "data came while the receive window is closed: the application does not read";
    TCP_OLD_DATA: Tcp (always),
        "the data had arrived already: the peer sent it twice, as it missed our acknowledgement";
    TCP_OVERWINDOW: Tcp,
        "the data lies beyond the receive window";
    TCP_OFOMERGE: Tcp (always),
        "the data is in the out-of-order queue already";
    TCP_RFC7323_PAWS: Tcp,
        "the segment's timestamp is too old: a stray duplicate, or clients behind one NAT address";
    TCP_RFC7323_PAWS_ACK: Tcp (always),
        "an acknowledgement that was overtaken by a newer one";
    TCP_RFC7323_TW_PAWS: Tcp (when WITHOUT_PAYLOAD),
        "too old a timestamp for a connection in TIME_WAIT; a SYN hints at clients behind one NAT address";
    TCP_RFC7323_TSECR: Tcp,
        "the last segment of the handshake echoes a timestamp that was never sent";
    TCP_LISTEN_OVERFLOW: Queue,
        "the listener's accept queue is full: the application accepts too slowly or its backlog is too small";
    TCP_OLD_SEQUENCE: Tcp (always),
        "the segment lies before the window: a duplicate, a keep-alive or a window probe";
    TCP_INVALID_SEQUENCE: Tcp,
        "the segment's sequence number is outside the window";
    TCP_INVALID_END_SEQUENCE: Tcp,
        "the segment ends beyond the window";
    TCP_INVALID_ACK_SEQUENCE: Tcp,
        "the answer to our SYN acknowledges something else: an old connection, or a device that rewrites";
    TCP_RESET: Tcp (always),
        "an RST that does not fit its connection";
    TCP_INVALID_SYN: Tcp,
        "a SYN inside an open connection: the peer restarted or reuses the port, and got a challenge ACK";
    TCP_CLOSE: Tcp (when WITHOUT_PAYLOAD),
        "the socket is closed already";
    TCP_FASTOPEN: Tcp,
        "the segment does not fit a Fast Open handshake";
    TCP_OLD_ACK: Tcp (when WITHOUT_PAYLOAD),
        "the segment acknowledges what was acknowledged before";
    TCP_TOO_OLD_ACK: Tcp,
        "the segment acknowledges far too old data: a stray segment, or forged";
    TCP_ACK_UNSENT_DATA: Tcp,
        "the segment acknowledges data that was never sent";
    TCP_OFO_QUEUE_PRUNE: Queue,
        "out-of-order data was thrown away as the receive buffer is full";
    TCP_OFO_DROP: Tcp (always),
        "the out-of-order data had been received in order meanwhile";
    TCP_MINTTL: Tcp,
        "the TTL or hop limit is below what the socket accepts (IP_MINTTL)";

    // Queues and memory.
    QDISC_DROP: Queue,
        "the queue discipline refused the packet: its limit, its AQM, or (noop) a device that is down";
    QDISC_OVERLIMIT: Queue,
        "the queue discipline is at its limit";
    QDISC_CONGESTED: Queue,
        "the queue discipline dropped early to signal congestion (CoDel, PIE, RED, …)";
    QDISC_BURST_DROP: Queue,
        "too many packets wait for the queue discipline's lock (net.core.qdisc_max_burst)";
    CAKE_FLOOD: Queue,
        "cake protects the others from a flow that does not slow down";
    FQ_BAND_LIMIT: Queue,
        "fq: the priority band is at its limit";
    FQ_HORIZON_LIMIT: Queue,
        "fq: the packet is to be sent too far in the future";
    FQ_FLOW_LIMIT: Queue,
        "fq: the flow is at its limit";
    DUALPI2_STEP_DROP: Queue,
        "dualpi2: the low-latency queue is over its delay threshold";
    CPU_BACKLOG: Queue,
        "the CPU's input queue is full (netdev_max_backlog), or the flow is over its share (flow limit)";
    MACVLAN_BROADCAST_BACKLOG: Queue,
        "the macvlan's queue for broadcasts and multicasts is full (bcqueuelen)";
    IPVLAN_MULTICAST_BACKLOG: Queue,
        "the ipvlan's queue for broadcasts and multicasts is full";
    FULL_RING: Queue,
        "the ring of the tun/tap device is full: the program or virtual machine behind it reads too slowly";
    QUEUE_PURGE: Housekeeping (when NO_DEVICE),
        "a queue was emptied, as when a socket is closed or a device removed";
    PROTO_MEM: Memory,
        "the protocol's memory limit is reached (tcp_mem, udp_mem, or the cgroup's)";
    NOMEM: Memory,
        "memory could not be allocated";
    PFMEMALLOC: Memory,
        "memory is so short that the packet came from the emergency reserve, which its socket may not use";
    SKB_UCOPY_FAULT: Memory,
        "data could not be copied from or to the program's memory";

    // Devices, bridges, tunnels.
    SKB_GSO_SEG: Device,
        "the aggregated packet could not be cut into segments";
    SKB_BAD_GSO: Malformed,
        "the packet claims to be an aggregate, and its headers contradict";
    DEV_HDR: Device,
        "the driver's own header on the packet is invalid";
    DEV_READY: Device,
        "the device is not up or not ready";
    RECURSION_LIMIT: Device,
        "virtual devices are stacked too deep, or in a loop";
    MAC_INVALID_SOURCE: Device,
        "the frame's source MAC address is invalid, or the device's own: a sign of a loop";
    LOCAL_MAC: Device,
        "the frame's source MAC address is this device's own: a sign of a loop";
    MAC_IEEE_MAC_CONTROL: Housekeeping (always),
        "an Ethernet pause frame, which ends at the port";
    BRIDGE_INGRESS_STP_STATE: Device,
        "the bridge port is not forwarding (spanning tree, or just up)";
    NO_TX_TARGET: Device,
        "the bridge or VXLAN has no port or remote to send the frame to";
    VXLAN_INVALID_HDR: Tunnel,
        "the VXLAN header is invalid";
    VXLAN_VNI_NOT_FOUND: Tunnel,
        "no VXLAN device here has the packet's VNI";
    VXLAN_ENTRY_EXISTS: Tunnel,
        "the source MAC address is fixed to another remote";
    IP_TUNNEL_ECN: Tunnel,
        "the ECN marks of the outer and the inner header contradict";
    TUNNEL_TXINFO: Tunnel,
        "the tunnel device gets its remote from packet metadata (external), and the packet has none";
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_reason_is_listed_twice() {
        let names: BTreeSet<_> = REASONS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), REASONS.len());
    }

    #[test]
    fn every_reason_has_a_name_and_a_sentence_that_fits_on_a_line() {
        for Reason { name, class, noise, meaning } in REASONS {
            assert!(
                name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'),
                "{name}"
            );
            assert!(!meaning.is_empty() && !meaning.ends_with('.'), "{name}");
            assert!(meaning.chars().count() <= 110, "{name}: {meaning}");
            assert_eq!(*class == Class::Unknown, ["NOT_SPECIFIED", "NOT_DROPPED_YET"].contains(name));
            assert!(*class != Class::Housekeeping || !matches!(noise, Noise::Never), "{name}");
        }
    }
}

//! The kernel's functions that drop packets without saying why.
//!
//! A row's causes are those that are left when the reason does not say. The facts are from the sources that
//! [`super`] names; a function that the compiler may inline is listed with its callers.

use super::{
    Condition, Confidence, Kind, Noise, Severity,
    conditions::{
        BARE_SYN, CLOSING, EMPTY, FOREIGN_VLAN, MULTICAST, MULTICAST_ONLY, NO_DEVICE, OTHER_PROTOCOL,
        SYN_ACK, TO_GROUP, TO_OTHER_HOST, WITHOUT_PAYLOAD,
    },
    kinds,
    reasons::{noise, severity},
};

/// For which drops a row of [`LOCATIONS`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Applies {
    /// Those whose reason does not say why (`NOT_SPECIFIED`, `QUEUE_PURGE`), or whose kernel has no reasons.
    Unsaid,
    /// Those of a kernel without reasons.
    NoReasons,
    /// Those with this reason, which means something else here than its entry says.
    Reason(&'static str),
}

/// What a function that drops packets means by it. Several rows may name it: the first that applies wins.
#[derive(Clone, Copy, Debug)]
pub struct Location {
    /// Without offset and without the compiler's suffix (`.isra.0`, `.constprop.0`, …).
    pub symbols: &'static [&'static str],
    pub applies: Applies,
    /// The row is only for drops that fulfil it.
    pub when: Option<Condition>,
    pub kind: &'static Kind,
    /// Of a drop that is no noise.
    pub severity: Severity,
    pub confidence: Confidence,
    pub noise: Noise,
    /// One sentence without a full stop.
    pub meaning: &'static str,
}

/// Rows: `(functions) for REASON | without reasons, if CONDITION: KIND (noise) as Severity is Confidence, "meaning";`.
///
/// Without a severity it is the kind's. Without a confidence it is certain for a reason, and likely where the reason
/// does not say: most functions have a second, rarer meaning. On kernels without reasons they have more: possible.
macro_rules! locations {
    ($(
        ($($symbol:ident)+) $(for $reason:ident)? $(without $reasons:ident)? $(if $when:ident)?:
        $kind:ident $(($($noise:tt)+))? $(as $severity:ident)? $(is $confidence:ident)?, $meaning:literal;
    )+) => {
        &[$(Location {
            symbols: &[$(stringify!($symbol)),+],
            applies: applies!($($reason)? $(without $reasons)?),
            when: when!($($when)?),
            kind: &kinds::$kind,
            severity: severity!($kind $($severity)?),
            confidence: confidence!($($confidence)? ; $($reason)? $(without $reasons)?),
            noise: noise!($($($noise)+)?),
            meaning: $meaning,
        }),+]
    };
}

macro_rules! applies {
    () => {
        Applies::Unsaid
    };
    (without reasons) => {
        Applies::NoReasons
    };
    ($reason:ident) => {
        Applies::Reason(stringify!($reason))
    };
}

macro_rules! confidence {
    ($confidence:ident ; $($any:tt)*) => {
        Confidence::$confidence
    };
    (;) => {
        Confidence::Likely
    };
    (; without reasons) => {
        Confidence::Possible
    };
    (; $reason:ident) => {
        Confidence::Certain
    };
}

macro_rules! when {
    () => {
        None
    };
    ($condition:ident) => {
        Some($condition)
    };
}

/// Every function that is known for its drops.
pub static LOCATIONS: &[Location] = locations! {
    // Netfilter.
    (nf_hook_slow):
        NETFILTER_DROP is Certain,
        "netfilter said drop: a rule, a chain's policy, or a limit of conntrack";
    (nft_do_chain):
        NETFILTER_DROP is Certain,
        "an nftables rule or a chain's policy said drop";
    (nf_queue __nf_queue):
        NETFILTER_NFQUEUE_NO_LISTENER,
        "NFQUEUE: no program listens on the queue, or the queue is full";
    (nf_reinject nfqnl_reinject):
        NETFILTER_NFQUEUE_VERDICT,
        "the program behind an NFQUEUE said drop, or the rules changed while it held the packet";
    (ip_vs_bypass_xmit ip_vs_bypass_xmit_v6 ip_vs_nat_xmit ip_vs_nat_xmit_v6 ip_vs_tunnel_xmit
     ip_vs_tunnel_xmit_v6 ip_vs_dr_xmit ip_vs_dr_xmit_v6 ip_vs_icmp_xmit ip_vs_icmp_xmit_v6):
        NETFILTER_IPVS,
        "IPVS could not send the packet to its real server";
    (nf_send_reset nf_send_reset6 nf_dup_ipv4 nf_dup_ipv6):
        NETFILTER_OWN_PACKET,
        "netfilter's own packet (REJECT, TEE) could not be sent";

    // Size and fragments.
    (__dev_forward_skb2 __dev_forward_skb dev_forward_skb):
        MTU_VETH_PEER,
        "the frame is over the receiving device's MTU, or that device is down";
    (br_dev_queue_push_xmit):
        MTU_BRIDGE_PORT,
        "the frame is over the bridge port's MTU, or the port is down";
    (br_nf_dev_queue_xmit br_nf_push_frag_xmit nf_br_ip_fragment br_ip6_fragment):
        MTU_BRIDGE_NETFILTER,
        "the packet is over the bridge port's MTU and must not be fragmented; the sender gets no error";
    (ip_fragment):
        MTU_OUTPUT is Certain,
        "the packet is over the MTU and must not be fragmented; the sender gets an ICMP error";
    (ip6_fragment ip_do_fragment):
        MTU_OUTPUT,
        "the packet is over the MTU and could not be fragmented";
    (ip6_xmit):
        MTU_OUTPUT,
        "an outgoing IPv6 packet is over the MTU; the socket gets an error";
    (ip_expire ip6_frag_expire nf_ct_frag6_expire):
        MTU_REASSEMBLY is Certain,
        "not all fragments of the packet arrived in time";
    (ip_defrag ip_frag_queue ip6_frag_queue ipv6_frag_rcv nf_ct_frag6_queue nf_ct_frag6_gather):
        MTU_FRAGMENT,
        "a fragment is invalid, overlaps others, or finds no room (ipfrag_high_thresh)";
    (inet_frag_destroy inet_frag_destroy_rcu inet_frag_rbtree_purge):
        MTU_REASSEMBLY,
        "a fragment whose packet could not be put together";
    (ovs_vport_send):
        MTU_OVS,
        "the frame is over the MTU of the Open vSwitch port";

    // Queues.
    (enqueue_to_backlog) without reasons:
        QUEUE_CPU_BACKLOG is Likely,
        "the CPU's input queue is full (netdev_max_backlog), its flow limit is hit, or the device is down";
    (__dev_xmit_skb) without reasons:
        QUEUE_QDISC_LIMIT,
        "the queue discipline refused the packet: its limit, its AQM, or (noop) a device that is down";
    (kfree_skb_list) without reasons:
        QUEUE_QDISC_LIMIT,
        "the queue discipline refused the packet, or a part of a larger packet was freed with it";
    (kfree_skb_list kfree_skb_list_reason skb_release_data):
        UNKNOWN_UNKNOWN is Possible,
        "freed in a list: a part of a larger packet, which may have been delivered";
    (drop_func codel_dequeue codel_qdisc_dequeue fq_codel_dequeue fq_codel_drop cake_dequeue cake_drop
     sfb_enqueue tbf_segment tbf_enqueue netem_dequeue sfq_rehash):
        QUEUE_QDISC_AQM,
        "the queue discipline dropped the packet after it had queued it (CoDel target, limit or change)";
    (veth_xmit):
        QUEUE_VETH_RING,
        "the ring towards the veth peer is full, or the peer is gone";
    (tun_net_xmit tap_handle_frame):
        QUEUE_TUN_RING,
        "the reader of the tun/tap device is too slow or gone, or a filter of the device refused the packet";
    (gro_cells_receive):
        QUEUE_CPU_BACKLOG,
        "the tunnel device's input queue is full (netdev_max_backlog), or the device is down";
    (macvlan_broadcast_enqueue macvlan_broadcast):
        QUEUE_MULTICAST_BACKLOG,
        "the macvlan's queue for broadcasts and multicasts is full (bcqueuelen)";
    (ipvlan_multicast_enqueue):
        QUEUE_MULTICAST_BACKLOG,
        "the ipvlan's queue for broadcasts and multicasts is full";
    (igmp6_event_query igmp6_event_report):
        QUEUE_MULTICAST_BACKLOG,
        "too many MLD messages wait, or the interface is being taken down";
    (__udp_queue_rcv_skb __udpv6_queue_rcv_skb):
        SOCKET_RCVBUF,
        "the socket's receive buffer is full, or the memory for UDP is used up (udp_mem)";
    (udp_queue_rcv_one_skb udpv6_queue_rcv_one_skb udp_queue_rcv_skb udpv6_queue_rcv_skb) without reasons:
        SOCKET_RCVBUF,
        "the socket's receive buffer is full, or a filter, a checksum or an IPsec policy refused the packet";

    // UDP, raw and capture sockets.
    (__udp4_lib_mcast_deliver __udp6_lib_mcast_deliver):
        SOCKET_MULTICAST (always),
        "no socket on this host takes the multicast or broadcast datagram";
    (__udp4_lib_rcv __udp6_lib_rcv udp_rcv udpv6_rcv) if TO_GROUP:
        SOCKET_MULTICAST (always),
        "no socket on this host takes the multicast or broadcast datagram";
    (__udp4_lib_rcv __udp6_lib_rcv udp_rcv udpv6_rcv) without reasons:
        SOCKET_CLOSED_PORT is Likely,
        "no socket is open on the UDP port, or the datagram's length or checksum is wrong";
    (__udp4_lib_rcv __udp6_lib_rcv udp_rcv udpv6_rcv):
        MALFORMED_LENGTH,
        "the UDP header could not be read, or an IPsec policy refused the datagram";
    (udp_queue_rcv_one_skb udpv6_queue_rcv_one_skb):
        SOCKET_FILTER,
        "the socket does not accept the datagram (UDP-Lite coverage)";
    (__first_packet_length first_packet_length udp_read_skb):
        CHECKSUM_UDP,
        "the UDP checksum proved wrong when the application asked for the datagram";
    (udp_recvmsg udpv6_recvmsg skb_kill_datagram):
        CHECKSUM_UDP,
        "the checksum proved wrong when the application read, or its buffer could not be written";
    (udp_send_skb udp_v6_send_skb):
        SOCKET_SEND,
        "the datagram's segmentation parameters (UDP_SEGMENT) are not possible; the sender gets an error";
    (packet_rcv tpacket_rcv):
        SOCKET_CAPTURE (always),
        "a capture socket (tcpdump, DHCP, …) had no room for its copy; the packet itself went on";
    (packet_snd tpacket_snd packet_sendmsg_spkt):
        SOCKET_SEND,
        "a packet socket could not send; the sender gets an error";
    (__ip_append_data __ip6_append_data __ip_flush_pending_frames ip_flush_pending_frames
     __ip6_flush_pending_frames ip6_flush_pending_frames raw_send_hdrinc rawv6_send_hdrinc):
        SOCKET_SEND,
        "a message could not be built or completed; the sender gets an error";
    (ip_icmp_error ipv6_icmp_error ip_local_error ipv6_local_error ipv6_local_rxpmtu __skb_tstamp_tx
     __skb_complete_tx_timestamp skb_complete_tx_timestamp):
        SOCKET_ERROR_QUEUE,
        "an error report or a timestamp found no room in the socket's error queue";
    (sock_recv_errqueue):
        HOUSEKEEPING_PROCESSED (always),
        "an error report or a timestamp, freed after the application read it";
    (sctp_ulpevent_free sctp_recvmsg):
        HOUSEKEEPING_PROCESSED (always),
        "SCTP: a message, freed after the application read it";
    (raw_rcv raw_rcv_skb rawv6_rcv rawv6_rcv_skb ping_queue_rcv_skb __ping_queue_rcv_skb):
        SOCKET_RCVBUF is Possible,
        "a raw or ping socket refused its copy: its receive buffer is full, or a filter or checksum says no";
    (__sk_receive_skb sctp_rcv):
        SOCKET_BACKLOG is Possible,
        "the socket's backlog is full, its filter refused the packet, or there is no socket for it";

    // TCP.
    (tcp_v4_rcv tcp_v6_rcv) if CLOSING:
        HOUSEKEEPING_CLOSING (always),
        "the end of a connection that is closed here already or in TIME_WAIT";
    (tcp_v4_rcv tcp_v6_rcv) without reasons if BARE_SYN:
        SOCKET_CLOSED_PORT,
        "no socket listens on the TCP port, or the SYN repeats one that is being answered";
    (tcp_v4_rcv tcp_v6_rcv) without reasons if SYN_ACK:
        HOUSEKEEPING_CLOSING (always),
        "a SYN-ACK that no connection waits for: its SYN was a scan's, or the connection is gone";
    (tcp_v4_rcv tcp_v6_rcv) without reasons:
        TCP_STATE,
        "no connection fits, a backlog or accept queue is full, or a filter, policy or checksum refused it";
    (tcp_v4_rcv tcp_v6_rcv) if BARE_SYN:
        TCP_REPEATED_SYN,
        "a repeated SYN (SYN-ACK or its answer lost, accept queue full), or a port still in TIME_WAIT";
    (tcp_v4_rcv tcp_v6_rcv):
        TCP_STATE is Possible,
        "the connection is in TIME_WAIT, or not accepted yet: its listener's accept queue may be full";
    (cookie_v4_check cookie_v6_check) for NO_SOCKET:
        SOCKET_ACCEPT_QUEUE is Likely,
        "the end of a SYN-cookie handshake found the accept queue full, or no memory";
    (tcp_rcv_state_process) if WITHOUT_PAYLOAD:
        HOUSEKEEPING_CLOSING (always),
        "an acknowledgement on a connection that is being closed, freed after it was processed";
    (tcp_v4_do_rcv tcp_v6_do_rcv):
        TCP_STATE,
        "the segment does not fit its connection's state, or the accept queue is full for a SYN cookie";
    (tcp_rcv_state_process tcp_rcv_established tcp_rcv_synsent_state_process tcp_validate_incoming
     tcp_data_queue tcp_data_queue_ofo tcp_drop tcp_drop_reason):
        TCP_STATE,
        "the segment does not fit the state of its connection";

    // Sockets that are closed; local sockets.
    (sk_stream_kill_queues tcp_disconnect inet_sock_destruct udp_destruct_common udp_destruct_sock
     inet6_destroy_sock inet6_cleanup_sock mptcp_destroy_common skb_rbtree_purge skb_errqueue_purge
     packet_release packet_set_ring packet_sock_destruct can_sock_destruct):
        HOUSEKEEPING_SOCKET_CLOSED (always),
        "a socket was closed with unread data in its queues";
    (unix_stream_connect unix_dgram_sendmsg unix_stream_sendmsg unix_release_sock unix_sock_destructor
     unix_dgram_disconnected unix_gc __unix_gc queue_oob manage_oob unix_stream_read_skb):
        HOUSEKEEPING_LOCAL_SOCKET (always),
        "AF_UNIX: a local socket was closed, or refused its data; nothing on the network";
    (netlink_unicast netlink_unicast_kernel netlink_broadcast netlink_broadcast_filtered do_one_broadcast
     netlink_sendmsg netlink_dump __netlink_dump_start netlink_detachskb netlink_sock_destruct
     netlink_release nfnetlink_rcv_batch):
        HOUSEKEEPING_LOCAL_SOCKET (always),
        "netlink: a message that no socket takes; nothing on the network";
    (netlink_attachskb):
        SOCKET_RCVBUF is Certain,
        "netlink: the receiving program's buffer is full, so it misses a message; nothing on the network";
    (virtio_transport_recv_pkt virtio_transport_seqpacket_do_dequeue virtio_transport_release
     virtio_transport_remove_sock virtio_transport_purge_skbs __vsock_release vsock_sk_destruct):
        HOUSEKEEPING_LOCAL_SOCKET (always),
        "vsock: a control packet between virtual machine and host, or data of a closed socket";
    (skb_queue_purge skb_queue_purge_reason) if NO_DEVICE:
        HOUSEKEEPING_PURGE (always),
        "a queue that is at no device was emptied, as when a socket is closed";

    // Devices and queue disciplines that are taken down.
    (__rtnl_unlock qdisc_reset pfifo_fast_reset skbprio_reset skbprio_destroy):
        HOUSEKEEPING_TEARDOWN (always) is Certain,
        "a queue discipline was removed or reset, or its device taken down, with packets in it";
    (tun_queue_purge):
        HOUSEKEEPING_TEARDOWN (always) is Certain,
        "the program behind a tun/tap device closed it with packets in its ring";
    (netif_napi_add_weight_locked netif_napi_add_weight netif_napi_add) if EMPTY:
        HOUSEKEEPING_TEARDOWN (always) is Certain,
        "a device was created";
    (flush_backlog):
        DEVICE_REMOVED (always) is Certain,
        "the device was removed while its packets waited for a CPU";
    (gro_cells_destroy veth_ptr_free macvlan_port_destroy ipvlan_port_destroy wg_stop):
        DEVICE_REMOVED (always),
        "the device was taken down with packets in its queues";

    // Routing and addresses.
    (ip_rcv_core ip6_rcv_core) for IP_INHDR:
        MALFORMED_HEADER,
        "the IP header is invalid: its version, length or options";
    (ip_rcv_core ip6_rcv_core) for OTHERHOST if FOREIGN_VLAN:
        DEVICE_FOREIGN_VLAN,
        "the frame carries the tag of a VLAN that has no device here";
    (ip_rcv_core ip6_rcv_core) if FOREIGN_VLAN:
        DEVICE_FOREIGN_VLAN,
        "the frame carries the tag of a VLAN that has no device here";
    (ip_rcv_core ip6_rcv_core) if TO_OTHER_HOST:
        HOUSEKEEPING_OTHER_HOST (always),
        "the frame is for another host (flooding, promiscuous mode)";
    (ip_rcv_core):
        MALFORMED_HEADER,
        "the IPv4 header is invalid: its version, length or checksum";
    (ip6_rcv_core) without reasons:
        ROUTING_IPV6_DISABLED as Fault,
        "the interface has no IPv6 or it is disabled, or the IPv6 header is invalid";
    (ip6_rcv_core) if TO_GROUP:
        ROUTING_IPV6_DISABLED (always),
        "the interface has no IPv6 (disabled, or its MTU is below 1280)";
    (ip6_rcv_core):
        ROUTING_IPV6_DISABLED as Fault,
        "the interface has no IPv6 (disabled, or its MTU is below 1280)";
    (ip_rcv_finish_core) without reasons:
        ROUTING_MARTIAN,
        "the route check refused it: reverse path, a martian address, or a multicast group that was not joined";
    (ip_rcv_finish_core) if MULTICAST:
        HOUSEKEEPING_MULTICAST (always),
        "this host has not joined the IPv4 multicast group";
    (ip_rcv_finish_core):
        ROUTING_MARTIAN,
        "the route check refused it: a martian address, or no IPv4 on the interface";
    (ip6_mc_input):
        HOUSEKEEPING_MULTICAST (always) is Certain,
        "this host has not joined the IPv6 multicast group";
    (ip_mc_output) if MULTICAST:
        HOUSEKEEPING_MULTICAST (always) is Certain,
        "a multicast with TTL 0, which stays on this host";
    (ip_mr_input ip_mr_forward ip6_mr_input ip6_mr_forward ipmr_cache_unresolved ip6mr_cache_unresolved
     ipmr_destroy_unres ip6mr_destroy_unres ipmr_queue_xmit):
        ROUTING_MULTICAST,
        "multicast routing has no route for the group, or it came in by the wrong interface";
    (ip_error) for IP_INADDRERRORS:
        ROUTING_FORWARDING_OFF is Likely,
        "the packet is for another host, and forwarding is off on the interface that it came in by";
    (ip6_forward) for IP_INADDRERRORS:
        ROUTING_FORWARDING_OFF is Likely,
        "the packet is for another host, and IPv6 forwarding is off; or its source must not be routed";
    (ip_error) without reasons:
        ROUTING_NO_ROUTE,
        "there is no route, or the route says blackhole, prohibit or unreachable";
    (ip_error):
        ROUTING_BLACKHOLE,
        "the route says blackhole, prohibit or unreachable";
    (ip6_pkt_drop ip6_pkt_discard ip6_pkt_discard_out ip6_pkt_prohibit ip6_pkt_prohibit_out):
        ROUTING_NO_ROUTE is Possible,
        "there is no IPv6 route, or the route says prohibit or unreachable";
    (ip_forward ip6_forward) for IP_INHDR:
        ROUTING_TTL,
        "the TTL or hop limit ran out while forwarding: a routing loop, or a traceroute";
    (ip_forward ip6_forward) without reasons:
        ROUTING_REFUSED,
        "not forwarded: over the next MTU, TTL or hop limit run out, forwarding is off (IPv6), or IPsec";
    (ip_forward ip6_forward):
        ROUTING_REFUSED is Possible,
        "not forwarded: an aggregate made by hardware (LRO), a strict source route, IPsec, or no memory";
    (__ip_queue_xmit ip_queue_xmit inet6_csk_xmit):
        ROUTING_NO_ROUTE,
        "there is no route for an outgoing segment";
    (ip_protocol_deliver_rcu ip6_protocol_deliver_rcu ip_local_deliver_finish ip6_input_finish):
        SOCKET_PROTOCOL,
        "nothing on this host handles the IP protocol, or an IPsec policy refused the packet";
    (dst_discard dst_discard_out blackhole_netdev_xmit blackhole_neigh_output ip_rt_bug):
        ROUTING_BLACKHOLE,
        "the route is a black hole, or was removed while the packet was on its way";
    (ip6_output) without reasons:
        ROUTING_IPV6_DISABLED (always) is Certain,
        "IPv6 is disabled on the device";
    (seg6_input seg6_output seg6_input_core seg6_output_core seg6_local_input input_action_end
     input_action_end_core input_action_end_x input_action_end_x_core input_action_end_t
     input_action_end_dx2 input_action_end_dx4 input_action_end_dx4_finish input_action_end_dx6
     input_action_end_dt4 input_action_end_dt6 input_action_end_dt46 input_action_end_b6
     input_action_end_b6_encap input_action_end_bpf end_dt_vrf_core end_dt_vrf_rcv mpls_forward mpls_xmit
     rpl_input rpl_output ioam6_output ila_input ila_output lwtunnel_input lwtunnel_output lwtunnel_xmit):
        ROUTING_ENCAPSULATION,
        "the route's encapsulation (SRv6, MPLS, …) refused the packet";
    (ndisc_send_skb mld_sendpack igmp6_send):
        ROUTING_NO_ROUTE,
        "the kernel's own neighbour-discovery or multicast message could not be sent: no route, or no memory";

    // Neighbours.
    (neigh_invalidate arp_error_report ndisc_error_report):
        NEIGHBOUR_UNREACHABLE is Certain,
        "the next hop does not answer ARP or neighbour discovery: it is down, or not on this network";
    (__neigh_event_send):
        NEIGHBOUR_QUEUE_FULL,
        "too many packets wait for the next hop's address, which is not known yet";
    (neigh_resolve_output neigh_connected_output):
        NEIGHBOUR_HEADER,
        "the link-layer header could not be built";
    (neigh_flush_dev neigh_flush_one neigh_destroy __neigh_update neigh_update_process_arp_queue
     neigh_blackhole):
        NEIGHBOUR_GONE,
        "the next hop's entry was removed or changed while packets waited for it";
    (ip_finish_output2):
        NEIGHBOUR_TABLE_FULL,
        "no entry could be made for the next hop: the neighbour table is full (gc_thresh3), or no memory";
    (ip6_finish_output2) without reasons:
        NEIGHBOUR_TABLE_FULL is Likely,
        "no entry could be made for the next hop: the neighbour table is full (gc_thresh3), or no memory";
    (ip6_finish_output2) if MULTICAST:
        HOUSEKEEPING_MULTICAST (always),
        "a multicast that must not leave this host";
    (arp_rcv arp_process):
        NEIGHBOUR_ARP,
        "an ARP packet that is invalid, or came in by an interface without IPv4";
    (pneigh_enqueue):
        NEIGHBOUR_QUEUE_FULL,
        "too many requests wait for a proxy ARP answer (proxy_qlen)";
    (neigh_proxy_process pneigh_queue_purge):
        NEIGHBOUR_GONE,
        "a request that waited for a proxy ARP answer, and its interface went down";

    // ICMP and extension headers.
    (icmpv6_rcv):
        HOUSEKEEPING_PROCESSED (always),
        "an ICMPv6 message that was processed (old kernels free it as a drop), or that is ignored";
    (icmp_rcv):
        MALFORMED_PROTOCOL,
        "the ICMP message is invalid, of an unknown kind, or to be ignored";
    (igmp_rcv):
        MALFORMED_PROTOCOL,
        "the IGMP message is invalid, or of no use to this host";
    (ipv6_rthdr_rcv ipv6_srh_rcv ipv6_rpl_srh_rcv ipv6_destopt_rcv ipv6_parse_hopopts ip6_parse_tlv
     ip6_tlvopt_unknown icmpv6_param_prob icmpv6_param_prob_reason ipv6_hop_jumbo ipv6_hop_ra
     ipv6_hop_calipso ipv6_dest_hao):
        MALFORMED_EXTENSION,
        "an IPv6 extension header is invalid or not accepted";

    // BPF.
    (veth_xdp_rcv_skb veth_poll do_xdp_generic netif_receive_generic_xdp bpf_prog_run_generic_xdp):
        BPF_XDP,
        "an XDP program dropped the packet, or failed on it";
    (generic_xdp_tx):
        BPF_XDP as Fault,
        "generic XDP could not send the packet";
    (__netif_receive_skb_core) if OTHER_PROTOCOL:
        HOUSEKEEPING_UNHANDLED_PROTOCOL (always),
        "nothing on this host handles the protocol (LLDP, STP, …), or a tc program dropped it";
    (__netif_receive_skb_core):
        BPF_TC_INGRESS,
        "a tc program or action dropped it on its way in, or nothing handles its protocol";
    (__dev_queue_xmit) without reasons:
        BPF_TC_EGRESS,
        "a tc program or action dropped the packet on its way out";
    (ip_finish_output ip_mc_finish_output ip6_finish_output) without reasons:
        BPF_CGROUP_EGRESS is Likely,
        "a cgroup egress BPF program refused the packet";
    (netkit_xmit):
        BPF_REDIRECT,
        "a program on the netkit device dropped the packet, or its peer is down";
    (skb_do_redirect __bpf_redirect __bpf_redirect_common __bpf_redirect_no_mac __bpf_redirect_neigh
     __bpf_tx_skb bpf_clone_redirect bpf_out_neigh_v4 bpf_out_neigh_v6):
        BPF_REDIRECT,
        "a BPF program redirected the packet to where it cannot go";
    (sk_psock_backlog sk_psock_verdict_recv sk_psock_verdict_apply sk_psock_skb_redirect):
        BPF_SOCKMAP,
        "a sockmap BPF program dropped the data, or its target is gone";
    (run_lwt_bpf bpf_input bpf_output bpf_xmit):
        BPF_ROUTE,
        "a BPF program on the route dropped the packet";

    // IPsec.
    (xfrm_input xfrm4_rcv_encap xfrm6_rcv_encap xfrm4_esp_rcv xfrm6_esp_rcv xfrm4_ah_rcv xfrm6_ah_rcv
     xfrm4_ipcomp_rcv xfrm6_ipcomp_rcv xfrm4_rcv_encap_finish xfrm6_transport_finish2 xfrmi_input
     vti_input vti6_input_proto):
        XFRM_STATE,
        "IPsec: no security association fits, or decryption or a check failed (/proc/net/xfrm_stat)";
    (xfrm4_udp_encap_rcv xfrm6_udp_encap_rcv):
        XFRM_STATE,
        "IPsec over UDP: a keep-alive of the peer, or an invalid packet";
    (xfrm_output xfrm_output_one xfrm_output_gso xfrm_output_resume __xfrm6_output xfrmi_xmit vti_xmit
     vti_tunnel_xmit esp_output_done validate_xmit_xfrm xfrm_policy_queue_process xdst_queue_output):
        XFRM_STATE,
        "IPsec: no security association for an outgoing packet, or it is too big (/proc/net/xfrm_stat)";

    // Tunnels.
    (ip_tunnel_xmit ip_md_tunnel_xmit iptunnel_xmit ipip_tunnel_xmit ipip6_tunnel_xmit sit_tunnel_xmit
     sit_tunnel_xmit__ encap_bypass_if_local ipgre_xmit gre_fb_xmit gre_tap_xmit erspan_xmit
     erspan_fb_xmit ip6_tnl_xmit ip6_tnl_start_xmit ip6gre_tunnel_xmit ip6erspan_tunnel_xmit vxlan_xmit
     vxlan_xmit_one vxlan_encap_bypass geneve_xmit bareudp_xmit gtp_dev_xmit l2tp_xmit_skb l2tp_xmit_core):
        TUNNEL_SEND,
        "the tunnel could not send: no route to its far end, a loop, or too big a packet";
    (ip_tunnel_rcv tunnel4_rcv tunnel64_rcv tunnel6_rcv tunnel46_rcv tunnelmpls4_rcv tunnelmpls6_rcv
     ipip_rcv ipip_tunnel_rcv ipip6_rcv sit_tunnel_rcv gre_rcv __ipgre_rcv erspan_rcv __ip6_tnl_rcv
     ip6_tnl_rcv ipxip6_rcv bareudp_udp_encap_recv fou_udp_recv
     gue_udp_recv gtp_encap_recv l2tp_recv_common l2tp_ip_recv l2tp_ip6_recv):
        TUNNEL_RECEIVE,
        "no tunnel on this host fits the packet, or its encapsulation is invalid";
    (vxlan_rcv geneve_rx geneve_udp_encap_recv):
        TUNNEL_UNKNOWN_VNI,
        "no tunnel device here has the packet's VNI, or its header is invalid";
    (wg_xmit wg_packet_purge_staged_packets wg_packet_create_data wg_packet_tx_worker wg_receive):
        TUNNEL_WIREGUARD,
        "WireGuard: no peer or endpoint for the packet, no handshake with it, or an invalid message";

    // Bridges.
    (br_multicast_flood) if MULTICAST_ONLY:
        HOUSEKEEPING_MULTICAST (always),
        "no bridge port has a listener for the multicast group (IGMP or MLD snooping)";
    (br_multicast_flood br_flood br_dev_xmit) for NO_TX_TARGET if MULTICAST_ONLY:
        HOUSEKEEPING_MULTICAST (always),
        "no bridge port has a listener for the multicast group (IGMP or MLD snooping)";
    (br_stp_rcv):
        HOUSEKEEPING_PROCESSED (always),
        "a spanning-tree frame, freed after it was processed";
    (llc_rcv snap_rcv stp_pdu_rcv):
        HOUSEKEEPING_UNHANDLED_PROTOCOL (always),
        "an LLC or SNAP frame that nothing on this host handles";
    (br_forward br_flood br_multicast_flood):
        DEVICE_BRIDGE_NO_PORT,
        "the bridge has no port for the frame: it would go back, or ports are isolated or not forwarding";
    (__br_forward br_handle_vlan br_pass_frame_up __allowed_ingress br_allowed_ingress):
        DEVICE_BRIDGE_VLAN,
        "the bridge's VLAN filter refused the frame";
    (br_handle_frame br_handle_frame_finish br_dev_xmit br_nf_pre_routing_finish
     br_nf_pre_routing_finish_ipv6):
        DEVICE_BRIDGE_REFUSED,
        "the bridge refused the frame: a port that is not forwarding or locked, a rule, or a pause frame";

    // Devices.
    (napi_get_frags_check):
        HOUSEKEEPING_PROCESSED (always) is Certain,
        "a buffer for a test of the kernel's, when a device is set up; no packet";
    (__dev_queue_xmit __dev_direct_xmit):
        DEVICE_DOWN,
        "the device is down, its queue is stopped, or virtual devices form a loop";
    (validate_xmit_skb sk_validate_xmit_skb):
        DEVICE_SEGMENTATION,
        "the packet could not be segmented or checksummed for the device";
    (ip_finish_output ip_finish_output_gso __ip_finish_output):
        DEVICE_SEGMENTATION,
        "the aggregated packet could not be cut into segments";
    (net_tx_action __dev_kfree_skb_any dev_kfree_skb_any_reason):
        DEVICE_DRIVER,
        "a network driver gave the packet up; the kernel does not say which or why";
    (bond_start_xmit bond_xmit_hash bond_handle_frame team_xmit):
        DEVICE_BOND,
        "the bond has no working member for the packet";
    (macvlan_handle_frame macvlan_start_xmit ipvlan_rcv_frame ipvlan_queue_xmit ipvlan_process_multicast
     ipvlan_process_outbound ipvlan_process_v4_outbound ipvlan_process_v6_outbound ipvlan_handle_frame):
        DEVICE_MACVLAN,
        "the macvlan or ipvlan device is down, or has no way for the packet";
    (vlan_do_receive):
        DEVICE_FOREIGN_VLAN,
        "the VLAN's device is down";
    (skb_vlan_untag skb_reorder_vlan_header):
        DEVICE_FOREIGN_VLAN,
        "the VLAN tag could not be processed";
    (vrf_finish_output6 vrf_tx_error vrf_rcv_finish):
        DEVICE_VRF,
        "the VRF device could not pass the packet on";
    (tun_get_user tun_do_read tun_xdp_one tap_get_user tap_get_user_xdp tap_do_read):
        DEVICE_TUN,
        "the program behind the tun/tap device wrote an invalid packet, or reads no more";
    (ovs_dp_process_packet ovs_vport_receive ovs_execute_actions do_execute_actions netdev_port_receive
     internal_dev_recv):
        DEVICE_OVS is Possible,
        "Open vSwitch dropped the packet: no flow, a drop flow, or a port that is gone";
    (skb_queue_purge skb_queue_purge_reason):
        DEVICE_REMOVED as Fault is Possible,
        "a queue was emptied with packets in it, as when a device is taken down";

    // Memory.
    (skb_expand_head skb_realloc_headroom __skb_pad skb_cow_data):
        MEMORY_ALLOCATION,
        "memory could not be allocated to enlarge the packet";
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::knowledge::{REASONS, Reason, reason};

    #[test]
    fn every_location_has_functions_and_a_sentence_that_fits_on_a_line() {
        for Location { symbols, meaning, .. } in LOCATIONS {
            assert!(!symbols.is_empty(), "{meaning}");
            assert!(symbols.iter().all(|symbol| !symbol.is_empty() && !symbol.contains('.')), "{symbols:?}");
            assert!(!meaning.is_empty() && !meaning.ends_with('.'), "{symbols:?}");
            assert!(meaning.chars().count() <= 110, "{symbols:?}: {meaning}");
        }
    }

    #[test]
    fn a_drop_is_benign_only_where_the_row_says_noise() {
        for Location { symbols, severity, noise, .. } in LOCATIONS {
            assert!(*severity != Severity::Benign || matches!(noise, Noise::Always), "{symbols:?}");
        }
        for Reason { name, severity, noise, .. } in REASONS {
            assert!(*severity != Severity::Benign || matches!(noise, Noise::Always), "{name}");
        }
    }

    #[test]
    fn no_row_is_hidden_by_one_before_it() {
        let mut settled = HashSet::new();
        for row in LOCATIONS {
            for symbol in row.symbols {
                let unsaid = (*symbol, Applies::Unsaid);
                let own = (*symbol, row.applies);
                let hidden = match row.applies {
                    Applies::Unsaid => settled.contains(&unsaid),
                    Applies::NoReasons => settled.contains(&unsaid) || settled.contains(&own),
                    Applies::Reason(_) => settled.contains(&own),
                };
                assert!(!hidden, "{symbol}: {}", row.meaning);
                if row.when.is_none() {
                    settled.insert(own);
                }
            }
        }
    }

    #[test]
    fn rows_for_a_reason_name_one_that_exists() {
        for row in LOCATIONS {
            match row.applies {
                Applies::Reason(name) => assert!(reason(name).is_some(), "{name}"),
                Applies::Unsaid | Applies::NoReasons => {}
            }
        }
        assert!(REASONS.len() > 200);
    }
}

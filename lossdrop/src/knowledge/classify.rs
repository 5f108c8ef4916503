//! From a drop's reason, location and shape to what it means.

use lossdrop_common::DropKey;

use super::{
    Applies, Cause, Confidence, LOCATIONS, Location, Noise, REASONS, Reason, Severity,
    conditions::is_no_packet, kinds,
};
use crate::knowledge::Assessment;

/// Reasons that say how a buffer was freed and not why: the location decides.
const VAGUE: [&str; 3] = ["NOT_SPECIFIED", "QUEUE_PURGE", "NOT_DROPPED_YET"];

/// What is known of a drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classified {
    pub assessment: Assessment,
    /// One sentence without a full stop; empty only for [`kinds::UNKNOWN_UNKNOWN`].
    pub meaning: &'static str,
}

impl Classified {
    const UNKNOWN: Self = Self {
        assessment: Assessment {
            kind: &kinds::UNKNOWN_UNKNOWN,
            severity: Severity::Fault,
            confidence: Confidence::Possible,
        },
        meaning: "",
    };
    /// The kernel frees a good many buffers that carry nothing and belong to sockets (netlink, `AF_UNIX`).
    const NO_PACKET: Self = Self {
        assessment: Assessment {
            kind: &kinds::HOUSEKEEPING_LOCAL_SOCKET,
            severity: Severity::Benign,
            confidence: Confidence::Certain,
        },
        meaning: "an empty buffer that carries no packet",
    };

    pub fn cause(&self) -> Cause {
        self.assessment.kind.cause
    }

    pub fn benign(&self) -> bool {
        self.assessment.severity == Severity::Benign
    }

    fn from_reason(row: &Reason, key: &DropKey) -> Self {
        Self {
            assessment: Assessment {
                kind: row.kind,
                severity: severity(&row.noise, row.severity, key),
                confidence: row.confidence,
            },
            meaning: row.meaning,
        }
    }

    fn from_location(row: &Location, key: &DropKey) -> Self {
        Self {
            assessment: Assessment {
                kind: row.kind,
                severity: severity(&row.noise, row.severity, key),
                confidence: row.confidence,
            },
            meaning: row.meaning,
        }
    }
}

fn severity(noise: &Noise, otherwise: Severity, key: &DropKey) -> Severity {
    if noise.holds(key) { Severity::Benign } else { otherwise }
}

/// The entry of a reason, by its name without `SKB_DROP_REASON_`; a subsystem's by its enumerator.
pub fn reason(name: &str) -> Option<&'static Reason> {
    REASONS.iter().find(|row| row.name == name)
}

/// The row for a drop in the function `symbol`: the first that lists it and applies.
pub fn location(reason: Option<&str>, symbol: &str, key: &DropKey) -> Option<&'static Location> {
    LOCATIONS.iter().find(|row| {
        row.symbols.contains(&symbol)
            && match row.applies {
                Applies::Unsaid => reason.is_none_or(|name| VAGUE.contains(&name)),
                Applies::NoReasons => reason.is_none(),
                Applies::Reason(name) => reason == Some(name),
            }
            && row.when.is_none_or(|condition| (condition.holds)(key))
    })
}

/// Says what a drop means.
///
/// `reason` is `None` on a kernel that has no reasons, and only there: a number without a name must be
/// passed as some text. `symbol` is the function that dropped the packet, without offset and compiler's
/// suffix. A reason decides unless it is vague or a row of [`LOCATIONS`] names it. A reason that the table
/// does not know gets its location's cause and meaning, but is never certain, nor benign.
pub fn classify(reason: Option<&str>, symbol: Option<&str>, key: &DropKey) -> Classified {
    let entry = reason.and_then(self::reason);
    if reason.is_some() && entry.is_none() {
        let place = symbol.and_then(|symbol| location(Some(VAGUE[0]), symbol, key));
        return place.map_or(Classified::UNKNOWN, |row| Classified {
            assessment: Assessment {
                kind: row.kind,
                severity: if row.severity == Severity::Benign { Severity::Fault } else { row.severity },
                confidence: row.confidence.min(Confidence::Likely),
            },
            meaning: row.meaning,
        });
    }
    if let Some(row) = symbol.and_then(|symbol| location(reason, symbol, key)) {
        return Classified::from_location(row, key);
    }
    match entry {
        Some(entry) if *entry.kind != kinds::UNKNOWN_UNKNOWN => Classified::from_reason(entry, key),
        Some(_) | None if is_no_packet(key) => Classified::NO_PACKET,
        Some(_) | None => Classified::UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use lossdrop_common::parse::{IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP};
    use lossdrop_common::{L3, Shape};

    use super::*;

    const UNSAID: Option<&str> = Some("NOT_SPECIFIED");
    const NO_REASONS: Option<&str> = None;

    fn key(l3: L3, l4: u8, shape: &[Shape]) -> DropKey {
        let shape = shape.iter().fold(Shape::default(), |all, bit| all.with(*bit));
        DropKey { l3: l3 as u8, l4, shape: shape.0, ..DropKey::default() }
    }

    fn tcp(shape: &[Shape]) -> DropKey {
        key(L3::Ipv4, IPPROTO_TCP, shape)
    }

    fn udp(shape: &[Shape]) -> DropKey {
        key(L3::Ipv4, IPPROTO_UDP, &[&[Shape::PAYLOAD], shape].concat())
    }

    /// A buffer of a socket.
    fn buffer(shape: &[Shape]) -> DropKey {
        key(L3::Other, 0, &[&[Shape::NO_DEVICE], shape].concat())
    }

    fn cause_and_noise(reason: Option<&str>, symbol: &str, key: DropKey) -> (Cause, bool) {
        let classified = classify(reason, Some(symbol), &key);
        let cause = classified.cause();
        assert!(cause == Cause::Unknown || !classified.meaning.is_empty(), "{reason:?} {symbol}");
        (cause, classified.benign())
    }

    #[track_caller]
    fn fault(reason: Option<&str>, symbol: &str, key: DropKey, cause: Cause) {
        assert_eq!(cause_and_noise(reason, symbol, key), (cause, false));
    }

    #[track_caller]
    fn noise(reason: Option<&str>, symbol: &str, key: DropKey, cause: Cause) {
        assert_eq!(cause_and_noise(reason, symbol, key), (cause, true));
    }

    #[test]
    fn a_closed_udp_port_is_never_noise() {
        fault(Some("NO_SOCKET"), "__udp4_lib_rcv", udp(&[]), Cause::Socket);
        fault(Some("NO_SOCKET"), "udp_rcv", key(L3::Ipv6, IPPROTO_UDP, &[]), Cause::Socket);
        fault(NO_REASONS, "__udp4_lib_rcv", udp(&[]), Cause::Socket);
        fault(NO_REASONS, "__udp6_lib_rcv", udp(&[]), Cause::Socket);
    }

    #[test]
    fn a_closed_tcp_port_is_never_noise() {
        fault(Some("NO_SOCKET"), "tcp_v4_rcv", tcp(&[Shape::SYN]), Cause::Socket);
        fault(Some("NO_SOCKET"), "tcp_v6_rcv", tcp(&[Shape::SYN, Shape::PAYLOAD]), Cause::Socket);
        fault(NO_REASONS, "tcp_v4_rcv", tcp(&[Shape::SYN]), Cause::Socket);
    }

    #[test]
    fn segments_that_come_late_to_a_closed_connection_are_noise() {
        for shape in [
            [Shape::RST, Shape::ACK],
            [Shape::FIN, Shape::ACK],
            [Shape::SYN, Shape::ACK],
            [Shape::RST, Shape::PAYLOAD],
            [Shape::ACK, Shape::ACK],
        ] {
            noise(Some("NO_SOCKET"), "tcp_v4_rcv", tcp(&shape), Cause::Socket);
        }
        fault(Some("NO_SOCKET"), "tcp_v4_rcv", tcp(&[Shape::ACK, Shape::PAYLOAD]), Cause::Socket);
    }

    #[test]
    fn a_packet_whose_headers_were_not_read_is_not_called_late() {
        fault(Some("NO_SOCKET"), "tcp_v4_rcv", tcp(&[]), Cause::Socket);
        fault(Some("NO_SOCKET"), "tcp_v4_rcv", tcp(&[Shape::FRAGMENT]), Cause::Socket);
        fault(Some("NO_SOCKET"), "tcp_v4_rcv", DropKey::default(), Cause::Socket);
        fault(UNSAID, "tcp_v4_rcv", tcp(&[]), Cause::Tcp);
    }

    #[test]
    fn an_echo_reply_that_no_ping_socket_takes_is_noise() {
        noise(Some("NO_SOCKET"), "icmp_rcv", key(L3::Ipv4, IPPROTO_ICMP, &[]), Cause::Socket);
        noise(Some("NO_SOCKET"), "icmpv6_rcv", key(L3::Ipv6, IPPROTO_ICMPV6, &[]), Cause::Socket);
    }

    #[test]
    fn a_full_accept_queue_is_distinguished_from_a_missing_socket_behind_syn_cookies() {
        fault(Some("NO_SOCKET"), "cookie_v4_check", tcp(&[Shape::ACK]), Cause::Socket);
        fault(Some("NO_SOCKET"), "cookie_v6_check", tcp(&[Shape::ACK]), Cause::Socket);
        fault(Some("TCP_LISTEN_OVERFLOW"), "tcp_v4_rcv", tcp(&[Shape::ACK]), Cause::Socket);
    }

    #[test]
    fn only_the_end_of_a_connection_is_noise_at_tcp_rcv() {
        for reason in [UNSAID, NO_REASONS] {
            for symbol in ["tcp_v4_rcv", "tcp_v6_rcv"] {
                noise(reason, symbol, tcp(&[Shape::FIN, Shape::ACK]), Cause::Housekeeping);
                noise(reason, symbol, tcp(&[Shape::RST]), Cause::Housekeeping);
                fault(reason, symbol, tcp(&[Shape::FIN, Shape::ACK, Shape::PAYLOAD]), Cause::Tcp);
                fault(reason, symbol, tcp(&[Shape::ACK]), Cause::Tcp);
            }
        }
        // Where there is a reason for it, a SYN-ACK without a socket has that one.
        fault(UNSAID, "tcp_v4_rcv", tcp(&[Shape::SYN, Shape::ACK]), Cause::Tcp);
        noise(NO_REASONS, "tcp_v4_rcv", tcp(&[Shape::SYN, Shape::ACK]), Cause::Housekeeping);
        // A lost SYN-ACK or a full accept queue makes a client repeat its SYN.
        fault(UNSAID, "tcp_v4_rcv", tcp(&[Shape::SYN]), Cause::Tcp);
    }

    #[test]
    fn acknowledgements_of_a_closing_connection_are_noise_but_not_its_data() {
        noise(UNSAID, "tcp_rcv_state_process", tcp(&[Shape::ACK]), Cause::Housekeeping);
        fault(UNSAID, "tcp_rcv_state_process", tcp(&[Shape::ACK, Shape::PAYLOAD]), Cause::Tcp);
        noise(Some("TCP_OLD_DATA"), "tcp_data_queue", tcp(&[Shape::ACK, Shape::PAYLOAD]), Cause::Tcp);
        noise(Some("TCP_RFC7323_TW_PAWS"), "tcp_v4_rcv", tcp(&[Shape::ACK]), Cause::Tcp);
        fault(Some("TCP_RFC7323_TW_PAWS"), "tcp_v4_rcv", tcp(&[Shape::SYN]), Cause::Tcp);
        fault(Some("TCP_INVALID_SYN"), "tcp_validate_incoming", tcp(&[Shape::SYN]), Cause::Tcp);
    }

    #[test]
    fn policy_and_lost_packets_are_never_noise() {
        for (reason, cause) in [
            ("NETFILTER_DROP", Cause::Netfilter),
            ("SOCKET_FILTER", Cause::Socket),
            ("TC_INGRESS", Cause::Bpf),
            ("TC_EGRESS", Cause::Bpf),
            ("BPF_CGROUP_EGRESS", Cause::Bpf),
            ("SOCKET_RCVBUFF", Cause::Socket),
            ("QDISC_DROP", Cause::Queue),
            ("CPU_BACKLOG", Cause::Queue),
            ("FULL_RING", Cause::Queue),
            ("PKT_TOO_BIG", Cause::Mtu),
            ("NEIGH_FAILED", Cause::Neighbour),
            ("NEIGH_QUEUEFULL", Cause::Neighbour),
            ("IP_RPFILTER", Cause::Routing),
            ("IP_INHDR", Cause::Malformed),
            ("TCP_CSUM", Cause::Checksum),
            ("PROTO_MEM", Cause::Memory),
            ("VXLAN_VNI_NOT_FOUND", Cause::Tunnel),
            ("XFRM_POLICY", Cause::Xfrm),
            ("DEV_READY", Cause::Device),
            ("OVS_DROP_EXPLICIT", Cause::Device),
            ("RX_DROP_U_DECRYPT_FAIL", Cause::Device),
            ("QDISC_DROP_OVERLIMIT", Cause::Queue),
        ] {
            for shape in
                [&[Shape::SYN][..], &[Shape::RST], &[Shape::MULTICAST], &[Shape::EMPTY, Shape::NO_DEVICE]]
            {
                fault(Some(reason), "somewhere", tcp(shape), cause);
                fault(Some(reason), "somewhere", key(L3::Other, 0, shape), cause);
            }
        }
    }

    #[test]
    fn a_reason_wins_over_the_location() {
        fault(Some("NETFILTER_DROP"), "ip6_mc_input", udp(&[Shape::MULTICAST]), Cause::Netfilter);
        fault(Some("TCP_CSUM"), "tcp_v4_rcv", tcp(&[Shape::FIN]), Cause::Checksum);
        noise(Some("OTHERHOST"), "ip_rcv_core", udp(&[Shape::OTHERHOST]), Cause::Housekeeping);
    }

    #[test]
    fn a_multicast_that_a_bridge_has_no_port_for_is_noise_and_another_frame_is_not() {
        for symbol in ["br_multicast_flood", "br_flood", "br_dev_xmit"] {
            noise(Some("NO_TX_TARGET"), symbol, udp(&[Shape::MULTICAST]), Cause::Housekeeping);
            fault(Some("NO_TX_TARGET"), symbol, udp(&[]), Cause::Device);
            fault(Some("NO_TX_TARGET"), symbol, udp(&[Shape::BROADCAST, Shape::MULTICAST]), Cause::Device);
        }
    }

    #[test]
    fn a_vlan_that_has_no_device_does_not_hide_among_frames_for_other_hosts() {
        let shape = &[Shape::OTHERHOST, Shape::FOREIGN_VLAN];
        for symbol in ["ip_rcv_core", "ip6_rcv_core"] {
            fault(Some("OTHERHOST"), symbol, udp(shape), Cause::Device);
            fault(NO_REASONS, symbol, udp(shape), Cause::Device);
        }
    }

    #[test]
    fn a_ttl_that_runs_out_is_routing_and_a_bad_header_is_not() {
        fault(Some("IP_INHDR"), "ip_forward", udp(&[]), Cause::Routing);
        fault(Some("IP_INHDR"), "ip6_forward", udp(&[]), Cause::Routing);
        fault(Some("IP_INHDR"), "ip_rcv_core", udp(&[]), Cause::Malformed);
    }

    #[test]
    fn frames_that_a_veth_or_bridge_refuses_for_their_size_are_mtu_on_every_kernel() {
        for (reason, symbol) in [
            (UNSAID, "__dev_forward_skb2"),
            (NO_REASONS, "__dev_forward_skb"),
            (UNSAID, "br_dev_queue_push_xmit"),
            (NO_REASONS, "br_nf_dev_queue_xmit"),
            (UNSAID, "ip_fragment"),
        ] {
            fault(reason, symbol, tcp(&[Shape::ACK, Shape::PAYLOAD]), Cause::Mtu);
        }
    }

    #[test]
    fn a_multicast_that_nobody_joined_is_noise() {
        noise(UNSAID, "ip6_mc_input", udp(&[Shape::MULTICAST]), Cause::Housekeeping);
        noise(NO_REASONS, "ip6_mc_input", udp(&[Shape::MULTICAST]), Cause::Housekeeping);
        noise(UNSAID, "ip_rcv_finish_core", udp(&[Shape::MULTICAST]), Cause::Housekeeping);
        noise(UNSAID, "__udp4_lib_rcv", udp(&[Shape::BROADCAST]), Cause::Socket);
        fault(UNSAID, "ip_rcv_finish_core", udp(&[]), Cause::Routing);
        // Without reasons it may be the reverse-path filter that refused a group which was joined.
        fault(NO_REASONS, "ip_rcv_finish_core", udp(&[Shape::MULTICAST]), Cause::Routing);
    }

    #[test]
    fn kernels_without_reasons_are_classified_by_location() {
        for (symbol, cause) in [
            ("nf_hook_slow", Cause::Netfilter),
            ("udp_queue_rcv_one_skb", Cause::Socket),
            ("__udp_queue_rcv_skb", Cause::Socket),
            ("neigh_invalidate", Cause::Neighbour),
            ("__neigh_event_send", Cause::Neighbour),
            ("ip_forward", Cause::Routing),
            ("ip6_forward", Cause::Routing),
            ("ip_error", Cause::Routing),
            ("kfree_skb_list", Cause::Queue),
            ("enqueue_to_backlog", Cause::Queue),
            ("net_tx_action", Cause::Device),
            ("__dev_queue_xmit", Cause::Bpf),
            ("__netif_receive_skb_core", Cause::Bpf),
            ("ip_finish_output", Cause::Bpf),
            ("tun_net_xmit", Cause::Queue),
            ("ip_expire", Cause::Mtu),
        ] {
            fault(NO_REASONS, symbol, udp(&[]), cause);
        }
        noise(NO_REASONS, "ip_rcv_core", udp(&[Shape::OTHERHOST]), Cause::Housekeeping);
        fault(NO_REASONS, "ip_rcv_core", udp(&[]), Cause::Malformed);
        noise(NO_REASONS, "__netif_receive_skb_core", key(L3::Other, 0, &[]), Cause::Housekeeping);
    }

    #[test]
    fn what_has_no_reason_on_a_kernel_with_reasons_means_what_is_left() {
        fault(UNSAID, "__dev_queue_xmit", udp(&[]), Cause::Device);
        fault(UNSAID, "kfree_skb_list_reason", udp(&[]), Cause::Unknown);
        fault(UNSAID, "neigh_invalidate", udp(&[]), Cause::Neighbour);
        fault(UNSAID, "nf_queue", udp(&[]), Cause::Netfilter);
        fault(Some("NOT_DROPPED_YET"), "nf_queue", udp(&[]), Cause::Netfilter);
        fault(UNSAID, "veth_xdp_rcv_skb", udp(&[]), Cause::Bpf);
        fault(UNSAID, "do_xdp_generic", udp(&[]), Cause::Bpf);
        noise(UNSAID, "icmpv6_rcv", key(L3::Ipv6, IPPROTO_ICMPV6, &[]), Cause::Housekeeping);
    }

    #[test]
    fn sockets_and_queues_that_are_torn_down_are_noise() {
        for symbol in ["sk_stream_kill_queues", "tcp_disconnect", "udp_destruct_common", "inet_sock_destruct"]
        {
            noise(Some("QUEUE_PURGE"), symbol, buffer(&[Shape::EMPTY]), Cause::Housekeeping);
            noise(UNSAID, symbol, buffer(&[]), Cause::Housekeeping);
        }
        noise(UNSAID, "__rtnl_unlock", udp(&[]), Cause::Housekeeping);
        noise(UNSAID, "tun_queue_purge", udp(&[]), Cause::Housekeeping);
        noise(UNSAID, "unix_stream_connect", buffer(&[Shape::EMPTY]), Cause::Housekeeping);
        noise(UNSAID, "virtio_transport_recv_pkt", buffer(&[]), Cause::Housekeeping);
        noise(
            UNSAID,
            "netif_napi_add_weight_locked",
            key(L3::Other, 0, &[Shape::EMPTY]),
            Cause::Housekeeping,
        );
        noise(Some("QUEUE_PURGE"), "skb_queue_purge_reason", buffer(&[]), Cause::Housekeeping);
        noise(NO_REASONS, "skb_queue_purge", buffer(&[]), Cause::Housekeeping);
    }

    #[test]
    fn a_purge_of_packets_that_are_at_a_device_is_no_noise() {
        fault(Some("QUEUE_PURGE"), "somewhere", udp(&[]), Cause::Housekeeping);
        noise(Some("QUEUE_PURGE"), "somewhere", buffer(&[]), Cause::Housekeeping);
        fault(Some("QUEUE_PURGE"), "skb_queue_purge_reason", udp(&[]), Cause::Device);
        fault(Some("QUEUE_PURGE"), "neigh_invalidate", udp(&[]), Cause::Neighbour);
        fault(Some("QUEUE_PURGE"), "wg_packet_purge_staged_packets", udp(&[]), Cause::Tunnel);
    }

    #[test]
    fn a_protocol_that_nobody_handles_is_noise_unless_it_is_ip_for_this_host() {
        noise(
            Some("UNHANDLED_PROTO"),
            "__netif_receive_skb_core",
            key(L3::Other, 0, &[]),
            Cause::Housekeeping,
        );
        noise(
            Some("UNHANDLED_PROTO"),
            "__netif_receive_skb_core",
            udp(&[Shape::BROADCAST]),
            Cause::Housekeeping,
        );
        fault(Some("UNHANDLED_PROTO"), "__netif_receive_skb_core", udp(&[]), Cause::Housekeeping);
    }

    #[test]
    fn a_reason_is_certain_and_a_function_s_usual_meaning_is_likely() {
        let judged = |reason, symbol, key: &DropKey| {
            let Assessment { kind, severity, confidence } = classify(reason, Some(symbol), key).assessment;
            (kind.to_string(), severity, confidence)
        };
        use {Confidence::*, Severity::*};
        for (reason, symbol, kind, severity, confidence) in [
            (Some("SOCKET_RCVBUFF"), "udp_queue_rcv_one_skb", "socket/rcvbuf", Capacity, Certain),
            (Some("TCP_MINTTL"), "tcp_v4_rcv", "tcp/auth", Policy, Certain),
            (Some("QDISC_DROP"), "__dev_queue_xmit", "queue/qdisc-limit", Capacity, Likely),
            (Some("IP_INADDRERRORS"), "ip_error", "routing/forwarding-off", Fault, Likely),
            (UNSAID, "__dev_forward_skb2", "mtu/veth-peer", Fault, Likely),
            (UNSAID, "neigh_invalidate", "neighbour/unreachable", Fault, Certain),
            (NO_REASONS, "ip_forward", "routing/refused", Fault, Possible),
            (Some("BRAND_NEW"), "neigh_invalidate", "neighbour/unreachable", Fault, Likely),
            (Some("BRAND_NEW"), "flush_backlog", "device/removed", Fault, Likely),
            (UNSAID, "somewhere", "unknown/unknown", Fault, Possible),
        ] {
            assert_eq!(judged(reason, symbol, &udp(&[])), (kind.to_owned(), severity, confidence));
        }
        let noise = judged(UNSAID, "ip6_rcv_core", &udp(&[Shape::MULTICAST]));
        assert_eq!(noise, ("routing/ipv6-disabled".to_owned(), Benign, Likely));
        assert_eq!(judged(UNSAID, "ip6_rcv_core", &udp(&[])).1, Fault);
    }

    #[test]
    fn an_empty_buffer_of_no_device_is_no_packet() {
        for reason in [UNSAID, NO_REASONS] {
            noise(reason, "somewhere", buffer(&[Shape::EMPTY]), Cause::Housekeeping);
            fault(reason, "somewhere", buffer(&[]), Cause::Unknown);
            fault(reason, "somewhere", key(L3::Other, 0, &[Shape::EMPTY]), Cause::Unknown);
            fault(reason, "somewhere", tcp(&[Shape::EMPTY, Shape::NO_DEVICE]), Cause::Unknown);
        }
        fault(Some("SOCKET_RCVBUFF"), "somewhere", buffer(&[Shape::EMPTY]), Cause::Socket);
    }

    #[test]
    fn an_unknown_reason_falls_to_its_location_but_is_never_noise() {
        fault(Some("BRAND_NEW"), "nf_hook_slow", udp(&[]), Cause::Netfilter);
        fault(Some("BRAND_NEW"), "ip6_mc_input", udp(&[Shape::MULTICAST]), Cause::Housekeeping);
        fault(Some("BRAND_NEW"), "somewhere", buffer(&[Shape::EMPTY]), Cause::Unknown);
        assert_eq!(classify(Some(""), None, &DropKey::default()), Classified::UNKNOWN);
        assert_eq!(classify(Some("7"), Some(""), &DropKey::default()), Classified::UNKNOWN);
    }

    #[test]
    fn a_drop_whose_function_is_not_known_goes_by_its_reason_alone() {
        assert_eq!(classify(Some("NO_SOCKET"), None, &udp(&[])).cause(), Cause::Socket);
        assert_eq!(classify(UNSAID, None, &udp(&[])), Classified::UNKNOWN);
        assert_eq!(classify(NO_REASONS, None, &udp(&[])), Classified::UNKNOWN);
    }

    #[test]
    fn every_reason_at_every_location_gets_a_cause_and_a_sentence() {
        let check = |reason, symbol: &str, shape| {
            let key = DropKey { l3: 4, l4: IPPROTO_TCP, shape, ..DropKey::default() };
            let Classified { assessment, meaning } = classify(reason, Some(symbol), &key);
            assert!(
                assessment.kind.cause == Cause::Unknown || !meaning.is_empty(),
                "{reason:?} {symbol} {shape:#x}"
            );
        };
        for shape in Shape::NAMES.iter().map(|(bit, _)| bit.0) {
            for symbol in LOCATIONS.iter().flat_map(|row| row.symbols) {
                for reason in [UNSAID, NO_REASONS, Some("QUEUE_PURGE"), Some("NO_SOCKET"), Some("BRAND_NEW")]
                {
                    check(reason, symbol, shape);
                }
            }
            for row in REASONS {
                check(Some(row.name), "ip_forward", shape);
            }
        }
    }
}

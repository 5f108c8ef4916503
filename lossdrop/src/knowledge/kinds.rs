//! The table of causes: one entry for each thing that can be the matter with a dropped packet.
//!
//! Rows of [`REASONS`](super::REASONS) and [`LOCATIONS`](super::LOCATIONS) say how a cause is recognised; its entry here
//! says what it means and what helps.

use super::{Class, Severity};

/// A cause.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    pub class: Class,
    /// Unique within its class: `veth-peer`.
    pub slug: &'static str,
    /// Of a drop that is no noise.
    pub severity: Severity,
    /// A few words, as a heading: "frames over the peer's MTU".
    pub title: &'static str,
    /// What usually brings it about, the most frequent first.
    pub causes: &'static [&'static str],
    /// What to look at, commands in backquotes.
    pub look: &'static [&'static str],
    /// What helps, commands in backquotes.
    pub fixes: &'static [&'static str],
}

impl std::fmt::Display for Kind {
    /// `mtu/veth-peer`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{}/{}", self.class, self.slug))
    }
}

macro_rules! kinds {
    ($($name:ident: $class:ident / $slug:literal $severity:ident {
        $title:literal,
        causes: $causes:tt,
        look: $look:tt,
        fixes: $fixes:tt,
    })+) => {
        $(pub static $name: Kind = Kind {
            class: Class::$class,
            slug: $slug,
            severity: Severity::$severity,
            title: $title,
            causes: &$causes,
            look: &$look,
            fixes: &$fixes,
        };)+

        /// Every cause, class by class.
        pub static KINDS: &[&Kind] = &[$(&$name),+];
    };
}

kinds! {
    NETFILTER_DROP: Netfilter / "drop" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    NETFILTER_RULE: Netfilter / "rule" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    NETFILTER_POLICY: Netfilter / "policy" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    NETFILTER_REJECT: Netfilter / "reject" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    NETFILTER_CONNTRACK_FULL: Netfilter / "conntrack-full" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    NETFILTER_CONNTRACK_INVALID: Netfilter / "conntrack-invalid" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    NETFILTER_CONNTRACK_RACE: Netfilter / "conntrack-race" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    NETFILTER_NFQUEUE_NO_LISTENER: Netfilter / "nfqueue-no-listener" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    NETFILTER_NFQUEUE_FULL: Netfilter / "nfqueue-full" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    NETFILTER_NFQUEUE_VERDICT: Netfilter / "nfqueue-verdict" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    NETFILTER_PMTU_BLACKHOLE: Netfilter / "pmtu-blackhole" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    NETFILTER_IPVS: Netfilter / "ipvs" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    NETFILTER_OWN_PACKET: Netfilter / "own-packet" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    MTU_VETH_PEER: Mtu / "veth-peer" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    MTU_BRIDGE_PORT: Mtu / "bridge-port" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    MTU_BRIDGE_NETFILTER: Mtu / "bridge-netfilter" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    MTU_FORWARD: Mtu / "forward" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    MTU_OUTPUT: Mtu / "output" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    MTU_TUNNEL: Mtu / "tunnel" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    MTU_REASSEMBLY: Mtu / "reassembly" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    MTU_FRAGMENT: Mtu / "fragment" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    MTU_OVS: Mtu / "ovs" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    QUEUE_QDISC_LIMIT: Queue / "qdisc-limit" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    QUEUE_QDISC_AQM: Queue / "qdisc-aqm" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    QUEUE_QDISC_OVERSIZE: Queue / "qdisc-oversize" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    QUEUE_NETEM: Queue / "netem" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    QUEUE_DEVICE_DOWN: Queue / "device-down" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    QUEUE_CPU_BACKLOG: Queue / "cpu-backlog" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    QUEUE_TUN_RING: Queue / "tun-ring" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    QUEUE_VETH_RING: Queue / "veth-ring" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    QUEUE_MULTICAST_BACKLOG: Queue / "multicast-backlog" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    SOCKET_RCVBUF: Socket / "rcvbuf" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    SOCKET_BACKLOG: Socket / "backlog" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    SOCKET_ZERO_WINDOW: Socket / "zero-window" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    SOCKET_ACCEPT_QUEUE: Socket / "accept-queue" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    SOCKET_SYN_QUEUE: Socket / "syn-queue" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    SOCKET_CLOSED_PORT: Socket / "closed-port" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    SOCKET_FILTER: Socket / "filter" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    SOCKET_SECURITY: Socket / "security" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    SOCKET_CAPTURE: Socket / "capture" Benign {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    SOCKET_PROTOCOL: Socket / "protocol" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    SOCKET_ERROR_QUEUE: Socket / "error-queue" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    SOCKET_SEND: Socket / "send" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    SOCKET_MULTICAST: Socket / "multicast" Benign {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    SOCKET_SEND_BUFFER: Socket / "send-buffer" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    ROUTING_NO_ROUTE: Routing / "no-route" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    ROUTING_BLACKHOLE: Routing / "blackhole" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    ROUTING_PROHIBIT: Routing / "prohibit" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    ROUTING_UNREACHABLE: Routing / "unreachable" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    ROUTING_FORWARDING_OFF: Routing / "forwarding-off" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    ROUTING_RP_FILTER: Routing / "rp-filter" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    ROUTING_MARTIAN: Routing / "martian" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    ROUTING_TTL: Routing / "ttl" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    ROUTING_IPV6_DISABLED: Routing / "ipv6-disabled" Benign {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    ROUTING_MULTICAST: Routing / "multicast" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    ROUTING_ENCAPSULATION: Routing / "encapsulation" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    ROUTING_REFUSED: Routing / "refused" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    NEIGHBOUR_UNREACHABLE: Neighbour / "unreachable" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    NEIGHBOUR_QUEUE_FULL: Neighbour / "queue-full" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    NEIGHBOUR_TABLE_FULL: Neighbour / "table-full" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    NEIGHBOUR_GONE: Neighbour / "gone" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    NEIGHBOUR_HEADER: Neighbour / "header" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    NEIGHBOUR_ARP: Neighbour / "arp" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    TCP_AUTH: Tcp / "auth" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    TCP_STATE: Tcp / "state" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    TCP_DUPLICATE: Tcp / "duplicate" Benign {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    TCP_TIMESTAMP: Tcp / "timestamp" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    TCP_WINDOW: Tcp / "window" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    TCP_RESET: Tcp / "reset" Benign {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    TCP_CLOSING: Tcp / "closing" Benign {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    TCP_REPEATED_SYN: Tcp / "repeated-syn" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    TCP_FAST_OPEN: Tcp / "fast-open" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    CHECKSUM_TCP: Checksum / "tcp" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    CHECKSUM_UDP: Checksum / "udp" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    CHECKSUM_IP: Checksum / "ip" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    CHECKSUM_ICMP: Checksum / "icmp" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    CHECKSUM_OTHER: Checksum / "other" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    MALFORMED_HEADER: Malformed / "header" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    MALFORMED_LENGTH: Malformed / "length" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    MALFORMED_PROTOCOL: Malformed / "protocol" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    MALFORMED_NDISC: Malformed / "ndisc" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    MALFORMED_EXTENSION: Malformed / "extension" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    BPF_XDP: Bpf / "xdp" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    BPF_TC_INGRESS: Bpf / "tc-ingress" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    BPF_TC_EGRESS: Bpf / "tc-egress" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    BPF_TC_ERROR: Bpf / "tc-error" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    BPF_CGROUP_EGRESS: Bpf / "cgroup-egress" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    BPF_CGROUP_INGRESS: Bpf / "cgroup-ingress" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    BPF_TAP: Bpf / "tap" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    BPF_REDIRECT: Bpf / "redirect" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    BPF_SOCKMAP: Bpf / "sockmap" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    BPF_ROUTE: Bpf / "route" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    XFRM_POLICY: Xfrm / "policy" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    XFRM_STATE: Xfrm / "state" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    XFRM_PSP: Xfrm / "psp" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    TUNNEL_UNKNOWN_VNI: Tunnel / "unknown-vni" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    TUNNEL_INVALID: Tunnel / "invalid" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    TUNNEL_SEND: Tunnel / "send" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    TUNNEL_RECEIVE: Tunnel / "receive" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    TUNNEL_WIREGUARD: Tunnel / "wireguard" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    TUNNEL_ECN: Tunnel / "ecn" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    TUNNEL_MOVED: Tunnel / "moved" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_DOWN: Device / "down" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_BRIDGE_STP: Device / "bridge-stp" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_BRIDGE_REFUSED: Device / "bridge-refused" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_BRIDGE_NO_PORT: Device / "bridge-no-port" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_BRIDGE_VLAN: Device / "bridge-vlan" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_FOREIGN_VLAN: Device / "foreign-vlan" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_LOOP: Device / "loop" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_DRIVER: Device / "driver" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_SEGMENTATION: Device / "segmentation" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_REMOVED: Device / "removed" Benign {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_BOND: Device / "bond" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_MACVLAN: Device / "macvlan" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_VRF: Device / "vrf" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_TUN: Device / "tun" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_OVS: Device / "ovs" Policy {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_OVS_ERROR: Device / "ovs-error" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_WIFI: Device / "wifi" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_REFUSED: Device / "refused" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_NIC_OVERFLOW: Device / "nic-overflow" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    DEVICE_NIC_ERRORS: Device / "nic-errors" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    MEMORY_PROTOCOL: Memory / "protocol" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    MEMORY_ALLOCATION: Memory / "allocation" Capacity {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    MEMORY_COPY: Memory / "copy" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    HOUSEKEEPING_CLOSING: Housekeeping / "closing" Benign {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    HOUSEKEEPING_SOCKET_CLOSED: Housekeeping / "socket-closed" Benign {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    HOUSEKEEPING_LOCAL_SOCKET: Housekeeping / "local-socket" Benign {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    HOUSEKEEPING_OTHER_HOST: Housekeeping / "other-host" Benign {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    HOUSEKEEPING_MULTICAST: Housekeeping / "multicast" Benign {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    HOUSEKEEPING_UNHANDLED_PROTOCOL: Housekeeping / "unhandled-protocol" Benign {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    HOUSEKEEPING_TEARDOWN: Housekeeping / "teardown" Benign {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    HOUSEKEEPING_PURGE: Housekeeping / "purge" Benign {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    HOUSEKEEPING_PROCESSED: Housekeeping / "processed" Benign {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
    UNKNOWN_UNKNOWN: Unknown / "unknown" Fault {
        "",
        causes: [],
        look: [],
        fixes: [],
    }
}

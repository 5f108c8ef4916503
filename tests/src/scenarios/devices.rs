//! Devices that cannot pass a packet on: bridges, tunnels, cables without a far end, and IPsec.

use super::plain::{Lost, Plain, Share, Traffic, Volley};
use super::stage::Stage;
use crate::counter::Counter;
use crate::finding::{Count, Finding, Fix};
use crate::need::Need;
use crate::scenario::{Scenario, Setup};

pub(super) const ALL: &[Scenario] = &[
    BRIDGE_NO_PORT,
    BRIDGE_EMPTY,
    BRIDGE_ISOLATED,
    BRIDGE_STP,
    FAR_END_DOWN,
    TUN_WITHOUT_READER,
    TAP_FULL,
    UNKNOWN_VNI,
    IPSEC_BLOCK,
];

const FOUND: Finding = Finding {
    kind: "device/bridge-no-port",
    severity: "fault",
    confidence: "certain",
    count: Count::OfShot(0),
    netns: "switch",
    culprit: &["port0"],
    numbers: &[],
    fix: Fix::Stops,
};

/// At the switch, which counts none of them.
const LOST: Lost = Lost {
    reason: "NO_TX_TARGET",
    symbols: &["br_handle_frame_finish", "br_flood"],
    netns: Some("switch"),
    iface: Some("port0"),
    proto: "udp",
    src: "10.0.0.1",
    dst: "10.0.0.2:5340",
    share: Share::All,
    counted: ("switch", Counter::RxPackets("port0")),
};

const BRIDGE: Plain = Plain { stage: Stage::Bridge, sinks: &[("server", "10.0.0.2:5340")], ..Plain::PAIR };

const BRIDGE_NO_PORT: Scenario = Scenario {
    name: "bridge-no-port",
    summary: "a bridge without any other port than that which the frame came in by",
    watch: "sudo lossdrop trace --port 5340",
    packets: "4 UDP datagrams, 10.0.0.1 → 10.0.0.2:5340",
    needs: &[],
    findings: &[Finding {
        fix: Fix::None("which device belongs into the bridge, only its owner knows"),
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[("switch", "ip link set port1 nomaster")],
        volleys: &[Volley { traffic: Traffic::udp("10.0.0.2:5340", 4), lost: &[LOST] }],
        ..BRIDGE
    }),
};

const BRIDGE_EMPTY: Scenario = Scenario {
    name: "bridge-empty",
    summary: "a bridge without any port, and its own host sends into it",
    packets: "4 UDP datagrams, 10.3.0.1 → 10.3.0.2:5340",
    findings: &[Finding {
        netns: "client",
        culprit: &["br0"],
        fix: Fix::None("which device belongs into the bridge, only its owner knows"),
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[
            ("client", "ip link add br0 type bridge && ip link set br0 up"),
            ("client", "ip addr add 10.3.0.1/24 dev br0"),
            ("client", "ip neigh add 10.3.0.2 lladdr 02:00:00:00:00:02 nud permanent dev br0"),
        ],
        volleys: &[Volley {
            traffic: Traffic::udp("10.3.0.2:5340", 4),
            lost: &[Lost {
                symbols: &["br_dev_xmit", "br_flood"],
                netns: Some("client"),
                iface: Some("br0"),
                src: "10.3.0.1",
                dst: "10.3.0.2:5340",
                counted: ("client", Counter::Nstat("UdpOutDatagrams")),
                ..LOST
            }],
        }],
        ..Plain::PAIR
    }),
    ..BRIDGE_NO_PORT
};

const BRIDGE_ISOLATED: Scenario = Scenario {
    name: "bridge-isolated-ports",
    summary: "a bridge whose ports are isolated from each other",
    needs: &[],
    findings: &[Finding { kind: "device/bridge-refused", ..FOUND }],
    lab: Setup::Plain(Plain {
        setup: &[
            ("switch", "bridge link set dev port0 isolated on"),
            ("switch", "bridge link set dev port1 isolated on"),
        ],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5340", 4),
            lost: &[Lost {
                reason: "NOT_SPECIFIED",
                symbols: &["br_handle_frame_finish", "br_forward"],
                ..LOST
            }],
        }],
        ..BRIDGE
    }),
    ..BRIDGE_NO_PORT
};

const BRIDGE_STP: Scenario = Scenario {
    name: "bridge-stp",
    summary: "a bridge with spanning tree, whose port has just come up and listens for half a minute",
    needs: &[],
    findings: &[Finding { kind: "device/bridge-stp", ..FOUND }],
    lab: Setup::Plain(Plain {
        setup: &[
            ("switch", "ip link set br0 type bridge stp_state 1"),
            ("switch", "ip link set port0 down && ip link set port0 up"),
            ("switch", "until bridge link show dev port0 | grep -q listening; do sleep 0.01; done"),
        ],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5340", 4),
            lost: &[Lost { reason: "BRIDGE_INGRESS_STP_STATE", symbols: &["br_handle_frame"], ..LOST }],
        }],
        ..BRIDGE
    }),
    ..BRIDGE_NO_PORT
};

/// Into a device that is not there, not ready or not read, in the sender's namespace.
const LOST_OUT: Lost = Lost {
    reason: "QDISC_DROP",
    symbols: &["__dev_queue_xmit", "kfree_skb_list_reason", "kfree_skb_list"],
    netns: Some("client"),
    iface: Some("eth0"),
    counted: ("client", Counter::Nstat("UdpOutDatagrams")),
    ..LOST
};

const FAR_END_DOWN: Scenario = Scenario {
    name: "device-far-end-down",
    summary: "a cable whose far end is down",
    needs: &[],
    findings: &[Finding { kind: "queue/device-down", netns: "server", culprit: &["eth0"], ..FOUND }],
    lab: Setup::Plain(Plain {
        setup: &[
            ("server", "ip link set eth0 down"),
            // The kernel notices after a while, and stops the queue under the same lock that the last line waits for.
            ("client", "until ip link show dev eth0 | grep -q 'state DOWN'; do sleep 0.01; done"),
            ("client", "ip link set eth0 alias client"),
        ],
        sinks: &[("server", "10.0.0.2:5340")],
        volleys: &[Volley { traffic: Traffic::udp("10.0.0.2:5340", 4), lost: &[LOST_OUT] }],
        ..Plain::PAIR
    }),
    ..BRIDGE_NO_PORT
};

const TUN_WITHOUT_READER: Scenario = Scenario {
    name: "device-tun-without-program",
    summary: "a tun device that no program holds open",
    packets: "4 UDP datagrams, 10.3.0.1 → 10.3.0.2:5340",
    needs: &[Need::Feature { what: "tun", trial: "ip tuntap add dev tun0 mode tun" }],
    findings: &[Finding {
        kind: "queue/device-down",
        netns: "client",
        culprit: &["tun0"],
        fix: Fix::None("its program (a VPN, a virtual machine) must run"),
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "client",
            "ip tuntap add dev tun0 mode tun && ip link set tun0 up && ip addr add 10.3.0.1/24 dev tun0",
        )],
        volleys: &[Volley {
            traffic: Traffic::udp("10.3.0.2:5340", 4),
            lost: &[Lost { iface: Some("tun0"), src: "10.3.0.1", dst: "10.3.0.2:5340", ..LOST_OUT }],
        }],
        ..Plain::PAIR
    }),
    ..BRIDGE_NO_PORT
};

const TAP_FULL: Scenario = Scenario {
    name: "device-tap-ring-full",
    summary: "a tap device with a short queue, whose program does not read",
    packets: "12 UDP datagrams, 10.3.0.1 → 10.3.0.2:5340; the first 5 of all fit",
    needs: &[Need::Tool("perl"), Need::Feature { what: "tap", trial: "ip tuntap add dev tap0 mode tap" }],
    findings: &[Finding {
        kind: "queue/tun-ring",
        severity: "capacity",
        netns: "client",
        culprit: &["tap0"],
        numbers: &[("tx_queue_len", 5)],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[
            ("client", "ip tuntap add dev tap0 mode tap && ip link set tap0 txqueuelen 5"),
            // TUNSETIFF, IFF_TAP | IFF_NO_PI.
            (
                "client",
                r#"perl -e 'my $tap = pack("a16 S x22", "tap0", 0x1002);
                        open(T, "+<", "/dev/net/tun") && ioctl(T, 0x400454ca, $tap) or die $!;
                        fork or do { close STDOUT; close STDERR; sleep 3600 }'"#,
            ),
            ("client", "ip link set tap0 up && ip addr add 10.3.0.1/24 dev tap0"),
            ("client", "ip neigh add 10.3.0.2 lladdr 02:00:00:00:00:02 nud permanent dev tap0"),
        ],
        volleys: &[Volley {
            traffic: Traffic::udp("10.3.0.2:5340", 12),
            lost: &[Lost {
                reason: "FULL_RING",
                symbols: &["tun_net_xmit"],
                iface: Some("tap0"),
                src: "10.3.0.1",
                dst: "10.3.0.2:5340",
                share: Share::AsCounted,
                counted: ("client", Counter::TxDropped("tap0")),
                ..LOST_OUT
            }],
        }],
        ..Plain::PAIR
    }),
    ..BRIDGE_NO_PORT
};

const UNKNOWN_VNI: Scenario = Scenario {
    name: "tunnel-unknown-vni",
    summary: "a VXLAN tunnel whose ends disagree about their number",
    watch: "sudo lossdrop trace --port 4789",
    packets: "4 UDP datagrams, 10.3.0.1 → 10.3.0.2:5340, in VXLAN 77; the receiver has 42",
    needs: &[Need::Link("vxlan id 7 dstport 4789")],
    findings: &[Finding {
        kind: "tunnel/unknown-vni",
        netns: "server",
        culprit: &["VNI 77"],
        numbers: &[("vni", 77)],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[
            ("client", "ip link add vx0 type vxlan id 77 remote 10.0.0.2 dstport 4789 dev eth0"),
            ("client", "ip link set vx0 up && ip addr add 10.3.0.1/24 dev vx0"),
            ("client", "ip neigh add 10.3.0.2 lladdr 02:00:00:00:00:02 nud permanent dev vx0"),
            ("server", "ip link add vx0 type vxlan id 42 remote 10.0.0.1 dstport 4789 dev eth0"),
            ("server", "ip link set vx0 up && ip addr add 10.3.0.2/24 dev vx0"),
        ],
        volleys: &[Volley {
            traffic: Traffic::udp("10.3.0.2:5340", 4),
            lost: &[Lost {
                reason: "VXLAN_VNI_NOT_FOUND",
                symbols: &["vxlan_rcv"],
                netns: Some("server"),
                iface: Some("eth0"),
                dst: "10.0.0.2:4789",
                counted: ("server", Counter::RxPackets("eth0")),
                ..LOST
            }],
        }],
        ..Plain::PAIR
    }),
};

const IPSEC_BLOCK: Scenario = Scenario {
    name: "ipsec-policy-block",
    summary: "a router with an IPsec policy that blocks",
    packets: "4 UDP datagrams, 10.1.0.2 → 10.2.0.2:5340",
    needs: &[Need::Feature {
        what: "xfrm",
        trial: "ip xfrm policy add src 10.1.0.2/32 dst 10.2.0.2/32 dir fwd action block && test -e /proc/net/xfrm_stat",
    }],
    findings: &[Finding { kind: "xfrm/policy", severity: "policy", netns: "router", culprit: &[], ..FOUND }],
    lab: Setup::Plain(Plain {
        stage: Stage::Router,
        setup: &[("router", "ip xfrm policy add src 10.1.0.2/32 dst 10.2.0.2/32 dir fwd action block")],
        sinks: &[("server", "10.2.0.2:5340")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.2.0.2:5340", 4),
            lost: &[Lost {
                reason: "XFRM_POLICY",
                symbols: &["ip_forward"],
                netns: Some("router"),
                iface: Some("eth0"),
                src: "10.1.0.2",
                dst: "10.2.0.2:5340",
                counted: (
                    "router",
                    Counter::Shell("sed -n 's/^XfrmInPolBlock[[:space:]]*//p' /proc/net/xfrm_stat"),
                ),
                ..LOST
            }],
        }],
        ..Plain::PAIR
    }),
    ..BRIDGE_NO_PORT
};

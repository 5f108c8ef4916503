//! Tunnels whose ends do not agree, that are too wide for the link below them, or whose peer is not known.

use super::plain::{Lost, Plain, Share, Traffic, Volley};
use crate::counter::Counter;
use crate::finding::{Count, Finding, Fix};
use crate::need::Need;
use crate::scenario::{Scenario, Setup};

pub(super) const ALL: &[Scenario] =
    &[GENEVE, GRE_KEY, GRE_WITHOUT_DEVICE, IPIP, GRE_MTU, IPIP_MTU, WIREGUARD_NO_PEER, WIREGUARD_NO_ENDPOINT];

const FOUND: Finding = Finding {
    kind: "tunnel/receive",
    severity: "fault",
    confidence: "certain",
    count: Count::OfShot(0),
    netns: "server",
    culprit: &[],
    numbers: &[],
    fix: Fix::Stops,
};

/// Outer packets at the receiver, who counts none of them.
const LOST: Lost = Lost {
    reason: "NOT_SPECIFIED",
    symbols: &["gre_rcv"],
    netns: Some("server"),
    iface: Some("eth0"),
    proto: "47",
    src: "10.0.0.1",
    dst: "10.0.0.2",
    share: Share::All,
    counted: ("server", Counter::RxPackets("eth0")),
};

const SENT: Traffic = Traffic::udp("10.3.0.2:5340", 4);

const GENEVE: Scenario = Scenario {
    name: "tunnel-geneve-unknown-vni",
    summary: "a Geneve tunnel whose ends disagree about their number",
    watch: "sudo lossdrop trace --port 6081",
    packets: "4 UDP datagrams, 10.3.0.1 → 10.3.0.2:5340, in Geneve 77; the receiver has 42",
    needs: &[Need::Link("geneve id 7 remote 10.0.0.2")],
    findings: &[Finding {
        kind: "tunnel/unknown-vni",
        culprit: &["VNI 77"],
        numbers: &[("vni", 77)],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[
            ("client", "ip link add gv0 type geneve id 77 remote 10.0.0.2"),
            ("client", "ip link set gv0 up && ip addr add 10.3.0.1/24 dev gv0"),
            ("client", "ip neigh add 10.3.0.2 lladdr 02:00:00:00:00:02 nud permanent dev gv0"),
            ("server", "ip link add gv0 type geneve id 42 remote 10.0.0.1 && ip link set gv0 up"),
        ],
        volleys: &[Volley {
            traffic: SENT,
            lost: &[Lost { symbols: &["geneve_udp_encap_recv"], proto: "udp", dst: "10.0.0.2:6081", ..LOST }],
        }],
        ..Plain::PAIR
    }),
};

const GRE_KEY: Scenario = Scenario {
    name: "tunnel-gre-key",
    summary: "a GRE tunnel whose ends have different keys",
    watch: "sudo lossdrop trace --proto 47",
    packets: "4 UDP datagrams, 10.3.0.1 → 10.3.0.2:5340, in GRE with key 7; the receiver has 8",
    needs: &[Need::Link("gre remote 10.0.0.2 key 7")],
    findings: &[Finding { culprit: &["GRE key 7 from 10.0.0.1"], numbers: &[("key", 7)], ..FOUND }],
    lab: Setup::Plain(Plain {
        setup: &[
            ("client", "ip link add gre1 type gre local 10.0.0.1 remote 10.0.0.2 key 7"),
            ("client", "ip link set gre1 up && ip addr add 10.3.0.1/24 dev gre1"),
            ("server", "ip link add gre1 type gre local 10.0.0.2 remote 10.0.0.1 key 8"),
            ("server", "ip link set gre1 up && ip addr add 10.3.0.2/24 dev gre1"),
        ],
        sinks: &[("server", "10.3.0.2:5340")],
        volleys: &[Volley { traffic: SENT, lost: &[LOST] }],
        ..Plain::PAIR
    }),
};

const GRE_WITHOUT_DEVICE: Scenario = Scenario {
    name: "tunnel-gre-without-device",
    summary: "a GRE tunnel whose other end has a device for another host only",
    packets: "4 UDP datagrams, 10.3.0.1 → 10.3.0.2:5340, in GRE",
    findings: &[Finding { culprit: &["GRE from 10.0.0.1"], ..FOUND }],
    lab: Setup::Plain(Plain {
        setup: &[
            ("client", "ip link add gre1 type gre local 10.0.0.1 remote 10.0.0.2"),
            ("client", "ip link set gre1 up && ip addr add 10.3.0.1/24 dev gre1"),
            ("server", "ip link add gre1 type gre local 10.0.0.2 remote 10.0.0.9 && ip link set gre1 up"),
        ],
        volleys: &[Volley { traffic: SENT, lost: &[LOST] }],
        ..Plain::PAIR
    }),
    ..GRE_KEY
};

const IPIP: Scenario = Scenario {
    name: "tunnel-ipip-without-device",
    summary: "an IPIP tunnel that only one end has set up",
    watch: "sudo lossdrop trace --proto 4",
    packets: "4 UDP datagrams, 10.3.0.1 → 10.3.0.2:5340, in IPIP",
    needs: &[Need::Link("ipip remote 10.0.0.2")],
    findings: &[Finding { culprit: &["IPIP from 10.0.0.1"], ..FOUND }],
    lab: Setup::Plain(Plain {
        setup: &[
            ("client", "ip link add ipip1 type ipip local 10.0.0.1 remote 10.0.0.2"),
            ("client", "ip link set ipip1 up && ip addr add 10.3.0.1/24 dev ipip1"),
        ],
        volleys: &[Volley { traffic: SENT, lost: &[Lost { symbols: &["tunnel4_rcv"], proto: "4", ..LOST }] }],
        ..Plain::PAIR
    }),
};

/// A datagram that fits into the tunnel's device, and not into what is below. From the first one on, the sender knows.
const WIDE: [Volley; 2] = [
    Volley::harmless(Traffic::Shell { from: "client", line: "ip route flush cache", count: 0 }),
    Volley {
        traffic: Traffic::Udp { from: "client", to: "10.3.0.2:5340", count: 1, payload: 1472 },
        lost: &[Lost {
            symbols: &["ip_tunnel_xmit"],
            netns: Some("client"),
            iface: Some("tun1"),
            proto: "udp",
            src: "10.3.0.1",
            dst: "10.3.0.2:5340",
            counted: ("client", Counter::Shell("cat /sys/class/net/tun1/statistics/tx_errors")),
            ..LOST
        }],
    },
];

const GRE_MTU: Scenario = Scenario {
    name: "mtu-tunnel-gre",
    summary: "a GRE tunnel that is as wide as the cable below it",
    watch: "sudo lossdrop trace --port 5340",
    packets: "1 UDP datagram of 1472 bytes, 10.3.0.1 → 10.3.0.2:5340; with the tunnel's headers, 1524 bytes",
    needs: &[Need::Link("gre remote 10.0.0.2")],
    findings: &[Finding {
        kind: "mtu/tunnel",
        netns: "client",
        culprit: &["tun1"],
        numbers: &[("mtu", 1500), ("largest_ip", 1476), ("len_min", 1500), ("len_max", 1500)],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[
            ("client", "ip link add tun1 type gre local 10.0.0.1 remote 10.0.0.2"),
            ("client", "ip link set tun1 mtu 1500 up && ip addr add 10.3.0.1/24 dev tun1"),
        ],
        volleys: &WIDE,
        ..Plain::PAIR
    }),
};

const IPIP_MTU: Scenario = Scenario {
    name: "mtu-tunnel-ipip",
    summary: "an IPIP tunnel that is as wide as the cable below it",
    packets: "1 UDP datagram of 1472 bytes, 10.3.0.1 → 10.3.0.2:5340; with the tunnel's header, 1520 bytes",
    needs: &[Need::Link("ipip remote 10.0.0.2")],
    findings: &[Finding {
        kind: "mtu/tunnel",
        netns: "client",
        culprit: &["tun1"],
        numbers: &[("mtu", 1500), ("largest_ip", 1480), ("len_min", 1500), ("len_max", 1500)],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[
            ("client", "ip link add tun1 type ipip local 10.0.0.1 remote 10.0.0.2"),
            ("client", "ip link set tun1 mtu 1500 up && ip addr add 10.3.0.1/24 dev tun1"),
        ],
        volleys: &WIDE,
        ..Plain::PAIR
    }),
    ..GRE_MTU
};

/// The sender is told, too.
const LOST_WIREGUARD: Lost = Lost {
    symbols: &["wg_xmit"],
    netns: Some("client"),
    iface: Some("wg0"),
    proto: "udp",
    src: "10.5.0.1",
    dst: "10.5.0.9:5340",
    counted: ("client", Counter::Shell("cat /sys/class/net/wg0/statistics/tx_errors")),
    ..LOST
};

const WIREGUARD_NO_PEER: Scenario = Scenario {
    name: "tunnel-wireguard-no-peer",
    summary: "a WireGuard tunnel into which more is routed than its peer's AllowedIPs",
    watch: "sudo lossdrop trace --iface wg0",
    packets: "4 UDP datagrams, 10.5.0.1 → 10.5.0.9:5340; the only peer has 10.5.0.2",
    needs: &[Need::Tool("wg"), Need::Link("wireguard")],
    findings: &[Finding {
        kind: "tunnel/wireguard",
        netns: "client",
        culprit: &["wg0"],
        numbers: &[("peers", 1)],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[
            (
                "client",
                "ip link add wg0 type wireguard && ip link set wg0 up && ip addr add 10.5.0.1/24 dev wg0",
            ),
            // Some key: nobody ever answers to it.
            (
                "client",
                "wg set wg0 peer icg1DY7YPpr/2g6nCtIiULJoW5rwmNueqPiSbWUzBC0= \
                 endpoint 10.0.0.2:51820 allowed-ips 10.5.0.2/32",
            ),
        ],
        volleys: &[Volley { traffic: Traffic::udp("10.5.0.9:5340", 4), lost: &[LOST_WIREGUARD] }],
        ..Plain::PAIR
    }),
};

const WIREGUARD_NO_ENDPOINT: Scenario = Scenario {
    name: "tunnel-wireguard-no-endpoint",
    summary: "a WireGuard tunnel with a peer that has not called yet, and whose address nobody has configured",
    packets: "4 UDP datagrams, 10.5.0.1 → 10.5.0.2:5340",
    findings: &[Finding {
        kind: "tunnel/wireguard",
        netns: "client",
        culprit: &["icg1DY7YPpr/2g6nCtIiULJoW5rwmNueqPiSbWUzBC0= of wg0", "10.5.0.2/32"],
        numbers: &[("peers", 1)],
        fix: Fix::None("where the peer is, only its owner knows"),
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[
            (
                "client",
                "ip link add wg0 type wireguard && ip link set wg0 up && ip addr add 10.5.0.1/24 dev wg0",
            ),
            (
                "client",
                "wg set wg0 peer icg1DY7YPpr/2g6nCtIiULJoW5rwmNueqPiSbWUzBC0= allowed-ips 10.5.0.2/32",
            ),
        ],
        volleys: &[Volley {
            traffic: Traffic::udp("10.5.0.2:5340", 4),
            lost: &[Lost { dst: "10.5.0.2:5340", ..LOST_WIREGUARD }],
        }],
        ..Plain::PAIR
    }),
    ..WIREGUARD_NO_PEER
};

//! Packets that are too big for a device on their way, and packets of which only a part arrives.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use super::pair::{CLIENT_V4, SERVER_V4};
use super::plain::{Lost, Plain, Share, Traffic, Volley};
use super::special::Special;
use super::stage::Stage;
use crate::counter::Counter;
use crate::finding::{Count, Finding, Fix};
use crate::need::Need;
use crate::scenario::{Scenario, Setup};

pub(super) const ALL: &[Scenario] =
    &[VETH_PEER, VETH_PEER_V6, BRIDGE_PORT, BRIDGE_NETFILTER, FORWARD, FORWARD_V6, TUNNEL_OUTPUT, REASSEMBLY];

/// An MTU on the way, certain and to be mended.
const TOO_BIG: Finding = Finding {
    kind: "mtu/veth-peer",
    severity: "fault",
    confidence: "certain",
    count: Count::OfShot(0),
    netns: "server",
    culprit: &["eth0"],
    numbers: &[],
    fix: Fix::Stops,
};

/// UDP that leaves the client and is not fragmented on its way.
const LOST: Lost = Lost {
    reason: "NOT_SPECIFIED",
    symbols: &["__dev_forward_skb2", "__dev_forward_skb"],
    netns: Some("client"),
    iface: Some("eth0"),
    proto: "udp",
    src: "10.0.0.1",
    dst: "10.0.0.2:5301",
    share: Share::All,
    counted: ("client", Counter::TxDropped("eth0")),
};

const VETH_PEER: Scenario = Scenario {
    name: "mtu-veth-peer",
    summary: "a cable whose far end has a smaller MTU",
    watch: "sudo lossdrop trace --port 5301",
    packets: "4 UDP datagrams of 1000 bytes, 10.0.0.1 → 10.0.0.2:5301, and MTU 600 at the server",
    needs: &[],
    findings: &[Finding {
        numbers: &[("mtu", 600), ("limit", 618), ("largest_ip", 604), ("len_min", 1028), ("len_max", 1028)],
        ..TOO_BIG
    }],
    lab: Setup::Plain(Plain {
        setup: &[("server", "ip link set eth0 mtu 600")],
        sinks: &[("server", "10.0.0.2:5301")],
        volleys: &[Volley {
            traffic: Traffic::Udp { from: "client", to: "10.0.0.2:5301", count: 4, payload: 1000 },
            lost: &[LOST],
        }],
        ..Plain::PAIR
    }),
};

const VETH_PEER_V6: Scenario = Scenario {
    name: "mtu-veth-peer-v6",
    summary: "a cable whose far end has a smaller MTU, met by IPv6",
    watch: "sudo lossdrop trace --port 5301",
    packets: "4 UDP datagrams of 1400 bytes, fd00::1 → [fd00::2]:5301, and MTU 1300 at the server",
    needs: &[],
    findings: &[Finding {
        numbers: &[
            ("mtu", 1300),
            ("limit", 1318),
            ("largest_ip", 1304),
            ("len_min", 1448),
            ("len_max", 1448),
        ],
        ..TOO_BIG
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Dual,
        setup: &[("server", "ip link set eth0 mtu 1300")],
        sinks: &[("server", "[fd00::2]:5301")],
        volleys: &[Volley {
            traffic: Traffic::Udp { from: "client", to: "[fd00::2]:5301", count: 4, payload: 1400 },
            lost: &[Lost { src: "fd00::1", dst: "[fd00::2]:5301", ..LOST }],
        }],
        ..Plain::PAIR
    }),
};

const BRIDGE_PORT: Scenario = Scenario {
    name: "mtu-bridge-port",
    summary: "a bridge that has a port with a smaller MTU",
    watch: "sudo lossdrop trace --port 5301",
    packets: "4 UDP datagrams of 1200 bytes, 10.0.0.1 → 10.0.0.2:5301, and MTU 1000 at the port to the server",
    needs: &[],
    findings: &[Finding {
        kind: "mtu/bridge-port",
        netns: "switch",
        culprit: &["port1"],
        numbers: &[
            ("mtu", 1000),
            ("limit", 1018),
            ("largest_ip", 1004),
            ("len_min", 1228),
            ("len_max", 1228),
        ],
        ..TOO_BIG
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Bridge,
        setup: &[
            ("switch", "ip link set port1 mtu 1000"),
            ("switch", "f=/proc/sys/net/bridge/bridge-nf-call-iptables; test ! -e $f || echo 0 > $f"),
        ],
        sinks: &[("server", "10.0.0.2:5301")],
        volleys: &[Volley {
            traffic: Traffic::Udp { from: "client", to: "10.0.0.2:5301", count: 4, payload: 1200 },
            lost: &[Lost {
                symbols: &["br_dev_queue_push_xmit"],
                netns: Some("switch"),
                iface: Some("port1"),
                // The bridge counts none of them.
                counted: ("switch", Counter::RxPackets("port0")),
                ..LOST
            }],
        }],
        ..Plain::PAIR
    }),
};

const BRIDGE_NETFILTER: Scenario = Scenario {
    name: "mtu-bridge-netfilter",
    summary: "a bridge that shows its packets to iptables, and a port with a smaller MTU: DF, but nobody is told",
    watch: "sudo lossdrop trace --port 5301",
    packets: "4 UDP datagrams of 1200 bytes with DF, 10.0.0.1 → 10.0.0.2:5301, and MTU 1000 at the port to the server",
    needs: &[Need::Feature {
        what: "br_netfilter",
        trial: "test -e /proc/sys/net/bridge/bridge-nf-call-iptables",
    }],
    findings: &[Finding {
        kind: "mtu/bridge-netfilter",
        netns: "switch",
        culprit: &["port1"],
        numbers: &[("mtu", 1000), ("largest_ip", 1000), ("len_min", 1228), ("len_max", 1228)],
        ..TOO_BIG
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Bridge,
        setup: &[
            ("switch", "ip link set port1 mtu 1000"),
            ("switch", "echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables"),
        ],
        sinks: &[("server", "10.0.0.2:5301")],
        volleys: &[Volley {
            traffic: Traffic::UdpDf {
                from: "client",
                src: CLIENT_V4,
                to: SocketAddrV4::new(SERVER_V4, 5301),
                count: 4,
                payload: 1200,
            },
            lost: &[Lost {
                symbols: &["br_nf_dev_queue_xmit"],
                netns: Some("switch"),
                iface: Some("port1"),
                counted: ("switch", Counter::Nstat("IpFragFails")),
                ..LOST
            }],
        }],
        ..Plain::PAIR
    }),
};

/// Else the sender fragments, or gets an error, by what a router has told it of the path: kernels differ.
const FORGET: Volley = Volley::harmless(Traffic::Shell {
    from: "client",
    line: "ip route flush cache && ip -6 route flush cache",
    count: 0,
});

const FORWARD: Scenario = Scenario {
    name: "mtu-forward",
    summary: "a router with a smaller MTU on its far side; the sender is told",
    watch: "sudo lossdrop trace --port 5301",
    packets: "1 UDP datagram of 1200 bytes with DF, 10.1.0.2 → 10.2.0.2:5301, and MTU 1000 at the router's eth1",
    needs: &[],
    findings: &[Finding {
        kind: "mtu/forward",
        netns: "router",
        culprit: &["eth1"],
        numbers: &[("mtu", 1000), ("largest_ip", 1000), ("len_min", 1228), ("len_max", 1228)],
        ..TOO_BIG
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Router,
        setup: &[("router", "ip link set eth1 mtu 1000")],
        sinks: &[("server", "10.2.0.2:5301")],
        volleys: &[
            FORGET,
            Volley {
                traffic: Traffic::UdpDf {
                    from: "client",
                    src: Ipv4Addr::new(10, 1, 0, 2),
                    to: SocketAddrV4::new(Ipv4Addr::new(10, 2, 0, 2), 5301),
                    count: 1,
                    payload: 1200,
                },
                lost: &[Lost {
                    reason: "PKT_TOO_BIG",
                    symbols: &["ip_forward"],
                    netns: Some("router"),
                    src: "10.1.0.2",
                    dst: "10.2.0.2:5301",
                    counted: ("router", Counter::Nstat("IpFragFails")),
                    ..LOST
                }],
            },
        ],
        ..Plain::PAIR
    }),
};

const FORWARD_V6: Scenario = Scenario {
    name: "mtu-forward-v6",
    summary: "a router with a smaller MTU on its far side, where routers never fragment",
    watch: "sudo lossdrop trace --port 5301",
    packets: "1 UDP datagram of 1400 bytes, fd01::2 → [fd02::2]:5301, and MTU 1300 at the router's eth1",
    needs: &[],
    findings: &[Finding {
        kind: "mtu/forward",
        netns: "router",
        culprit: &["eth1"],
        numbers: &[("mtu", 1300), ("largest_ip", 1300), ("len_min", 1448), ("len_max", 1448)],
        ..TOO_BIG
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Router,
        setup: &[("router", "ip link set eth1 mtu 1300")],
        sinks: &[("server", "[fd02::2]:5301")],
        volleys: &[
            FORGET,
            Volley {
                traffic: Traffic::Special {
                    from: "client",
                    what: Special::UdpV6 {
                        src: Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 2),
                        to: SocketAddrV6::new(Ipv6Addr::new(0xfd02, 0, 0, 0, 0, 0, 0, 2), 5301, 0, 0),
                        count: 1,
                        payload: 1400,
                    },
                },
                lost: &[Lost {
                    reason: "PKT_TOO_BIG",
                    symbols: &["ip6_forward"],
                    netns: Some("router"),
                    iface: Some("eth1"),
                    src: "fd01::2",
                    dst: "[fd02::2]:5301",
                    counted: ("router", Counter::Nstat("Ip6InTooBigErrors")),
                    ..LOST
                }],
            },
        ],
        ..Plain::PAIR
    }),
};

const TUNNEL_OUTPUT: Scenario = Scenario {
    name: "mtu-tunnel-output",
    summary: "a VXLAN tunnel with DF that is as wide as the cable below it",
    watch: "sudo lossdrop trace --port 4789",
    packets: "1 UDP datagram of 1472 bytes, 10.3.0.1 → 10.3.0.2:5301; with the tunnel's headers, 1550 bytes",
    needs: &[Need::Link("vxlan id 7 remote 10.0.0.2 dstport 4789 df set")],
    findings: &[Finding {
        kind: "mtu/output",
        netns: "client",
        numbers: &[("mtu", 1500), ("largest_ip", 1500), ("len_min", 1550), ("len_max", 1550)],
        ..TOO_BIG
    }],
    lab: Setup::Plain(Plain {
        setup: &[
            ("client", "ip link add vx0 type vxlan id 7 remote 10.0.0.2 dstport 4789 df set"),
            ("client", "ip link set vx0 mtu 1500 up && ip addr add 10.3.0.1/24 dev vx0"),
            ("client", "ip neigh add 10.3.0.2 lladdr 02:00:00:00:00:02 nud permanent dev vx0"),
        ],
        sinks: &[("server", "10.0.0.2:4789")],
        // From the first one on, the sender knows.
        volleys: &[
            Volley::harmless(Traffic::Shell { from: "client", line: "ip route flush cache", count: 0 }),
            Volley {
                traffic: Traffic::Udp { from: "client", to: "10.3.0.2:5301", count: 1, payload: 1472 },
                lost: &[Lost {
                    symbols: &["ip_fragment"],
                    dst: "10.0.0.2:4789",
                    counted: ("client", Counter::Nstat("IpFragFails")),
                    ..LOST
                }],
            },
        ],
        ..Plain::PAIR
    }),
};

const REASSEMBLY: Scenario = Scenario {
    name: "mtu-reassembly",
    summary: "datagrams of which only the first half arrives",
    watch: "sudo lossdrop trace --port 5301",
    packets: "4 first fragments, 10.0.0.1 → 10.0.0.2:5301, each given up after a second",
    needs: &[],
    findings: &[Finding {
        kind: "mtu/reassembly",
        culprit: &[],
        fix: Fix::None("the other fragments are lost somewhere else"),
        ..TOO_BIG
    }],
    lab: Setup::Plain(Plain {
        setup: &[("server", "echo 1 > /proc/sys/net/ipv4/ipfrag_time")],
        volleys: &[Volley {
            traffic: Traffic::Special { from: "client", what: Special::Halves { port: 5301, count: 4 } },
            lost: &[Lost {
                reason: "FRAG_REASM_TIMEOUT",
                symbols: &["ip_expire"],
                netns: Some("server"),
                counted: ("server", Counter::Nstat("IpReasmFails")),
                ..LOST
            }],
        }],
        ..Plain::PAIR
    }),
};

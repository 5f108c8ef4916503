//! Netfilter among other causes.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::nf_needs;
use super::plain::{Lost, Plain, Traffic, Volley};
use super::stage::Stage;
use crate::counter::Counter;
use crate::finding::{Count, Finding, Fix};
use crate::scenario::{Noise, Scenario, Setup};

pub(super) const ALL: &[Scenario] =
    &[RULE_AND_PORT, RULE_AND_NOISE, BLACKHOLE, BLACKHOLE_V6, BLACKHOLE_AT_HOME, ACCEPTING];

const RULE_AND_PORT: Scenario = Scenario {
    name: "nf-rule-and-closed-port",
    summary: "two causes at once in one namespace",
    watch: "sudo lossdrop trace --host 10.0.0.2",
    packets: "4 UDP datagrams, 10.0.0.1 → 10.0.0.2:5501, against a rule, and 3 → :5502, where nobody listens",
    needs: &[],
    findings: &[
        Finding {
            kind: "socket/closed-port",
            severity: "fault",
            count: Count::OfShot(1),
            culprit: &["udp", "10.0.0.2:5502"],
            fix: Fix::None("something must listen there"),
            ..Finding::RULE
        },
        Finding {
            culprit: &["nft inet lab input", "udp dport 5501"],
            numbers: &[("packets", 4)],
            ..Finding::RULE
        },
    ],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "nft 'add table inet lab; \
             add chain inet lab input { type filter hook input priority 0; }; \
             add rule inet lab input udp dport 5501 counter drop'",
        )],
        sinks: &[("server", "10.0.0.2:5501")],
        volleys: &[
            Volley {
                traffic: Traffic::udp("10.0.0.2:5501", 4),
                lost: &[Lost::nft("10.0.0.2:5501", Counter::Nft("inet", "lab", 1))],
            },
            Volley {
                traffic: Traffic::udp("10.0.0.2:5502", 3),
                lost: &[Lost {
                    reason: "NO_SOCKET",
                    symbols: &["__udp4_lib_rcv", "udp_rcv"],
                    ..Lost::nft("10.0.0.2:5502", Counter::Nstat("UdpNoPorts"))
                }],
            },
        ],
        ..Plain::PAIR
    }),
};

const RULE_AND_NOISE: Scenario = Scenario {
    name: "nf-rule-beside-closing-connections",
    summary: "a rule, and connections that close: only one of them is worth a word",
    watch: "sudo lossdrop trace --host 10.0.0.2",
    packets: "5 HTTP requests, 10.0.0.1 → 10.0.0.2:8080, all answered, and 3 UDP datagrams → 10.0.0.2:5503",
    needs: nf_needs::LEGACY,
    findings: &[Finding {
        culprit: &["iptables-legacy filter INPUT rule 1", "--dport 5503"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[("server", "iptables-legacy -A INPUT -p udp --dport 5503 -j DROP")],
        sinks: &[("server", "10.0.0.2:5503")],
        servers: &[("server", "10.0.0.2:8080")],
        volleys: &[
            Volley::harmless(Traffic::Http { from: "client", to: "10.0.0.2:8080", count: 5 }),
            Volley {
                traffic: Traffic::udp("10.0.0.2:5503", 3),
                lost: &[Lost::legacy(
                    "10.0.0.2:5503",
                    Counter::Iptables("iptables-legacy", "filter", "INPUT", 1),
                )],
            },
        ],
        noise: &[CLOSING],
        ..Plain::PAIR
    }),
};

const BLACKHOLE: Scenario = Scenario {
    name: "nf-pmtu-blackhole",
    summary: "a router with a smaller MTU behind it, and a rule that eats its ICMP",
    watch: "sudo lossdrop trace --host 10.1.0.2",
    packets: "3 UDP datagrams with DF, 1450 bytes of IP, 10.1.0.2 → 10.2.0.2:5504",
    needs: &[],
    findings: &[
        Finding {
            kind: "netfilter/pmtu-blackhole",
            severity: "fault",
            count: Count::OfShot(1),
            netns: "router",
            culprit: &["iptables filter OUTPUT rule 1", "icmp"],
            numbers: &[("mtu", 1400)],
            ..Finding::RULE
        },
        TOO_BIG_FOUND,
    ],
    lab: Setup::Plain(Plain {
        stage: Stage::Router,
        setup: &[
            ("router", "ip link set eth1 mtu 1400"),
            ("server", "ip link set eth0 mtu 1400"),
            ("router", "iptables -A OUTPUT -p icmp -j DROP"),
        ],
        volleys: &[Volley { traffic: BIG, lost: &[TOO_BIG, EATEN] }],
        ..Plain::PAIR
    }),
};

const BLACKHOLE_V6: Scenario = Scenario {
    name: "nf-pmtu-blackhole-v6",
    summary: "the same by IPv6: nftables on the router eat its \"packet too big\"",
    watch: "sudo lossdrop trace --host fd01::2",
    packets: "3 UDP datagrams, 1450 bytes of IP, fd01::2 → [fd02::2]:5505",
    needs: &[],
    findings: &[
        Finding {
            kind: "netfilter/pmtu-blackhole",
            severity: "fault",
            count: Count::OfShot(1),
            netns: "router",
            culprit: &["nft ip6 lab output", "icmpv6"],
            numbers: &[("mtu", 1400)],
            ..Finding::RULE
        },
        TOO_BIG_FOUND,
    ],
    lab: Setup::Plain(Plain {
        stage: Stage::Router,
        setup: &[
            ("router", "ip link set eth1 mtu 1400"),
            ("server", "ip link set eth0 mtu 1400"),
            (
                "router",
                "nft 'add table ip6 lab; \
                 add chain ip6 lab output { type filter hook output priority 0; }; \
                 add rule ip6 lab output icmpv6 type packet-too-big counter drop'",
            ),
        ],
        sinks: &[("server", "[fd02::2]:5505")],
        volleys: &[Volley {
            traffic: Traffic::Udp { from: "client", to: "[fd02::2]:5505", count: 3, payload: 1402 },
            lost: &[
                Lost {
                    reason: "PKT_TOO_BIG",
                    symbols: &["ip6_forward"],
                    iface: Some("eth1"),
                    ..Lost::nft("[fd02::2]:5505", Counter::Nstat("Ip6InTooBigErrors")).at("router")
                },
                Lost { proto: "icmpv6", ..Lost::nft("fd01::2", Counter::Nft("ip6", "lab", 1)).at("router") },
            ],
        }],
        ..Plain::PAIR
    }),
};

const BLACKHOLE_AT_HOME: Scenario = Scenario {
    name: "nf-pmtu-blackhole-at-the-sender",
    summary: "a router with a smaller MTU behind it, and a sender whose own firewall takes no ICMP",
    watch: "sudo lossdrop trace --host 10.1.0.2",
    packets: "3 UDP datagrams with DF, 1450 bytes of IP, 10.1.0.2 → 10.2.0.2:5504",
    needs: &[],
    findings: &[
        Finding {
            kind: "netfilter/pmtu-blackhole",
            severity: "fault",
            count: Count::OfShot(1),
            netns: "client",
            culprit: &["iptables filter INPUT rule 1", "icmp"],
            numbers: &[("mtu", 1400)],
            ..Finding::RULE
        },
        TOO_BIG_FOUND,
    ],
    lab: Setup::Plain(Plain {
        stage: Stage::Router,
        setup: &[
            ("router", "ip link set eth1 mtu 1400"),
            ("server", "ip link set eth0 mtu 1400"),
            ("client", "iptables -A INPUT -p icmp -j DROP"),
        ],
        volleys: &[Volley {
            traffic: BIG,
            lost: &[
                TOO_BIG,
                Lost {
                    proto: "icmp",
                    ..Lost::nft("10.1.0.2", Counter::Iptables("iptables", "filter", "INPUT", 1)).at("client")
                },
            ],
        }],
        ..Plain::PAIR
    }),
};

const ACCEPTING: Scenario = Scenario {
    name: "benign-firewall",
    summary: "a firewall that would drop much, and lets pass all that is sent",
    watch: "sudo lossdrop trace --host 10.0.0.2 --all",
    packets: "5 HTTP requests, 10.0.0.1 → 10.0.0.2:8080, all answered, and 3 UDP datagrams → :5506, all read",
    needs: &[],
    findings: &[],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "nft 'add table inet lab; \
             add chain inet lab input { type filter hook input priority 0; policy drop; }; \
             add rule inet lab input ct state established,related counter accept; \
             add rule inet lab input ct state invalid counter drop; \
             add rule inet lab input tcp dport 8080 counter accept; \
             add rule inet lab input udp dport 5506 counter accept; \
             add rule inet lab input counter drop'",
        )],
        sinks: &[("server", "10.0.0.2:5506")],
        servers: &[("server", "10.0.0.2:8080")],
        volleys: &[
            Volley::harmless(Traffic::Http { from: "client", to: "10.0.0.2:8080", count: 5 }),
            Volley::harmless(Traffic::udp("10.0.0.2:5506", 3)),
        ],
        noise: &[CLOSING],
        ..Plain::PAIR
    }),
};

const BIG: Traffic = Traffic::UdpDf {
    from: "client",
    src: Ipv4Addr::new(10, 1, 0, 2),
    to: SocketAddrV4::new(Ipv4Addr::new(10, 2, 0, 2), 5504),
    count: 3,
    payload: 1422,
};

const TOO_BIG: Lost = Lost {
    reason: "PKT_TOO_BIG",
    symbols: &["ip_forward"],
    ..Lost::nft("10.2.0.2:5504", Counter::Nstat("IpFragFails")).at("router")
};

/// The error is born without a device; its route tells one.
const EATEN: Lost = Lost {
    proto: "icmp",
    ..Lost::nft("10.1.0.2", Counter::Iptables("iptables", "filter", "OUTPUT", 1)).at("router")
};

const CLOSING: Noise = Noise {
    symbols: &["tcp_v4_rcv", "sk_stream_kill_queues", "tcp_rcv_state_process"],
    why: "the last segments of a connection that both sides have closed",
};

const TOO_BIG_FOUND: Finding = Finding {
    kind: "mtu/forward",
    severity: "fault",
    netns: "router",
    culprit: &["eth1"],
    numbers: &[("mtu", 1400), ("largest_ip", 1400), ("len_min", 1450), ("len_max", 1450)],
    ..Finding::RULE
};

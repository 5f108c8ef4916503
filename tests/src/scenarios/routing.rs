//! Packets that a router does not know where to send, or is told not to.

use std::net::Ipv4Addr;

use super::plain::{Lost, Plain, Share, Traffic, Volley};
use super::special::Special;
use super::stage::Stage;
use crate::counter::Counter;
use crate::finding::{Count, Finding, Fix};
use crate::need::Need;
use crate::scenario::{Scenario, Setup};
use crate::traffic::Odd;

pub(super) const ALL: &[Scenario] = &[
    NO_ROUTE,
    NO_ROUTE_V6,
    BLACKHOLE,
    BLACKHOLE_V6,
    PROHIBIT,
    PROHIBIT_V6,
    UNREACHABLE,
    UNREACHABLE_V6,
    FORWARDING_OFF,
    FORWARDING_OFF_V6,
    REVERSE_PATH,
    TTL,
    TTL_V6,
    LOOPBACK_SOURCE,
    OWN_SOURCE,
];

const FOUND: Finding = Finding {
    kind: "routing/no-route",
    severity: "fault",
    confidence: "certain",
    count: Count::OfShot(0),
    netns: "router",
    culprit: &[],
    numbers: &[],
    fix: Fix::Stops,
};

/// At the router, where the packet came in.
const LOST: Lost = Lost {
    reason: "IP_INNOROUTES",
    symbols: &["ip_error"],
    netns: Some("router"),
    iface: Some("eth0"),
    proto: "udp",
    src: "10.1.0.2",
    dst: "10.9.0.1:5330",
    share: Share::All,
    counted: ("router", Counter::NotDelivered),
};

const LOST_V6: Lost = Lost {
    symbols: &["ip6_pkt_discard", "ip6_pkt_drop"],
    src: "fd01::2",
    dst: "[fd09::1]:5330",
    counted: ("router", Counter::Nstat("Ip6InNoRoutes")),
    ..LOST
};

const ROUTER: Plain = Plain { stage: Stage::Router, ..Plain::PAIR };

const NO_ROUTE: Scenario = Scenario {
    name: "routing-no-route",
    summary: "a router that has no route to the destination",
    watch: "sudo lossdrop trace --host 10.9.0.1",
    packets: "4 UDP datagrams, 10.1.0.2 → 10.9.0.1:5330",
    needs: &[],
    findings: &[Finding {
        culprit: &["no route to 10.9.0.1"],
        fix: Fix::None("which way the route must go, only its owner knows"),
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        volleys: &[Volley {
            traffic: Traffic::udp("10.9.0.1:5330", 4),
            lost: &[Lost { counted: ("router", Counter::Nstat("IpExtInNoRoutes")), ..LOST }],
        }],
        ..ROUTER
    }),
};

const NO_ROUTE_V6: Scenario = Scenario {
    name: "routing-no-route-v6",
    summary: "a router that has no IPv6 route to the destination",
    watch: "sudo lossdrop trace --host fd09::1",
    packets: "4 UDP datagrams, fd01::2 → [fd09::1]:5330",
    findings: &[Finding {
        culprit: &["no route to fd09::1"],
        fix: Fix::None("which way the route must go, only its owner knows"),
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        volleys: &[Volley { traffic: Traffic::udp("[fd09::1]:5330", 4), lost: &[LOST_V6] }],
        ..ROUTER
    }),
    ..NO_ROUTE
};

/// Beyond the router and reached by its default route, but for the route of the scenario.
const BEYOND: Plain = Plain { sinks: &[("server", "10.9.0.1:5330"), ("server", "[fd09::1]:5330")], ..ROUTER };

const BEHIND: (&str, &str) =
    ("server", "ip addr add 10.9.0.1/32 dev lo && ip addr add fd09::1/128 dev lo nodad");
const DEFAULT: (&str, &str) =
    ("router", "ip route add default via 10.2.0.2 && ip -6 route add default via fd02::2");

const BLACKHOLE: Scenario = Scenario {
    name: "routing-blackhole",
    summary: "a router with a blackhole route; nobody is told",
    findings: &[Finding {
        kind: "routing/blackhole",
        severity: "policy",
        culprit: &["blackhole 10.9.0.0/16"],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[BEHIND, DEFAULT, ("router", "ip route add blackhole 10.9.0.0/16")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.9.0.1:5330", 4),
            lost: &[Lost { reason: "NOT_SPECIFIED", ..LOST }],
        }],
        ..BEYOND
    }),
    ..NO_ROUTE
};

/// IPv6 counts none of them; a rule that only counts does.
const COUNT_V6: (&str, &str) = (
    "router",
    "nft 'add table ip6 seen; add chain ip6 seen in { type filter hook prerouting priority 0; }; \
          add rule ip6 seen in udp dport 5330 counter'",
);

const BLACKHOLE_V6: Scenario = Scenario {
    name: "routing-blackhole-v6",
    summary: "a router with an IPv6 blackhole route; nobody is told",
    needs: &[Need::Tool("nft")],
    findings: &[Finding {
        kind: "routing/blackhole",
        severity: "policy",
        culprit: &["blackhole fd09::/64"],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[BEHIND, DEFAULT, COUNT_V6, ("router", "ip route add blackhole fd09::/64")],
        volleys: &[Volley {
            traffic: Traffic::udp("[fd09::1]:5330", 4),
            lost: &[Lost {
                reason: "NOT_SPECIFIED",
                symbols: &["dst_discard_out", "dst_discard"],
                counted: ("router", Counter::Nft("ip6", "seen", 1)),
                ..LOST_V6
            }],
        }],
        ..BEYOND
    }),
    ..NO_ROUTE_V6
};

const PROHIBIT: Scenario = Scenario {
    name: "routing-prohibit",
    summary: "a router with a prohibit route; the sender is told",
    findings: &[Finding {
        kind: "routing/prohibit",
        severity: "policy",
        culprit: &["prohibit 10.9.0.0/16"],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[BEHIND, DEFAULT, ("router", "ip route add prohibit 10.9.0.0/16")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.9.0.1:5330", 4),
            lost: &[Lost { reason: "NOT_SPECIFIED", ..LOST }],
        }],
        ..BEYOND
    }),
    ..NO_ROUTE
};

const PROHIBIT_V6: Scenario = Scenario {
    name: "routing-prohibit-v6",
    summary: "a router with an IPv6 prohibit route; the sender is told",
    findings: &[Finding {
        kind: "routing/prohibit",
        severity: "policy",
        culprit: &["prohibit fd09::/64"],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[BEHIND, DEFAULT, ("router", "ip route add prohibit fd09::/64")],
        volleys: &[Volley {
            traffic: Traffic::udp("[fd09::1]:5330", 4),
            lost: &[Lost { symbols: &["ip6_pkt_prohibit", "ip6_pkt_drop"], ..LOST_V6 }],
        }],
        ..BEYOND
    }),
    ..NO_ROUTE_V6
};

const UNREACHABLE: Scenario = Scenario {
    name: "routing-unreachable",
    summary: "a router with an unreachable route",
    findings: &[Finding {
        kind: "routing/unreachable",
        severity: "policy",
        culprit: &["unreachable 10.9.0.0/16"],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[BEHIND, DEFAULT, ("router", "ip route add unreachable 10.9.0.0/16")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.9.0.1:5330", 4),
            lost: &[Lost { reason: "NOT_SPECIFIED", ..LOST }],
        }],
        ..BEYOND
    }),
    ..NO_ROUTE
};

const UNREACHABLE_V6: Scenario = Scenario {
    name: "routing-unreachable-v6",
    summary: "a router with an IPv6 unreachable route: to the kernel the same as none, but it is there",
    findings: &[Finding {
        kind: "routing/unreachable",
        severity: "policy",
        culprit: &["unreachable fd09::/64"],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[BEHIND, DEFAULT, ("router", "ip route add unreachable fd09::/64")],
        volleys: &[Volley { traffic: Traffic::udp("[fd09::1]:5330", 4), lost: &[LOST_V6] }],
        ..BEYOND
    }),
    ..NO_ROUTE_V6
};

const FORWARDING_OFF: Scenario = Scenario {
    name: "routing-forwarding-off",
    summary: "a router that has not been told to be one",
    watch: "sudo lossdrop trace --port 5330",
    packets: "4 UDP datagrams, 10.1.0.2 → 10.2.0.2:5330",
    needs: &[],
    findings: &[Finding { kind: "routing/forwarding-off", culprit: &["net.ipv4.ip_forward"], ..FOUND }],
    lab: Setup::Plain(Plain {
        setup: &[("router", "echo 0 > /proc/sys/net/ipv4/ip_forward")],
        sinks: &[("server", "10.2.0.2:5330")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.2.0.2:5330", 4),
            lost: &[Lost {
                reason: "IP_INADDRERRORS",
                dst: "10.2.0.2:5330",
                counted: ("router", Counter::Nstat("IpInAddrErrors")),
                ..LOST
            }],
        }],
        ..ROUTER
    }),
};

const FORWARDING_OFF_V6: Scenario = Scenario {
    name: "routing-forwarding-off-v6",
    summary: "a router that has not been told to be one for IPv6",
    packets: "4 UDP datagrams, fd01::2 → [fd02::2]:5330",
    findings: &[Finding {
        kind: "routing/forwarding-off",
        culprit: &["net.ipv6.conf.all.forwarding"],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[("router", "echo 0 > /proc/sys/net/ipv6/conf/all/forwarding")],
        sinks: &[("server", "[fd02::2]:5330")],
        volleys: &[Volley {
            traffic: Traffic::udp("[fd02::2]:5330", 4),
            lost: &[Lost {
                reason: "IP_INADDRERRORS",
                symbols: &["ip6_forward"],
                dst: "[fd02::2]:5330",
                counted: ("router", Counter::Nstat("Ip6InAddrErrors")),
                ..LOST_V6
            }],
        }],
        ..ROUTER
    }),
    ..FORWARDING_OFF
};

const REVERSE_PATH: Scenario = Scenario {
    name: "routing-reverse-path",
    summary: "a router with a strict reverse path filter, and a source to which it would answer by another device",
    watch: "sudo lossdrop trace --reason IP_RPFILTER",
    packets: "4 UDP datagrams, 10.7.0.1 → 10.2.0.2:5330",
    needs: &[],
    findings: &[Finding {
        kind: "routing/rp-filter",
        culprit: &["net.ipv4.conf.eth0.rp_filter"],
        numbers: &[("rp_filter", 1)],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[
            ("client", "ip addr add 10.7.0.1/32 dev lo"),
            ("client", "ip route replace default via 10.1.0.1 src 10.7.0.1"),
            ("router", "ip route add 10.7.0.0/16 via 10.2.0.2"),
            ("router", "echo 1 > /proc/sys/net/ipv4/conf/eth0/rp_filter"),
            ("router", "echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter"),
        ],
        sinks: &[("server", "10.2.0.2:5330")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.2.0.2:5330", 4),
            lost: &[Lost {
                reason: "IP_RPFILTER",
                symbols: &["ip_rcv_finish_core"],
                src: "10.7.0.1",
                dst: "10.2.0.2:5330",
                counted: ("router", Counter::Nstat("TcpExtIPReversePathFilter")),
                ..LOST
            }],
        }],
        ..ROUTER
    }),
};

const TTL: Scenario = Scenario {
    name: "routing-ttl",
    summary: "datagrams that may not pass a single router",
    watch: "sudo lossdrop trace --port 5330",
    packets: "4 UDP datagrams with TTL 1, 10.1.0.2 → 10.2.0.2:5330",
    needs: &[],
    findings: &[Finding {
        kind: "routing/ttl",
        culprit: &["10.1.0.2"],
        fix: Fix::None("a loop, a traceroute, or a sender that starts too low"),
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        volleys: &[Volley {
            traffic: Traffic::Special {
                from: "client",
                what: Special::Ttl { to: "10.2.0.2:5330", ttl: 1, count: 4 },
            },
            lost: &[Lost {
                reason: "IP_INHDR",
                symbols: &["ip_forward"],
                dst: "10.2.0.2:5330",
                counted: ("router", Counter::Nstat("IpInHdrErrors")),
                ..LOST
            }],
        }],
        ..ROUTER
    }),
};

const TTL_V6: Scenario = Scenario {
    name: "routing-hop-limit-v6",
    packets: "4 UDP datagrams with hop limit 1, fd01::2 → [fd02::2]:5330",
    findings: &[Finding {
        kind: "routing/ttl",
        culprit: &["fd01::2"],
        fix: Fix::None("a loop, a traceroute, or a sender that starts too low"),
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        volleys: &[Volley {
            traffic: Traffic::Special {
                from: "client",
                what: Special::Ttl { to: "[fd02::2]:5330", ttl: 1, count: 4 },
            },
            lost: &[Lost {
                reason: "IP_INHDR",
                symbols: &["ip6_forward"],
                dst: "[fd02::2]:5330",
                counted: ("router", Counter::Nstat("Ip6InHdrErrors")),
                ..LOST_V6
            }],
        }],
        ..ROUTER
    }),
    ..TTL
};

/// What arrives at a host, with an address that no other host can have.
const MARTIAN: Lost = Lost {
    reason: "IP_LOCALNET",
    symbols: &["ip_rcv_finish_core"],
    netns: Some("server"),
    src: "127.0.0.5:7000",
    dst: "10.0.0.2:7001",
    counted: ("server", Counter::NotDelivered),
    ..LOST
};

const LOOPBACK_SOURCE: Scenario = Scenario {
    name: "routing-martian-loopback",
    summary: "packets from the wire whose source is 127.0.0.5",
    watch: "sudo lossdrop trace --src 127.0.0.5",
    packets: "3 UDP datagrams, 127.0.0.5:7000 → 10.0.0.2:7001",
    needs: &[],
    findings: &[Finding { kind: "routing/martian", netns: "server", culprit: &[], ..FOUND }],
    lab: Setup::Plain(Plain {
        volleys: &[Volley {
            traffic: Traffic::Special {
                from: "client",
                what: Special::Odd { to: "server", odd: Odd::Source(Ipv4Addr::new(127, 0, 0, 5)), count: 3 },
            },
            lost: &[MARTIAN],
        }],
        ..Plain::PAIR
    }),
};

const OWN_SOURCE: Scenario = Scenario {
    name: "routing-martian-own-address",
    summary: "packets from the wire whose source is the receiver's own address: somebody has it, too",
    watch: "sudo lossdrop trace --src 10.0.0.2",
    packets: "3 UDP datagrams, 10.0.0.2:7000 → 10.0.0.2:7001, sent by another host",
    needs: &[],
    findings: &[Finding {
        kind: "routing/martian",
        netns: "server",
        culprit: &["10.0.0.2"],
        fix: Fix::None("the other host that has the address must give it up"),
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        volleys: &[Volley {
            traffic: Traffic::Special {
                from: "client",
                what: Special::Odd { to: "server", odd: Odd::Source(Ipv4Addr::new(10, 0, 0, 2)), count: 3 },
            },
            lost: &[Lost { reason: "IP_LOCAL_SOURCE", src: "10.0.0.2:7000", ..MARTIAN }],
        }],
        ..Plain::PAIR
    }),
};

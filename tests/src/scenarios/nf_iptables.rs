//! A rule of iptables at each of its hooks, in both flavours.

use super::nf_needs;
use super::pair::{CLIENT_V4, SERVER_V4};
use super::plain::{Lost, Plain, Traffic, Volley};
use super::stage::Stage;
use crate::counter::Counter;
use crate::finding::Finding;
use crate::scenario::{Scenario, Setup};

pub(super) const ALL: &[Scenario] = &[
    LEGACY_INPUT,
    INPUT_THIRD,
    ECHO,
    LEGACY_IP6_INPUT,
    LEGACY_FORWARD,
    IP6_FORWARD,
    LEGACY_OUTPUT,
    IP6_OUTPUT,
    RAW_PREROUTING,
    LEGACY_IP6_MANGLE,
    POSTROUTING,
];

const LEGACY_INPUT: Scenario = Scenario {
    name: "nf-legacy-input-rule",
    summary: "a rule of legacy iptables in INPUT",
    watch: "sudo lossdrop trace --port 5001",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5001",
    needs: nf_needs::LEGACY,
    findings: &[Finding {
        culprit: &["iptables-legacy filter INPUT rule 1", "--dport 5001"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[("server", "iptables-legacy -A INPUT -p udp --dport 5001 -j DROP")],
        sinks: &[("server", "10.0.0.2:5001")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5001", 3),
            lost: &[Lost::legacy(
                "10.0.0.2:5001",
                Counter::Iptables("iptables-legacy", "filter", "INPUT", 1),
            )],
        }],
        ..Plain::PAIR
    }),
};

const INPUT_THIRD: Scenario = Scenario {
    name: "nf-iptables-input-rule",
    summary: "the third rule of INPUT, as iptables-nft writes it",
    watch: "sudo lossdrop trace --port 5002",
    packets: "4 UDP datagrams, 10.0.0.1 → 10.0.0.2:5002",
    needs: &[],
    findings: &[Finding {
        culprit: &["iptables filter INPUT rule 3", "not today", "--dport 5002"],
        numbers: &[("packets", 4)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "iptables -A INPUT -i lo -j ACCEPT \
             && iptables -A INPUT -p tcp --dport 22 -j ACCEPT \
             && iptables -A INPUT -s 10.0.0.0/24 -p udp -m udp --dport 5002 -m comment \
             --comment 'not today' -j DROP",
        )],
        sinks: &[("server", "10.0.0.2:5002")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5002", 4),
            lost: &[Lost::nft("10.0.0.2:5002", Counter::Iptables("iptables", "filter", "INPUT", 3))],
        }],
        ..Plain::PAIR
    }),
};

const ECHO: Scenario = Scenario {
    name: "nf-iptables-echo",
    summary: "a rule that drops pings",
    watch: "sudo lossdrop trace --proto icmp",
    packets: "4 echo requests, 10.0.0.1 → 10.0.0.2",
    needs: &[],
    findings: &[Finding {
        culprit: &["iptables filter INPUT rule 1", "icmp"],
        numbers: &[("packets", 4)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[("server", "iptables -A INPUT -p icmp --icmp-type echo-request -j DROP")],
        volleys: &[Volley {
            traffic: Traffic::Echo { from: "client", src: CLIENT_V4, to: SERVER_V4, count: 4 },
            lost: &[Lost {
                proto: "icmp",
                ..Lost::nft("10.0.0.2", Counter::Iptables("iptables", "filter", "INPUT", 1))
            }],
        }],
        ..Plain::PAIR
    }),
};

const LEGACY_IP6_INPUT: Scenario = Scenario {
    name: "nf-ip6tables-legacy-input-rule",
    summary: "a rule of legacy ip6tables in INPUT",
    watch: "sudo lossdrop trace --port 5005",
    packets: "3 UDP datagrams, fd00::1 → [fd00::2]:5005",
    needs: nf_needs::LEGACY,
    findings: &[Finding {
        culprit: &["ip6tables-legacy filter INPUT rule 1", "--dport 5005"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Dual,
        setup: &[("server", "ip6tables-legacy -A INPUT -p udp --dport 5005 -j DROP")],
        sinks: &[("server", "[fd00::2]:5005")],
        volleys: &[Volley {
            traffic: Traffic::udp("[fd00::2]:5005", 3),
            lost: &[Lost::legacy(
                "[fd00::2]:5005",
                Counter::Iptables("ip6tables-legacy", "filter", "INPUT", 1),
            )],
        }],
        ..Plain::PAIR
    }),
};

const LEGACY_FORWARD: Scenario = Scenario {
    name: "nf-legacy-forward-rule",
    summary: "a router whose legacy iptables drop in FORWARD",
    watch: "sudo lossdrop trace --port 5003",
    packets: "3 UDP datagrams, 10.1.0.2 → 10.2.0.2:5003",
    needs: nf_needs::LEGACY,
    findings: &[Finding {
        netns: "router",
        culprit: &["iptables-legacy filter FORWARD rule 1", "-s 10.1.0.2"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Router,
        setup: &[("router", "iptables-legacy -A FORWARD -i eth0 -s 10.1.0.2 -p udp --dport 5003 -j DROP")],
        sinks: &[("server", "10.2.0.2:5003")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.2.0.2:5003", 3),
            lost: &[Lost::legacy(
                "10.2.0.2:5003",
                Counter::Iptables("iptables-legacy", "filter", "FORWARD", 1),
            )
            .at("router")],
        }],
        ..Plain::PAIR
    }),
};

const IP6_FORWARD: Scenario = Scenario {
    name: "nf-ip6tables-forward-rule",
    summary: "a router whose ip6tables drop in FORWARD",
    watch: "sudo lossdrop trace --port 5004",
    packets: "3 UDP datagrams, fd01::2 → [fd02::2]:5004",
    needs: &[],
    findings: &[Finding {
        netns: "router",
        culprit: &["ip6tables filter FORWARD rule 1", "fd02::2"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Router,
        setup: &[("router", "ip6tables -A FORWARD -d fd02::2 -p udp --dport 5004 -j DROP")],
        sinks: &[("server", "[fd02::2]:5004")],
        volleys: &[Volley {
            traffic: Traffic::udp("[fd02::2]:5004", 3),
            lost: &[Lost::nft("[fd02::2]:5004", Counter::Iptables("ip6tables", "filter", "FORWARD", 1))
                .at("router")],
        }],
        ..Plain::PAIR
    }),
};

const LEGACY_OUTPUT: Scenario = Scenario {
    name: "nf-legacy-output-rule",
    summary: "a rule of legacy iptables in OUTPUT: the sender is told",
    watch: "sudo lossdrop trace --port 5006",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5006; each send() fails with EPERM",
    needs: nf_needs::LEGACY,
    findings: &[Finding {
        netns: "client",
        culprit: &["iptables-legacy filter OUTPUT rule 1", "--dport 5006"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[("client", "iptables-legacy -A OUTPUT -d 10.0.0.2 -p udp --dport 5006 -j DROP")],
        sinks: &[("server", "10.0.0.2:5006")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5006", 3),
            lost: &[Lost::legacy(
                "10.0.0.2:5006",
                Counter::Iptables("iptables-legacy", "filter", "OUTPUT", 1),
            )
            .at("client")],
        }],
        ..Plain::PAIR
    }),
};

const IP6_OUTPUT: Scenario = Scenario {
    name: "nf-ip6tables-output-rule",
    summary: "a rule of ip6tables in OUTPUT",
    watch: "sudo lossdrop trace --port 5007",
    packets: "3 UDP datagrams, fd00::1 → [fd00::2]:5007; each send() fails with EPERM",
    needs: &[],
    findings: &[Finding {
        netns: "client",
        culprit: &["ip6tables filter OUTPUT rule 1", "--dport 5007"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Dual,
        setup: &[("client", "ip6tables -A OUTPUT -p udp --dport 5007 -j DROP")],
        sinks: &[("server", "[fd00::2]:5007")],
        volleys: &[Volley {
            traffic: Traffic::udp("[fd00::2]:5007", 3),
            lost: &[Lost::nft("[fd00::2]:5007", Counter::Iptables("ip6tables", "filter", "OUTPUT", 1))
                .at("client")],
        }],
        ..Plain::PAIR
    }),
};

const RAW_PREROUTING: Scenario = Scenario {
    name: "nf-iptables-raw-prerouting",
    summary: "a rule in table raw, before connection tracking",
    watch: "sudo lossdrop trace --port 5008",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5008",
    needs: &[],
    findings: &[Finding {
        culprit: &["iptables raw PREROUTING rule 1", "--dport 5008"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[("server", "iptables -t raw -A PREROUTING -p udp --dport 5008 -j DROP")],
        sinks: &[("server", "10.0.0.2:5008")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5008", 3),
            lost: &[Lost::nft("10.0.0.2:5008", Counter::Iptables("iptables", "raw", "PREROUTING", 1))],
        }],
        ..Plain::PAIR
    }),
};

const LEGACY_IP6_MANGLE: Scenario = Scenario {
    name: "nf-ip6tables-legacy-mangle",
    summary: "a rule of legacy ip6tables in PREROUTING of table mangle",
    watch: "sudo lossdrop trace --port 5009",
    packets: "3 UDP datagrams, fd00::1 → [fd00::2]:5009",
    needs: nf_needs::LEGACY,
    findings: &[Finding {
        culprit: &["ip6tables-legacy mangle PREROUTING rule 1", "--dport 5009"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Dual,
        setup: &[("server", "ip6tables-legacy -t mangle -A PREROUTING -p udp --dport 5009 -j DROP")],
        sinks: &[("server", "[fd00::2]:5009")],
        volleys: &[Volley {
            traffic: Traffic::udp("[fd00::2]:5009", 3),
            lost: &[Lost::legacy(
                "[fd00::2]:5009",
                Counter::Iptables("ip6tables-legacy", "mangle", "PREROUTING", 1),
            )],
        }],
        ..Plain::PAIR
    }),
};

const POSTROUTING: Scenario = Scenario {
    name: "nf-iptables-mangle-postrouting",
    summary: "a router that drops what it has routed already",
    watch: "sudo lossdrop trace --port 5017",
    packets: "3 UDP datagrams, 10.1.0.2 → 10.2.0.2:5017",
    needs: &[],
    findings: &[Finding {
        netns: "router",
        culprit: &["iptables mangle POSTROUTING rule 1", "--dport 5017"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Router,
        setup: &[("router", "iptables -t mangle -A POSTROUTING -o eth1 -p udp --dport 5017 -j DROP")],
        sinks: &[("server", "10.2.0.2:5017")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.2.0.2:5017", 3),
            lost: &[Lost {
                iface: Some("eth1"),
                ..Lost::nft("10.2.0.2:5017", Counter::Iptables("iptables", "mangle", "POSTROUTING", 1))
                    .at("router")
            }],
        }],
        ..Plain::PAIR
    }),
};

//! Netfilter below IP: bridges, ARP, devices.

use super::nf_needs;
use super::pair::{CLIENT_V4, SERVER_V4};
use super::plain::{Lost, Plain, Traffic, Volley};
use super::stage::Stage;
use crate::counter::Counter;
use crate::finding::Finding;
use crate::scenario::{Scenario, Setup};

pub(super) const ALL: &[Scenario] = &[BRIDGE, EBTABLES, BRIDGE_IPTABLES, ARP, ARPTABLES, INGRESS, EGRESS];

const BRIDGE: Scenario = Scenario {
    name: "nf-nft-bridge",
    summary: "a bridge that drops in the forward hook of the bridge family",
    watch: "sudo lossdrop trace --port 5401",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5401, through a bridge",
    needs: nf_needs::BRIDGE,
    findings: &[Finding {
        netns: "switch",
        culprit: &["nft bridge lab forward", "udp dport 5401"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Bridge,
        setup: &[(
            "switch",
            "nft 'add table bridge lab; \
             add chain bridge lab forward { type filter hook forward priority filter; }; \
             add rule bridge lab forward udp dport 5401 counter drop'",
        )],
        sinks: &[("server", "10.0.0.2:5401")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5401", 3),
            lost: &[Lost {
                iface: Some("port1"),
                ..Lost::nft("10.0.0.2:5401", Counter::Nft("bridge", "lab", 1)).at("switch")
            }],
        }],
        ..Plain::PAIR
    }),
};

const EBTABLES: Scenario = Scenario {
    name: "nf-ebtables",
    summary: "a bridge that drops by ebtables",
    watch: "sudo lossdrop trace --port 5402",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5402, through a bridge",
    needs: nf_needs::EBTABLES,
    findings: &[Finding {
        netns: "switch",
        culprit: &["FORWARD", "5402"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Bridge,
        setup: &[(
            "switch",
            "ebtables -A FORWARD -p IPv4 --ip-protocol udp --ip-destination-port 5402 \
             -j DROP",
        )],
        sinks: &[("server", "10.0.0.2:5402")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5402", 3),
            lost: &[Lost {
                iface: Some("port1"),
                ..Lost::nft(
                    "10.0.0.2:5402",
                    Counter::Shell("ebtables -L FORWARD --Lc | sed -n 's/.*pcnt = \\([0-9]*\\).*/\\1/p'"),
                )
                .at("switch")
            }],
        }],
        ..Plain::PAIR
    }),
};

const BRIDGE_IPTABLES: Scenario = Scenario {
    name: "nf-bridge-iptables",
    summary: "a bridge whose IPv4 packets iptables see, and drop",
    watch: "sudo lossdrop trace --port 5403",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5403, through a bridge",
    needs: nf_needs::BRIDGE_NETFILTER,
    findings: &[Finding {
        netns: "switch",
        culprit: &["iptables-legacy filter FORWARD rule 1", "--dport 5403"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Bridge,
        setup: &[(
            "switch",
            "sysctl -qw net.bridge.bridge-nf-call-iptables=1 \
             && iptables-legacy -A FORWARD -p udp --dport 5403 -j DROP",
        )],
        sinks: &[("server", "10.0.0.2:5403")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5403", 3),
            lost: &[Lost {
                iface: Some("port1"),
                ..Lost::legacy("10.0.0.2:5403", Counter::Iptables("iptables-legacy", "filter", "FORWARD", 1))
                    .at("switch")
            }],
        }],
        ..Plain::PAIR
    }),
};

const ARP: Scenario = Scenario {
    name: "nf-nft-arp",
    summary: "a rule of the arp family",
    watch: "sudo lossdrop trace --proto arp",
    packets: "3 ARP requests of 10.0.0.1 for 10.0.0.2",
    needs: &[],
    findings: &[Finding {
        culprit: &["nft arp lab input", "arp operation request"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "nft 'add table arp lab; \
             add chain arp lab input { type filter hook input priority 0; }; \
             add rule arp lab input arp operation request counter drop'",
        )],
        volleys: &[Volley {
            traffic: Traffic::Arp { from: "client", src: CLIENT_V4, to: SERVER_V4, count: 3 },
            lost: &[Lost {
                proto: "arp",
                symbols: &["nft_do_chain", "nf_hook_slow"],
                dst: "",
                ..Lost::nft("", Counter::Nft("arp", "lab", 1))
            }],
        }],
        ..Plain::PAIR
    }),
};

const ARPTABLES: Scenario = Scenario {
    name: "nf-arptables",
    summary: "a rule of arptables",
    watch: "sudo lossdrop trace --proto arp",
    packets: "3 ARP requests of 10.0.0.1 for 10.0.0.2",
    needs: nf_needs::ARPTABLES,
    findings: &[Finding { culprit: &["INPUT", "10.0.0.1"], numbers: &[("packets", 3)], ..Finding::RULE }],
    lab: Setup::Plain(Plain {
        setup: &[("server", "arptables -A INPUT -s 10.0.0.1 -j DROP")],
        volleys: &[Volley {
            traffic: Traffic::Arp { from: "client", src: CLIENT_V4, to: SERVER_V4, count: 3 },
            lost: &[Lost {
                proto: "arp",
                symbols: &["nft_do_chain", "nf_hook_slow"],
                dst: "",
                ..Lost::nft(
                    "",
                    Counter::Shell("arptables -L INPUT -v -n | sed -n 's/.*pcnt=\\([0-9]*\\).*/\\1/p'"),
                )
            }],
        }],
        ..Plain::PAIR
    }),
};

const INGRESS: Scenario = Scenario {
    name: "nf-nft-ingress",
    summary: "a rule at a device, before the packet reaches IP",
    watch: "sudo lossdrop trace --port 5404",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5404",
    needs: &[],
    findings: &[Finding {
        culprit: &["nft netdev lab in", "udp dport 5404"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "nft 'add table netdev lab; \
             add chain netdev lab in { type filter hook ingress device eth0 priority 0; \
             }; add rule netdev lab in udp dport 5404 counter drop'",
        )],
        sinks: &[("server", "10.0.0.2:5404")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5404", 3),
            lost: &[Lost::nft("10.0.0.2:5404", Counter::Nft("netdev", "lab", 1))],
        }],
        ..Plain::PAIR
    }),
};

const EGRESS: Scenario = Scenario {
    name: "nf-nft-egress",
    summary: "a rule at a device, when the packet has left IP",
    watch: "sudo lossdrop trace --port 5405",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5405",
    needs: nf_needs::EGRESS_HOOK,
    findings: &[Finding {
        netns: "client",
        culprit: &["nft netdev lab out", "udp dport 5405"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "client",
            "nft 'add table netdev lab; \
             add chain netdev lab out { type filter hook egress device eth0 priority 0; \
             }; add rule netdev lab out udp dport 5405 counter drop'",
        )],
        sinks: &[("server", "10.0.0.2:5405")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5405", 3),
            lost: &[Lost::nft("10.0.0.2:5405", Counter::Nft("netdev", "lab", 1)).at("client")],
        }],
        ..Plain::PAIR
    }),
};

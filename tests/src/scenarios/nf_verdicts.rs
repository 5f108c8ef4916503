//! Verdicts with more to them than a drop: REJECT, connection tracking, queues for programs.

use std::net::SocketAddrV4;

use super::nf_needs;
use super::pair::{CLIENT_V4, SERVER_V4};
use super::plain::{Lost, Plain, Share, Traffic, Volley};
use super::stage::Stage;
use crate::counter::Counter;
use crate::finding::Finding;
use crate::scenario::{Noise, Scenario, Setup};

pub(super) const ALL: &[Scenario] = &[
    REJECT_LEGACY,
    REJECT_IP6,
    REJECT_NFT,
    INVALID_NFT,
    INVALID_IPTABLES,
    QUEUE,
    QUEUE_FULL,
    QUEUE_LEGACY,
    REJECT_RESET,
];

const REJECT_LEGACY: Scenario = Scenario {
    name: "nf-legacy-reject",
    summary: "a REJECT of legacy iptables: the sender is told",
    watch: "sudo lossdrop trace --port 5301",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5301",
    needs: nf_needs::LEGACY,
    findings: &[Finding {
        kind: "netfilter/reject",
        culprit: &["iptables-legacy filter INPUT rule 1", "REJECT"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[("server", "iptables-legacy -A INPUT -p udp --dport 5301 -j REJECT")],
        sinks: &[("server", "10.0.0.2:5301")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5301", 3),
            lost: &[Lost::legacy(
                "10.0.0.2:5301",
                Counter::Iptables("iptables-legacy", "filter", "INPUT", 1),
            )],
        }],
        ..Plain::PAIR
    }),
};

const REJECT_IP6: Scenario = Scenario {
    name: "nf-ip6tables-reject",
    summary: "a REJECT of ip6tables: the sender is told",
    watch: "sudo lossdrop trace --port 5302",
    packets: "3 UDP datagrams, fd00::1 → [fd00::2]:5302",
    needs: &[],
    findings: &[Finding {
        kind: "netfilter/reject",
        culprit: &["ip6tables filter INPUT rule 1", "REJECT"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Dual,
        setup: &[(
            "server",
            "ip6tables -A INPUT -p udp --dport 5302 -j REJECT --reject-with \
             icmp6-adm-prohibited",
        )],
        sinks: &[("server", "[fd00::2]:5302")],
        volleys: &[Volley {
            traffic: Traffic::udp("[fd00::2]:5302", 3),
            lost: &[Lost::nft("[fd00::2]:5302", Counter::Iptables("ip6tables", "filter", "INPUT", 1))],
        }],
        ..Plain::PAIR
    }),
};

const REJECT_NFT: Scenario = Scenario {
    name: "nf-nft-reject",
    summary: "a router that rejects by nftables",
    watch: "sudo lossdrop trace --port 5303",
    packets: "3 UDP datagrams, 10.1.0.2 → 10.2.0.2:5303",
    needs: &[],
    findings: &[Finding {
        kind: "netfilter/reject",
        netns: "router",
        culprit: &["nft inet lab forward", "reject"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Router,
        setup: &[(
            "router",
            "nft 'add table inet lab; \
             add chain inet lab forward { type filter hook forward priority 0; }; \
             add rule inet lab forward udp dport 5303 counter reject'",
        )],
        sinks: &[("server", "10.2.0.2:5303")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.2.0.2:5303", 3),
            lost: &[Lost::nft("10.2.0.2:5303", Counter::Nft("inet", "lab", 1)).at("router")],
        }],
        ..Plain::PAIR
    }),
};

const INVALID_NFT: Scenario = Scenario {
    name: "nf-nft-ct-invalid",
    summary: "a rule of nftables for packets that belong to no connection",
    watch: "sudo lossdrop trace --port 5304",
    packets: "4 bare ACKs from 4 ports, 10.0.0.1 → 10.0.0.2:5304",
    needs: &[],
    findings: &[Finding {
        kind: "netfilter/conntrack-invalid",
        severity: "fault",
        culprit: &["nft inet lab input", "ct state invalid"],
        numbers: &[("packets", 4)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[
            (
                "server",
                "nft 'add table inet lab; \
                 add chain inet lab input { type filter hook input priority 0; }; \
                 add rule inet lab input ct state invalid counter drop'",
            ),
            ("server", STRICT),
        ],
        volleys: &[Volley {
            traffic: Traffic::Ack {
                from: "client",
                src: CLIENT_V4,
                to: SocketAddrV4::new(SERVER_V4, 5304),
                count: 4,
            },
            lost: &[Lost { proto: "tcp", ..Lost::nft("10.0.0.2:5304", Counter::Nft("inet", "lab", 1)) }],
        }],
        ..Plain::PAIR
    }),
};

const INVALID_IPTABLES: Scenario = Scenario {
    name: "nf-iptables-ct-invalid",
    summary: "a rule of iptables for packets that belong to no connection",
    watch: "sudo lossdrop trace --port 5305",
    packets: "4 bare ACKs from 4 ports, 10.0.0.1 → 10.0.0.2:5305",
    needs: &[],
    findings: &[Finding {
        kind: "netfilter/conntrack-invalid",
        severity: "fault",
        culprit: &["iptables filter INPUT rule 1", "INVALID"],
        numbers: &[("packets", 4)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[("server", "iptables -A INPUT -m conntrack --ctstate INVALID -j DROP"), ("server", STRICT)],
        volleys: &[Volley {
            traffic: Traffic::Ack {
                from: "client",
                src: CLIENT_V4,
                to: SocketAddrV4::new(SERVER_V4, 5305),
                count: 4,
            },
            lost: &[Lost {
                proto: "tcp",
                ..Lost::nft("10.0.0.2:5305", Counter::Iptables("iptables", "filter", "INPUT", 1))
            }],
        }],
        ..Plain::PAIR
    }),
};

const QUEUE: Scenario = Scenario {
    name: "nf-iptables-nfqueue",
    summary: "a rule that queues for a program that does not run",
    watch: "sudo lossdrop trace --port 5306",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5306",
    needs: nf_needs::NFQUEUE,
    findings: &[Finding {
        kind: "netfilter/nfqueue-no-listener",
        severity: "fault",
        culprit: &["NFQUEUE 3"],
        numbers: &[("queue", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[("server", "iptables -A INPUT -p udp --dport 5306 -j NFQUEUE --queue-num 3")],
        sinks: &[("server", "10.0.0.2:5306")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5306", 3),
            lost: &[Lost {
                reason: "NOT_SPECIFIED",
                symbols: &["nf_queue"],
                ..Lost::nft("10.0.0.2:5306", Counter::Iptables("iptables", "filter", "INPUT", 1))
            }],
        }],
        ..Plain::PAIR
    }),
};

const QUEUE_FULL: Scenario = Scenario {
    name: "nf-nfqueue-full",
    summary: "a rule that queues for a program that listens and never reads",
    watch: "sudo lossdrop trace --port 5309",
    packets: "10 UDP datagrams, 10.0.0.1 → 10.0.0.2:5309; the first 3 of all wait in the queue",
    needs: nf_needs::NFQUEUE_LISTENER,
    findings: &[Finding {
        kind: "netfilter/nfqueue-full",
        severity: "capacity",
        culprit: &["NFQUEUE 3"],
        numbers: &[("queue", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[
            ("server", "iptables -A INPUT -p udp --dport 5309 -j NFQUEUE --queue-num 3"),
            // NFQNL_MSG_CONFIG to queue 3: NFQA_CFG_CMD bind; NFQA_CFG_PARAMS metadata only, NFQA_CFG_QUEUE_MAXLEN 3.
            (
                "server",
                r#"perl -e 'socket(S, 16, 3, 12) && bind(S, pack("SSLL", 16, 0, 0, 0)) or die $!;
                            sub at { my ($type, $data) = @_;
                                pack("SS", 4 + length $data, $type) . $data . "\0" x (-length($data) % 4) }
                            sub say_to { my $body = pack("CCn", 0, 0, 3) . join "", @_;
                                syswrite S, pack("LSSLL", 16 + length $body, 0x302, 5, 1, 0) . $body;
                                sysread S, my $answer, 4096; unpack("x16l", $answer) and die "refused" }
                            say_to(at(1, pack("CCn", 1, 0, 2)));
                            say_to(at(2, pack("NC", 0, 1)), at(3, pack("N", 3)));
                            fork or do { close STDOUT; close STDERR; sleep 3600 }'"#,
            ),
        ],
        sinks: &[("server", "10.0.0.2:5309")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5309", 10),
            lost: &[Lost {
                reason: "NOT_SPECIFIED",
                symbols: &["nf_queue"],
                share: Share::AsCounted,
                ..Lost::nft(
                    "10.0.0.2:5309",
                    Counter::Shell("awk '{ print $6 }' /proc/net/netfilter/nfnetlink_queue"),
                )
            }],
        }],
        ..Plain::PAIR
    }),
};

const QUEUE_LEGACY: Scenario = Scenario {
    name: "nf-legacy-nfqueue",
    summary: "a router with legacy iptables that queues for a program that does not run",
    watch: "sudo lossdrop trace --port 5307",
    packets: "3 UDP datagrams, 10.1.0.2 → 10.2.0.2:5307",
    needs: nf_needs::NFQUEUE,
    findings: &[Finding {
        netns: "router",
        kind: "netfilter/nfqueue-no-listener",
        severity: "fault",
        culprit: &["NFQUEUE 9"],
        numbers: &[("queue", 9)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Router,
        setup: &[("router", "iptables-legacy -A FORWARD -p udp --dport 5307 -j NFQUEUE --queue-num 9")],
        sinks: &[("server", "10.2.0.2:5307")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.2.0.2:5307", 3),
            lost: &[Lost {
                reason: "NOT_SPECIFIED",
                symbols: &["nf_queue"],
                ..Lost::legacy("10.2.0.2:5307", Counter::Iptables("iptables-legacy", "filter", "FORWARD", 1))
                    .at("router")
            }],
        }],
        ..Plain::PAIR
    }),
};

const REJECT_RESET: Scenario = Scenario {
    name: "nf-nft-reject-with-reset",
    summary: "a rule of nftables that answers SYNs with RST, as a closed port would",
    watch: "sudo lossdrop trace --port 5308",
    packets: "4 SYNs from 4 ports, 10.0.0.1 → 10.0.0.2:5308",
    needs: &[],
    findings: &[Finding {
        kind: "netfilter/reject",
        culprit: &["nft inet lab input", "reject with tcp reset"],
        numbers: &[("packets", 4)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "nft 'add table inet lab; add chain inet lab input { type filter hook input priority 0; }; \
             add rule inet lab input tcp dport 5308 counter reject with tcp reset'",
        )],
        volleys: &[Volley {
            traffic: Traffic::Syn {
                from: "client",
                src: CLIENT_V4,
                to: SocketAddrV4::new(SERVER_V4, 5308),
                count: 4,
            },
            lost: &[Lost { proto: "tcp", ..Lost::nft("10.0.0.2:5308", Counter::Nft("inet", "lab", 1)) }],
        }],
        noise: &[Noise {
            symbols: &["tcp_v4_rcv"],
            why: "the RSTs, which meet no socket at the sender of raw SYNs",
        }],
        ..Plain::PAIR
    }),
};

/// Without it a bare ACK opens a connection in the eyes of the kernel. The first rule on connections brings the setting.
const STRICT: &str = "sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0";

//! Rules and policies of nftables.

use super::plain::{Lost, Plain, Share, Traffic, Volley};
use super::stage::Stage;
use crate::counter::Counter;
use crate::finding::{Count, Finding};
use crate::scenario::{Scenario, Setup};

pub(super) const ALL: &[Scenario] = &[
    NO_COUNTER,
    IP6_PREROUTING,
    FORWARD,
    OUTPUT,
    POLICY,
    JUMPS,
    NAMED_SET,
    ANONYMOUS_SET,
    VMAP,
    THOUSAND,
    TWO_RULES,
    NUMGEN,
    LIMIT,
];

const NO_COUNTER: Scenario = Scenario {
    name: "nf-nft-no-counter",
    summary: "a rule of nftables that counts nothing",
    watch: "sudo lossdrop trace --port 5201",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5201",
    needs: &[],
    findings: &[Finding { culprit: &["nft inet lab input", "udp dport 5201"], ..Finding::RULE }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "nft 'add table inet lab; \
             add chain inet lab input { type filter hook input priority 0; }; \
             add rule inet lab input udp dport 5201 drop'",
        )],
        sinks: &[("server", "10.0.0.2:5201")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5201", 3),
            lost: &[Lost::nft("10.0.0.2:5201", Counter::NotDelivered)],
        }],
        ..Plain::PAIR
    }),
};

const IP6_PREROUTING: Scenario = Scenario {
    name: "nf-nft-ip6-prerouting",
    summary: "a rule of an ip6 table, before connection tracking",
    watch: "sudo lossdrop trace --port 5202",
    packets: "3 UDP datagrams, fd00::1 → [fd00::2]:5202",
    needs: &[],
    findings: &[Finding {
        culprit: &["nft ip6 lab early", "udp dport 5202"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Dual,
        setup: &[(
            "server",
            "nft 'add table ip6 lab; \
             add chain ip6 lab early { type filter hook prerouting priority raw; }; \
             add rule ip6 lab early udp dport 5202 counter drop'",
        )],
        sinks: &[("server", "[fd00::2]:5202")],
        volleys: &[Volley {
            traffic: Traffic::udp("[fd00::2]:5202", 3),
            lost: &[Lost::nft("[fd00::2]:5202", Counter::Nft("ip6", "lab", 1))],
        }],
        ..Plain::PAIR
    }),
};

const FORWARD: Scenario = Scenario {
    name: "nf-nft-forward-rule",
    summary: "a router whose nftables drop in the forward hook",
    watch: "sudo lossdrop trace --port 5203",
    packets: "3 UDP datagrams, 10.1.0.2 → 10.2.0.2:5203",
    needs: &[],
    findings: &[Finding {
        netns: "router",
        culprit: &["nft inet lab forward", "udp dport 5203"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Router,
        setup: &[(
            "router",
            "nft 'add table inet lab; \
             add chain inet lab forward { type filter hook forward priority 0; }; \
             add rule inet lab forward iifname eth0 oifname eth1 udp dport 5203 counter \
             drop'",
        )],
        sinks: &[("server", "10.2.0.2:5203")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.2.0.2:5203", 3),
            lost: &[Lost::nft("10.2.0.2:5203", Counter::Nft("inet", "lab", 1)).at("router")],
        }],
        ..Plain::PAIR
    }),
};

const OUTPUT: Scenario = Scenario {
    name: "nf-nft-output-rule",
    summary: "a rule of nftables in the output hook",
    watch: "sudo lossdrop trace --port 5204",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5204; each send() fails with EPERM",
    needs: &[],
    findings: &[Finding {
        netns: "client",
        culprit: &["nft ip lab output", "udp dport 5204"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "client",
            "nft 'add table ip lab; \
             add chain ip lab output { type filter hook output priority 0; }; \
             add rule ip lab output udp dport 5204 counter drop'",
        )],
        sinks: &[("server", "10.0.0.2:5204")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5204", 3),
            lost: &[Lost::nft("10.0.0.2:5204", Counter::Nft("ip", "lab", 1)).at("client")],
        }],
        ..Plain::PAIR
    }),
};

const POLICY: Scenario = Scenario {
    name: "nf-nft-input-policy",
    summary: "an input chain of nftables with the policy drop",
    watch: "sudo lossdrop trace --port 5205",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5205, which no rule accepts",
    needs: &[],
    findings: &[Finding {
        kind: "netfilter/policy",
        culprit: &["nft inet lab input policy drop"],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "nft 'add table inet lab; \
             add chain inet lab input { type filter hook input priority 0; policy drop; \
             }; add rule inet lab input udp dport 53 accept'",
        )],
        sinks: &[("server", "10.0.0.2:5205")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5205", 3),
            lost: &[Lost::nft("10.0.0.2:5205", Counter::NotDelivered)],
        }],
        ..Plain::PAIR
    }),
};

const JUMPS: Scenario = Scenario {
    name: "nf-nft-three-jumps",
    summary: "a rule three jumps away from the base chain",
    watch: "sudo lossdrop trace --port 5206",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5206",
    needs: &[],
    findings: &[Finding {
        culprit: &["nft inet lab three", "ip saddr 10.0.0.1"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "nft 'add table inet lab; \
             add chain inet lab input { type filter hook input priority 0; }; \
             add chain inet lab one; add chain inet lab two; add chain inet lab three; \
             add rule inet lab input jump one; \
             add rule inet lab one udp dport 5000-5999 jump two; \
             add rule inet lab two goto three; \
             add rule inet lab three ip saddr 10.0.0.1 counter drop'",
        )],
        sinks: &[("server", "10.0.0.2:5206")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5206", 3),
            lost: &[Lost::nft("10.0.0.2:5206", Counter::Nft("inet", "lab", 1))],
        }],
        ..Plain::PAIR
    }),
};

const NAMED_SET: Scenario = Scenario {
    name: "nf-nft-named-set",
    summary: "a rule that drops whom a named set holds",
    watch: "sudo lossdrop trace --host 10.0.0.1",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5207",
    needs: &[],
    findings: &[Finding {
        culprit: &["nft inet lab input", "@banned"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "nft 'add table inet lab; add set inet lab banned { type ipv4_addr; \
             flags interval; }; add element inet lab banned { 10.0.0.1, 192.0.2.0/24 }; \
             add chain inet lab input { type filter hook input priority 0; }; \
             add rule inet lab input ip saddr @banned counter drop'",
        )],
        sinks: &[("server", "10.0.0.2:5207")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5207", 3),
            lost: &[Lost::nft("10.0.0.2:5207", Counter::Nft("inet", "lab", 1))],
        }],
        ..Plain::PAIR
    }),
};

const ANONYMOUS_SET: Scenario = Scenario {
    name: "nf-nft-port-set",
    summary: "a rule with a set of ports in it",
    watch: "sudo lossdrop trace --port 5208",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5208, and 2 → :5209",
    needs: &[],
    findings: &[Finding {
        count: Count::OfShots(&[0, 1]),
        culprit: &["nft inet lab input", "5208", "5300-5310"],
        numbers: &[("packets", 5)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "nft 'add table inet lab; \
             add chain inet lab input { type filter hook input priority 0; }; \
             add rule inet lab input udp dport { 5208, 5209, 5300-5310 } counter drop'",
        )],
        sinks: &[("server", "10.0.0.2:5208"), ("server", "10.0.0.2:5209")],
        volleys: &[
            Volley {
                traffic: Traffic::udp("10.0.0.2:5208", 3),
                lost: &[Lost::nft("10.0.0.2:5208", Counter::Nft("inet", "lab", 1))],
            },
            Volley {
                traffic: Traffic::udp("10.0.0.2:5209", 2),
                lost: &[Lost::nft("10.0.0.2:5209", Counter::Nft("inet", "lab", 1))],
            },
        ],
        ..Plain::PAIR
    }),
};

const VMAP: Scenario = Scenario {
    name: "nf-nft-verdict-map",
    summary: "a verdict map, one element of which drops",
    watch: "sudo lossdrop trace --port 5210",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5210, and 2 that arrive → :5211",
    needs: &[],
    findings: &[Finding { culprit: &["nft inet lab input", "vmap", "5210"], ..Finding::RULE }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "nft 'add table inet lab; \
             add chain inet lab input { type filter hook input priority 0; }; \
             add rule inet lab input udp dport vmap { 5210 : drop, 5211 : accept }'",
        )],
        sinks: &[("server", "10.0.0.2:5210"), ("server", "10.0.0.2:5211")],
        volleys: &[
            Volley {
                traffic: Traffic::udp("10.0.0.2:5210", 3),
                lost: &[Lost::nft("10.0.0.2:5210", Counter::NotDelivered)],
            },
            Volley::harmless(Traffic::udp("10.0.0.2:5211", 2)),
        ],
        ..Plain::PAIR
    }),
};

const THOUSAND: Scenario = Scenario {
    name: "nf-nft-thousand-rules",
    summary: "one rule of a thousand, of which only some count",
    watch: "sudo lossdrop trace --port 5999",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5999",
    needs: &[],
    findings: &[Finding {
        culprit: &["nft inet lab input", "udp dport 5999"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "(echo 'table inet lab { chain input { type filter hook input priority 0;'; \
             for port in $(seq 5100 6098); do echo \"udp dport $port drop\"; done; \
             echo '}'; echo '}') | sed 's/5999 drop/5999 counter drop/' | nft -f -",
        )],
        sinks: &[("server", "10.0.0.2:5999")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5999", 3),
            lost: &[Lost::nft("10.0.0.2:5999", Counter::Nft("inet", "lab", 1))],
        }],
        ..Plain::PAIR
    }),
};

const TWO_RULES: Scenario = Scenario {
    name: "nf-nft-two-rules-one-hit",
    summary: "two rules for the same address and port; only the counters tell which one dropped",
    watch: "sudo lossdrop trace --port 5212",
    packets: "3 UDP datagrams of 32 bytes, 10.0.0.1 → 10.0.0.2:5212",
    needs: &[],
    findings: &[Finding {
        culprit: &["nft inet lab input handle 3", "udp dport 5212"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "nft 'add table inet lab; \
             add chain inet lab input { type filter hook input priority 0; }; \
             add rule inet lab input ip saddr 10.0.0.1 udp dport 5212 meta length > 1000 \
             counter drop; \
             add rule inet lab input ip saddr 10.0.0.1 udp dport 5212 counter drop'",
        )],
        sinks: &[("server", "10.0.0.2:5212")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5212", 3),
            lost: &[Lost::nft("10.0.0.2:5212", Counter::Nft("inet", "lab", 2))],
        }],
        ..Plain::PAIR
    }),
};

const NUMGEN: Scenario = Scenario {
    name: "nf-nft-random",
    summary: "a rule that drops by chance",
    watch: "sudo lossdrop trace --port 5213",
    packets: "30 UDP datagrams, 10.0.0.1 → 10.0.0.2:5213, about half of them lost",
    needs: &[],
    findings: &[Finding {
        severity: "fault",
        culprit: &["nft inet lab input", "numgen random"],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "nft 'add table inet lab; \
             add chain inet lab input { type filter hook input priority 0; }; \
             add rule inet lab input udp dport 5213 numgen random mod 100 < 50 counter \
             drop'",
        )],
        sinks: &[("server", "10.0.0.2:5213")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5213", 30),
            lost: &[Lost {
                share: Share::AsCounted,
                ..Lost::nft("10.0.0.2:5213", Counter::Nft("inet", "lab", 1))
            }],
        }],
        ..Plain::PAIR
    }),
};

const LIMIT: Scenario = Scenario {
    name: "nf-nft-limit",
    summary: "a rule that drops what comes too fast",
    watch: "sudo lossdrop trace --port 5214",
    packets: "8 UDP datagrams, 10.0.0.1 → 10.0.0.2:5214; the first two of all pass",
    needs: &[],
    findings: &[Finding {
        severity: "fault",
        culprit: &["nft inet lab input", "limit rate over"],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "nft 'add table inet lab; \
             add chain inet lab input { type filter hook input priority 0; }; \
             add rule inet lab input udp dport 5214 limit rate over 1/hour burst 2 \
             packets counter drop'",
        )],
        sinks: &[("server", "10.0.0.2:5214")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5214", 8),
            lost: &[Lost {
                share: Share::AsCounted,
                ..Lost::nft("10.0.0.2:5214", Counter::Nft("inet", "lab", 1))
            }],
        }],
        ..Plain::PAIR
    }),
};

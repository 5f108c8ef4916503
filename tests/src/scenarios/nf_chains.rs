//! Which of many rules of iptables it was: policies, chains of chains, rules alike, rules that drop only some.

use super::nf_needs;
use super::plain::{Lost, Plain, Share, Traffic, Volley};
use super::stage::Stage;
use crate::counter::Counter;
use crate::finding::Finding;
use crate::scenario::{Scenario, Setup};

pub(super) const ALL: &[Scenario] = &[
    LEGACY_POLICY,
    FORWARD_POLICY,
    USER_CHAIN,
    THREE_JUMPS,
    TWO_RULES,
    BOTH_FLAVOURS,
    THOUSAND,
    EVERY_SECOND,
    HASHLIMIT,
];

const LEGACY_POLICY: Scenario = Scenario {
    name: "nf-legacy-input-policy",
    summary: "legacy iptables with the policy DROP in INPUT",
    watch: "sudo lossdrop trace --port 5010",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5010, which no rule accepts",
    needs: nf_needs::LEGACY,
    findings: &[Finding {
        kind: "netfilter/policy",
        culprit: &["iptables-legacy filter INPUT policy DROP"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "iptables-legacy -A INPUT -p udp --dport 53 -j ACCEPT \
             && iptables-legacy -P INPUT DROP",
        )],
        sinks: &[("server", "10.0.0.2:5010")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5010", 3),
            lost: &[Lost::legacy(
                "10.0.0.2:5010",
                Counter::IptablesPolicy("iptables-legacy", "filter", "INPUT"),
            )],
        }],
        ..Plain::PAIR
    }),
};

const FORWARD_POLICY: Scenario = Scenario {
    name: "nf-iptables-forward-policy",
    summary: "a router whose policy in FORWARD is DROP, as a container engine sets it",
    watch: "sudo lossdrop trace --port 5011",
    packets: "3 UDP datagrams, 10.1.0.2 → 10.2.0.2:5011",
    needs: &[],
    findings: &[Finding {
        kind: "netfilter/policy",
        netns: "router",
        culprit: &["iptables filter FORWARD policy DROP"],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Router,
        setup: &[("router", "iptables -A FORWARD -i docker0 -j ACCEPT && iptables -P FORWARD DROP")],
        sinks: &[("server", "10.2.0.2:5011")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.2.0.2:5011", 3),
            lost: &[Lost::nft("10.2.0.2:5011", Counter::IptablesPolicy("iptables", "filter", "FORWARD"))
                .at("router")],
        }],
        ..Plain::PAIR
    }),
};

const USER_CHAIN: Scenario = Scenario {
    name: "nf-iptables-user-chain",
    summary: "a rule of a chain that INPUT jumps to",
    watch: "sudo lossdrop trace --port 5012",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5012",
    needs: &[],
    findings: &[Finding {
        culprit: &["iptables filter GUARD rule 2", "--dport 5012"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "iptables -N GUARD && iptables -A GUARD -p tcp -j ACCEPT \
             && iptables -A GUARD -p udp --dport 5012 -j DROP \
             && iptables -A INPUT -i eth0 -j GUARD",
        )],
        sinks: &[("server", "10.0.0.2:5012")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5012", 3),
            lost: &[Lost::nft("10.0.0.2:5012", Counter::Iptables("iptables", "filter", "GUARD", 2))],
        }],
        ..Plain::PAIR
    }),
};

const THREE_JUMPS: Scenario = Scenario {
    name: "nf-legacy-three-jumps",
    summary: "a rule three jumps away from INPUT, in legacy iptables",
    watch: "sudo lossdrop trace --port 5013",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5013",
    needs: nf_needs::LEGACY,
    findings: &[Finding {
        culprit: &["iptables-legacy filter THREE rule 1"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "for chain in ONE TWO THREE; do iptables-legacy -N $chain; done \
             && iptables-legacy -A INPUT -j ONE && iptables-legacy -A ONE -p udp -j TWO \
             && iptables-legacy -A TWO -s 10.0.0.0/8 -j THREE \
             && iptables-legacy -A THREE -j DROP",
        )],
        sinks: &[("server", "10.0.0.2:5013")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5013", 3),
            lost: &[Lost::legacy(
                "10.0.0.2:5013",
                Counter::Iptables("iptables-legacy", "filter", "THREE", 1),
            )],
        }],
        ..Plain::PAIR
    }),
};

const TWO_RULES: Scenario = Scenario {
    name: "nf-legacy-two-rules-one-hit",
    summary: "two rules for the same address and port; only the counters tell which one dropped",
    watch: "sudo lossdrop trace --port 5014",
    packets: "3 UDP datagrams of 32 bytes, 10.0.0.1 → 10.0.0.2:5014",
    needs: nf_needs::LEGACY,
    findings: &[Finding {
        culprit: &["iptables-legacy filter INPUT rule 2", "--dport 5014"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "iptables-legacy -A INPUT -s 10.0.0.1 -p udp --dport 5014 -m length \
             --length 1000:65535 -j DROP \
             && iptables-legacy -A INPUT -s 10.0.0.1 -p udp --dport 5014 -j DROP",
        )],
        sinks: &[("server", "10.0.0.2:5014")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5014", 3),
            lost: &[Lost::legacy(
                "10.0.0.2:5014",
                Counter::Iptables("iptables-legacy", "filter", "INPUT", 2),
            )],
        }],
        ..Plain::PAIR
    }),
};

const BOTH_FLAVOURS: Scenario = Scenario {
    name: "nf-both-flavours",
    summary: "a like rule in either flavour of iptables, and only one drops",
    watch: "sudo lossdrop trace --port 5018",
    packets: "3 UDP datagrams of 32 bytes, 10.0.0.1 → 10.0.0.2:5018",
    needs: nf_needs::LEGACY,
    findings: &[Finding {
        culprit: &["iptables filter INPUT rule 1", "--dport 5018"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "iptables-legacy -A INPUT -p udp --dport 5018 -m length --length 1000:65535 -j DROP \
             && iptables -A INPUT -p udp --dport 5018 -j DROP",
        )],
        sinks: &[("server", "10.0.0.2:5018")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5018", 3),
            lost: &[Lost::nft("10.0.0.2:5018", Counter::Iptables("iptables", "filter", "INPUT", 1))],
        }],
        ..Plain::PAIR
    }),
};

const THOUSAND: Scenario = Scenario {
    name: "nf-iptables-thousand-rules",
    summary: "one rule of a thousand",
    watch: "sudo lossdrop trace --port 5999",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.2:5999",
    needs: &[],
    findings: &[Finding {
        culprit: &["iptables filter INPUT rule 900", "--dport 5999"],
        numbers: &[("packets", 3)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "(echo '*filter'; for port in $(seq 5100 6099); \
             do echo \"-A INPUT -p udp --dport $port -j DROP\"; done; echo COMMIT) \
             | iptables-restore",
        )],
        sinks: &[("server", "10.0.0.2:5999")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5999", 3),
            lost: &[Lost::nft("10.0.0.2:5999", Counter::Iptables("iptables", "filter", "INPUT", 900))],
        }],
        ..Plain::PAIR
    }),
};

const EVERY_SECOND: Scenario = Scenario {
    name: "nf-legacy-every-second",
    summary: "a rule that drops every second packet",
    watch: "sudo lossdrop trace --port 5015",
    packets: "10 UDP datagrams, 10.0.0.1 → 10.0.0.2:5015",
    needs: nf_needs::LEGACY,
    findings: &[Finding {
        severity: "fault",
        culprit: &["iptables-legacy filter INPUT rule 1", "nth"],
        numbers: &[("packets", 5)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "iptables-legacy -A INPUT -p udp --dport 5015 -m statistic --mode nth \
             --every 2 --packet 0 -j DROP",
        )],
        sinks: &[("server", "10.0.0.2:5015")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5015", 10),
            lost: &[Lost {
                share: Share::Some(5),
                ..Lost::legacy("10.0.0.2:5015", Counter::Iptables("iptables-legacy", "filter", "INPUT", 1))
            }],
        }],
        ..Plain::PAIR
    }),
};

const HASHLIMIT: Scenario = Scenario {
    name: "nf-iptables-hashlimit",
    summary: "a rule that drops what comes too fast",
    watch: "sudo lossdrop trace --port 5016",
    packets: "8 UDP datagrams, 10.0.0.1 → 10.0.0.2:5016; the first two of all pass",
    needs: &[],
    findings: &[Finding {
        severity: "fault",
        culprit: &["iptables filter INPUT rule 1", "hashlimit"],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "iptables -A INPUT -p udp --dport 5016 -m hashlimit --hashlimit-above \
             1/hour --hashlimit-burst 2 --hashlimit-name lab -j DROP",
        )],
        sinks: &[("server", "10.0.0.2:5016")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5016", 8),
            lost: &[Lost {
                share: Share::AsCounted,
                ..Lost::nft("10.0.0.2:5016", Counter::Iptables("iptables", "filter", "INPUT", 1))
            }],
        }],
        ..Plain::PAIR
    }),
};

//! Queueing disciplines: leaves that are full, buckets that are too small, classes that do not take all, and one that is told to
//! lose.

use super::plain::{Lost, Plain, Share, Traffic, Volley};
use crate::counter::Counter;
use crate::finding::{Count, Finding, Fix};
use crate::need::Need;
use crate::scenario::{Scenario, Setup};

pub(super) const ALL: &[Scenario] =
    &[HTB_LEAF, TBF_LEAF, PRIO_LEAF, OVERSIZE, NETEM, FQ_CODEL, FQ, HFSC, DRR];

const FOUND: Finding = Finding {
    kind: "queue/qdisc-limit",
    severity: "capacity",
    confidence: "certain",
    count: Count::OfShot(0),
    netns: "client",
    culprit: &["pfifo 10:", "eth0"],
    numbers: &[],
    fix: Fix::Stops,
};

const LOST: Lost = Lost {
    reason: "QDISC_DROP",
    symbols: &["__dev_queue_xmit", "kfree_skb_list_reason", "kfree_skb_list"],
    netns: Some("client"),
    iface: Some("eth0"),
    proto: "udp",
    src: "10.0.0.1",
    dst: "10.0.0.2:5350",
    share: Share::AsCounted,
    counted: ("client", Counter::Qdisc("eth0")),
};

const SENT: Traffic = Traffic::Udp { from: "client", to: "10.0.0.2:5350", count: 20, payload: 400 };

/// What passes leaves in its own time.
const SLOW: Plain = Plain {
    sinks: &[("server", "10.0.0.2:5350")],
    volleys: &[Volley { traffic: SENT, lost: &[LOST] }],
    ..Plain::PAIR
};

/// Nothing passes.
const ALL_LOST: Plain =
    Plain { volleys: &[Volley { traffic: SENT, lost: &[Lost { share: Share::All, ..LOST }] }], ..SLOW };

const HTB_LEAF: Scenario = Scenario {
    name: "qdisc-htb-leaf",
    summary: "a class of htb whose own queue is full: the root is not to blame",
    watch: "sudo lossdrop trace --port 5350",
    packets: "20 UDP datagrams of 400 bytes, 10.0.0.1 → 10.0.0.2:5350, through pfifo limit 3 in a class of 8 kbit/s",
    needs: &[Need::Qdisc("htb")],
    findings: &[Finding { numbers: &[("limit", 3)], ..FOUND }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "client",
            "tc qdisc add dev eth0 root handle 1: htb default 10 \
             && tc class add dev eth0 parent 1: classid 1:10 htb rate 8kbit burst 1600 \
             && tc qdisc add dev eth0 parent 1:10 handle 10: pfifo limit 3",
        )],
        ..SLOW
    }),
};

const TBF_LEAF: Scenario = Scenario {
    name: "qdisc-tbf-leaf",
    summary: "a token bucket whose inner queue is full, by packets",
    packets: "20 UDP datagrams of 400 bytes, 10.0.0.1 → 10.0.0.2:5350, through pfifo limit 3 in a tbf of 8 kbit/s",
    needs: &[],
    lab: Setup::Plain(Plain {
        setup: &[(
            "client",
            "tc qdisc add dev eth0 root handle 1: tbf rate 8kbit burst 1600 limit 100000 \
             && tc qdisc add dev eth0 parent 1:1 handle 10: pfifo limit 3",
        )],
        ..SLOW
    }),
    ..HTB_LEAF
};

const PRIO_LEAF: Scenario = Scenario {
    name: "qdisc-prio-leaf",
    summary: "a band of prio whose own queue is full, behind a token bucket",
    packets: "20 UDP datagrams of 400 bytes, 10.0.0.1 → 10.0.0.2:5350, through pfifo limit 3 in the third band",
    needs: &[Need::Qdisc("prio")],
    lab: Setup::Plain(Plain {
        setup: &[(
            "client",
            // All that is neither bulk nor interactive goes by the third band.
            "tc qdisc add dev eth0 root handle 1: tbf rate 8kbit burst 1600 limit 100000 \
             && tc qdisc add dev eth0 parent 1:1 handle 2: prio priomap 2 2 2 2 2 2 0 0 2 2 2 2 2 2 2 2 \
             && tc qdisc add dev eth0 parent 2:3 handle 10: pfifo limit 3",
        )],
        ..SLOW
    }),
    ..HTB_LEAF
};

const OVERSIZE: Scenario = Scenario {
    name: "qdisc-oversize",
    summary: "packets that are larger than a token bucket ever gets",
    packets: "4 UDP datagrams of 1400 bytes, 10.0.0.1 → 10.0.0.2:5350, through tbf burst 1000",
    needs: &[],
    findings: &[Finding {
        kind: "queue/qdisc-oversize",
        severity: "fault",
        culprit: &["tbf 1:", "eth0"],
        numbers: &[("burst", 1000)],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[("client", "tc qdisc add dev eth0 root handle 1: tbf rate 1mbit burst 1000 limit 100000")],
        volleys: &[Volley {
            traffic: Traffic::Udp { from: "client", to: "10.0.0.2:5350", count: 4, payload: 1400 },
            lost: &[Lost { share: Share::All, ..LOST }],
        }],
        ..SLOW
    }),
    ..HTB_LEAF
};

const NETEM: Scenario = Scenario {
    name: "qdisc-netem-loss",
    summary: "a netem that loses every packet, because it was told to",
    packets: "20 UDP datagrams of 400 bytes, 10.0.0.1 → 10.0.0.2:5350",
    needs: &[Need::Qdisc("netem loss 100%")],
    findings: &[Finding { kind: "queue/netem", severity: "policy", culprit: &["netem 1:", "eth0"], ..FOUND }],
    lab: Setup::Plain(Plain {
        setup: &[("client", "tc qdisc add dev eth0 root handle 1: netem loss 100%")],
        ..ALL_LOST
    }),
    ..HTB_LEAF
};

const FQ_CODEL: Scenario = Scenario {
    name: "qdisc-fq-codel-leaf",
    summary: "a class of htb whose fq_codel is full",
    packets: "20 UDP datagrams of 400 bytes, 10.0.0.1 → 10.0.0.2:5350, through fq_codel limit 3 in a class of 8 kbit/s",
    needs: &[Need::Qdisc("htb"), Need::Qdisc("fq_codel")],
    findings: &[Finding { culprit: &["fq_codel 10:", "eth0"], numbers: &[("limit", 3)], ..FOUND }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "client",
            // Patient, so that nothing is dropped but for the limit.
            "tc qdisc add dev eth0 root handle 1: htb default 10 \
             && tc class add dev eth0 parent 1: classid 1:10 htb rate 8kbit burst 1600 \
             && tc qdisc add dev eth0 parent 1:10 handle 10: fq_codel limit 3 target 100s interval 200s",
        )],
        volleys: &[Volley { traffic: SENT, lost: &[Lost { reason: "QDISC_OVERLIMIT", ..LOST }] }],
        ..SLOW
    }),
    ..HTB_LEAF
};

const FQ: Scenario = Scenario {
    name: "qdisc-fq-flow-limit",
    summary: "an fq that paces, and a flow that has more packets than it may have in it",
    packets: "20 UDP datagrams of 400 bytes, 10.0.0.1 → 10.0.0.2:5350, through fq flow_limit 3 maxrate 8kbit",
    needs: &[Need::Qdisc("fq")],
    findings: &[Finding {
        culprit: &["fq 1:", "eth0"],
        numbers: &[("limit", 10_000), ("flow_limit", 3)],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[("client", "tc qdisc add dev eth0 root handle 1: fq flow_limit 3 maxrate 8kbit")],
        volleys: &[Volley { traffic: SENT, lost: &[Lost { reason: "FQ_FLOW_LIMIT", ..LOST }] }],
        ..SLOW
    }),
    ..HTB_LEAF
};

/// Nothing but the datagrams is without a class.
const ALL_BUT_IPV4: &str = "tc filter add dev eth0 parent 1: pref 1 protocol arp matchall classid 1:10 \
     && tc filter add dev eth0 parent 1: pref 2 protocol ipv6 matchall classid 1:10";

const HFSC: Scenario = Scenario {
    name: "qdisc-hfsc-no-default",
    summary: "an hfsc without a default, and packets that no filter gives to a class",
    packets: "20 UDP datagrams of 400 bytes, 10.0.0.1 → 10.0.0.2:5350",
    needs: &[Need::Qdisc("hfsc"), MATCHALL],
    findings: &[Finding {
        kind: "queue/unclassified",
        severity: "fault",
        culprit: &["hfsc 1:", "eth0"],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[
            (
                "client",
                "tc qdisc add dev eth0 root handle 1: hfsc \
                 && tc class add dev eth0 parent 1: classid 1:1 hfsc sc rate 1gbit ul rate 1gbit \
                 && tc class add dev eth0 parent 1:1 classid 1:10 hfsc sc rate 1gbit",
            ),
            ("client", ALL_BUT_IPV4),
        ],
        ..ALL_LOST
    }),
    ..HTB_LEAF
};

const DRR: Scenario = Scenario {
    name: "qdisc-drr-no-filter",
    summary: "a drr that has no filter for the packets",
    needs: &[Need::Qdisc("drr"), MATCHALL],
    findings: &[Finding { culprit: &["drr 1:", "eth0"], ..HFSC.findings[0] }],
    lab: Setup::Plain(Plain {
        setup: &[
            (
                "client",
                "tc qdisc add dev eth0 root handle 1: drr && tc class add dev eth0 parent 1: classid 1:10 drr",
            ),
            ("client", ALL_BUT_IPV4),
        ],
        ..ALL_LOST
    }),
    ..HFSC
};

const MATCHALL: Need = Need::Feature {
    what: "a matchall filter (cls_matchall)",
    trial: "tc qdisc add dev lo root handle 1: prio && tc filter add dev lo parent 1: matchall classid 1:1",
};

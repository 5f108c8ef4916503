//! Filters of `tc` with an action: that drops, or that lets through only so much.

use super::plain::{Lost, Plain, Share, Traffic, Volley};
use crate::counter::Counter;
use crate::finding::{Count, Finding, Fix};
use crate::need::Need;
use crate::scenario::{Scenario, Setup};

pub(super) const ALL: &[Scenario] =
    &[GACT_INGRESS, GACT_EGRESS, POLICE_INGRESS, POLICE_EGRESS, QDISC_GACT, QDISC_POLICE];

const FOUND: Finding = Finding {
    kind: "bpf/tc-ingress",
    severity: "policy",
    confidence: "certain",
    count: Count::OfShot(0),
    netns: "server",
    culprit: &["filter flower pref 10 on eth0", "tc filter ingress"],
    numbers: &[("packets", 4)],
    fix: Fix::Stops,
};

const LOST: Lost = Lost {
    reason: "TC_INGRESS",
    symbols: &["__netif_receive_skb_core", "sch_handle_ingress"],
    netns: Some("server"),
    iface: Some("eth0"),
    proto: "udp",
    src: "10.0.0.1",
    dst: "10.0.0.2:5371",
    share: Share::All,
    counted: ("server", Counter::Qdisc("eth0")),
};

const LOST_OUT: Lost = Lost {
    reason: "TC_EGRESS",
    symbols: &["__dev_queue_xmit", "sch_handle_egress"],
    netns: Some("client"),
    counted: ("client", Counter::Qdisc("eth0")),
    ..LOST
};

const PLAIN: Plain = Plain {
    sinks: &[("server", "10.0.0.2:5371")],
    volleys: &[Volley { traffic: Traffic::udp("10.0.0.2:5371", 4), lost: &[LOST] }],
    ..Plain::PAIR
};

const GACT_INGRESS: Scenario = Scenario {
    name: "tc-drop-ingress",
    summary: "a tc filter at the ingress of a device, whose action is drop",
    watch: "sudo lossdrop trace --port 5371",
    packets: "4 UDP datagrams, 10.0.0.1 → 10.0.0.2:5371",
    needs: &[Need::Feature {
        what: "tc action drop (act_gact, cls_flower)",
        trial: "tc qdisc add dev lo clsact && tc filter add dev lo ingress protocol ip flower ip_proto udp action drop",
    }],
    findings: &[FOUND],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "tc qdisc add dev eth0 clsact && tc filter add dev eth0 ingress pref 10 protocol ip \
             flower ip_proto udp dst_port 5371 action drop",
        )],
        ..PLAIN
    }),
};

const GACT_EGRESS: Scenario = Scenario {
    name: "tc-drop-egress",
    summary: "a tc filter at the egress of a device, whose action is drop, below one whose action is not",
    needs: &[Need::Feature {
        what: "tc action drop (act_gact, cls_u32)",
        trial: "tc qdisc add dev lo clsact && tc filter add dev lo egress protocol ip \
                u32 match ip dport 9 0xffff action drop",
    }],
    findings: &[Finding {
        kind: "bpf/tc-egress",
        netns: "client",
        culprit: &["filter u32 pref 10 on eth0", "tc filter egress"],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "client",
            "tc qdisc add dev eth0 clsact && tc filter add dev eth0 egress pref 5 protocol ip \
             u32 match ip dport 9 0xffff action drop && tc filter add dev eth0 egress pref 10 protocol ip \
             u32 match ip dport 5371 0xffff action drop",
        )],
        volleys: &[Volley { traffic: Traffic::udp("10.0.0.2:5371", 4), lost: &[LOST_OUT] }],
        ..PLAIN
    }),
    ..GACT_INGRESS
};

const BURST: Traffic = Traffic::Udp { from: "client", to: "10.0.0.2:5371", count: 20, payload: 400 };

const POLICE_INGRESS: Scenario = Scenario {
    name: "tc-police-ingress",
    summary: "a tc policer at the ingress of a device, whose rate is exceeded",
    packets: "20 UDP datagrams of 400 bytes, 10.0.0.1 → 10.0.0.2:5371, through police rate 8kbit burst 1600",
    needs: &[Need::Feature {
        what: "tc action police (act_police, cls_matchall)",
        trial: "tc qdisc add dev lo ingress && tc filter add dev lo ingress \
                matchall action police rate 8kbit burst 1600 conform-exceed drop",
    }],
    findings: &[Finding {
        kind: "bpf/tc-police",
        severity: "capacity",
        culprit: &["filter matchall pref 10 on eth0", "tc filter ingress"],
        numbers: &[("rate", 8000)],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "server",
            "tc qdisc add dev eth0 ingress && tc filter add dev eth0 ingress pref 10 \
             matchall action police rate 8kbit burst 1600 conform-exceed drop",
        )],
        volleys: &[Volley { traffic: BURST, lost: &[Lost { share: Share::AsCounted, ..LOST }] }],
        ..PLAIN
    }),
    ..GACT_INGRESS
};

const POLICE_EGRESS: Scenario = Scenario {
    name: "tc-police-egress",
    summary: "a tc policer at the egress of a device, whose rate is exceeded",
    findings: &[Finding {
        kind: "bpf/tc-police",
        severity: "capacity",
        netns: "client",
        culprit: &["filter matchall pref 10 on eth0", "tc filter egress"],
        numbers: &[("rate", 8000)],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "client",
            "tc qdisc add dev eth0 clsact && tc filter add dev eth0 egress pref 10 \
             matchall action police rate 8kbit burst 1600 conform-exceed drop",
        )],
        volleys: &[Volley { traffic: BURST, lost: &[Lost { share: Share::AsCounted, ..LOST_OUT }] }],
        ..PLAIN
    }),
    ..POLICE_INGRESS
};

/// What a discipline drops, it hands back to who gave it the packet.
const LOST_IN_QDISC: Lost = Lost {
    reason: "QDISC_DROP",
    symbols: &["__dev_queue_xmit", "kfree_skb_list_reason", "kfree_skb_list"],
    ..LOST_OUT
};

const QDISC_GACT: Scenario = Scenario {
    name: "tc-drop-qdisc",
    summary: "a filter of prio whose action is drop, where others would sort packets into its bands",
    needs: &[Need::Feature {
        what: "tc action drop in a qdisc (sch_prio, act_gact, cls_u32)",
        trial: "tc qdisc add dev lo root handle 1: prio && tc filter add dev lo parent 1: protocol ip \
                u32 match ip dport 9 0xffff action drop",
    }],
    findings: &[Finding {
        kind: "bpf/tc-egress",
        netns: "client",
        culprit: &["filter u32 pref 10 on eth0", "tc filter parent 1:"],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "client",
            "tc qdisc add dev eth0 root handle 1: prio && tc filter add dev eth0 parent 1: pref 5 protocol ip \
             u32 match ip dport 9 0xffff flowid 1:1 && tc filter add dev eth0 parent 1: pref 10 protocol ip \
             u32 match ip dport 5371 0xffff action drop",
        )],
        volleys: &[Volley { traffic: Traffic::udp("10.0.0.2:5371", 4), lost: &[LOST_IN_QDISC] }],
        ..PLAIN
    }),
    ..GACT_INGRESS
};

const QDISC_POLICE: Scenario = Scenario {
    name: "tc-police-qdisc",
    summary: "a policer among the filters of htb, whose rate is exceeded: no queue is full",
    needs: &[Need::Feature {
        what: "tc action police in a qdisc (sch_htb, act_police, cls_u32)",
        trial: "tc qdisc add dev lo root handle 1: htb && tc filter add dev lo parent 1: protocol ip \
                u32 match ip dport 9 0xffff police rate 8kbit burst 1600 drop flowid 1:10",
    }],
    findings: &[Finding {
        kind: "bpf/tc-police",
        severity: "capacity",
        netns: "client",
        culprit: &["filter u32 pref 10 on eth0", "tc filter parent 1:"],
        numbers: &[("rate", 8000)],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[(
            "client",
            "tc qdisc add dev eth0 root handle 1: htb default 10 \
             && tc class add dev eth0 parent 1: classid 1:10 htb rate 1gbit \
             && tc filter add dev eth0 parent 1: pref 10 protocol ip \
                u32 match ip dport 5371 0xffff police rate 8kbit burst 1600 drop flowid 1:10",
        )],
        volleys: &[Volley { traffic: BURST, lost: &[Lost { share: Share::AsCounted, ..LOST_IN_QDISC }] }],
        ..PLAIN
    }),
    ..POLICE_INGRESS
};

//! BPF programs that drop: at a device, at a queueing discipline, at a control group.

use anyhow::Result;

use super::caged::{Caged, Refused};
use super::plain::{Lost, Plain, Share, Traffic, Volley};
use crate::bpf::ObjectFile;
use crate::counter::Counter;
use crate::finding::{Count, Finding, Fix};
use crate::need::Need;
use crate::scenario::{Lab, Scenario, Setup};

pub(super) const ALL: &[Scenario] =
    &[XDP_GENERIC, XDP_NATIVE, TC_INGRESS, TC_EGRESS, CGROUP_EGRESS, CGROUP_INGRESS];

const FOUND: Finding = Finding {
    kind: "bpf/xdp",
    severity: "policy",
    confidence: "certain",
    count: Count::OfShot(0),
    netns: "server",
    culprit: &["lab_xdp_drop", "eth0"],
    numbers: &[],
    fix: Fix::Stops,
};

const LOST: Lost = Lost {
    reason: "NOT_SPECIFIED",
    symbols: &["do_xdp_generic", "netif_receive_generic_xdp"],
    netns: Some("server"),
    iface: Some("eth0"),
    proto: "udp",
    src: "10.0.0.1",
    dst: "10.0.0.2:5370",
    share: Share::All,
    counted: ("server", Counter::RxPackets("eth0")),
};

const LIBBPF: Need = Need::Feature { what: "iproute2 with libbpf", trial: "ip -V | grep -q libbpf" };

/// All is lost, so that nothing but the scenario's own packets may be sent.
const PLAIN: Plain = Plain {
    sinks: &[("server", "10.0.0.2:5370")],
    volleys: &[Volley { traffic: Traffic::udp("10.0.0.2:5370", 4), lost: &[LOST] }],
    ..Plain::PAIR
};

/// Runs a line in a namespace, with the path of an XDP program that drops everything in the place of `OBJECT`.
fn with_xdp(lab: Box<dyn Lab>, line: &str) -> Result<Box<dyn Lab>> {
    with_object(lab, "server", &ObjectFile::new("xdp", "lab_xdp_drop", 1)?, line)
}

/// As [`with_xdp`], with a program for `tc`.
fn with_tc(lab: Box<dyn Lab>, label: &str, line: &str) -> Result<Box<dyn Lab>> {
    with_object(lab, label, &ObjectFile::new("tc", "lab_tc_drop", 2)?, line)
}

fn with_object(lab: Box<dyn Lab>, label: &str, object: &ObjectFile, line: &str) -> Result<Box<dyn Lab>> {
    lab.netns(label)?.sh(&line.replace("OBJECT", &object.path().display().to_string()))?;
    Ok(lab)
}

const XDP_GENERIC: Scenario = Scenario {
    name: "bpf-xdp-generic",
    summary: "an XDP program that drops everything, in its generic mode",
    watch: "sudo lossdrop trace --port 5370",
    packets: "4 UDP datagrams, 10.0.0.1 → 10.0.0.2:5370",
    needs: &[LIBBPF],
    findings: &[FOUND],
    lab: Setup::Code(|| with_xdp(PLAIN.lab()?, "ip link set dev eth0 xdpgeneric obj OBJECT sec xdp")),
};

const XDP_NATIVE: Scenario = Scenario {
    name: "bpf-xdp-native",
    summary: "an XDP program that drops everything, in the driver of veth",
    lab: Setup::Code(|| {
        const NATIVE: Plain = Plain {
            volleys: &[Volley {
                traffic: Traffic::udp("10.0.0.2:5370", 4),
                lost: &[Lost { symbols: &["veth_xdp_rcv_skb", "veth_poll"], ..LOST }],
            }],
            ..PLAIN
        };
        with_xdp(NATIVE.lab()?, "ip link set dev eth0 xdpdrv obj OBJECT sec xdp")
    }),
    ..XDP_GENERIC
};

const TC_INGRESS: Scenario = Scenario {
    name: "bpf-tc-ingress",
    summary: "a BPF program at the ingress of a device drops everything",
    findings: &[Finding { kind: "bpf/tc-ingress", culprit: &["lab_tc_drop", "eth0"], ..FOUND }],
    lab: Setup::Code(|| {
        const INGRESS: Plain = Plain {
            volleys: &[Volley {
                traffic: Traffic::udp("10.0.0.2:5370", 4),
                lost: &[Lost {
                    reason: "TC_INGRESS",
                    symbols: &["__netif_receive_skb_core", "sch_handle_ingress"],
                    counted: ("server", Counter::Qdisc("eth0")),
                    ..LOST
                }],
            }],
            ..PLAIN
        };
        with_tc(
            INGRESS.lab()?,
            "server",
            "tc qdisc add dev eth0 clsact && tc filter add dev eth0 ingress bpf da obj OBJECT sec tc",
        )
    }),
    ..XDP_GENERIC
};

const TC_EGRESS: Scenario = Scenario {
    name: "bpf-tc-egress",
    summary: "a BPF program at the egress of a device drops everything",
    findings: &[Finding {
        kind: "bpf/tc-egress",
        netns: "client",
        culprit: &["lab_tc_drop", "eth0"],
        ..FOUND
    }],
    lab: Setup::Code(|| {
        const EGRESS: Plain = Plain {
            volleys: &[Volley {
                traffic: Traffic::udp("10.0.0.2:5370", 4),
                lost: &[Lost {
                    reason: "TC_EGRESS",
                    symbols: &["__dev_queue_xmit", "sch_handle_egress"],
                    netns: Some("client"),
                    counted: ("client", Counter::Qdisc("eth0")),
                    ..LOST
                }],
            }],
            ..PLAIN
        };
        with_tc(
            EGRESS.lab()?,
            "client",
            "tc qdisc add dev eth0 clsact && tc filter add dev eth0 egress bpf da obj OBJECT sec tc",
        )
    }),
    ..XDP_GENERIC
};

const CGROUP: Need =
    Need::Feature { what: "control groups, version 2", trial: "grep -q ' cgroup2 rw' /proc/1/mounts" };

const CGROUP_EGRESS: Scenario = Scenario {
    name: "bpf-cgroup-egress",
    summary: "a BPF program at a control group lets none of its processes send",
    packets: "4 UDP datagrams, 10.0.0.1 → 10.0.0.2:5370; each send() fails with EPERM",
    needs: &[CGROUP, Need::Tool("perl")],
    findings: &[Finding {
        kind: "bpf/cgroup-egress",
        netns: "client",
        culprit: &["lab_cgroup_drop"],
        fix: Fix::None("whoever attached the program must detach it"),
        ..FOUND
    }],
    lab: Setup::Code(|| Ok(Box::new(Caged::new(Refused::Sending)?))),
    ..XDP_GENERIC
};

const CGROUP_INGRESS: Scenario = Scenario {
    name: "bpf-cgroup-ingress",
    summary: "a BPF program at a control group lets none of its processes receive",
    needs: &[CGROUP, Need::Tool("perl")],
    findings: &[Finding {
        kind: "bpf/cgroup-ingress",
        culprit: &["lab_cgroup_drop"],
        fix: Fix::None("whoever attached the program must detach it"),
        ..FOUND
    }],
    lab: Setup::Code(|| Ok(Box::new(Caged::new(Refused::Receiving)?))),
    ..XDP_GENERIC
};

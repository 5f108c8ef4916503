//! What was checked and is in order, and need not be checked again.

use super::{
    context::Context,
    finding::{Finding, RuledOut},
};
use crate::{
    knowledge::Cause,
    machine::{Moved, Scope},
};

/// Something that may be the matter on any machine.
struct Check {
    what: &'static str,
    /// The name of its number.
    number: &'static str,
    /// Findings of such a kind say that it is not in order.
    kinds: &'static [&'static str],
    counts: fn(&Moved) -> bool,
}

fn is_protocol(moved: &Moved, names: &[&str]) -> bool {
    matches!(moved.scope, Scope::Snmp) && names.contains(&moved.name.as_str())
}

static CHECKS: &[Check] = &[
    Check {
        what: "no qdisc drops",
        number: "qdisc_drops",
        kinds: &["queue/qdisc-limit", "queue/qdisc-aqm", "queue/qdisc-oversize", "queue/netem"],
        counts: |moved| matches!(moved.scope, Scope::Qdisc { .. }) && moved.name == "drops",
    },
    Check {
        what: "CPU backlog 0",
        number: "softnet_dropped",
        kinds: &["queue/cpu-backlog"],
        counts: |moved| matches!(moved.scope, Scope::Softnet { .. }) && moved.name == "dropped",
    },
    Check {
        what: "no NIC errors",
        number: "nic_errors",
        kinds: &["device/nic-errors", "device/nic-overflow"],
        counts: |moved| {
            matches!(moved.scope, Scope::Link { .. })
                && (moved.name.ends_with("_errors") && moved.name != "tx_aborted_errors")
        },
    },
    Check {
        what: "no listen overflows",
        number: "listen_overflows",
        kinds: &["socket/accept-queue", "socket/syn-queue"],
        counts: |moved| {
            is_protocol(moved, &["TcpExtListenOverflows", "TcpExtListenDrops", "TcpExtTCPReqQFullDrop"])
        },
    },
    Check {
        what: "no route failures",
        number: "route_failures",
        kinds: &["routing/no-route", "routing/unreachable", "routing/forwarding-off", "routing/refused"],
        counts: |moved| {
            is_protocol(
                moved,
                &[
                    "IpExtInNoRoutes",
                    "Ip6InNoRoutes",
                    "IpOutNoRoutes",
                    "Ip6OutNoRoutes",
                    "IpInAddrErrors",
                    "Ip6InAddrErrors",
                ],
            )
        },
    },
    Check {
        what: "no receive buffer overflows",
        number: "rcvbuf_errors",
        kinds: &["socket/rcvbuf"],
        counts: |moved| is_protocol(moved, &["UdpRcvbufErrors", "Udp6RcvbufErrors"]),
    },
    Check {
        what: "no checksum errors",
        number: "checksum_errors",
        kinds: &["checksum/tcp", "checksum/udp", "checksum/ip", "checksum/icmp"],
        counts: |moved| matches!(moved.scope, Scope::Snmp) && moved.name.ends_with("CsumErrors"),
    },
];

/// The checks that nothing speaks against, with their numbers.
pub(crate) fn ruled_out(context: &Context, findings: &[Finding]) -> Vec<RuledOut> {
    let mut ruled_out: Vec<RuledOut> = conntrack(context, findings).into_iter().collect();
    for check in CHECKS {
        let found = findings
            .iter()
            .any(|finding| check.kinds.contains(&finding.assessment.kind.to_string().as_str()));
        let sum: u64 =
            context.moved.iter().filter(|moved| (check.counts)(moved)).map(|moved| moved.delta).sum();
        if !found && sum == 0 {
            ruled_out.push(RuledOut { what: check.what.to_owned(), numbers: [(check.number, 0)].into() });
        }
    }
    ruled_out
}

/// The fullest table of connections.
fn conntrack(context: &Context, findings: &[Finding]) -> Option<RuledOut> {
    let found = findings.iter().any(|finding| {
        finding.assessment.kind.cause == Cause::Netfilter
            && finding.assessment.kind.slug.starts_with("conntrack-full")
    });
    if found {
        return None;
    }
    let tables =
        context.after.netns.values().filter_map(|state| Some((state.inum, state.conntrack.as_ref()?)));
    let (netns, table) = tables.filter(|(_, table)| table.max > 0).max_by(|(_, a), (_, b)| {
        // As fractions, without a division.
        (u128::from(a.count) * u128::from(b.max)).cmp(&(u128::from(b.count) * u128::from(a.max)))
    })?;
    let what = format!(
        "conntrack {} of {}{}",
        table.count,
        table.max,
        context.places.of(netns).replacen(" of", " in", 1)
    );
    (table.count < table.max)
        .then(|| RuledOut { what, numbers: [("entries", table.count), ("max", table.max)].into() })
}

#[cfg(test)]
mod tests;

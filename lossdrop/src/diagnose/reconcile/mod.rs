//! The kernel's own counters against the drops that were traced: what explains each that moved, and what nothing does.

use lossdrop_common::{DropKey, L3};

use super::{
    context::Context,
    finding::{CounterLine, Finding},
};
use crate::{
    knowledge::{
        Cause, Confidence, Kind,
        counters::{COUNTERS, Counter, Of, Where},
        kinds,
    },
    machine::{Moved, Scope},
};

/// Drops of one key that a finding, or noise, stands for.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// From 0; `None` for what is not shown.
    pub finding: Option<usize>,
    pub kind: &'static Kind,
    pub key: DropKey,
    pub count: u64,
    /// The finding's namespace, which for a veth is not the key's.
    pub netns: u32,
    /// The culprit's device; empty for none.
    pub device: String,
    /// Noise.
    pub benign: bool,
}

fn of(scope: &Scope) -> Option<Of> {
    match scope {
        Scope::Link { .. } => Some(Of::Link),
        Scope::Qdisc { .. } => Some(Of::Qdisc),
        Scope::Snmp => Some(Of::Protocol),
        Scope::Conntrack => Some(Of::Conntrack),
        Scope::Softnet { .. } => Some(Of::Softnet),
        Scope::NfQueue { .. } => Some(Of::NfQueue),
        // These repeat what others count.
        Scope::Driver { .. }
        | Scope::Class { .. }
        | Scope::Xfrm
        | Scope::Listener { .. }
        | Scope::UdpSocket { .. }
        | Scope::NeighbourTables => None,
    }
}

/// Whether the counter counted these drops.
fn fits(known: &Counter, part: &Part, moved: &Moved) -> bool {
    let (device, index) = match &moved.scope {
        Scope::Link { name, index } => (name.as_str(), *index),
        Scope::Qdisc { index, .. } => ("", *index),
        _ => ("", 0),
    };
    known.kinds.contains(&part.kind)
        && known.l3.is_none_or(|l3| l3 == L3::from_u8(part.key.l3))
        && known.l4.is_none_or(|l4| l4 == part.key.l4)
        && match known.place {
            Where::AtDevice => moved.netns == Some(part.key.netns) && part.key.ifindex == index,
            Where::Culprit => moved.netns == Some(part.netns) && part.device == device,
            Where::Netns => moved.netns.is_some_and(|netns| netns == part.key.netns || netns == part.netns),
            Where::Anywhere => true,
        }
}

/// Makes sure what a counter confirms that counts nothing else: it rose by as many as died.
pub(crate) fn confirm(context: &Context, findings: &mut [(Finding, Vec<Part>)]) {
    for moved in &context.moved {
        let rows = rows(moved);
        let counted_here =
            |part: &Part| rows.iter().any(|known| known.kinds.len() == 1 && fits(known, part, moved));
        let counted: u64 = findings
            .iter()
            .flat_map(|(_, parts)| parts)
            .filter(|part| counted_here(part))
            .map(|part| part.count)
            .sum();
        if counted != moved.delta || rows.iter().any(|known| known.kinds.len() != 1) {
            continue;
        }
        for (finding, parts) in findings.iter_mut() {
            if finding.assessment.confidence < Confidence::Certain
                && !parts.is_empty()
                && parts.iter().all(counted_here)
            {
                finding.assessment.confidence = Confidence::Certain;
                finding.evidence.push(format!("{} rose by {}, as many as died", moved.name, moved.delta));
            }
        }
    }
}

/// What is known of a counter: nothing of one that tells of no loss.
fn rows(moved: &Moved) -> Vec<&'static Counter> {
    let kind = of(&moved.scope);
    COUNTERS.iter().filter(|known| Some(known.of) == kind && known.name == moved.name).collect()
}

/// A line for each counter of losses that moved.
pub(crate) fn lines(context: &Context, parts: &[Part], findings: &[Finding]) -> Vec<CounterLine> {
    let mut lines: Vec<CounterLine> =
        context.moved.iter().filter_map(|moved| line(moved, context, parts)).collect();
    lines.extend(rules(findings));
    lines.sort_by(|a, b| (&a.scope, &a.name).cmp(&(&b.scope, &b.name)));
    lines
}

fn line(moved: &Moved, context: &Context, parts: &[Part]) -> Option<CounterLine> {
    let rows = rows(moved);
    let first = rows.first()?;
    let mut explained = 0;
    let mut noise = 0;
    let mut findings = Vec::new();
    let mut again = false;
    for part in parts.iter().filter(|part| rows.iter().any(|known| fits(known, part, moved))) {
        explained += part.count;
        match part.finding {
            Some(finding) if !findings.contains(&(finding + 1)) => findings.push(finding + 1),
            Some(_) => {}
            None if part.benign => noise += part.count,
            None => {}
        }
        // A veth counts one loss at both of its ends.
        again |= moved.name == "tx_dropped"
            && (part.kind == &kinds::MTU_VETH_PEER || part.kind == &kinds::DEVICE_DOWN);
    }
    findings.sort_unstable();
    let mut remarks = Vec::new();
    if again {
        remarks.push("the same packets, counted at both ends of the veth".to_owned());
    }
    if noise > 0 {
        remarks.push(format!("{noise} of them benign"));
    }
    if explained < moved.delta && !first.remark.is_empty() {
        remarks.push(first.remark.to_owned());
    }
    Some(CounterLine {
        scope: scope(moved, context),
        name: moved.name.clone(),
        delta: moved.delta,
        explained: explained.min(moved.delta),
        findings,
        remark: remarks.join(", "),
    })
}

/// `web eth0`, `host`, `cpu 1`.
fn scope(moved: &Moved, context: &Context) -> String {
    let netns = moved.netns.and_then(|netns| context.places.name(netns)).unwrap_or_default();
    let object = match &moved.scope {
        Scope::Link { name, .. } => name.clone(),
        Scope::Qdisc { index, kind, handle, .. } => {
            let device = moved.netns.and_then(|netns| context.link(netns, *index));
            format!("{} qdisc {kind} {handle}", device.map_or("?", |link| link.name.as_str()))
        }
        Scope::Conntrack => "conntrack".to_owned(),
        Scope::NfQueue { number } => format!("nfqueue {number}"),
        Scope::Softnet { cpu } => format!("cpu {cpu}"),
        _ => String::new(),
    };
    [netns, object].iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(" ")
}

/// The counters of the rules and policies that were found guilty.
fn rules(findings: &[Finding]) -> impl Iterator<Item = CounterLine> {
    findings.iter().enumerate().filter_map(|(index, finding)| {
        let culprit =
            finding.culprit.as_ref().filter(|_| finding.assessment.kind.cause == Cause::Netfilter)?;
        let delta = *finding.numbers.get("packets")?;
        let netns = finding.netns.as_deref().unwrap_or_default();
        (delta > 0).then(|| CounterLine {
            scope: format!("{netns} {}", culprit.name),
            name: "packets".to_owned(),
            delta,
            explained: delta.min(finding.count),
            findings: vec![index + 1],
            remark: String::new(),
        })
    })
}

/// How much a counter of a protocol moved in a namespace.
pub(crate) fn moved(context: &Context, netns: u32, name: &str) -> u64 {
    let own = context.moved.iter().filter(|moved| {
        moved.netns == Some(netns) && moved.name == name && matches!(moved.scope, Scope::Snmp | Scope::Xfrm)
    });
    own.map(|moved| moved.delta).sum()
}

#[cfg(test)]
mod tests;

//! Queues and rings that were full, and queues that are not there.

use super::{Story, Suspect, other};
use crate::{
    diagnose::{
        context::Context,
        finding::{Culprit, Object},
        group::Group,
    },
    drops::judge::name,
    knowledge::{Confidence, kinds},
    machine::{Class, Limit, Qdisc},
};

pub(super) fn suspect(group: &Group, context: &Context) -> Suspect<'static> {
    let kind = group.verdict.assessment.kind;
    if kind == &kinds::QUEUE_DEVICE_DOWN {
        super::device::down(group, context)
    } else if [&kinds::QUEUE_QDISC_LIMIT, &kinds::QUEUE_QDISC_AQM, &kinds::QUEUE_NETEM].contains(&kind) {
        qdisc(group, context)
    } else if kind == &kinds::QUEUE_CPU_BACKLOG {
        cpu_backlog(group)
    } else if kind == &kinds::QUEUE_TUN_RING {
        tun_ring(group, context)
    } else {
        other::suspect(group, context)
    }
}

/// The handle of a queue that the kernel made by itself: it has none of its own.
const HIDDEN: &str = "0:";

/// The queue that dropped: of those whose counters moved on the device the one farthest from the root, since a parent
/// repeats what its children drop.
fn dropping(group: &Group, context: &Context) -> Option<(Qdisc, u64)> {
    let (netns, ifindex) = (group.key.netns, group.key.ifindex);
    let state = context.state(netns)?;
    let before = |after: &Qdisc| {
        let known = context.before.netns.get(&netns).into_iter().flat_map(|state| state.qdiscs_of(ifindex));
        known
            .into_iter()
            .find(|qdisc| {
                qdisc.handle == after.handle && qdisc.parent == after.parent && qdisc.kind == after.kind
            })
            .map_or(0, |qdisc| qdisc.counters.drops)
    };
    let moved: Vec<(&Qdisc, u64)> = state
        .qdiscs_of(ifindex)
        .filter(|qdisc| !qdisc.is_hook())
        .map(|qdisc| (qdisc, u64::from(qdisc.counters.drops.wrapping_sub(before(qdisc)))))
        .filter(|(_, delta)| *delta > 0)
        .collect();
    // What a tbf keeps its packets in by itself is a part of it.
    let of_tbf = |qdisc: &Qdisc| {
        qdisc.handle == HIDDEN
            && moved.iter().any(|(above, _)| above.kind == "tbf" && qdisc.parent.starts_with(&above.handle))
    };
    let moved: Vec<&(&Qdisc, u64)> = moved.iter().filter(|(qdisc, _)| !of_tbf(qdisc)).collect();
    let is_parent = |handle: &str| moved.iter().any(|(qdisc, _)| qdisc.parent.starts_with(handle));
    let leaves = moved.iter().filter(|(qdisc, _)| qdisc.handle.is_empty() || !is_parent(&qdisc.handle));
    leaves.max_by_key(|(_, delta)| *delta).map(|(qdisc, delta)| ((*qdisc).clone(), *delta))
}

fn qdisc(group: &Group, context: &Context) -> Suspect<'static> {
    let Some(device) = other::device(group, context).map(|device| device.name) else {
        return other::suspect(group, context);
    };
    let found = dropping(group, context);
    let reported = group.find(|sample| sample.qdisc().copied());
    let Some((qdisc, dropped)) = found else {
        let Some(reported) = reported else { return other::suspect(group, context) };
        // The device, or the queue, is gone: what was reported with the drops is left.
        let culprit = Culprit::new(
            Object::Qdisc,
            format!("{} {:x}: on {device}", name(reported.kind), reported.handle >> 16),
        );
        return Suspect::of(group, Some(culprit), other::tell);
    };
    if qdisc.only_sorts()
        && let Some(number) = qdisc.number()
        && let Some(suspect) = super::bpf::classifier(number, &device, group, context)
    {
        return suspect;
    }
    let handle = if qdisc.handle == HIDDEN { String::new() } else { format!(" {}", qdisc.handle) };
    let culprit = Culprit::new(Object::Qdisc, format!("{}{handle} on {device}", qdisc.kind))
        .text(describe(&qdisc))
        .with("kind", qdisc.kind.clone())
        .with("handle", qdisc.handle.clone())
        .with("parent", qdisc.parent.clone())
        .with("dev", device.clone());
    // A packet that is larger than the bucket never passes, however empty the queue is.
    let oversize = qdisc.burst.filter(|burst| {
        let all = |sample: &crate::drops::Kept| u64::from(sample.event.skb_len) > *burst;
        !group.samples.is_empty() && group.samples.iter().all(all)
    });
    let is_root = reported.is_some_and(|reported| format!("{:x}:", reported.handle >> 16) == qdisc.handle);
    let held = reported.filter(|_| is_root).map(|reported| (reported.qlen, reported.backlog));
    let kind = match (oversize, qdisc.kind.as_str(), group.verdict.assessment.kind) {
        (Some(_), ..) => &kinds::QUEUE_QDISC_OVERSIZE,
        (None, "netem", _) if qdisc.loses => &kinds::QUEUE_NETEM,
        (None, "netem", _) => &kinds::QUEUE_QDISC_LIMIT,
        (None, ..) if qdisc.wants_a_class() => &kinds::QUEUE_UNCLASSIFIED,
        (None, _, kind) => kind,
    };
    let confidence = if dropped >= group.count { Confidence::Certain } else { Confidence::Likely };
    Suspect::of(group, Some(culprit), move |group, context| {
        let story = match oversize {
            Some(burst) => tell_oversize(&qdisc, burst, &device, group, context),
            None if kind == &kinds::QUEUE_NETEM => tell_netem(&qdisc, &device, group, context),
            None if kind == &kinds::QUEUE_UNCLASSIFIED => tell_unclassified(&qdisc, &device, group, context),
            None => tell_limit(&qdisc, held, &device, group, context),
        };
        story.number("dropped", dropped)
    })
    .kind(kind)
    .confidence(confidence)
}

fn describe(qdisc: &Qdisc) -> String {
    let mut words = Vec::new();
    if let Some(limit) = qdisc.limit {
        words.push(format!("limit {limit}"));
    }
    if let Some(rate) = qdisc.rate {
        words.push(format!("rate {} bit/s", rate * 8));
    }
    if let Some(burst) = qdisc.burst {
        words.push(format!("burst {burst} bytes"));
    }
    words.join(", ")
}

/// `root handle 8001:`, `parent 1:10 handle 10:`: how `tc` addresses it.
fn address(qdisc: &Qdisc, device: &str) -> String {
    let parent = if qdisc.parent == "root" { "root".to_owned() } else { format!("parent {}", qdisc.parent) };
    match qdisc.handle.as_str() {
        "" | HIDDEN => format!("dev {device} {parent}"),
        handle => format!("dev {device} {parent} handle {handle}"),
    }
}

fn tell_limit(
    qdisc: &Qdisc,
    held: Option<(u32, u32)>,
    device: &str,
    group: &Group,
    context: &Context,
) -> Story {
    let Qdisc { kind, limit, .. } = qdisc;
    let (qlen, backlog) = held.unwrap_or((qdisc.counters.qlen, qdisc.counters.backlog));
    // While the whole has room, it is one flow that has not.
    let of_flow = qdisc.flow_limit.filter(|_| limit.is_some_and(|limit| qlen < limit.amount()));
    let what = match (of_flow, limit) {
        (Some(packets), _) => format!("{packets} packets of one flow (flow_limit)"),
        (None, Some(limit)) => limit.to_string(),
        (None, None) => "its limit".to_owned(),
    };
    let rate = match qdisc.rate {
        Some(rate) => format!(" It lets out {} bit/s, and more came in.", rate * 8),
        None => " More came in than the device, or the class above, lets out.".to_owned(),
    };
    let text = format!(
        "The queue {kind} {} on {device} holds {what}; {qlen} packets ({backlog} bytes) were in it.{rate} A larger queue rides out \
         bursts and adds delay; against a load that lasts only a higher rate or fewer senders help.",
        qdisc.handle
    );
    let title = match of_flow {
        Some(_) => format!("a flow has too many packets in the queue {kind} on {device}"),
        None => format!("the queue {kind} on {device} is full"),
    };
    let mut story = Story::new(title, text).number("qlen", qlen).number("backlog", backlog);
    if let Some(limit) = limit {
        story = story.number("limit", limit.amount());
    }
    if let Some(packets) = of_flow {
        story = story.number("flow_limit", packets);
    }
    let netns = group.key.netns;
    let address = address(qdisc, device);
    let command = match (kind.as_str(), limit) {
        ("fq", Some(limit)) if of_flow.is_some() => {
            let wanted = of_flow.unwrap_or(0).saturating_mul(10).max(1000).min(limit.amount());
            context.places.tc(netns, &format!("qdisc change {address} fq flow_limit {wanted}"))
        }
        ("pfifo_fast" | "noqueue", Some(Limit::Packets(limit))) => {
            let wanted = limit.saturating_mul(10).max(1000);
            context.places.ip(netns, &format!("link set {device} txqueuelen {wanted}"))
        }
        ("tbf", Some(limit)) => {
            let wanted = limit.amount().saturating_mul(10).max(1 << 20);
            let (rate, burst) = (qdisc.rate.unwrap_or(0) * 8, qdisc.burst.unwrap_or(0));
            context
                .places
                .tc(netns, &format!("qdisc change {address} tbf rate {rate}bit burst {burst} limit {wanted}"))
        }
        (kind, Some(limit)) => {
            let wanted = match limit {
                Limit::Packets(limit) => limit.saturating_mul(10).max(1000),
                Limit::Bytes(limit) => limit.saturating_mul(10).max(1 << 20),
            };
            // One that the kernel made by itself can't be changed, only replaced.
            let verb = if qdisc.handle == HIDDEN { "replace" } else { "change" };
            context.places.tc(netns, &format!("qdisc {verb} {address} {kind} limit {wanted}"))
        }
        (_, None) => None,
    };
    story.fix(command, "room for bursts, at the price of delay").look(
        context.places.tc(netns, &format!("-s qdisc show dev {device}")),
        "dropped, overlimits and backlog",
    )
}

fn tell_oversize(qdisc: &Qdisc, burst: u64, device: &str, group: &Group, context: &Context) -> Story {
    let Qdisc { kind, .. } = qdisc;
    let longest = group.samples.iter().map(|sample| sample.event.skb_len).max().unwrap_or(0);
    let shortest = group.samples.iter().map(|sample| sample.event.skb_len).min().unwrap_or(0);
    let text = format!(
        "{kind} {} on {device} has a burst of {burst} bytes. A frame that is larger than the bucket never passes, even if the queue \
         is empty; those that died had {shortest} to {longest} bytes.",
        qdisc.handle
    );
    let wanted = (u64::from(longest) * 4).max(16_384);
    let limit = qdisc.limit.map_or(0, Limit::amount).max(u32::try_from(wanted).unwrap_or(u32::MAX));
    let command = context.places.tc(
        group.key.netns,
        &format!(
            "qdisc change {} tbf rate {}bit burst {wanted} limit {limit}",
            address(qdisc, device),
            qdisc.rate.unwrap_or(0) * 8
        ),
    );
    Story::new(format!("frames over {burst} bytes never fit into the bucket of {kind} on {device}"), text)
        .number("burst", burst)
        .number("len_min", shortest)
        .number("len_max", longest)
        .fix(command.filter(|_| kind == "tbf"), "a bucket that the longest frame fits into; the rate stays")
}

fn tell_netem(qdisc: &Qdisc, device: &str, group: &Group, context: &Context) -> Story {
    let text = format!(
        "netem {} on {device} loses packets on purpose: a bad network is emulated here.",
        qdisc.handle
    );
    let netns = group.key.netns;
    Story::new(format!("netem on {device} loses packets on purpose"), text)
        .fix(context.places.tc(netns, &format!("qdisc del {}", address(qdisc, device))), "the emulation ends")
        .look(context.places.tc(netns, &format!("-s qdisc show dev {device}")), "what it emulates")
}

fn tell_unclassified(qdisc: &Qdisc, device: &str, group: &Group, context: &Context) -> Story {
    let Qdisc { kind, handle, .. } = qdisc;
    let netns = group.key.netns;
    let classes: Vec<&Class> = context.state(netns).map_or_else(Vec::new, |state| {
        let of_this =
            |class: &&Class| class.index == qdisc.index && class.handle.starts_with(handle.as_str());
        state.classes.iter().filter(of_this).collect()
    });
    // Only those without classes below them take packets.
    let leaf = classes.iter().find(|class| classes.iter().all(|other| other.parent != class.handle));
    let leaf = leaf.filter(|class| class.handle != *handle).map(|class| class.handle.as_str());
    let default = if kind == "hfsc" { "its default is none of them" } else { "it knows no default" };
    let text = format!(
        "{kind} {handle} on {device} drops what belongs to none of its classes: no filter matched these packets, and {default}. ARP \
         and neighbour discovery need a class as well."
    );
    let command = match (kind.as_str(), leaf.and_then(|leaf| leaf.split_once(':'))) {
        ("hfsc", Some((_, minor))) => format!("qdisc change {} hfsc default {minor}", address(qdisc, device)),
        (_, Some((major, minor))) => {
            format!("filter add dev {device} parent {handle} pref 65535 matchall classid {major}:{minor}")
        }
        (_, None) => format!("qdisc del {}", address(qdisc, device)),
    };
    let effect = match leaf {
        Some(leaf) => format!("class {leaf} takes what no filter matches"),
        None => "it has no class that could take them".to_owned(),
    };
    Story::new(format!("no class of {kind} on {device} takes these packets"), text)
        .fix(context.places.tc(netns, &command), effect)
        .look(context.places.tc(netns, &format!("filter show dev {device} parent {handle}")), "its filters")
        .look(context.places.tc(netns, &format!("-s class show dev {device}")), "its classes")
}

fn cpu_backlog(group: &Group) -> Suspect<'static> {
    let cpus: std::collections::BTreeSet<u32> = group.samples.iter().map(|sample| sample.event.cpu).collect();
    let culprit = Culprit::new(Object::Sysctl, "net.core.netdev_max_backlog");
    Suspect::of(group, Some(culprit), move |_, context| {
        let limit =
            context.after.sysctls.get("net.core.netdev_max_backlog").and_then(|value| value.parse().ok());
        let limit: u64 = limit.unwrap_or(1000);
        let names: Vec<String> = cpus.iter().map(ToString::to_string).collect();
        let text = format!(
            "The input queue of CPU {} was full: it holds net.core.netdev_max_backlog = {limit} packets. Loopback, veth, tunnels and \
             RPS pass packets through it. The CPU has too much to do, or one flow has too much for one CPU.",
            names.join(", "),
        );
        Story::new("a CPU's input queue is full", text)
            .number("limit", limit)
            .fix(
                Some(format!("sysctl -w net.core.netdev_max_backlog={}", (limit * 10).max(10_000))),
                "room for bursts; to be typed in the host's namespace",
            )
            .look(
                Some("cat /proc/net/softnet_stat".to_owned()),
                "second column: dropped, one line a CPU, in hexadecimal",
            )
    })
}

fn tun_ring(group: &Group, context: &Context) -> Suspect<'static> {
    let Some(device) = other::device(group, context) else { return other::suspect(group, context) };
    let name = device.name.clone();
    Suspect::of(group, Some(device), move |group, context| {
        let netns = group.key.netns;
        let length = context.link_named(netns, &name).map_or(500, |link| link.txqlen);
        let text = format!(
            "The ring of {name} holds {length} packets (its txqueuelen), and the program or virtual machine behind it does not \
             read them fast enough, or not at all."
        );
        Story::new(format!("no program empties the ring of {name}"), text)
            .number("tx_queue_len", length)
            .fix(
                context.places.ip(
                    netns,
                    &format!("link set {name} txqueuelen {}", length.saturating_mul(10).max(1000)),
                ),
                "room for bursts; a reader that is too slow for the rate loses packets all the same",
            )
            .look(
                context.places.exec(netns, &format!("ip -s -d link show {name}")),
                "the device and its counters",
            )
    })
}

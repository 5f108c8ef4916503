//! Losses that never reach `skb:kfree_skb`: the kernel's counters alone tell of them.

use lossdrop_common::{
    DropKey,
    parse::{IPPROTO_TCP, IPPROTO_UDP},
};

use super::{
    context::Context,
    finding::{Culprit, Finding, Numbers},
    reconcile::{Part, moved},
    suspects::{Story, process, socket_name},
};
use crate::{
    diagnose::finding::Object,
    knowledge::{Assessment, Cause, Confidence, Kind, kinds},
    machine::{Listener, Scope},
};

/// Packets that a device lost for want of room.
const OVERFLOWS: [&str; 3] = ["rx_missed_errors", "rx_over_errors", "rx_fifo_errors"];
/// Frames that were damaged, or could not be sent.
const ERRORS: [&str; 7] = [
    "rx_crc_errors",
    "rx_length_errors",
    "rx_frame_errors",
    "tx_carrier_errors",
    "tx_fifo_errors",
    "tx_heartbeat_errors",
    "tx_window_errors",
];

/// The findings that counters alone tell of, beyond what the traced drops of the findings account for.
pub(crate) fn findings(context: &Context, traced: &[Part]) -> Vec<(Finding, Part)> {
    let mut findings = Vec::new();
    for netns in context.after.netns.keys().copied() {
        let overflows = moved(context, netns, "TcpExtListenOverflows");
        let refused = moved(context, netns, "TcpExtTCPReqQFullDrop");
        let count = |fits: &dyn Fn(&Part) -> bool| -> u64 {
            traced.iter().filter(|part| part.key.netns == netns && fits(part)).map(|part| part.count).sum()
        };
        let lost = overflows.saturating_sub(count(&|part| part.kind == &kinds::SOCKET_ACCEPT_QUEUE));
        if lost > 0 {
            findings.push(accept_queue(netns, lost, context));
        }
        if refused > 0 {
            findings.push(syn_queue(netns, refused, context));
        }
        let unsent = moved(context, netns, "UdpSndbufErrors") + moved(context, netns, "Udp6SndbufErrors");
        // A datagram that dies on its way out is counted there, too, if its sender asked for errors.
        let on_the_way = count(&|part| part.key.l4 == IPPROTO_UDP && part.kind.cause != Cause::Socket);
        let unsent = unsent.saturating_sub(on_the_way);
        if unsent > 0 {
            findings.push(send_buffer(netns, unsent, context));
        }
    }
    findings.extend(devices(context));
    findings
}

fn finding(
    kind: &'static Kind,
    netns: u32,
    count: u64,
    culprit: Option<Culprit>,
    story: Story,
    context: &Context,
) -> (Finding, Part) {
    let part = Part {
        finding: None,
        kind,
        key: DropKey::default(),
        count,
        netns,
        device: String::new(),
        benign: false,
    };
    let finding = Finding {
        assessment: Assessment::new(
            kind,
            if culprit.is_some() { Confidence::Certain } else { Confidence::Likely },
        ),
        traced: false,
        title: story.title,
        count,
        exact: true,
        first_ts: None,
        last_ts: None,
        netns: context.places.name(netns),
        culprit,
        numbers: story.numbers,
        sizes: Vec::new(),
        flows: Vec::new(),
        evidence: vec!["the kernel's counters moved; such packets are no traced drops".to_owned()],
        explanation: story.explanation,
        fixes: story.fixes,
        look: story.look,
    };
    (finding, part)
}

/// The listener whose own count of losses moved; else one whose queue is over its limit.
fn listener(netns: u32, context: &Context) -> Option<&Listener> {
    let state = context.state(netns)?;
    let lost = |listener: &&Listener| {
        context.moved.iter().any(|moved| {
            moved.netns == Some(netns)
                && matches!(&moved.scope, Scope::Listener { inode, .. } if *inode == listener.inode)
        })
    };
    state
        .listeners
        .iter()
        .find(lost)
        .or_else(|| state.listeners.iter().find(|listener| listener.queued > listener.backlog))
}

fn describe(listener: &Listener, context: &Context) -> Culprit {
    let name = socket_name(IPPROTO_TCP, listener.address, listener.port);
    let culprit = Culprit::new(Object::Socket, name).with("port", listener.port);
    match context.owner(listener.inode.into()) {
        Some(owner) => culprit.text(process(owner)).with("process", serde_json::json!(owner)),
        None => culprit,
    }
}

fn accept_queue(netns: u32, lost: u64, context: &Context) -> (Finding, Part) {
    let found = listener(netns, context);
    let culprit = found.map(|listener| describe(listener, context));
    let (backlog, queued) = found.map_or((0, 0), |listener| (listener.backlog, listener.queued));
    let somaxconn = context.sysctl_number(netns, "net.core.somaxconn").unwrap_or(4096);
    let name = culprit.as_ref().map_or_else(|| "a listener".to_owned(), |culprit| culprit.name.clone());
    let who = culprit.as_ref().map(|culprit| culprit.text.clone()).filter(|text| !text.is_empty());
    let text = format!(
        "{lost} SYNs or handshakes were lost since the queue of {name} was full: {queued} finished connections wait to be accepted, and its \
         limit is {backlog}. {} does not accept fast enough, or asked for too small a backlog in listen(); net.core.somaxconn \
         ({somaxconn}) caps what it asks for. Clients see connections that take 1, 3, 7 seconds, or time out. The kernel frees such \
         SYNs as consumed, so they are no traced drops.",
        who.unwrap_or_else(|| "The program".to_owned()),
    );
    let story = Story::new(format!("the accept queue of {name} is full"), text);
    let story = queue_numbers(story, backlog, queued, lost)
        .look(context.places.exec(netns, "ss -lnt"), "Recv-Q: waiting to be accepted, Send-Q: the limit")
        .look(
            context.places.sysctl(netns, &format!("net.core.somaxconn={}", (somaxconn * 4).max(4096))),
            "a higher cap; the program must ask for it in listen() and be started again",
        );
    finding(&kinds::SOCKET_ACCEPT_QUEUE, netns, lost, culprit, story, context)
}

fn queue_numbers(story: Story, backlog: u32, queued: u32, lost: u64) -> Story {
    story.number("backlog", backlog).number("queued", queued).number("lost", lost)
}

fn syn_queue(netns: u32, lost: u64, context: &Context) -> (Finding, Part) {
    let found = listener(netns, context);
    let culprit = found.map(|listener| describe(listener, context));
    let (backlog, queued) = found.map_or((0, 0), |listener| (listener.backlog, listener.queued));
    let cookies = context.sysctl_number(netns, "net.ipv4.tcp_syncookies");
    let name = culprit.as_ref().map_or_else(|| "a listener".to_owned(), |culprit| culprit.name.clone());
    let text = format!(
        "{lost} SYNs were lost since too many handshakes with {name} were open, and SYN cookies are off (net.ipv4.tcp_syncookies = {}). \
         A SYN flood, or clients whose answers get lost, fill the queue. The kernel frees such SYNs as consumed, so they are no traced \
         drops.",
        cookies.unwrap_or(0)
    );
    let story =
        queue_numbers(Story::new(format!("the SYN queue of {name} is full"), text), backlog, queued, lost)
            .fix(
                context.places.sysctl(netns, "net.ipv4.tcp_syncookies=1"),
                "a full queue then answers with cookies instead of losing SYNs",
            )
            .fix(
                context.places.sysctl(netns, "net.ipv4.tcp_max_syn_backlog=8192"),
                "more open handshakes; the listener must be started again",
            );
    finding(&kinds::SOCKET_SYN_QUEUE, netns, lost, culprit, story, context)
}

fn send_buffer(netns: u32, lost: u64, context: &Context) -> (Finding, Part) {
    let text = format!(
        "{lost} datagrams were not sent, as the sender's socket buffer or the device's queue had no room; the program got ENOBUFS or \
         EAGAIN, and may not have looked."
    );
    let story = Story::new("UDP sockets have no room to send", text)
        .look(context.places.exec(netns, "ss -uanmp"), "t: bytes waiting to be sent, tb: the limit");
    finding(&kinds::SOCKET_SEND_BUFFER, netns, lost, None, story, context)
}

/// Overflows and errors of devices, with what the driver itself counts.
fn devices(context: &Context) -> Vec<(Finding, Part)> {
    let mut findings = Vec::new();
    let count = |netns: u32, wanted: u32, names: &[&'static str]| -> Numbers {
        let own = context.moved.iter().filter(|moved| {
            moved.netns == Some(netns) && matches!(moved.scope, Scope::Link { index, .. } if index == wanted)
        });
        own.filter_map(|moved| Some((*names.iter().find(|name| **name == moved.name)?, moved.delta)))
            .collect()
    };
    for (netns, state) in &context.after.netns {
        for link in &state.links {
            for (kind, names) in
                [(&kinds::DEVICE_NIC_OVERFLOW, &OVERFLOWS[..]), (&kinds::DEVICE_NIC_ERRORS, &ERRORS)]
            {
                let numbers = count(*netns, link.index, names);
                let lost: u64 = numbers.values().sum();
                if lost == 0 {
                    continue;
                }
                let driver: Vec<String> = context
                    .moved
                    .iter()
                    .filter(|moved| {
                        moved.netns == Some(*netns)
                            && matches!(moved.scope, Scope::Driver { index, .. } if index == link.index)
                    })
                    .map(|moved| format!("{} +{}", moved.name, moved.delta))
                    .collect();
                findings.push(device(kind, *netns, &link.name, numbers, lost, &driver, context));
            }
        }
    }
    findings
}

fn device(
    kind: &'static Kind,
    netns: u32,
    name: &str,
    numbers: Numbers,
    lost: u64,
    driver: &[String],
    context: &Context,
) -> (Finding, Part) {
    let counted: Vec<String> = numbers.iter().map(|(name, delta)| format!("{name} +{delta}")).collect();
    let (title, why) = if kind == &kinds::DEVICE_NIC_OVERFLOW {
        (
            format!("the receive ring of {name} overflows"),
            "The card had no free buffer: the host was too slow to take the packets out, in a burst or for good.",
        )
    } else {
        (
            format!("{name} gets or sends damaged frames"),
            "A bad cable, plug or transceiver, a duplex mismatch, or frames that are longer than the card accepts.",
        )
    };
    let own =
        if driver.is_empty() { String::new() } else { format!(" The driver says: {}.", driver.join(", ")) };
    let text = format!(
        "{}. {why}{own} These packets never became an sk_buff, so they are no traced drops.",
        counted.join(", ")
    );
    let mut story = Story::new(title, text)
        .look(context.places.exec(netns, &format!("ethtool -S {name}")), "the driver's own counters")
        .look(
            context.places.exec(netns, &format!("ethtool -g {name}")),
            "the size of its rings, and the largest that it can have",
        );
    story.numbers = numbers;
    finding(kind, netns, lost, Some(Culprit::new(Object::Device, name)), story, context)
}

#[cfg(test)]
mod tests;

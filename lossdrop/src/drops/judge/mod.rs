//! The verdict on a drop: what the kernel knew at that moment refines what reason and location say.

use lossdrop_common::{Event, L3, event::bytes_of, facts::RouteFacts};

use super::{drop::Drop, verdict::Verdict};
use crate::{
    kernel::layout::withheld,
    knowledge::{Assessment, Confidence, Kind, Severity, kinds},
    rules::hook::{Engine, hook, is_own_icmp},
    text::sanitize::sanitize_bytes,
};

/// `IFF_UP`.
const UP: u32 = 1;
/// What the kernel grants a frame beyond its device's MTU: a VLAN tag (`is_skb_forwardable` in `net/core/dev.c`).
pub const VLAN_SLACK: u32 = 4;
/// `ARPHRD_ETHER` frames begin with so many bytes; devices say so in `hard_header_len`.
pub const ETHERNET: u32 = 14;

impl Drop<'_> {
    /// The kernel exempts aggregates from limits of size: they are cut later. Any packet may be one where it does not tell.
    fn is_aggregate(&self) -> bool {
        self.facts
            .as_ref()
            .is_some_and(|facts| facts.packet.gso_size != 0 || facts.present & withheld::SEGMENTS != 0)
    }

    /// TTL or hop limit.
    fn ttl(&self) -> Option<u8> {
        match L3::from_u8(self.event.key.l3) {
            L3::Ipv4 => self.packet.get(8).copied(),
            L3::Ipv6 => self.packet.get(7).copied(),
            L3::Arp | L3::Other => None,
        }
    }

    /// ICMP "fragmentation needed", or ICMPv6 "packet too big".
    fn is_too_big_message(&self) -> bool {
        self.event.flags & Event::HAS_ICMP != 0
            && match L3::from_u8(self.event.key.l3) {
                L3::Ipv4 => (self.event.icmp_type, self.event.icmp_code) == (3, 4),
                L3::Ipv6 => self.event.icmp_type == 2,
                L3::Arp | L3::Other => false,
            }
    }
}

/// A name as the kernel keeps it.
pub fn name(words: [u64; 2]) -> String {
    sanitize_bytes(&bytes_of(words)).into_owned()
}

/// The MTU of a route: its own, else its device's.
pub fn route_mtu(route: &RouteFacts) -> u32 {
    if route.route_mtu != 0 { route.route_mtu } else { route.mtu }
}

/// The longest frame that a device lets in from another device.
pub const fn longest_frame(mtu: u32, header: u32) -> u32 {
    mtu + header + VLAN_SLACK
}

/// Refines the verdict on a drop, which so far rests on reason and location alone.
pub fn judge(drop: &mut Drop<'_>) {
    let refine = [
        (&kinds::UNKNOWN_UNKNOWN, unknown as fn(&mut Verdict, &Drop<'_>)),
        (&kinds::NETFILTER_DROP, netfilter),
        (&kinds::MTU_VETH_PEER, veth_peer),
        (&kinds::MTU_BRIDGE_PORT, bridge_port),
        (&kinds::MTU_BRIDGE_NETFILTER, bridge_netfilter),
        (&kinds::MTU_FORWARD, forward),
        (&kinds::MTU_OUTPUT, output),
        (&kinds::ROUTING_REFUSED, refused),
        (&kinds::QUEUE_QDISC_LIMIT, qdisc),
        (&kinds::SOCKET_RCVBUF, socket_buffer),
    ];
    if drop.verdict.assessment.severity == Severity::Benign {
        return;
    }
    let kind = drop.verdict.assessment.kind;
    if let Some((_, refine)) = refine.iter().find(|(known, _)| *known == kind) {
        let evidence = std::mem::take(&mut drop.verdict.evidence);
        let mut verdict = Verdict { evidence, assessment: drop.verdict.assessment };
        refine(&mut verdict, drop);
        drop.verdict = verdict;
    }
}

/// What there is to know of a drop whose cause is not.
fn unknown(verdict: &mut Verdict, drop: &Drop<'_>) {
    /// Functions on the stack that are reported.
    const FUNCTIONS: usize = 5;
    let reason = drop.described.reason.as_deref().unwrap_or("no reason");
    let here = drop.described.symbol.as_deref();
    let callers = drop.frames.iter().skip_while(|frame| Some(**frame) != here).skip(1).take(FUNCTIONS);
    let callers: Vec<&str> = callers.copied().collect();
    let by =
        if callers.is_empty() { String::new() } else { format!(", called by {}", callers.join(" ← ")) };
    verdict.evidence.push(format!("dropped at {} with {reason}{by}", drop.described.location));
}

fn set(verdict: &mut Verdict, kind: &'static Kind, confidence: Confidence, evidence: String) {
    verdict.assessment = Assessment::new(kind, confidence);
    verdict.evidence.push(evidence);
}

fn netfilter(verdict: &mut Verdict, drop: &Drop<'_>) {
    let found = hook(&drop.frames);
    if let Some(found) = found {
        let who = match found.engine {
            Engine::Nft => "; nf_tables evaluated its rules",
            Engine::Other => "",
            Engine::Queue => "; it was handed to NFQUEUE",
        };
        verdict.evidence.push(format!("at the hook {found}, by the stack{who}"));
    }
    if drop.is_too_big_message() {
        let whose = if is_own_icmp(&drop.frames) { "this host's own" } else { "a router's" };
        let text = format!("the packet is {whose} message that another packet was too big");
        set(verdict, &kinds::NETFILTER_PMTU_BLACKHOLE, Confidence::Certain, text);
    } else if found.is_some_and(|found| found.engine == Engine::Queue) {
        let text = "no program listens on the queue, or it is full".to_owned();
        set(verdict, &kinds::NETFILTER_NFQUEUE_NO_LISTENER, Confidence::Likely, text);
    }
}

/// `__dev_forward_skb2` refuses a frame for its size, or for a device that is down.
fn veth_peer(verdict: &mut Verdict, drop: &Drop<'_>) {
    let Some(peer) = drop.peer() else { return };
    let limit = longest_frame(peer.mtu, peer.hard_header_len.into());
    if peer.flags & UP == 0 {
        let text = format!("{}, the veth's other end, is down", name(peer.name));
        set(verdict, &kinds::DEVICE_DOWN, Confidence::Certain, text);
    } else if drop.event.skb_len > limit && !drop.is_aggregate() {
        let text = format!(
            "frame of {} bytes > {limit}: MTU {} of {}, {} of header, {VLAN_SLACK} of slack",
            drop.event.skb_len,
            peer.mtu,
            name(peer.name),
            peer.hard_header_len
        );
        set(verdict, &kinds::MTU_VETH_PEER, Confidence::Certain, text);
    } else {
        verdict.assessment.confidence = Confidence::Possible;
        if drop.event.skb_len <= limit {
            verdict
                .evidence
                .push(format!("yet {} bytes are within the limit of {limit}", drop.event.skb_len));
        }
    }
}

/// The same check, at the port that the frame was to leave by.
fn bridge_port(verdict: &mut Verdict, drop: &Drop<'_>) {
    let Some(port) = drop.device() else { return };
    let limit = longest_frame(drop.event.mtu, port.hard_header_len.into());
    if port.flags & UP == 0 {
        set(verdict, &kinds::DEVICE_DOWN, Confidence::Certain, "the bridge port is down".to_owned());
    } else if drop.event.skb_len > limit && !drop.is_aggregate() {
        let text = format!("frame of {} bytes > {limit}", drop.event.skb_len);
        set(verdict, &kinds::MTU_BRIDGE_PORT, Confidence::Certain, text);
    }
}

fn bridge_netfilter(verdict: &mut Verdict, drop: &Drop<'_>) {
    if drop.event.mtu != 0 && drop.event.skb_len > drop.event.mtu {
        let text = format!("{} bytes > MTU {} of the bridge port", drop.event.skb_len, drop.event.mtu);
        set(verdict, &kinds::MTU_BRIDGE_NETFILTER, Confidence::Certain, text);
    }
}

fn forward(verdict: &mut Verdict, drop: &Drop<'_>) {
    if let Some(route) = drop.route() {
        let limit = route_mtu(route);
        verdict.evidence.push(format!("{} bytes, route MTU {limit}", drop.event.len));
        // Where the kernel gives no reason, the numbers prove it.
        if limit != 0 && drop.event.len > limit {
            verdict.assessment.confidence = Confidence::Certain;
        }
    }
}

fn output(verdict: &mut Verdict, drop: &Drop<'_>) {
    let limit = drop.route().map_or(drop.event.mtu, route_mtu);
    if limit != 0 && drop.event.len > limit {
        let text = format!("{} bytes > MTU {limit}", drop.event.len);
        set(verdict, &kinds::MTU_OUTPUT, Confidence::Certain, text);
    }
}

/// Forwarding, on a kernel that gives no reason.
fn refused(verdict: &mut Verdict, drop: &Drop<'_>) {
    let is_forwarding = drop.frames.iter().any(|frame| *frame == "ip_forward" || *frame == "ip6_forward");
    if !is_forwarding {
        return;
    }
    if drop.ttl().is_some_and(|ttl| ttl <= 1) {
        set(verdict, &kinds::ROUTING_TTL, Confidence::Certain, "its TTL or hop limit is used up".to_owned());
        return;
    }
    let Some(limit) = drop.route().map(route_mtu).filter(|limit| *limit != 0) else { return };
    if drop.event.len > limit {
        let text = format!("{} bytes > route MTU {limit}", drop.event.len);
        set(verdict, &kinds::MTU_FORWARD, Confidence::Certain, text);
    }
}

/// The reason is the same whether a queue was full, managed, or not there.
fn qdisc(verdict: &mut Verdict, drop: &Drop<'_>) {
    let Some(qdisc) = drop.qdisc() else { return };
    let kind = name(qdisc.kind);
    match kind.as_str() {
        "noop" => {
            let text = "its queue discipline is noop: the device is down or has no carrier".to_owned();
            set(verdict, &kinds::QUEUE_DEVICE_DOWN, Confidence::Certain, text);
        }
        "netem" => {
            let text = "netem drops on purpose".to_owned();
            set(verdict, &kinds::QUEUE_NETEM, Confidence::Likely, text);
        }
        "fq_codel" | "codel" | "fq_pie" | "pie" | "red" | "cake" | "sfb" | "choke" | "gred" | "dualpi2"
            if qdisc.limit == 0 || qdisc.qlen < qdisc.limit =>
        {
            let text = format!("{kind} manages its queue, which was not at its limit");
            set(verdict, &kinds::QUEUE_QDISC_AQM, Confidence::Likely, text);
        }
        _ => verdict.evidence.push(format!(
            "root {kind} {:x}: held {} packets, {} bytes",
            qdisc.handle >> 16,
            qdisc.qlen,
            qdisc.backlog
        )),
    }
}

fn socket_buffer(verdict: &mut Verdict, drop: &Drop<'_>) {
    if let Some(socket) = drop.socket() {
        verdict.evidence.push(format!("receive buffer {} of {} bytes", socket.rmem, socket.rcvbuf));
    }
}

#[cfg(test)]
mod tests;

//! From a drop in detail to its verdict: what the kernel knew at that moment refines what reason and location say.

use lossdrop_common::{
    Event, Facts, L3,
    event::bytes_of,
    facts::{DeviceFacts, NetfilterFacts, PeerFacts, QdiscFacts, RouteFacts, SocketFacts},
};

use crate::{
    decode::untold,
    describe::Described,
    hook::{Engine, hook, is_own_icmp},
    knowledge::{Confidence, Kind, Severity, kinds},
    sanitize::sanitize_bytes,
    verdict::Verdict,
};

/// `IFF_UP`.
const UP: u32 = 1;
/// What the kernel grants a frame beyond its device's MTU: a VLAN tag (`is_skb_forwardable` in `net/core/dev.c`).
pub const VLAN_SLACK: u32 = 4;
/// `ARPHRD_ETHER` frames begin with so many bytes; devices say so in `hard_header_len`.
pub const ETHERNET: u32 = 14;

/// A drop as it was told in detail.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub event: &'a Event,
    pub facts: Option<&'a Facts>,
    /// The functions on the stack, innermost first; empty where it was not taken.
    pub frames: &'a [&'a str],
    /// From the network header on.
    pub packet: &'a [u8],
}

impl Seen<'_> {
    pub fn peer(&self) -> Option<&PeerFacts> {
        self.group(Facts::PEER).map(|facts| &facts.peer)
    }

    pub fn device(&self) -> Option<&DeviceFacts> {
        self.group(Facts::DEVICE).map(|facts| &facts.device)
    }

    pub fn route(&self) -> Option<&RouteFacts> {
        self.group(Facts::ROUTE).map(|facts| &facts.route)
    }

    pub fn qdisc(&self) -> Option<&QdiscFacts> {
        self.group(Facts::QDISC).map(|facts| &facts.qdisc)
    }

    pub fn socket(&self) -> Option<&SocketFacts> {
        self.group(Facts::SOCKET).map(|facts| &facts.socket)
    }

    pub fn netfilter(&self) -> Option<&NetfilterFacts> {
        self.group(Facts::NETFILTER).map(|facts| &facts.netfilter)
    }

    fn group(&self, bit: u32) -> Option<&Facts> {
        self.facts.filter(|facts| facts.present & bit != 0)
    }

    /// The kernel exempts aggregates from limits of size: they are cut later. Any packet may be one where it does not tell.
    fn is_aggregate(&self) -> bool {
        self.facts.is_some_and(|facts| facts.packet.gso_size != 0 || facts.present & untold::SEGMENTS != 0)
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

/// The verdict of a drop.
pub fn judge(described: &Described, seen: &Seen<'_>) -> Verdict {
    let mut verdict = Verdict::of(described);
    let kind = verdict.kind;
    if kind == &kinds::UNKNOWN_UNKNOWN {
        verdict.evidence.push(known(described, seen));
    }
    let refine = [
        (&kinds::NETFILTER_DROP, netfilter as fn(&mut Verdict, &Seen<'_>)),
        (&kinds::MTU_VETH_PEER, veth_peer),
        (&kinds::MTU_BRIDGE_PORT, bridge_port),
        (&kinds::MTU_BRIDGE_NETFILTER, bridge_netfilter),
        (&kinds::MTU_FORWARD, forward),
        (&kinds::MTU_OUTPUT, output),
        (&kinds::ROUTING_REFUSED, refused),
        (&kinds::QUEUE_QDISC_LIMIT, qdisc),
        (&kinds::SOCKET_RCVBUF, socket_buffer),
    ];
    if verdict.severity != Severity::Benign
        && let Some((_, refine)) = refine.iter().find(|(known, _)| *known == kind)
    {
        refine(&mut verdict, seen);
    }
    verdict
}

/// What there is to know of a drop whose cause is not.
fn known(described: &Described, seen: &Seen<'_>) -> String {
    /// Functions on the stack that are told.
    const FUNCTIONS: usize = 5;
    let reason = described.reason.as_deref().unwrap_or("no reason");
    let here = described.symbol.as_deref();
    let callers = seen.frames.iter().skip_while(|frame| Some(**frame) != here).skip(1).take(FUNCTIONS);
    let callers: Vec<&str> = callers.copied().collect();
    let by =
        if callers.is_empty() { String::new() } else { format!(", called by {}", callers.join(" ← ")) };
    format!("dropped at {} with {reason}{by}", described.location)
}

fn set(verdict: &mut Verdict, kind: &'static Kind, confidence: Confidence, evidence: String) {
    verdict.kind = kind;
    verdict.severity = kind.severity;
    verdict.confidence = confidence;
    verdict.evidence.push(evidence);
}

fn netfilter(verdict: &mut Verdict, seen: &Seen<'_>) {
    let found = hook(seen.frames);
    if let Some(found) = found {
        let who = match found.engine {
            Engine::Nft => "; nf_tables evaluated its rules",
            Engine::Other => "",
            Engine::Queue => "; it was handed to NFQUEUE",
        };
        verdict.evidence.push(format!("at the hook {found}, by the stack{who}"));
    }
    if seen.is_too_big_message() {
        let whose = if is_own_icmp(seen.frames) { "this host's own" } else { "a router's" };
        let text = format!("the packet is {whose} message that another packet was too big");
        set(verdict, &kinds::NETFILTER_PMTU_BLACKHOLE, Confidence::Certain, text);
    } else if found.is_some_and(|found| found.engine == Engine::Queue) {
        let text = "nobody listens on the queue, or it is full".to_owned();
        set(verdict, &kinds::NETFILTER_NFQUEUE_NO_LISTENER, Confidence::Likely, text);
    }
}

/// `__dev_forward_skb2` refuses a frame for its size, or for a device that is down.
fn veth_peer(verdict: &mut Verdict, seen: &Seen<'_>) {
    let Some(peer) = seen.peer() else { return };
    let limit = longest_frame(peer.mtu, peer.hard_header_len.into());
    if peer.flags & UP == 0 {
        let text = format!("{}, the veth's other end, is down", name(peer.name));
        set(verdict, &kinds::DEVICE_DOWN, Confidence::Certain, text);
    } else if seen.event.skb_len > limit && !seen.is_aggregate() {
        let text = format!(
            "frame of {} bytes > {limit}: MTU {} of {}, {} of header, {VLAN_SLACK} of slack",
            seen.event.skb_len,
            peer.mtu,
            name(peer.name),
            peer.hard_header_len
        );
        set(verdict, &kinds::MTU_VETH_PEER, Confidence::Certain, text);
    } else {
        verdict.confidence = Confidence::Possible;
        if seen.event.skb_len <= limit {
            verdict
                .evidence
                .push(format!("yet {} bytes are within the limit of {limit}", seen.event.skb_len));
        }
    }
}

/// The same check, at the port that the frame was to leave by.
fn bridge_port(verdict: &mut Verdict, seen: &Seen<'_>) {
    let Some(port) = seen.device() else { return };
    let limit = longest_frame(seen.event.mtu, port.hard_header_len.into());
    if port.flags & UP == 0 {
        set(verdict, &kinds::DEVICE_DOWN, Confidence::Certain, "the bridge port is down".to_owned());
    } else if seen.event.skb_len > limit && !seen.is_aggregate() {
        let text = format!("frame of {} bytes > {limit}", seen.event.skb_len);
        set(verdict, &kinds::MTU_BRIDGE_PORT, Confidence::Certain, text);
    }
}

fn bridge_netfilter(verdict: &mut Verdict, seen: &Seen<'_>) {
    if seen.event.mtu != 0 && seen.event.skb_len > seen.event.mtu {
        let text = format!("{} bytes > MTU {} of the bridge port", seen.event.skb_len, seen.event.mtu);
        set(verdict, &kinds::MTU_BRIDGE_NETFILTER, Confidence::Certain, text);
    }
}

fn forward(verdict: &mut Verdict, seen: &Seen<'_>) {
    if let Some(route) = seen.route() {
        let limit = route_mtu(route);
        verdict.evidence.push(format!("{} bytes, route MTU {limit}", seen.event.len));
        // Where the kernel gives no reason, the numbers prove it.
        if limit != 0 && seen.event.len > limit {
            verdict.confidence = Confidence::Certain;
        }
    }
}

fn output(verdict: &mut Verdict, seen: &Seen<'_>) {
    let limit = seen.route().map_or(seen.event.mtu, route_mtu);
    if limit != 0 && seen.event.len > limit {
        let text = format!("{} bytes > MTU {limit}", seen.event.len);
        set(verdict, &kinds::MTU_OUTPUT, Confidence::Certain, text);
    }
}

/// Forwarding, on a kernel that gives no reason.
fn refused(verdict: &mut Verdict, seen: &Seen<'_>) {
    let is_forwarding = seen.frames.iter().any(|frame| *frame == "ip_forward" || *frame == "ip6_forward");
    if !is_forwarding {
        return;
    }
    if seen.ttl().is_some_and(|ttl| ttl <= 1) {
        set(verdict, &kinds::ROUTING_TTL, Confidence::Certain, "its TTL or hop limit is used up".to_owned());
        return;
    }
    let Some(limit) = seen.route().map(route_mtu).filter(|limit| *limit != 0) else { return };
    if seen.event.len > limit {
        let text = format!("{} bytes > route MTU {limit}", seen.event.len);
        set(verdict, &kinds::MTU_FORWARD, Confidence::Certain, text);
    }
}

/// The reason is the same whether a queue was full, managed, or not there.
fn qdisc(verdict: &mut Verdict, seen: &Seen<'_>) {
    let Some(qdisc) = seen.qdisc() else { return };
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

fn socket_buffer(verdict: &mut Verdict, seen: &Seen<'_>) {
    if let Some(socket) = seen.socket() {
        verdict.evidence.push(format!("receive buffer {} of {} bytes", socket.rmem, socket.rcvbuf));
    }
}

#[cfg(test)]
mod tests;

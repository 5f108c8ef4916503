//! What else the kernel knew, as the JSON output has it: each part only where it is known.

use lossdrop_common::{
    Facts,
    event::bytes_of,
    facts::{NetfilterFacts, PeerFacts, QdiscFacts, RouteFacts, SocketFacts},
};
use serde::Serialize;

use super::json::Netns;
use crate::{identity::Namespace, text::sanitize::sanitize_bytes};

#[derive(Debug, Serialize)]
pub(super) struct FactFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    gso_size: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<Route>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<Peer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qdisc: Option<Qdisc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    socket: Option<Socket>,
    #[serde(skip_serializing_if = "Option::is_none")]
    netfilter: Option<Netfilter>,
}

#[derive(Debug, Serialize)]
struct Route {
    iface: String,
    /// The route's own, else its device's.
    mtu: u32,
}

#[derive(Debug, Serialize)]
struct Peer<'a> {
    index: u32,
    name: String,
    mtu: u32,
    netns: Option<Netns<'a>>,
}

#[derive(Debug, Serialize)]
struct Qdisc {
    kind: String,
    handle: String,
    limit: u32,
    #[serde(flatten)]
    counters: Option<QdiscCounters>,
}

#[derive(Debug, Serialize)]
struct QdiscCounters {
    qlen: u32,
    backlog: u32,
    drops: u32,
}

#[derive(Debug, Serialize)]
struct Socket {
    port: u16,
    rmem: u32,
    rcvbuf: u32,
    backlog: u32,
    wmem: u32,
    sndbuf: u32,
    drops: u32,
    #[serde(flatten)]
    listener: Option<Listener>,
}

#[derive(Debug, Serialize)]
struct Listener {
    accept_queue: u32,
    accept_limit: u32,
}

#[derive(Debug, Serialize)]
struct Netfilter {
    hook: u8,
    pf: u8,
    #[serde(skip_serializing_if = "String::is_empty")]
    table: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<u8>,
    #[serde(skip_serializing_if = "String::is_empty")]
    chain: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    handle: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    conntrack: bool,
}

impl<'a> FactFields<'a> {
    /// `peer_netns`: the name of the namespace that a veth's other end is in. `in_netfilter`: that is where the packet died.
    pub(super) fn new(facts: &Facts, peer_netns: Option<&'a Namespace>, in_netfilter: bool) -> Self {
        let has = |group| facts.present & group != 0;
        Self {
            gso_size: (facts.packet.gso_size != 0).then_some(facts.packet.gso_size),
            route: has(Facts::ROUTE).then(|| route(&facts.route)),
            peer: has(Facts::PEER).then(|| peer(&facts.peer, peer_netns)),
            qdisc: has(Facts::QDISC).then(|| qdisc(&facts.qdisc)).filter(|qdisc| qdisc.kind != NO_QUEUE),
            socket: has(Facts::SOCKET).then(|| socket(&facts.socket)),
            netfilter: (in_netfilter && has(Facts::NETFILTER)).then(|| netfilter(&facts.netfilter)),
        }
    }
}

/// The queueing discipline of devices that have none.
const NO_QUEUE: &str = "noqueue";

fn text(words: [u64; 2]) -> String {
    sanitize_bytes(&bytes_of(words)).into_owned()
}

fn long_text([a, b, c, d]: [u64; 4]) -> String {
    sanitize_bytes([bytes_of([a, b]), bytes_of([c, d])].as_flattened()).into_owned()
}

fn route(route: &RouteFacts) -> Route {
    let mtu = if route.route_mtu == 0 { route.mtu } else { route.route_mtu };
    Route { iface: text(route.name), mtu }
}

fn peer<'a>(peer: &PeerFacts, netns: Option<&'a Namespace>) -> Peer<'a> {
    Peer { index: peer.ifindex, name: text(peer.name), mtu: peer.mtu, netns: Netns::of(peer.netns, netns) }
}

fn qdisc(qdisc: &QdiscFacts) -> Qdisc {
    let (major, minor) = (qdisc.handle >> 16, qdisc.handle & 0xffff);
    let handle = if minor == 0 { format!("{major:x}:") } else { format!("{major:x}:{minor:x}") };
    let counts = qdisc.flags & QdiscFacts::PER_CPU == 0;
    let counters =
        counts.then_some(QdiscCounters { qlen: qdisc.qlen, backlog: qdisc.backlog, drops: qdisc.drops });
    Qdisc { kind: text(qdisc.kind), handle, limit: qdisc.limit, counters }
}

fn socket(socket: &SocketFacts) -> Socket {
    /// `TCP_LISTEN` (`include/net/tcp_states.h`).
    const LISTEN: u8 = 10;
    let listener = (socket.state == LISTEN)
        .then_some(Listener { accept_queue: socket.ack_backlog, accept_limit: socket.max_ack_backlog });
    Socket {
        port: socket.port,
        rmem: socket.rmem,
        rcvbuf: socket.rcvbuf,
        backlog: socket.backlog,
        wmem: socket.wmem,
        sndbuf: socket.sndbuf,
        drops: socket.drops,
        listener,
    }
}

fn netfilter(netfilter: &NetfilterFacts) -> Netfilter {
    let has = |flag| netfilter.flags & flag != 0;
    Netfilter {
        hook: netfilter.hook,
        pf: netfilter.pf,
        table: long_text(netfilter.table),
        family: has(NetfilterFacts::NFT).then_some(netfilter.family),
        chain: long_text(netfilter.chain),
        handle: (netfilter.rule_handle != 0).then_some(netfilter.rule_handle),
        conntrack: has(NetfilterFacts::CONNTRACK),
    }
}

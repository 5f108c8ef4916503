//! The kernel's own counters against the drops that were traced: what explains each that moved, and what nothing does.

use lossdrop_common::{
    DropKey, L3,
    parse::{IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP},
};

use super::{
    context::Context,
    finding::{CounterLine, Finding},
};
use crate::{
    knowledge::{Class, Confidence, Kind, kinds},
    machine::{Moved, Scope},
};

/// Whose counter a row of the table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Link,
    Qdisc,
    Protocol,
    Conntrack,
    Softnet,
    NfQueue,
}

/// How a drop is found to be one that a counter counted.
#[derive(Clone, Copy, Debug)]
enum Where {
    /// The packet was at the counter's device.
    AtDevice,
    /// The counter's device is the culprit: for a veth, not the one that the packet was at.
    Culprit,
    /// Anywhere in the counter's namespace.
    Netns,
    /// Anywhere.
    Anywhere,
}

/// A counter that tells of losses, and the kinds of drop that move it.
struct Known {
    of: Of,
    name: &'static str,
    place: Where,
    l3: Option<L3>,
    l4: Option<u8>,
    kinds: &'static [&'static Kind],
    remark: &'static str,
}

/// Rows: `Of "name" place (l3)? (l4)?: [KINDS] "remark"?;`.
macro_rules! counters {
    ($($of:ident $name:literal $place:ident $(l3 $l3:ident)? $(l4 $l4:ident)?: [$($kind:ident)*] $($remark:literal)?;)+) => {
        &[$(Known {
            of: Of::$of,
            name: $name,
            place: Where::$place,
            l3: counters!(@l3 $($l3)?),
            l4: counters!(@l4 $($l4)?),
            kinds: &[$(&kinds::$kind),*],
            remark: concat!($($remark)?),
        }),+]
    };
    (@l3) => { None };
    (@l3 $l3:ident) => { Some(L3::$l3) };
    (@l4) => { None };
    (@l4 $l4:ident) => { Some($l4) };
}

/// The counters of the kernel that tell of losses (`include/uapi/linux/snmp.h`, `struct rtnl_link_stats64`, `tc -s`,
/// `/proc/net/softnet_stat`, `/proc/net/stat/nf_conntrack`). The first row that fits a counter holds.
static COUNTERS: &[Known] = counters! {
    Link "rx_dropped" Culprit: [MTU_VETH_PEER DEVICE_DOWN];
    Link "rx_dropped" AtDevice: [QUEUE_CPU_BACKLOG HOUSEKEEPING_UNHANDLED_PROTOCOL BPF_XDP DEVICE_REFUSED];
    Link "tx_dropped" AtDevice: [MTU_VETH_PEER DEVICE_DOWN QUEUE_TUN_RING QUEUE_VETH_RING BPF_TAP DEVICE_SEGMENTATION
        DEVICE_BOND DEVICE_MACVLAN DEVICE_TUN MTU_BRIDGE_PORT TUNNEL_SEND TUNNEL_WIREGUARD DEVICE_BRIDGE_NO_PORT
        NEIGHBOUR_UNREACHABLE];
    Link "rx_nohandler" AtDevice: [HOUSEKEEPING_UNHANDLED_PROTOCOL];
    Link "rx_errors" AtDevice: [];
    Link "tx_errors" AtDevice: [TUNNEL_SEND TUNNEL_WIREGUARD MTU_OUTPUT MTU_TUNNEL];
    Link "rx_missed_errors" AtDevice: [];
    Link "rx_over_errors" AtDevice: [];
    Link "rx_fifo_errors" AtDevice: [];
    Link "rx_crc_errors" AtDevice: [];
    Link "rx_length_errors" AtDevice: [];
    Link "rx_frame_errors" AtDevice: [];
    Link "tx_carrier_errors" AtDevice: [];
    Qdisc "drops" AtDevice: [QUEUE_QDISC_LIMIT QUEUE_QDISC_AQM QUEUE_QDISC_OVERSIZE QUEUE_NETEM BPF_TC_INGRESS
        BPF_TC_EGRESS BPF_TC_POLICE];
    Softnet "dropped" Anywhere: [QUEUE_CPU_BACKLOG];
    Conntrack "drop" Netns: [NETFILTER_CONNTRACK_FULL NETFILTER_CONNTRACK_RACE];
    Conntrack "early_drop" Netns: [NETFILTER_CONNTRACK_FULL];
    Conntrack "insert_failed" Netns: [NETFILTER_CONNTRACK_RACE];
    Conntrack "invalid" Netns: [NETFILTER_CONNTRACK_INVALID];
    NfQueue "queue_dropped" Netns: [NETFILTER_NFQUEUE_FULL];
    NfQueue "user_dropped" Netns: [NETFILTER_NFQUEUE_FULL];
    Protocol "UdpNoPorts" Netns l3 Ipv4 l4 IPPROTO_UDP: [SOCKET_CLOSED_PORT];
    Protocol "Udp6NoPorts" Netns l3 Ipv6 l4 IPPROTO_UDP: [SOCKET_CLOSED_PORT];
    Protocol "UdpRcvbufErrors" Netns l3 Ipv4 l4 IPPROTO_UDP: [SOCKET_RCVBUF];
    Protocol "Udp6RcvbufErrors" Netns l3 Ipv6 l4 IPPROTO_UDP: [SOCKET_RCVBUF];
    Protocol "UdpMemErrors" Netns l3 Ipv4 l4 IPPROTO_UDP: [MEMORY_PROTOCOL];
    Protocol "Udp6MemErrors" Netns l3 Ipv6 l4 IPPROTO_UDP: [MEMORY_PROTOCOL];
    Protocol "UdpInCsumErrors" Netns l3 Ipv4: [CHECKSUM_UDP];
    Protocol "Udp6InCsumErrors" Netns l3 Ipv6: [CHECKSUM_UDP];
    Protocol "UdpInErrors" Netns l3 Ipv4 l4 IPPROTO_UDP: [SOCKET_RCVBUF SOCKET_FILTER BPF_CGROUP_INGRESS CHECKSUM_UDP
        MEMORY_PROTOCOL MALFORMED_LENGTH];
    Protocol "Udp6InErrors" Netns l3 Ipv6 l4 IPPROTO_UDP: [SOCKET_RCVBUF SOCKET_FILTER BPF_CGROUP_INGRESS CHECKSUM_UDP
        MEMORY_PROTOCOL MALFORMED_LENGTH];
    Protocol "UdpSndbufErrors" Netns l3 Ipv4 l4 IPPROTO_UDP: [MTU_VETH_PEER DEVICE_DOWN QUEUE_QDISC_LIMIT
        QUEUE_QDISC_AQM QUEUE_QDISC_OVERSIZE QUEUE_NETEM QUEUE_DEVICE_DOWN QUEUE_TUN_RING BPF_TC_EGRESS BPF_TC_POLICE NETFILTER_RULE
        NETFILTER_POLICY];
    Protocol "UdpSndbufErrors" Netns: [SOCKET_SEND_BUFFER];
    Protocol "Udp6SndbufErrors" Netns l3 Ipv6 l4 IPPROTO_UDP: [MTU_VETH_PEER DEVICE_DOWN QUEUE_QDISC_LIMIT
        QUEUE_QDISC_AQM QUEUE_QDISC_OVERSIZE QUEUE_NETEM QUEUE_DEVICE_DOWN QUEUE_TUN_RING BPF_TC_EGRESS BPF_TC_POLICE NETFILTER_RULE
        NETFILTER_POLICY];
    Protocol "Udp6SndbufErrors" Netns: [SOCKET_SEND_BUFFER];
    Protocol "TcpInCsumErrors" Netns l4 IPPROTO_TCP: [CHECKSUM_TCP];
    Protocol "TcpInErrs" Netns l4 IPPROTO_TCP: [CHECKSUM_TCP MALFORMED_LENGTH MALFORMED_HEADER TCP_STATE];
    Protocol "IcmpInCsumErrors" Netns l4 IPPROTO_ICMP: [CHECKSUM_ICMP];
    Protocol "IcmpInErrors" Netns l4 IPPROTO_ICMP: [CHECKSUM_ICMP MALFORMED_LENGTH MALFORMED_HEADER MALFORMED_PROTOCOL];
    Protocol "IpInHdrErrors" Netns l3 Ipv4: [MALFORMED_HEADER MALFORMED_LENGTH CHECKSUM_IP ROUTING_TTL];
    Protocol "Ip6InHdrErrors" Netns l3 Ipv6: [MALFORMED_HEADER MALFORMED_LENGTH ROUTING_TTL MALFORMED_EXTENSION];
    Protocol "IpExtInCsumErrors" Netns l3 Ipv4: [CHECKSUM_IP];
    Protocol "IpExtInTruncatedPkts" Netns l3 Ipv4: [MALFORMED_LENGTH];
    Protocol "Ip6InTruncatedPkts" Netns l3 Ipv6: [MALFORMED_LENGTH];
    Protocol "IpInAddrErrors" Netns l3 Ipv4: [ROUTING_FORWARDING_OFF ROUTING_UNREACHABLE ROUTING_PROHIBIT ROUTING_BLACKHOLE
        ROUTING_NO_ROUTE ROUTING_REFUSED];
    Protocol "Ip6InAddrErrors" Netns l3 Ipv6: [ROUTING_FORWARDING_OFF ROUTING_UNREACHABLE ROUTING_PROHIBIT ROUTING_REFUSED
        ROUTING_MARTIAN];
    Protocol "IpExtInNoRoutes" Netns l3 Ipv4: [ROUTING_NO_ROUTE ROUTING_UNREACHABLE];
    Protocol "Ip6InNoRoutes" Netns l3 Ipv6: [ROUTING_NO_ROUTE ROUTING_UNREACHABLE ROUTING_PROHIBIT ROUTING_BLACKHOLE];
    Protocol "IpOutNoRoutes" Netns l3 Ipv4: [ROUTING_NO_ROUTE] "also sends that failed with an error and never made a packet";
    Protocol "Ip6OutNoRoutes" Netns l3 Ipv6: [ROUTING_NO_ROUTE] "also sends that failed with an error and never made a packet";
    Protocol "TcpExtIPReversePathFilter" Netns: [ROUTING_RP_FILTER];
    Protocol "IpFragFails" Netns l3 Ipv4: [MTU_FORWARD MTU_OUTPUT MTU_TUNNEL];
    Protocol "Ip6FragFails" Netns l3 Ipv6: [MTU_FORWARD MTU_OUTPUT MTU_TUNNEL];
    Protocol "Ip6InTooBigErrors" Netns l3 Ipv6: [MTU_FORWARD];
    Protocol "IpReasmFails" Netns l3 Ipv4: [MTU_REASSEMBLY MTU_FRAGMENT];
    Protocol "IpReasmTimeout" Netns l3 Ipv4: [MTU_REASSEMBLY];
    Protocol "Ip6ReasmFails" Netns l3 Ipv6: [MTU_REASSEMBLY MTU_FRAGMENT];
    Protocol "Ip6ReasmTimeout" Netns l3 Ipv6: [MTU_REASSEMBLY];
    Protocol "IpInDiscards" Netns l3 Ipv4: [MEMORY_ALLOCATION];
    Protocol "Ip6InDiscards" Netns l3 Ipv6: [MEMORY_ALLOCATION ROUTING_IPV6_DISABLED];
    Protocol "IpOutDiscards" Netns l3 Ipv4: [NETFILTER_DROP NETFILTER_RULE NETFILTER_POLICY NETFILTER_REJECT MEMORY_ALLOCATION
        NEIGHBOUR_TABLE_FULL BPF_CGROUP_EGRESS BPF_TC_EGRESS BPF_TC_POLICE MTU_VETH_PEER QUEUE_QDISC_LIMIT QUEUE_QDISC_OVERSIZE
        QUEUE_QDISC_AQM QUEUE_NETEM QUEUE_DEVICE_DOWN];
    Protocol "Ip6OutDiscards" Netns l3 Ipv6: [NETFILTER_DROP NETFILTER_RULE NETFILTER_POLICY NETFILTER_REJECT
        MEMORY_ALLOCATION BPF_CGROUP_EGRESS BPF_TC_EGRESS BPF_TC_POLICE MTU_VETH_PEER QUEUE_QDISC_LIMIT QUEUE_QDISC_OVERSIZE QUEUE_QDISC_AQM
        QUEUE_NETEM QUEUE_DEVICE_DOWN];
    Protocol "IpInUnknownProtos" Netns l3 Ipv4: [SOCKET_PROTOCOL];
    Protocol "Ip6InUnknownProtos" Netns l3 Ipv6: [SOCKET_PROTOCOL];
    Protocol "TcpExtListenOverflows" Netns: [SOCKET_ACCEPT_QUEUE];
    Protocol "TcpExtListenDrops" Netns: [SOCKET_ACCEPT_QUEUE SOCKET_SYN_QUEUE];
    Protocol "TcpExtTCPReqQFullDrop" Netns: [SOCKET_SYN_QUEUE];
    Protocol "TcpExtTCPBacklogDrop" Netns: [SOCKET_BACKLOG];
    Protocol "TcpExtTCPRcvQDrop" Netns: [MEMORY_PROTOCOL];
    Protocol "TcpExtTCPZeroWindowDrop" Netns: [SOCKET_ZERO_WINDOW];
    Protocol "TcpExtTCPOFODrop" Netns: [SOCKET_ZERO_WINDOW MEMORY_PROTOCOL];
    Protocol "TcpExtPFMemallocDrop" Netns: [MEMORY_ALLOCATION];
    Protocol "TcpExtTCPMinTTLDrop" Netns: [TCP_STATE];
};

/// Drops of one key that a finding, or noise, stands for.
#[derive(Clone, Debug)]
pub struct Part {
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

impl Known {
    fn fits(&self, part: &Part, moved: &Moved) -> bool {
        let (device, index) = match &moved.scope {
            Scope::Link { name, index } => (name.as_str(), *index),
            Scope::Qdisc { index, .. } => ("", *index),
            _ => ("", 0),
        };
        self.kinds.contains(&part.kind)
            && self.l3.is_none_or(|l3| l3 == L3::from_u8(part.key.l3))
            && self.l4.is_none_or(|l4| l4 == part.key.l4)
            && match self.place {
                Where::AtDevice => moved.netns == Some(part.key.netns) && part.key.ifindex == index,
                Where::Culprit => moved.netns == Some(part.netns) && part.device == device,
                Where::Netns => {
                    moved.netns.is_some_and(|netns| netns == part.key.netns || netns == part.netns)
                }
                Where::Anywhere => true,
            }
    }
}

/// Makes sure what a counter confirms that counts nothing else: it rose by as many as died.
pub fn confirm(context: &Context, findings: &mut [(Finding, Vec<Part>)]) {
    for moved in &context.moved {
        let rows = rows(moved);
        let fits = |part: &Part| rows.iter().any(|known| known.kinds.len() == 1 && known.fits(part, moved));
        let counted: u64 = findings
            .iter()
            .flat_map(|(_, parts)| parts)
            .filter(|part| fits(part))
            .map(|part| part.count)
            .sum();
        if counted != moved.delta || rows.iter().any(|known| known.kinds.len() != 1) {
            continue;
        }
        for (finding, parts) in findings.iter_mut() {
            if finding.confidence < Confidence::Certain && !parts.is_empty() && parts.iter().all(fits) {
                finding.confidence = Confidence::Certain;
                finding.evidence.push(format!("{} rose by {}, as many as died", moved.name, moved.delta));
            }
        }
    }
}

/// What is known of a counter: nothing of one that tells of no loss.
fn rows(moved: &Moved) -> Vec<&'static Known> {
    let kind = of(&moved.scope);
    COUNTERS.iter().filter(|known| Some(known.of) == kind && known.name == moved.name).collect()
}

/// A line for each counter of losses that moved.
pub fn lines(context: &Context, parts: &[Part], findings: &[Finding]) -> Vec<CounterLine> {
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
    for part in parts.iter().filter(|part| rows.iter().any(|known| known.fits(part, moved))) {
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
        let culprit = finding.culprit.as_ref().filter(|_| finding.cause == Class::Netfilter.as_str())?;
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
pub fn moved(context: &Context, netns: u32, name: &str) -> u64 {
    let own = context.moved.iter().filter(|moved| {
        moved.netns == Some(netns) && moved.name == name && matches!(moved.scope, Scope::Snmp | Scope::Xfrm)
    });
    own.map(|moved| moved.delta).sum()
}

#[cfg(test)]
mod tests;

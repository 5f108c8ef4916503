//! Where a kernel gives no reason, one function drops for several: its counters tell for which.

use crate::{
    diagnose::{context::Context, group::Group, reconcile},
    drops::verdict::Verdict,
    knowledge::{Condition, Confidence, Kind, LATE, MULTICAST, kinds},
};

/// What the location says, and what it was if one counter rose and another did not.
struct Alternative {
    said: &'static Kind,
    /// `None` where it is enough that the other did not rise.
    counter: Option<&'static str>,
    /// Rises for what the location says.
    unless: Option<&'static str>,
    kind: &'static Kind,
    /// Holds for such packets.
    only: Option<Condition>,
}

const fn alternative(
    said: &'static Kind,
    counter: &'static str,
    unless: Option<&'static str>,
    kind: &'static Kind,
) -> Alternative {
    Alternative { said, counter: Some(counter), unless, kind, only: None }
}

/// The first that fits holds: some counters are moved by what moves another one before them, too.
static ALTERNATIVES: [Alternative; 22] = {
    use kinds::*;
    [
        alternative(&SOCKET_CLOSED_PORT, "UdpInCsumErrors", Some("UdpNoPorts"), &CHECKSUM_UDP),
        alternative(&SOCKET_CLOSED_PORT, "Udp6InCsumErrors", Some("Udp6NoPorts"), &CHECKSUM_UDP),
        alternative(&SOCKET_CLOSED_PORT, "UdpInErrors", Some("UdpNoPorts"), &MALFORMED_LENGTH),
        alternative(&SOCKET_CLOSED_PORT, "Udp6InErrors", Some("Udp6NoPorts"), &MALFORMED_LENGTH),
        alternative(&SOCKET_CLOSED_PORT, "TcpInCsumErrors", Some("TcpOutRsts"), &CHECKSUM_TCP),
        alternative(&TCP_STATE, "TcpInCsumErrors", Some("TcpOutRsts"), &CHECKSUM_TCP),
        alternative(&SOCKET_RCVBUF, "UdpInCsumErrors", Some("UdpRcvbufErrors"), &CHECKSUM_UDP),
        alternative(&SOCKET_RCVBUF, "Udp6InCsumErrors", Some("Udp6RcvbufErrors"), &CHECKSUM_UDP),
        alternative(&SOCKET_RCVBUF, "XfrmInPolBlock", Some("UdpRcvbufErrors"), &XFRM_POLICY),
        alternative(&SOCKET_RCVBUF, "XfrmInNoPols", Some("UdpRcvbufErrors"), &XFRM_POLICY),
        alternative(&SOCKET_RCVBUF, "UdpInErrors", Some("UdpRcvbufErrors"), &SOCKET_FILTER),
        alternative(&SOCKET_RCVBUF, "Udp6InErrors", Some("Udp6RcvbufErrors"), &SOCKET_FILTER),
        alternative(&MALFORMED_PROTOCOL, "IcmpInCsumErrors", None, &CHECKSUM_ICMP),
        alternative(&MALFORMED_HEADER, "IpExtInCsumErrors", None, &CHECKSUM_IP),
        alternative(&MALFORMED_HEADER, "IpExtInTruncatedPkts", None, &MALFORMED_LENGTH),
        alternative(&MALFORMED_HEADER, "Ip6InTruncatedPkts", None, &MALFORMED_LENGTH),
        alternative(&ROUTING_MARTIAN, "TcpExtIPReversePathFilter", None, &ROUTING_RP_FILTER),
        alternative(&ROUTING_REFUSED, "XfrmInPolBlock", None, &XFRM_POLICY),
        alternative(&ROUTING_REFUSED, "XfrmInNoPols", None, &XFRM_POLICY),
        alternative(&ROUTING_IPV6_DISABLED, "Ip6InDiscards", Some("Ip6InHdrErrors"), &ROUTING_IPV6_DISABLED),
        Alternative {
            said: &ROUTING_MARTIAN,
            counter: None,
            unless: Some("TcpExtIPReversePathFilter"),
            kind: &HOUSEKEEPING_MULTICAST,
            only: Some(MULTICAST),
        },
        // Each got the reset of a segment that finds no connection.
        Alternative {
            only: Some(LATE),
            ..alternative(&TCP_STATE, "TcpOutRsts", Some("TcpInCsumErrors"), &HOUSEKEEPING_CLOSING)
        },
    ]
};

/// Corrects the verdict on a group that is not sure.
pub(in crate::diagnose) fn recount(group: &mut Group, context: &Context) {
    if group.verdict.confidence == Confidence::Certain {
        return;
    }
    let moved = |name| reconcile::moved(context, group.key.netns, name);
    let are = |condition: &Condition| group.keys.keys().all(|key| (condition.holds)(key));
    let fits = |alternative: &&Alternative| {
        alternative.said == group.verdict.kind
            && alternative.counter.is_none_or(|name| moved(name) >= group.count)
            && alternative.only.as_ref().is_none_or(are)
            && alternative.unless.is_none_or(|name| moved(name) == 0)
    };
    let Some(Alternative { counter, unless, kind, .. }) = ALTERNATIVES.iter().find(fits) else { return };
    let (confidence, evidence) = match (counter, unless) {
        (Some(counter), _) if moved(counter) == group.count => {
            (Confidence::Certain, format!("the counter {counter} rose by {}, as many as died", group.count))
        }
        (Some(counter), _) => (
            Confidence::Likely,
            format!("the counter {counter} rose by {}, and {} died", moved(counter), group.count),
        ),
        (None, unless) => {
            (Confidence::Likely, format!("the counter {} did not rise", unless.unwrap_or_default()))
        }
    };
    group.verdict = Verdict { kind, severity: kind.severity, confidence, evidence: vec![evidence] };
}

//! Where a kernel gives no reason, one function drops for several: its counters tell for which.

use crate::{
    diagnose::{context::Context, group::Group, reconcile},
    knowledge::{Confidence, Kind, kinds},
};

/// What the location says, and what it was if one counter rose and another did not.
struct Alternative {
    said: &'static Kind,
    counter: &'static str,
    /// Rises for what the location says.
    unless: Option<&'static str>,
    kind: &'static Kind,
}

const fn alternative(
    said: &'static Kind,
    counter: &'static str,
    unless: Option<&'static str>,
    kind: &'static Kind,
) -> Alternative {
    Alternative { said, counter, unless, kind }
}

/// A wrong length moves only a counter that a wrong checksum moves, too: it comes after it.
static ALTERNATIVES: [Alternative; 11] = [
    alternative(&kinds::SOCKET_CLOSED_PORT, "UdpInCsumErrors", Some("UdpNoPorts"), &kinds::CHECKSUM_UDP),
    alternative(&kinds::SOCKET_CLOSED_PORT, "Udp6InCsumErrors", Some("Udp6NoPorts"), &kinds::CHECKSUM_UDP),
    alternative(&kinds::SOCKET_CLOSED_PORT, "TcpInCsumErrors", Some("TcpOutRsts"), &kinds::CHECKSUM_TCP),
    alternative(&kinds::TCP_STATE, "TcpInCsumErrors", Some("TcpOutRsts"), &kinds::CHECKSUM_TCP),
    alternative(&kinds::SOCKET_CLOSED_PORT, "UdpInErrors", Some("UdpNoPorts"), &kinds::MALFORMED_LENGTH),
    alternative(&kinds::SOCKET_CLOSED_PORT, "Udp6InErrors", Some("Udp6NoPorts"), &kinds::MALFORMED_LENGTH),
    alternative(&kinds::MALFORMED_PROTOCOL, "IcmpInCsumErrors", None, &kinds::CHECKSUM_ICMP),
    alternative(&kinds::MALFORMED_HEADER, "IpExtInCsumErrors", None, &kinds::CHECKSUM_IP),
    alternative(&kinds::MALFORMED_HEADER, "IpExtInTruncatedPkts", None, &kinds::MALFORMED_LENGTH),
    alternative(&kinds::MALFORMED_HEADER, "Ip6InTruncatedPkts", None, &kinds::MALFORMED_LENGTH),
    alternative(&kinds::ROUTING_MARTIAN, "TcpExtIPReversePathFilter", None, &kinds::ROUTING_RP_FILTER),
];

/// Corrects the verdict on a group that is not sure.
pub(super) fn judge(group: &mut Group, context: &Context) {
    if group.verdict.confidence == Confidence::Certain {
        return;
    }
    let moved = |name| reconcile::moved(context, group.key.netns, name);
    let fits = |alternative: &&Alternative| {
        alternative.said == group.verdict.kind
            && moved(alternative.counter) >= group.count
            && alternative.unless.is_none_or(|name| moved(name) == 0)
    };
    let Some(Alternative { counter, kind, .. }) = ALTERNATIVES.iter().find(fits) else { return };
    let rose = moved(counter);
    let exactly = rose == group.count;
    group.verdict.kind = kind;
    group.verdict.severity = kind.severity;
    group.verdict.confidence = if exactly { Confidence::Certain } else { Confidence::Likely };
    group.verdict.evidence = vec![if exactly {
        format!("the counter {counter} rose by {rose}, as many as died")
    } else {
        format!("the counter {counter} rose by {rose}, more than died")
    }];
}

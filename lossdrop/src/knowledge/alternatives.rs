//! Where a kernel gives no reason, one function drops for several: its counters tell for which.

use super::{Condition, Kind, LATE, MULTICAST, kinds};

/// What the location says, and what it was if one counter rose and another did not.
#[derive(Clone, Debug)]
pub struct Alternative {
    pub said: &'static Kind,
    /// `None` where it is enough that the other did not rise.
    pub counter: Option<&'static str>,
    /// Rises for what the location says.
    pub unless: Option<&'static str>,
    pub kind: &'static Kind,
    /// Holds for such packets.
    pub only: Option<Condition>,
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
pub static ALTERNATIVES: [Alternative; 22] = {
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

//! The protocols that have a name here.

use lossdrop_common::PROTO_ARP;

/// Protocols that have a name.
pub const PROTOCOLS: [(&str, u32); 6] =
    [("tcp", 6), ("udp", 17), ("icmp", 1), ("icmpv6", 58), ("sctp", 132), ("arp", PROTO_ARP)];

/// The name of an IP protocol, if it has one here.
pub fn protocol_name(number: u32) -> Option<&'static str> {
    PROTOCOLS.iter().find(|(_, known)| *known == number).map(|(name, _)| *name)
}

//! What a rule can see of a packet.

use std::net::IpAddr;

use super::values::device_number;

/// A packet as far as it is known. `None`: not known, so that a rule which asks for it may match or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Packet {
    /// The Ethernet type: 0x0800 for IPv4.
    pub ether_type: Option<u16>,
    /// Source address; of ARP, the sender's.
    pub source: Option<IpAddr>,
    /// Destination address; of ARP, the target's.
    pub destination: Option<IpAddr>,
    /// The IP protocol, behind any extension headers.
    pub protocol: Option<u8>,
    /// Source port.
    pub source_port: Option<u16>,
    /// Destination port.
    pub destination_port: Option<u16>,
    /// TCP's flags, FIN being 1.
    pub tcp_flags: Option<u8>,
    /// ICMP's or ICMPv6's type.
    pub icmp_type: Option<u8>,
    /// ICMP's or ICMPv6's code.
    pub icmp_code: Option<u8>,
    /// Bytes from the IP header on.
    pub length: Option<u32>,
    /// TTL or hop limit.
    pub ttl: Option<u8>,
    /// TOS or traffic class.
    pub tos: Option<u8>,
    /// IPv4's word of fragment flags and offset; IPv6's offset in it where there is a fragment header, else 0.
    pub fragment: Option<u16>,
    /// The device it came in by; empty: none.
    pub input_device: Option<String>,
    /// The device it is to leave by; empty: none.
    pub output_device: Option<String>,
    /// Its mark.
    pub mark: Option<u32>,
    /// What conntrack thinks of it.
    pub connection: Option<ConnectionState>,
    /// It goes against the direction of the connection's first packet.
    pub reply: Option<bool>,
    /// Source MAC address.
    pub ether_source: Option<[u8; 6]>,
    /// Destination MAC address.
    pub ether_destination: Option<[u8; 6]>,
    /// `skb->pkt_type`: 0 to us, 1 broadcast, 2 multicast, 3 to another host, 4 sent by us.
    pub packet_type: Option<u8>,
    /// ARP's operation: 1 request, 2 reply.
    pub arp_operation: Option<u16>,
}

/// What conntrack thinks of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionState {
    /// It belongs nowhere.
    Invalid,
    /// Of a connection that was answered.
    Established,
    /// Begins a connection that another one announced, or is an ICMP error of one.
    Related,
    /// Begins one, or was not answered yet.
    New,
    /// Rules keep conntrack from it.
    Untracked,
}

impl ConnectionState {
    /// nft's bit for it (`NF_CT_STATE_BIT`, `NF_CT_STATE_INVALID_BIT` and `NF_CT_STATE_UNTRACKED_BIT`).
    pub(crate) const fn bit(self) -> u8 {
        match self {
            Self::Invalid => 1,
            Self::Established => 2,
            Self::Related => 4,
            Self::New => 8,
            Self::Untracked => 64,
        }
    }
}

/// Something that a rule compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// 2 for IPv4, 10 for IPv6 (`NFPROTO_*`).
    NfProtocol,
    /// The Ethernet type.
    EtherType,
    /// Source MAC address.
    EtherSource,
    /// Destination MAC address.
    EtherDestination,
    /// Of IPv4.
    Ip4Source,
    /// Of IPv4.
    Ip4Destination,
    /// Of IPv6.
    Ip6Source,
    /// Of IPv6.
    Ip6Destination,
    /// The IP protocol of either version.
    Protocol,
    /// IPv4's protocol.
    Ip4Protocol,
    /// IPv6's.
    Ip6Protocol,
    /// Length of the IP packet.
    Length,
    /// IPv4's length.
    Ip4Length,
    /// IPv4's TTL.
    Ip4Ttl,
    /// IPv6's hop limit.
    Ip6HopLimit,
    /// IPv4's DSCP.
    Ip4Dscp,
    /// IPv6's DSCP.
    Ip6Dscp,
    /// DSCP of either version.
    Dscp,
    /// Upper bits of either version's hop count: TTL or hop limit.
    Ttl,
    /// IPv4's word of fragment flags and offset.
    Ip4Fragment,
    /// A port: of this protocol, or of any that has ports.
    SourcePort(Option<u8>),
    /// Likewise.
    DestinationPort(Option<u8>),
    /// TCP's flags.
    TcpFlags,
    /// ICMP's type.
    IcmpType,
    /// ICMP's code.
    IcmpCode,
    /// ICMPv6's type.
    Icmp6Type,
    /// ICMPv6's code.
    Icmp6Code,
    /// The device it came in by.
    InputDevice,
    /// The device it is to leave by.
    OutputDevice,
    /// The mark.
    Mark,
    /// Bit of [`ConnectionState`].
    ConnectionState,
    /// 1 for a reply.
    ConnectionDirection,
    /// `skb->pkt_type`.
    PacketType,
    /// Of ARP.
    ArpOperation,
    /// The sender's IPv4 address.
    ArpSource,
    /// The target's.
    ArpDestination,
}

/// What is in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// This.
    Value(u128),
    /// The packet has no such field: nothing matches.
    Absent,
    /// Not known.
    Unknown,
}

impl Read {
    fn of(value: Option<impl Into<u128>>) -> Self {
        value.map_or(Self::Unknown, |value| Self::Value(value.into()))
    }

    /// Absent unless `there`.
    fn when(self, there: Option<bool>) -> Self {
        match there {
            Some(true) => self,
            Some(false) => Self::Absent,
            None => Self::Unknown,
        }
    }
}

const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;
/// TCP, UDP, DCCP, SCTP and UDP-Lite.
const WITH_PORTS: [u8; 5] = [TCP, 17, 33, 132, 136];

impl Packet {
    /// What is in a field.
    pub(crate) fn read(&self, field: Field) -> Read {
        match field {
            Field::NfProtocol => match self.ether_type {
                Some(0x0800) => Read::Value(2),
                Some(0x86dd) => Read::Value(10),
                Some(0x0806) => Read::Value(3),
                _ => Read::Unknown,
            },
            Field::EtherType => Read::of(self.ether_type),
            Field::EtherSource => mac(self.ether_source),
            Field::EtherDestination => mac(self.ether_destination),
            Field::Ip4Source => address(self.source).when(self.is(0x0800)),
            Field::Ip4Destination => address(self.destination).when(self.is(0x0800)),
            Field::Ip6Source => address(self.source).when(self.is(0x86dd)),
            Field::Ip6Destination => address(self.destination).when(self.is(0x86dd)),
            Field::Protocol => Read::of(self.protocol),
            Field::Ip4Protocol => Read::of(self.protocol).when(self.is(0x0800)),
            Field::Ip6Protocol => Read::of(self.protocol).when(self.is(0x86dd)),
            Field::Length => Read::of(self.length),
            Field::Ip4Length => Read::of(self.length).when(self.is(0x0800)),
            Field::Ttl => Read::of(self.ttl),
            Field::Ip4Ttl => Read::of(self.ttl).when(self.is(0x0800)),
            Field::Ip6HopLimit => Read::of(self.ttl).when(self.is(0x86dd)),
            Field::Dscp => self.dscp(),
            Field::Ip4Dscp => self.dscp().when(self.is(0x0800)),
            Field::Ip6Dscp => self.dscp().when(self.is(0x86dd)),
            Field::Ip4Fragment => Read::of(self.fragment).when(self.is(0x0800)),
            Field::SourcePort(of) => Read::of(self.source_port).when(self.has_ports(of)),
            Field::DestinationPort(of) => Read::of(self.destination_port).when(self.has_ports(of)),
            Field::TcpFlags => Read::of(self.tcp_flags).when(self.carries(&[TCP])),
            Field::IcmpType => Read::of(self.icmp_type).when(self.carries(&[ICMP])),
            Field::IcmpCode => Read::of(self.icmp_code).when(self.carries(&[ICMP])),
            Field::Icmp6Type => Read::of(self.icmp_type).when(self.carries(&[ICMP6])),
            Field::Icmp6Code => Read::of(self.icmp_code).when(self.carries(&[ICMP6])),
            Field::InputDevice => Read::of(self.input_device.as_deref().map(device_number)),
            Field::OutputDevice => Read::of(self.output_device.as_deref().map(device_number)),
            Field::Mark => Read::of(self.mark),
            Field::ConnectionState => Read::of(self.connection.map(ConnectionState::bit)),
            Field::ConnectionDirection => Read::of(self.reply.map(u8::from)),
            Field::PacketType => Read::of(self.packet_type),
            Field::ArpOperation => Read::of(self.arp_operation).when(self.is(0x0806)),
            Field::ArpSource => address(self.source).when(self.is(0x0806)),
            Field::ArpDestination => address(self.destination).when(self.is(0x0806)),
        }
    }

    fn is(&self, ether_type: u16) -> Option<bool> {
        self.ether_type.map(|of_packet| of_packet == ether_type)
    }

    fn dscp(&self) -> Read {
        Read::of(self.tos.map(|tos| tos >> 2))
    }

    fn has_ports(&self, of: Option<u8>) -> Option<bool> {
        match of {
            Some(protocol) => self.carries(&[protocol]),
            None => self.carries(&WITH_PORTS),
        }
    }

    /// Its transport header is there, and of one of these protocols. Only a first fragment has any.
    fn carries(&self, protocols: &[u8]) -> Option<bool> {
        const OFFSET: u16 = 0x1fff;
        if self.fragment.is_some_and(|word| word & OFFSET != 0) || self.is(0x0806) == Some(true) {
            return Some(false);
        }
        let of_these = protocols.contains(&self.protocol?);
        if of_these && self.fragment.is_none() && self.source_port.is_none() && self.icmp_type.is_none() {
            return None;
        }
        Some(of_these)
    }
}

fn mac(address: Option<[u8; 6]>) -> Read {
    Read::of(address.map(|bytes| bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))))
}

fn address(address: Option<IpAddr>) -> Read {
    match address {
        Some(IpAddr::V4(address)) => Read::Value(address.to_bits().into()),
        Some(IpAddr::V6(address)) => Read::Value(address.to_bits()),
        None => Read::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_field_of_another_protocol_is_absent_and_one_not_captured_unknown() {
        let packet = Packet {
            ether_type: Some(0x0800),
            source: Some(Ipv4Addr::new(10, 0, 0, 1).into()),
            protocol: Some(17),
            destination_port: Some(53),
            source_port: Some(4),
            fragment: Some(0),
            ..Packet::default()
        };
        assert_eq!(packet.read(Field::Ip4Source), Read::Value(0x0a00_0001));
        assert_eq!(packet.read(Field::Ip6Source), Read::Absent);
        assert_eq!(packet.read(Field::DestinationPort(Some(17))), Read::Value(53));
        assert_eq!(packet.read(Field::DestinationPort(None)), Read::Value(53));
        assert_eq!(packet.read(Field::DestinationPort(Some(TCP))), Read::Absent);
        assert_eq!(packet.read(Field::Mark), Read::Unknown);
        let later = Packet { fragment: Some(0x2001), ..packet };
        assert_eq!(later.read(Field::DestinationPort(Some(17))), Read::Absent);
    }
}

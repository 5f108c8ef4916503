//! What the tables ask of a drop's key.
//!
//! A condition that reads a header holds only where the header was read: a packet that could not be parsed is
//! never called noise.

use lossdrop_common::parse::{IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP};
use lossdrop_common::{DropKey, L3, Shape};

use super::Condition;

const FLAGS: Shape = Shape::SYN.with(Shape::ACK).with(Shape::FIN).with(Shape::RST);
const GROUP: Shape = Shape::MULTICAST.with(Shape::BROADCAST);

/// TCP whose flags were read. A segment without any of the four flags is no legal one.
fn tcp(key: &DropKey) -> bool {
    key.l4 == IPPROTO_TCP && key.shape().intersects(FLAGS)
}

fn bare_syn(key: &DropKey) -> bool {
    tcp(key) && key.shape().contains(Shape::SYN) && !key.shape().intersects(Shape::ACK.with(Shape::RST))
}

fn without_payload(key: &DropKey) -> bool {
    tcp(key) && !key.shape().intersects(Shape::SYN.with(Shape::PAYLOAD))
}

fn group(key: &DropKey) -> bool {
    key.shape().intersects(GROUP)
}

fn other_protocol(key: &DropKey) -> bool {
    match L3::from_u8(key.l3) {
        L3::Other => true,
        L3::Arp | L3::Ipv4 | L3::Ipv6 => false,
    }
}

/// The end of a connection, as it arrives when the connection is gone.
pub(super) const CLOSING: Condition = Condition {
    text: "for a TCP FIN or RST without payload",
    holds: |key| without_payload(key) && key.shape().intersects(Shape::FIN.with(Shape::RST)),
};

/// What no program waits for when it finds no socket. A bare SYN is a knock at a closed port.
pub const LATE: Condition = Condition {
    text: "for TCP with RST, or without payload and not a bare SYN; for an ICMP echo reply",
    holds: |key| {
        let shape = key.shape();
        match key.l4 {
            IPPROTO_TCP => {
                tcp(key)
                    && (shape.contains(Shape::RST) || (!bare_syn(key) && !shape.contains(Shape::PAYLOAD)))
            }
            // `ping_rcv` alone gives ICMP this reason; a ping through a raw socket has got its copy already.
            IPPROTO_ICMP | IPPROTO_ICMPV6 => true,
            _ => false,
        }
    },
};

pub(super) const BARE_SYN: Condition =
    Condition { text: "for a TCP SYN that is no SYN-ACK", holds: bare_syn };

pub(super) const SYN_ACK: Condition = Condition {
    text: "for a SYN-ACK, repeated since its acknowledgement was lost",
    holds: |key| tcp(key) && key.shape().contains(Shape::SYN.with(Shape::ACK)),
};

pub(super) const WITHOUT_PAYLOAD: Condition =
    Condition { text: "for TCP without SYN and without payload", holds: without_payload };

pub const MULTICAST: Condition =
    Condition { text: "for a multicast destination", holds: |key| key.shape().contains(Shape::MULTICAST) };

pub(super) const MULTICAST_ONLY: Condition = Condition {
    text: "for a multicast destination that is no broadcast",
    holds: |key| key.shape().contains(Shape::MULTICAST) && !key.shape().contains(Shape::BROADCAST),
};

pub(super) const TO_GROUP: Condition =
    Condition { text: "for a multicast or broadcast destination", holds: group };

/// The kernel calls a frame of a VLAN that has no device here one for another host, too: that is no noise.
pub(super) const TO_OTHER_HOST: Condition = Condition {
    text: "for a frame that is addressed to another host's MAC",
    holds: |key| key.shape().contains(Shape::OTHERHOST) && !key.shape().contains(Shape::FOREIGN_VLAN),
};

pub(super) const FOREIGN_VLAN: Condition = Condition {
    text: "for a VLAN that has no device here",
    holds: |key| key.shape().contains(Shape::FOREIGN_VLAN),
};

pub(super) const OTHER_PROTOCOL: Condition =
    Condition { text: "for a protocol other than IPv4, IPv6 and ARP", holds: other_protocol };

pub(super) const OTHER_PROTOCOL_OR_GROUP: Condition = Condition {
    text: "for a protocol other than IPv4, IPv6 and ARP, or a multicast or broadcast destination",
    holds: |key| other_protocol(key) || group(key),
};

pub(super) const NO_DEVICE: Condition = Condition {
    text: "for a packet that is at no device",
    holds: |key| key.shape().contains(Shape::NO_DEVICE),
};

pub(super) const EMPTY: Condition =
    Condition { text: "for a buffer without data", holds: |key| key.shape().contains(Shape::EMPTY) };

/// A buffer that carries no packet and is at no device: the kernel's own bookkeeping between sockets.
pub(super) fn is_no_packet(key: &DropKey) -> bool {
    key.shape().contains(Shape::EMPTY.with(Shape::NO_DEVICE)) && other_protocol(key) && key.l4 == 0
}

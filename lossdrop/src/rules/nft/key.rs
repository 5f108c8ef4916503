//! What nft's rules compare, and with which values.

use std::net::IpAddr;

use serde_json::Value;

use super::{
    super::{
        model::{BitOperation, Operand, Relation, Values},
        packet::Field,
        save::{protocol_number, tcp_flag},
        values::{Elements, Range, device_range, mac_number, prefix_range},
    },
    element,
};

/// How the values of a field are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Ip4,
    Ip6,
    Mac,
    Device,
    Protocol,
    TcpFlags,
    ConnectionState,
    EtherType,
    ArpOperation,
    /// Not to be read.
    Other,
}

impl Kind {
    const fn bits(self) -> u32 {
        match self {
            Self::Ip4 => 32,
            Self::Mac => 48,
            _ => 128,
        }
    }
}

/// Of a set's element type.
pub(super) fn kind_of_type(name: &str) -> Kind {
    match name {
        "ipv4_addr" => Kind::Ip4,
        "ipv6_addr" => Kind::Ip6,
        "ether_addr" => Kind::Mac,
        "ifname" | "iface_index" => Kind::Device,
        "inet_proto" => Kind::Protocol,
        "tcp_flag" => Kind::TcpFlags,
        "ct_state" => Kind::ConnectionState,
        "ether_type" => Kind::EtherType,
        "arp_op" => Kind::ArpOperation,
        "inet_service" | "mark" | "integer" | "icmp_type" | "icmp_code" | "icmpv6_type" | "icmpv6_code"
        | "dscp" | "nf_proto" | "pkt_type" | "ct_dir" => Kind::Number,
        _ => Kind::Other,
    }
}

fn kind_of_field(field: Field) -> Kind {
    match field {
        Field::Ip4Source | Field::Ip4Destination | Field::ArpSource | Field::ArpDestination => Kind::Ip4,
        Field::Ip6Source | Field::Ip6Destination => Kind::Ip6,
        Field::EtherSource | Field::EtherDestination => Kind::Mac,
        Field::InputDevice | Field::OutputDevice => Kind::Device,
        Field::Protocol | Field::Ip4Protocol | Field::Ip6Protocol => Kind::Protocol,
        Field::TcpFlags => Kind::TcpFlags,
        Field::ConnectionState => Kind::ConnectionState,
        Field::EtherType => Kind::EtherType,
        Field::ArpOperation => Kind::ArpOperation,
        _ => Kind::Number,
    }
}

/// The parts of a key; `None` if one of them is not for us to read.
pub(super) fn operands(value: &Value) -> Option<(Vec<Operand>, Vec<Kind>)> {
    let parts = match value.get("concat") {
        Some(parts) => parts.as_array()?.iter().map(operand).collect::<Option<Vec<_>>>()?,
        None => vec![operand(value)?],
    };
    let kinds = parts.iter().map(|part| kind_of_field(part.field)).collect();
    Some((parts, kinds))
}

fn operand(value: &Value) -> Option<Operand> {
    let (name, body) = value.as_object()?.iter().next()?;
    let operation = match name.as_str() {
        "payload" => return Some(payload(body)?.into()),
        "meta" => return Some(meta(body["key"].as_str()?)?.into()),
        "ct" if body.get("dir").is_none() => {
            return match body["key"].as_str()? {
                "state" => Some(Field::ConnectionState.into()),
                "direction" => Some(Field::ConnectionDirection.into()),
                _ => None,
            };
        }
        "&" => BitOperation::And,
        "|" => BitOperation::Or,
        "^" => BitOperation::Xor,
        _ => return None,
    };
    let (left, rest) = body.as_array()?.split_first()?;
    let mut operand = operand(left)?;
    let kind = kind_of_field(operand.field);
    for value in rest {
        operand.bits.push((operation, single(value, kind)?));
    }
    Some(operand)
}

fn payload(body: &Value) -> Option<Field> {
    Some(match (body["protocol"].as_str()?, body["field"].as_str()?) {
        ("ip", "saddr") => Field::Ip4Source,
        ("ip", "daddr") => Field::Ip4Destination,
        ("ip", "protocol") => Field::Ip4Protocol,
        ("ip", "length") => Field::Ip4Length,
        ("ip", "ttl") => Field::Ip4Ttl,
        ("ip", "dscp") => Field::Ip4Dscp,
        ("ip", "frag-off") => Field::Ip4Fragment,
        ("ip6", "saddr") => Field::Ip6Source,
        ("ip6", "daddr") => Field::Ip6Destination,
        ("ip6", "nexthdr") => Field::Ip6Protocol,
        ("ip6", "hoplimit") => Field::Ip6HopLimit,
        ("ip6", "dscp") => Field::Ip6Dscp,
        ("th", "sport") => Field::SourcePort(None),
        ("th", "dport") => Field::DestinationPort(None),
        ("tcp", "flags") => Field::TcpFlags,
        (protocol @ ("tcp" | "udp" | "udplite" | "sctp" | "dccp"), "sport") => {
            Field::SourcePort(Some(protocol_number(protocol)?))
        }
        (protocol @ ("tcp" | "udp" | "udplite" | "sctp" | "dccp"), "dport") => {
            Field::DestinationPort(Some(protocol_number(protocol)?))
        }
        ("icmp", "type") => Field::IcmpType,
        ("icmp", "code") => Field::IcmpCode,
        ("icmpv6", "type") => Field::Icmp6Type,
        ("icmpv6", "code") => Field::Icmp6Code,
        ("ether", "saddr") => Field::EtherSource,
        ("ether", "daddr") => Field::EtherDestination,
        ("ether", "type") => Field::EtherType,
        ("arp", "operation") => Field::ArpOperation,
        ("arp", "saddr ip") => Field::ArpSource,
        ("arp", "daddr ip") => Field::ArpDestination,
        _ => return None,
    })
}

fn meta(key: &str) -> Option<Field> {
    Some(match key {
        "l4proto" => Field::Protocol,
        "nfproto" => Field::NfProtocol,
        "protocol" => Field::EtherType,
        "length" => Field::Length,
        "mark" => Field::Mark,
        "iif" | "iifname" => Field::InputDevice,
        "oif" | "oifname" => Field::OutputDevice,
        "pkttype" => Field::PacketType,
        _ => return None,
    })
}

/// How the key is compared. Flags compared with `==` and no mask mean "exactly these".
pub(super) fn relation(op: &str, key: &[Operand], right: &Value) -> Option<Relation> {
    let state = key.iter().any(|part| part.field == Field::ConnectionState);
    Some(match op {
        "in" => Relation::AnyBit,
        "!" => Relation::NoBit,
        // "ct state established,related" in versions that write it as ==.
        "==" if state && right.is_array() => Relation::AnyBit,
        "==" | "<" | ">" | "<=" | ">=" => Relation::Within,
        "!=" => Relation::Outside,
        _ => return None,
    })
}

/// What the key is compared with.
pub(super) fn values(op: &str, right: &Value, kinds: &[Kind]) -> Option<Values> {
    if let Some(name) = right.as_str().and_then(|text| text.strip_prefix('@')) {
        return Some(Values::Named(name.to_owned()));
    }
    let [kind] = kinds else {
        let members = right.get("set").map_or_else(|| Value::Array(vec![right.clone()]), Clone::clone);
        return Some(Values::Given(elements(&members, kinds)));
    };
    if let Some(set) = right.get("set") {
        return Some(Values::Given(elements(set, kinds)));
    }
    let range = range(right, *kind)?;
    let range = match op {
        "<" => (0, range.0.checked_sub(1)?),
        "<=" => (0, range.1),
        ">" => (range.1.checked_add(1)?, u128::MAX),
        ">=" => (range.0, u128::MAX),
        _ => range,
    };
    Some(Values::Given(Elements::of_ranges([range])))
}

/// The elements of a set or map. Those that cannot be read are kept as such.
pub(super) fn elements(list: &Value, kinds: &[Kind]) -> Elements {
    let Some(list) = list.as_array() else { return Elements::default() };
    let (mut otherwise, mut unreadable) = (None, Vec::new());
    let mut read = Vec::with_capacity(list.len());
    for entry in list {
        let (key, data) = match entry.as_array().map(Vec::as_slice) {
            Some([key, data]) => (key, Some(data)),
            _ => (entry, None),
        };
        let key = key.get("elem").map_or(key, |element| &element["val"]);
        let found = element(key_text(key), data);
        if key.as_str() == Some("*") && !kinds.contains(&Kind::Device) {
            otherwise = Some(Box::new(found));
        } else if let Some(ranges) = ranges(key, kinds) {
            read.push((ranges, found));
        } else {
            unreadable.push(found);
        }
    }
    let mut elements = Elements::new(read);
    (elements.otherwise, elements.unreadable) = (otherwise, unreadable);
    elements
}

fn ranges(key: &Value, kinds: &[Kind]) -> Option<Vec<Range>> {
    match (key.get("concat").and_then(Value::as_array), kinds) {
        (Some(parts), kinds) if parts.len() == kinds.len() => {
            parts.iter().zip(kinds).map(|(part, kind)| range(part, *kind)).collect()
        }
        (None, [kind]) => Some(vec![range(key, *kind)?]),
        _ => None,
    }
}

/// As nft writes it on its command line.
fn key_text(key: &Value) -> String {
    if let Some(parts) = key.get("concat").and_then(Value::as_array) {
        return parts.iter().map(key_text).collect::<Vec<_>>().join(" . ");
    }
    if let Some([first, last]) = key.get("range").and_then(Value::as_array).map(Vec::as_slice) {
        return format!("{}-{}", key_text(first), key_text(last));
    }
    if let Some(prefix) = key.get("prefix") {
        return format!("{}/{}", key_text(&prefix["addr"]), prefix["len"]);
    }
    key.as_str().map_or_else(|| key.to_string(), str::to_owned)
}

/// A value, a prefix or a range.
fn range(value: &Value, kind: Kind) -> Option<Range> {
    if kind == Kind::Other {
        return None;
    }
    if let Some(element) = value.get("elem") {
        return range(&element["val"], kind);
    }
    if let Some([first, last]) = value.get("range").and_then(Value::as_array).map(Vec::as_slice) {
        return Some((single(first, kind)?, single(last, kind)?));
    }
    if let Some(prefix) = value.get("prefix") {
        let length = prefix["len"].as_u64()?.try_into().ok()?;
        return prefix_range(single(&prefix["addr"], kind)?, length, kind.bits());
    }
    if kind == Kind::Device {
        // A number is the index of a device that is gone.
        return Some(device_range(value.as_str()?, '*'));
    }
    let value = single(value, kind)?;
    Some((value, value))
}

/// A value; flags may be several.
fn single(value: &Value, kind: Kind) -> Option<u128> {
    let flags = value.as_array().or_else(|| value.get("|")?.as_array());
    if let Some(flags) = flags {
        return flags.iter().try_fold(0, |all, flag| Some(all | single(flag, kind)?));
    }
    if let Some(number) = value.as_u64() {
        return Some(network_order(number, kind).into());
    }
    named(value.as_str()?, kind)
}

/// With `-n`, nft prints these as the bytes lie in memory.
fn network_order(number: u64, kind: Kind) -> u64 {
    let swapped = u16::try_from(number).map_or(number, |number| u64::from(number.swap_bytes()));
    match kind {
        Kind::EtherType if matches!(swapped, 0x0800 | 0x0806 | 0x86dd | 0x8100 | 0x88a8) => swapped,
        Kind::ArpOperation if number >= 0x100 => swapped,
        _ => number,
    }
}

fn named(name: &str, kind: Kind) -> Option<u128> {
    match kind {
        Kind::Ip4 | Kind::Ip6 => match (name.parse().ok()?, kind) {
            (IpAddr::V4(address), Kind::Ip4) => Some(address.to_bits().into()),
            (IpAddr::V6(address), Kind::Ip6) => Some(address.to_bits()),
            _ => None,
        },
        Kind::Mac => mac_number(name),
        Kind::Protocol => protocol_number(name).map(u128::from),
        Kind::TcpFlags => tcp_flag(name).map(u128::from),
        Kind::ConnectionState => Some(match name {
            "invalid" => 1,
            "established" => 2,
            "related" => 4,
            "new" => 8,
            "untracked" => 64,
            _ => return None,
        }),
        Kind::EtherType => Some(match name {
            "ip" => 0x0800,
            "arp" => 0x0806,
            "ip6" => 0x86dd,
            "vlan" | "8021q" => 0x8100,
            "8021ad" => 0x88a8,
            _ => return None,
        }),
        Kind::ArpOperation => match name {
            "request" => Some(1),
            "reply" => Some(2),
            _ => None,
        },
        Kind::Number => name.parse().ok(),
        Kind::Device | Kind::Other => None,
    }
}

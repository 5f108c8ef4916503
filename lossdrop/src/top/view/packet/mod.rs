//! A packet's headers, from its bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

use lossdrop_common::parse::{IPPROTO_ICMPV6, IPPROTO_TCP};

use crate::{drops::packet::tcp_flags, knowledge::protocols::protocol_name};

const IPPROTO_ICMP: u8 = 1;
const IPPROTO_UDP: u8 = 17;
/// Headers of IPv6 that say how long they are, in units of eight bytes: hop-by-hop, routing, destination options.
const EXTENSIONS: [u8; 3] = [0, 43, 60];
const FRAGMENT: u8 = 44;

/// A header's name and its fields.
type Layer = (&'static str, Vec<String>);

fn byte(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The headers that the bytes hold, as far as they hold them.
pub(super) fn decode(bytes: &[u8]) -> Vec<Layer> {
    let mut layers = Vec::new();
    let transport = match bytes.first().map(|byte| byte >> 4) {
        Some(4) => ipv4(bytes, &mut layers),
        Some(6) => ipv6(bytes, &mut layers),
        _ => None,
    };
    if let Some((protocol, rest)) = transport {
        layers.extend(match protocol {
            IPPROTO_TCP => tcp(rest),
            IPPROTO_UDP => udp(rest),
            IPPROTO_ICMP => icmp("ICMP", [0, 8], rest),
            IPPROTO_ICMPV6 => icmp("ICMPv6", [128, 129], rest),
            _ => None,
        });
    }
    layers
}

fn protocol(number: u8) -> String {
    let name = protocol_name(number.into()).map_or_else(String::new, |name| format!(" ({name})"));
    format!("{number}{name}")
}

/// What follows it, and of which protocol that is; nothing for a later fragment.
fn ipv4<'a>(bytes: &'a [u8], layers: &mut Vec<Layer>) -> Option<(u8, &'a [u8])> {
    let header = usize::from(byte(bytes, 0)? & 0xf) * 4;
    let fragment = short(bytes, 6)?;
    let flags = [(0x4000, "DF"), (0x2000, "MF")].into_iter().filter(|(bit, _)| fragment & bit != 0);
    let flags: Vec<&str> = flags.map(|(_, name)| name).collect();
    let offset = (fragment & 0x1fff) * 8;
    let next = byte(bytes, 9)?;
    let address = |at| long(bytes, at).map(Ipv4Addr::from);
    layers.push((
        "IPv4",
        vec![
            format!("{} → {}", address(12)?, address(16)?),
            "version 4".to_owned(),
            format!("header {header}"),
            format!("tos {:#04x}", byte(bytes, 1)?),
            format!("length {}", short(bytes, 2)?),
            format!("id {:#06x}", short(bytes, 4)?),
            format!("flags {}", if flags.is_empty() { "-".to_owned() } else { flags.join(",") }),
            format!("offset {offset}"),
            format!("ttl {}", byte(bytes, 8)?),
            format!("protocol {}", protocol(next)),
            format!("checksum {:#06x}", short(bytes, 10)?),
        ],
    ));
    (offset == 0).then_some((next, bytes.get(header..)?))
}

fn ipv6<'a>(bytes: &'a [u8], layers: &mut Vec<Layer>) -> Option<(u8, &'a [u8])> {
    let first = long(bytes, 0)?;
    let address = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?));
    let mut next = byte(bytes, 6)?;
    layers.push((
        "IPv6",
        vec![
            format!("{} → {}", address(8)?, address(24)?),
            "version 6".to_owned(),
            format!("class {:#04x}", first >> 20 & 0xff),
            format!("label {:#07x}", first & 0xf_ffff),
            format!("payload {}", short(bytes, 4)?),
            format!("next {}", protocol(next)),
            format!("hop limit {}", byte(bytes, 7)?),
        ],
    ));
    let mut rest = bytes.get(40..)?;
    loop {
        let length = match next {
            FRAGMENT => {
                let offset = short(rest, 2)? & 0xfff8;
                layers
                    .push(("Frag", vec![format!("offset {offset}"), format!("id {:#010x}", long(rest, 4)?)]));
                if offset != 0 {
                    return None;
                }
                8
            }
            next if EXTENSIONS.contains(&next) => 8 + usize::from(byte(rest, 1)?) * 8,
            _ => return Some((next, rest)),
        };
        next = byte(rest, 0)?;
        rest = rest.get(length..)?;
    }
}

fn tcp(bytes: &[u8]) -> Option<Layer> {
    let header = usize::from(byte(bytes, 12)? >> 4) * 4;
    Some((
        "TCP",
        vec![
            format!("{} → {}", short(bytes, 0)?, short(bytes, 2)?),
            format!("flags {}", tcp_flags(byte(bytes, 13)?)),
            format!("seq {}", long(bytes, 4)?),
            format!("ack {}", long(bytes, 8)?),
            format!("window {}", short(bytes, 14)?),
            format!("header {header}"),
            format!("checksum {:#06x}", short(bytes, 16)?),
            format!("urgent {}", short(bytes, 18)?),
        ],
    ))
}

fn udp(bytes: &[u8]) -> Option<Layer> {
    Some((
        "UDP",
        vec![
            format!("{} → {}", short(bytes, 0)?, short(bytes, 2)?),
            format!("length {}", short(bytes, 4)?),
            format!("checksum {:#06x}", short(bytes, 6)?),
        ],
    ))
}

/// Echoes have an identifier and a number.
fn icmp(name: &'static str, echoes: [u8; 2], bytes: &[u8]) -> Option<Layer> {
    let kind = byte(bytes, 0)?;
    let mut fields = vec![
        format!("type {kind}"),
        format!("code {}", byte(bytes, 1)?),
        format!("checksum {:#06x}", short(bytes, 2)?),
    ];
    if echoes.contains(&kind) {
        fields.push(format!("id {}", short(bytes, 4)?));
        fields.push(format!("seq {}", short(bytes, 6)?));
    }
    Some((name, fields))
}

/// 16 bytes a line, or 8 where there is less room, with their offset and as text.
pub(super) fn dump(bytes: &[u8], width: usize) -> Vec<String> {
    let columns = if width < 6 + 16 * 3 + 1 + 16 { 8 } else { 16 };
    let line = |(row, chunk): (usize, &[u8])| {
        let hex: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String = chunk
            .iter()
            .map(|byte| if matches!(byte, 0x20..0x7f) { char::from(*byte) } else { '.' })
            .collect();
        format!("{:04x}  {:<hexes$}  {text}", row * columns, hex.join(" "), hexes = columns * 3 - 1)
    };
    bytes.chunks(columns).enumerate().map(line).collect()
}

#[cfg(test)]
mod tests;

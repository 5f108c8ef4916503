//! What can be typed behind a filter's name.

use std::{fmt::Display, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use lossdrop_common::{LenRange, MarkMatch};

use crate::knowledge::protocols::{PROTOCOLS, protocol_name};

/// One port or a range of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    pub first: u16,
    pub last: u16,
}

impl FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<u16>().ok();
        if let Some(port) = number(text) {
            return Ok(Self { first: port, last: port });
        }
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let (first, last) =
                text.split_once('-').and_then(|(first, last)| Some((number(first)?, number(last)?))).ok_or(
                    "a port is a number from 0 to 65535, a range such as 8000-8100, or a service's name",
                )?;
            if first > last {
                return Err(format!("the range is upside down: try {last}-{first}"));
            }
            return Ok(Self { first, last });
        }
        let services = std::fs::read_to_string("/etc/services")
            .map_err(|error| format!("service names need /etc/services ({error}): give the port's number"))?;
        let port = service_port(&services, text)
            .ok_or_else(|| format!("no service {text:?} in /etc/services: give the port's number"))?;
        Ok(Self { first: port, last: port })
    }
}

impl Display for PortRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// The port of a service, by name or alias, in the format of `services(5)`.
pub(super) fn service_port(services: &str, wanted: &str) -> Option<u16> {
    services.lines().find_map(|line| {
        let mut fields = line.split('#').next()?.split_ascii_whitespace();
        let name = fields.next()?;
        let port = fields.next()?.split('/').next()?.parse().ok()?;
        (name == wanted || fields.any(|alias| alias == wanted)).then_some(port)
    })
}

/// An address or a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host(pub IpNet);

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(address.into()));
        }
        match text.parse::<IpNet>() {
            Ok(prefix) => Ok(Self(prefix.trunc())),
            Err(_) => {
                Err("an address or a prefix is wanted, such as 192.0.2.1, 10.0.0.0/8, 2001:db8::/32"
                    .to_owned())
            }
        }
    }
}

impl Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

/// A protocol as the kernel program's filter keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol(pub u32);

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named =
            PROTOCOLS.iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map(|(_, number)| *number);
        named.or_else(|| text.parse::<u8>().ok().map(u32::from)).map(Self).ok_or_else(|| {
            "tcp, udp, icmp, icmpv6, sctp, arp, or a number from 0 to 255 is wanted".to_owned()
        })
    }
}

impl Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match protocol_name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// The name of a device, as the kernel allows it (`dev_valid_name` in `net/core/dev.c`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iface(pub(super) String);

impl FromStr for Iface {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let valid = !matches!(text, "" | "." | "..")
            && text.len() < 16
            && !text.contains(|c: char| c == '/' || c == ':' || c.is_ascii_whitespace());
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err("a device's name has 1 to 15 bytes, and no slash, colon or blank".to_owned())
        }
    }
}

impl Display for Iface {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A mark, or some of its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(pub MarkMatch);

impl FromStr for Mark {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (value, mask) = text.split_once('/').unwrap_or((text, "0xffffffff"));
        let (Some(value), Some(mask)) = (number(value), number(mask)) else {
            return Err("a mark is a number, 16 or 0x10, or a number and a mask, 0x10/0xff".to_owned());
        };
        if value & !mask != 0 {
            return Err(format!("{value:#x} has bits outside the mask {mask:#x}: no packet would pass"));
        }
        Ok(Self(MarkMatch { value, mask }))
    }
}

/// Decimal, or hexadecimal behind `0x`.
fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with('+') => u32::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None => text.parse().ok(),
    }
}

impl Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            MarkMatch { value, mask: u32::MAX } => write!(f, "{value:#x}"),
            MarkMatch { value, mask } => write!(f, "{value:#x}/{mask:#x}"),
        }
    }
}

/// A length or a range of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length(pub LenRange);

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let last = if last.is_empty() { Ok(u32::MAX) } else { last.parse() };
        match (first.parse(), last) {
            (Ok(first), Ok(last)) if first > last => {
                Err(format!("the range is upside down: try {last}-{first}"))
            }
            (Ok(first), Ok(last)) => Ok(Self(LenRange { first, last })),
            _ => Err("a length is a number of bytes, 1500, or a range, 1401-1500 or 1401-".to_owned()),
        }
    }
}

impl Display for Length {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            LenRange { first, last } if first == last => write!(f, "{first}"),
            LenRange { first, last: u32::MAX } => write!(f, "{first}-"),
            LenRange { first, last } => write!(f, "{first}-{last}"),
        }
    }
}

//! The conditions and the target of a rule of iptables, from its words.

use super::{
    model::{BitOperation, Match, Operand, Relation, Test, Values, Verdict},
    packet::Field,
    save::{protocol_number, target, tcp_flag},
    values::{Elements, Range, device_range, mac_number, prefix_range},
};
use crate::knowledge::Family;

/// What a rule consists of.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    /// Its conditions.
    pub matches: Vec<Match>,
    /// Its target.
    pub verdict: Verdict,
    /// A condition depends on rate, share or quota.
    pub by_chance: bool,
    /// A condition asks for conntrack's state INVALID.
    pub ct_invalid: bool,
    /// Its target marks the packet.
    pub sets_mark: bool,
}

/// Extensions that depend on rate, share or quota.
const BY_CHANCE: [&str; 6] = ["statistic", "limit", "hashlimit", "connlimit", "quota", "rateest"];

/// Reads a rule, `-A CHAIN` included.
pub(super) fn parse(words: &[String], family: Family) -> Parsed {
    let mut parsed = Parsed {
        matches: Vec::new(),
        verdict: Verdict::Continue,
        by_chance: false,
        ct_invalid: false,
        sets_mark: false,
    };
    let words: Vec<&str> = words.iter().map(String::as_str).skip(2).collect();
    let mut reader = Reader { family, protocol: None };
    for part in parts(&words) {
        match part {
            ["-j", name, ..] => {
                parsed.sets_mark = matches!(*name, "MARK" | "CONNMARK" | "HMARK");
                parsed.verdict = match target(name) {
                    Verdict::Unknown(name) if !is_extension(&name, part) => Verdict::Jump(name),
                    known => known,
                };
            }
            ["-g", name, ..] => parsed.verdict = Verdict::Goto((*name).to_owned()),
            ["-m", "comment", ..] => {}
            ["-m", name, ..] if BY_CHANCE.contains(name) => {
                parsed.by_chance = true;
                parsed.matches.push(Match::Chance(part.join(" ")));
            }
            ["-m", name, options @ ..] => {
                parsed.ct_invalid |= asks_for_invalid(options);
                reader.options(name, options, &mut parsed.matches);
            }
            options => reader.options("", options, &mut parsed.matches),
        }
    }
    parsed
}

/// A chain of the user's takes no options; other targets that we do not know are TPROXY and the like.
fn is_extension(name: &str, part: &[&str]) -> bool {
    part.len() > 2 || matches!(name, "TPROXY" | "MIRROR" | "CHAOS" | "DELUDE" | "ECHO")
}

/// What comes before the first `-m`, each extension with its options, and the target with its own.
fn parts<'a>(words: &'a [&'a str]) -> Vec<&'a [&'a str]> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, word) in words.iter().enumerate() {
        let target = matches!(*word, "-j" | "-g");
        if (*word == "-m" || target) && at > start {
            parts.push(&words[start..at]);
            start = at;
        }
        if target {
            break;
        }
    }
    if start < words.len() {
        parts.push(&words[start..]);
    }
    parts
}

fn asks_for_invalid(options: &[&str]) -> bool {
    options.windows(2).enumerate().any(|(at, pair)| {
        let negated = at > 0 && options[at - 1] == "!";
        matches!(pair[0], "--ctstate" | "--state")
            && !negated
            && pair[1].split(',').any(|state| state == "INVALID")
    })
}

struct Reader {
    family: Family,
    protocol: Option<u8>,
}

impl Reader {
    fn options(&mut self, module: &str, options: &[&str], matches: &mut Vec<Match>) {
        let mut rest = options;
        let before = matches.len();
        while let Some((option, after)) = rest.split_first() {
            let (negated, option, after) = match (*option, after) {
                ("!", [option, after @ ..]) => (true, *option, after),
                _ => (false, *option, after),
            };
            // Until the next option.
            let count = after.iter().take_while(|word| **word != "!" && !word.starts_with('-')).count();
            let (arguments, after) = after.split_at(count);
            match self.option(module, option, arguments, negated) {
                Some(tests) => matches.extend(tests.into_iter().map(Match::Test)),
                None => {
                    // Options of one extension may depend on one another.
                    if !module.is_empty() {
                        matches.truncate(before);
                        matches.push(Match::Unknown(format!("-m {module} {}", options.join(" "))));
                        return;
                    }
                    matches.push(Match::Unknown(format!("{option} {}", arguments.join(" "))));
                }
            }
            rest = after;
        }
        // An extension that needs no options, such as socket.
        let harmless = ["tcp", "udp", "sctp", "dccp", "udplite", "icmp", "icmp6", ""];
        if options.is_empty() && !harmless.contains(&module) {
            matches.push(Match::Unknown(format!("-m {module}")));
        }
    }

    fn option(&mut self, module: &str, option: &str, arguments: &[&str], negated: bool) -> Option<Vec<Test>> {
        let argument = arguments.first().copied();
        let six = self.family == Family::Ip6;
        let within = |field: Field, range: Range| Some(vec![test(field, [range], negated)]);
        let field = |four: Field, of_six: Field| if six { of_six } else { four };
        match (module, option) {
            ("", "-s") => address(field(Field::Ip4Source, Field::Ip6Source), argument?, negated),
            ("", "-d") => address(field(Field::Ip4Destination, Field::Ip6Destination), argument?, negated),
            ("", "-i") => within(Field::InputDevice, device_range(argument?, '+')),
            ("", "-o") => within(Field::OutputDevice, device_range(argument?, '+')),
            ("", "-p") => {
                let number = protocol_number(argument?)?;
                self.protocol = (!negated).then_some(number);
                within(Field::Protocol, (number.into(), number.into()))
            }
            ("", "-f") => Some(vec![bits(Field::Ip4Fragment, 0x1fff, 0, !negated)]),
            ("tcp" | "udp" | "sctp" | "dccp" | "udplite", "--dport") => {
                within(Field::DestinationPort(self.protocol), ports(argument?)?)
            }
            ("tcp" | "udp" | "sctp" | "dccp" | "udplite", "--sport") => {
                within(Field::SourcePort(self.protocol), ports(argument?)?)
            }
            ("multiport", "--dports") => list(Field::DestinationPort(self.protocol), argument?, negated),
            ("multiport", "--sports") => list(Field::SourcePort(self.protocol), argument?, negated),
            ("tcp", "--tcp-flags") => {
                let (mask, set) = (flags(argument?)?, flags(arguments.get(1)?)?);
                Some(vec![bits(Field::TcpFlags, mask, set, negated)])
            }
            ("icmp", "--icmp-type") => icmp(Field::IcmpType, Field::IcmpCode, argument?, negated),
            ("icmp6", "--icmpv6-type") => icmp(Field::Icmp6Type, Field::Icmp6Code, argument?, negated),
            ("conntrack", "--ctstate") | ("state", "--state") => states(argument?, negated),
            ("conntrack", "--ctdir") => {
                let reply = u128::from(argument? == "REPLY");
                within(Field::ConnectionDirection, (reply, reply))
            }
            ("mark", "--mark") => {
                let (value, mask) = argument?.split_once('/').unwrap_or((argument?, "0xffffffff"));
                Some(vec![bits(Field::Mark, number(mask)?, number(value)?, negated)])
            }
            ("length", "--length") => within(Field::Length, ports(argument?)?),
            ("ttl", "--ttl-eq" | "--ttl") | ("hl", "--hl-eq") => {
                let value = number(argument?)?;
                within(Field::Ttl, (value, value))
            }
            ("ttl", "--ttl-lt") | ("hl", "--hl-lt") => {
                within(Field::Ttl, (0, number(argument?)?.checked_sub(1)?))
            }
            ("ttl", "--ttl-gt") | ("hl", "--hl-gt") => {
                within(Field::Ttl, (number(argument?)? + 1, u128::MAX))
            }
            ("mac", "--mac-source") => {
                let address = mac_number(argument?)?;
                within(Field::EtherSource, (address, address))
            }
            ("pkttype", "--pkt-type") => {
                let kind =
                    ["unicast", "broadcast", "multicast"].iter().position(|kind| Some(*kind) == argument)?;
                within(Field::PacketType, (kind as u128, kind as u128))
            }
            ("iprange", "--src-range") => within(field(Field::Ip4Source, Field::Ip6Source), span(argument?)?),
            ("iprange", "--dst-range") => {
                within(field(Field::Ip4Destination, Field::Ip6Destination), span(argument?)?)
            }
            ("dscp", "--dscp") => {
                let value = number(argument?)?;
                within(Field::Dscp, (value, value))
            }
            _ => None,
        }
    }
}

fn test(field: Field, ranges: impl IntoIterator<Item = Range>, negated: bool) -> Test {
    Test {
        key: vec![field.into()],
        relation: if negated { Relation::Outside } else { Relation::Within },
        values: Values::Given(Elements::of_ranges(ranges)),
    }
}

/// Those bits of the field are these.
fn bits(field: Field, mask: u128, value: u128, negated: bool) -> Test {
    let operand = Operand { field, bits: vec![(BitOperation::And, mask)] };
    Test { key: vec![operand], ..test(field, [(value, value)], negated) }
}

/// An address alone, with a prefix's length, or with a mask that is no prefix's.
fn address(field: Field, text: &str, negated: bool) -> Option<Vec<Test>> {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let (value, width) = address_number(address)?;
    if let Some((mask, _)) = address_number(length) {
        return Some(vec![bits(field, mask, value, negated)]);
    }
    let length = if length.is_empty() { width } else { length.parse().ok()? };
    Some(vec![test(field, [prefix_range(value, length, width)?], negated)])
}

fn address_number(text: &str) -> Option<(u128, u32)> {
    match text.parse().ok()? {
        std::net::IpAddr::V4(address) => Some((address.to_bits().into(), 32)),
        std::net::IpAddr::V6(address) => Some((address.to_bits(), 128)),
    }
}

fn span(text: &str) -> Option<Range> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((address_number(first)?.0, address_number(last)?.0))
}

/// `80`, `1:5`, `:5` or `5:`.
fn ports(text: &str) -> Option<Range> {
    let (first, last) = text.split_once(':').unwrap_or((text, text));
    let first = if first.is_empty() { 0 } else { number(first)? };
    let last = if last.is_empty() { 0xffff } else { number(last)? };
    Some((first, last))
}

fn list(field: Field, text: &str, negated: bool) -> Option<Vec<Test>> {
    let ranges = text.split(',').map(ports).collect::<Option<Vec<_>>>()?;
    Some(vec![test(field, ranges, negated)])
}

fn number(text: &str) -> Option<u128> {
    match text.strip_prefix("0x") {
        Some(digits) => u128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn flags(text: &str) -> Option<u128> {
    text.split(',').try_fold(0, |all, name| {
        let flag = match name {
            "ALL" => 0x3f,
            "NONE" => 0,
            name => tcp_flag(name)?,
        };
        Some(all | u128::from(flag))
    })
}

/// `8`, `3/4` or `any`.
fn icmp(kind: Field, code: Field, text: &str, negated: bool) -> Option<Vec<Test>> {
    let (of_kind, of_code) = match text.split_once('/') {
        Some((kind, code)) => (kind, Some(number(code)?)),
        None => (text, None),
    };
    // iptables writes "any" for what the kernel knows as 255.
    if matches!(of_kind, "any" | "255") && !negated {
        return Some(Vec::new());
    }
    let of_kind = number(of_kind)?;
    let mut tests = vec![test(kind, [(of_kind, of_kind)], negated)];
    if let Some(of_code) = of_code {
        // "Not both" is no conjunction.
        (!negated).then_some(())?;
        tests.push(test(code, [(of_code, of_code)], false));
    }
    Some(tests)
}

fn states(text: &str, negated: bool) -> Option<Vec<Test>> {
    let any = text.split(',').try_fold(0, |all, state| {
        Some(
            all | match state {
                "INVALID" => 1,
                "ESTABLISHED" => 2,
                "RELATED" => 4,
                "NEW" => 8,
                "UNTRACKED" => 64,
                _ => return None,
            },
        )
    })?;
    let relation = if negated { Relation::NoBit } else { Relation::AnyBit };
    let key = vec![Field::ConnectionState.into()];
    Some(vec![Test { key, relation, values: Values::Given(Elements::of_ranges([(any, any)])) }])
}

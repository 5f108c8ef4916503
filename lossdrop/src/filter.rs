//! The filters: from what the user typed to what the kernel program compares.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    net::IpAddr,
    str::FromStr,
};

use ipnet::IpNet;
use lossdrop_common::{FilterKinds, HostBits, HostKey, L3, PROTO_ARP, PortBits, PortWord, event::words_of};

use crate::{
    error::{Error, Result},
    kernel::reasons::Reasons,
    namespaces::Namespaces,
    select::Selection,
};

/// What the kernel program filters by. Kinds are ANDed, values of one kind ORed; an empty kind lets everything pass.
#[derive(Clone, Debug, Default)]
pub struct KernelFilter {
    kinds: FilterKinds,
    /// Numbers of reasons.
    pub reasons: BTreeSet<u32>,
    /// Inode numbers of network namespaces.
    pub netns: BTreeSet<u32>,
    /// Names of devices, as [`lossdrop_common::Event::ifname`].
    pub ifaces: BTreeSet<[u64; 2]>,
    /// IP protocols, and [`PROTO_ARP`].
    pub protocols: BTreeSet<u32>,
    /// Empty where no port filter is in use, else all [`PortBits::WORDS`].
    pub ports: Vec<PortWord>,
    /// Prefixes with the [`HostBits`] of every prefix that covers them: the trie finds only the longest.
    pub hosts: BTreeMap<IpNet, u32>,
}

impl KernelFilter {
    /// The kinds in use.
    pub const fn kinds(&self) -> FilterKinds {
        self.kinds
    }

    /// Nothing is refused.
    pub fn is_empty(&self) -> bool {
        self.kinds == FilterKinds::default()
    }
}

/// The filters as typed, each well-formed by itself.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Filters (in the kernel; kinds are ANDed, values of one kind ORed)")]
pub struct FilterArgs {
    /// Source or destination port: a number, a range (8000-8100) or a service's name
    #[arg(long, value_name = "PORT")]
    pub port: Vec<PortRange>,
    /// Source port
    #[arg(long, value_name = "PORT")]
    pub sport: Vec<PortRange>,
    /// Destination port
    #[arg(long, value_name = "PORT")]
    pub dport: Vec<PortRange>,
    /// Source or destination address, IPv4 or IPv6, or a prefix (10.0.0.0/8)
    #[arg(long, value_name = "ADDRESS")]
    pub host: Vec<Host>,
    /// Source address or prefix
    #[arg(long, value_name = "ADDRESS")]
    pub src: Vec<Host>,
    /// Destination address or prefix
    #[arg(long, value_name = "ADDRESS")]
    pub dst: Vec<Host>,
    /// tcp, udp, icmp, icmpv6, sctp, arp, or an IP protocol's number
    #[arg(long, value_name = "PROTOCOL")]
    pub proto: Vec<Protocol>,
    /// Name of the packet's device
    #[arg(long, value_name = "NAME")]
    pub iface: Vec<Iface>,
    /// Network namespace: a name as "ip netns" or lossdrop shows it, a path, pid:N, or an inode number
    #[arg(long, value_name = "NETNS")]
    pub netns: Vec<String>,
    /// Drop reason of the running kernel ("lossdrop reasons" lists them)
    #[arg(long, value_name = "REASON")]
    pub reason: Vec<String>,
}

impl FilterArgs {
    /// Resolves names on this machine. The namespaces are looked at only if a filter needs them.
    pub fn resolve(
        &self,
        reasons: &Reasons,
        namespaces: impl FnOnce() -> Namespaces,
    ) -> Result<KernelFilter> {
        let mut filter = KernelFilter::default();
        if !self.reason.is_empty() && reasons.is_empty() {
            return Err(Error::NoReasons);
        }
        for name in &self.reason {
            filter.reasons.insert(reasons.number(name).ok_or_else(|| unknown_reason(reasons, name))?);
        }
        if !self.netns.is_empty() || !self.iface.is_empty() {
            let namespaces = namespaces();
            for wanted in &self.netns {
                filter.netns.insert(namespaces.find(wanted)?);
            }
            for Iface(name) in &self.iface {
                namespaces.require_interface(name, &filter.netns)?;
                let mut padded = [0; 16];
                padded[..name.len()].copy_from_slice(name.as_bytes());
                filter.ifaces.insert(words_of(padded));
            }
        }
        filter.protocols = self.proto.iter().map(|Protocol(number)| *number).collect();
        let kinds = &mut filter.kinds;
        for (kind, used) in [
            (FilterKinds::REASON, !self.reason.is_empty()),
            (FilterKinds::NETNS, !self.netns.is_empty()),
            (FilterKinds::IFACE, !self.iface.is_empty()),
            (FilterKinds::PROTO, !self.proto.is_empty()),
            (FilterKinds::PORT, !self.port.is_empty()),
            (FilterKinds::SPORT, !self.sport.is_empty()),
            (FilterKinds::DPORT, !self.dport.is_empty()),
            (FilterKinds::HOST, !self.host.is_empty()),
            (FilterKinds::SRC, !self.src.is_empty()),
            (FilterKinds::DST, !self.dst.is_empty()),
        ] {
            if used {
                kinds.add(kind);
            }
        }
        filter.ports = self.port_words();
        filter.hosts = self.host_bits();
        Ok(filter)
    }

    fn port_words(&self) -> Vec<PortWord> {
        if self.port.is_empty() && self.sport.is_empty() && self.dport.is_empty() {
            return Vec::new();
        }
        let mut words = vec![PortWord::default(); PortBits::WORDS as usize];
        let mut set = |ranges: &[PortRange], field: fn(&mut PortWord) -> &mut u64| {
            for port in ranges.iter().flat_map(|range| range.first..=range.last) {
                *field(&mut words[usize::from(port / 64)]) |= 1 << (port % 64);
            }
        };
        set(&self.port, |word| &mut word.any);
        set(&self.sport, |word| &mut word.source);
        set(&self.dport, |word| &mut word.destination);
        words
    }

    fn host_bits(&self) -> BTreeMap<IpNet, u32> {
        let typed: Vec<(IpNet, u32)> =
            [(&self.host, HostBits::ANY), (&self.src, HostBits::SOURCE), (&self.dst, HostBits::DESTINATION)]
                .into_iter()
                .flat_map(|(hosts, bits)| hosts.iter().map(move |host| (host.0, bits)))
                .collect();
        typed
            .iter()
            .map(|(prefix, _)| {
                let covering = typed.iter().filter(|(wider, _)| wider.contains(prefix));
                (*prefix, covering.fold(0, |bits, (_, more)| bits | more))
            })
            .collect()
    }
}

/// Filters and selection in a line: `port 80 host 10.0.0.1 cause mtu`, or as options are typed. What stands behind a name,
/// up to the next one, are its values.
#[derive(Clone, Debug, Default, clap::Parser)]
#[command(name = "filter", no_binary_name = true, disable_help_flag = true)]
pub struct FilterLine {
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub filter: FilterArgs,
}

impl FilterLine {
    /// What was typed; an error in one line says what would be understood.
    pub fn parse(line: &str) -> std::result::Result<Self, String> {
        use clap::{CommandFactory as _, Parser as _};
        let command = Self::command();
        let names: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        let mut options: Vec<String> = Vec::new();
        let mut name = None;
        for (word, is_another) in words(line) {
            let (head, value) = word.split_once('=').unwrap_or((word, ""));
            let plain = head.trim_start_matches("--");
            // Namespaces and devices may be called as filters are: that of process 1 is "host".
            let is_value = is_another || matches!(name, Some(("netns" | "iface", false)));
            let known = names.iter().find(|known| **known == plain).filter(|_| !is_value);
            match (known, name) {
                (Some(known), _) => {
                    let has_value = !value.is_empty();
                    if let Some(bare) = name.replace((*known, has_value)).filter(|(_, has_value)| !has_value)
                    {
                        return Err(format!("{} of what? {}", bare.0, EXAMPLE));
                    }
                    options.extend(has_value.then(|| format!("--{known}={value}")));
                }
                (None, Some((option, _))) => {
                    options.push(format!("--{option}={word}"));
                    name = Some((option, true));
                }
                (None, None) => {
                    let near = near(plain, &names);
                    return Err(format!("{word:?} is no filter{near}; {EXAMPLE}, and {}", names.join(", ")));
                }
            }
        }
        if let Some((bare, false)) = name {
            return Err(format!("{bare} of what? {EXAMPLE}"));
        }
        Self::try_parse_from(options).map_err(|error| {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        })
    }
}

/// The words of a line, and whether each is another value beside the one before it, as in `80|443`.
fn words(line: &str) -> impl Iterator<Item = (&str, bool)> {
    let words = line.split([' ', '\t', ',']);
    let values = words.flat_map(|word| word.split('|').enumerate().map(|(at, value)| (value, at > 0)));
    values.filter(|(value, _)| !value.is_empty())
}

/// What a filter looks like.
const EXAMPLE: &str = "as in: port 80 host 10.0.0.1 cause mtu";

impl Display for FilterArgs {
    /// The filters as the user typed them; "none" without any.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        fn list<T: Display>(parts: &mut Vec<String>, name: &str, values: &[T]) {
            if !values.is_empty() {
                let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                parts.push(format!("{name} {}", values.join("|")));
            }
        }
        let mut parts = Vec::new();
        list(&mut parts, "port", &self.port);
        list(&mut parts, "sport", &self.sport);
        list(&mut parts, "dport", &self.dport);
        list(&mut parts, "host", &self.host);
        list(&mut parts, "src", &self.src);
        list(&mut parts, "dst", &self.dst);
        list(&mut parts, "proto", &self.proto);
        list(&mut parts, "iface", &self.iface);
        list(&mut parts, "netns", &self.netns);
        list(&mut parts, "reason", &self.reason);
        if parts.is_empty() { f.write_str("none") } else { f.write_str(&parts.join(", ")) }
    }
}

/// The prefix as the kernel program's trie keeps it, with its length in bits.
pub fn host_key(prefix: &IpNet) -> (u32, HostKey) {
    let mut address = [0; 16];
    let l3 = match prefix.network() {
        IpAddr::V4(network) => {
            address[..4].copy_from_slice(&network.octets());
            L3::Ipv4
        }
        IpAddr::V6(network) => {
            address = network.octets();
            L3::Ipv6
        }
    };
    (HostKey::FAMILY_BITS + u32::from(prefix.prefix_len()), HostKey::new(l3 as u8, words_of(address)))
}

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
fn service_port(services: &str, wanted: &str) -> Option<u16> {
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

/// Protocols that have a name.
const PROTOCOLS: [(&str, u32); 6] =
    [("tcp", 6), ("udp", 17), ("icmp", 1), ("icmpv6", 58), ("sctp", 132), ("arp", PROTO_ARP)];

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

/// The name of an IP protocol, if it has one here.
pub fn protocol_name(number: u32) -> Option<&'static str> {
    PROTOCOLS.iter().find(|(_, known)| *known == number).map(|(name, _)| *name)
}

/// The name of a device, as the kernel allows it (`dev_valid_name` in `net/core/dev.c`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iface(String);

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

fn unknown_reason(reasons: &Reasons, name: &str) -> Error {
    let names: Vec<&str> = reasons.iter().map(|(_, name)| name).collect();
    Error::UnknownReason { name: name.to_owned(), near: near(&name.to_ascii_uppercase(), &names) }
}

/// The candidates that resemble what was typed, best first, as part of a sentence: "; did you mean A or B?".
pub fn near(typed: &str, candidates: &[&str]) -> String {
    let mut ranked: Vec<(f64, &str)> = candidates
        .iter()
        .map(|candidate| {
            let part = f64::from(u8::from(candidate.contains(typed) && typed.len() >= 3));
            (strsim::jaro_winkler(typed, candidate).max(part), *candidate)
        })
        .filter(|(score, _)| *score > 0.75)
        .collect();
    ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let names: Vec<&str> = ranked.into_iter().take(4).map(|(_, name)| name).collect();
    if names.is_empty() { String::new() } else { format!("; did you mean {}?", names.join(" or ")) }
}

#[cfg(test)]
mod tests;

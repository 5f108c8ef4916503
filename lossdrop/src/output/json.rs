//! One JSON object a line; `docs/json.md` describes them.

use std::fmt::Write as _;

use jiff::Timestamp;
use lossdrop_common::Event;
use serde::Serialize;

use super::{Format, Summary, facts::FactFields};
use crate::{
    capture::Needs,
    drops::{Drop, accounting::Accounting, packet},
    identity::{Namespace, Owner},
    knowledge::{Assessment, Cause},
    text::JSON_VERSION,
};

/// Writes JSON lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Json {
    /// Bytes of each packet to tell.
    snaplen: u32,
    /// Tell the stack.
    stack: bool,
    second: i64,
    /// `second` as RFC 3339, without its fraction and zone.
    second_text: String,
}

#[derive(Serialize)]
struct DropLine<'a> {
    r#type: &'static str,
    v: u32,
    ts: &'a str,
    reason: Option<&'a str>,
    location: &'a str,
    symbol: Option<&'a str>,
    benign: bool,
    #[serde(flatten)]
    assessment: Assessment,
    evidence: &'a [String],
    netns: Option<Netns<'a>>,
    iface: Option<Interface<'a>>,
    l3: Option<&'a str>,
    proto: Option<&'a str>,
    src_ip: Option<std::net::IpAddr>,
    src_port: Option<u16>,
    dst_ip: Option<std::net::IpAddr>,
    dst_port: Option<u16>,
    len: u32,
    skb_len: u32,
    tcp_flags: Option<&'a str>,
    icmp_type: Option<u8>,
    icmp_code: Option<u8>,
    vlan: Option<u16>,
    owner: Option<&'a Owner>,
    cpu: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<Vec<String>>,
    #[serde(flatten)]
    facts: Option<FactFields<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    packet: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct Netns<'a> {
    inum: u32,
    name: Option<&'a str>,
}

impl<'a> Netns<'a> {
    /// `None` for 0, which is no namespace.
    pub(super) fn of(inum: u32, known: Option<&'a Namespace>) -> Option<Self> {
        (inum != 0).then(|| Self { inum, name: known.map(|known| known.name.as_str()) })
    }
}

#[derive(Serialize)]
struct Interface<'a> {
    index: u32,
    name: &'a str,
    mtu: u32,
}

#[derive(Serialize)]
struct SummaryLine<'a> {
    r#type: &'static str,
    v: u32,
    #[serde(flatten)]
    accounting: Accounting,
    suppressed_benign: u64,
    suppressed_unselected: u64,
    duration_s: f64,
    other: u64,
    groups: Vec<GroupFields<'a>>,
}

#[derive(Serialize)]
struct GroupFields<'a> {
    reason: Option<&'a str>,
    symbol: &'a str,
    benign: bool,
    cause: &'static str,
    kind: String,
    severity: &'static str,
    count: u64,
}

impl Json {
    /// `snaplen`: bytes of each packet to tell; `stack`: tell the stack, too.
    pub(crate) fn new(snaplen: u32, stack: bool) -> Self {
        Self { snaplen, stack, ..Self::default() }
    }

    /// RFC 3339 in UTC with nanoseconds. Most drops share their second with the one before.
    fn timestamp(&mut self, unix_ns: i128) -> String {
        const SECOND: i128 = 1_000_000_000;
        let second = i64::try_from(unix_ns.div_euclid(SECOND)).unwrap_or_default();
        if second != self.second || self.second_text.is_empty() {
            self.second = second;
            let time = Timestamp::from_second(second).unwrap_or_default();
            self.second_text = time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        }
        let mut text = String::with_capacity(30);
        text.push_str(&self.second_text);
        // Writing to a String does not fail.
        let _ = write!(text, ".{:09}Z", unix_ns.rem_euclid(SECOND));
        text
    }
}

/// Appends the object as a line. Only a map with keys that are no strings could fail, and there is none.
fn line(value: &impl Serialize, out: &mut Vec<u8>) {
    if serde_json::to_writer(&mut *out, value).is_ok() {
        out.push(b'\n');
    }
}

impl Format for Json {
    fn needs(&self) -> Needs {
        Needs { snaplen: self.snaplen, stack: self.stack, facts: false }
    }

    fn drop(&mut self, drop: &Drop<'_>, out: &mut Vec<u8>) {
        let (event, verdict) = (&drop.event, &drop.verdict);
        let (src_ip, dst_ip) = packet::addresses(event).unzip();
        let (src_port, dst_port) = packet::ports(event).unzip();
        let has_tcp_flags = event.flags & Event::HAS_TCP_FLAGS != 0;
        let has_icmp = event.flags & Event::HAS_ICMP != 0;
        line(
            &DropLine {
                r#type: "drop",
                v: JSON_VERSION,
                ts: &self.timestamp(drop.unix_ns),
                reason: drop.described.reason.as_deref(),
                location: &drop.described.location,
                symbol: drop.described.symbol.as_deref(),
                benign: drop.described.benign(),
                assessment: verdict.assessment,
                evidence: &verdict.evidence,
                netns: Netns::of(event.key.netns, drop.netns),
                iface: (event.key.ifindex != 0).then_some(Interface {
                    index: event.key.ifindex,
                    name: &drop.iface(),
                    mtu: event.mtu,
                }),
                l3: packet::l3(event).as_deref(),
                proto: packet::protocol(event).as_deref(),
                src_ip,
                src_port,
                dst_ip,
                dst_port,
                len: event.len,
                skb_len: event.skb_len,
                tcp_flags: has_tcp_flags.then(|| packet::tcp_flags(event.tcp_flags)).as_deref(),
                icmp_type: has_icmp.then_some(event.icmp_type),
                icmp_code: has_icmp.then_some(event.icmp_code),
                vlan: packet::vlan(event),
                owner: drop.owner,
                cpu: event.cpu,
                stack: self.stack.then(|| drop.stack()),
                facts: drop.facts.as_deref().map(|facts| {
                    let in_netfilter = drop.described.cause() == Cause::Netfilter;
                    FactFields::new(facts, drop.peer_netns, in_netfilter)
                }),
                packet: &hex(drop.packet),
            },
            out,
        );
    }

    fn end(&mut self, summary: &Summary, out: &mut Vec<u8>) {
        let groups = summary.groups.iter().map(|group| GroupFields {
            reason: group.reason.as_deref(),
            symbol: &group.symbol,
            benign: group.benign(),
            cause: group.kind.cause.as_str(),
            kind: group.kind.to_string(),
            severity: group.severity.as_str(),
            count: group.count,
        });
        line(
            &SummaryLine {
                r#type: "summary",
                v: JSON_VERSION,
                accounting: summary.accounting,
                suppressed_benign: summary.accounting.benign,
                suppressed_unselected: summary.accounting.unselected,
                duration_s: summary.elapsed.as_secs_f64(),
                other: summary.other,
                groups: groups.collect(),
            },
            out,
        );
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

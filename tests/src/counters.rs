//! The kernel's own counters, against which drops are counted.

use std::collections::HashMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::netns::{Netns, output};
use crate::veth::ip_json;

/// What `ip -s link` shows of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    pub rx_packets: u64,
    pub rx_dropped: u64,
    pub tx_packets: u64,
    pub tx_dropped: u64,
}

/// # Errors
/// When there is no such device.
pub fn link_stats(ns: &Netns, dev: &str) -> Result<LinkStats> {
    let link = ip_json(ns, &["link", "show", "dev", dev])?;
    let read = |way: &str, key: &str| number(&link["stats64"][way][key]);
    Ok(LinkStats {
        rx_packets: read("rx", "packets")?,
        rx_dropped: read("rx", "dropped")?,
        tx_packets: read("tx", "packets")?,
        tx_dropped: read("tx", "dropped")?,
    })
}

/// The protocol counters of a namespace, by the names that `nstat` uses (`UdpNoPorts`, `Udp6NoPorts`, `TcpOutRsts`).
#[derive(Clone, Debug, Default)]
pub struct Nstat(HashMap<String, u64>);

impl Nstat {
    /// # Errors
    /// When the namespace cannot be joined.
    pub fn read(ns: &Netns) -> Result<Self> {
        ns.run(|| {
            let mut counters = HashMap::new();
            for file in ["snmp", "netstat"] {
                parse_pairs(&fs::read_to_string(format!("/proc/thread-self/net/{file}"))?, &mut counters);
            }
            // Absent on a kernel without IPv6.
            let snmp6 = fs::read_to_string("/proc/thread-self/net/snmp6").unwrap_or_default();
            counters.extend(snmp6.lines().filter_map(|line| {
                let (name, value) = line.split_once(char::is_whitespace)?;
                Some((name.to_owned(), value.trim().parse().ok()?))
            }));
            Ok(Self(counters))
        })
    }

    /// 0 for a counter that this kernel does not have.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }
}

/// One counter of a namespace.
///
/// # Errors
/// When the namespace cannot be joined.
pub fn nstat(ns: &Netns, name: &str) -> Result<u64> {
    Ok(Nstat::read(ns)?.get(name))
}

/// `Udp: InDatagrams NoPorts` above `Udp: 5 3`.
fn parse_pairs(text: &str, into: &mut HashMap<String, u64>) {
    let lines: Vec<_> = text.lines().collect();
    for pair in lines.chunks_exact(2) {
        let mut names = pair[0].split_whitespace();
        let group = names.next().unwrap_or_default().trim_end_matches(':');
        for (name, value) in names.zip(pair[1].split_whitespace().skip(1)) {
            if let Ok(value) = value.parse() {
                into.insert(format!("{group}{name}"), value);
            }
        }
    }
}

/// Packets counted by each rule of a chain, first rule first. `tool` is `iptables`, `iptables-legacy`, `ip6tables`…, with
/// `-t` and a table if it is not `filter`.
///
/// # Errors
/// When the tool is missing or there is no such chain.
pub fn iptables_counters(ns: &Netns, tool: &str, chain: &str) -> Result<Vec<u64>> {
    let text = ns.sh(&format!("{tool} -w -nvxL {chain}"))?;
    let counts = text.lines().skip(2).filter_map(|line| line.split_whitespace().next());
    counts.map(|count| count.parse().with_context(|| format!("{tool} -nvxL {chain}: {text}"))).collect()
}

/// Packets counted by each rule of an nftables table that has a counter, in the order of the ruleset.
///
/// # Errors
/// When `nft` is missing or there is no such table.
pub fn nft_counters(ns: &Netns, family: &str, table: &str) -> Result<Vec<u64>> {
    let text = output(ns.command("nft").args(["-j", "list", "table", family, table]))?;
    let parsed: Value = serde_json::from_str(&text).context("nft printed no JSON")?;
    let items = parsed["nftables"].as_array().map_or(&[][..], Vec::as_slice);
    let statements = items.iter().filter_map(|item| item["rule"]["expr"].as_array()).flatten();
    statements
        .filter_map(|statement| statement.get("counter"))
        .map(|counter| number(&counter["packets"]))
        .collect()
}

/// What `tc -s qdisc` shows of one queueing discipline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QdiscStats {
    pub kind: String,
    pub handle: String,
    pub drops: u64,
    pub qlen: u64,
}

/// # Errors
/// When `tc` is missing or there is no such device.
pub fn qdisc_stats(ns: &Netns, dev: &str) -> Result<Vec<QdiscStats>> {
    let text = output(Command::new("tc").args(["-s", "-j", "-n", ns.name(), "qdisc", "show", "dev", dev]))?;
    let parsed: Vec<Value> = serde_json::from_str(&text).context("tc printed no JSON")?;
    let text_of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let stats = parsed.iter().map(|qdisc| {
        Ok(QdiscStats {
            kind: text_of(&qdisc["kind"]),
            handle: text_of(&qdisc["handle"]),
            drops: number(&qdisc["drops"])?,
            qlen: number(&qdisc["qlen"])?,
        })
    });
    stats.collect()
}

/// The last column of `/proc/net/udp` (and `udp6`): what the sockets bound to `port` have lost so far.
///
/// # Errors
/// When no socket is bound to it.
pub fn udp_socket_drops(ns: &Netns, port: u16) -> Result<u64> {
    let suffix = format!(":{port:04X}");
    ns.run(|| {
        let mut text = fs::read_to_string("/proc/thread-self/net/udp")?;
        text += &fs::read_to_string("/proc/thread-self/net/udp6").unwrap_or_default();
        let bound = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let drops = bound.filter(|fields| fields.get(1).is_some_and(|local| local.ends_with(&suffix)));
        let drops = drops.filter_map(|fields| fields.last()?.parse::<u64>().ok());
        drops.reduce(|a, b| a + b).with_context(|| format!("no UDP socket at port {port}"))
    })
}

fn number(value: &Value) -> Result<u64> {
    value.as_u64().with_context(|| format!("not a number: {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snmp_counters_are_named_as_nstat_names_them() {
        let mut counters = HashMap::new();
        let text = "Tcp: RtoAlgorithm MaxConn\nTcp: 1 -1\nUdp: InDatagrams NoPorts\nUdp: 5 3\n";
        parse_pairs(text, &mut counters);
        assert_eq!(counters.get("UdpNoPorts"), Some(&3));
        assert_eq!(counters.get("TcpMaxConn"), None);
    }
}

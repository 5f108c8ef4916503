//! What `iptables-save -c` and its kin print.

use std::collections::HashMap;

use super::{
    model::{Api, Base, Chain, Counter, Rule, Table, Verdict},
    words, xt,
};
use crate::knowledge::Family;

/// A table as printed; rules by chain, each with its packets.
#[derive(Clone, Debug, Default)]
pub(super) struct Saved {
    /// Its name.
    pub name: String,
    /// Name, policy, packets of the policy.
    pub chains: Vec<(String, String, Option<u64>)>,
    /// Text and packets of each rule.
    pub rules: HashMap<String, Vec<(String, Option<u64>)>>,
}

/// Splits it into tables. Lines that are none of ours are passed over.
pub(super) fn parse(text: &str) -> Vec<Saved> {
    let mut tables: Vec<Saved> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            tables.push(Saved { name: name.trim().to_owned(), ..Saved::default() });
            continue;
        }
        let Some(table) = tables.last_mut() else { continue };
        if let Some(chain) = line.strip_prefix(':') {
            let mut words = chain.split_whitespace();
            let name = words.next().unwrap_or_default().to_owned();
            let policy = words.next().unwrap_or_default().to_owned();
            table.chains.push((name, policy, words.next().and_then(packets)));
            continue;
        }
        let (count, rule) = match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
            Some((count, rule)) => (packets(count), rule),
            None => (None, line),
        };
        if let Some(chain) = rule.strip_prefix("-A ").and_then(|rest| rest.split_whitespace().next()) {
            table.rules.entry(chain.to_owned()).or_default().push((rule.trim_end().to_owned(), count));
        }
    }
    tables
}

/// Of `[packets:bytes]`, with or without the brackets.
fn packets(text: &str) -> Option<u64> {
    text.trim_matches(['[', ']']).split(':').next()?.parse().ok()
}

/// A table of legacy iptables.
pub(super) fn legacy(saved: &Saved, family: Family, tool: &str) -> Table {
    let mut table = Table::new(Api::IptablesLegacy, family, &saved.name, tool);
    for (name, policy, count) in &saved.chains {
        let base = (policy != "-").then(|| name.parse().ok()).flatten().map(|hook| Base {
            hook,
            priority: priority(&saved.name, name),
            drops: policy == "DROP",
            nat: saved.name == "nat",
            devices: Vec::new(),
        });
        table.add(Chain {
            name: name.clone(),
            policy_packets: count.filter(|_| base.is_some()),
            base,
            rules: rules(saved, name, family),
        });
    }
    table
}

/// Those of a chain.
pub(super) fn rules(saved: &Saved, chain: &str, family: Family) -> Vec<Rule> {
    let lines = saved.rules.get(chain).map(Vec::as_slice).unwrap_or_default();
    let rules = lines.iter().enumerate().map(|(index, (text, packets))| {
        let parsed = xt::parse(&words::split(text), family);
        Rule {
            position: index + 1,
            handle: None,
            text: text.clone(),
            matches: parsed.matches,
            verdict: parsed.verdict,
            // Extensions are asked before the counter.
            counter: packets.map(|packets| Counter { packets, exact: true }),
            by_chance: parsed.by_chance,
            ct_invalid: parsed.ct_invalid,
            sets_mark: parsed.sets_mark,
        }
    });
    rules.collect()
}

/// Where the kernel puts a table's chain (`NF_IP_PRI_*`).
fn priority(table: &str, chain: &str) -> i32 {
    match (table, chain) {
        ("raw", _) => -300,
        ("mangle", _) => -150,
        ("nat", "PREROUTING" | "OUTPUT") => -100,
        ("nat", _) => 100,
        ("security", _) => 50,
        _ => 0,
    }
}

/// What a target of iptables does.
pub(super) fn target(name: &str) -> Verdict {
    match name {
        "ACCEPT" | "SNAT" | "DNAT" | "MASQUERADE" | "REDIRECT" | "NETMAP" => Verdict::Accept,
        "DROP" => Verdict::Drop,
        "REJECT" => Verdict::Reject,
        "QUEUE" | "NFQUEUE" => Verdict::Queue,
        "RETURN" => Verdict::Return,
        "SYNPROXY" => Verdict::SynProxy,
        "TARPIT" | "STEAL" => Verdict::Stolen,
        "AUDIT" | "CHECKSUM" | "CLASSIFY" | "CONNMARK" | "CONNSECMARK" | "CT" | "DSCP" | "ECN" | "HL"
        | "HMARK" | "IDLETIMER" | "LED" | "LOG" | "MARK" | "NFLOG" | "NOTRACK" | "RATEEST" | "SECMARK"
        | "SET" | "TCPMSS" | "TCPOPTSTRIP" | "TEE" | "TOS" | "TRACE" | "TTL" | "ULOG" | "CONTINUE" => {
            Verdict::Continue
        }
        _ => Verdict::Unknown(name.to_owned()),
    }
}

/// A protocol by iptables', nft's or the number's name.
pub(super) fn protocol_number(name: &str) -> Option<u8> {
    Some(match name {
        "icmp" => 1,
        "igmp" => 2,
        "ipencap" | "ipip" => 4,
        "tcp" => 6,
        "udp" => 17,
        "dccp" => 33,
        "ipv6" => 41,
        "gre" => 47,
        "esp" => 50,
        "ah" => 51,
        "ipv6-icmp" | "icmpv6" => 58,
        "ospf" => 89,
        "pim" => 103,
        "vrrp" => 112,
        "l2tp" => 115,
        "sctp" => 132,
        "udplite" => 136,
        number => number.parse().ok()?,
    })
}

/// A TCP flag by its name, in either case.
pub(super) fn tcp_flag(name: &str) -> Option<u8> {
    ["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"]
        .iter()
        .position(|known| known.eq_ignore_ascii_case(name))
        .map(|bit| 1 << bit)
}

#[cfg(test)]
mod tests;

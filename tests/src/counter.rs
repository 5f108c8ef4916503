//! Counters of the kernel, named so that a scenario can be a table.

use anyhow::{Context, Result};

use crate::counters::{iptables_counters, link_stats, nft_counters, nstat, qdisc_stats};
use crate::netns::Netns;

/// One counter, of the namespace that it is read in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Of one rule: tool, table, chain, number (from 1; all rules of the chain together for 0).
    Iptables(&'static str, &'static str, &'static str, usize),
    /// Of a built-in chain's policy: tool, table, chain.
    IptablesPolicy(&'static str, &'static str, &'static str),
    /// Of one rule of an nftables table: family, table, the how many'th rule with a counter (from 1).
    Nft(&'static str, &'static str, usize),
    /// By the name that `nstat` uses.
    Nstat(&'static str),
    /// Packets that IPv4 has received, but not delivered: what dropped in between, where no rule counts.
    NotDelivered,
    RxDropped(&'static str),
    TxDropped(&'static str),
    RxPackets(&'static str),
    /// The greatest of all qdiscs of a device: a root repeats what its leaves drop.
    Qdisc(&'static str),
    /// What a shell line prints.
    Shell(&'static str),
}

impl Counter {
    /// # Errors
    /// When a tool is missing, or there is no such counter.
    pub fn read(self, ns: &Netns) -> Result<u64> {
        match self {
            Self::Iptables(tool, table, chain, rule) => {
                let all = iptables_counters(ns, &format!("{tool} -t {table}"), chain)?;
                match rule {
                    0 => Ok(all.iter().sum()),
                    rule => all.get(rule - 1).copied().with_context(|| format!("{chain} has no rule {rule}")),
                }
            }
            Self::IptablesPolicy(tool, table, chain) => {
                // `-P INPUT DROP -c 5 140`
                let shown = ns.sh(&format!("{tool} -w -t {table} -v -S {chain} | head -n 1"))?;
                let count = shown.split_whitespace().nth(4).and_then(|count| count.parse().ok());
                count.with_context(|| format!("no policy of {chain}: {shown}"))
            }
            Self::Nft(family, table, nth) => {
                let all = nft_counters(ns, family, table)?;
                all.get(nth - 1).copied().with_context(|| format!("{family} {table} has no counter {nth}"))
            }
            Self::Nstat(name) => nstat(ns, name),
            Self::NotDelivered => Ok(nstat(ns, "IpInReceives")? - nstat(ns, "IpInDelivers")?),
            Self::RxDropped(dev) => Ok(link_stats(ns, dev)?.rx_dropped),
            Self::TxDropped(dev) => Ok(link_stats(ns, dev)?.tx_dropped),
            Self::RxPackets(dev) => Ok(link_stats(ns, dev)?.rx_packets),
            Self::Qdisc(dev) => {
                let all = qdisc_stats(ns, dev)?;
                all.iter().map(|qdisc| qdisc.drops).max().with_context(|| format!("{dev} has no qdisc"))
            }
            Self::Shell(line) => {
                let shown = ns.sh(line)?;
                shown.trim().parse().with_context(|| format!("`{line}` printed no number: {shown}"))
            }
        }
    }
}

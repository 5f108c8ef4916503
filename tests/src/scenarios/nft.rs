//! An nftables rule of the inet family, met by both IPv4 and IPv6.

use std::net::SocketAddr;

use anyhow::Result;

use super::pair::{MULTICAST_NOISE, Pair, SERVER_V6, at_server, from_client};
use crate::counters::nft_counters;
use crate::finding::{Count, Finding};
use crate::netns::Netns;
use crate::scenario::{Endpoint, Expected, Lab, Scenario, Setup, Shot};
use crate::traffic::udp_send;
use crate::wait::{LIMIT, wait_until};

const PORT: u16 = 5353;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "nft-inet-drop",
    summary: "an nftables rule in an inet table drops IPv4 and IPv6 alike",
    watch: "sudo lossdrop trace --port 5353",
    packets: "3 UDP datagrams to 10.0.0.2:5353 and 3 to [fd00::2]:5353, against 'udp dport 5353 counter drop'",
    needs: &[],
    findings: &[Finding {
        count: Count::OfShots(&[0, 1]),
        culprit: &["nft inet lab input", "udp dport 5353"],
        numbers: &[("packets", 6)],
        ..Finding::RULE
    }],
    lab: Setup::Code(|| Ok(Box::new(NftDrop::new(3)?))),
};

/// `udp dport PORT counter drop` in the input hook of both families, in a table `lab`.
pub(super) fn add_drop_rule(ns: &Netns, port: u16) -> Result<()> {
    ns.sh("nft add table inet lab && nft 'add chain inet lab input { type filter hook input priority 0; }'")?;
    ns.sh(&format!("nft add rule inet lab input udp dport {port} counter drop"))?;
    Ok(())
}

#[derive(Debug)]
pub struct NftDrop {
    pair: Pair,
    /// Datagrams a round, of each family.
    pub count: u64,
}

impl NftDrop {
    /// # Errors
    /// When the namespaces cannot be set up, or `nft` is missing.
    pub fn new(count: u64) -> Result<Self> {
        let pair = Pair::dual()?;
        add_drop_rule(&pair.server, PORT)?;
        Ok(Self { pair, count })
    }

    /// Packets that the rule has counted so far.
    ///
    /// # Errors
    /// When `nft` fails.
    pub fn counted(&self) -> Result<u64> {
        Ok(nft_counters(&self.pair.server, "inet", "lab")?.iter().sum())
    }
}

impl Lab for NftDrop {
    fn namespaces(&self) -> Vec<&Netns> {
        self.pair.namespaces()
    }

    fn fire(&mut self) -> Result<Shot> {
        let before = self.counted()?;
        let mut shot = Shot { expected: vec![], noise: vec![MULTICAST_NOISE], ..Shot::default() };
        for to in [at_server(PORT), SocketAddr::new(SERVER_V6.into(), PORT)] {
            let from = from_client(to);
            shot.expected.push(Expected {
                reason: "NETFILTER_DROP",
                symbols: &["nft_do_chain", "nf_hook_slow"],
                netns: Some(self.pair.server.inum()),
                iface: Some("eth0"),
                proto: "udp",
                src: Endpoint::host(from.ip()),
                dst: to.into(),
                owner: None,
                count: udp_send(&self.pair.client, from, to, self.count, 32)?.accepted,
            });
        }
        wait_until("the rule has counted all", LIMIT, || Ok(self.counted()? - before >= shot.total()))?;
        Ok(shot)
    }

    fn fire_fixed(&mut self) -> Result<()> {
        self.pair.send_v4(PORT, self.count, 32)?;
        self.pair.send_v6(PORT, self.count, 32)
    }
}

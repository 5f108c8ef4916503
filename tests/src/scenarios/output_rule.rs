//! A rule on the sender's own side: the packet dies before it has a device, and the sender is told.

use std::net::UdpSocket;

use anyhow::{Result, ensure};

use super::pair::{Pair, at_server, from_client};
use crate::counters::iptables_counters;
use crate::finding::Finding;
use crate::netns::Netns;
use crate::scenario::{Expected, Lab, Scenario, Setup, Shot};
use crate::traffic::{udp_bind, udp_send_through};

const PORT: u16 = 4444;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "output-rule",
    summary: "an iptables OUTPUT rule stops datagrams in the process that sends them",
    watch: "sudo lossdrop trace --port 4444",
    packets: "4 UDP datagrams, 10.0.0.1 → 10.0.0.2:4444; each send() fails with EPERM",
    needs: &[],
    findings: &[Finding {
        netns: "client",
        culprit: &["iptables filter OUTPUT rule 1", "--dport 4444"],
        numbers: &[("packets", 4)],
        ..Finding::RULE
    }],
    lab: Setup::Code(|| Ok(Box::new(OutputRule::new("iptables", 4)?))),
};

#[derive(Debug)]
pub struct OutputRule {
    /// Stays open: the sender of a packet is found by its socket.
    sender: UdpSocket,
    pair: Pair,
    tool: &'static str,
    /// Datagrams a round.
    pub count: u64,
}

impl OutputRule {
    /// `tool`: `iptables`, `iptables-legacy` or `iptables-nft`.
    ///
    /// # Errors
    /// When the namespaces cannot be set up, or the tool is missing.
    pub fn new(tool: &'static str, count: u64) -> Result<Self> {
        let pair = Pair::v4()?;
        pair.client.sh(&format!("{tool} -w -A OUTPUT -p udp --dport {PORT} -j DROP"))?;
        let sender = udp_bind(&pair.client, from_client(at_server(PORT)), None)?;
        Ok(Self { sender, pair, tool, count })
    }

    /// Packets that the rule has counted so far.
    ///
    /// # Errors
    /// When the tool fails.
    pub fn counted(&self) -> Result<u64> {
        Ok(iptables_counters(&self.pair.client, self.tool, "OUTPUT")?.iter().sum())
    }
}

impl Lab for OutputRule {
    fn namespaces(&self) -> Vec<&Netns> {
        self.pair.namespaces()
    }

    fn fire(&mut self) -> Result<Shot> {
        let to = at_server(PORT);
        let sent = udp_send_through(&self.sender, to, self.count, 32);
        ensure!(sent.accepted == 0, "the OUTPUT rule let {} datagrams pass", sent.accepted);
        let expected = Expected {
            reason: "NETFILTER_DROP",
            symbols: &["nft_do_chain", "nf_hook_slow"],
            // The packet has no device yet; its route tells which one it was for.
            netns: Some(self.pair.client.inum()),
            iface: Some("eth0"),
            proto: "udp",
            src: self.sender.local_addr()?.into(),
            dst: to.into(),
            owner: Some(std::process::id()),
            count: sent.refused,
        };
        Ok(Shot { expected: vec![expected], ..Shot::default() })
    }

    fn fire_fixed(&mut self) -> Result<()> {
        let _ = udp_send_through(&self.sender, at_server(PORT), self.count, 32);
        Ok(())
    }
}

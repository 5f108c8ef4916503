//! A storm of drops, and a rare one of another cause that it must not hide.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread::available_parallelism;

use anyhow::Result;

use super::nft::add_drop_rule;
use crate::counters::{nft_counters, nstat};
use crate::finding::{Count, Finding, Fix};
use crate::netns::Netns;
use crate::scenario::{Endpoint, Expected, Lab, Scenario, Setup, Shot};
use crate::traffic::{FloodReport, flood, udp_send};
use crate::wait::{LIMIT, wait_until};

const STORM: u16 = 7777;
const RARE: u16 = 9998;
const ROUND: u64 = 50_000;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "flood-with-a-rare-drop",
    summary: "a storm against an nftables rule, and one datagram to a closed port",
    watch: "sudo lossdrop trace --proto udp",
    packets: "50,000 UDP datagrams 127.0.0.1 → :7777 as fast as one CPU can, and one → :9998",
    needs: &[],
    findings: &[
        Finding { netns: "flood", culprit: &["nft inet lab input", "udp dport 7777"], ..Finding::RULE },
        Finding {
            kind: "socket/closed-port",
            severity: "fault",
            confidence: "certain",
            count: Count::OfShot(1),
            netns: "flood",
            culprit: &["udp", "127.0.0.1:9998"],
            numbers: &[],
            fix: Fix::None("something must listen there"),
        },
    ],
    lab: Setup::Code(|| Ok(Box::new(Flood::new()?))),
};

/// One namespace with a loopback device; the caller chooses the counts.
#[derive(Debug)]
pub struct Flood {
    ns: Netns,
}

impl Flood {
    /// # Errors
    /// When the namespace cannot be set up, or `nft` is missing.
    pub fn new() -> Result<Self> {
        let ns = Netns::new("flood")?;
        ns.disable_ipv6()?;
        add_drop_rule(&ns, STORM)?;
        Ok(Self { ns })
    }

    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.ns
    }

    /// Packets that the rule has counted so far.
    ///
    /// # Errors
    /// When `nft` fails.
    pub fn counted(&self) -> Result<u64> {
        Ok(nft_counters(&self.ns, "inet", "lab")?.iter().sum())
    }

    /// Exactly `count` datagrams against the rule, sent from one CPU as fast as it can.
    ///
    /// # Errors
    /// When the kernel refuses to send them, or the rule does not count as many.
    pub fn flood(&self, count: u64, cpu: usize) -> Result<(FloodReport, Expected)> {
        let before = self.counted()?;
        let report = flood(&self.ns, at(STORM), count, cpu)?;
        wait_until("the rule has counted the flood", LIMIT, || Ok(self.counted()? - before >= count))?;
        let expected = self.expected(
            "NETFILTER_DROP",
            &["nft_do_chain", "nf_hook_slow"],
            STORM,
            self.counted()? - before,
        );
        Ok((report, expected))
    }

    /// `count` datagrams to a closed port.
    ///
    /// # Errors
    /// When the kernel's counter does not confirm them.
    pub fn rare(&self, count: u64) -> Result<Expected> {
        let before = nstat(&self.ns, "UdpNoPorts")?;
        let sent = udp_send(&self.ns, at(0), at(RARE), count, 16)?.accepted;
        wait_until("UdpNoPorts", LIMIT, || Ok(nstat(&self.ns, "UdpNoPorts")? - before >= sent))?;
        Ok(self.expected("NO_SOCKET", &["__udp4_lib_rcv", "udp_rcv"], RARE, sent))
    }

    fn expected(
        &self,
        reason: &'static str,
        symbols: &'static [&'static str],
        port: u16,
        count: u64,
    ) -> Expected {
        Expected {
            reason,
            symbols,
            netns: Some(self.ns.inum()),
            iface: Some("lo"),
            proto: "udp",
            src: Endpoint::host(Ipv4Addr::LOCALHOST),
            dst: at(port).into(),
            owner: None,
            count,
        }
    }
}

fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

impl Lab for Flood {
    fn namespaces(&self) -> Vec<&Netns> {
        vec![&self.ns]
    }

    fn fire(&mut self) -> Result<Shot> {
        let last_cpu = available_parallelism().map_or(0, |cpus| cpus.get() - 1);
        let (_, storm) = self.flood(ROUND, last_cpu)?;
        Ok(Shot { expected: vec![storm, self.rare(1)?], ..Shot::default() })
    }

    fn fire_fixed(&mut self) -> Result<()> {
        flood(&self.ns, at(STORM), ROUND, 0)?;
        udp_send(&self.ns, at(0), at(RARE), 1, 16).map(drop)
    }
}

//! Hosts that do not answer ARP or neighbour discovery, and a short queue of what waits for an answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Result;

use super::pair::{MULTICAST_NOISE, Pair, from_client};
use crate::finding::{Count, Finding, Fix};
use crate::netns::Netns;
use crate::scenario::{Endpoint, Expected, Lab, Scenario, Setup, Shot};
use crate::traffic::udp_send;
use crate::veth::ip_json;
use crate::wait::{LIMIT, wait_until};

pub(super) const ALL: &[Scenario] = &[V4, V6, QUEUE_FULL];

const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 77);
const NOBODY_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x77);

const FOUND: Finding = Finding {
    kind: "neighbour/unreachable",
    severity: "fault",
    confidence: "certain",
    count: Count::OfShot(0),
    netns: "client",
    culprit: &["10.0.0.77", "eth0"],
    numbers: &[],
    fix: Fix::None("there must be such a host"),
};

const V4: Scenario = Scenario {
    name: "neighbour-unreachable",
    summary: "datagrams to an address of the same network that nobody has",
    watch: "sudo lossdrop trace --host 10.0.0.77",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.77:9; they wait for an ARP answer and are given up together",
    needs: &[],
    findings: &[FOUND],
    lab: Setup::Code(|| Ok(Box::new(Neighbour::new(3)?))),
};

const V6: Scenario = Scenario {
    name: "neighbour-unreachable-v6",
    summary: "IPv6 datagrams to an address of the same network that nobody has",
    watch: "sudo lossdrop trace --host fd00::77",
    packets: "3 UDP datagrams, fd00::1 → [fd00::77]:9; they wait for a neighbour advertisement",
    findings: &[Finding { culprit: &["fd00::77", "eth0"], ..FOUND }],
    lab: Setup::Code(|| Ok(Box::new(Neighbour::v6(3)?))),
    ..V4
};

const QUEUE_FULL: Scenario = Scenario {
    name: "neighbour-queue-full",
    summary: "more datagrams than may wait for an ARP answer, which never comes",
    packets: "20 UDP datagrams, 10.0.0.1 → 10.0.0.77:9; one waits at a time, and the last one is given up",
    findings: &[
        Finding {
            kind: "neighbour/queue-full",
            severity: "capacity",
            numbers: &[("unres_qlen_bytes", 1)],
            fix: Fix::Stops,
            ..FOUND
        },
        Finding { count: Count::OfShot(1), ..FOUND },
    ],
    lab: Setup::Code(|| Ok(Box::new(Neighbour::short_queue(20)?))),
    ..V4
};

#[derive(Debug)]
pub struct Neighbour {
    pair: Pair,
    to: IpAddr,
    /// Whether a single packet may wait.
    short: bool,
    /// Datagrams a round; more than 100 would overflow the queue behind the neighbour entry, as long as it is.
    pub count: u64,
}

impl Neighbour {
    /// # Errors
    /// When the namespaces cannot be set up.
    pub fn new(count: u64) -> Result<Self> {
        Self::impatient(Pair::v4()?, NOBODY.into(), count)
    }

    /// # Errors
    /// When the namespaces cannot be set up.
    pub fn v6(count: u64) -> Result<Self> {
        Self::impatient(Pair::dual()?, NOBODY_V6.into(), count)
    }

    /// Whoever comes next drops the one that waits.
    ///
    /// # Errors
    /// When the namespaces cannot be set up.
    pub fn short_queue(count: u64) -> Result<Self> {
        let lab = Self::new(count)?;
        lab.pair.client.sysctl("net/ipv4/neigh/eth0/unres_qlen_bytes", "1")?;
        Ok(Self { short: true, ..lab })
    }

    /// One question, 50 ms of patience; the default is three of a second each.
    fn impatient(pair: Pair, to: IpAddr, count: u64) -> Result<Self> {
        let family = if to.is_ipv4() { "ipv4" } else { "ipv6" };
        for (key, value) in [("mcast_solicit", "1"), ("retrans_time_ms", "50")] {
            pair.client.sysctl(&format!("net/{family}/neigh/eth0/{key}"), value)?;
        }
        Ok(Self { pair, to, short: false, count })
    }

    /// Sends, and returns the number when the neighbour has been given up.
    fn send(&self) -> Result<u64> {
        let client = &self.pair.client;
        let to = SocketAddr::new(self.to, 9);
        let sent = udp_send(client, from_client(to), to, self.count, 32)?;
        wait_until("the neighbour entry has failed", LIMIT, || {
            let entry = ip_json(client, &["neigh", "show", "to", &self.to.to_string(), "dev", "eth0"])?;
            Ok(entry["state"].as_array().is_some_and(|state| state.iter().any(|flag| flag == "FAILED")))
        })?;
        Ok(sent.accepted)
    }

    fn given_up(&self, count: u64) -> Expected {
        let to = SocketAddr::new(self.to, 9);
        Expected {
            // IPv6 has no reason for it.
            reason: if to.is_ipv4() { "NEIGH_FAILED" } else { "NOT_SPECIFIED" },
            symbols: &["neigh_invalidate", "arp_error_report", "ndisc_error_report"],
            netns: Some(self.pair.client.inum()),
            iface: Some("eth0"),
            proto: "udp",
            src: Endpoint::host(from_client(to).ip()),
            dst: to.into(),
            owner: None,
            count,
        }
    }
}

impl Lab for Neighbour {
    fn namespaces(&self) -> Vec<&Netns> {
        self.pair.namespaces()
    }

    fn fire(&mut self) -> Result<Shot> {
        let sent = self.send()?;
        let expected = if self.short {
            let crowded_out = Expected {
                reason: "NEIGH_QUEUEFULL",
                symbols: &["__neigh_event_send"],
                ..self.given_up(sent - 1)
            };
            vec![crowded_out, self.given_up(1)]
        } else {
            vec![self.given_up(sent)]
        };
        let noise = if self.to.is_ipv4() { vec![] } else { vec![MULTICAST_NOISE] };
        Ok(Shot { expected, noise, ..Shot::default() })
    }

    fn fire_fixed(&mut self) -> Result<()> {
        self.send().map(drop)
    }
}

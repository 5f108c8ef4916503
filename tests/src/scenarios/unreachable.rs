//! A host that does not answer ARP.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;

use super::pair::{CLIENT_V4, Pair, from_client};
use crate::finding::{Count, Finding, Fix};
use crate::netns::Netns;
use crate::scenario::{Endpoint, Expected, Lab, Scenario, Shot};
use crate::traffic::udp_send;
use crate::veth::ip_json;
use crate::wait::{LIMIT, wait_until};

const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 77);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "neighbour-unreachable",
    summary: "datagrams to an address of the same network that nobody has",
    watch: "sudo lossdrop trace --host 10.0.0.77",
    packets: "3 UDP datagrams, 10.0.0.1 → 10.0.0.77:9; they wait for an ARP answer and are given up together",
    needs: &[],
    findings: &[Finding {
        kind: "neighbour/unreachable",
        severity: "fault",
        confidence: "certain",
        count: Count::OfShot(0),
        netns: "client",
        culprit: &["10.0.0.77", "eth0"],
        numbers: &[],
        fix: Fix::None("there must be such a host"),
    }],
    setup: || Ok(Box::new(Neighbour::new(3)?)),
};

#[derive(Debug)]
pub struct Neighbour {
    pair: Pair,
    /// Datagrams a round; more than 100 would overflow the queue behind the neighbour entry.
    pub count: u64,
}

impl Neighbour {
    /// # Errors
    /// When the namespaces cannot be set up.
    pub fn new(count: u64) -> Result<Self> {
        let pair = Pair::v4()?;
        // One question, 50 ms of patience; the default is three of a second each.
        for (key, value) in [("mcast_solicit", "1"), ("retrans_time_ms", "50")] {
            pair.client.sysctl(&format!("net/ipv4/neigh/eth0/{key}"), value)?;
        }
        Ok(Self { pair, count })
    }
}

impl Lab for Neighbour {
    fn namespaces(&self) -> Vec<&Netns> {
        self.pair.namespaces()
    }

    fn fire(&mut self) -> Result<Shot> {
        let client = &self.pair.client;
        let to = SocketAddr::new(NOBODY.into(), 9);
        let sent = udp_send(client, from_client(to), to, self.count, 32)?;
        wait_until("the neighbour entry has failed", LIMIT, || {
            let entry = ip_json(client, &["neigh", "show", "to", &NOBODY.to_string(), "dev", "eth0"])?;
            Ok(entry["state"].as_array().is_some_and(|state| state.iter().any(|flag| flag == "FAILED")))
        })?;
        let expected = Expected {
            reason: "NEIGH_FAILED",
            symbols: &["neigh_invalidate", "arp_error_report"],
            netns: Some(client.inum()),
            iface: Some("eth0"),
            proto: "udp",
            src: Endpoint::host(CLIENT_V4),
            dst: to.into(),
            owner: None,
            count: sent.accepted,
        };
        Ok(Shot { expected: vec![expected], ..Shot::default() })
    }

    fn fire_fixed(&mut self) -> Result<()> {
        let to = SocketAddr::new(NOBODY.into(), 9);
        udp_send(&self.pair.client, from_client(to), to, self.count, 32).map(drop)
    }
}

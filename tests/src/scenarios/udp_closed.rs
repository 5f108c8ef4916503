//! UDP to a port where nobody listens.

use std::net::SocketAddr;

use anyhow::Result;

use super::pair::{MULTICAST_NOISE, Pair, SERVER_V6, at_server, from_client};
use crate::counters::nstat;
use crate::finding::{Count, Finding, Fix};
use crate::netns::Netns;
use crate::scenario::{Endpoint, Expected, Lab, Scenario, Setup, Shot};
use crate::traffic::udp_send;
use crate::wait::{LIMIT, wait_until};

const PORT: u16 = 9999;

const CLOSED: Finding = Finding {
    kind: "socket/closed-port",
    severity: "fault",
    confidence: "certain",
    count: Count::OfShot(0),
    netns: "server",
    culprit: &["udp", "10.0.0.2:9999"],
    numbers: &[],
    fix: Fix::None("something must listen there"),
};

pub(super) const V4: Scenario = Scenario {
    name: "udp-closed-port",
    summary: "IPv4 datagrams to a port where nobody listens",
    watch: "sudo lossdrop trace --port 9999",
    packets: "5 UDP datagrams of 32 bytes, 10.0.0.1 → 10.0.0.2:9999",
    needs: &[],
    findings: &[CLOSED],
    lab: Setup::Code(|| Ok(Box::new(UdpClosedPort::v4(5)?))),
};

pub(super) const V6: Scenario = Scenario {
    name: "udp-closed-port-v6",
    summary: "IPv6 datagrams to a port where nobody listens",
    watch: "sudo lossdrop trace --port 9999",
    packets: "5 UDP datagrams of 32 bytes, fd00::1 → [fd00::2]:9999",
    needs: &[],
    findings: &[Finding { culprit: &["fd00::2", "9999"], ..CLOSED }],
    lab: Setup::Code(|| Ok(Box::new(UdpClosedPort::v6(5)?))),
};

/// The server answers with ICMP "port unreachable", as far as its rate limit allows; that changes no drop.
#[derive(Debug)]
pub struct UdpClosedPort {
    pair: Pair,
    to: SocketAddr,
    /// Datagrams a round.
    pub count: u64,
}

impl UdpClosedPort {
    /// # Errors
    /// When the namespaces cannot be set up.
    pub fn v4(count: u64) -> Result<Self> {
        Ok(Self { pair: Pair::v4()?, to: at_server(PORT), count })
    }

    /// # Errors
    /// When the namespaces cannot be set up.
    pub fn v6(count: u64) -> Result<Self> {
        Ok(Self { pair: Pair::dual()?, to: SocketAddr::new(SERVER_V6.into(), PORT), count })
    }

    /// The sender's and the receiver's side.
    #[must_use]
    pub fn ends(&self) -> (&Netns, &Netns) {
        (&self.pair.client, &self.pair.server)
    }
}

impl Lab for UdpClosedPort {
    fn namespaces(&self) -> Vec<&Netns> {
        self.pair.namespaces()
    }

    fn fire(&mut self) -> Result<Shot> {
        let Pair { client, server } = &self.pair;
        let v4 = self.to.is_ipv4();
        let counter = if v4 { "UdpNoPorts" } else { "Udp6NoPorts" };
        let before = nstat(server, counter)?;
        let from = from_client(self.to);
        let count = udp_send(client, from, self.to, self.count, 32)?.accepted;
        wait_until(counter, LIMIT, || Ok(nstat(server, counter)? - before >= count))?;
        let expected = Expected {
            reason: "NO_SOCKET",
            symbols: if v4 { &["__udp4_lib_rcv", "udp_rcv"] } else { &["__udp6_lib_rcv", "udpv6_rcv"] },
            netns: Some(server.inum()),
            iface: Some("eth0"),
            proto: "udp",
            src: Endpoint::host(from.ip()),
            dst: self.to.into(),
            owner: None,
            count,
        };
        let noise = if v4 { vec![] } else { vec![MULTICAST_NOISE] };
        Ok(Shot { expected: vec![expected], noise, ..Shot::default() })
    }

    fn fire_fixed(&mut self) -> Result<()> {
        udp_send(&self.pair.client, from_client(self.to), self.to, self.count, 32).map(drop)
    }
}

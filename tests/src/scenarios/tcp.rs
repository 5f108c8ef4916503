//! TCP: a port where nobody listens, and connections with nothing wrong.

use std::net::SocketAddrV4;
use std::ops::Range;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::pair::{CLIENT_V4, Pair, SERVER_V4, at_server};
use crate::counters::nstat;
use crate::finding::{Count, Finding, Fix};
use crate::netns::Netns;
use crate::scenario::{Endpoint, Expected, Lab, Noise, Scenario, Setup, Shot};
use crate::traffic::{HttpServer, http_get, tcp_syn};
use crate::wait::{LIMIT, settle, wait_until};

const CLOSED: u16 = 81;

pub(super) const CLOSED_PORT: Scenario = Scenario {
    name: "tcp-closed-port",
    summary: "TCP connection attempts to a port where nobody listens",
    watch: "sudo lossdrop trace --port 81",
    packets: "6 SYNs from 6 ports, 10.0.0.1 → 10.0.0.2:81; each is answered with RST",
    needs: &[],
    findings: &[Finding {
        kind: "socket/closed-port",
        severity: "fault",
        confidence: "certain",
        count: Count::OfShot(0),
        netns: "server",
        culprit: &["tcp", "10.0.0.2:81"],
        numbers: &[],
        fix: Fix::None("something must listen there"),
    }],
    lab: Setup::Code(|| Ok(Box::new(TcpClosedPort::new(6)?))),
};

pub(super) const CLOSE_NOISE: Scenario = Scenario {
    name: "benign-tcp-close",
    summary: "ordinary connections, opened, used and closed: nothing but benign drops",
    watch: "sudo lossdrop trace --port 8080 --all",
    packets: "5 HTTP requests, 10.0.0.1 → 10.0.0.2:8080, all answered",
    needs: &[],
    findings: &[],
    lab: Setup::Code(|| Ok(Box::new(CloseNoise::new(5)?))),
};

/// Source ports of raw SYNs: below the range from which the kernel takes its own, and not the same ones each round.
#[derive(Debug)]
pub(super) struct SourcePorts(u16);

impl SourcePorts {
    const RANGE: Range<u16> = 10_000..30_000;

    pub(super) fn new() -> Self {
        Self(Self::RANGE.start)
    }

    pub(super) fn take(&mut self, count: u16) -> Range<u16> {
        if Self::RANGE.end - self.0 < count {
            self.0 = Self::RANGE.start;
        }
        let taken = self.0..self.0 + count;
        self.0 = taken.end;
        taken
    }
}

#[derive(Debug)]
pub struct TcpClosedPort {
    pair: Pair,
    ports: SourcePorts,
    /// SYNs a round, 20,000 at most.
    pub count: u16,
}

impl TcpClosedPort {
    /// # Errors
    /// When the namespaces cannot be set up.
    pub fn new(count: u16) -> Result<Self> {
        Ok(Self { pair: Pair::v4()?, ports: SourcePorts::new(), count })
    }
}

impl Lab for TcpClosedPort {
    fn namespaces(&self) -> Vec<&Netns> {
        self.pair.namespaces()
    }

    fn fire(&mut self) -> Result<Shot> {
        let Pair { client, server } = &self.pair;
        let to = at_server(CLOSED);
        let before = nstat(server, "TcpOutRsts")?;
        let ports = self.ports.take(self.count);
        let count = tcp_syn(client, CLIENT_V4, ports, SocketAddrV4::new(SERVER_V4, CLOSED))?;
        wait_until("each SYN is answered with RST", LIMIT, || {
            Ok(nstat(server, "TcpOutRsts")? - before >= count)
        })?;
        let expected = Expected {
            reason: "NO_SOCKET",
            symbols: &["tcp_v4_rcv"],
            netns: Some(server.inum()),
            iface: Some("eth0"),
            proto: "tcp",
            src: Endpoint::host(CLIENT_V4),
            dst: to.into(),
            owner: None,
            count,
        };
        let noise = Noise {
            symbols: &["tcp_v4_rcv"],
            why: "the RSTs, which meet no socket at the sender of raw SYNs",
        };
        Ok(Shot { expected: vec![expected], noise: vec![noise], ..Shot::default() })
    }

    fn fire_fixed(&mut self) -> Result<()> {
        let ports = self.ports.take(self.count);
        tcp_syn(&self.pair.client, CLIENT_V4, ports, SocketAddrV4::new(SERVER_V4, CLOSED)).map(drop)
    }
}

#[derive(Debug)]
pub struct CloseNoise {
    server: HttpServer,
    pair: Pair,
    /// Requests a round.
    pub count: u32,
}

impl CloseNoise {
    /// # Errors
    /// When the namespaces cannot be set up.
    pub fn new(count: u32) -> Result<Self> {
        let pair = Pair::v4()?;
        Ok(Self { server: HttpServer::start(&pair.server, at_server(8080))?, pair, count })
    }
}

impl Lab for CloseNoise {
    fn namespaces(&self) -> Vec<&Netns> {
        self.pair.namespaces()
    }

    fn fire(&mut self) -> Result<Shot> {
        for _ in 0..self.count {
            let get = http_get(&self.pair.client, self.server.address(), LIMIT, || Ok(false))?;
            ensure!(get.status.as_deref() == Some("HTTP/1.1 200 OK"), "no answer: {get:?}");
        }
        settle("the last close", Duration::from_millis(50), || nstat(&self.pair.server, "TcpInSegs"))?;
        let noise = Noise {
            symbols: &["tcp_v4_rcv", "sk_stream_kill_queues", "tcp_rcv_state_process"],
            why: "the last segments of a connection that both sides have closed",
        };
        Ok(Shot { expected: vec![], noise: vec![noise], ..Shot::default() })
    }
}

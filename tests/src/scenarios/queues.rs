//! Queues that are full: a socket's receive buffer, a queueing discipline.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::pair::{CLIENT_V4, Pair, at_server, from_client};
use crate::counters::{nstat, qdisc_stats, udp_socket_drops};
use crate::finding::{Count, Finding, Fix};
use crate::netns::Netns;
use crate::scenario::{Endpoint, Expected, Lab, Noise, Scenario, Setup, Shot};
use crate::traffic::{UdpSink, udp_bind, udp_send, udp_send_through};
use crate::wait::settle;

const DEAF: u16 = 5140;
const SLOW: u16 = 6000;

pub(super) const RCVBUF: Scenario = Scenario {
    name: "udp-rcvbuf-full",
    summary: "a process that holds a UDP socket with a tiny buffer and never reads it",
    watch: "sudo lossdrop trace --port 5140",
    packets: "10 UDP datagrams of 100 bytes, 10.0.0.1 → 10.0.0.2:5140; the first few of all fit",
    needs: &[],
    findings: &[Finding {
        kind: "socket/rcvbuf",
        severity: "capacity",
        confidence: "certain",
        count: Count::OfShot(0),
        netns: "server",
        culprit: &["udp", "10.0.0.2:5140"],
        numbers: &[],
        fix: Fix::None("the process must read its socket, whatever the size of the buffer"),
    }],
    lab: Setup::Code(|| Ok(Box::new(RcvBuf::held_by_child(10)?))),
};

pub(super) const QDISC: Scenario = Scenario {
    name: "qdisc-full",
    summary: "more datagrams than a token bucket of 8 kbit/s lets out or holds",
    watch: "sudo lossdrop trace --port 6000",
    packets: "20 UDP datagrams of 400 bytes, 10.0.0.1 → 10.0.0.2:6000, through tbf limit 3000 on eth0",
    needs: &[],
    findings: &[Finding {
        kind: "queue/qdisc-limit",
        severity: "capacity",
        confidence: "certain",
        count: Count::OfShot(0),
        netns: "client",
        culprit: &["tbf", "on eth0"],
        numbers: &[],
        fix: Fix::Stops,
    }],
    lab: Setup::Code(|| Ok(Box::new(Qdisc::tbf(20)?))),
};

#[derive(Debug)]
enum Holder {
    This { _socket: UdpSocket },
    Child(Child),
}

impl Drop for Holder {
    fn drop(&mut self) {
        if let Self::Child(child) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[derive(Debug)]
pub struct RcvBuf {
    holder: Holder,
    pair: Pair,
    /// Datagrams a round.
    pub count: u64,
}

impl RcvBuf {
    /// The socket is this process's.
    ///
    /// # Errors
    /// When the namespaces cannot be set up.
    pub fn held_here(count: u64) -> Result<Self> {
        let pair = Pair::v4()?;
        let socket = udp_bind(&pair.server, at_server(DEAF), Some(1))?;
        Ok(Self { holder: Holder::This { _socket: socket }, pair, count })
    }

    /// The socket is a child's alone: `sleep`, which has it as its standard input.
    ///
    /// # Errors
    /// When the namespaces cannot be set up, or `sleep` is missing.
    pub fn held_by_child(count: u64) -> Result<Self> {
        Self::held_by(Path::new("sleep"), count)
    }

    /// As [`held_by_child`](Self::held_by_child), the child being a program that sleeps as `sleep` does.
    ///
    /// # Errors
    /// When the namespaces cannot be set up, or there is no such program.
    pub fn held_by(program: &Path, count: u64) -> Result<Self> {
        let pair = Pair::v4()?;
        let socket = OwnedFd::from(udp_bind(&pair.server, at_server(DEAF), Some(1))?);
        let child = pair.server.run(|| {
            let mut sleep = Command::new(program);
            // A group of its own: a Ctrl-C at the terminal is for the lab, which ends it.
            sleep.arg("3600").process_group(0).stdin(socket).stdout(Stdio::null()).stderr(Stdio::null());
            sleep.spawn().with_context(|| format!("cannot run {}", program.display()))
        })?;
        Ok(Self { holder: Holder::Child(child), pair, count })
    }

    /// The process that holds the socket.
    #[must_use]
    pub fn owner(&self) -> u32 {
        match &self.holder {
            Holder::This { .. } => process::id(),
            Holder::Child(child) => child.id(),
        }
    }

    /// What the socket has lost so far, and all datagrams that reached its host.
    fn counted(&self) -> Result<(u64, u64)> {
        let server = &self.pair.server;
        Ok((udp_socket_drops(server, DEAF)?, nstat(server, "IpInDelivers")?))
    }
}

impl Lab for RcvBuf {
    fn namespaces(&self) -> Vec<&Netns> {
        self.pair.namespaces()
    }

    fn fire(&mut self) -> Result<Shot> {
        let to = at_server(DEAF);
        let (drops_before, arrived_before) = self.counted()?;
        let sent = udp_send(&self.pair.client, from_client(to), to, self.count, 100)?.accepted;
        let (drops, arrived) = settle("the socket's drops", Duration::from_millis(50), || self.counted())?;
        ensure!(arrived - arrived_before == sent, "{sent} sent, {} arrived", arrived - arrived_before);
        let expected = Expected {
            reason: "SOCKET_RCVBUFF",
            symbols: &["udp_queue_rcv_one_skb", "__udp_enqueue_schedule_skb", "udp_queue_rcv_skb"],
            netns: Some(self.pair.server.inum()),
            iface: Some("eth0"),
            proto: "udp",
            src: Endpoint::host(CLIENT_V4),
            dst: to.into(),
            owner: Some(self.owner()),
            count: drops - drops_before,
        };
        let noise =
            Noise { symbols: &["udp_destruct_common"], why: "what was never read, when the socket closes" };
        Ok(Shot { expected: vec![expected], noise: vec![noise], ..Shot::default() })
    }
}

/// The datagrams that fit leave the queue in their own time, to a socket that reads them.
#[derive(Debug)]
pub struct Qdisc {
    _sink: UdpSink,
    /// Stays open: the sender of a packet is found by its socket.
    sender: UdpSocket,
    pair: Pair,
    /// Datagrams a round.
    pub count: u64,
}

impl Qdisc {
    /// A token bucket with a queue of 3000 bytes.
    ///
    /// # Errors
    /// When the namespaces cannot be set up, or the kernel has no `tbf`.
    pub fn tbf(count: u64) -> Result<Self> {
        Self::new(count, "tc qdisc add dev eth0 root tbf rate 8kbit burst 1600 limit 3000")
    }

    /// A `pfifo limit 3` below a class of `htb`: what drops is not the root.
    ///
    /// # Errors
    /// When the namespaces cannot be set up, or the kernel has no `htb`.
    pub fn htb_leaf(count: u64) -> Result<Self> {
        Self::new(
            count,
            "tc qdisc add dev eth0 root handle 1: htb default 10 \
             && tc class add dev eth0 parent 1: classid 1:10 htb rate 8kbit burst 1600 \
             && tc qdisc add dev eth0 parent 1:10 handle 10: pfifo limit 3",
        )
    }

    fn new(count: u64, setup: &str) -> Result<Self> {
        let pair = Pair::v4()?;
        pair.client.sh(setup)?;
        let sender = udp_bind(&pair.client, from_client(at_server(SLOW)), None)?;
        Ok(Self { _sink: UdpSink::start(&pair.server, at_server(SLOW))?, sender, pair, count })
    }

    /// Drops that `tc` shows so far; a root repeats those of its leaves.
    fn dropped(&self) -> Result<u64> {
        let stats = qdisc_stats(&self.pair.client, "eth0")?;
        stats.iter().map(|qdisc| qdisc.drops).max().context("eth0 has no qdisc")
    }
}

impl Lab for Qdisc {
    fn namespaces(&self) -> Vec<&Netns> {
        self.pair.namespaces()
    }

    fn fire(&mut self) -> Result<Shot> {
        let to: SocketAddr = at_server(SLOW);
        let before = self.dropped()?;
        let sent = udp_send_through(&self.sender, to, self.count, 400);
        // Without IP_RECVERR the sender of a dropped datagram is told nothing.
        ensure!(sent.refused == 0, "{} datagrams refused", sent.refused);
        let expected = Expected {
            reason: "QDISC_DROP",
            symbols: &["__dev_queue_xmit", "kfree_skb_list_reason", "kfree_skb_list"],
            netns: Some(self.pair.client.inum()),
            iface: Some("eth0"),
            proto: "udp",
            src: self.sender.local_addr()?.into(),
            dst: to.into(),
            owner: Some(process::id()),
            count: self.dropped()? - before,
        };
        let noise = Noise { symbols: &["__rtnl_unlock"], why: "what still waits when the device goes" };
        Ok(Shot { expected: vec![expected], noise: vec![noise], ..Shot::default() })
    }
}

//! The case of the README: requests to a container hang "now and then". Two causes at once: a rule that drops at
//! random, and an MTU of 100 on the container's side of the cable only.

use std::net::SocketAddrV4;
use std::process;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::pair::{CLIENT_V4, SERVER_V4, at_server};
use super::tcp::SourcePorts;
use crate::counters::{iptables_counters, link_stats};
use crate::finding::{Count, Finding, Fix};
use crate::netns::Netns;
use crate::scenario::{Endpoint, Expected, Lab, Noise, Scenario, Setup, Shot};
use crate::traffic::{HttpServer, http_get, tcp_syn};
use crate::veth::{End, Neighbours, veth};
use crate::wait::{LIMIT, settle};

const PORT: u16 = 80;
const MTU: u32 = 100;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "container-mtu-and-firewall",
    summary: "a container whose eth0 has MTU 100, with a rule that drops 30 % of tcp/80",
    watch: "sudo lossdrop trace --port 80",
    packets: "20 SYNs from 20 ports, 10.0.0.1 → 10.0.0.2:80, and three GETs (131 bytes), each given up once it has died",
    needs: &[],
    findings: &[
        Finding {
            kind: "mtu/veth-peer",
            severity: "fault",
            confidence: "certain",
            count: Count::OfShot(1),
            netns: "web",
            culprit: &["eth0"],
            numbers: &[("mtu", 100), ("limit", 118), ("largest_ip", 104)],
            fix: Fix::Stops,
        },
        Finding {
            severity: "fault",
            netns: "web",
            culprit: &["INPUT", "rule 1", "--probability"],
            ..Finding::RULE
        },
    ],
    lab: Setup::Code(|| Ok(Box::new(Container::new("iptables", 20)?))),
};

/// Drops besides the two causes: each SYN-ACK to a raw SYN meets no socket (`tcp_v4_rcv`, in the host's namespace); the
/// RST that it provokes meets a half-open connection; the rule may hit such an RST too, and its counter says so.
#[derive(Debug)]
pub struct Container {
    server: HttpServer,
    ports: SourcePorts,
    host: Netns,
    container: Netns,
    tool: &'static str,
    /// Raw SYNs a round.
    pub syns: u16,
    /// GETs a round. Each has a connection of its own, and is given up before TCP repeats it: once in some hundred
    /// repetitions by TCP's timer, the kernel counts a drop at the device that it traces to nobody.
    pub lost_gets: u64,
}

impl Container {
    /// `tool`: `iptables`, `iptables-legacy` or `iptables-nft`.
    ///
    /// # Errors
    /// When the namespaces cannot be set up, or the tool is missing.
    pub fn new(tool: &'static str, syns: u16) -> Result<Self> {
        let (host, container) = (Netns::new("host")?, Netns::new("web")?);
        host.disable_ipv6()?;
        container.disable_ipv6()?;
        let far = End::new(&container, "eth0", &["10.0.0.2/24"]).mtu(MTU);
        veth(End::new(&host, "veth0", &["10.0.0.1/24"]), far, Neighbours::Permanent)?;
        // A half-open connection whose RST the rule has hit then ends in silence, not in SYN-ACKs for a minute.
        container.sysctl("net/ipv4/tcp_synack_retries", "0")?;
        container.sh(&format!(
            "{tool} -w -A INPUT -p tcp --dport {PORT} -m statistic --mode random --probability 0.3 -j DROP"
        ))?;
        let server = HttpServer::start(&container, at_server(PORT))?;
        Ok(Self { server, ports: SourcePorts::new(), host, container, tool, syns, lost_gets: 3 })
    }

    /// The sender's and the container's namespace.
    #[must_use]
    pub fn ends(&self) -> (&Netns, &Netns) {
        (&self.host, &self.container)
    }

    /// So far: packets that the rule has dropped, and packets too big for `eth0`.
    ///
    /// # Errors
    /// When a tool fails.
    pub fn counted(&self) -> Result<(u64, u64)> {
        let rule = iptables_counters(&self.container, self.tool, "INPUT")?.iter().sum();
        Ok((rule, link_stats(&self.container, "eth0")?.rx_dropped))
    }
}

impl Lab for Container {
    fn namespaces(&self) -> Vec<&Netns> {
        vec![&self.host, &self.container]
    }

    fn fire(&mut self) -> Result<Shot> {
        let (rule_before, mtu_before) = self.counted()?;
        let ports = self.ports.take(self.syns);
        tcp_syn(&self.host, CLIENT_V4, ports, SocketAddrV4::new(SERVER_V4, PORT))?;
        for _ in 0..self.lost_gets {
            let before = link_stats(&self.container, "eth0")?.rx_dropped;
            let get = http_get(&self.host, self.server.address(), LIMIT, || {
                Ok(link_stats(&self.container, "eth0")?.rx_dropped > before)
            })?;
            ensure!(get.status.is_none(), "the request got through MTU {MTU}: {get:?}");
        }
        // The GETs' connections are reset and SYN-ACKs are not repeated: what moves now is still in flight.
        let (rule, mtu) = settle("the rule's counter", Duration::from_millis(100), || self.counted())?;

        let by_rule = Expected {
            reason: "NETFILTER_DROP",
            symbols: &["nft_do_chain", "nf_hook_slow"],
            netns: Some(self.container.inum()),
            iface: Some("eth0"),
            proto: "tcp",
            src: Endpoint::host(CLIENT_V4),
            dst: at_server(PORT).into(),
            owner: None,
            count: rule - rule_before,
        };
        let by_mtu = Expected {
            reason: "NOT_SPECIFIED",
            symbols: &["__dev_forward_skb2", "__dev_forward_skb"],
            // The sender's side: the packet has not changed hands when the receiver's MTU refuses it.
            netns: Some(self.host.inum()),
            iface: Some("veth0"),
            owner: Some(process::id()),
            count: mtu - mtu_before,
            ..by_rule.clone()
        };
        Ok(Shot { expected: vec![by_rule, by_mtu], noise: vec![HALF_OPEN], ..Shot::default() })
    }

    fn fire_fixed(&mut self) -> Result<()> {
        let ports = self.ports.take(self.syns);
        tcp_syn(&self.host, CLIENT_V4, ports, SocketAddrV4::new(SERVER_V4, PORT))?;
        // Answered, unless the other cause is still there.
        http_get(&self.host, self.server.address(), Duration::from_secs(1), || Ok(false)).map(drop)
    }
}

const HALF_OPEN: Noise = Noise {
    symbols: &[
        "tcp_v4_rcv",
        "tcp_v4_do_rcv",
        "sk_stream_kill_queues",
        "tcp_rcv_state_process",
        "tcp_validate_incoming",
    ],
    why: "SYN-ACKs to raw SYNs and the RSTs that answer them; the resets of the GETs' connections",
};

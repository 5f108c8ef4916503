//! A lab that is data: a stage, shell lines that spoil it, and packets of which the kernel says how many it dropped.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;

use super::pair::MULTICAST_NOISE;
use super::special::Special;
use super::stage::Stage;
use super::tcp::SourcePorts;
use crate::counter::Counter;
use crate::netns::Netns;
use crate::scenario::{Endpoint, Expected, Lab, Noise, Shot};
use crate::traffic::{self, HttpServer, UdpSink, http_get, udp_send};
use crate::wait::{LIMIT, settle, wait_until};

/// How long a counter must rest where nothing else says that a round is over.
const REST: Duration = Duration::from_millis(60);

/// What such a lab is made of.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    pub stage: Stage,
    /// Shell lines, each with the label of the namespace that it runs in.
    pub setup: &'static [(&'static str, &'static str)],
    /// Addresses where datagrams are read and forgotten: where those that pass must not drop.
    pub sinks: &'static [(&'static str, &'static str)],
    /// Addresses of HTTP servers.
    pub servers: &'static [(&'static str, &'static str)],
    /// Sent one after the other.
    pub volleys: &'static [Volley],
    pub noise: &'static [Noise],
}

impl Plain {
    /// Two hosts, IPv4 only; nothing else.
    pub const PAIR: Self =
        Self { stage: Stage::Pair, setup: &[], sinks: &[], servers: &[], volleys: &[], noise: &[] };

    /// Sets the stage.
    ///
    /// # Errors
    /// When a namespace cannot be set up, or a shell line fails.
    pub fn lab(self) -> Result<Box<dyn Lab>> {
        let namespaces = self.stage.set()?;
        let within = |label: &str| within(&namespaces, label);
        for (label, line) in self.setup {
            within(label)?.sh(line)?;
        }
        let sinks = self.sinks.iter().map(|(label, at)| UdpSink::start(within(label)?, at.parse()?));
        let servers = self.servers.iter().map(|(label, at)| HttpServer::start(within(label)?, at.parse()?));
        Ok(Box::new(PlainLab {
            _sinks: sinks.collect::<Result<_>>()?,
            _servers: servers.collect::<Result<_>>()?,
            namespaces,
            ports: SourcePorts::new(),
            plain: self,
        }))
    }
}

/// Packets of one kind, and what becomes of them.
#[derive(Clone, Copy, Debug)]
pub struct Volley {
    pub traffic: Traffic,
    /// One entry for each cause that loses packets of it; a packet may have offspring that is lost, too (an ICMP error).
    pub lost: &'static [Lost],
}

impl Volley {
    /// One that arrives, or of which nothing matters.
    #[must_use]
    pub const fn harmless(traffic: Traffic) -> Self {
        Self { traffic, lost: &[] }
    }
}

/// Packets, sent from the namespace with the label `from`.
#[derive(Clone, Copy, Debug)]
pub enum Traffic {
    /// Ordinary datagrams of `payload` bytes.
    Udp { from: &'static str, to: &'static str, count: u64, payload: usize },
    /// Small datagrams, each from a port of its own.
    UdpFromPorts { from: &'static str, to: &'static str, count: u64 },
    /// IPv4 datagrams with DF from a raw socket; none too big for a path MTU that the kernel knows, if it looks.
    UdpDf { from: &'static str, src: Ipv4Addr, to: SocketAddrV4, count: u64, payload: usize },
    /// Raw SYNs, each from a port of its own.
    Syn { from: &'static str, src: Ipv4Addr, to: SocketAddrV4, count: u16 },
    /// Raw ACKs that belong to no connection.
    Ack { from: &'static str, src: Ipv4Addr, to: SocketAddrV4, count: u16 },
    /// Raw echo requests.
    Echo { from: &'static str, src: Ipv4Addr, to: Ipv4Addr, count: u16 },
    /// ARP requests of `src` for `to`, out of `eth0`.
    Arp { from: &'static str, src: Ipv4Addr, to: Ipv4Addr, count: u64 },
    /// HTTP requests, each of which must be answered.
    Http { from: &'static str, to: &'static str, count: u32 },
    /// A shell line; the number says how many packets it sends.
    Shell { from: &'static str, line: &'static str, count: u64 },
    /// What only a few scenarios send.
    Special { from: &'static str, what: Special },
}

impl Traffic {
    /// Datagrams of 32 bytes from the client.
    #[must_use]
    pub const fn udp(to: &'static str, count: u64) -> Self {
        Self::Udp { from: "client", to, count, payload: 32 }
    }
}

/// Drops of one volley.
#[derive(Clone, Copy, Debug)]
pub struct Lost {
    pub reason: &'static str,
    pub symbols: &'static [&'static str],
    /// Label of the namespace; `None` where the event cannot tell.
    pub netns: Option<&'static str>,
    pub iface: Option<&'static str>,
    pub proto: &'static str,
    /// `ip`, `ip:port`, or nothing.
    pub src: &'static str,
    pub dst: &'static str,
    /// Of the packets sent.
    pub share: Share,
    /// Label of the namespace of the counter that confirms the drops.
    pub counted: (&'static str, Counter),
}

impl Lost {
    /// All of a volley of UDP, at a rule of nftables in the server's namespace: with this address and this counter.
    #[must_use]
    pub const fn nft(dst: &'static str, counter: Counter) -> Self {
        Self {
            reason: "NETFILTER_DROP",
            symbols: &["nft_do_chain", "nf_hook_slow"],
            netns: Some("server"),
            iface: Some("eth0"),
            proto: "udp",
            src: "",
            dst,
            share: Share::All,
            counted: ("server", counter),
        }
    }

    /// As [`nft`](Self::nft), at a rule of legacy iptables.
    #[must_use]
    pub const fn legacy(dst: &'static str, counter: Counter) -> Self {
        Self { symbols: &["nf_hook_slow"], ..Self::nft(dst, counter) }
    }

    /// In another namespace than the server's.
    #[must_use]
    pub const fn at(self, netns: &'static str) -> Self {
        Self { netns: Some(netns), counted: (netns, self.counted.1), ..self }
    }
}

/// How many packets of a volley are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    All,
    /// Exactly so many.
    Some(u64),
    /// As many as the counter says, but at least one.
    AsCounted,
}

#[derive(Debug)]
struct PlainLab {
    _sinks: Vec<UdpSink>,
    _servers: Vec<HttpServer>,
    namespaces: Vec<Netns>,
    ports: SourcePorts,
    plain: Plain,
}

impl PlainLab {
    /// Sends a volley; returns the number of packets.
    fn send(&mut self, traffic: Traffic) -> Result<u64> {
        let ns = |label: &str| within(&self.namespaces, label);
        match traffic {
            Traffic::Udp { from, to, count, payload } => {
                let to: SocketAddr = to.parse()?;
                let any: SocketAddr = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse()?;
                // Refused ones are sent all the same: by a rule on the way out.
                let sent = udp_send(ns(from)?, any, to, count, payload)?;
                Ok(sent.accepted + sent.refused)
            }
            Traffic::UdpFromPorts { from, to, count } => {
                let one = Traffic::Udp { from, to, count: 1, payload: 32 };
                (0..count).map(|_| self.send(one)).sum()
            }
            Traffic::UdpDf { from, src, to, count, payload } => {
                traffic::udp_df(ns(from)?, SocketAddrV4::new(src, 7000), to, count, payload)
            }
            Traffic::Syn { from, src, to, count } => {
                traffic::tcp_syn(ns(from)?, src, self.ports.take(count), to)
            }
            Traffic::Ack { from, src, to, count } => {
                traffic::tcp_ack(ns(from)?, src, self.ports.take(count), to)
            }
            Traffic::Echo { from, src, to, count } => traffic::icmp_echo(ns(from)?, src, to, 7, count),
            Traffic::Arp { from, src, to, count } => traffic::arp_request(ns(from)?, "eth0", src, to, count),
            Traffic::Http { from, to, count } => {
                for _ in 0..count {
                    let get = http_get(ns(from)?, to.parse()?, LIMIT, || Ok(false))?;
                    ensure!(get.status.is_some(), "no answer from {to}: {get:?}");
                }
                Ok(0)
            }
            Traffic::Shell { from, line, count } => ns(from)?.sh(line).map(|_| count),
            Traffic::Special { from, what } => what.send(ns(from)?, ns),
        }
    }

    /// Sends a volley and waits until the counters have confirmed what is lost of it.
    fn lose(&mut self, volley: &Volley) -> Result<Vec<Expected>> {
        let before: Vec<_> = volley.lost.iter().map(|lost| self.counted(lost)).collect::<Result<_>>()?;
        let sent = self.send(volley.traffic)?;
        let confirmed = volley.lost.iter().zip(before).map(|(lost, before)| {
            let count = self.confirm(lost, before, sent)?;
            self.expected(lost, count)
        });
        confirmed.collect()
    }

    fn counted(&self, lost: &Lost) -> Result<u64> {
        let (label, counter) = lost.counted;
        counter.read(self.netns(label)?)
    }

    /// Waits until the counter has moved by as much as is due, and ensures that it has not by more.
    fn confirm(&self, lost: &Lost, before: u64, sent: u64) -> Result<u64> {
        let due = match lost.share {
            Share::All => Some(sent),
            Share::Some(count) => Some(count),
            Share::AsCounted => None,
        };
        let counted = || Ok(self.counted(lost)? - before);
        let count = match due {
            Some(due) => {
                wait_until("a counter confirms the drops", LIMIT, || Ok(counted()? >= due))
                    .with_context(|| format!("{:?}", lost.counted))?;
                counted()?
            }
            None => settle("a counter", REST, counted)?,
        };
        ensure!(count > 0 && due.is_none_or(|due| count == due), "{count} of {due:?}: {:?}", lost.counted);
        Ok(count)
    }

    fn expected(&self, lost: &Lost, count: u64) -> Result<Expected> {
        Ok(Expected {
            reason: lost.reason,
            symbols: lost.symbols,
            netns: lost.netns.map(|label| self.netns(label).map(Netns::inum)).transpose()?,
            iface: lost.iface,
            proto: lost.proto,
            src: endpoint(lost.src)?,
            dst: endpoint(lost.dst)?,
            owner: None,
            count,
        })
    }
}

impl Lab for PlainLab {
    fn namespaces(&self) -> Vec<&Netns> {
        self.namespaces.iter().collect()
    }

    fn fire(&mut self) -> Result<Shot> {
        let mut shot = Shot { noise: self.plain.noise.to_vec(), ..Shot::default() };
        if self.plain.stage.has_ipv6() {
            shot.noise.push(MULTICAST_NOISE);
        }
        for volley in self.plain.volleys {
            shot.expected.extend(self.lose(volley)?);
        }
        Ok(shot)
    }

    fn fire_fixed(&mut self) -> Result<()> {
        self.plain.volleys.iter().try_for_each(|volley| match self.send(volley.traffic) {
            // The fix may be that the sender is told.
            Err(error) if error.downcast_ref() == Some(&Errno::EMSGSIZE) => Ok(()),
            sent => sent.map(drop),
        })
    }
}

fn within<'a>(namespaces: &'a [Netns], label: &str) -> Result<&'a Netns> {
    let found = namespaces.iter().find(|ns| ns.label() == label);
    found.with_context(|| format!("the stage has no namespace {label}"))
}

/// `ip:port`, `ip`, or nothing.
fn endpoint(text: &str) -> Result<Endpoint> {
    if text.is_empty() {
        return Ok(Endpoint::default());
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address.into());
    }
    let ip: IpAddr = text.parse().with_context(|| format!("neither an address nor a socket's: {text}"))?;
    Ok(Endpoint::host(ip))
}

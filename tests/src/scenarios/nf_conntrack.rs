//! A table of connections that is full (its size is the whole machine's), and a SYNPROXY in front of it.

use std::fs;
use std::net::SocketAddrV4;

use anyhow::{Context, Result};

use super::nf_needs;
use super::pair::{CLIENT_V4, SERVER_V4};
use super::plain::{Lost, Plain, Share, Traffic, Volley};
use crate::counter::Counter;
use crate::finding::Finding;
use crate::netns::Netns;
use crate::scenario::{Lab, Scenario, Setup, Shot};

pub(super) const ALL: &[Scenario] = &[FULL, SYNPROXY];

const FULL: Scenario = Scenario {
    name: "nf-conntrack-full",
    summary: "a table of connections with room for four",
    watch: "sudo lossdrop trace --port 5310",
    packets: "10 UDP datagrams from 10 ports, 10.0.0.1 → 10.0.0.2:5310; the first four of all pass",
    needs: nf_needs::CONNTRACK_FULL,
    findings: &[Finding {
        kind: "netfilter/conntrack-full",
        severity: "capacity",
        culprit: &["conntrack table"],
        numbers: &[("max", 4)],
        ..Finding::RULE
    }],
    lab: Setup::Code(|| Ok(Box::new(Crowded::new()?))),
};

const SYNPROXY: Scenario = Scenario {
    name: "nf-synproxy-cookie",
    summary: "a SYNPROXY that gets acknowledgements of handshakes that it has not made",
    watch: "sudo lossdrop trace --port 5311",
    packets: "4 TCP ACKs from 4 ports, 10.0.0.1 → 10.0.0.2:5311",
    needs: nf_needs::SYNPROXY,
    findings: &[Finding {
        kind: "netfilter/synproxy",
        culprit: &["filter INPUT rule 1", "SYNPROXY"],
        numbers: &[("packets", 4)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[
            ("server", "iptables -t raw -A PREROUTING -p tcp --dport 5311 --syn -j CT --notrack"),
            (
                "server",
                "iptables -A INPUT -p tcp --dport 5311 -m conntrack --ctstate INVALID,UNTRACKED \
                 -j SYNPROXY --sack-perm --timestamp --wscale 7 --mss 1460",
            ),
            // Else an ACK without a handshake begins a connection.
            ("server", "echo 0 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose"),
        ],
        volleys: &[Volley {
            traffic: Traffic::Ack {
                from: "client",
                src: CLIENT_V4,
                to: SocketAddrV4::new(SERVER_V4, 5311),
                count: 4,
            },
            lost: &[Lost {
                proto: "tcp",
                ..Lost::nft("10.0.0.2:5311", Counter::Iptables("iptables", "filter", "INPUT", 1))
            }],
        }],
        ..Plain::PAIR
    }),
};

const STAGE: Plain = Plain {
    setup: &[("server", "iptables -A INPUT -m conntrack --ctstate NEW -j ACCEPT")],
    sinks: &[("server", "10.0.0.2:5310")],
    volleys: &[Volley {
        traffic: Traffic::UdpFromPorts { from: "client", to: "10.0.0.2:5310", count: 10 },
        lost: &[Lost {
            share: Share::AsCounted,
            ..Lost::legacy(
                "10.0.0.2:5310",
                Counter::Shell(
                    "conntrack -S | sed -n 's/.* drop=\\([0-9]*\\).*/\\1/p' | awk '{ n += $1 } END { print n }'",
                ),
            )
        }],
    }],
    ..Plain::PAIR
};

const MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

/// Gives the table its size back in the end.
struct Crowded {
    lab: Box<dyn Lab>,
    max: String,
}

impl Crowded {
    fn new() -> Result<Self> {
        // The first rule on connections brings the table.
        let lab = STAGE.lab()?;
        let max = fs::read_to_string(MAX).with_context(|| format!("cannot read {MAX}"))?;
        fs::write(MAX, "4").with_context(|| format!("cannot set {MAX}"))?;
        Ok(Self { lab, max })
    }
}

impl Lab for Crowded {
    fn namespaces(&self) -> Vec<&Netns> {
        self.lab.namespaces()
    }

    fn fire(&mut self) -> Result<Shot> {
        self.lab.fire()
    }

    fn fire_fixed(&mut self) -> Result<()> {
        self.lab.fire_fixed()
    }
}

impl Drop for Crowded {
    fn drop(&mut self) {
        let _ = fs::write(MAX, &self.max);
    }
}

//! A table of connections that is full. Its size is the whole machine's.

use std::fs;

use anyhow::{Context, Result};

use super::nf_needs;
use super::plain::{Lost, Plain, Share, Traffic, Volley};
use crate::counter::Counter;
use crate::finding::Finding;
use crate::netns::Netns;
use crate::scenario::{Lab, Scenario, Shot};

pub(super) const ALL: &[Scenario] = &[FULL];

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
    setup: || Ok(Box::new(Crowded::new()?)),
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

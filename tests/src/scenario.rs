//! What a scenario is: a lab that drops packets when told to, and says exactly which ones.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::finding::Finding;
use crate::need::Need;
use crate::netns::Netns;
use crate::scenarios::{self, Plain};

/// A way to make real drops.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// What to type to see the drops.
    pub watch: &'static str,
    /// Which packets one round sends.
    pub packets: &'static str,
    /// What the kernel and the machine must have.
    pub needs: &'static [Need],
    /// All that a diagnosis must find above benign; nothing where nothing is wrong.
    pub findings: &'static [Finding],
    pub lab: Setup,
}

impl Scenario {
    /// Every one, related ones beside each other.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        scenarios::all()
    }

    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::all().find(|scenario| scenario.name == name)
    }

    /// Sets up its lab.
    ///
    /// # Errors
    /// When the lab cannot be set up.
    pub fn set_up(&self) -> Result<Box<dyn Lab>> {
        match self.lab {
            Setup::Plain(plain) => plain.lab(),
            Setup::Code(make) => make(),
        }
    }

    /// Why it cannot run here: every need that is not met. Empty if it can.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        self.needs.iter().filter_map(|need| need.missing()).collect()
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How the lab of a scenario is set up.
#[derive(Clone, Copy, Debug)]
pub enum Setup {
    /// Data says it all.
    Plain(Plain),
    /// Data is not enough: a process to hold, a program to load, a counter to watch.
    Code(fn() -> Result<Box<dyn Lab>>),
}

/// Namespaces set up for a scenario; dropping it takes them down.
pub trait Lab {
    fn namespaces(&self) -> Vec<&Netns>;

    /// Sends one round of packets and returns when the kernel's own counters have confirmed the drops.
    ///
    /// # Errors
    /// When the packets cannot be sent, or the counters never confirm them.
    fn fire(&mut self) -> Result<Shot>;

    /// Sends what `fire` sends, after a fix: without waiting for drops. The default is right for a lab that takes its
    /// numbers from counters alone.
    ///
    /// # Errors
    /// When the packets cannot be sent.
    fn fire_fixed(&mut self) -> Result<()> {
        self.fire().map(drop)
    }

    /// The namespace with this label.
    ///
    /// # Errors
    /// When the lab has none.
    fn netns(&self, label: &str) -> Result<&Netns> {
        let found = self.namespaces().into_iter().find(|ns| ns.label() == label);
        found.with_context(|| format!("the lab has no namespace {label}"))
    }
}

/// What one round dropped.
#[derive(Clone, Debug, Default)]
pub struct Shot {
    /// Every drop that matters, in its exact number. The entries do not overlap.
    pub expected: Vec<Expected>,
    /// Drops that matter besides these, of which nothing but the number is declared.
    pub count: u64,
    /// Packets lost without any drop that could be watched, by the kernel's counters.
    pub untraced: u64,
    /// What else may drop in the scenario's namespaces, and why that is no fault.
    pub noise: Vec<Noise>,
}

impl Shot {
    /// How many packets were dropped that matter.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.count + self.expected.iter().map(|expected| expected.count).sum::<u64>()
    }

    /// Adds what another round of the same lab dropped.
    pub fn absorb(&mut self, other: Self) {
        self.count += other.count;
        self.untraced += other.untraced;
        for more in other.expected {
            match self.expected.iter_mut().find(|known| known.is_alike(&more)) {
                Some(known) => known.count += more.count,
                None => self.expected.push(more),
            }
        }
        for noise in other.noise {
            if self.noise.iter().all(|known| known.symbols != noise.symbols) {
                self.noise.push(noise);
            }
        }
    }

    /// That these drops, as lossdrop prints them, are exactly the expected ones, but for noise: each that matters in its
    /// number, none twice, and each of the others accounted for by the scenario or called benign.
    ///
    /// # Errors
    /// When any of this does not hold.
    pub fn check(&self, drops: &[Value]) -> Result<()> {
        for expected in &self.expected {
            let shown = expected.among(drops).count() as u64;
            ensure!(shown == expected.count, "{shown} shown of {expected}");
        }
        let mut unnamed = Vec::new();
        for drop in drops {
            let causes = self.expected.iter().filter(|expected| expected.matches(drop)).count();
            ensure!(causes <= 1, "{causes} causes for one drop: {drop}");
            let explained =
                causes == 1 || drop["benign"] == true || self.noise.iter().any(|noise| noise.matches(drop));
            if !explained {
                unnamed.push(drop.to_string());
            }
        }
        ensure!(
            unnamed.len() as u64 == self.count,
            "nothing explains these, where {} are due:\n{}\nexpected:\n{self}",
            self.count,
            unnamed.join("\n")
        );
        Ok(())
    }
}

impl fmt::Display for Shot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expected.iter().try_for_each(|expected| writeln!(f, "  {expected}"))?;
        if self.untraced > 0 {
            writeln!(f, "  {} lost without a drop", self.untraced)?;
        }
        Ok(())
    }
}

/// Packets dropped for one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The kernel's name, without `SKB_DROP_REASON_`; an older kernel may tell none, or another
    /// one if it does not know it.
    pub reason: &'static str,
    /// The function that the location lies in, without compiler suffix; any of these, as kernels differ.
    pub symbols: &'static [&'static str],
    /// Inode of the namespace; `None` where neither device nor socket nor route tells it.
    pub netns: Option<u64>,
    /// `skb->dev`, else the route's device; `None` for a packet that has neither.
    pub iface: Option<&'static str>,
    /// `tcp`, `udp`, `icmp`; for a packet that is not IP what it is instead: `arp`.
    pub proto: &'static str,
    pub src: Endpoint,
    pub dst: Endpoint,
    /// The process that sent the packet or holds the socket, where there is one to name.
    pub owner: Option<u32>,
    pub count: u64,
}

impl Expected {
    /// Whether a drop as lossdrop prints it (`"type":"drop"`) is one of these. The owner is not compared: naming it is
    /// best effort.
    #[must_use]
    pub fn matches(&self, drop: &Value) -> bool {
        let symbol = drop["location"].as_str().map(symbol_of);
        self.tells(&drop["reason"])
            && symbol.is_some_and(|symbol| self.symbols.contains(&symbol))
            && self.netns.is_none_or(|inum| drop["netns"]["inum"].as_u64() == Some(inum))
            && drop["iface"]["name"].as_str() == self.iface
            && [&drop["proto"], &drop["l3"]]
                .iter()
                .find_map(|layer| layer.as_str())
                .is_some_and(|proto| proto.eq_ignore_ascii_case(self.proto))
            && self.src.matches(&drop["src_ip"], &drop["src_port"])
            && self.dst.matches(&drop["dst_ip"], &drop["dst_port"])
    }

    /// Whether this is what the running kernel calls the reason.
    pub(crate) fn tells(&self, reason: &Value) -> bool {
        // One of the last that the lab's scenarios know by name (6.14).
        let is_older = || Need::Reason("BRIDGE_INGRESS_STP_STATE").missing().is_some();
        let is_unknown = || Need::Reason(self.reason).missing().is_some();
        reason == self.reason || is_older() && (reason.is_null() || reason == "NOT_SPECIFIED" || is_unknown())
    }

    /// Those among the drops.
    pub fn among<'a>(&self, drops: &'a [Value]) -> impl Iterator<Item = &'a Value> {
        drops.iter().filter(|drop| self.matches(drop))
    }

    /// The same cause, whatever the count.
    fn is_alike(&self, other: &Self) -> bool {
        *self == Self { count: self.count, ..other.clone() }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (symbol, dev) = (self.symbols[0], self.iface.unwrap_or("no device"));
        let Self { reason, proto, src, dst, count, .. } = self;
        write!(f, "{count} × {reason} at {symbol}, {dev}, {proto} {src} → {dst}")
    }
}

/// Drops that go with a scenario but are no fault.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    pub symbols: &'static [&'static str],
    pub why: &'static str,
}

impl Noise {
    /// Whether a drop as lossdrop prints it comes from there.
    #[must_use]
    pub fn matches(&self, drop: &Value) -> bool {
        drop["location"].as_str().is_some_and(|location| self.symbols.contains(&symbol_of(location)))
    }
}

/// An address and a port, either of which may be left open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    pub ip: Option<IpAddr>,
    pub port: Option<u16>,
}

impl Endpoint {
    /// Any port of a host.
    #[must_use]
    pub fn host(ip: impl Into<IpAddr>) -> Self {
        Self { ip: Some(ip.into()), port: None }
    }

    fn matches(&self, ip: &Value, port: &Value) -> bool {
        let same_ip = |want: IpAddr| ip.as_str().and_then(|ip| ip.parse().ok()) == Some(want);
        self.ip.is_none_or(same_ip) && self.port.is_none_or(|want| port.as_u64() == Some(u64::from(want)))
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { ip: Some(address.ip()), port: Some(address.port()) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.ip, self.port) {
            (Some(ip), Some(port)) => SocketAddr::new(ip, port).fmt(f),
            (Some(ip), None) => ip.fmt(f),
            (None, Some(port)) => write!(f, "*:{port}"),
            (None, None) => f.write_str("*"),
        }
    }
}

/// `ip_fragment.constprop.0+0x12` → `ip_fragment`.
fn symbol_of(location: &str) -> &str {
    location.split(['.', '+']).next().unwrap_or(location)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expected() -> Expected {
        Expected {
            reason: "NO_SOCKET",
            symbols: &["udp_rcv", "__udp4_lib_rcv"],
            netns: Some(7),
            iface: Some("eth0"),
            proto: "udp",
            src: Endpoint::host([10, 0, 0, 1]),
            dst: SocketAddr::from(([10, 0, 0, 2], 9)).into(),
            owner: None,
            count: 1,
        }
    }

    #[test]
    fn a_drop_matches_whatever_the_suffix_and_the_open_port() {
        let drop = json!({
            "reason": "NO_SOCKET", "location": "__udp4_lib_rcv.isra.0+0x3e8", "netns": {"inum": 7, "name": null},
            "iface": {"index": 2, "name": "eth0"}, "proto": "UDP",
            "src_ip": "10.0.0.1", "src_port": 4711, "dst_ip": "10.0.0.2", "dst_port": 9,
        });
        assert!(expected().matches(&drop));
        assert!(!Expected { netns: Some(8), ..expected() }.matches(&drop));
        assert!(!Expected { iface: None, ..expected() }.matches(&drop));
        assert!(!Expected { dst: SocketAddr::from(([10, 0, 0, 2], 10)).into(), ..expected() }.matches(&drop));
    }

    #[test]
    fn scenario_names_are_distinct_and_found() {
        for scenario in Scenario::all() {
            let found = Scenario::all().filter(|other| other.name == scenario.name).count();
            assert_eq!(found, 1, "{}", scenario.name);
            assert!(Scenario::find(scenario.name).is_some());
        }
    }
}

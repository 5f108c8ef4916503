//! A cable between two namespaces.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::netns::{Netns, output};
use crate::wait::{LIMIT, wait_until};

/// One end of a veth pair.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    pub ns: &'a Netns,
    pub dev: &'a str,
    /// With prefix length, IPv4 or IPv6; IPv6 ones are usable at once (no duplicate address detection).
    pub addresses: &'a [&'a str],
    pub mtu: u32,
}

impl<'a> End<'a> {
    /// An end with the usual MTU of 1500.
    #[must_use]
    pub fn new(ns: &'a Netns, dev: &'a str, addresses: &'a [&'a str]) -> Self {
        Self { ns, dev, addresses, mtu: 1500 }
    }

    #[must_use]
    pub fn mtu(self, mtu: u32) -> Self {
        Self { mtu, ..self }
    }

    /// The link address of the device.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn mac(&self) -> Result<String> {
        let link = ip_json(self.ns, &["link", "show", "dev", self.dev])?;
        link["address"]
            .as_str()
            .map(str::to_owned)
            .with_context(|| format!("{} has no link address", self.dev))
    }

    fn configure(&self) -> Result<()> {
        let dev = self.dev;
        let mut lines = vec![format!("link set {dev} mtu {}", self.mtu), format!("link set {dev} up")];
        for address in self.addresses {
            let nodad = if address.contains(':') { "nodad" } else { "" };
            lines.push(format!("addr add {address} dev {dev} {nodad}"));
        }
        self.ns.ip(&lines.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn know(&self, peer: &End<'_>) -> Result<()> {
        let mac = peer.mac()?;
        let dev = self.dev;
        let bare = peer.addresses.iter().map(|address| address.split('/').next().unwrap_or(address));
        let lines: Vec<_> =
            bare.map(|ip| format!("neigh replace {ip} lladdr {mac} nud permanent dev {dev}")).collect();
        self.ns.ip(&lines.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn ready(&self) -> Result<bool> {
        let shown = ip_json(self.ns, &["addr", "show", "dev", self.dev])?;
        let usable = |info: &Value| info.get("tentative").is_none();
        let addresses = shown["addr_info"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(shown["operstate"] == "UP"
            && addresses.len() >= self.addresses.len()
            && addresses.iter().all(usable))
    }
}

/// How the ends learn each other's link address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbours {
    /// Permanent entries: no ARP, no neighbour discovery, nothing in the packet counts but the test's own packets.
    Permanent,
    /// As in real life.
    Resolve,
}

/// Makes a veth pair, each end directly in its namespace under its final name, and waits until both are usable.
///
/// # Errors
/// When `ip` refuses, or when the link does not come up.
pub fn veth(a: End<'_>, b: End<'_>, neighbours: Neighbours) -> Result<()> {
    a.ns.ip(&[&format!("link add {} type veth peer name {} netns {}", a.dev, b.dev, b.ns.name())])?;
    a.configure()?;
    b.configure()?;
    if neighbours == Neighbours::Permanent {
        a.know(&b)?;
        b.know(&a)?;
    }
    wait_until("the veth pair is up and its addresses usable", LIMIT, || Ok(a.ready()? && b.ready()?))
}

/// The first element of what `ip -j` prints.
pub(crate) fn ip_json(ns: &Netns, args: &[&str]) -> Result<Value> {
    let text = output(Command::new("ip").args(["-j", "-s", "-n", ns.name()]).args(args))?;
    let mut list: Value =
        serde_json::from_str(&text).with_context(|| format!("ip {args:?} printed no JSON: {text}"))?;
    Ok(list.get_mut(0).map(Value::take).unwrap_or_default())
}

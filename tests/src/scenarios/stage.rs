//! Hosts and cables on which the scenarios play.

use anyhow::Result;

use super::pair::Pair;
use crate::netns::Netns;
use crate::veth::{End, Neighbours, veth};

/// Neighbours are permanent, so that no packet is sent but a scenario's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// `client` (10.0.0.1) and `server` (10.0.0.2), joined by their `eth0`.
    Pair,
    /// As `Pair`, with fd00::1 and fd00::2 besides.
    Dual,
    /// `client` (`eth0`, 10.1.0.2, fd01::2), `router` (`eth0` 10.1.0.1, fd01::1; `eth1` 10.2.0.1, fd02::1) and `server`
    /// (`eth0`, 10.2.0.2, fd02::2), all routes set.
    Router,
    /// `client` (10.0.0.1) and `server` (10.0.0.2), whose `eth0` are plugged into the ports `port0` and `port1` of `br0`
    /// in `switch`.
    Bridge,
}

impl Stage {
    /// # Errors
    /// When a namespace cannot be set up.
    pub fn set(self) -> Result<Vec<Netns>> {
        match self {
            Self::Pair => Pair::v4().map(|Pair { client, server }| vec![client, server]),
            Self::Dual => Pair::dual().map(|Pair { client, server }| vec![client, server]),
            Self::Router => router(),
            Self::Bridge => bridge(),
        }
    }

    /// Whether its hosts announce multicast groups by IPv6.
    #[must_use]
    pub fn has_ipv6(self) -> bool {
        matches!(self, Self::Dual | Self::Router)
    }
}

fn router() -> Result<Vec<Netns>> {
    let (client, router, server) = (Netns::new("client")?, Netns::new("router")?, Netns::new("server")?);
    let near = End::new(&client, "eth0", &["10.1.0.2/24", "fd01::2/64"]);
    veth(near, End::new(&router, "eth0", &["10.1.0.1/24", "fd01::1/64"]), Neighbours::Permanent)?;
    let far = End::new(&server, "eth0", &["10.2.0.2/24", "fd02::2/64"]);
    veth(End::new(&router, "eth1", &["10.2.0.1/24", "fd02::1/64"]), far, Neighbours::Permanent)?;
    router.sysctl("net/ipv4/ip_forward", "1")?;
    router.sysctl("net/ipv6/conf/all/forwarding", "1")?;
    client.ip(&["route add default via 10.1.0.1", "route add default via fd01::1"])?;
    server.ip(&["route add default via 10.2.0.1", "route add default via fd02::1"])?;
    Ok(vec![client, router, server])
}

fn bridge() -> Result<Vec<Netns>> {
    let (client, switch, server) = (Netns::new("client")?, Netns::new("switch")?, Netns::new("server")?);
    for ns in [&client, &switch, &server] {
        ns.disable_ipv6()?;
    }
    switch.ip(&["link add br0 type bridge mcast_snooping 0", "link set br0 up"])?;
    let near = End::new(&client, "eth0", &["10.0.0.1/24"]);
    let far = End::new(&server, "eth0", &["10.0.0.2/24"]);
    veth(near, End::new(&switch, "port0", &[]), Neighbours::Resolve)?;
    veth(far, End::new(&switch, "port1", &[]), Neighbours::Resolve)?;
    switch.ip(&["link set port0 master br0", "link set port1 master br0"])?;
    let (near_mac, far_mac) = (near.mac()?, far.mac()?);
    client.ip(&[&format!("neigh replace 10.0.0.2 lladdr {far_mac} nud permanent dev eth0")])?;
    server.ip(&[&format!("neigh replace 10.0.0.1 lladdr {near_mac} nud permanent dev eth0")])?;
    // The bridge would send frames to a host that it has not heard of to every port, itself included.
    switch.sh(&format!(
        "bridge fdb replace {near_mac} dev port0 master static && bridge fdb replace {far_mac} dev port1 master static"
    ))?;
    Ok(vec![client, switch, server])
}

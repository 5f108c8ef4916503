//! Two hosts and a cable, the stage of most scenarios.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

use anyhow::{Result, ensure};

use crate::netns::Netns;
use crate::scenario::Noise;
use crate::traffic::udp_send;
use crate::veth::{End, Neighbours, veth};

pub(super) const CLIENT_V4: Ipv4Addr = Pair::CLIENT_V4;
pub(super) const SERVER_V4: Ipv4Addr = Pair::SERVER_V4;
pub(super) const CLIENT_V6: Ipv6Addr = Pair::CLIENT_V6;
pub(super) const SERVER_V6: Ipv6Addr = Pair::SERVER_V6;

/// With addresses on the cable, IPv6 hosts announce the multicast groups that they join.
pub(super) const MULTICAST_NOISE: Noise =
    Noise { symbols: &["ip6_mc_input"], why: "MLD reports, which nobody listens to" };

/// `client` and `server`, both with an `eth0`; permanent neighbours, so no packet but the scenario's own.
#[derive(Debug)]
pub struct Pair {
    pub client: Netns,
    pub server: Netns,
}

impl Pair {
    pub const CLIENT_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    pub const SERVER_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    pub const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    pub const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

    /// Without IPv6 altogether.
    ///
    /// # Errors
    /// When the namespaces cannot be set up.
    pub fn v4() -> Result<Self> {
        let pair = Self::bare()?;
        pair.client.disable_ipv6()?;
        pair.server.disable_ipv6()?;
        pair.connect(&["10.0.0.1/24"], &["10.0.0.2/24"])
    }

    /// # Errors
    /// When the namespaces cannot be set up.
    pub fn dual() -> Result<Self> {
        Self::bare()?.connect(&["10.0.0.1/24", "fd00::1/64"], &["10.0.0.2/24", "fd00::2/64"])
    }

    /// With a server that drops every packet (but for multicast, which IPv6 sends by itself) with `NETFILTER_DROP`,
    /// before anything else looks at it.
    ///
    /// # Errors
    /// When the namespaces cannot be set up, or `nft` is missing.
    pub fn deaf() -> Result<Self> {
        let pair = Self::dual()?;
        pair.server.sh(
            "nft 'add table inet t; add chain inet t c { type filter hook prerouting priority -450; }; \
                  add rule inet t c ip6 daddr ff00::/8 accept; add rule inet t c counter drop; \
                  add table arp t; add chain arp t c { type filter hook input priority 0; }; \
                  add rule arp t c counter drop'",
        )?;
        Ok(pair)
    }

    fn bare() -> Result<Self> {
        Ok(Self { client: Netns::new("client")?, server: Netns::new("server")? })
    }

    fn connect(self, client: &[&str], server: &[&str]) -> Result<Self> {
        let (client, server) =
            (End::new(&self.client, "eth0", client), End::new(&self.server, "eth0", server));
        veth(client, server, Neighbours::Permanent)?;
        Ok(self)
    }

    #[must_use]
    pub fn namespaces(&self) -> Vec<&Netns> {
        vec![&self.client, &self.server]
    }

    /// Sends datagrams of `payload` bytes from a port of the client's choice to one of the server's, by IPv4.
    ///
    /// # Errors
    /// When one is refused.
    pub fn send_v4(&self, port: u16, count: u64, payload: usize) -> Result<()> {
        self.send(at_server(port), count, payload)
    }

    /// As [`send_v4`](Self::send_v4), by IPv6.
    ///
    /// # Errors
    /// When one is refused.
    pub fn send_v6(&self, port: u16, count: u64, payload: usize) -> Result<()> {
        self.send((SERVER_V6, port).into(), count, payload)
    }

    fn send(&self, to: SocketAddr, count: u64, payload: usize) -> Result<()> {
        let sent = udp_send(&self.client, from_client(to), to, count, payload)?;
        ensure!(sent.refused == 0, "{} datagrams to {to} refused", sent.refused);
        Ok(())
    }
}

/// A port of the server.
pub(super) fn at_server(port: u16) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(SERVER_V4, port))
}

/// A port of the client's choice.
pub(super) fn from_client(family_of: SocketAddr) -> SocketAddr {
    let ip: IpAddr = if family_of.is_ipv4() { CLIENT_V4.into() } else { CLIENT_V6.into() };
    SocketAddr::new(ip, 0)
}

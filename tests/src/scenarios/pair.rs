//! Two hosts and a cable, the stage of most scenarios.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

use anyhow::Result;

use crate::netns::Netns;
use crate::scenario::Noise;
use crate::veth::{End, Neighbours, veth};

pub(super) const CLIENT_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(super) const SERVER_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub(super) const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
pub(super) const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

/// With addresses on the cable, IPv6 hosts announce the multicast groups that they join.
pub(super) const MULTICAST_NOISE: Noise =
    Noise { symbols: &["ip6_mc_input"], why: "MLD reports, which nobody listens to" };

/// `client` and `server`, both with an `eth0`; permanent neighbours, so no packet but the scenario's own.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) client: Netns,
    pub(super) server: Netns,
}

impl Pair {
    pub(super) fn v4() -> Result<Self> {
        let pair = Self::bare("client", "server")?;
        pair.client.disable_ipv6()?;
        pair.server.disable_ipv6()?;
        pair.connect(&["10.0.0.1/24"], &["10.0.0.2/24"])
    }

    pub(super) fn dual() -> Result<Self> {
        Self::bare("client", "server")?
            .connect(&["10.0.0.1/24", "fd00::1/64"], &["10.0.0.2/24", "fd00::2/64"])
    }

    fn bare(client: &str, server: &str) -> Result<Self> {
        Ok(Self { client: Netns::new(client)?, server: Netns::new(server)? })
    }

    fn connect(self, client: &[&str], server: &[&str]) -> Result<Self> {
        let (client, server) =
            (End::new(&self.client, "eth0", client), End::new(&self.server, "eth0", server));
        veth(client, server, Neighbours::Permanent)?;
        Ok(self)
    }

    pub(super) fn namespaces(&self) -> Vec<&Netns> {
        vec![&self.client, &self.server]
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

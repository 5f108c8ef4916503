//! Packets that only a few scenarios send.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpStream};

use anyhow::{Context, Result, bail};

use super::pair::{CLIENT_V4, SERVER_V4};
use crate::netns::Netns;
use crate::traffic::{self, Fragment, Odd};

#[derive(Clone, Copy, Debug)]
pub enum Special {
    /// Datagrams that may pass so many routers.
    Ttl { to: &'static str, ttl: u8, count: u64 },
    /// IPv6 datagrams from a raw socket, which heeds no path MTU.
    UdpV6 { src: Ipv6Addr, to: SocketAddrV6, count: u64, payload: usize },
    /// The first of two fragments of each datagram, 10.0.0.1 → 10.0.0.2; the second one never comes.
    Halves { port: u16, count: u16 },
    /// Frames to the `eth0` of the namespace with this label.
    Odd { to: &'static str, odd: Odd, count: u64 },
    /// Connection attempts, each of which must be refused.
    Refused { to: &'static str, count: u64 },
}

impl Special {
    /// Sends them from a namespace; returns their number. `within` finds a namespace by its label.
    pub(super) fn send<'a>(
        self,
        from: &Netns,
        within: impl FnOnce(&str) -> Result<&'a Netns>,
    ) -> Result<u64> {
        match self {
            Self::Ttl { to, ttl, count } => {
                let to: SocketAddr = to.parse()?;
                let any: SocketAddr = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse()?;
                Ok(traffic::udp_send_ttl(from, any, to, ttl, count)?.accepted)
            }
            Self::UdpV6 { src, to, count, payload } => {
                traffic::udp_v6_raw(from, SocketAddrV6::new(src, 7000, 0, 0), to, count, payload)
            }
            Self::Halves { port, count } => {
                let (src, dst) = (SocketAddrV4::new(CLIENT_V4, 7000), SocketAddrV4::new(SERVER_V4, port));
                traffic::ipv4_fragments(from, src, dst, Fragment::First, 700, count)
            }
            Self::Odd { to, odd, count } => traffic::odd_frames(from, within(to)?, odd, count),
            Self::Refused { to, count } => from.run(|| refused(to.parse()?, count)),
        }
    }
}

fn refused(to: SocketAddr, count: u64) -> Result<u64> {
    for _ in 0..count {
        match TcpStream::connect(to) {
            Ok(_) => bail!("{to} is open"),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error).with_context(|| format!("{to} does not refuse")),
        }
    }
    Ok(count)
}

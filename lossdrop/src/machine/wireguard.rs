//! The peers of a WireGuard device, as `wg show` shows them.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ipnet::IpNet;

use super::{
    netlink::{Fields as _, Protocol, address, attribute, attributes, dump_from, get_from, push_attribute},
    take::within,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WgPeer {
    /// Its public key, as `wg` writes it.
    pub key: String,
    pub endpoint: Option<SocketAddr>,
    pub allowed: Vec<IpNet>,
}

/// The peers of the device of an index.
pub fn wireguard_peers(netns: &Path, index: u32, limit: Duration) -> io::Result<Vec<WgPeer>> {
    /// `include/uapi/linux/wireguard.h`.
    const WG_CMD_GET_DEVICE: u8 = 0;
    const WGDEVICE_A_IFINDEX: u16 = 1;
    const WGDEVICE_A_PEERS: u16 = 8;
    within(netns, limit, move |deadline: Instant| {
        let family = family("wireguard", deadline)?;
        let mut request = header(WG_CMD_GET_DEVICE);
        push_attribute(&mut request, WGDEVICE_A_IFINDEX, &index.to_ne_bytes());
        let mut peers: Vec<WgPeer> = Vec::new();
        for answer in dump_from(Protocol::Generic, family, &request, deadline)? {
            let body = answer.get(HEADER..).unwrap_or_default();
            let list = attribute(body, WGDEVICE_A_PEERS).unwrap_or_default();
            for peer in attributes(list).filter_map(|(_, peer)| parse(peer)) {
                // One with many addresses goes on in the next message.
                match peers.last_mut().filter(|last| last.key == peer.key) {
                    Some(last) => last.allowed.extend(peer.allowed),
                    None => peers.push(peer),
                }
            }
        }
        Ok(peers)
    })?
}

/// `struct genlmsghdr`: command, version, padding.
const HEADER: usize = 4;

fn header(command: u8) -> Vec<u8> {
    vec![command, 1, 0, 0]
}

/// The number of a family of generic netlink (`include/uapi/linux/genetlink.h`).
fn family(name: &str, deadline: Instant) -> io::Result<u16> {
    const GENL_ID_CTRL: u16 = 0x10;
    const CTRL_CMD_GETFAMILY: u8 = 3;
    const CTRL_ATTR_FAMILY_ID: u16 = 1;
    const CTRL_ATTR_FAMILY_NAME: u16 = 2;
    let mut request = header(CTRL_CMD_GETFAMILY);
    push_attribute(&mut request, CTRL_ATTR_FAMILY_NAME, format!("{name}\0").as_bytes());
    let answer = get_from(Protocol::Generic, GENL_ID_CTRL, &request, deadline)?;
    let id = attribute(answer.get(HEADER..).unwrap_or_default(), CTRL_ATTR_FAMILY_ID);
    id.and_then(|id| id.u16_at(0)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn parse(peer: &[u8]) -> Option<WgPeer> {
    const PUBLIC_KEY: u16 = 1;
    const ENDPOINT: u16 = 4;
    const ALLOWED_IPS: u16 = 9;
    let allowed = attributes(attribute(peer, ALLOWED_IPS).unwrap_or_default());
    Some(WgPeer {
        key: STANDARD.encode(attribute(peer, PUBLIC_KEY)?),
        endpoint: attribute(peer, ENDPOINT).and_then(endpoint),
        allowed: allowed.filter_map(|(_, allowed)| prefix(allowed)).collect(),
    })
}

/// A `struct sockaddr_in` or `sockaddr_in6`.
fn endpoint(address: &[u8]) -> Option<SocketAddr> {
    let ip = match i32::from(address.u16_at(0)?) {
        libc::AF_INET => IpAddr::from(address.array_at::<4>(4)?),
        libc::AF_INET6 => IpAddr::from(address.array_at::<16>(8)?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, address.be16_at(2)?))
}

fn prefix(allowed: &[u8]) -> Option<IpNet> {
    const ADDRESS: u16 = 2;
    const MASK: u16 = 3;
    IpNet::new(attribute(allowed, ADDRESS).and_then(address)?, attribute(allowed, MASK)?.u8_at(0)?).ok()
}

#[cfg(test)]
mod tests {
    use super::{super::netlink::nested, *};

    #[test]
    fn a_peer_tells_its_key_its_endpoint_and_its_addresses() {
        let mut at = vec![0; 16];
        at[..2].copy_from_slice(&2_u16.to_ne_bytes());
        at[2..8].copy_from_slice(&[0xca, 0x6c, 10, 0, 0, 2]);
        let allowed = nested(&[(1, &2_u16.to_ne_bytes()), (2, &[10, 5, 0, 0]), (3, &[24])]);
        let peer = nested(&[(1, &[0xff; 32]), (4, &at), (9, &nested(&[(0, &allowed)]))]);
        let peer = parse(&peer).expect("a peer");
        assert_eq!(peer.key, "//////////////////////////////////////////8=");
        assert_eq!(peer.endpoint.map(|at| at.to_string()).as_deref(), Some("10.0.0.2:51820"));
        assert_eq!(peer.allowed.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.5.0.0/24"]);
        assert_eq!(parse(&[]), None);
        assert_eq!(endpoint(&at[..7]), None);
    }
}

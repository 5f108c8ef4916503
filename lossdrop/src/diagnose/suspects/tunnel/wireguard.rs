//! WireGuard: which peer has the address, and where it is.

use std::net::IpAddr;

use super::{Story, Suspect};
use crate::{
    diagnose::{
        context::Context,
        finding::{Culprit, Object},
        group::Group,
    },
    knowledge::Confidence,
    machine::WgPeer,
};

/// Why the device could not send.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    /// No peer has the address; the only one there is, if there is one.
    NoPeer(Option<WgPeer>),
    NoEndpoint(WgPeer),
}

fn why(peers: &[WgPeer], to: IpAddr) -> Option<Why> {
    // The longest prefix decides.
    let prefix = |peer: &&WgPeer| {
        peer.allowed.iter().filter(|net| net.contains(&to)).map(ipnet::IpNet::prefix_len).max()
    };
    match peers.iter().filter(|peer| prefix(peer).is_some()).max_by_key(prefix) {
        None => Some(Why::NoPeer(match peers {
            [only] => Some(only.clone()),
            _ => None,
        })),
        Some(peer) if peer.endpoint.is_none() => Some(Why::NoEndpoint(peer.clone())),
        Some(_) => None,
    }
}

pub(super) fn suspect(group: &Group, context: &Context) -> Option<Suspect<'static>> {
    let link = context.link(group.key.netns, group.key.ifindex)?;
    let to = group.addresses().map(|(_, to)| to)?;
    let peers = context.wireguard_peers(group.key.netns, link.index)?;
    let (device, why, count) = (link.name.clone(), why(&peers, to)?, peers.len());
    let culprit = match &why {
        Why::NoPeer(_) => Culprit::new(Object::Device, device.clone()).text(format!("{count} peers")),
        Why::NoEndpoint(peer) => {
            Culprit::new(Object::Peer, format!("{} of {device}", peer.key)).text(allowed(peer))
        }
    };
    let suspect = Suspect::of(group, Some(culprit), move |group, context| {
        let show = context.places.exec(group.key.netns, &format!("wg show {device}"));
        let story = match &why {
            Why::NoPeer(only) => {
                let text = format!(
                    "Packets for {to} are routed into {device}, and none of its {count} peers has that address among its AllowedIPs, by which \
                     WireGuard chooses the peer. The sender gets \"Required key not available\"."
                );
                let story = Story::new(format!("no peer of {device} has {to} among its AllowedIPs"), text);
                match only {
                    Some(peer) => {
                        let all = peer.allowed.iter().map(ToString::to_string).chain([host(to)]);
                        let all = all.collect::<Vec<_>>().join(",");
                        let command = format!("wg set {device} peer {} allowed-ips {all}", peer.key);
                        story.fix(
                            context.places.exec(group.key.netns, &command),
                            "if that address is behind its only peer; to be written into its configuration, too",
                        )
                    }
                    None => story,
                }
            }
            Why::NoEndpoint(peer) => {
                let text = format!(
                    "Packets for {to} are for the peer {} of {device}, of which no address is known: none is configured, and the peer has \
                     not called yet. Behind NAT it must call first (PersistentKeepalive on its side); else it needs an Endpoint here.",
                    peer.key
                );
                Story::new(format!("a peer of {device} has no endpoint"), text)
            }
        };
        story.number("peers", count as u64).look(show, "peers with their endpoints and allowed IPs")
    });
    Some(suspect.confidence(Confidence::Certain))
}

fn allowed(peer: &WgPeer) -> String {
    let all: Vec<String> = peer.allowed.iter().map(ToString::to_string).collect();
    format!("allowed ips {}", all.join(", "))
}

fn host(address: IpAddr) -> String {
    format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(key: &str, endpoint: Option<&str>, allowed: &[&str]) -> WgPeer {
        WgPeer {
            key: key.to_owned(),
            endpoint: endpoint.map(|at| at.parse().expect("an address")),
            allowed: allowed.iter().map(|net| net.parse().expect("a prefix")).collect(),
        }
    }

    #[test]
    fn the_peer_with_the_longest_prefix_has_the_address() {
        let wide = peer("wide", Some("10.0.0.2:51820"), &["10.5.0.0/16"]);
        let narrow = peer("narrow", None, &["10.5.0.2/32", "fd05::2/128"]);
        let both = [wide.clone(), narrow.clone()];
        let to = |address: &str| why(&both, address.parse().expect("an address"));
        assert_eq!(to("10.5.0.2"), Some(Why::NoEndpoint(narrow.clone())));
        assert_eq!(to("10.5.0.3"), None);
        assert_eq!(to("10.6.0.3"), Some(Why::NoPeer(None)));
        let only = why(&both[..1], "10.6.0.3".parse().expect("an address"));
        assert_eq!(only, Some(Why::NoPeer(Some(wide))));
        assert_eq!(
            (host([10, 5, 0, 2].into()), allowed(&narrow)),
            ("10.5.0.2/32".to_owned(), "allowed ips 10.5.0.2/32, fd05::2/128".to_owned())
        );
    }
}

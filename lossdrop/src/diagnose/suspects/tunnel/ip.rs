//! Tunnels right in IP: GRE, IPIP, sit.

use std::net::IpAddr;

use super::{Story, Suspect};
use crate::{
    diagnose::{
        context::Context,
        finding::{Culprit, Object},
        group::Group,
    },
    drops::Kept,
    knowledge::{Confidence, kinds},
    machine::{Link, Query, Tunnel},
};

const IPPROTO_IPIP: u8 = 4;
const IPPROTO_IPV6: u8 = 41;
const IPPROTO_GRE: u8 = 47;

/// A packet as a tunnel sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outer {
    /// As `ip link` calls such a tunnel.
    kind: &'static str,
    from: IpAddr,
    to: IpAddr,
    /// Of GRE.
    key: Option<u32>,
}

impl Outer {
    fn of(sample: &Kept) -> Option<Self> {
        let (from, to) = sample.addresses()?;
        let kind = match sample.event.key.l4 {
            IPPROTO_GRE => "gre",
            IPPROTO_IPIP => "ipip",
            IPPROTO_IPV6 => "sit",
            _ => return None,
        };
        let key = (kind == "gre").then(|| gre_key(&sample.packet)).flatten();
        Some(Self { kind, from, to, key }).filter(|_| from.is_ipv4())
    }

    /// `GRE key 7`.
    fn name(&self) -> String {
        match self.key {
            Some(key) => format!("GRE key {key}"),
            None => self.kind.to_uppercase(),
        }
    }

    /// Whether a tunnel is between the same hosts.
    fn is_between_ends_of(&self, tunnel: &Tunnel) -> bool {
        tunnel.remote.is_none_or(|remote| remote == self.from)
            && tunnel.local.is_none_or(|local| local == self.to)
    }
}

/// The key of a GRE packet, from its outer IPv4 header on (RFC 2890).
fn gre_key(packet: &[u8]) -> Option<u32> {
    const CHECKSUM: u8 = 0x80;
    const KEY: u8 = 0x20;
    let gre = packet.get(usize::from(packet.first()? & 0x0f) * 4..)?;
    let at = if gre.first()? & CHECKSUM != 0 { 8 } else { 4 };
    if gre[0] & KEY == 0 {
        return None;
    }
    Some(u32::from_be_bytes(*gre.get(at..at + 4)?.first_chunk()?))
}

/// A packet that no tunnel here takes.
pub(super) fn received(group: &Group, context: &Context) -> Option<Suspect<'static>> {
    let outer = group.find(Outer::of)?;
    let Outer { kind, from, to, key } = outer;
    let links = &context.state(group.key.netns)?.links;
    let between: Vec<(&Link, Tunnel)> = links
        .iter()
        .filter(|link| link.kind.as_deref().is_some_and(|own| own.starts_with(kind)))
        .filter_map(|link| Some((link, link.tunnel.filter(|tunnel| outer.is_between_ends_of(tunnel))?)))
        // The kernel has one of each kind by itself, for all that no other takes; it is down.
        .filter(|(_, tunnel)| tunnel.remote.is_some() || tunnel.local.is_some())
        .collect();
    let fits = |tunnel: &Tunnel| kind != "gre" || tunnel.key == key;
    let fitting = between.iter().find(|(_, tunnel)| fits(tunnel));
    if fitting.is_some_and(|(link, _)| link.is_up()) {
        // The address is right; something else is wrong with it.
        return None;
    }
    let netns = group.key.netns;
    let name = outer.name();
    let culprit = Culprit::new(Object::Tunnel, format!("{name} from {from}"));
    let look = format!("-d link show type {kind}");
    let (title, text, fix, effect) = if let Some((link, _)) = fitting {
        let device = &link.name;
        (
            format!("the tunnel {device} is down"),
            format!("{name} packets from {from} to {to} are for the tunnel {device}, which is down."),
            context.places.ip(netns, &format!("link set {device} up")),
            "it takes packets again",
        )
    } else if let Some((link, tunnel)) = between.first() {
        let device = &link.name;
        let has = tunnel.key.map_or_else(|| "no key".to_owned(), |key| format!("key {key}"));
        let carry = key.map_or_else(|| "no key".to_owned(), |key| format!("key {key}"));
        let wanted = key.map_or_else(|| "nokey".to_owned(), |key| format!("key {key}"));
        (
            format!("{device} has {has}, and the packets have {carry}"),
            format!(
                "GRE packets from {from} to {to} carry {carry}, and the tunnel {device} between these hosts has {has}: the two sides disagree. \
                 A tunnel takes only packets with its own key."
            ),
            context.places.ip(netns, &format!("link set {device} type {kind} {wanted}")),
            "both sides then agree; if it is the other side that is wrong, change it there",
        )
    } else {
        let device = unused(kind, links);
        let with_key = key.map_or_else(String::new, |key| format!(" key {key}"));
        let add = format!(
            "ip link add {device} type {kind} remote {from} local {to}{with_key} && ip link set {device} up"
        );
        (
            format!("no {kind} tunnel here is with {from}"),
            format!(
                "{name} packets come from {from} to {to}, and no {kind} tunnel on this host has these ends: it was not set up here, or its \
                 configuration has another address for one of them."
            ),
            context.places.exec(netns, &format!("sh -c '{add}'")),
            "only if there is to be such a tunnel; it still needs an address and routes",
        )
    };
    let suspect = Suspect::of(group, Some(culprit), move |group, context| {
        let story = Story::new(title.clone(), text.clone());
        let story = match key {
            Some(key) => story.number("key", key),
            None => story,
        };
        story
            .fix(fix.clone(), effect)
            .look(context.places.ip(group.key.netns, &look), "the tunnels with their ends and keys")
    });
    Some(suspect.confidence(Confidence::Certain))
}

/// A name that no device has.
fn unused(kind: &str, links: &[Link]) -> String {
    let mut names = (1..).map(|number| format!("{kind}{number}"));
    names.find(|name| links.iter().all(|link| link.name != *name)).unwrap_or_default()
}

/// A packet that, with the outer headers, does not fit into the link below the tunnel.
pub(super) fn too_big(group: &Group, context: &Context) -> Option<Suspect<'static>> {
    let netns = group.key.netns;
    let link = context.link(netns, group.key.ifindex)?;
    let tunnel = link.tunnel?;
    let route = context.route(netns, Query::to(tunnel.remote?))?;
    let (index, below) = route.oif?;
    let below_mtu = route.mtu.or_else(|| Some(context.link(netns, index)?.mtu))?;
    let largest = below_mtu.checked_sub(tunnel.overhead)?;
    let (shortest, longest) = group.size_range()?;
    if shortest <= largest {
        return None;
    }
    let (device, mtu, overhead) = (link.name.clone(), link.mtu, tunnel.overhead);
    let culprit = Culprit::new(Object::Device, device.clone()).text(format!("MTU {mtu}")).with("mtu", mtu);
    let suspect = Suspect::of(group, Some(culprit), move |group, context| {
        let lengths = if shortest == longest {
            format!("{longest} bytes")
        } else {
            format!("{shortest} to {longest} bytes")
        };
        let text = format!(
            "The tunnel {device} has MTU {mtu} and adds {overhead} bytes, and the way to its other end has room for {below_mtu} ({below}): packets \
             over {largest} bytes that must not be fragmented (DF) do not fit. Those that died had {lengths}. The sender gets an ICMP error; with \
             the right MTU it would know from the beginning."
        );
        Story::new(format!("packets over {largest} bytes do not fit into the tunnel {device}"), text)
            .sizes()
            .number("mtu", mtu)
            .number("largest_ip", largest)
            .number("len_min", shortest)
            .number("len_max", longest)
            .fix(
                context.places.ip(group.key.netns, &format!("link set {device} mtu {largest}")),
                "what the tunnel carries then fits into the link below it",
            )
            .look(
                context.places.ip(group.key.netns, &format!("-d link show dev {device}")),
                "its MTU and its ends",
            )
    });
    Some(suspect.kind(&kinds::MTU_TUNNEL).confidence(Confidence::Certain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_behind_a_checksum_if_there_is_one() {
        let mut packet = vec![0x45; 20];
        packet.extend([0x20, 0, 8, 0, 0, 0, 0, 7]);
        assert_eq!(gre_key(&packet), Some(7));
        assert_eq!(gre_key(&packet[..27]), None);
        packet[20] = 0xa0;
        packet.extend([0, 0, 0, 9]);
        assert_eq!(gre_key(&packet), Some(9));
        packet[20] = 0;
        assert_eq!(gre_key(&packet), None);
        assert_eq!(gre_key(&[]), None);
    }

    #[test]
    fn a_new_tunnel_gets_a_name_of_its_own() {
        let link = |name: &str| Link { name: name.to_owned(), ..Link::default() };
        assert_eq!(unused("gre", &[link("gre0"), link("gre1")]), "gre2");
    }
}

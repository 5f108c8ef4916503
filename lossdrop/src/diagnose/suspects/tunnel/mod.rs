//! Tunnels.

mod ip;
mod wireguard;

use super::{Story, Suspect, other};
use crate::{
    diagnose::{
        context::Context,
        finding::{Culprit, Object},
        group::Group,
    },
    knowledge::{Confidence, kinds},
    machine::Link,
};

pub(super) fn suspect(group: &Group, context: &Context) -> Suspect<'static> {
    let kind = group.verdict.assessment.kind;
    let found = if kind == &kinds::TUNNEL_UNKNOWN_VNI {
        unknown_vni(group, context)
    } else if kind == &kinds::TUNNEL_RECEIVE {
        ip::received(group, context)
    } else if kind == &kinds::TUNNEL_SEND {
        ip::too_big(group, context)
    } else if kind == &kinds::TUNNEL_WIREGUARD {
        wireguard::suspect(group, context)
    } else {
        None
    };
    found.unwrap_or_else(|| other::suspect(group, context))
}

/// Geneve's port; any other is VXLAN's.
const GENEVE: u16 = 6081;

/// The VNI of a VXLAN or Geneve packet, from its outer IP header on: it has the same place in both (RFC 7348, RFC 8926).
fn vni(packet: &[u8]) -> Option<u32> {
    let header = match packet.first()? >> 4 {
        4 => usize::from(packet[0] & 0x0f) * 4,
        6 => 40,
        _ => return None,
    };
    // UDP, then flags and reserved bits.
    let [a, b, c] = *packet.get(header + 12..header + 15)?.first_chunk()?;
    Some(u32::from_be_bytes([0, a, b, c]))
}

fn unknown_vni(group: &Group, context: &Context) -> Option<Suspect<'static>> {
    let vni = group.find(|sample| vni(&sample.packet))?;
    let source = group.addresses().map(|(source, _)| source);
    let port = group.ports().map_or(4789, |(_, port)| port);
    let (kind, called) = if port == GENEVE { ("geneve", "Geneve") } else { ("vxlan", "VXLAN") };
    let devices: Vec<&Link> = context.state(group.key.netns).map_or_else(Vec::new, |state| {
        state
            .links
            .iter()
            .filter(|link| link.vni.is_some() && link.kind.as_deref() != Some(other_than(kind)))
            .collect()
    });
    if devices.iter().any(|link| link.vni == Some(vni) && link.is_up()) {
        // It is known; something else is wrong with it.
        return None;
    }
    let known: Vec<String> =
        devices.iter().filter_map(|link| Some(format!("{} has {}", link.name, link.vni?))).collect();
    let culprit = Culprit::new(Object::Tunnel, format!("VNI {vni}")).with("vni", vni);
    let suspect = Suspect::of(group, Some(culprit), move |group, context| {
        let from = source.map_or_else(String::new, |source| format!(" from {source}"));
        let have = if known.is_empty() { "none has a VNI".to_owned() } else { known.join(", ") };
        let text = format!(
            "{called} packets{from} carry VNI {vni}, and no {called} device here has it ({have}). The two sides of the overlay disagree about \
             the VNI, or this host is not to be in that segment and the other side still floods to it."
        );
        // Geneve takes packets only of a remote that it knows.
        let remote = source
            .filter(|_| kind == "geneve")
            .map_or_else(String::new, |source| format!(" remote {source}"));
        Story::new(format!("no {called} device here has VNI {vni}"), text)
            .number("vni", vni)
            .fix(
                context.places.exec(
                    group.key.netns,
                    &format!(
                        "sh -c 'ip link add {kind}{vni} type {kind} id {vni}{remote} dstport {port} && ip link set {kind}{vni} up'"
                    ),
                ),
                "only if this host belongs to that segment; it still needs remotes and an address or a bridge",
            )
            .look(
                context.places.ip(group.key.netns, &format!("-d link show type {kind}")),
                "the VNIs that there are",
            )
    });
    Some(suspect.confidence(Confidence::Certain))
}

/// The kind of tunnel with VNIs that a packet is not for.
fn other_than(kind: &str) -> &'static str {
    if kind == "geneve" { "vxlan" } else { "geneve" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vni_is_behind_the_udp_header() {
        let mut packet = vec![0x45; 36];
        packet[32..35].copy_from_slice(&[0, 0, 77]);
        assert_eq!(vni(&packet), Some(77));
        packet[0] = 0x60;
        packet.resize(56, 0);
        packet[52..55].copy_from_slice(&[1, 0, 0]);
        assert_eq!(vni(&packet), Some(65_536));
        assert_eq!(vni(&packet[..30]), None);
        assert_eq!(vni(&[]), None);
    }
}

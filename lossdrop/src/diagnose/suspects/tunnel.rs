//! Tunnels.

use super::{Story, Suspect, other};
use crate::{
    diagnose::{context::Context, finding::Culprit, group::Group},
    knowledge::kinds,
};

pub(super) fn suspect(group: &Group, context: &Context) -> Suspect<'static> {
    match group.find(|sample| vni(&sample.packet)) {
        Some(vni) if group.verdict.kind == &kinds::TUNNEL_UNKNOWN_VNI => unknown_vni(vni, group, context),
        _ => other::suspect(group, context),
    }
}

/// The VNI of a VXLAN packet, from its outer IP header on (RFC 7348).
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

fn unknown_vni(vni: u32, group: &Group, context: &Context) -> Suspect<'static> {
    let source = group.find(super::super::group::Sample::addresses).map(|(source, _)| source.to_string());
    let port = group.find(super::super::group::Sample::ports).map_or(4789, |(_, port)| port);
    let known: Vec<String> = context.state(group.key.netns).map_or_else(Vec::new, |state| {
        state.links.iter().filter_map(|link| Some(format!("{} has {}", link.name, link.vni?))).collect()
    });
    let culprit = Culprit::new("tunnel", format!("VNI {vni}")).with("vni", vni);
    Suspect::of(group, Some(culprit), move |group, context| {
        let from = source.as_ref().map_or_else(String::new, |source| format!(" from {source}"));
        let have = if known.is_empty() { "none has a VNI".to_owned() } else { known.join(", ") };
        let text = format!(
            "VXLAN packets{from} carry VNI {vni}, and no VXLAN device here has it ({have}). The two sides of the overlay disagree about the \
             VNI, or this host is not to be in that segment and the other side still floods to it."
        );
        Story::new(format!("no VXLAN device here has VNI {vni}"), text)
            .number("vni", vni)
            .fix(
                context.places.exec(
                    group.key.netns,
                    &format!(
                        "sh -c 'ip link add vxlan{vni} type vxlan id {vni} dstport {port} && ip link set vxlan{vni} up'"
                    ),
                ),
                "only if this host belongs to that segment; it still needs remotes and an address or a bridge",
            )
            .look(context.places.ip(group.key.netns, "-d link show type vxlan"), "the VNIs that there are")
    })
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

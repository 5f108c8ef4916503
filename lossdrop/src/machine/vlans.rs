//! The VLANs of a bridge's ports, as `bridge vlan` shows them.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    netlink::{Fields as _, attribute, attributes, dump, push_attribute},
    take::within,
};

/// A VLAN that a port lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortVlan {
    pub id: u16,
    /// Frames without a tag are taken for this VLAN's.
    pub pvid: bool,
    /// Its frames leave without a tag.
    pub untagged: bool,
}

/// By the port's index; a bridge itself is one of its ports.
pub fn bridge_vlans(netns: &Path, limit: Duration) -> io::Result<BTreeMap<u32, Vec<PortVlan>>> {
    const RTEXT_FILTER_BRVLAN: u32 = 2;
    within(netns, limit, |deadline: Instant| {
        let mut request = vec![0; HEADER];
        request[0] = libc::AF_BRIDGE.to_ne_bytes()[0];
        push_attribute(&mut request, libc::IFLA_EXT_MASK, &RTEXT_FILTER_BRVLAN.to_ne_bytes());
        let answers = dump(libc::RTM_GETLINK, &request, deadline)?;
        Ok(answers.iter().filter_map(|answer| parse(answer)).collect())
    })?
}

/// `struct ifinfomsg`, with the index at 4.
const HEADER: usize = 16;

fn parse(message: &[u8]) -> Option<(u32, Vec<PortVlan>)> {
    /// `struct bridge_vlan_info`: flags, VLAN.
    const IFLA_BRIDGE_VLAN_INFO: u16 = 2;
    const PVID: u16 = 2;
    const UNTAGGED: u16 = 4;
    let vlans = attribute(message.get(HEADER..)?, libc::IFLA_AF_SPEC).unwrap_or_default();
    let vlans = attributes(vlans).filter(|(kind, _)| *kind == IFLA_BRIDGE_VLAN_INFO);
    let vlans = vlans.filter_map(|(_, info)| {
        let flags = info.u16_at(0)?;
        Some(PortVlan { id: info.u16_at(2)?, pvid: flags & PVID != 0, untagged: flags & UNTAGGED != 0 })
    });
    Some((message.u32_at(4)?, vlans.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_tells_its_vlans() {
        let mut message = vec![0; HEADER];
        message[4..8].copy_from_slice(&3_u32.to_ne_bytes());
        let mut vlans = Vec::new();
        for info in [[6_u16, 10], [0, 20]] {
            push_attribute(&mut vlans, 2, &info.map(u16::to_ne_bytes).concat());
        }
        push_attribute(&mut message, libc::IFLA_AF_SPEC, &vlans);
        let untagged = PortVlan { id: 10, pvid: true, untagged: true };
        let tagged = PortVlan { id: 20, pvid: false, untagged: false };
        assert_eq!(parse(&message), Some((3, vec![untagged, tagged])));
        assert_eq!(parse(&message[..HEADER]), Some((3, vec![])));
        assert_eq!(parse(&[]), None);
    }
}

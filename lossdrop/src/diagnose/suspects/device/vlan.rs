//! Bridges that filter by VLAN.

use std::collections::BTreeMap;

use super::{Story, Suspect, other};
use crate::{
    diagnose::{
        context::Context,
        finding::{Culprit, Object},
        group::Group,
    },
    drops::{Kept, packet},
    knowledge::{Confidence, kinds},
    machine::{Link, PortVlan},
};

/// The port that frames come in by, and that has not their VLAN.
pub(super) fn suspect(group: &Group, context: &Context) -> Suspect<'static> {
    let port = context.link(group.key.netns, group.key.ifindex).filter(|link| link.bridge_port.is_some());
    let Some(port) = port else { return other::suspect(group, context) };
    let vlans = context.bridge_vlans(group.key.netns);
    let tag = tag(group);
    let of_port = vlans.get(&port.index).map_or(&[][..], Vec::as_slice);
    let lets_in = of_port.iter().any(|vlan| tag.map_or(vlan.pvid, |tag| vlan.id == tag));
    if vlans.is_empty() || lets_in {
        return other::suspect(group, context);
    }
    let (name, has) = (port.name.clone(), listed(of_port));
    let usual = usual(&vlans);
    Suspect::of(group, Some(Culprit::new(Object::Device, name.clone())), move |group, context| {
        let (title, why, id, flags) = match tag {
            Some(tag) => (
                format!("the bridge port {name} does not let VLAN {tag} in"),
                format!("Frames with the tag of VLAN {tag} come in by it, which is none of its VLANs"),
                Some(tag),
                "",
            ),
            None => (
                format!("the bridge port {name} takes no frames without a tag"),
                "Frames without a tag come in by it, and it has no VLAN for these (PVID)".to_owned(),
                usual,
                " pvid untagged",
            ),
        };
        let text = format!("The bridge filters by VLAN, and {name} has {has}. {why}: they are dropped.");
        tell(title, text, &name, id, flags, group, context)
    })
    .confidence(Confidence::Certain)
}

/// The one other port that could have taken the frames, and has not their VLAN.
pub(super) fn refused_by_others(group: &Group, context: &Context) -> Option<Suspect<'static>> {
    let netns = group.key.netns;
    let bridge = context.link(netns, group.key.ifindex)?.master?;
    let id =
        tag(group).filter(|_| context.link(netns, bridge).is_some_and(|bridge| bridge.vlan_filtering))?;
    let vlans = context.bridge_vlans(netns);
    let has_not = |link: &&Link| {
        link.master == Some(bridge)
            && link.index != group.key.ifindex
            && vlans.get(&link.index).is_some_and(|vlans| vlans.iter().all(|vlan| vlan.id != id))
    };
    let others: Vec<&Link> = context.state(netns)?.links.iter().filter(has_not).collect();
    let [port] = others[..] else { return None };
    let (name, has) = (port.name.clone(), listed(vlans.get(&port.index)?));
    let suspect = Suspect::of(
        group,
        Some(Culprit::new(Object::Device, name.clone())),
        move |group, context| {
            let text = format!(
                "The bridge filters by VLAN. The frames belong to VLAN {id} (by their tag, or by the port that they came in by), and {name}, by \
             which they were to leave, has {has}."
            );
            let title = format!("the bridge port {name} does not let VLAN {id} out");
            tell(title, text, &name, Some(id), " untagged", group, context)
        },
    );
    Some(suspect.kind(&kinds::DEVICE_BRIDGE_VLAN).confidence(Confidence::Certain))
}

fn tell(
    title: String,
    text: String,
    port: &str,
    id: Option<u16>,
    flags: &str,
    group: &Group,
    context: &Context,
) -> Story {
    let netns = group.key.netns;
    let story = Story::new(title, text);
    let story = match id {
        Some(id) => story.number("vlan", id).fix(
            context.places.exec(netns, &format!("bridge vlan add dev {port} vid {id}{flags}")),
            "the port is then a member of that VLAN, if it is to be one",
        ),
        None => story,
    };
    story.look(context.places.exec(netns, "bridge vlan show"), "the VLANs of each port")
}

/// The VLAN of the frames; `None` for those without a tag.
fn tag(group: &Group) -> Option<u16> {
    group.find(|sample: &Kept| packet::vlan(&sample.event))
}

fn listed(vlans: &[PortVlan]) -> String {
    let ids: Vec<String> = vlans.iter().map(|vlan| vlan.id.to_string()).collect();
    if ids.is_empty() { "no VLAN at all".to_owned() } else { format!("VLAN {}", ids.join(", ")) }
}

/// What the other ports take frames without a tag for, if they agree.
fn usual(vlans: &BTreeMap<u32, Vec<PortVlan>>) -> Option<u16> {
    let mut ids = vlans.values().flatten().filter(|vlan| vlan.pvid).map(|vlan| vlan.id);
    let first = ids.next()?;
    ids.all(|id| id == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_ports_agree_upon_is_offered() {
        let vlan = |id| PortVlan { id, pvid: true, untagged: true };
        assert_eq!(usual(&[(1, vec![vlan(10)]), (2, vec![]), (3, vec![vlan(10)])].into()), Some(10));
        assert_eq!(usual(&[(1, vec![vlan(10)]), (3, vec![vlan(20)])].into()), None);
        assert_eq!(usual(&BTreeMap::new()), None);
        assert_eq!(listed(&[vlan(1), vlan(7)]), "VLAN 1, 7");
        assert_eq!(listed(&[]), "no VLAN at all");
    }
}

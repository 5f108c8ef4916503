//! Devices and bridges.

mod vlan;

use lossdrop_common::Shape;

use super::{Story, Suspect, other};
use crate::{
    diagnose::{
        context::Context,
        finding::{Culprit, Object},
        group::{Group, Target},
    },
    drops::judge::name,
    knowledge::{Confidence, kinds},
    machine::Link,
};

pub(super) fn suspect(group: &Group, context: &Context) -> Suspect<'static> {
    let kind = group.verdict.assessment.kind;
    if kind == &kinds::DEVICE_DOWN {
        down(group, context)
    } else if kind == &kinds::DEVICE_FOREIGN_VLAN {
        foreign_vlan(group, context)
    } else if kind == &kinds::DEVICE_MACVLAN {
        stacked(group, context)
    } else if kind == &kinds::DEVICE_BRIDGE_VLAN {
        vlan::suspect(group, context)
    } else if kind == &kinds::DEVICE_BRIDGE_STP
        || kind == &kinds::DEVICE_BRIDGE_NO_PORT
        || kind == &kinds::DEVICE_BRIDGE_REFUSED
    {
        bridge(group, context)
    } else {
        other::suspect(group, context)
    }
}

/// The device that is down, or has no carrier: the packet's own, or the veth's other end.
pub(super) fn down(group: &Group, context: &Context) -> Suspect<'static> {
    let is_forwarded = group.verdict.assessment.kind == &kinds::DEVICE_DOWN;
    let peer = group.find(|sample| sample.peer().copied());
    let (netns, device) = match peer {
        Some(peer) if is_forwarded || peer.flags & libc::IFF_UP.cast_unsigned() == 0 => {
            (peer.netns, name(peer.name))
        }
        _ => match other::device(group, context) {
            Some(device) => (group.key.netns, device.name),
            None => return other::suspect(group, context),
        },
    };
    is_down(netns, device, group, context)
}

fn is_down(netns: u32, device: String, group: &Group, context: &Context) -> Suspect<'static> {
    let culprit = device_in(netns, &device, context);
    Suspect::of(group, Some(culprit), move |_, context| tell_down(netns, &device, context)).in_netns(netns)
}

/// A device that is elsewhere than the packets are.
fn device_in(netns: u32, device: &str, context: &Context) -> Culprit {
    let culprit = Culprit::new(Object::Device, device);
    match context.places.name(netns) {
        Some(name) => culprit.with("netns", name),
        None => culprit,
    }
}

fn tell_down(netns: u32, device: &str, context: &Context) -> Story {
    let link = context.link_named(netns, device);
    let place = context.places.of(netns);
    if link.is_none_or(|link| !link.is_up()) {
        let text = format!(
            "{device}{place} is down, and packets still go there: routes, bridges or the other end lead to it."
        );
        return Story::new(format!("{device}{place} is down"), text)
            .fix(context.places.ip(netns, &format!("link set {device} up")), "it carries packets again");
    }
    let is_empty_bridge = link.is_some_and(|link| is_bridge(link) && has_no_other_port(link, netns, context));
    let why = match link.and_then(|link| link.kind.as_deref()) {
        Some("bridge") if is_empty_bridge => "A bridge without ports has no carrier.",
        Some("bridge") => "None of the bridge's ports has a carrier.",
        Some("tun") => "No program holds the tun/tap device open.",
        Some("veth") => "The other end of the veth is down.",
        _ => "The cable is out, or the other side is down.",
    };
    let text = format!(
        "{device}{place} is up but has no carrier, so its queue is noop: whatever is sent there is dropped. That is no congestion. {why}"
    );
    let story = Story::new(format!("{device}{place} has no carrier"), text);
    let story = match link.and_then(|link| context.after.peer(link)).filter(|(_, peer)| !peer.is_up()) {
        Some((state, peer)) => story.fix(
            context.places.ip(state.inum, &format!("link set {} up", peer.name)),
            "both ends then have a carrier",
        ),
        None => story,
    };
    story
        .look(context.places.ip(netns, &format!("-s link show dev {device}")), "NO-CARRIER, and the counters")
}

fn foreign_vlan(group: &Group, context: &Context) -> Suspect<'static> {
    let Some(device) = other::device(group, context) else { return other::suspect(group, context) };
    let vlan = match group.key.target {
        Target::Number(vlan) => Some(vlan),
        _ => None,
    };
    // There is one, and it is down.
    let own = |(_, link): &(u32, &Link)| vlan.is_some() && link.vlan.map(u32::from) == vlan && !link.is_up();
    if let Some((netns, link)) = context.devices_over(group.key.netns, group.key.ifindex).find(own) {
        return is_down(netns, link.name.clone(), group, context)
            .kind(&kinds::DEVICE_DOWN)
            .confidence(Confidence::Certain);
    }
    let tag = vlan.map_or_else(|| "a VLAN".to_owned(), |vlan| format!("VLAN {vlan}"));
    let culprit = Culprit { name: format!("{} {tag}", device.name), ..device.clone() };
    let device = device.name;
    Suspect::of(group, Some(culprit), move |group, context| {
        let text = format!(
            "Frames with the tag of {tag} come in by {device}, addressed to it, and no device here takes them out of that VLAN. \
             Either a VLAN device is missing, or the switch port sends a VLAN that is not meant for this host."
        );
        let story = Story::new(format!("{device} gets frames of {tag}, which has no device here"), text);
        let story = match vlan {
            Some(vlan) => story.number("vlan", vlan).fix(
                context.places.exec(
                    group.key.netns,
                    &format!(
                        "sh -c 'ip link add link {device} name {device}.{vlan} type vlan id {vlan} && ip link set {device}.{vlan} up'"
                    ),
                ),
                "a device for that VLAN, which still needs an address",
            ),
            None => story,
        };
        story.look(
            context.places.exec(group.key.netns, &format!("tcpdump -eni {device} vlan")),
            "the frames with their tags",
        )
    })
}

/// A macvlan or an ipvlan, whose packets the kernel has at the device below.
fn stacked(group: &Group, context: &Context) -> Suspect<'static> {
    let source = group.addresses().map(|(source, _)| source);
    let has_source = |(netns, link): &(u32, &Link)| {
        context.state(*netns).is_some_and(|state| {
            state.addresses.iter().any(|known| known.index == link.index && Some(known.address) == source)
        })
    };
    let is_group = group.find(|sample| sample.has_shape(Shape::MULTICAST).then_some(())).is_some();
    let above = context.devices_over(group.key.netns, group.key.ifindex).find(has_source);
    let own = || Some((group.key.netns, context.link(group.key.netns, group.key.ifindex)?));
    let routes = above.or_else(own).filter(|(_, link)| link.routes && is_group);
    let Some((netns, name)) = routes.map(|(netns, link)| (netns, link.name.clone())) else {
        return other::suspect(group, context);
    };
    let culprit = device_in(netns, &name, context);
    Suspect::of(group, Some(culprit), move |_, context| {
        let text = format!(
            "{name}{} is an ipvlan in mode l3: it routes, and sends neither multicasts nor broadcasts. What rests on them (mDNS, DHCP, \
             discovery) does not work there; the mode l2 would carry them.",
            context.places.of(netns)
        );
        Story::new(format!("{name} is an ipvlan that carries no multicasts and broadcasts"), text)
            .fix(
                context.places.ip(netns, &format!("link set {name} type ipvlan mode l2")),
                "all ipvlans of its parent then switch instead of routing: the network outside must know their addresses",
            )
            .look(context.places.ip(netns, &format!("-d link show dev {name}")), "the mode")
    })
    .in_netns(netns)
    .confidence(Confidence::Certain)
}

/// A bridge that does not forward: a port that is not forwarding, or no port to send to.
fn bridge(group: &Group, context: &Context) -> Suspect<'static> {
    let Some(device) = other::device(group, context) else { return other::suspect(group, context) };
    let name = device.name.clone();
    let link = context.link_named(group.key.netns, &name);
    let port = link.and_then(|link| link.bridge_port);
    let is_alone = link.is_some_and(|link| has_no_other_port(link, group.key.netns, context));
    let known = port.is_some_and(|port| port.isolated || port.state != "forwarding");
    if !known && let Some(refused) = vlan::refused_by_others(group, context) {
        return refused;
    }
    let confidence = if known { Confidence::Certain } else { group.verdict.assessment.confidence };
    // Without a reason, the port and its bridge tell.
    let (kind, confidence) = match port {
        _ if group.verdict.assessment.kind != &kinds::DEVICE_BRIDGE_REFUSED => {
            (group.verdict.assessment.kind, confidence)
        }
        Some(port) if port.state != "forwarding" => (&kinds::DEVICE_BRIDGE_STP, confidence),
        _ if !known && is_alone => (&kinds::DEVICE_BRIDGE_NO_PORT, Confidence::Certain),
        _ => (group.verdict.assessment.kind, confidence),
    };
    let suspect = Suspect::of(group, Some(device), move |group, context| {
        let netns = group.key.netns;
        let link = context.link_named(netns, &name);
        let port = link.and_then(|link| link.bridge_port);
        let master = link.and_then(|link| Some(context.link(netns, link.master?)?.name.clone()));
        if let Some(port) = port.filter(|port| port.state != "forwarding") {
            let text = format!(
                "The bridge port {name} is {}: spanning tree, or a setting, keeps it from forwarding, so that there is no loop. A \
                 port that has just come up passes the states listening and learning first (forward delay).",
                port.state
            );
            return Story::new(format!("the bridge port {name} is {}", port.state), text)
                .fix(
                    master.and_then(|bridge| {
                        context.places.exec(
                            netns,
                            &format!(
                                "sh -c 'ip link set {bridge} type bridge stp_state 0 && ip link set {name} down && \
                                 ip link set {name} up'"
                            ),
                        )
                    }),
                    "no spanning tree any more: only where no loop of cables is possible",
                )
                .look(context.places.exec(netns, &format!("bridge -d link show dev {name}")), "the port's state");
        }
        no_port(&name, link, group, context)
    });
    suspect.kind(kind).confidence(confidence)
}

fn is_bridge(link: &Link) -> bool {
    link.kind.as_deref() == Some("bridge")
}

/// The bridge has no port, or its port no other beside it.
fn has_no_other_port(link: &Link, netns: u32, context: &Context) -> bool {
    let bridge = link.master.filter(|_| !is_bridge(link)).unwrap_or(link.index);
    let is_other = |port: &Link| port.master == Some(bridge) && port.index != link.index;
    context.state(netns).is_some_and(|state| !state.links.iter().any(is_other))
}

fn no_port(name: &str, link: Option<&Link>, group: &Group, context: &Context) -> Story {
    let netns = group.key.netns;
    let isolated = link.is_some_and(|link| link.bridge_port.is_some_and(|port| port.isolated));
    if isolated {
        let text = format!(
            "The bridge port {name} is isolated, and so is the port that the frame was for: isolated ports do not talk to each \
             other. They were set so."
        );
        return Story::new(format!("{name} is an isolated bridge port"), text).fix(
            context.places.exec(netns, &format!("bridge link set dev {name} isolated off")),
            "its hosts can talk to the other ports",
        );
    }
    let text = format!(
        "The bridge has no port to send the frame to that came in by {name}: the address is behind that same port, the other ports \
         do not forward or do not flood, or there are none."
    );
    Story::new(format!("the bridge has no port for frames from {name}"), text)
        .look(context.places.exec(netns, "bridge -d link"), "the ports, their states and flags")
        .look(context.places.exec(netns, "bridge fdb show"), "which address is behind which port")
}

//! Packets that are too big: which device limits them, and to what.

use super::{Story, Suspect};
use crate::{
    diagnose::{
        context::Context,
        finding::{Culprit, Object},
        group::Group,
    },
    drops::judge::{ETHERNET, VLAN_SLACK, longest_frame, name, route_mtu},
    knowledge::kinds,
};

pub(super) fn suspect(group: &Group, context: &Context) -> Suspect<'static> {
    let kind = group.verdict.assessment.kind;
    if kind == &kinds::MTU_VETH_PEER {
        veth_peer(group, context)
    } else if kind == &kinds::MTU_BRIDGE_PORT {
        bridge_port(group, context)
    } else if kind == &kinds::MTU_BRIDGE_NETFILTER {
        bridge_netfilter(group, context)
    } else if kind == &kinds::MTU_FORWARD {
        forward(group, context)
    } else if kind == &kinds::MTU_OUTPUT || kind == &kinds::MTU_TUNNEL {
        output(group, context)
    } else {
        fragments(group, context)
    }
}

/// A device and its MTU.
#[derive(Clone, Debug)]
struct Limit {
    netns: u32,
    device: String,
    mtu: u32,
    header: u32,
}

impl Limit {
    fn culprit(&self, context: &Context) -> Culprit {
        let culprit = Culprit::new(Object::Device, &self.device).text(format!("MTU {}", self.mtu));
        match context.places.name(self.netns) {
            Some(netns) => culprit.with("netns", netns),
            None => culprit,
        }
    }

    /// The longest IP packet that another device may hand over.
    fn largest_ip(&self) -> u32 {
        longest_frame(self.mtu, self.header) - self.header
    }
}

/// The numbers that each of these stories has.
fn numbered(story: Story, group: &Group, mtu: u32, largest_ip: u32) -> Story {
    let (shortest, longest) = group.size_range().unwrap_or_default();
    story
        .number("mtu", mtu)
        .number("largest_ip", largest_ip)
        .number("len_min", shortest)
        .number("len_max", longest)
        .sizes()
}

/// The other end of the sender's veth.
fn veth_peer(group: &Group, context: &Context) -> Suspect<'static> {
    let reported = group.find(|sample| {
        let peer = sample.peer().copied()?;
        Some(Limit {
            netns: peer.netns,
            device: name(peer.name),
            mtu: peer.mtu,
            header: peer.hard_header_len.into(),
        })
    });
    let found = reported.or_else(|| {
        let (state, link) = context.after.peer(context.link(group.key.netns, group.key.ifindex)?)?;
        Some(Limit { netns: state.inum, device: link.name.clone(), mtu: link.mtu, header: ETHERNET })
    });
    let Some(limit) = found else { return super::other::suspect(group, context) };
    let culprit = limit.culprit(context);
    let netns = limit.netns;
    Suspect::of(group, Some(culprit), move |group, context| tell_veth_peer(&limit, group, context))
        .in_netns(netns)
}

fn tell_veth_peer(limit: &Limit, group: &Group, context: &Context) -> Story {
    let Limit { netns, device, mtu, header } = limit;
    let frame = longest_frame(*mtu, *header);
    let largest = limit.largest_ip();
    let (sender, sender_mtu) =
        group.sample().map(|sample| (sample.iface(), sample.event.mtu)).unwrap_or_default();
    let (shortest, longest) = group.size_range().unwrap_or_default();
    let mut text = format!(
        "{device}{} has MTU {mtu}; its peer {sender}{} sends with MTU {sender_mtu}. The kernel lets IP packets of up \
         to {largest} bytes pass (MTU + {VLAN_SLACK}, room for a VLAN tag) and drops the longer ones without telling \
         the sender: no ICMP. Those that died had {}.",
        context.places.of(*netns),
        context.places.of(group.key.netns),
        range(shortest, longest),
    );
    if group.find(|sample| sample.is_tcp().then_some(())).is_some() {
        text.push_str(&format!(
            " A SYN (40 to 60 bytes) and bare acknowledgements pass, a request of {shortest} bytes never does: \
             connections open, then hang. TCP does not adapt: the smallest MSS that Linux announces is \
             net.ipv4.route.min_adv_mss, {} bytes here, {}; aggregates (GSO) are exempt from the check, so large \
             transfers may work where small requests hang.",
            context.sysctl(*netns, "net.ipv4.route.min_adv_mss").unwrap_or_else(|| "256".to_owned()),
            if *mtu < 296 { "more than fits" } else { "and the announced one is for this MTU only at the handshake" },
        ));
    }
    let raised = format!("link set {device} mtu {sender_mtu}");
    let lowered = format!("link set {sender} mtu {mtu}");
    numbered(
        Story::new(format!("frames over {frame} bytes die at {device}{}", context.places.of(*netns)), text),
        group,
        *mtu,
        largest,
    )
    .number("limit", frame)
    .number("sender_mtu", sender_mtu)
    .fix(context.places.ip(*netns, &raised), "both ends then agree")
    .fix(
        context.places.ip(group.key.netns, &lowered),
        "both ends small: senders on this side then fragment, or get EMSGSIZE",
    )
}

fn range(shortest: u32, longest: u32) -> String {
    if shortest == longest { format!("{longest} bytes") } else { format!("{shortest} to {longest} bytes") }
}

/// The device that the packet was about to leave by.
fn own_device(group: &Group, context: &Context) -> Option<Limit> {
    let link = context.link(group.key.netns, group.key.ifindex);
    let reported = group.sample().map(|sample| (sample.iface(), sample.event.mtu, sample.device().copied()));
    let (device, mtu) = match (reported, link) {
        (Some((device, mtu, _)), _) if mtu != 0 => (device, mtu),
        (_, Some(link)) => (link.name.clone(), link.mtu),
        (_, None) => return None,
    };
    let header = group
        .find(|sample| sample.device().map(|device| u32::from(device.hard_header_len)))
        .unwrap_or(ETHERNET);
    Some(Limit { netns: group.key.netns, device, mtu, header })
}

fn bridge_port(group: &Group, context: &Context) -> Suspect<'static> {
    let Some(limit) = own_device(group, context) else { return super::other::suspect(group, context) };
    let culprit = limit.culprit(context);
    Suspect::of(group, Some(culprit), move |group, context| {
        let Limit { netns, device, mtu, header } = &limit;
        let frame = longest_frame(*mtu, *header);
        let largest = limit.largest_ip();
        let wanted = wanted_mtu(group, context, *mtu);
        let (shortest, longest) = group.size_range().unwrap_or_default();
        let text = format!(
            "The bridge port {device} has MTU {mtu}. A bridge does not fragment and sends no ICMP: it forwards frames of \
             up to {frame} bytes (IP packets of {largest}: MTU + {VLAN_SLACK}) and drops the longer ones silently. \
             Those that died had {}. Small packets, handshakes among them, pass.",
            range(shortest, longest),
        );
        let story = Story::new(format!("frames over {frame} bytes die at the bridge port {device}"), text);
        numbered(story, group, *mtu, largest)
            .number("limit", frame)
            .fix(
                context.places.ip(*netns, &format!("link set {device} mtu {wanted}")),
                "as the bridge's other ports have it; what is behind the port must take such frames, too",
            )
            .look(context.places.exec(*netns, "bridge link"), "the ports and their MTUs")
    })
}

/// The MTU that would let everything pass that was dropped: what the other ports of the bridge have, at least what the
/// longest packet needs.
fn wanted_mtu(group: &Group, context: &Context, mtu: u32) -> u32 {
    let ports = context.link(group.key.netns, group.key.ifindex).and_then(|link| link.master).map(|bridge| {
        let links = context.after.netns.get(&group.key.netns).map_or(&[][..], |state| &state.links);
        links.iter().filter(|link| link.master == Some(bridge)).map(|link| link.mtu).max().unwrap_or(mtu)
    });
    let longest = group.size_range().map_or(mtu, |(_, longest)| longest);
    ports.unwrap_or(mtu).max(longest)
}

fn bridge_netfilter(group: &Group, context: &Context) -> Suspect<'static> {
    let Some(limit) = own_device(group, context) else { return super::other::suspect(group, context) };
    let culprit = limit.culprit(context);
    Suspect::of(group, Some(culprit), move |group, context| {
        let Limit { netns, device, mtu, .. } = &limit;
        let wanted = wanted_mtu(group, context, *mtu);
        let text = format!(
            "The bridge port {device} has MTU {mtu}, and iptables filters on this bridge (bridge-nf-call-iptables). The \
             packets must not be fragmented (DF), are longer than {mtu} bytes, and the bridge sends no ICMP: a black \
             hole for whoever sends them. Packets without DF are fragmented and pass."
        );
        let story =
            Story::new(format!("packets over {mtu} bytes with DF die at the bridge port {device}"), text);
        numbered(story, group, *mtu, *mtu).fix(
            context.places.ip(*netns, &format!("link set {device} mtu {wanted}")),
            "as the bridge's other ports have it; what is behind the port must take such frames, too",
        )
    })
}

/// A router's next link.
fn forward(group: &Group, context: &Context) -> Suspect<'static> {
    let reported = group.find(|sample| {
        let route = sample.route().copied()?;
        Some((name(route.name), route_mtu(&route), route.route_mtu != 0))
    });
    // IPv6 has moved to the outgoing device already.
    let own = || own_device(group, context).map(|limit| (limit.device, limit.mtu, false));
    let Some((device, mtu, by_route)) = reported.or_else(own) else {
        return super::other::suspect(group, context);
    };
    let limit = Limit { netns: group.key.netns, device, mtu, header: ETHERNET };
    let culprit = limit.culprit(context);
    Suspect::of(group, Some(culprit), move |group, context| tell_forward(&limit, by_route, group, context))
}

fn tell_forward(limit: &Limit, by_route: bool, group: &Group, context: &Context) -> Story {
    let Limit { netns, device, mtu, .. } = limit;
    let (shortest, longest) = group.size_range().unwrap_or_default();
    let is_ipv6 = group.sample().is_some_and(|kept| kept.is_ipv6());
    let (why, message) = if is_ipv6 {
        ("routers do not fragment IPv6", "ICMPv6 \"packet too big\"")
    } else {
        ("they must not be fragmented (DF)", "ICMP \"fragmentation needed\"")
    };
    let what = if by_route { "the route's MTU" } else { "its MTU" };
    let text = format!(
        "This host forwards by {device}, {what} is {mtu}, and {why}: packets over {mtu} bytes are dropped, those that died \
         had {}. The sender gets {message} and should send smaller ones; the first packets of each flow die in any \
         case. If the drops go on, the message does not reach the sender: some firewall on the way eats it.",
        range(shortest, longest),
    );
    let tool = if is_ipv6 { "ip6tables" } else { "iptables" };
    let raise =
        if by_route { None } else { context.places.ip(*netns, &format!("link set {device} mtu {longest}")) };
    let story = Story::new(format!("packets over {mtu} bytes cannot be forwarded by {device}"), text);
    numbered(story, group, *mtu, *mtu)
        .fix(raise, "only if what is behind that link takes packets of this length")
        .fix(
            context.places.exec(
                *netns,
                &format!(
                    "{tool} -w -t mangle -A FORWARD -o {device} -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"
                ),
            ),
            "new TCP connections agree on segments that fit; UDP is not helped",
        )
        .look(
            context.places.exec(*netns, &format!("{tool} -nvL OUTPUT")),
            "whether a rule here drops the ICMP message",
        )
}

/// What this host, or a tunnel on it, sends.
fn output(group: &Group, context: &Context) -> Suspect<'static> {
    let Some(limit) = own_device(group, context) else { return super::other::suspect(group, context) };
    let culprit = limit.culprit(context);
    Suspect::of(group, Some(culprit), move |group, context| tell_output(&limit, group, context))
}

fn tell_output(limit: &Limit, group: &Group, context: &Context) -> Story {
    let Limit { netns, device, mtu, .. } = limit;
    let tunnel = context.tunnels_over(*netns, device).into_iter().next();
    let by = tunnel.as_ref().map_or_else(String::new, |link| format!(" by the tunnel {}", link.name));
    let text = format!(
        "{device} has MTU {mtu}. The packets were sent{by} with DF set and are longer, so they can be neither sent nor \
         fragmented. Whoever sent the inner packets gets an ICMP error where that is possible."
    );
    let story = Story::new(format!("packets over {mtu} bytes with DF cannot leave by {device}"), text);
    let story = numbered(story, group, *mtu, *mtu);
    let (_, longest) = group.size_range().unwrap_or_default();
    let story = match tunnel {
        Some(link) => {
            let fits = link.mtu.saturating_sub(longest.saturating_sub(*mtu));
            story.fix(
                context.places.ip(*netns, &format!("link set {} mtu {fits}", link.name)),
                "what the tunnel carries then fits into the link below it",
            )
        }
        None => story,
    };
    story.fix(
        context.places.ip(*netns, &format!("link set {device} mtu {longest}")),
        "only if what is behind that link takes packets of this length",
    )
}

/// Fragments that came alone, late, or twice.
fn fragments(group: &Group, context: &Context) -> Suspect<'static> {
    let source = group.addresses().map(|(source, _)| source);
    let culprit = source.map(|source| Culprit::new(Object::Host, source.to_string()).text("sends fragments"));
    let wait = context.sysctl(group.key.netns, "net.ipv4.ipfrag_time");
    let is_timeout = group.verdict.assessment.kind == &kinds::MTU_REASSEMBLY;
    Suspect::of(group, culprit, move |group, context| {
        let netns = group.key.netns;
        let text = if is_timeout {
            format!(
                "Packets came in fragments, and some fragments never came: after {} s the others are thrown away. A fragment \
                 was lost on the way, or a firewall lets only the first of a packet pass, or the memory for fragments \
                 (net.ipv4.ipfrag_high_thresh) is used up. A sender that needs no fragments, with a smaller MTU or MSS, \
                 ends it.",
                wait.as_deref().unwrap_or("30")
            )
        } else {
            "A fragment is invalid, overlaps others, came twice, or found no room.".to_owned()
        };
        Story::new(group.verdict.assessment.kind.title, text).sizes().look(
            context.places.exec(netns, "nstat -az IpReasmTimeout IpReasmFails IpReasmReqds"),
            "how often",
        )
    })
}

//! Next hops whose link-layer address is not known.

use std::net::IpAddr;

use super::{Story, Suspect, other};
use crate::{
    diagnose::{
        context::Context,
        finding::{Culprit, Object},
        group::Group,
    },
    knowledge::kinds,
    machine::Query,
};

pub(super) fn suspect(group: &Group, context: &Context) -> Suspect<'static> {
    let Some((_, destination)) = group.addresses() else {
        return other::suspect(group, context);
    };
    let kind = group.verdict.assessment.kind;
    if kind == &kinds::NEIGHBOUR_TABLE_FULL {
        return table_full(group, destination);
    }
    let netns = group.key.netns;
    let route = context.route(netns, Query::to(destination));
    let gateway = route.as_ref().and_then(|route| route.gateway);
    let next_hop = gateway.unwrap_or(destination);
    let device = group
        .find(|sample| Some(sample.iface()).filter(|name| !name.is_empty()))
        .or_else(|| Some(route?.oif?.1))
        .unwrap_or_default();
    let culprit = Culprit::new(Object::Neighbour, format!("{next_hop} on {device}"))
        .with("address", next_hop.to_string())
        .with("device", device.clone());
    let culprit = if gateway.is_some() { culprit.text("the gateway") } else { culprit };
    Suspect::of(group, Some(culprit), move |group, context| {
        if group.verdict.assessment.kind == &kinds::NEIGHBOUR_QUEUE_FULL {
            queue_full(next_hop, &device, group, context)
        } else if group.verdict.assessment.kind == &kinds::NEIGHBOUR_UNREACHABLE {
            unreachable(next_hop, gateway.is_some(), &device, group, context)
        } else {
            other::tell(group, context)
        }
    })
}

/// What asks for the address.
fn protocol(address: IpAddr) -> &'static str {
    if address.is_ipv6() { "neighbour discovery" } else { "ARP" }
}

fn unreachable(next_hop: IpAddr, is_gateway: bool, device: &str, group: &Group, context: &Context) -> Story {
    let what = if is_gateway { "The gateway" } else { "The neighbour" };
    let text = format!(
        "{what} {next_hop} does not answer {} on {device}: it is down, has another address, or is not on this network \
         (wrong prefix length, VLAN, bridge or cable). The packets waited for its link-layer address and died when the \
         kernel gave up.",
        protocol(next_hop),
    );
    let netns = group.key.netns;
    Story::new(format!("{next_hop} does not answer {} on {device}", protocol(next_hop)), text)
        .look(context.places.ip(netns, &format!("neigh show {next_hop}")), "FAILED or INCOMPLETE: no answer")
        .look(
            context.places.ip(netns, &format!("-s link show dev {device}")),
            "carrier and errors of the device",
        )
        .look(
            context.places.ip(netns, &format!("route get {next_hop}")),
            "whether it is reached by this device at all",
        )
}

fn queue_full(next_hop: IpAddr, device: &str, group: &Group, context: &Context) -> Story {
    let netns = group.key.netns;
    let version = if next_hop.is_ipv6() { "ipv6" } else { "ipv4" };
    let limit = context.sysctl_number(netns, &format!("net.{version}.neigh.{device}.unres_qlen_bytes"));
    let limit = limit.unwrap_or(212_992);
    let text = format!(
        "Packets for {next_hop} wait until {} has found its link-layer address, {limit} bytes of memory at the most; a burst \
         to an address that is not known yet overflows that, and the oldest are dropped. If the neighbour never answers, \
         all of them die: then that is the cause.",
        protocol(next_hop),
    );
    let wanted = (limit * 10).max(1 << 20);
    Story::new(format!("too many packets wait for the address of {next_hop} on {device}"), text)
        .number("unres_qlen_bytes", limit)
        .fix(
            context.places.sysctl(netns, &format!("net.{version}.neigh.{device}.unres_qlen_bytes={wanted}")),
            "room for a burst while the address is looked up",
        )
        .look(context.places.ip(netns, &format!("neigh show {next_hop}")), "whether it answers at all")
}

fn table_full(group: &Group, destination: IpAddr) -> Suspect<'static> {
    let version = if destination.is_ipv6() { "ipv6" } else { "ipv4" };
    let name = format!("net.{version}.neigh.default.gc_thresh3");
    let culprit = Culprit::new(Object::Sysctl, name.clone());
    Suspect::of(group, Some(culprit), move |_, context| {
        // The limit holds for all namespaces together, and only the first one may set it.
        let limit = context.after.sysctls.get(&name).and_then(|value| value.parse::<u64>().ok());
        let limit = limit.unwrap_or(1024);
        let text = format!(
            "The table of neighbours is full: {name} allows {limit} entries for all namespaces together. A large flat \
             network, a scan, or many containers on one bridge fill it."
        );
        Story::new("the table of neighbours is full", text).number("gc_thresh3", limit).fix(
            Some(format!("sysctl -w {name}={}", limit * 4)),
            "more entries; to be typed in the host's namespace",
        )
    })
}

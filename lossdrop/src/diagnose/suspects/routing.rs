//! Routes and addresses.

use std::net::IpAddr;

use super::{Story, Suspect, other};
use crate::{
    diagnose::{
        context::Context,
        finding::{Culprit, Object},
        group::{Group, Target},
    },
    knowledge::{Confidence, Kind, kinds},
    machine::{Query, Route, RouteKind},
};

/// The table that `ip route` means where none is named.
const MAIN: u32 = 254;

pub(super) fn suspect(group: &Group, context: &Context) -> Suspect<'static> {
    let Target::Path(source, destination) = group.key.target else { return other::suspect(group, context) };
    let kind = group.verdict.assessment.kind;
    if kind == &kinds::ROUTING_RP_FILTER {
        rp_filter(source, group, context)
    } else if kind == &kinds::ROUTING_TTL {
        ttl(source, group)
    } else if kind == &kinds::ROUTING_MARTIAN {
        martian(source, destination, group, context)
    } else if [
        &kinds::ROUTING_BLACKHOLE,
        &kinds::ROUTING_PROHIBIT,
        &kinds::ROUTING_UNREACHABLE,
        &kinds::ROUTING_NO_ROUTE,
        &kinds::ROUTING_FORWARDING_OFF,
        &kinds::ROUTING_REFUSED,
    ]
    .contains(&kind)
    {
        route(source, destination, group, context)
    } else {
        other::suspect(group, context)
    }
}

fn version(address: IpAddr) -> &'static str {
    if address.is_ipv6() { "ipv6" } else { "ipv4" }
}

/// What kind of route the packets met, by asking the kernel for it.
fn route(source: IpAddr, destination: IpAddr, group: &Group, context: &Context) -> Suspect<'static> {
    let netns = group.key.netns;
    let came_in = group.key.ifindex;
    let mark =
        group.find(|sample| sample.facts.as_ref().map(|facts| facts.packet.mark)).filter(|mark| *mark != 0);
    let query = Query { mark, ..Query::to(destination) };
    // Asked as for a packet that came in, the kernel says what it would do with it; asked as for one of our own, which
    // entry says so.
    let own = context.route(netns, query);
    let incoming = context.route(netns, Query { src: Some(source), iif: Some(came_in), ..query });
    // Without an entry that matched, the kernel refuses for another reason: forwarding is off.
    let refused = |kind: RouteKind| {
        [&own, &incoming]
            .into_iter()
            .flatten()
            .find(|route| route.kind == kind && route.dst.is_some())
            .cloned()
    };
    let special = [
        (RouteKind::Blackhole, &kinds::ROUTING_BLACKHOLE),
        (RouteKind::Prohibit, &kinds::ROUTING_PROHIBIT),
        (RouteKind::Unreachable, &kinds::ROUTING_UNREACHABLE),
    ];
    for (wanted, kind) in special {
        if let Some(found) = refused(wanted) {
            return special_route(kind, &found, destination, group);
        }
    }
    if is_forwarding_off(destination, own.as_ref(), group, context) {
        return forwarding_off(destination, group, context);
    }
    match own {
        Some(route) if route.kind == RouteKind::NoRoute => {
            no_route(destination, group).confidence(Confidence::Certain)
        }
        // Where the kernel could not be asked, what it said with the drop holds.
        None if group.verdict.assessment.kind == &kinds::ROUTING_NO_ROUTE => no_route(destination, group),
        _ => other::suspect(group, context),
    }
}

fn special_route(kind: &'static Kind, found: &Route, destination: IpAddr, group: &Group) -> Suspect<'static> {
    let prefix = found.dst.map_or_else(|| "default".to_owned(), |prefix| prefix.to_string());
    let prefix = if prefix == "0.0.0.0/0" || prefix == "::/0" { "default".to_owned() } else { prefix };
    let name = format!("{} {prefix}", kind.slug);
    let table = found.table;
    let culprit = Culprit::new(Object::Route, name.clone()).with("table", table);
    let (slug, six) = (kind.slug, if destination.is_ipv6() { "-6 " } else { "" });
    Suspect::of(group, Some(culprit), move |group, context| {
        let answer = match slug {
            "blackhole" => "silently",
            "prohibit" => "and tells the sender that it is administratively prohibited (ICMP)",
            _ => "and tells the sender that the host is unreachable (ICMP)",
        };
        let in_table = match table {
            None | Some(MAIN) => String::new(),
            Some(table) => format!(" table {table}"),
        };
        let text = format!(
            "The route \"{name}\"{in_table} was set to throw such packets away: it drops whatever goes to {prefix} {answer}. \
             An administrator or a routing daemon put it there."
        );
        Story::new(format!("the route {name} drops them"), text)
            .fix(
                context.places.ip(group.key.netns, &format!("{six}route del {name}{in_table}")),
                "the next best route then holds; a routing daemon may put it back",
            )
            .look(context.places.ip(group.key.netns, &format!("{six}route get {destination}")), "what the kernel would do")
    })
    .kind(kind)
    .confidence(Confidence::Certain)
}

fn no_route(destination: IpAddr, group: &Group) -> Suspect<'static> {
    let culprit = Culprit::new(Object::Route, format!("no route to {destination}"));
    Suspect::of(group, Some(culprit), move |group, context| {
        let six = if destination.is_ipv6() { "-6 " } else { "" };
        let text = format!(
            "No route{} leads to {destination}, not even a default route. The sender gets an ICMP error where it is another host, \
             else by an error. A route is missing, or an interface that had one is down.",
            match context.places.of(group.key.netns) {
                here if here.is_empty() => String::new(),
                there => there.replacen(" of", " in", 1),
            },
        );
        Story::new(format!("there is no route to {destination}"), text)
            .look(context.places.ip(group.key.netns, &format!("{six}route show")), "the routes that there are")
            .look(context.places.ip(group.key.netns, &format!("{six}route get {destination}")), "what the kernel would do")
    })
    .kind(&kinds::ROUTING_NO_ROUTE)
}

/// The packet came in, is for another host, and this host does not forward.
fn is_forwarding_off(destination: IpAddr, own: Option<&Route>, group: &Group, context: &Context) -> bool {
    let is_ours = own.is_some_and(|route| route.kind == RouteKind::Local);
    let device =
        group.find(|sample| Some(sample.iface()).filter(|name| !name.is_empty())).unwrap_or_default();
    let key = format!("net.{}.conf.{device}.forwarding", version(destination));
    !is_ours && !device.is_empty() && context.sysctl_number(group.key.netns, &key) == Some(0)
}

fn forwarding_off(destination: IpAddr, group: &Group, context: &Context) -> Suspect<'static> {
    let name = if destination.is_ipv6() { "net.ipv6.conf.all.forwarding" } else { "net.ipv4.ip_forward" };
    let culprit = Culprit::new(Object::Sysctl, name);
    let device = other::device(group, context).map(|device| device.name).unwrap_or_default();
    Suspect::of(group, Some(culprit), move |group, context| {
        let text = format!(
            "Packets for {destination}, which is no address of this host, came in by {device}, and forwarding is off \
             ({name} = 0). Either this host is to be a router, or the sender has the wrong route or MAC address."
        );
        Story::new(format!("{name} is off, and packets for other hosts come in"), text)
            .fix(context.places.sysctl(group.key.netns, &format!("{name}=1")), "makes this host a router")
    })
    .kind(&kinds::ROUTING_FORWARDING_OFF)
    .confidence(Confidence::Certain)
}

fn rp_filter(source: IpAddr, group: &Group, context: &Context) -> Suspect<'static> {
    let netns = group.key.netns;
    let device = other::device(group, context).map(|device| device.name).unwrap_or_default();
    let key = |name: &str| format!("net.ipv4.conf.{name}.rp_filter");
    let all = context.sysctl_number(netns, &key("all"));
    let own = context.sysctl_number(netns, &key(&device));
    // The greater one holds; what can't be asked stays open.
    let value = all.zip(own).map(|(all, own)| all.max(own));
    let back = context.reverse_path(netns, source);
    let culprit = Culprit::new(Object::Sysctl, key(&device)).with("value", value);
    Suspect::of(group, Some(culprit), move |group, context| {
        let netns = group.key.netns;
        let way = match back.as_ref().map(|route| route.oif.as_ref().map(|(_, name)| name.as_str())) {
            Some(Some(by)) => format!("the route back to {source} leaves by {by}"),
            Some(None) => format!("there is no route back to {source}"),
            None => format!("the way back to {source} is another, or there is none"),
        };
        let setting = match (value, all, own) {
            (Some(value), Some(all), Some(own)) => format!(
                "{} on {device} (rp_filter = {value}, the greater of {} = {all} and {} = {own})",
                if value == 2 { "loose" } else { "strict" },
                key("all"),
                key(&device),
            ),
            _ => format!("on for {device}"),
        };
        let text = format!(
            "Reverse-path filtering is {setting}: packets from {source} came in by {device}, but {way}. So they are dropped as \
             forged. Asymmetric routing does this, and a missing route."
        );
        let story = Story::new(format!("rp_filter refuses packets from {source} at {device}"), text);
        let story = match value {
            Some(value) => story.number("rp_filter", value),
            None => story,
        };
        let story = if value == Some(2) {
            story.fix(
                context.places.sysctl(netns, &format!("{}=0 {}=0", key("all"), key(&device))),
                "no check of source addresses any more on this device",
            )
        } else {
            story.fix(
                context.places.sysctl(netns, &format!("{}=2", key(&device))),
                "loose: any route back will do; a check remains",
            )
        };
        story
            .fix(
                context.places.ip(netns, &format!("route add {source} dev {device}")),
                "if that is where this host really is",
            )
            .look(context.places.ip(netns, &format!("route get {source}")), "the way back")
    })
}

fn ttl(source: IpAddr, group: &Group) -> Suspect<'static> {
    let culprit = Culprit::new(Object::Host, source.to_string()).text("sends them");
    Suspect::of(group, Some(culprit), move |group, context| {
        let destination = group.addresses().map(|(_, destination)| destination);
        let to = destination.map_or_else(String::new, |destination| format!(" to {destination}"));
        let text = format!(
            "Packets from {source}{to} came in with the last hop of their TTL used up and were to be forwarded. A few of them are a \
             traceroute; many are a routing loop: then the same packets come by here again and again. The sender gets an ICMP error."
        );
        let six = if source.is_ipv6() { "-6 " } else { "" };
        let story = Story::new(format!("the TTL of packets from {source} runs out here"), text);
        match destination {
            Some(destination) => story.look(
                context.places.ip(group.key.netns, &format!("{six}route get {destination}")),
                "whether it leads back to where they came from",
            ),
            None => story,
        }
    })
}

fn martian(source: IpAddr, destination: IpAddr, group: &Group, context: &Context) -> Suspect<'static> {
    let culprit =
        Culprit::new(Object::Host, source.to_string()).text("an address that must not come from there");
    let is_ours = context
        .state(group.key.netns)
        .is_some_and(|state| state.addresses.iter().any(|address| address.address == source));
    let is_loopback = source.is_loopback() || destination.is_loopback();
    // The kernel lets none of these in, whatever its reason is called.
    let confidence =
        if is_ours || is_loopback { Confidence::Certain } else { group.verdict.assessment.confidence };
    let suspect = Suspect::of(group, Some(culprit), move |group, context| {
        let netns = group.key.netns;
        let device = other::device(group, context).map(|device| device.name).unwrap_or_default();
        let why = if is_ours {
            format!(
                "{source} is an address of this host itself: another host has it, too, or the packet went round in a loop"
            )
        } else if is_loopback {
            "addresses of 127.0.0.0/8 are for a host's own use; they were let out to the network".to_owned()
        } else {
            format!("{source} or {destination} is none that a packet may have: zero, broadcast or multicast")
        };
        let story = Story::new(
            format!("packets with the impossible address pair {source} → {destination} come in by {device}"),
            format!("A martian: {why}. The kernel does not answer."),
        );
        let story = if is_loopback && !is_ours {
            story.fix(
                context.places.sysctl(netns, &format!("net.ipv4.conf.{device}.route_localnet=1")),
                "lets such packets in: only for a set-up that needs them (some NAT to localhost does)",
            )
        } else {
            story
        };
        story.look(
            context.places.exec(netns, &format!("tcpdump -eni {device} host {source}")),
            "the MAC address of whoever sends them",
        )
    });
    suspect.confidence(confidence)
}

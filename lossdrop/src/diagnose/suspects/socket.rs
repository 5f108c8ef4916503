//! Sockets that had no room, refused, or are not there.

use std::net::{IpAddr, SocketAddr};

use lossdrop_common::parse::{IPPROTO_TCP, IPPROTO_UDP};

use super::{Story, Suspect, other};
use crate::{
    diagnose::{
        context::Context,
        finding::{Culprit, Object},
        group::{Group, Target},
        reconcile,
    },
    identity::owners::Owner,
    knowledge::{Confidence, kinds, protocols::protocol_name},
};

pub(super) fn suspect(group: &Group, context: &Context) -> Suspect<'static> {
    let Target::Port(protocol, address, port) = group.key.target else {
        return other::suspect(group, context);
    };
    let kind = group.verdict.assessment.kind;
    let name = socket_name(protocol, address, port);
    if kind == &kinds::SOCKET_CLOSED_PORT {
        let culprit = Culprit::new(Object::Port, name).with("port", port);
        let suspect = Suspect::of(group, Some(culprit), move |group, context| {
            closed_port(protocol, address, port, group, context)
        });
        let is_sure = protocol == IPPROTO_TCP && is_reset(address, port, group, context);
        return if is_sure { suspect.confidence(Confidence::Certain) } else { suspect };
    }
    if kind == &kinds::SOCKET_PROTOCOL {
        let culprit = Culprit::new(Object::Protocol, format!("IP protocol {protocol}"));
        return Suspect::of(group, Some(culprit), other::tell);
    }
    let owner = owner(group, context, protocol, address, port);
    // Who refused is not reported: the socket's own filter, if it has one, or a program of its cgroup.
    if kind == &kinds::SOCKET_FILTER && owner.as_ref().is_some_and(super::bpf::is_watched) {
        let has_own = group.find(|sample| sample.socket().map(|socket| socket.filtered != 0));
        let confidence = if has_own == Some(false) { Confidence::Certain } else { Confidence::Possible };
        return super::bpf::cgroup(owner.as_ref(), group, context)
            .kind(&kinds::BPF_CGROUP_INGRESS)
            .confidence(confidence);
    }
    let culprit = Culprit::new(Object::Socket, name).with("port", port);
    let culprit = match &owner {
        Some(owner) => culprit.text(process(owner)).with("process", serde_json::json!(owner)),
        None => culprit,
    };
    Suspect::of(group, Some(culprit), move |group, context| {
        let kind = group.verdict.assessment.kind;
        if kind == &kinds::SOCKET_RCVBUF {
            receive_buffer(protocol, address, port, owner.as_ref(), group, context)
        } else if kind == &kinds::SOCKET_BACKLOG {
            backlog(protocol, port, owner.as_ref(), group, context)
        } else if kind == &kinds::SOCKET_FILTER {
            filter(protocol, address, port, owner.as_ref(), group, context)
        } else {
            other::tell(group, context)
        }
    })
}

/// Where a kernel gives no reason: no process listens, and each segment got the reset that only such get.
fn is_reset(address: IpAddr, port: u16, group: &Group, context: &Context) -> bool {
    let netns = group.key.netns;
    context.listener(netns, address, port).is_none()
        && reconcile::moved(context, netns, "TcpOutRsts") == group.count
}

/// `udp 10.0.0.2:53`.
pub(in crate::diagnose) fn socket_name(protocol: u8, address: IpAddr, port: u16) -> String {
    let protocol = protocol_name(protocol.into()).map_or_else(|| protocol.to_string(), str::to_owned);
    match port {
        0 => format!("{protocol} {address}"),
        _ => format!("{protocol} {}", SocketAddr::new(address, port)),
    }
}

/// `named[812]`.
pub(in crate::diagnose) fn process(owner: &Owner) -> String {
    format!("{}[{}]", owner.comm, owner.pid)
}

/// By the packet's own socket, else by the one that is bound to the address.
fn owner(group: &Group, context: &Context, protocol: u8, address: IpAddr, port: u16) -> Option<Owner> {
    if let Some(owner) = group.find(|sample| sample.owner.clone()) {
        return Some(owner);
    }
    let netns = group.key.netns;
    let inode = match protocol {
        IPPROTO_UDP => context.udp_socket(netns, address, port)?.inode,
        IPPROTO_TCP => context.listener(netns, address, port)?.inode,
        _ => return None,
    };
    context.owner(inode.into()).cloned()
}

fn by(owner: Option<&Owner>) -> String {
    owner.map_or_else(
        || "the process that reads it".to_owned(),
        |owner| format!("the process {}", process(owner)),
    )
}

fn closed_port(protocol: u8, address: IpAddr, port: u16, group: &Group, context: &Context) -> Story {
    let netns = group.key.netns;
    let name = protocol_name(protocol.into()).unwrap_or("packets");
    let (what, answer, list) = match protocol {
        IPPROTO_UDP => ("is bound to", "an ICMP \"port unreachable\"", "-lnup"),
        IPPROTO_TCP => ("listens on", "an RST", "-lntp"),
        _ => ("takes", "an error", "-lnp"),
    };
    let sender = group.addresses().map(|(source, _)| source.to_string());
    let elsewhere = bound_elsewhere(protocol, port, netns, context).map_or_else(String::new, |bound| {
        format!(" Something is at that port, but at the address {bound} only.")
    });
    let text = format!(
        "Nothing{} {what} {name} port {port} of {address}; the sender{} gets {answer}. The service is down, is bound to \
         another address, or the sender has the wrong port.{elsewhere}",
        match context.places.of(netns) {
            here if here.is_empty() => " on this host".to_owned(),
            there => format!(" in{}", there.trim_start_matches(" of")),
        },
        sender.map_or_else(String::new, |sender| format!(", {sender} for one,")),
    );
    Story::new(format!("no process {what} {}", socket_name(protocol, address, port)), text)
        .look(context.places.exec(netns, &format!("ss {list} 'sport = :{port}'")), "who is at that port")
}

/// The other address that a socket is bound to at this port.
fn bound_elsewhere(protocol: u8, port: u16, netns: u32, context: &Context) -> Option<IpAddr> {
    let state = context.state(netns)?;
    match protocol {
        IPPROTO_UDP => state.udp.iter().find(|socket| socket.port == port).map(|socket| socket.address),
        IPPROTO_TCP => state.listeners.iter().find(|socket| socket.port == port).map(|socket| socket.address),
        _ => None,
    }
}

fn receive_buffer(
    protocol: u8,
    address: IpAddr,
    port: u16,
    owner: Option<&Owner>,
    group: &Group,
    context: &Context,
) -> Story {
    let netns = group.key.netns;
    let reported = group.find(|sample| sample.socket().map(|socket| (socket.rmem, socket.rcvbuf)));
    let (rmem, rcvbuf) = reported
        .or_else(|| context.udp_socket(netns, address, port).map(|socket| (socket.rmem, socket.rcvbuf)))
        .unwrap_or_default();
    let maximum = context.sysctl_number(netns, "net.core.rmem_max");
    let maximum = maximum.or_else(|| {
        // Set in the first namespace, for all.
        context.after.sysctls.get("net.core.rmem_max")?.parse().ok()
    });
    let maximum = maximum.unwrap_or(212_992);
    let text = format!(
        "The receive buffer of {} is full: {rmem} of {rcvbuf} bytes, counted with the kernel's own overhead for each packet. {} \
         does not read fast enough, or the buffer is too small for the bursts. Linux doubles what a program asks for with \
         SO_RCVBUF, up to twice net.core.rmem_max ({maximum}).",
        socket_name(protocol, address, port),
        other::sentence(&by(owner)).trim_end_matches('.'),
    );
    let wanted = (maximum * 4).max(8 << 20);
    Story::new(format!("the receive buffer of {} is full", socket_name(protocol, address, port)), text)
        .number("rmem", rmem)
        .number("rcvbuf", rcvbuf)
        .number("port", port)
        .look(
            context.places.exec(netns, &format!("ss -{}nmp 'sport = :{port}'", if protocol == IPPROTO_TCP { "t" } else { "ua" })),
            "r: bytes waiting now, rb: the limit, d: drops so far",
        )
        .look(
            Some(format!("sysctl -w net.core.rmem_max={wanted}")),
            "lets the program ask for more with SO_RCVBUF when it is started again; bursts only: a program that is too slow \
             for the rate loses packets all the same",
        )
}

fn backlog(protocol: u8, port: u16, owner: Option<&Owner>, group: &Group, context: &Context) -> Story {
    let reported = group.find(|sample| sample.socket().map(|socket| (socket.backlog, socket.rcvbuf)));
    let (backlog, rcvbuf) = reported.unwrap_or_default();
    let text = format!(
        "{} held the socket's lock while packets came in; they wait in its backlog, and that is full ({backlog} bytes). Shorter \
         reads and writes help, or a larger receive buffer (net.ipv4.tcp_rmem), from which the backlog's limit follows.",
        other::sentence(&by(owner)).trim_end_matches('.'),
    );
    Story::new(group.verdict.assessment.kind.title, text)
        .number("rmem", backlog)
        .number("rcvbuf", rcvbuf)
        .number("port", port)
        .look(
            context.places.exec(
                group.key.netns,
                &format!("ss -{}nmp 'sport = :{port}'", if protocol == IPPROTO_TCP { "t" } else { "ua" }),
            ),
            "bl: bytes in the backlog",
        )
}

fn filter(
    protocol: u8,
    address: IpAddr,
    port: u16,
    owner: Option<&Owner>,
    group: &Group,
    context: &Context,
) -> Story {
    let text = format!(
        "A filter refused the packets for {}: one that {} has attached to its socket (SO_ATTACH_FILTER, SO_ATTACH_BPF), or a BPF \
         program of its cgroup. Programs that look at a part of the traffic only (DHCP clients, packet captures) do this on \
         purpose.",
        socket_name(protocol, address, port),
        by(owner),
    );
    Story::new(format!("a filter refuses packets for {}", socket_name(protocol, address, port)), text)
        .number("port", port)
        .look(context.places.exec(group.key.netns, "ss -0bnp"), "the filters of packet sockets")
        .look(Some("bpftool cgroup tree".to_owned()), "the programs of cgroups")
}

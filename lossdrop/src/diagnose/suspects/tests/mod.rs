//! What is reported each suspect, as snapshots: `INSTA_UPDATE=always cargo test -p lossdrop` writes them anew.

mod device;
mod mtu;
mod netfilter;
mod queue;
mod route;
mod socket;

use std::fmt::Write as _;

use super::*;
use crate::{
    diagnose::group::Target,
    drops::Kept,
    knowledge::kinds,
    machine::Xdp,
    testing::{
        self,
        diagnosis::{EDGE, GONE, TCP, UDP, WEB, context, event, group, link, machine, sample, state},
    },
};

/// The suspects of a group with their stories.
fn reported(group: Group, context: &Context) -> String {
    let mut out = String::new();
    for (group, suspect) in suspects(group, context) {
        let Story { title, numbers, sizes, explanation, fixes, look } = suspect.tell(&group, context);
        let Suspect { assessment: Assessment { kind, severity, confidence }, netns, .. } = &suspect;
        let lengths = if sizes { ", with lengths" } else { "" };
        // Writing to a String does not fail, here and below.
        let _ = writeln!(out, "{} × {kind} {severity} {confidence}, netns {netns}{lengths}", group.count);
        if let Some(Culprit { r#type, name, text, more }) = &suspect.culprit {
            let more = serde_json::to_string(more).expect("JSON");
            let _ = writeln!(out, "culprit: {type} | {name} | {text} | {more}");
        }
        let _ = writeln!(out, "{title}\n{numbers:?}\n{explanation}");
        for (label, list) in [("fix", fixes), ("see", look)] {
            for Fix { command, effect } in list {
                let _ = writeln!(out, "{label} {command}\n    {effect}");
            }
        }
    }
    out
}

/// Two datagrams to port 9 of so many bytes of IP.
fn datagrams(netns: u32, lens: [u32; 2]) -> [Kept; 2] {
    lens.map(|len| sample(event(netns, UDP, 9, len), None))
}

/// The same group in a namespace that nothing leads to has no commands.
fn has_no_commands(kind: &'static Kind, target: Target, samples: Vec<Kept>, context: &Context) {
    for (group, suspect) in suspects(group(kind, target, samples), context) {
        let story = suspect.tell(&group, context);
        let all: Vec<&Fix> = story.fixes.iter().chain(&story.look).collect();
        assert!(all.is_empty(), "{kind}: {all:?}");
    }
}

#[test]
fn no_command_is_offered_where_nothing_leads_to_the_namespace() {
    let source = "10.0.0.1".parse().expect("an address");
    let destination = "10.0.0.2".parse().expect("an address");
    let port = Target::Port(UDP, destination, 9);
    let path = Target::Path(source, destination);
    for (kind, target) in [
        (&kinds::MTU_VETH_PEER, Target::None),
        (&kinds::MTU_BRIDGE_PORT, Target::None),
        (&kinds::MTU_FORWARD, Target::Number(3)),
        (&kinds::MTU_OUTPUT, Target::None),
        (&kinds::MTU_REASSEMBLY, Target::None),
        (&kinds::QUEUE_QDISC_LIMIT, Target::None),
        (&kinds::QUEUE_TUN_RING, Target::None),
        (&kinds::SOCKET_CLOSED_PORT, port.clone()),
        (&kinds::SOCKET_BACKLOG, port),
        (&kinds::ROUTING_NO_ROUTE, path.clone()),
        (&kinds::ROUTING_TTL, path.clone()),
        (&kinds::ROUTING_MARTIAN, path.clone()),
        (&kinds::ROUTING_RP_FILTER, path),
        (&kinds::NEIGHBOUR_UNREACHABLE, Target::Destination(destination)),
        (&kinds::NEIGHBOUR_QUEUE_FULL, Target::Destination(destination)),
        (&kinds::NETFILTER_DROP, Target::Hook("INPUT".to_owned())),
        (&kinds::DEVICE_DOWN, Target::None),
        (&kinds::DEVICE_FOREIGN_VLAN, Target::Number(7)),
        (&kinds::DEVICE_BRIDGE_NO_PORT, Target::None),
        (&kinds::TCP_STATE, Target::None),
    ] {
        has_no_commands(kind, target, datagrams(GONE, [60, 70]).to_vec(), &context());
    }
}

#[test]
fn the_sender_of_what_makes_no_sense_is_the_culprit() {
    insta::assert_snapshot!(reported(
        group(&kinds::CHECKSUM_UDP, Target::None, datagrams(WEB, [60, 70])),
        &context()
    ));
}

#[test]
fn memory_is_limited_by_the_sysctl_of_the_protocol() {
    let of = |l4: u8| {
        let reported = group(&kinds::MEMORY_PROTOCOL, Target::None, [sample(event(WEB, l4, 9, 60), None)]);
        suspects(reported, &context()).remove(0).1.culprit.expect("a culprit").name
    };
    assert_eq!((of(TCP).as_str(), of(UDP).as_str()), ("net.ipv4.tcp_mem", "net.ipv4.udp_mem"));
}

#[test]
fn what_nobody_knows_is_said_to_be_unknown() {
    let [one, _] = datagrams(WEB, [60, 70]);
    let reported = reported(group(&kinds::UNKNOWN_UNKNOWN, Target::None, [one]), &context());
    assert!(reported.contains("The facts do not decide. The kernel says so."), "{reported}");
}

#[test]
fn an_xdp_program_is_known_by_the_device_that_it_is_on() {
    let of = |xdp: Xdp| {
        let mut context = context();
        context.after = machine([state(WEB, [crate::machine::Link { xdp, ..link(2, "eth0", 1500) }])]);
        reported(group(&kinds::BPF_XDP, Target::None, datagrams(WEB, [60, 70])), &context)
    };
    // No program has this number.
    let id = Some(u32::MAX);
    insta::assert_snapshot!(of(Xdp { generic: id, ..Xdp::default() }));
    assert!(of(Xdp { native: id, ..Xdp::default() }).contains("link set dev eth0 xdpdrv off"));
    let none = of(Xdp::default());
    assert!(none.contains("culprit: device | veth0") && !none.contains("fix "), "{none}");
}

#[test]
fn a_vni_that_no_device_has_is_reported_with_those_that_there_are() {
    let mut packet = vec![0x45; 36];
    packet[32..35].copy_from_slice(&[0, 0, 77]);
    let one = Kept { packet: packet.into(), ..sample(event(WEB, UDP, 4789, 100), None) };
    let mut context = context();
    let vxlan = crate::machine::Link { vni: Some(42), ..link(3, "vxlan42", 1450) };
    context.after = machine([state(WEB, [link(2, "eth0", 1500), vxlan])]);
    insta::assert_snapshot!(reported(group(&kinds::TUNNEL_UNKNOWN_VNI, Target::None, [one]), &context));
}

#[test]
fn an_ipsec_policy_that_cannot_be_read_is_still_the_culprit() {
    let reported = reported(group(&kinds::XFRM_POLICY, Target::None, datagrams(WEB, [60, 70])), &context());
    assert!(reported.contains("culprit: policy | IPsec policy | ip xfrm policy"), "{reported}");
}

#[test]
fn the_same_culprit_of_one_kind_in_one_namespace_is_one_suspect() {
    let destination = "10.0.0.2".parse().expect("an address");
    let of = |netns: u32, port: u16, kind: &'static Kind| {
        let target = Target::Port(UDP, destination, port);
        suspects(group(kind, target, datagrams(netns, [60, 70])), &context()).remove(0).1
    };
    let one = of(WEB, 9, &kinds::SOCKET_CLOSED_PORT);
    assert!(one.is(&of(WEB, 9, &kinds::SOCKET_CLOSED_PORT)));
    assert!(!one.is(&of(WEB, 10, &kinds::SOCKET_CLOSED_PORT)));
    assert!(!one.is(&of(EDGE, 9, &kinds::SOCKET_CLOSED_PORT)));
    assert!(!one.is(&of(WEB, 9, &kinds::SOCKET_RCVBUF)));
}

/// As `testing::facts`, of a packet that is no aggregate.
fn facts() -> lossdrop_common::Facts {
    let mut facts = testing::facts();
    facts.packet.gso_size = 0;
    facts
}

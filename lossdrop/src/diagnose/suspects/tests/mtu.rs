use lossdrop_common::{DropKey, Event, L3};

use super::*;
use crate::machine::{Link, Peer};

/// Two of so many bytes, with facts of a veth pair whose other end has MTU 100.
fn with_facts(netns: u32, l4: u8, lens: [u32; 2]) -> [Kept; 2] {
    lens.map(|len| sample(event(netns, l4, 80, len), Some(facts())))
}

#[test]
fn a_veth_s_smaller_end_is_the_culprit_and_both_ends_can_be_changed() {
    let group = group(&kinds::MTU_VETH_PEER, Target::None, with_facts(EDGE, TCP, [131, 140]));
    insta::assert_snapshot!(reported(group, &context()));
}

#[test]
fn without_facts_the_other_end_is_found_among_the_devices() {
    let near = Link { peer: Some(Peer { index: 9, netns: Some(WEB) }), ..link(2, "veth0", 1500) };
    let mut context = context();
    context.after = machine([state(EDGE, [near]), state(WEB, [link(9, "eth0", 1400)])]);
    let group = group(&kinds::MTU_VETH_PEER, Target::None, datagrams(EDGE, [1405, 1500]));
    let reported = reported(group, &context);
    assert!(reported.contains(r#"culprit: device | eth0 | MTU 1400 | {"netns":"web"}"#), "{reported}");
    assert!(
        reported.contains(r#""largest_ip": 1404, "len_max": 1500, "len_min": 1405, "limit": 1418"#),
        "{reported}"
    );
    assert!(!reported.contains("A SYN"), "no TCP was dropped: {reported}");
}

#[test]
fn a_bridge_port_is_to_get_what_the_other_ports_have() {
    let port = |index: u32, name: &str, mtu: u32| Link { master: Some(5), ..link(index, name, mtu) };
    let mut context = context();
    context.after = machine([state(WEB, [port(2, "veth0", 1500), port(3, "veth1", 9000)])]);
    let group = group(&kinds::MTU_BRIDGE_PORT, Target::None, with_facts(WEB, UDP, [1505, 2000]));
    insta::assert_snapshot!(reported(group, &context));
}

#[test]
fn a_bridge_that_filters_with_iptables_measures_ip() {
    let group = group(&kinds::MTU_BRIDGE_NETFILTER, Target::None, with_facts(WEB, UDP, [1501, 1600]));
    insta::assert_snapshot!(reported(group, &context()));
}

#[test]
fn a_router_is_limited_by_the_route_or_by_its_device() {
    let by_route = group(&kinds::MTU_FORWARD, Target::None, with_facts(WEB, UDP, [1401, 1500]));
    insta::assert_snapshot!(reported(by_route, &context()));
    let mut facts = facts();
    facts.route.route_mtu = 0;
    let one = sample(event(WEB, UDP, 9, 1600), Some(facts));
    let by_device = reported(group(&kinds::MTU_FORWARD, Target::None, [one]), &context());
    assert!(by_device.contains("fix ip -n web link set veth0 mtu 1600"), "{by_device}");
}

#[test]
fn ipv6_is_reported_in_its_own_words() {
    let event = event(WEB, UDP, 9, 1600);
    let event = Event { key: DropKey { l3: L3::Ipv6 as u8, ..event.key }, ..event };
    let reported = reported(group(&kinds::MTU_FORWARD, Target::None, [sample(event, None)]), &context());
    for words in ["routers do not fragment IPv6", "ICMPv6 \"packet too big\"", "ip6tables -w -t mangle"] {
        assert!(reported.contains(words), "{words}: {reported}");
    }
}

#[test]
fn what_a_tunnel_sends_is_helped_by_a_smaller_tunnel() {
    let tunnel = Link { kind: Some("vxlan".to_owned()), ..link(3, "vxlan42", 1500) };
    let mut context = context();
    context.after = machine([state(WEB, [link(2, "veth0", 1500), tunnel])]);
    let group = group(&kinds::MTU_TUNNEL, Target::None, datagrams(WEB, [1550, 1550]));
    insta::assert_snapshot!(reported(group, &context));
}

#[test]
fn fragments_are_reported_with_their_sender() {
    let late = reported(group(&kinds::MTU_REASSEMBLY, Target::None, datagrams(WEB, [1500, 200])), &context());
    insta::assert_snapshot!(late);
    let odd = reported(group(&kinds::MTU_FRAGMENT, Target::None, datagrams(WEB, [1500, 200])), &context());
    assert!(odd.contains("A fragment is invalid, overlaps others"), "{odd}");
}

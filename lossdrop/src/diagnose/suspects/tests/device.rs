use super::*;
use crate::machine::{BridgePort, Link, Peer};

fn down(link: Link) -> Link {
    Link { flags: 0, carrier: false, ..link }
}

fn reported_of(kind: &'static Kind, links: impl IntoIterator<Item = Link>) -> String {
    let mut context = context();
    context.after = machine([state(WEB, links)]);
    reported(group(kind, Target::None, datagrams(WEB, [60, 70])), &context)
}

#[test]
fn a_device_that_is_down_is_to_be_set_up() {
    insta::assert_snapshot!(reported_of(&kinds::QUEUE_DEVICE_DOWN, [down(link(2, "veth0", 1500))]));
}

#[test]
fn the_other_end_of_a_veth_that_is_down_is_the_culprit() {
    let mut facts = facts();
    facts.peer.flags = 0;
    let one = sample(event(EDGE, UDP, 9, 60), Some(facts));
    let reported = reported(group(&kinds::DEVICE_DOWN, Target::None, [one]), &context());
    assert!(
        reported.contains(r#"netns 42"#) && reported.contains(r#"device | eth0 |  | {"netns":"web"}"#),
        "{reported}"
    );
    assert!(reported.contains("fix ip -n web link set eth0 up"), "{reported}");
}

#[test]
fn a_device_without_a_carrier_is_reported_why() {
    let of = |kind: &str| Link { kind: Some(kind.to_owned()), carrier: false, ..link(2, "veth0", 1500) };
    insta::assert_snapshot!(reported_of(&kinds::QUEUE_DEVICE_DOWN, [of("bridge")]));
    let port = Link { master: Some(2), ..link(3, "eth1", 1500) };
    for (links, why) in [
        (vec![of("bridge"), port], "None of the bridge's ports has a carrier."),
        (vec![of("tun")], "No program holds the tun/tap device open."),
        (vec![of("veth")], "The other end of the veth is down."),
        (vec![of("macvlan")], "The cable is out"),
    ] {
        let reported = reported_of(&kinds::QUEUE_DEVICE_DOWN, links);
        assert!(reported.contains(why), "{reported}");
    }
    let peer = Some(Peer { index: 3, netns: Some(WEB) });
    let reported =
        reported_of(&kinds::QUEUE_DEVICE_DOWN, [Link { peer, ..of("veth") }, down(link(3, "far", 1500))]);
    assert!(reported.contains("fix ip -n web link set far up"), "{reported}");
}

#[test]
fn a_vlan_without_a_device_can_get_one() {
    let group = group(&kinds::DEVICE_FOREIGN_VLAN, Target::Number(7), datagrams(WEB, [60, 70]));
    insta::assert_snapshot!(reported(group, &context()));
}

fn port(state: &'static str, isolated: bool) -> [Link; 2] {
    let port = BridgePort {
        state,
        isolated,
        locked: false,
        learning: true,
        flood: true,
        multicast_flood: true,
        neighbour_suppression: false,
    };
    let port = Link { master: Some(5), bridge_port: Some(port), ..link(2, "veth0", 1500) };
    [port, link(5, "br0", 1500)]
}

#[test]
fn a_bridge_port_that_does_not_forward_is_reported_with_its_state() {
    insta::assert_snapshot!(reported_of(&kinds::DEVICE_BRIDGE_STP, port("blocking", false)));
}

#[test]
fn isolated_ports_do_not_talk_to_each_other() {
    let reported = reported_of(&kinds::DEVICE_BRIDGE_REFUSED, port("forwarding", true));
    assert!(reported.contains("fix ip netns exec web bridge link set dev veth0 isolated off"), "{reported}");
    assert!(reported.starts_with("2 × device/bridge-refused fault certain"), "{reported}");
}

#[test]
fn a_bridge_without_a_port_to_send_to_has_no_fix() {
    let reported = reported_of(&kinds::DEVICE_BRIDGE_NO_PORT, port("forwarding", false));
    assert!(
        reported.contains("has no port to send the frame to") && !reported.contains("fix "),
        "{reported}"
    );
    assert!(reported.starts_with("2 × device/bridge-no-port fault likely"), "{reported}");
}

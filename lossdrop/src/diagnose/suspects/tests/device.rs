use super::*;
use crate::machine::{BridgePort, Link, Peer};

fn down(link: Link) -> Link {
    Link { flags: 0, carrier: false, ..link }
}

fn told_of(kind: &'static Kind, links: impl IntoIterator<Item = Link>) -> String {
    let mut context = context();
    context.after = machine([state(WEB, links)]);
    told(group(kind, Target::None, datagrams(WEB, [60, 70])), &context)
}

#[test]
fn a_device_that_is_down_is_to_be_set_up() {
    insta::assert_snapshot!(told_of(&kinds::QUEUE_DEVICE_DOWN, [down(link(2, "veth0", 1500))]));
}

#[test]
fn the_other_end_of_a_veth_that_is_down_is_the_culprit() {
    let mut facts = facts();
    facts.peer.flags = 0;
    let one = sample(event(EDGE, UDP, 9, 60), Some(facts));
    let told = told(group(&kinds::DEVICE_DOWN, Target::None, [one]), &context());
    assert!(told.contains(r#"netns 42"#) && told.contains(r#"device | eth0 |  | {"netns":"web"}"#), "{told}");
    assert!(told.contains("fix ip -n web link set eth0 up"), "{told}");
}

#[test]
fn a_device_without_a_carrier_is_told_why() {
    let of = |kind: &str| Link { kind: Some(kind.to_owned()), carrier: false, ..link(2, "veth0", 1500) };
    insta::assert_snapshot!(told_of(&kinds::QUEUE_DEVICE_DOWN, [of("bridge")]));
    let port = Link { master: Some(2), ..link(3, "eth1", 1500) };
    for (links, why) in [
        (vec![of("bridge"), port], "None of the bridge's ports has a carrier."),
        (vec![of("tun")], "No program holds the tun/tap device open."),
        (vec![of("veth")], "The other end of the veth is down."),
        (vec![of("macvlan")], "The cable is out"),
    ] {
        let told = told_of(&kinds::QUEUE_DEVICE_DOWN, links);
        assert!(told.contains(why), "{told}");
    }
    let peer = Some(Peer { index: 3, netns: Some(WEB) });
    let told = told_of(&kinds::QUEUE_DEVICE_DOWN, [Link { peer, ..of("veth") }, down(link(3, "far", 1500))]);
    assert!(told.contains("fix ip -n web link set far up"), "{told}");
}

#[test]
fn a_vlan_without_a_device_can_get_one() {
    let group = group(&kinds::DEVICE_FOREIGN_VLAN, Target::Number(7), datagrams(WEB, [60, 70]));
    insta::assert_snapshot!(told(group, &context()));
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
fn a_bridge_port_that_does_not_forward_is_told_with_its_state() {
    insta::assert_snapshot!(told_of(&kinds::DEVICE_BRIDGE_STP, port("blocking", false)));
}

#[test]
fn isolated_ports_do_not_talk_to_each_other() {
    let told = told_of(&kinds::DEVICE_BRIDGE_REFUSED, port("forwarding", true));
    assert!(told.contains("fix ip netns exec web bridge link set dev veth0 isolated off"), "{told}");
    assert!(told.starts_with("2 × device/bridge-refused fault certain"), "{told}");
}

#[test]
fn a_bridge_without_a_port_to_send_to_has_no_fix() {
    let told = told_of(&kinds::DEVICE_BRIDGE_NO_PORT, port("forwarding", false));
    assert!(told.contains("has no port to send the frame to") && !told.contains("fix "), "{told}");
    assert!(told.starts_with("2 × device/bridge-no-port fault likely"), "{told}");
}

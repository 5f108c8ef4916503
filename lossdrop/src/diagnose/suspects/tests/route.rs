//! Routes and neighbours, on a machine that cannot be asked any more.

use std::net::IpAddr;

use super::*;
use crate::machine::{Address, NetState};

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn path(kind: &'static Kind, source: &str) -> Group {
    let target = Target::Path(address(source), address("10.0.0.2"));
    group(kind, target, datagrams(WEB, [60, 70]))
}

#[test]
fn a_route_that_cannot_be_asked_for_is_what_the_drop_said() {
    let none = reported(path(&kinds::ROUTING_NO_ROUTE, "10.0.0.1"), &context());
    assert!(none.contains("culprit: route | no route to 10.0.0.2"), "{none}");
    for kind in [&kinds::ROUTING_BLACKHOLE, &kinds::ROUTING_PROHIBIT, &kinds::ROUTING_REFUSED] {
        let reported = reported(path(kind, "10.0.0.1"), &context());
        assert!(reported.starts_with(&format!("2 × {kind}")), "{reported}");
        assert!(!reported.contains("no route"), "{reported}");
    }
}

#[test]
fn no_route_is_reported() {
    insta::assert_snapshot!(reported(path(&kinds::ROUTING_NO_ROUTE, "10.0.0.1"), &context()));
}

#[test]
fn a_ttl_that_runs_out_is_its_sender_s() {
    insta::assert_snapshot!(reported(path(&kinds::ROUTING_TTL, "10.0.0.1"), &context()));
}

#[test]
fn rp_filter_is_reported_with_its_values_and_two_ways_out() {
    insta::assert_snapshot!(reported(path(&kinds::ROUTING_RP_FILTER, "10.0.0.1"), &context()));
}

#[test]
fn a_martian_is_one_of_ours_or_of_a_loopback_or_none_at_all() {
    let mut context = context();
    let own = Address { index: 2, address: address("10.0.0.1"), prefix: 24 };
    context.after = machine([NetState { addresses: vec![own], ..state(WEB, []) }]);
    let of = |source: &str| reported(path(&kinds::ROUTING_MARTIAN, source), &context);
    let ours = of("10.0.0.1");
    assert!(ours.contains("10.0.0.1 is an address of this host itself") && !ours.contains("fix "), "{ours}");
    let loopback = of("127.0.0.1");
    let fix = "fix ip netns exec web sysctl -w net.ipv4.conf.veth0.route_localnet=1";
    assert!(loopback.contains(fix), "{loopback}");
    let zero = of("0.0.0.0");
    assert!(zero.contains("zero, broadcast or multicast") && !zero.contains("fix "), "{zero}");
}

fn neighbour(kind: &'static Kind) -> String {
    let target = Target::Destination(address("10.0.0.2"));
    reported(group(kind, target, datagrams(WEB, [60, 70])), &context())
}

#[test]
fn a_neighbour_that_does_not_answer_is_reported() {
    insta::assert_snapshot!(neighbour(&kinds::NEIGHBOUR_UNREACHABLE));
}

#[test]
fn a_queue_for_an_unknown_neighbour_can_be_made_longer() {
    insta::assert_snapshot!(neighbour(&kinds::NEIGHBOUR_QUEUE_FULL));
}

#[test]
fn a_full_table_of_neighbours_is_the_host_s() {
    let mut context = context();
    context.after.sysctls.insert("net.ipv4.neigh.default.gc_thresh3".to_owned(), "2048".to_owned());
    let target = Target::Destination(address("10.0.0.2"));
    let reported = reported(group(&kinds::NEIGHBOUR_TABLE_FULL, target, datagrams(WEB, [60, 70])), &context);
    assert!(reported.contains("fix sysctl -w net.ipv4.neigh.default.gc_thresh3=8192"), "{reported}");
    assert!(reported.contains(r#"{"gc_thresh3": 2048}"#), "{reported}");
}

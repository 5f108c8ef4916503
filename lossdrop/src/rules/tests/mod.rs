//! Packets and rules of tests, and the way from a listing to who is to blame.

mod blamed;
mod real;

use super::*;
use crate::knowledge::{Family, Hook};

/// A TCP packet with a SYN from 192.0.2.1 port 40000 to 192.0.2.2, of which everything is known.
pub(super) fn syn(port: u16) -> Packet {
    Packet {
        ether_type: Some(0x0800),
        source: Some("192.0.2.1".parse().expect("an address")),
        destination: Some("192.0.2.2".parse().expect("an address")),
        protocol: Some(6),
        source_port: Some(40_000),
        destination_port: Some(port),
        tcp_flags: Some(2),
        length: Some(60),
        ttl: Some(64),
        tos: Some(0),
        fragment: Some(0),
        input_device: Some("eth0".to_owned()),
        output_device: Some(String::new()),
        mark: Some(0),
        connection: Some(ConnectionState::New),
        reply: Some(false),
        ether_source: Some([2, 0, 0, 0, 0, 1]),
        ether_destination: Some([2, 0, 0, 0, 0, 2]),
        packet_type: Some(0),
        ..Packet::default()
    }
}

/// The same as UDP.
pub(super) fn udp(port: u16) -> Packet {
    Packet { protocol: Some(17), tcp_flags: None, ..syn(port) }
}

/// An ICMP packet.
pub(super) fn icmp(kind: u8, code: u8) -> Packet {
    Packet {
        protocol: Some(1),
        source_port: None,
        destination_port: None,
        tcp_flags: None,
        icmp_type: Some(kind),
        icmp_code: Some(code),
        ..syn(0)
    }
}

/// Rules as `nft -j` would list them in a chain at the input hook of `inet lab`.
fn ruleset(policy: &str, rules: &str) -> Ruleset {
    let json = format!(
        r#"{{"nftables": [
        {{"table": {{"family": "inet", "name": "lab"}}}},
        {{"chain": {{"family": "inet", "table": "lab", "name": "input", "type": "filter", "hook": "input", "prio": 0, "policy": "{policy}"}}}},
        {{"chain": {{"family": "inet", "table": "lab", "name": "sub"}}}},
        {{"chain": {{"family": "inet", "table": "lab", "name": "sub2"}}}}
        {rules}]}}"#
    );
    nft::parse(&json, &nft::Listing::default()).expect("it is JSON")
}

/// A rule in the form of `nft -j`, behind a comma.
fn rule(chain: &str, handle: u64, statements: &str) -> String {
    format!(
        r#",{{"rule": {{"family": "inet", "table": "lab", "chain": "{chain}", "handle": {handle}, "expr": [{statements}]}}}}"#
    )
}

fn port(port: u16) -> String {
    format!(
        r#"{{"match": {{"op": "==", "left": {{"payload": {{"protocol": "tcp", "field": "dport"}}}}, "right": {port}}}}}"#
    )
}

const DROP: &str = r#"{"drop": null}"#;
const ACCEPT: &str = r#"{"accept": null}"#;
const UNKNOWN: &str = r#"{"match": {"op": "==", "left": {"meta": {"key": "skuid"}}, "right": 0}}"#;

const INPUT: Place = Place { family: Family::Ip, hook: Hook::Input, nft: None, queued: false };

/// Name and sureness of the candidates for a packet.
fn found(ruleset: &Ruleset, packet: &Packet) -> Vec<(String, bool)> {
    let candidates = Comparison::new(ruleset, ruleset).candidates(&INPUT, packet);
    candidates.iter().map(|candidate| (candidate.name(), candidate.sure)).collect()
}

fn sure(name: &str) -> (String, bool) {
    (name.to_owned(), true)
}

fn maybe(name: &str) -> (String, bool) {
    (name.to_owned(), false)
}

#[test]
fn the_first_rule_that_surely_matches_is_the_only_candidate() {
    let rules = [
        rule("input", 1, &format!("{},{DROP}", port(22))),
        rule("input", 2, &format!("{},{DROP}", port(80))),
    ];
    let ruleset = ruleset("drop", &rules.concat());
    assert_eq!(found(&ruleset, &syn(80)), [sure("nft inet lab input handle 2")]);
    assert_eq!(found(&ruleset, &syn(443)), [sure("nft inet lab input policy drop")]);
}

#[test]
fn what_is_accepted_for_sure_has_no_candidates_and_maybe_makes_the_rest_unsure() {
    let accepted = ruleset("drop", &rule("input", 1, &format!("{},{ACCEPT}", port(80))));
    assert_eq!(found(&accepted, &syn(80)), []);
    let unsure = ruleset("drop", &rule("input", 1, &format!("{UNKNOWN},{ACCEPT}")));
    assert_eq!(found(&unsure, &syn(80)), [maybe("nft inet lab input policy drop")]);
}

#[test]
fn a_rule_that_may_drop_leaves_the_next_one_sure() {
    let rules = [rule("input", 1, &format!("{UNKNOWN},{DROP}")), rule("input", 2, DROP)];
    let ruleset = ruleset("accept", &rules.concat());
    let expected = [maybe("nft inet lab input handle 1"), sure("nft inet lab input handle 2")];
    assert_eq!(found(&ruleset, &syn(80)), expected);
}

#[test]
fn a_jump_comes_back_and_a_goto_does_not() {
    let jump = r#"{"jump": {"target": "sub"}}"#;
    let goto = r#"{"goto": {"target": "sub"}}"#;
    let of_sub = rule("sub", 9, &format!("{},{DROP}", port(22)));
    let behind = rule("input", 2, &format!("{},{DROP}", port(80)));
    let jumping = ruleset("accept", &[rule("input", 1, jump), behind.clone(), of_sub.clone()].concat());
    assert_eq!(found(&jumping, &syn(22)), [sure("nft inet lab sub handle 9")]);
    assert_eq!(found(&jumping, &syn(80)), [sure("nft inet lab input handle 2")]);
    let going = ruleset("drop", &[rule("input", 1, goto), behind, of_sub].concat());
    assert_eq!(found(&going, &syn(80)), [sure("nft inet lab input policy drop")]);
}

#[test]
fn a_candidate_names_the_chains_that_were_jumped_through() {
    let rules = [
        rule("input", 1, r#"{"jump": {"target": "sub"}}"#),
        rule("sub", 2, r#"{"jump": {"target": "sub2"}}"#),
        rule("sub2", 3, DROP),
    ];
    let ruleset = ruleset("accept", &rules.concat());
    let candidates = Comparison::new(&ruleset, &ruleset).candidates(&INPUT, &syn(1));
    assert_eq!(candidates[0].path, ["input", "sub"]);
}

#[test]
fn a_return_ends_the_chain_and_chains_that_jump_in_circles_end() {
    let rules = [
        rule("input", 1, r#"{"jump": {"target": "sub"}}"#),
        rule("sub", 2, r#"{"return": null}"#),
        rule("sub", 3, DROP),
    ];
    assert_eq!(found(&ruleset("accept", &rules.concat()), &syn(1)), []);
    let circle = [
        rule("input", 1, r#"{"jump": {"target": "sub"}}"#),
        rule("sub", 2, r#"{"jump": {"target": "sub"}}"#),
    ];
    assert_eq!(found(&ruleset("drop", &circle.concat()), &syn(1)), [maybe("nft inet lab input policy drop")]);
}

#[test]
fn only_the_tables_of_the_hook_and_of_what_the_stack_shows_are_asked() {
    let mut both = ruleset("accept", &rule("input", 1, DROP));
    let saved = save::parse("*filter\n:INPUT DROP [0:0]\nCOMMIT\n");
    both.tables.push(save::legacy(&saved[0], Family::Ip, "iptables-legacy"));
    let names = |nft, hook| {
        let place = Place { nft, hook, ..INPUT };
        let candidates = Comparison::new(&both, &both).candidates(&place, &syn(1));
        candidates.iter().map(Candidate::name).collect::<Vec<_>>()
    };
    assert_eq!(names(Some(true), Hook::Input), ["nft inet lab input handle 1"]);
    assert_eq!(names(Some(false), Hook::Input), ["iptables-legacy filter INPUT policy DROP"]);
    assert!(names(None, Hook::Forward).is_empty());
}

#[test]
fn queues_are_candidates_only_for_what_was_queued() {
    let ruleset = ruleset("drop", &rule("input", 1, r#"{"queue": {"num": 3}}"#));
    assert_eq!(found(&ruleset, &syn(1)), []);
    let place = Place { queued: true, ..INPUT };
    let queued = Comparison::new(&ruleset, &ruleset).candidates(&place, &syn(1));
    assert_eq!(queued[0].name(), "nft inet lab input handle 1");
}

#[test]
fn a_rule_that_came_meanwhile_is_a_candidate_but_not_sure() {
    let before = ruleset("accept", &rule("input", 1, &format!("{},{DROP}", port(22))));
    let after = ruleset("accept", &rule("input", 2, DROP));
    let candidates = Comparison::new(&before, &after).candidates(&INPUT, &syn(22));
    let names: Vec<_> = candidates.iter().map(|candidate| (candidate.name(), candidate.sure)).collect();
    assert_eq!(names, [maybe("nft inet lab input handle 1"), maybe("nft inet lab input handle 2")]);
}

#[test]
fn a_counter_of_a_chain_that_was_not_read_before_proves_nothing() {
    let counted = ruleset("accept", &rule("input", 1, &format!(r#"{{"counter": {{"packets": 7}}}},{DROP}"#)));
    let delta = |before: &Ruleset| Comparison::new(before, &counted).candidates(&INPUT, &syn(1))[0].delta;
    assert_eq!(delta(&Ruleset::default()), None);
    assert_eq!(delta(&ruleset("accept", "")), Some(7));
    assert_eq!(delta(&counted), Some(0));
}

#[test]
fn a_mark_that_rules_set_is_not_known() {
    let marked = r#"{"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 5}},{"drop": null}"#;
    let set = r#"{"mangle": {"key": {"meta": {"key": "mark"}}, "value": 5}}"#;
    assert_eq!(found(&ruleset("accept", &rule("input", 1, marked)), &syn(1)), []);
    let setting = [rule("input", 1, marked), rule("sub", 2, set)].concat();
    assert_eq!(found(&ruleset("accept", &setting), &syn(1)), [maybe("nft inet lab input handle 1")]);
}

#[test]
fn a_large_ruleset_is_walked_within_a_millisecond_or_so() {
    let mut rules: Vec<String> =
        (0..2000).map(|index| rule("input", index, &format!("{},{DROP}", port(30_000)))).collect();
    let elements: Vec<String> =
        (0..10_000).map(|index| format!("\"10.{}.{}.1\"", index / 250, index % 250)).collect();
    rules.push(format!(
        r#",{{"set": {{"family": "inet", "table": "lab", "name": "big", "type": "ipv4_addr", "elem": [{}]}}}}"#,
        elements.join(",")
    ));
    let in_set = r#"{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@big"}},{"drop": null}"#;
    rules.push(rule("input", 3000, in_set));
    let ruleset = ruleset("accept", &rules.concat());
    let comparison = Comparison::new(&ruleset, &ruleset);
    let packet = Packet { source: Some("10.39.249.1".parse().expect("an address")), ..syn(80) };
    let start = std::time::Instant::now();
    for _ in 0..100 {
        assert_eq!(comparison.candidates(&INPUT, &packet).len(), 1);
    }
    // A generous limit, since tests run beside others and without optimisation.
    assert!(start.elapsed().as_millis() < 2000, "{:?}", start.elapsed());
}

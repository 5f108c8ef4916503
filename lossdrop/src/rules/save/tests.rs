//! Captured listings of iptables 1.8.9.

use super::*;
use crate::{
    knowledge::Hook,
    rules::{
        ConnectionState, Packet, evaluate,
        tests::{icmp, syn, udp},
        values::Truth::{self, Maybe, No, Yes},
    },
};

const LEGACY: &str = include_str!("../../../tests-data/rules/iptables-legacy-save.txt");
const NFT: &str = include_str!("../../../tests-data/rules/iptables-nft-save.txt");
const NFT6: &str = include_str!("../../../tests-data/rules/ip6tables-nft-save.txt");

fn judge(line: &str, family: Family, packet: &Packet) -> Truth {
    let saved = Saved {
        name: "filter".to_owned(),
        chains: vec![("INPUT".to_owned(), "ACCEPT".to_owned(), None)],
        rules: HashMap::from([("INPUT".to_owned(), vec![(line.to_owned(), None)])]),
    };
    let table = legacy(&saved, family, "iptables");
    evaluate::rule(&table.chains[0].rules[0], &table, packet, false)
}

fn check(cases: &[(&str, Packet, Truth)]) {
    for (condition, packet, expected) in cases {
        let line = format!("-A INPUT {condition} -j DROP");
        assert_eq!(judge(&line, Family::Ip, packet), *expected, "{line}: {packet:?}");
    }
}

#[test]
fn addresses_devices_and_protocols_are_compared() {
    let other = Packet { input_device: Some("wlan0".to_owned()), ..syn(80) };
    check(&[
        ("-s 192.0.2.0/24", syn(80), Yes),
        ("! -s 192.0.2.1/32", syn(80), No),
        ("-d 10.0.0.5/32 ! -p tcp", udp(1), No),
        ("-s 192.0.2.0/255.0.255.0 -p udp -m udp ! --sport 4:9", udp(1), Yes),
        ("-i eth+", syn(80), Yes),
        ("-i eth+", other.clone(), No),
        ("! -i eth0", other, Yes),
        ("-p icmp -m icmp --icmp-type 8", icmp(8, 0), Yes),
        ("-p icmp -m icmp --icmp-type 3/4", icmp(3, 4), Yes),
        ("-p icmp -m icmp --icmp-type 3/4", icmp(3, 1), No),
        ("-p icmp -m icmp --icmp-type any", icmp(3, 1), Yes),
        ("-p gre", syn(80), No),
        ("-m iprange --src-range 192.0.2.0-192.0.2.1", syn(80), Yes),
        ("-m mac --mac-source 02:00:00:00:00:01", syn(80), Yes),
        ("-m mac ! --mac-source 02:00:00:00:00:01", syn(80), No),
        ("-m pkttype --pkt-type broadcast", syn(80), No),
    ]);
}

#[test]
fn ports_flags_states_and_sizes_are_compared() {
    let invalid = Packet { connection: Some(ConnectionState::Invalid), ..syn(80) };
    let fragment = Packet { fragment: Some(3), ..syn(80) };
    check(&[
        ("-p tcp -m tcp --dport 80", syn(80), Yes),
        ("-p tcp -m tcp --dport 81:", syn(80), No),
        ("-p tcp -m tcp --dport 80", fragment.clone(), No),
        ("-f", fragment, Yes),
        ("-p udp -m multiport --dports 1:5,9", udp(9), Yes),
        ("-p udp -m multiport ! --dports 1:5,9", udp(4), No),
        ("-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN", syn(80), Yes),
        ("-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN", syn(80), No),
        ("-m conntrack --ctstate RELATED,ESTABLISHED", syn(80), No),
        ("-m conntrack ! --ctstate RELATED,ESTABLISHED", syn(80), Yes),
        ("-m conntrack --ctstate INVALID", invalid, Yes),
        ("-m conntrack --ctstate DNAT", syn(80), Maybe),
        ("-m state --state NEW", Packet { connection: None, ..syn(80) }, Maybe),
        ("-m mark --mark 0x1/0xff", syn(80), No),
        ("-m length --length 0:60", syn(80), Yes),
        ("-m ttl --ttl-lt 64", syn(80), No),
        ("-m dscp --dscp 0x00", syn(80), Yes),
    ]);
}

#[test]
fn what_nobody_can_judge_may_match_and_comments_always_do() {
    check(&[
        ("-m comment --comment \"it\\'s -j ACCEPT\"", syn(80), Yes),
        ("-m addrtype --dst-type LOCAL", syn(80), Maybe),
        ("-m set --match-set bad src", syn(80), Maybe),
        ("-m owner --uid-owner 0", syn(80), Maybe),
        ("-m u32 --u32 \"0x0=0x1\"", syn(80), Maybe),
        ("-m socket", syn(80), Maybe),
        ("-p tcp -m tcp --tcp-option 5", syn(80), Maybe),
        ("-p udp -m addrtype --dst-type LOCAL", syn(80), No),
        ("--no-such-option x", syn(80), Maybe),
    ]);
}

#[test]
fn legacy_tables_have_hooks_priorities_policies_and_counters() {
    let text = LEGACY.replace("[0:0] -A LOGDROP -j DROP", "[38:100] -A LOGDROP -j DROP");
    let tables: Vec<Table> =
        parse(&text).iter().map(|saved| legacy(saved, Family::Ip, "iptables-legacy")).collect();
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["mangle", "raw", "filter"]);
    let filter = &tables[2];
    let input = filter.chain("INPUT").expect("captured");
    let base = input.base.as_ref().expect("a base chain");
    assert_eq!((base.hook, base.priority, base.drops), (Hook::Input, 0, true));
    assert_eq!((input.policy_packets, input.rules.len()), (Some(0), 5));
    let logdrop = filter.chain("LOGDROP").expect("captured");
    assert!(logdrop.base.is_none() && logdrop.policy_packets.is_none());
    assert_eq!(logdrop.rules[1].counter, Some(Counter { packets: 38, exact: true }));
    assert_eq!(logdrop.rules[0].verdict, Verdict::Continue);
    assert_eq!(input.rules[3].verdict, Verdict::Jump("LOGDROP".to_owned()));
    assert_eq!(input.rules[4].verdict, Verdict::Reject);
}

#[test]
fn rules_by_chance_and_on_invalid_connections_are_known_as_such() {
    let saved = parse(NFT);
    let rules =
        rules(saved.iter().find(|saved| saved.name == "filter").expect("captured"), "INPUT", Family::Ip);
    let with = |part: &str| rules.iter().find(|rule| rule.text.contains(part)).expect(part);
    assert!(with("--mode random").by_chance && with("hashlimit").by_chance && !with("u32").by_chance);
    assert!(with("--ctstate INVALID").ct_invalid && !with("--state NEW").ct_invalid);
}

#[test]
fn addresses_of_ipv6_are_compared() {
    let saved = parse(NFT6);
    let table = legacy(&saved[0], Family::Ip6, "ip6tables");
    let packet = Packet {
        ether_type: Some(0x86dd),
        source: Some("2001:db8::9".parse().expect("an address")),
        protocol: Some(58),
        ..icmp(2, 0)
    };
    let input = table.chain("INPUT").expect("captured");
    assert_eq!(evaluate::rule(&input.rules[0], &table, &packet, false), Yes);
    assert_eq!(evaluate::rule(&input.rules[1], &table, &packet, false), No);
}

proptest::proptest! {
    #[test]
    fn any_rule_is_read_and_judged_without_a_panic(line in "(-[a-z]|--[a-z]{1,8}|!|[0-9./:,]{1,9}|[ \"]){0,12}") {
        let rule = format!("-A INPUT {line}");
        judge(&rule, Family::Ip, &syn(80));
        judge(&rule, Family::Ip6, &Packet::default());
    }

    #[test]
    fn a_packet_is_found_by_the_rule_that_was_made_for_it(
        source: [u8; 4], length in 0_u8..=32, port: u16, spread in 0_u16..100, negated: bool,
    ) {
        let packet = Packet { source: Some(source.into()), ..udp(port) };
        let (first, last) = (port.saturating_sub(spread), port.saturating_add(spread));
        let [a, b, c, d] = source;
        let not = if negated { "! " } else { "" };
        let rule = format!("-A INPUT -s {a}.{b}.{c}.{d}/{length} -p udp -m udp {not}--dport {first}:{last} -j DROP");
        proptest::prop_assert_eq!(judge(&rule, Family::Ip, &packet), Truth::from(!negated));
    }
}

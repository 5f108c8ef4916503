//! Captured listings of nft 1.0.6.

use super::*;
use crate::{
    knowledge::Family,
    rules::{
        ConnectionState, Packet, evaluate,
        tests::{icmp, syn, udp},
        values::Truth::{self, Maybe, No, Yes},
    },
};

const JSON: &str = include_str!("../../../tests-data/rules/nft.json");
const TEXT: &str = include_str!("../../../tests-data/rules/nft.txt");

fn captured() -> Ruleset {
    parse(JSON, &listing(TEXT)).expect("captured from nft")
}

fn rule<'a>(table: &'a Table, text: &str) -> &'a Rule {
    let mut rules = table.chains.iter().flat_map(|chain| &chain.rules);
    rules.find(|rule| rule.text == text).unwrap_or_else(|| panic!("no rule {text}"))
}

fn from(source: &str) -> Packet {
    Packet { source: Some(source.parse().expect("an address")), ..syn(80) }
}

fn from6(source: &str) -> Packet {
    Packet { ether_type: Some(0x86dd), ttl: Some(1), protocol: Some(17), ..from(source) }
}

fn flags(flags: u8) -> Packet {
    Packet { tcp_flags: Some(flags), ..syn(80) }
}

fn state(state: ConnectionState) -> Packet {
    Packet { connection: Some(state), ..syn(80) }
}

fn check(cases: &[(&str, Packet, Truth)]) {
    let ruleset = captured();
    let lab = ruleset.table(Api::Nft, Family::Inet, "lab").expect("the table is captured");
    for (text, packet, expected) in cases {
        assert_eq!(evaluate::rule(rule(lab, text), lab, packet, false), *expected, "{text}: {packet:?}");
    }
}

#[test]
fn addresses_are_compared_alone_as_prefixes_ranges_masks_and_sets() {
    check(&[
        ("ip saddr @bad counter drop", from("10.1.200.3"), Yes),
        ("ip saddr @bad counter drop", from("10.2.0.10"), No),
        ("ip saddr @bad counter drop", from6("2001:db8::1"), No),
        ("ip saddr @tmo drop", from("1.1.1.1"), Yes),
        // It has elements that time out.
        ("ip saddr @tmo drop", from("1.1.1.2"), Maybe),
        ("ip saddr 10.0.0.1-10.0.0.9 drop", from("10.0.0.5"), Yes),
        ("ip saddr & 255.0.255.0 == 10.0.5.0 drop", from("10.77.5.3"), Yes),
        ("ip saddr & 255.0.255.0 == 10.0.5.0 drop", from("10.77.6.3"), No),
        ("ip saddr != { 10.0.0.1-10.0.0.3 } drop", from("10.0.0.2"), No),
        ("ip saddr != { 10.0.0.1-10.0.0.3 } drop", from("10.0.0.4"), Yes),
        ("ip saddr != { 10.0.0.1-10.0.0.3 } drop", from6("2001:db8::1"), No),
        ("ip saddr { 1.1.1.1 comment \"a\", 2.2.2.2 } drop", from("1.1.1.1"), Yes),
        ("ip6 saddr 2001:db8::/32 ip6 nexthdr udp ip6 hoplimit 1 drop", from6("2001:db8:9::1"), Yes),
        ("ip6 saddr 2001:db8::/32 ip6 nexthdr udp ip6 hoplimit 1 drop", from6("2001:db9::1"), No),
        ("ip daddr 224.0.0.0/4 drop", syn(1), No),
        ("ether saddr 00:11:22:33:44:55 meta pkttype broadcast drop", syn(1), No),
        ("ct original ip saddr 1.2.3.4 drop", syn(1), Maybe),
        ("fib daddr type local drop", syn(1), Maybe),
    ]);
}

#[test]
fn ports_and_protocols_are_compared() {
    check(&[
        ("ip saddr . tcp dport @cc drop", from("10.1.3.4"), Yes),
        ("ip saddr . tcp dport @cc drop", from("10.2.0.1"), No),
        ("meta l4proto { tcp, udp } th dport 53 drop", udp(53), Yes),
        ("meta l4proto { tcp, udp } th dport 53 drop", icmp(8, 0), No),
        ("tcp sport 1-1023 tcp dport != 22 drop", syn(80), No),
        ("tcp dport < 22 drop comment \"hi there\"", syn(21), Yes),
        ("tcp dport < 22 drop comment \"hi there\"", udp(21), No),
        ("tcp dport 65535 drop", syn(65_535), Yes),
        ("udp length > 100 udp checksum 0 drop", udp(1), Maybe),
        ("udp length > 100 udp checksum 0 drop", syn(1), Maybe),
        ("meta l4proto gre drop", Packet { protocol: Some(47), ..udp(0) }, Yes),
        ("ip protocol tcp drop", syn(1), Yes),
        ("meta nfproto ipv4 meta protocol ip drop", syn(1), Yes),
        ("meta protocol { ip, ip6 } accept", from6("::1"), Yes),
        ("ether type arp drop", syn(1), No),
        ("icmp type destination-unreachable icmp code frag-needed drop", icmp(3, 4), Yes),
        ("icmp type destination-unreachable icmp code frag-needed drop", icmp(3, 1), No),
        ("icmpv6 type { packet-too-big, nd-neighbor-solicit } drop", icmp(2, 0), No),
        ("icmp code port-unreachable drop", icmp(3, 3), Yes),
    ]);
}

#[test]
fn flags_and_states_are_compared_bit_by_bit() {
    const SYN: u8 = 2;
    const SYN_ACK: u8 = 0x12;
    check(&[
        ("tcp flags syn / syn,ack drop", flags(SYN), Yes),
        ("tcp flags syn / syn,ack drop", flags(SYN_ACK), No),
        ("tcp flags syn drop", flags(SYN_ACK), Yes),
        ("tcp flags { syn | ack, syn } drop", flags(SYN_ACK), Yes),
        ("tcp flags { syn | ack, syn } drop", flags(0x10), No),
        ("tcp flags != syn drop", flags(SYN), No),
        ("tcp flags ! syn drop", flags(0x10), Yes),
        ("tcp flags syn,rst drop", flags(4), Yes),
        ("tcp flags fin,syn / fin,syn drop", flags(3), Yes),
        ("tcp flags fin,syn / fin,syn drop", flags(SYN), No),
        ("ct state invalid,untracked drop", state(ConnectionState::Untracked), Yes),
        ("ct state invalid,untracked drop", state(ConnectionState::New), No),
        ("ct state != established drop", state(ConnectionState::Related), Yes),
        ("ct state established,related accept", state(ConnectionState::Related), Yes),
        ("ct state established,related accept", state(ConnectionState::New), No),
        ("ct state established,related accept", Packet { connection: None, ..syn(1) }, Maybe),
        ("ct direction reply drop", syn(1), No),
        ("meta mark 0x00000005 meta mark & 0x000000ff == 0x00000004 drop", syn(1), No),
        ("meta mark | 0x00000005 == 0x00000005 drop", syn(1), Yes),
        ("meta mark 0x00000000-0x00000005 drop", syn(1), Yes),
        ("ip frag-off & 8191 != 0 drop", Packet { fragment: Some(0x2003), ..syn(1) }, Yes),
        ("ip frag-off & 8191 != 0 drop", syn(1), No),
    ]);
}

#[test]
fn devices_sizes_and_what_nobody_can_judge() {
    check(&[
        ("iifname @ifs drop", syn(1), Yes),
        ("iifname @ifs drop", Packet { input_device: Some("veth17".to_owned()), ..syn(1) }, Yes),
        ("iifname @ifs drop", Packet { input_device: Some("wlan0".to_owned()), ..syn(1) }, No),
        ("iif \"lo\" accept", syn(1), No),
        ("iifname . oifname { \"a\" . \"b\" } drop", syn(1), No),
        ("meta length > 1000 ip ttl < 5 drop", Packet { length: Some(1001), ttl: Some(4), ..syn(1) }, Yes),
        ("meta length > 1000 ip ttl < 5 drop", Packet { length: Some(1000), ttl: Some(4), ..syn(1) }, No),
        ("ip length 100-200 ip dscp cs1 drop", Packet { length: Some(150), tos: Some(0x20), ..syn(1) }, Yes),
        ("numgen random mod 10 < 3 drop", syn(1), Maybe),
        ("limit rate over 5/second drop", syn(1), Maybe),
        ("quota over 10 mbytes drop", syn(1), Maybe),
        ("meta skuid 0 drop", syn(1), Maybe),
        ("@ll,0,48 0x5 drop", syn(1), Maybe),
        ("tcp option sack-perm exists drop", syn(1), Maybe),
    ]);
}

#[test]
fn rules_by_chance_and_on_invalid_connections_are_known_as_such() {
    let ruleset = captured();
    let lab = ruleset.table(Api::Nft, Family::Inet, "lab").expect("captured");
    for text in [
        "numgen random mod 10 < 3 drop",
        "limit rate over 5/second drop",
        "quota over 10 mbytes drop",
        "numgen inc mod 10 vmap { 0-2 : drop, 3-9 : accept }",
        "meta l4proto tcp ct count over 3 drop",
    ] {
        assert!(rule(lab, text).by_chance, "{text}");
    }
    for (text, expected) in [
        ("ct state invalid,untracked drop", true),
        ("ct state vmap { invalid : drop, established : accept, related : accept }", true),
        ("ct state new drop", false),
        ("ip saddr @bad counter drop", false),
    ] {
        assert_eq!(rule(lab, text).ct_invalid, expected, "{text}");
        assert!(!rule(lab, text).by_chance);
    }
}

#[test]
fn verdict_maps_name_their_element() {
    let ruleset = captured();
    let lab = ruleset.table(Api::Nft, Family::Inet, "lab").expect("captured");
    let looked_up = |text: &str, packet: &Packet| {
        let Verdict::Map { key, elements } = &rule(lab, text).verdict else { panic!("{text} is a map") };
        let found = evaluate::looked_up(key.as_deref(), elements, lab, packet, false);
        found
            .iter()
            .map(|(element, truth)| (element.text.clone(), element.verdict.clone(), *truth))
            .collect::<Vec<_>>()
    };
    let drop = |text: &str| vec![(text.to_owned(), Verdict::Drop, Yes)];
    assert_eq!(looked_up("tcp dport vmap @vm", &syn(23)), drop("23"));
    assert_eq!(looked_up("tcp dport vmap @vm", &syn(25)), []);
    assert_eq!(looked_up("tcp dport vmap @vm", &udp(23)), []);
    assert_eq!(looked_up("tcp dport vmap { 1-5 : drop, 6 : jump sub, 7 : goto sub }", &syn(3)), drop("1-5"));
    assert_eq!(looked_up("ip saddr vmap { 10.0.0.0/8 : jump sub, * : drop }", &syn(3)), drop("*"));
    let jump = Verdict::Jump("sub".to_owned());
    let of_ip = looked_up("ip saddr vmap { 10.0.0.0/8 : jump sub, * : drop }", &from("10.3.4.5"));
    assert_eq!(of_ip, [("10.0.0.0/8".to_owned(), jump, Yes)]);
    let unknown = Packet { destination_port: None, ..syn(1) };
    assert_eq!(looked_up("tcp dport vmap @vm", &unknown).len(), 3);
    let pair = looked_up(
        "ip saddr . tcp dport vmap { 1.2.3.4 . 80 : drop, 10.0.0.0/8 . 1-9 : accept }",
        &from("1.2.3.4"),
    );
    assert_eq!(pair, drop("1.2.3.4 . 80"));
}

#[test]
fn base_chains_have_hook_priority_policy_and_devices() {
    let ruleset = captured();
    let base = |family, table: &str, chain: &str| {
        let table = ruleset.table(Api::Nft, family, table).expect(table);
        table.chain(chain).expect(chain).base.clone().expect("a base chain")
    };
    let ingress = base(Family::Netdev, "nd", "ing");
    assert_eq!((ingress.devices.as_slice(), ingress.priority), (["lo".to_owned()].as_slice(), -500));
    assert!(base(Family::Inet, "lab", "input").drops);
    assert_eq!(base(Family::Inet, "lab", "out").priority, -5);
    assert!(base(Family::Ip, "nat2", "n").nat);
}

#[test]
fn counters_count_what_the_verdict_is_for_only_behind_all_conditions() {
    let counter = |statements: &str| {
        let json = format!(
            r#"{{"nftables": [{{"table": {{"family": "ip", "name": "t"}}}},
            {{"chain": {{"family": "ip", "table": "t", "name": "c"}}}},
            {{"counter": {{"family": "ip", "table": "t", "name": "n", "packets": 7}}}},
            {{"rule": {{"family": "ip", "table": "t", "chain": "c", "handle": 1, "expr": [{statements}]}}}}]}}"#
        );
        parse(&json, &Listing::default()).expect("JSON").tables[0].chains[0].rules[0].counter
    };
    let some = |packets, exact| Some(Counter { packets, exact });
    assert_eq!(counter(r#"{"counter": {"packets": 5, "bytes": 1}}, {"drop": null}"#), some(5, true));
    assert_eq!(
        counter(r#"{"counter": {"packets": 5, "bytes": 1}}, {"limit": {"rate": 1}}, {"drop": null}"#),
        some(5, false)
    );
    assert_eq!(counter(r#"{"counter": "n"}, {"drop": null}"#), some(7, false));
    assert_eq!(counter(r#"{"drop": null}"#), None);
}

#[test]
fn devices_of_a_chain_are_listed_in_any_form() {
    let of = |text: &str| devices(&text.split_whitespace().collect::<Vec<_>>());
    assert_eq!(of("ingress device \"eth0\" priority 0; policy accept;"), ["eth0"]);
    assert_eq!(of("ingress devices = { \"eth0\", \"eth1\" } priority 0;"), ["eth0", "eth1"]);
    assert_eq!(of("ingress devices = { eth0, eth1 } priority 0;"), ["eth0", "eth1"]);
    assert!(of("input priority 0;").is_empty());
}

proptest::proptest! {
    #[test]
    fn any_listing_is_read_without_a_panic(text in ".{0,200}", cut in 0_usize..JSON.len()) {
        listing(&text);
        proptest::prop_assert!(parse(&text, &Listing::default()).is_err());
        let cut = (cut..).find(|at| JSON.is_char_boundary(*at)).expect("the end is one");
        listing(&JSON[..cut]);
        let _cut_short = parse(&JSON[..cut], &Listing::default());
    }
}

use super::*;
use crate::{
    diagnose::context::Rules,
    knowledge::{Family, Hook},
    machine::{Conntrack, NetState},
    rules::{
        Api, Ruleset, Verdict,
        model::{Base, Chain, Counter, Match, Rule, Table},
    },
};

const INPUT: [&str; 4] = ["nft_do_chain", "nft_do_chain_inet", "nf_hook_slow", "ip_local_deliver"];

/// So many datagrams that died at the hook of these functions.
fn at(frames: &[&str], count: u64) -> Group {
    let one = Kept {
        frames: frames.iter().map(|frame| (*frame).to_owned()).collect(),
        ..sample(event(WEB, UDP, 9, 60), Some(lossdrop_common::Facts { present: 0, ..facts() }))
    };
    group(&kinds::NETFILTER_DROP, Target::Hook("INPUT".to_owned()), (0..count).map(|_| one.clone()))
}

/// A rule without conditions.
fn rule(position: usize, packets: Option<u64>) -> Rule {
    Rule {
        position,
        handle: Some(position as u64 + 1),
        text: "counter drop".to_owned(),
        matches: Vec::new(),
        verdict: Verdict::Drop,
        counter: packets.map(|packets| Counter { packets, exact: true }),
        by_chance: false,
        ct_invalid: false,
        sets_mark: false,
    }
}

/// One that a packet may or may not match.
fn by_chance(position: usize, packets: Option<u64>) -> Rule {
    let matches = vec![Match::Chance("numgen random".to_owned())];
    Rule { by_chance: true, matches, ..rule(position, packets) }
}

fn ruleset(drops: bool, rules: Vec<Rule>) -> Ruleset {
    let mut table = Table::new(Api::Nft, Family::Inet, "lab", "nft");
    let base = Base { hook: Hook::Input, priority: 0, drops, nat: false, devices: Vec::new() };
    table.add(Chain { name: "input".to_owned(), base: Some(base), policy_packets: None, rules });
    Ruleset { tables: vec![table] }
}

/// These rules, whose counters were at 0 before.
fn ruled(drops: bool, rules: Vec<Rule>) -> Context {
    let zeroed = rules.iter().cloned().map(|rule| {
        let counter = rule.counter.map(|counter| Counter { packets: 0, ..counter });
        Rule { counter, ..rule }
    });
    let before = ruleset(drops, zeroed.collect());
    let mut context = context();
    let after = ruleset(drops, rules);
    context.rules.insert(WEB, Rules { before, after, complete: true, counted: 0..i128::MAX });
    context
}

#[test]
fn a_rule_whose_counter_rose_as_much_is_the_culprit_for_certain() {
    insta::assert_snapshot!(reported(at(&INPUT, 5), &ruled(false, vec![rule(1, Some(5))])));
}

#[test]
fn a_policy_is_a_chain_s() {
    insta::assert_snapshot!(reported(at(&INPUT, 5), &ruled(true, Vec::new())));
}

#[test]
fn a_rule_that_drops_by_chance_is_a_fault() {
    let reported = reported(at(&INPUT, 5), &ruled(false, vec![by_chance(1, Some(5))]));
    assert!(reported.starts_with("5 × netfilter/rule fault"), "{reported}");
    assert!(reported.contains("a rule drops by chance or by rate"), "{reported}");
}

#[test]
fn what_a_rule_does_decides_its_kind() {
    for (rule, kind) in [
        (Rule { verdict: Verdict::Reject, ..rule(1, Some(5)) }, "netfilter/reject policy"),
        (Rule { ct_invalid: true, ..rule(1, Some(5)) }, "netfilter/conntrack-invalid fault"),
    ] {
        let reported = reported(at(&INPUT, 5), &ruled(false, vec![rule]));
        assert!(reported.starts_with(&format!("5 × {kind}")), "{reported}");
    }
}

#[test]
fn two_rules_share_the_drops_as_their_counters_have_it() {
    let chance = |position, packets| by_chance(position, Some(packets));
    let reported = reported(at(&INPUT, 5), &ruled(false, vec![chance(1, 2), chance(2, 3)]));
    let counts: Vec<&str> = reported.lines().filter(|line| line.contains(" × ")).collect();
    assert_eq!(counts.len(), 2, "{reported}");
    assert!(counts[0].starts_with("3 ×") && counts[1].starts_with("2 ×"), "{reported}");
}

#[test]
fn rules_that_nothing_tells_apart_are_reported_together() {
    let chance = |position| by_chance(position, None);
    let reported = reported(at(&INPUT, 5), &ruled(false, vec![chance(1), chance(2)]));
    assert!(
        reported.contains("possible") && reported.contains("handle 2 or nft inet lab input handle 3"),
        "{reported}"
    );
    assert!(!reported.contains("fix "), "{reported}");
}

#[test]
fn where_no_rule_fits_or_none_could_be_read_the_hook_is_reported() {
    let fits_none = reported(at(&INPUT, 5), &ruled(false, Vec::new()));
    insta::assert_snapshot!(fits_none);
    let unread = reported(at(&INPUT, 5), &context());
    assert!(unread.contains("The rules could not all be read"), "{unread}");
    assert!(unread.starts_with("5 × netfilter/drop policy likely"), "{unread}");
}

#[test]
fn without_a_stack_the_table_of_causes_is_all_there_is_to_say() {
    let reported = reported(at(&[], 5), &ruled(true, Vec::new()));
    assert!(reported.starts_with("5 × netfilter/drop"), "{reported}");
    assert!(reported.contains("culprit: device | veth0"), "{reported}");
}

/// A table of connections that refused so many.
fn tracked(count: u64, refused: u64) -> Context {
    let of = |refused: u64| {
        let stats = [("drop".to_owned(), refused)].into();
        machine([NetState { conntrack: Some(Conntrack { count, max: 100, stats }), ..state(WEB, []) }])
    };
    let mut context = ruled(true, Vec::new());
    (context.before, context.after) = (of(0), of(refused));
    context
}

#[test]
fn a_full_table_of_connections_is_blamed_only_if_the_kernel_counted_so() {
    let entry = ["nf_hook_slow", "ip_rcv"];
    insta::assert_snapshot!(reported(at(&entry, 5), &tracked(100, 5)));
    for (frames, count, refused) in
        [(&entry[..], 99, 5), (&entry, 100, 4), (&entry, 100, 0), (&INPUT, 100, 5)]
    {
        let reported = reported(at(frames, 5), &tracked(count, refused));
        assert!(!reported.contains("conntrack-full"), "{frames:?} {count} {refused}: {reported}");
    }
}

#[test]
fn nft_is_known_to_free_where_any_drop_shows_it() {
    assert!(frees_in_nft(&[at(&["nf_hook_slow", "ip_rcv"], 1), at(&INPUT, 1)]));
    assert!(!frees_in_nft(&[at(&["nf_hook_slow", "ip_rcv"], 1), at(&[], 1)]));
}

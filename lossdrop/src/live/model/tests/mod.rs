mod always;
mod details;
mod names;

use lossdrop_common::Event;

use super::*;
use crate::{
    diagnose::finding::{Culprit, Object},
    drops::select::Selection,
    knowledge::{Kind, Severity, kinds},
    live::lens::{Lens, Row},
    testing::{
        self,
        diagnosis::{EDGE, WEB, block_on},
        live::{SECOND, counters, datagram, judged, lens, named},
    },
};

const PORT: &Kind = &kinds::SOCKET_CLOSED_PORT;
const RULE: &Kind = &kinds::NETFILTER_RULE;

fn model() -> Model {
    Model::new(60)
}

fn small(units: usize, names: usize) -> Model {
    Model::within(Limits { units, names }, 60)
}

fn refresh(model: &mut Model, rows: &[(DropKey, u64)]) {
    model.refresh(&counters(rows.iter().copied()), SECOND, &mut testing::describer());
}

/// At a closed port.
fn at_port(port: u16) -> Target {
    let address = "10.0.0.2".parse().expect("an address");
    Target::Port(testing::diagnosis::UDP, address, port)
}

fn report(model: &mut Model, event: Event) {
    let target = at_port(event.dport);
    model.add(&judged(PORT, event), target);
}

fn port_group(event: &Event) -> GroupKey {
    GroupKey::new(PORT, &event.key, at_port(event.dport))
}

fn named_port(event: &Event, count: u64) -> Named {
    let name = format!("udp 10.0.0.2:{}", event.dport);
    named(PORT, event.key.netns, Culprit::new(Object::Port, name), [(port_group(event), count)])
}

/// The rows by name and culprit, with their totals.
fn rows(model: &Model, group: GroupBy) -> Vec<(String, u64)> {
    let mut rows: Vec<(String, u64)> = model
        .table(&lens(group))
        .rows
        .iter()
        .map(|row| match group {
            GroupBy::Cause => (format!("{} {}", row.name, row.culprit), row.total),
            _ => (row.name.clone(), row.total),
        })
        .collect();
    rows.sort();
    rows
}

fn only_row(model: &Model, group: GroupBy) -> Row {
    let mut rows = model.table(&lens(group)).rows;
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

#[test]
fn what_was_new_is_shared_out_by_what_was_reported_in_detail() {
    let mut model = model();
    let [a, b] = [datagram(WEB, 0, 1), datagram(WEB, 0, 2)];
    for event in [a, a, a, b] {
        report(&mut model, event);
    }
    refresh(&mut model, &[(a.key, 400)]);
    assert_eq!(rows(&model, GroupBy::Port), [("udp 1".to_owned(), 300), ("udp 2".to_owned(), 100)]);
    assert!(model.table(&lens(GroupBy::Port)).rows.iter().all(|row| !row.exact));
    assert!(model.table(&lens(GroupBy::Cause)).rows.iter().all(|row| !row.exact));
    assert!(only_row(&model, GroupBy::Device).exact);
}

#[test]
fn a_refresh_without_details_goes_by_the_last_that_came() {
    let mut model = model();
    let [a, b] = [datagram(WEB, 0, 1), datagram(WEB, 0, 2)];
    report(&mut model, a);
    refresh(&mut model, &[(a.key, 10)]);
    report(&mut model, b);
    refresh(&mut model, &[(a.key, 20)]);
    refresh(&mut model, &[(a.key, 50)]);
    assert_eq!(rows(&model, GroupBy::Port), [("udp 1".to_owned(), 10), ("udp 2".to_owned(), 40)]);
}

#[test]
fn details_that_come_before_their_counts_wait_for_them_and_everything_stays_exact() {
    let mut model = model();
    let [a, b] = [datagram(WEB, 0, 1), datagram(WEB, 0, 2)];
    for event in [a, a, a, b] {
        report(&mut model, event);
    }
    refresh(&mut model, &[(a.key, 2)]);
    refresh(&mut model, &[(a.key, 4)]);
    let table = model.table(&lens(GroupBy::Flow));
    assert!(table.rows.iter().all(|row| row.exact), "{table:?}");
    assert_eq!(rows(&model, GroupBy::Port), [("udp 1".to_owned(), 3), ("udp 2".to_owned(), 1)]);
}

#[test]
fn details_that_are_late_are_not_taken_for_those_of_later_drops() {
    let mut model = model();
    let [a, b] = [datagram(WEB, 0, 1), datagram(WEB, 0, 2)];
    report(&mut model, a);
    refresh(&mut model, &[(a.key, 5)]);
    // Four of these belong to the five that are counted already.
    for event in [a, a, a, a, b] {
        report(&mut model, event);
    }
    refresh(&mut model, &[(a.key, 6)]);
    assert!(model.details[&a.key].fresh.is_empty());
    report(&mut model, b);
    refresh(&mut model, &[(a.key, 7)]);
    assert_eq!(rows(&model, GroupBy::Port), [("udp 1".to_owned(), 6), ("udp 2".to_owned(), 1)]);
}

#[test]
fn a_second_cause_makes_a_guess_of_what_was_taken_for_the_first_one_s() {
    let mut model = model();
    let [a, b] = [datagram(WEB, 0, 1), datagram(WEB, 0, 2)];
    report(&mut model, a);
    refresh(&mut model, &[(a.key, 100)]);
    assert!(only_row(&model, GroupBy::Cause).exact, "all are of one cause as far as is known");
    report(&mut model, b);
    refresh(&mut model, &[(a.key, 101)]);
    let table = model.table(&lens(GroupBy::Cause));
    let exact = |total: u64| table.rows.iter().find(|row| row.total == total).map(|row| row.exact);
    assert_eq!((exact(100), exact(1)), (Some(false), Some(true)));
}

#[test]
fn drops_without_details_have_the_cause_of_their_key_until_details_come() {
    let mut model = model();
    let fault = testing::fault();
    refresh(&mut model, &[(fault.key, 7)]);
    assert_eq!(only_row(&model, GroupBy::Flow).name, "other flows");
    assert_eq!(only_row(&model, GroupBy::Reason).name, "NETFILTER_DROP");
    let [a, b] = [8, 9].map(|port| Event { dport: port, ..fault });
    for event in [a, a, b] {
        model.add(&judged(RULE, event), Target::Hook("INPUT".to_owned()));
    }
    refresh(&mut model, &[(fault.key, 10)]);
    assert_eq!(rows(&model, GroupBy::Port), [("tcp 8".to_owned(), 7), ("tcp 9".to_owned(), 3)]);
    let row = only_row(&model, GroupBy::Cause);
    assert_eq!((row.total, row.culprit.most.as_str(), row.history), (10, "INPUT", vec![7.0, 3.0]));
}

#[test]
fn earlier_drops_that_are_split_by_the_first_details_are_a_guess() {
    let mut model = model();
    let [a, b] = [datagram(WEB, 0, 1), datagram(WEB, 0, 2)];
    refresh(&mut model, &[(a.key, 10)]);
    report(&mut model, a);
    report(&mut model, b);
    refresh(&mut model, &[(a.key, 12)]);
    let table = model.table(&lens(GroupBy::Cause));
    assert_eq!(table.rows.len(), 2);
    assert!(table.rows.iter().all(|row| row.total == 6 && !row.exact), "{table:?}");
}

#[test]
fn what_a_culprit_is_named_for_moves_to_its_row_and_the_selection_finds_it() {
    let mut model = model();
    let event = datagram(WEB, 0, 9);
    report(&mut model, event);
    refresh(&mut model, &[(event.key, 5)]);
    let provisional = only_row(&model, GroupBy::Cause);
    assert_eq!(model.follow(provisional.key), None);
    model.learn(vec![named_port(&event, 5)], SECOND);
    let row = only_row(&model, GroupBy::Cause);
    assert_ne!(row.key, provisional.key);
    assert_eq!((row.total, row.culprit.most.as_str(), row.exact), (5, "udp 10.0.0.2:9", true));
    assert_eq!(row.history, [5.0]);
    assert_eq!(model.follow(provisional.key), Some(row.key));
    // Later drops of the group are the culprit's at once.
    refresh(&mut model, &[(event.key, 8)]);
    assert_eq!(only_row(&model, GroupBy::Cause).total, 8);
    assert_eq!(model.follow(RowKey { group: GroupBy::Port, ..provisional.key }), None);
}

#[test]
fn a_group_of_two_culprits_is_split_by_their_weights_and_is_no_longer_exact() {
    let mut model = model();
    let event = datagram(WEB, 0, 9);
    for _ in 0..8 {
        report(&mut model, event);
    }
    for count in 1..=8 {
        refresh(&mut model, &[(event.key, count)]);
    }
    let [a, b] = ["rule 1", "rule 2"].map(|name| Culprit::new(Object::Rule, name));
    let part = |culprit, count| named(RULE, WEB, culprit, [(port_group(&event), count)]);
    model.learn(vec![part(a, 3), part(b, 1)], SECOND);
    let table = model.table(&lens(GroupBy::Cause));
    let of = |name: &str| table.rows.iter().find(|row| row.culprit.most == name).expect(name);
    assert_eq!((of("rule 1").total, of("rule 2").total), (6, 2));
    assert_eq!((of("rule 1").exact, of("rule 2").exact), (false, false));
    let sum = |name: &str| of(name).history.iter().sum::<f64>();
    assert_eq!((sum("rule 1"), sum("rule 2")), (6.0, 2.0));
    assert_eq!(rows(&model, GroupBy::Rule), [("rule 1".to_owned(), 6), ("rule 2".to_owned(), 2)]);
    // By what does not depend on it, they are exact still.
    assert!(only_row(&model, GroupBy::Flow).exact);
    refresh(&mut model, &[(event.key, 12)]);
    assert_eq!(rows(&model, GroupBy::Rule), [("rule 1".to_owned(), 9), ("rule 2".to_owned(), 3)]);
    assert!(model.table(&lens(GroupBy::Cause)).rows.iter().all(|row| !row.exact));
}

#[test]
fn many_culprits_of_one_kind_has_one_row_for_the_rest() {
    let mut model = model();
    let events: Vec<Event> = (1..=40).map(|port| datagram(WEB, u64::from(port), port)).collect();
    for event in &events {
        report(&mut model, *event);
    }
    let counted: Vec<(DropKey, u64)> = events.iter().map(|event| (event.key, 2)).collect();
    refresh(&mut model, &counted);
    for _ in 0..3 {
        model.learn(events.iter().map(|event| named_port(event, 2)).collect(), SECOND);
    }
    let table = model.table(&lens(GroupBy::Cause));
    let others =
        table.rows.iter().find(|row| row.culprit.most.starts_with("others")).expect("a row for the rest");
    assert_eq!((table.rows.len(), others.total, table.shown), (25, 32, 80));
}

#[test]
fn rules_that_are_reported_together_are_no_missing_rule() {
    let mut model = model();
    let event = datagram(WEB, 0, 9);
    report(&mut model, event);
    refresh(&mut model, &[(event.key, 26)]);
    let rule = |number| {
        named(RULE, WEB, Culprit::new(Object::Rule, format!("rule {number}")), [(port_group(&event), 1)])
    };
    model.learn((0..26).map(rule).collect(), SECOND);
    let names = rows(&model, GroupBy::Rule);
    assert!(names.iter().any(|(name, total)| name == "others" && *total == 2), "{names:?}");
    assert!(names.iter().all(|(name, _)| name != "no rule"), "{names:?}");
}

#[test]
fn a_rule_has_one_row_for_all_of_its_kinds() {
    let mut model = model();
    let [a, b] = [datagram(WEB, 1, 1), datagram(WEB, 2, 2)];
    report(&mut model, a);
    report(&mut model, b);
    refresh(&mut model, &[(a.key, 1), (b.key, 2)]);
    let of = |kind, event: &Event| {
        named(kind, WEB, Culprit::new(Object::Rule, "rule 1"), [(port_group(event), 1)])
    };
    model.learn(vec![of(RULE, &a), of(&kinds::NETFILTER_REJECT, &b)], SECOND);
    assert_eq!(rows(&model, GroupBy::Rule), [("rule 1".to_owned(), 3)]);
    assert_eq!(model.table(&lens(GroupBy::Cause)).rows.len(), 2);
}

#[test]
fn only_drops_that_a_search_was_for_stop_asking_for_one() {
    let mut model = model();
    let [a, b] = [datagram(WEB, 1, 1), datagram(WEB, 2, 2)];
    assert!(!model.has_unnamed());
    report(&mut model, a);
    assert!(!model.has_unnamed(), "nothing is counted");
    refresh(&mut model, &[(a.key, 1)]);
    assert!(model.has_unnamed());
    model.note_survey();
    // The first drop of another kind comes while the search is under way.
    report(&mut model, b);
    refresh(&mut model, &[(a.key, 1), (b.key, 1)]);
    model.learn(vec![named_port(&a, 1)], SECOND);
    assert!(model.has_unnamed(), "the second was not looked for");
    model.note_survey();
    model.learn(Vec::new(), SECOND);
    assert!(!model.has_unnamed(), "a search that finds none is one, too");
    refresh(&mut model, &[(a.key, 9), (b.key, 9)]);
    assert!(!model.has_unnamed(), "more of the same needs no other search");
}

#[test]
fn noise_needs_no_culprit_and_is_hidden_until_it_is_asked_for() {
    let mut model = model();
    let noise = testing::noise();
    refresh(&mut model, &[(noise.key, 4)]);
    assert!(!model.has_unnamed());
    let table = model.table(&lens(GroupBy::Cause));
    assert_eq!((table.rows.len(), table.benign, table.shown), (0, 4, 0));
    let all = model.table(&Lens { benign: true, ..lens(GroupBy::Cause) });
    assert_eq!((all.rows.len(), all.benign, all.rows[0].severity), (1, 0, Severity::Benign));
    let selection = Selection { severity: vec![Severity::Benign], ..Selection::default() };
    let asked = model.table(&Lens { selection, ..lens(GroupBy::Cause) });
    assert_eq!((asked.shown, asked.unselected), (4, 0));
}

#[test]
fn a_group_is_as_bad_as_its_worst_drop() {
    let mut model = model();
    let event = datagram(WEB, 0, 9);
    for severity in [Severity::Policy, Severity::Fault, Severity::Policy] {
        let mut judged = judged(RULE, event);
        judged.verdict.assessment.severity = severity;
        model.add(&judged, Target::None);
    }
    refresh(&mut model, &[(event.key, 3)]);
    assert_eq!(only_row(&model, GroupBy::Cause).severity, Severity::Fault);
}

#[test]
fn what_is_refused_is_counted_and_makes_a_guess_of_what_is_not() {
    let mut model = model();
    let event = datagram(WEB, 0, 9);
    for kind in [RULE, PORT] {
        model.add(&judged(kind, event), Target::None);
    }
    refresh(&mut model, &[(event.key, 10)]);
    assert!(only_row(&model, GroupBy::Device).exact);
    let selection = Selection { cause: vec!["netfilter".parse().expect("known")], ..Selection::default() };
    let table = model.table(&Lens { selection, ..lens(GroupBy::Device) });
    assert_eq!((table.shown, table.unselected, table.rows.len()), (5, 5, 1));
    assert!(!table.rows[0].exact, "which half it is was guessed");
}

#[test]
fn drops_without_room_for_their_key_have_a_row_of_their_own() {
    let mut model = model();
    let fault = testing::fault();
    let mut counted = counters([(fault.key, 2)]);
    counted.other.count = 5;
    counted.seen += 5;
    model.refresh(&counted, SECOND, &mut testing::describer());
    for group in GroupBy::ALL {
        let table = model.table(&lens(*group));
        let row = table.rows.iter().find(|row| row.name.contains("--keys")).expect("a row");
        assert_eq!((row.total, row.severity, row.rate), (5, Severity::Capacity, 5.0), "{group:?}");
        assert_eq!(table.shown, 7);
        assert!(model.detail(row, &lens(*group), SECOND).sample.is_none());
        assert_eq!(model.follow(row.key), None);
    }
    let selection = Selection { severity: vec![Severity::Policy], ..Selection::default() };
    assert_eq!(model.table(&Lens { selection, ..lens(GroupBy::Cause) }).unselected, 5);
}

#[test]
fn details_of_keys_without_room_are_not_kept_for_ever() {
    let mut model = model();
    let mut counted = counters([(testing::fault().key, 2)]);
    counted.other.count = 100;
    for location in 0..100 {
        report(&mut model, datagram(WEB, location, 9));
    }
    model.refresh(&counted, SECOND, &mut testing::describer());
    assert!(model.details.is_empty(), "{}", model.details.len());
}

#[test]
fn rates_are_those_of_the_last_interval_and_of_the_last_minute() {
    let mut model = model();
    let key = datagram(WEB, 0, 9).key;
    let mut describer = testing::describer();
    for (count, seconds) in [(1000, 50), (1030, 30), (1060, 20), (1070, 15)] {
        model.refresh(&counters([(key, count)]), SECOND * seconds, &mut describer);
    }
    let row = only_row(&model, GroupBy::Device);
    assert_eq!(row.history, [20.0, 1.0, 1.5, 10.0 / 15.0]);
    assert!((row.rate - 10.0 / 15.0).abs() < 1e-9);
    // The intervals that a minute reaches into: 30, 20 and 15 seconds.
    assert!((row.rate_1m - 70.0 / 65.0).abs() < 1e-9, "{}", row.rate_1m);
}

#[test]
fn an_interval_of_no_length_has_a_rate_that_is_a_number() {
    let mut model = model();
    let key = datagram(WEB, 0, 9).key;
    model.refresh(&counters([(key, 1)]), Duration::ZERO, &mut testing::describer());
    let row = only_row(&model, GroupBy::Cause);
    assert!(row.rate.is_finite() && row.rate_1m.is_finite());
}

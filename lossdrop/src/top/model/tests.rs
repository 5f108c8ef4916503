use std::time::Duration;

use lossdrop_common::{DropKey, Event, Shape};
use proptest::prelude::*;

use super::*;
use crate::{
    accounting::Row as Counted,
    diagnose::finding::Culprit,
    knowledge::{Confidence, Severity, kinds},
    select::Selection,
    testing::{
        self,
        diagnosis::{TCP, UDP, WEB, event, finding},
    },
    top::lens::{Lens, SortBy},
};

const SECOND: Duration = Duration::from_secs(1);

fn lens(group: GroupBy) -> Lens {
    Lens { group, sort: SortBy::Total, reversed: false, benign: false, selection: Selection::default() }
}

/// With noise.
fn all(group: GroupBy) -> Lens {
    Lens { benign: true, ..lens(group) }
}

/// A drop in detail; faults by a rule, noise by a closed connection.
fn judged(event: Event, severity: Severity, target: Target) -> Judged {
    let kind = if severity == Severity::Benign { &kinds::HOUSEKEEPING_CLOSING } else { &kinds::NETFILTER_DROP };
    Judged {
        verdict: Verdict { kind, severity, confidence: Confidence::Likely, evidence: Vec::new() },
        target,
        sample: testing::diagnosis::sample(event, None),
    }
}

fn hook() -> Target {
    Target::Hook("INPUT".to_owned())
}

fn counters(rows: &[(DropKey, u64)]) -> Counters {
    let mut counters = Counters::default();
    for (key, count) in rows {
        counters.rows.insert(*key, Counted { count: *count, sent: *count, lost: 0 });
        counters.seen += count;
    }
    counters
}

/// A model, and what it is fed by.
struct Fed {
    model: Model,
    describer: Describer,
    counters: Counters,
}

impl Fed {
    fn new() -> Self {
        Self { model: Model::new(60), describer: testing::describer(), counters: Counters::default() }
    }

    /// The kernel counts `count` drops under the key of an event; `told` of them are told in detail.
    fn drops(&mut self, event: Event, count: u64, told: u64) -> &mut Self {
        for _ in 0..told {
            self.model.hear(&judged(event, Severity::Policy, hook()));
        }
        self.counters.rows.entry(event.key).or_default().count += count;
        self.counters.seen += count;
        self
    }

    fn refresh(&mut self) -> &mut Self {
        self.model.refresh(&self.counters, SECOND, &mut self.describer);
        self
    }

    /// Names and totals of the rows, the greatest total first.
    fn rows(&self, lens: &Lens) -> Vec<(String, u64)> {
        let mut rows: Vec<_> =
            self.model.table(lens).rows.into_iter().map(|row| (row.name, row.total)).collect();
        rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        rows
    }
}

fn named(event: &Event, parts: &[(&str, u64)]) -> Vec<Named> {
    let group = GroupKey::new(&kinds::NETFILTER_DROP, &event.key, hook());
    let rule = |(name, count): &(&str, u64)| {
        let culprit = Culprit::new("rule", *name).text("-j DROP");
        let finding = finding(&kinds::NETFILTER_RULE, *count, culprit.clone(), []);
        Named {
            kind: &kinds::NETFILTER_RULE,
            severity: Severity::Policy,
            confidence: Confidence::Certain,
            netns: event.key.netns,
            culprit: Some(culprit),
            finding: Some(Finding { exact: parts.len() == 1, ..finding }),
            parts: vec![(group.clone(), *count)],
            sample: None,
        }
    };
    parts.iter().map(rule).collect()
}

use crate::diagnose::finding::Finding;

#[test]
fn what_the_kernel_counts_is_shared_out_as_the_details_say() {
    let mut fed = Fed::new();
    let (one, other) = (event(WEB, UDP, 53, 60), event(WEB, UDP, 123, 60));
    assert_eq!(one.key, other.key, "the kernel counts them together");
    fed.drops(one, 750, 3).drops(other, 250, 1).refresh();
    let rows = fed.rows(&lens(GroupBy::Port));
    assert_eq!(rows, [("udp 53".to_owned(), 750), ("udp 123".to_owned(), 250)]);
    let table = fed.model.table(&lens(GroupBy::Port));
    assert!(table.rows.iter().all(|row| !row.exact), "a share by a sample is not exact");
    assert!(fed.model.table(&lens(GroupBy::Namespace)).rows[0].exact, "what the kernel counts is");
    assert!(fed.model.table(&lens(GroupBy::Cause)).rows[0].exact, "all have one cause");
}

#[test]
fn what_was_told_entirely_is_exact() {
    let mut fed = Fed::new();
    fed.drops(event(WEB, UDP, 53, 60), 3, 3).drops(event(WEB, UDP, 123, 60), 1, 1).refresh();
    assert!(fed.model.table(&lens(GroupBy::Flow)).rows.iter().all(|row| row.exact));
}

#[test]
fn each_refresh_is_shared_by_its_own_details() {
    let mut fed = Fed::new();
    fed.drops(event(WEB, UDP, 53, 60), 1000, 5).refresh();
    fed.drops(event(WEB, UDP, 123, 60), 10, 5).refresh();
    let rows = fed.rows(&lens(GroupBy::Port));
    assert_eq!(rows, [("udp 53".to_owned(), 1000), ("udp 123".to_owned(), 10)]);
    // Without details, as it was the last time.
    fed.drops(event(WEB, UDP, 123, 60), 90, 0).refresh();
    assert_eq!(fed.rows(&lens(GroupBy::Port))[1], ("udp 123".to_owned(), 100));
}

#[test]
fn drops_without_a_detail_are_told_by_their_key_and_get_those_that_come_late() {
    let mut fed = Fed::new();
    let event = testing::fault();
    fed.drops(event, 7, 0).refresh();
    assert_eq!(fed.rows(&lens(GroupBy::Flow)), [("other flows".to_owned(), 7)]);
    fed.drops(event, 3, 3).refresh();
    let rows = fed.rows(&lens(GroupBy::Flow));
    assert_eq!(rows, [("10.99.0.1:41234 → 10.99.0.2:80 TCP".to_owned(), 10)]);
    let history = &fed.model.table(&lens(GroupBy::Flow)).rows[0].history;
    assert_eq!(history, &[7.0, 3.0], "the first refresh's drops are theirs, too");
}

#[test]
fn a_group_becomes_its_culprit_s_row_and_the_selection_can_follow() {
    let mut fed = Fed::new();
    let event = event(WEB, TCP, 80, 60);
    fed.drops(event, 40, 4).refresh();
    assert!(fed.model.has_unnamed());
    let before = fed.model.table(&lens(GroupBy::Cause)).rows.remove(0);
    assert_eq!(before.culprit.most, "INPUT", "what the drops have in common stands for the culprit");
    fed.model.learn(named(&event, &[("rule 1", 40)]), SECOND);
    assert!(!fed.model.has_unnamed());
    let after = fed.model.table(&lens(GroupBy::Cause)).rows.remove(0);
    assert_eq!((after.culprit.most.as_str(), after.total, after.exact), ("rule 1 -j DROP", 40, true));
    assert_eq!(after.history, [40.0]);
    assert_eq!(fed.model.follow(before.key), Some(after.key));
    assert_eq!(fed.model.follow(after.key), None);
    // What comes until the next look counts for the same one.
    fed.drops(event, 2, 2).refresh();
    assert_eq!(fed.rows(&lens(GroupBy::Rule)), [("rule 1".to_owned(), 42)]);
}

#[test]
fn the_drops_of_a_group_with_two_culprits_are_each_one_s_by_its_weight() {
    let mut fed = Fed::new();
    let event = event(WEB, TCP, 80, 60);
    fed.drops(event, 1000, 4).refresh();
    fed.model.learn(named(&event, &[("rule 1", 3), ("rule 2", 1)]), SECOND);
    let rows = fed.rows(&lens(GroupBy::Rule));
    assert_eq!(rows, [("rule 1".to_owned(), 750), ("rule 2".to_owned(), 250)]);
    assert!(fed.model.table(&lens(GroupBy::Rule)).rows.iter().all(|row| !row.exact));
    // A new rule: until it is found, its drops look like the others'; then they are its own.
    fed.drops(event, 100, 4).refresh();
    let shown: u64 = fed.rows(&lens(GroupBy::Rule)).iter().map(|(_, total)| total).sum();
    assert_eq!(shown, 1100);
    fed.model.learn(named(&event, &[("rule 3", 9)]), SECOND * 2);
    let rows = fed.rows(&lens(GroupBy::Rule));
    assert_eq!(rows, [("rule 1".to_owned(), 750), ("rule 2".to_owned(), 250), ("rule 3".to_owned(), 100)]);
}

#[test]
fn a_crowd_of_culprits_is_told_as_others() {
    let mut fed = Fed::new();
    let event = event(WEB, TCP, 80, 60);
    let names: Vec<String> = (0..100).map(|number| format!("rule {number}")).collect();
    for name in &names {
        fed.drops(event, 1, 1).refresh();
        fed.model.learn(named(&event, &[(name, 1)]), SECOND);
    }
    let rows = fed.rows(&lens(GroupBy::Rule));
    assert!(rows.len() <= 25, "{rows:?}");
    assert_eq!(rows.iter().map(|(_, total)| total).sum::<u64>(), 100);
    assert!(fed.rows(&lens(GroupBy::Cause)).iter().any(|(_, total)| *total > 70));
}

#[test]
fn noise_is_hidden_and_counted_and_all_of_a_kind_is_one_row() {
    let mut fed = Fed::new();
    for port in [1000, 2000] {
        let noise = judged(event(WEB, TCP, port, 60), Severity::Benign, Target::Port(TCP, [1, 1, 1, 1].into(), port));
        fed.model.hear(&noise);
    }
    fed.counters = counters(&[(event(WEB, TCP, 1, 60).key, 2)]);
    fed.refresh();
    let table = fed.model.table(&lens(GroupBy::Cause));
    assert_eq!((table.rows.len(), table.shown, table.benign), (0, 0, 2));
    assert_eq!(fed.rows(&all(GroupBy::Cause)).len(), 1);
    assert!(!fed.model.has_unnamed(), "nobody looks for the culprits of noise");
}

#[test]
fn a_selection_refuses_and_counts_and_names_noise() {
    let mut fed = Fed::new();
    fed.drops(event(WEB, TCP, 80, 60), 5, 1).refresh();
    let select = |cause: &str| Selection { cause: vec![cause.parse().expect("known")], severity: Vec::new() };
    let table = fed.model.table(&Lens { selection: select("mtu"), ..lens(GroupBy::Cause) });
    assert_eq!((table.shown, table.unselected), (0, 5));
    let table = fed.model.table(&Lens { selection: select("netfilter"), ..lens(GroupBy::Cause) });
    assert_eq!((table.shown, table.unselected), (5, 0));
}

#[test]
fn drops_that_the_kernel_s_table_had_no_room_for_are_a_row() {
    let mut fed = Fed::new();
    fed.counters.other.count = 9;
    fed.counters.seen = 9;
    fed.refresh();
    let table = fed.model.table(&lens(GroupBy::Device));
    assert_eq!((table.rows.len(), table.shown), (1, 9));
    assert!(table.rows[0].name.contains("--keys") && table.rows[0].history == [9.0]);
    assert_eq!(fed.model.books(&table).shown, 9);
}

#[test]
fn the_books_tell_what_was_lost_and_at_the_end_what_nothing_tells_of() {
    let mut fed = Fed::new();
    fed.drops(event(WEB, TCP, 80, 60), 5, 1);
    let row = fed.counters.rows.values_mut().next().expect("one");
    row.lost = 2;
    (fed.counters.filtered, fed.counters.lost, fed.counters.seen) = (7, 3, 13);
    fed.refresh();
    let books = fed.model.books(&fed.model.table(&lens(GroupBy::Cause)));
    assert_eq!(books, Books { seen: 13, shown: 5, suppressed: 0, filtered: 7, lost: 1 });
    assert_eq!(fed.model.details_lost(), 2);
    let last = Counters { seen: 20, ..fed.counters.clone() };
    fed.model.settle_books(&last);
    let books = fed.model.books(&fed.model.table(&lens(GroupBy::Cause)));
    assert_eq!((books.seen, books.lost), (20, 8));
}

#[test]
fn names_are_what_they_are_called() {
    let mut fed = Fed::new();
    let mut drop = judged(testing::fault(), Severity::Policy, hook());
    let owner = crate::owners::Owner { pid: 812, comm: "curl".to_owned(), cgroup: String::new() };
    drop.sample.owner = Some(owner);
    fed.model.hear(&drop);
    fed.counters = counters(&[(testing::fault().key, 1)]);
    fed.refresh();
    let name = |group| fed.rows(&lens(group))[0].0.clone();
    assert_eq!(name(GroupBy::Cause), "netfilter drop");
    assert_eq!(name(GroupBy::Reason), "NETFILTER_DROP");
    assert_eq!(name(GroupBy::Location), "nf_hook_slow");
    assert_eq!(name(GroupBy::Device), "veth0");
    assert_eq!(name(GroupBy::Namespace), "-");
    assert_eq!(name(GroupBy::Process), "curl[812]");
    assert_eq!(name(GroupBy::Port), "tcp 80");
    assert_eq!(name(GroupBy::Rule), "no rule");
    fed.model.name_netns([(WEB, "web")].into_iter());
    fed.drops(event(WEB, UDP, 53, 60), 5, 1).refresh();
    assert_eq!(fed.rows(&lens(GroupBy::Namespace))[0], ("web".to_owned(), 5));
}

#[test]
fn a_row_opened_has_its_own_flows_and_its_own_packet() {
    let mut fed = Fed::new();
    let (web, dns) = (event(WEB, TCP, 80, 60), event(WEB, UDP, 53, 120));
    fed.drops(web, 30, 3).drops(dns, 5, 1).refresh();
    let lens = lens(GroupBy::Port);
    let table = fed.model.table(&lens);
    for (name, len) in [("tcp 80", "len 60"), ("udp 53", "len 120")] {
        let row = table.rows.iter().find(|row| row.name == name).expect("there");
        let detail = fed.model.detail(row, &lens, SECOND * 9);
        assert_eq!(detail.flows.len(), 1);
        let packet = detail.sample.expect("one was told");
        assert!(packet.line.contains(len), "{name}: {}", packet.line);
        assert_eq!((packet.iface.as_str(), packet.owner.as_str()), ("veth0", ""));
    }
    fed.model.learn(named(&web, &[("rule 1", 30)]), SECOND * 4);
    let row = fed.model.table(&lens).rows.into_iter().find(|row| row.name == "tcp 80").expect("there");
    let detail = fed.model.detail(&row, &lens, SECOND * 9);
    assert_eq!((detail.causes[0].total, detail.causes[0].age_s), (30, 5));
    assert!(detail.causes[0].finding.is_some());
}

#[test]
fn more_units_than_are_kept_are_told_by_their_cause_alone() {
    let mut model = Model { names: Names::new(10), ..Model::new(5) };
    let mut describer = testing::describer();
    for port in 0..100 {
        model.hear(&judged(event(WEB, UDP, 1000 + port, 60), Severity::Policy, hook()));
    }
    model.refresh(&counters(&[(event(WEB, UDP, 1, 60).key, 100)]), SECOND, &mut describer);
    let table = model.table(&lens(GroupBy::Flow));
    assert_eq!((table.rows.len(), table.shown), (11, 100));
    let other = table.rows.iter().find(|row| row.name == "other flows").expect("the others");
    assert_eq!(other.total, 90);
}

#[test]
fn a_rate_in_the_last_minute_goes_by_how_long_the_intervals_were() {
    let mut fed = Fed::new();
    let event = event(WEB, UDP, 53, 60);
    for (seconds, count) in [(60, 6000), (30, 30), (30, 90)] {
        fed.drops(event, count, 1);
        fed.model.refresh(&fed.counters, SECOND * seconds, &mut fed.describer);
    }
    let row = fed.model.table(&lens(GroupBy::Cause)).rows.remove(0);
    assert_eq!((row.rate, row.rate_1m), (3.0, 2.0));
    assert_eq!(row.history, [100.0, 1.0, 3.0]);
}

/// Drops of a refresh: which key, port and severity, how many, and how many told.
type Burst = (u8, u16, bool, u64, u64);

fn burst() -> impl Strategy<Value = Burst> {
    (0..5_u8, 1..6_u16, any::<bool>(), 0..1000_u64, 0..4_u64)
}

proptest! {
    #[test]
    fn every_grouping_has_every_drop_whatever_comes(
        refreshes in proptest::collection::vec(
            (proptest::collection::vec(burst(), 0..8), proptest::option::of(proptest::collection::vec(1..9_u64, 1..4))),
            1..8,
        ),
        (filtered, other) in (0..100_u64, 0..100_u64),
    ) {
        let mut fed = Fed::new();
        fed.counters.filtered = filtered;
        fed.counters.other.count = other;
        for (bursts, learned) in refreshes {
            for (which, port, benign, count, told) in bursts {
                let mut event = event(WEB + u32::from(which % 2), if which < 3 { UDP } else { TCP }, port, 60);
                event.key.ifindex = which.into();
                event.key.shape = if benign { Shape::RST.0 } else { 0 };
                let severity = if benign { Severity::Benign } else { Severity::Policy };
                for _ in 0..told.min(count) {
                    fed.model.hear(&judged(event, severity, hook()));
                }
                fed.counters.rows.entry(event.key).or_default().count += count;
            }
            fed.refresh();
            if let Some(weights) = learned {
                let culprits: Vec<(String, u64)> =
                    weights.iter().enumerate().map(|(number, weight)| (format!("rule {number}"), *weight)).collect();
                let culprits: Vec<(&str, u64)> = culprits.iter().map(|(name, weight)| (name.as_str(), *weight)).collect();
                let mut event = event(WEB, UDP, 1, 60);
                event.key.ifindex = 0;
                fed.model.learn(named(&event, &culprits), SECOND);
            }
            let counted: u64 = fed.counters.rows.values().map(|row| row.count).sum::<u64>() + other;
            for group in GroupBy::ALL {
                let (some, all) = (fed.model.table(&lens(*group)), fed.model.table(&all(*group)));
                prop_assert_eq!(all.rows.iter().map(|row| row.total).sum::<u64>(), counted, "{:?}", group);
                prop_assert_eq!((all.shown, all.benign), (counted, 0));
                prop_assert_eq!(some.shown + some.benign, counted);
                let history: f64 = all.rows.iter().flat_map(|row| &row.history).sum();
                prop_assert!((history - counted as f64).abs() < 1e-3, "{:?}: {} of {}", group, history, counted);
                let books = fed.model.books(&some);
                prop_assert_eq!(books.seen, books.shown + books.suppressed + books.filtered + books.lost);
                prop_assert_eq!(books.seen, counted + filtered);
            }
        }
    }
}

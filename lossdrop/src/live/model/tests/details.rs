//! What is reported one row.

use super::*;
use crate::{
    capture::{Batch, Capture},
    diagnose::finding::Object,
    drops::{Observer, Reader, describe::Described},
    live::detail::RowDetail,
};

fn row(model: &Model, group: GroupBy, name: &str) -> Row {
    let mut rows = model.table(&lens(group)).rows;
    rows.retain(|row| row.name == name || row.culprit.most == name);
    assert_eq!(rows.len(), 1, "{name}");
    rows.remove(0)
}

fn detail(model: &Model, group: GroupBy, name: &str) -> RowDetail {
    model.detail(&row(model, group, name), &lens(group), 10 * SECOND)
}

#[test]
fn the_worst_cause_comes_first_then_the_most_frequent() {
    let mut model = model();
    let kinds = [&kinds::NETFILTER_POLICY, &kinds::SOCKET_RCVBUF, &kinds::MTU_VETH_PEER, &kinds::MTU_FORWARD];
    let events: Vec<Event> = (0..4).map(|location| datagram(WEB, location, 9)).collect();
    for (kind, event) in kinds.into_iter().zip(&events) {
        model.add(&judged(kind, *event), Target::None);
    }
    let counts = [100, 50, 3, 7];
    let counted: Vec<(DropKey, u64)> = events.iter().map(|event| event.key).zip(counts).collect();
    refresh(&mut model, &counted);
    let causes = detail(&model, GroupBy::Device, "veth0").cases;
    let totals: Vec<u64> = causes.iter().map(|cause| cause.total).collect();
    assert_eq!(totals, [7, 3, 50, 100], "{causes:?}");
}

#[test]
fn what_is_hidden_in_the_table_is_no_part_of_a_row_s_details() {
    let mut model = model();
    let [a, b] = [datagram(WEB, 0, 9), datagram(WEB, 1, 9)];
    model.add(&judged(PORT, a), Target::None);
    model.add(&judged(&kinds::TCP_CLOSING, b), Target::None);
    refresh(&mut model, &[(a.key, 1), (b.key, 2)]);
    let is_noise = kinds::TCP_CLOSING.severity == Severity::Benign;
    let all = detail(&model, GroupBy::Device, "veth0").cases.len();
    assert_eq!(all, if is_noise { 1 } else { 2 });
    let selection = Selection { cause: vec!["socket".parse().expect("known")], ..Selection::default() };
    let lens = Lens { benign: true, selection, ..lens(GroupBy::Device) };
    let table = model.table(&lens);
    let causes = model.detail(&table.rows[0], &lens, SECOND).cases;
    assert_eq!(causes.iter().map(|cause| cause.total).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_drop_that_is_shown_is_one_of_the_row_s_own() {
    let mut model = model();
    let events: Vec<Event> = (1..=3).map(|port| datagram(WEB, u64::from(port), port)).collect();
    for event in &events {
        report(&mut model, *event);
    }
    // A storm of another kind pushes them out of the last ones.
    let storm = datagram(EDGE, 9, 99);
    for _ in 0..RECENT {
        report(&mut model, storm);
    }
    let counted = events.iter().chain([&storm]).map(|event| (event.key, 1));
    refresh(&mut model, &counted.collect::<Vec<_>>());
    for port in 1..=3 {
        let sample = detail(&model, GroupBy::Port, &format!("udp {port}")).sample.expect("a sample");
        assert!(sample.line.contains(&format!("10.0.0.2:{port} ")), "{sample:?}");
    }
    let flows = detail(&model, GroupBy::Port, "udp 99").flows;
    assert_eq!(flows.len(), 1);
    assert_eq!((flows[0].flow.as_str(), flows[0].count), ("10.0.0.1:40000 → 10.0.0.2:99 UDP", 1));
}

#[test]
fn a_culprit_s_own_sample_and_finding_are_shown_with_their_age() {
    let mut model = model();
    let event = datagram(WEB, 0, 9);
    report(&mut model, event);
    refresh(&mut model, &[(event.key, 2)]);
    let before = detail(&model, GroupBy::Cause, "udp 10.0.0.2:9");
    assert!(before.cases[0].finding.is_none() && before.sample.is_some());
    let mut own = testing::diagnosis::sample(datagram(WEB, 0, 4321), None);
    own.frames = ["nf_hook_slow".to_owned()].into();
    let named = Named { sample: Some(own), ..named_port(&event, 2) };
    model.learn(vec![named], 4 * SECOND);
    let after = detail(&model, GroupBy::Cause, "udp 10.0.0.2:9");
    assert_eq!((after.cases[0].finding.is_some(), after.cases[0].age_s), (true, 6));
    assert!(after.sample.expect("a sample").line.contains(":4321 "));
    assert_eq!(after.stack, ["nf_hook_slow"]);
    // A later search may be surer, and knows more.
    let mut again = named_port(&event, 3);
    if let Some(finding) = &mut again.finding {
        finding.evidence = vec!["new evidence".to_owned()];
    }
    model.learn(vec![again], 9 * SECOND);
    let later = &detail(&model, GroupBy::Cause, "udp 10.0.0.2:9").cases[0];
    assert_eq!((later.age_s, &later.evidence[..]), (1, &["new evidence".to_owned()][..]));
}

#[test]
fn a_provisional_row_of_two_culprits_has_each_drop_once() {
    let mut model = model();
    let event = datagram(WEB, 0, 9);
    report(&mut model, event);
    refresh(&mut model, &[(event.key, 4)]);
    let part = |name: &str| named(RULE, WEB, Culprit::new(Object::Rule, name), [(port_group(&event), 1)]);
    model.learn(vec![part("a"), part("b")], SECOND);
    refresh(&mut model, &[(event.key, 8)]);
    let detail = detail(&model, GroupBy::Device, "veth0");
    assert_eq!(detail.cases.iter().map(|cause| cause.total).collect::<Vec<_>>(), [4, 4]);
    assert_eq!(detail.flows[0].count, 8);
}

/// Takes in every drop.
struct Reading<'a>(&'a mut Model);

impl Reader for Reading<'_> {
    fn wants(&mut self, _event: &Event, _described: &Described) -> bool {
        true
    }

    fn read(&mut self, drop: &Drop<'_>) {
        self.0.read(drop);
    }
}

#[test]
fn drops_recorded_from_a_kernel_have_their_causes_and_names() {
    let mut capture = Capture::from(testing::recording());
    let mut observer = Observer::new(capture.names());
    let mut batch = Batch::default();
    assert!(capture.read(&mut batch));
    let mut model = model();
    block_on(observer.observe(&batch, &mut Reading(&mut model)));
    model.refresh(&capture.stop(), SECOND, &mut observer.describer);
    let mut lines = Vec::new();
    for group in [GroupBy::Cause, GroupBy::Reason, GroupBy::Location, GroupBy::Port, GroupBy::Flow] {
        let table = model.table(&Lens { benign: true, ..lens(group) });
        assert_eq!(table.shown, 5);
        let reported = |row: &Row| {
            let Row { name, severity, cause, culprit, location, total, exact, .. } = row;
            format!("{total} {severity} {name} | {cause} | {culprit} | {location} | exact {exact}")
        };
        let mut reported: Vec<String> = table.rows.iter().map(reported).collect();
        reported.sort();
        lines.push(format!("by {}\n  {}", group.word(), reported.join("\n  ")));
    }
    insta::assert_snapshot!(lines.join("\n"));
}

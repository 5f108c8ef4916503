//! What is true whatever came.

use proptest::prelude::*;

use super::*;
use crate::diagnose::finding::Object;

const CAUSES: [&Kind; 4] = [PORT, RULE, &kinds::TCP_CLOSING, &kinds::SOCKET_RCVBUF];

/// What happens between two refreshes.
#[derive(Clone, Debug)]
struct Step {
    /// Key, cause, port.
    details: Vec<(u64, usize, u16)>,
    /// New drops by key.
    new: Vec<(u64, u64)>,
    other: u64,
    lost: u64,
    filtered: u64,
    /// Which groups get which culprits, with which weights: key, cause, port, culprit, weight.
    named: Vec<(u64, usize, u16, u8, u64)>,
    reset: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let details = proptest::collection::vec((0..6_u64, 0..CAUSES.len(), 1..5_u16), 0..12);
    let new = proptest::collection::vec((0..6_u64, 0..50_u64), 0..8);
    let named = proptest::collection::vec((0..6_u64, 0..CAUSES.len(), 1..5_u16, 0..5_u8, 0..9_u64), 0..6);
    let step = (details, new, (0..3_u64, 0..3_u64, 0..9_u64), named, proptest::bool::weighted(0.05))
        .prop_map(|(details, new, (other, lost, filtered), named, reset)| Step {
            details,
            new,
            other,
            lost,
            filtered,
            named,
            reset,
        });
    proptest::collection::vec(step, 1..12)
}

fn reported(key: u64, port: u16) -> Event {
    datagram(if key < 3 { WEB } else { EDGE }, key, port)
}

fn lenses() -> Vec<Lens> {
    let selections = [(&[][..], &[][..]), (&["socket"], &[]), (&[], &[Severity::Fault, Severity::Benign])];
    let selections = selections.map(|(causes, severities): (&[&str], &[Severity])| Selection {
        cause: causes.iter().map(|cause| cause.parse().expect("known")).collect(),
        severity: severities.to_vec(),
    });
    let with = |group: GroupBy, benign: bool| {
        selections.clone().map(|selection| Lens { benign, selection, ..lens(group) })
    };
    let all = GroupBy::ALL.iter().flat_map(|group| [with(*group, false), with(*group, true)].concat());
    all.collect()
}

/// The whole is in the rows, hidden or refused; the history and the details of the rows are their totals.
fn check(model: &Model, counters: &Counters) -> Result<(), TestCaseError> {
    let counted: u64 = counters.rows.values().map(|row| row.count).sum::<u64>() + counters.other.count;
    let mut shown: HashMap<String, u64> = HashMap::new();
    for lens in lenses() {
        let table = model.table(&lens);
        prop_assert_eq!(table.rows.iter().map(|row| row.total).sum::<u64>(), table.shown);
        prop_assert_eq!(table.shown + table.benign + table.unselected, counted);
        let same = format!("{} {}", lens.benign, lens.selection);
        prop_assert_eq!(*shown.entry(same).or_insert(table.shown), table.shown, "by {:?}", lens.group);
        let books = model.books(&table);
        prop_assert_eq!(books.seen, books.shown + books.suppressed + books.filtered + books.lost);
        let keys: std::collections::HashSet<RowKey> = table.rows.iter().map(|row| row.key).collect();
        prop_assert_eq!(keys.len(), table.rows.len());
        let all = model.cases_of_rows(&table.rows, &lens, SECOND);
        for (row, of_row) in table.rows.iter().zip(all) {
            prop_assert!(row.total > 0);
            // Every interval has a second, and all of them are there.
            let sum: f64 = row.history.iter().sum();
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let total = row.total as f64;
            prop_assert!((sum - total).abs() < 1e-6, "{} of {} in {:?}", sum, row.total, lens);
            prop_assert!((row.share * table.shown as f64 - total).abs() < 1e-6);
            let detail = model.detail(row, &lens, SECOND);
            if row.name.contains("--keys") {
                continue;
            }
            let of_causes: u64 = detail.cases.iter().map(|cause| cause.total).sum();
            // No more are reported than these.
            prop_assert!(of_causes == row.total || (detail.cases.len() == 8 && of_causes < row.total));
            let causes = |detail: &crate::live::detail::RowDetail| {
                detail.cases.iter().map(|cause| (cause.kind.clone(), cause.total)).collect::<Vec<_>>()
            };
            prop_assert_eq!(causes(&detail), causes(&of_row));
        }
    }
    Ok(())
}

fn run(mut model: Model, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut describer = testing::describer();
    let mut counters = Counters::default();
    for step in steps {
        for (key, cause, port) in step.details {
            model.add(&judged(CAUSES[cause], reported(key, port)), at_port(port));
        }
        for (key, new) in step.new {
            counters.rows.entry(reported(key, 1).key).or_default().count += new;
            counters.seen += new;
        }
        counters.other.count += step.other;
        counters.filtered += step.filtered;
        counters.lost += step.lost;
        counters.seen += step.other + step.filtered + step.lost;
        model.refresh(&counters, SECOND, &mut describer);
        check(&model, &counters)?;
        model.note_survey();
        let found = step.named.into_iter().map(|(key, cause, port, culprit, weight)| {
            let group = GroupKey::new(CAUSES[cause], &reported(key, port).key, at_port(port));
            named(
                CAUSES[cause],
                WEB,
                Culprit::new(Object::Rule, format!("culprit {culprit}")),
                [(group, weight)],
            )
        });
        model.learn(found.collect(), SECOND);
        prop_assert!(!model.has_unnamed());
        check(&model, &counters)?;
        if step.reset {
            counters = Counters::default();
            model = Model::within(model.limits, 60);
        }
    }
    // What was missed is known in the end only.
    counters.add_missed(3);
    model.refresh(&counters, SECOND, &mut describer);
    model.settle_books(&counters);
    let books = model.books(&model.table(&lens(GroupBy::Cause)));
    prop_assert_eq!(books.seen, counters.seen);
    prop_assert_eq!(books.lost, counters.lost);
    prop_assert_eq!(books.seen, books.shown + books.suppressed + books.filtered + books.lost);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_drop_is_counted_exactly_once_by_every_lens(steps in steps()) {
        run(model(), steps)?;
    }

    #[test]
    fn and_also_where_there_is_no_room_to_tell_things_apart(steps in steps()) {
        run(small(4, 2), steps)?;
    }
}

#[test]
fn books_balance_even_if_the_final_counters_have_less_than_the_rows() {
    let mut model = model();
    refresh(&mut model, &[(testing::fault().key, 9)]);
    model.settle_books(&Counters { seen: 4, ..Counters::default() });
    let books = model.books(&model.table(&lens(GroupBy::Cause)));
    assert_eq!((books.seen, books.shown, books.lost), (9, 9, 0));
}

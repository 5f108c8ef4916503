//! The order of the rows. By a rate, one overtakes another only if it clearly has more: rows that change places with every
//! refresh cannot be read.

use std::{cmp::Ordering, collections::HashMap};

use crate::live::lens::{Lens, Row, RowKey, SortBy};

/// Intervals of which a row's rate is made for its place.
const SMOOTH: usize = 10;
/// A row that overtakes has so many times the rate, and a little more.
const CLEARLY: f64 = 1.25;
const A_LITTLE: f64 = 0.2;
/// More rows than these are not read one by one, and the order is exact.
const STABLE_AT_MOST: usize = 2000;

/// Puts rows in the lens's order; `before`: the order that they had.
pub(super) fn sort(rows: &mut [Row], lens: &Lens, before: &[RowKey]) {
    rows.sort_by(|a, b| compare(a, b, lens.sort));
    let is_by_rate = matches!(lens.sort, SortBy::Severity | SortBy::Rate);
    if is_by_rate && !before.is_empty() && rows.len() <= STABLE_AT_MOST {
        keep(rows, lens, before);
    }
    if lens.reversed {
        rows.reverse();
    }
}

/// As they were, new ones behind, then each forward as far as it clearly overtakes.
fn keep(rows: &mut [Row], lens: &Lens, before: &[RowKey]) {
    let mut places: HashMap<RowKey, usize> = HashMap::new();
    for (place, key) in before.iter().enumerate() {
        places.entry(*key).or_insert(place);
    }
    rows.sort_by_cached_key(|row| {
        let place = places.get(&row.key).copied();
        place.map_or(usize::MAX, |place| if lens.reversed { before.len() - place } else { place })
    });
    for index in 1..rows.len() {
        let mut at = index;
        while at > 0 && overtakes(&rows[at], &rows[at - 1], lens.sort) {
            rows.swap(at, at - 1);
            at -= 1;
        }
    }
}

fn compare(a: &Row, b: &Row, by: SortBy) -> Ordering {
    let rate = || smooth(b).total_cmp(&smooth(a));
    let first = match by {
        SortBy::Severity => b.severity.cmp(&a.severity).then_with(rate),
        SortBy::Rate => rate(),
        SortBy::Total => b.total.cmp(&a.total),
        SortBy::Name => a.name.cmp(&b.name),
    };
    first
        .then_with(|| b.total.cmp(&a.total))
        .then_with(|| a.name.cmp(&b.name))
        .then_with(|| a.key.cmp(&b.key))
}

fn overtakes(a: &Row, b: &Row, by: SortBy) -> bool {
    let faster = smooth(a) > smooth(b) * CLEARLY + A_LITTLE;
    match by {
        SortBy::Severity => a.severity > b.severity || (a.severity == b.severity && faster),
        SortBy::Rate => faster,
        SortBy::Total | SortBy::Name => false,
    }
}

/// Drops a second in the last few intervals.
fn smooth(row: &Row) -> f64 {
    let last = &row.history[row.history.len().saturating_sub(SMOOTH)..];
    #[expect(clippy::cast_precision_loss, reason = "at most ten")]
    let count = last.len().max(1) as f64;
    last.iter().sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        drops::select::Selection,
        knowledge::Severity,
        live::lens::{GroupBy, Mix},
    };

    fn row(id: u64, severity: Severity, total: u64, history: &[f64]) -> Row {
        Row {
            key: RowKey { group: GroupBy::Cause, id },
            name: format!("row {id}"),
            severity,
            cause: Mix::default(),
            culprit: Mix::default(),
            reason: Mix::default(),
            location: Mix::default(),
            netns: Mix::default(),
            total,
            exact: true,
            rate: history.last().copied().unwrap_or(0.0),
            rate_1m: 0.0,
            share: 0.0,
            history: history.to_vec(),
        }
    }

    fn lens(sort: SortBy, reversed: bool) -> Lens {
        Lens { group: GroupBy::Cause, sort, reversed, benign: false, selection: Selection::default() }
    }

    fn sorted(rows: &[Row], lens: &Lens, before: &[u64]) -> Vec<u64> {
        let before: Vec<RowKey> = before.iter().map(|id| RowKey { group: GroupBy::Cause, id: *id }).collect();
        let mut rows = rows.to_vec();
        sort(&mut rows, lens, &before);
        rows.iter().map(|row| row.key.id).collect()
    }

    #[test]
    fn the_worst_come_first_and_among_them_the_fastest() {
        let rows = [
            row(1, Severity::Policy, 9000, &[900.0]),
            row(2, Severity::Fault, 10, &[1.0]),
            row(3, Severity::Fault, 5, &[4.0]),
        ];
        assert_eq!(sorted(&rows, &lens(SortBy::Severity, false), &[]), [3, 2, 1]);
        assert_eq!(sorted(&rows, &lens(SortBy::Severity, true), &[]), [1, 2, 3]);
        assert_eq!(sorted(&rows, &lens(SortBy::Rate, false), &[]), [1, 3, 2]);
        assert_eq!(sorted(&rows, &lens(SortBy::Total, false), &[]), [1, 2, 3]);
        assert_eq!(sorted(&rows, &lens(SortBy::Name, true), &[]), [3, 2, 1]);
    }

    #[test]
    fn rows_that_are_nearly_even_keep_their_places_and_one_that_clearly_overtakes_does_not() {
        let rows = [row(1, Severity::Fault, 1, &[100.0]), row(2, Severity::Fault, 1, &[110.0])];
        for reversed in [false, true] {
            let lens = lens(SortBy::Rate, reversed);
            assert_eq!(sorted(&rows, &lens, &[1, 2]), [1, 2], "reversed: {reversed}");
            assert_eq!(sorted(&rows, &lens, &[2, 1]), [2, 1], "reversed: {reversed}");
        }
        let rows = [row(1, Severity::Fault, 1, &[100.0]), row(2, Severity::Fault, 1, &[200.0])];
        assert_eq!(sorted(&rows, &lens(SortBy::Rate, false), &[1, 2]), [2, 1]);
        assert_eq!(sorted(&rows, &lens(SortBy::Rate, true), &[2, 1]), [1, 2]);
    }

    #[test]
    fn a_fault_overtakes_a_policy_however_slow_it_is() {
        let rows = [row(1, Severity::Policy, 1, &[1e6]), row(2, Severity::Fault, 1, &[0.0])];
        assert_eq!(sorted(&rows, &lens(SortBy::Severity, false), &[1, 2]), [2, 1]);
    }

    #[test]
    fn one_quiet_second_costs_no_place() {
        let bursty = row(1, Severity::Fault, 1, &[50.0, 50.0, 50.0, 0.0]);
        let steady = row(2, Severity::Fault, 1, &[30.0, 30.0, 30.0, 30.0]);
        assert_eq!(sorted(&[bursty, steady], &lens(SortBy::Rate, false), &[1, 2]), [1, 2]);
    }

    proptest! {
        #[test]
        fn every_row_is_there_once_whatever_the_order(
            rates in proptest::collection::vec((0..4_usize, 0.0..1e6_f64), 0..50),
            before in proptest::collection::vec(0..60_u64, 0..60),
            by in 0..SortBy::ALL.len(),
            reversed in any::<bool>(),
        ) {
            let rows: Vec<Row> = (0..)
                .zip(&rates)
                .map(|(id, (severity, rate))| row(id, Severity::ALL[*severity], id, &[*rate]))
                .collect();
            let ids = sorted(&rows, &lens(SortBy::ALL[by], reversed), &before);
            let all: BTreeSet<u64> = ids.iter().copied().collect();
            prop_assert_eq!(ids.len(), rates.len());
            prop_assert_eq!(all.len(), rates.len());
        }

        #[test]
        fn without_an_order_before_it_is_exact(
            rates in proptest::collection::vec(0.0..1e6_f64, 0..50),
        ) {
            let mut rows: Vec<Row> =
                (0..).zip(&rates).map(|(id, rate)| row(id, Severity::Fault, 1, &[*rate])).collect();
            sort(&mut rows, &lens(SortBy::Rate, false), &[]);
            prop_assert!(rows.is_sorted_by(|a, b| a.rate >= b.rate));
        }
    }
}

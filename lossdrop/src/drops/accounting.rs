//! The identity that every run ends with: `seen = shown + suppressed + filtered + lost`.

use lossdrop_common::DropKey;
use serde::Serialize;

use crate::{kernel::counters::Counters, text::thousands};

/// Where every drop went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Accounting {
    pub seen: u64,
    pub shown: u64,
    /// Counted, not shown: benign noise, what was not selected, details over the ration, details behind `--count`.
    pub suppressed: u64,
    pub filtered: u64,
    pub lost: u64,
    /// Of `suppressed`: benign noise.
    #[serde(skip)]
    pub benign: u64,
    /// Of `suppressed`: what a selection by cause or severity refused.
    #[serde(skip)]
    pub unselected: u64,
}

/// What becomes of a key's drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Shown,
    /// Hidden as benign noise.
    Benign,
    /// Refused by the selection.
    Unselected,
}

impl Accounting {
    /// Balances the final counters against what was shown and what was refused of the details that came. `outcome` tells
    /// of the others, which were only counted.
    pub fn balance(
        counters: &Counters,
        shown: u64,
        refused: u64,
        mut outcome: impl FnMut(&DropKey) -> Outcome,
    ) -> Self {
        let Counters { seen, filtered, lost, ref rows, other: _ } = *counters;
        let suppressed = seen.saturating_sub(filtered + lost + shown);
        let (mut benign, mut unselected) = (0, refused);
        for (key, row) in rows {
            let counted = row.count.saturating_sub(row.lost);
            match outcome(key) {
                Outcome::Shown => {}
                Outcome::Benign => benign += counted,
                Outcome::Unselected => unselected += counted.saturating_sub(row.sent),
            }
        }
        Self { seen, shown, suppressed, filtered, lost, benign, unselected }
    }

    /// Whether the books balance. They do, unless lossdrop itself is wrong.
    pub const fn holds(&self) -> bool {
        self.seen == self.shown + self.suppressed + self.filtered + self.lost
    }
}

impl Accounting {
    /// The parts of the identity, to be joined by blanks or laid out: `seen 1,500`, `= shown 1,000`, …; the last is `lost 0`.
    pub fn terms(&self) -> [String; 5] {
        let Self { seen, shown, suppressed, filtered, lost, benign: _, unselected: _ } = *self;
        let [seen, shown, suppressed, filtered, lost] =
            [seen, shown, suppressed, filtered, lost].map(thousands);
        [
            format!("seen {seen}"),
            format!("= shown {shown}"),
            format!("+ suppressed {suppressed}"),
            format!("+ filtered {filtered} +"),
            format!("lost {lost}"),
        ]
    }
}

impl std::fmt::Display for Accounting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.terms().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::counters::Row;

    fn key(location: u64) -> DropKey {
        DropKey { location, ..DropKey::default() }
    }

    #[test]
    fn what_came_later_is_what_is_new() {
        let mut then = Counters { seen: 10, filtered: 2, lost: 1, ..Counters::default() };
        then.rows.insert(key(1), Row { count: 5, sent: 3, lost: 1 });
        then.rows.insert(key(2), Row { count: 1, sent: 1, lost: 0 });
        then.other.count = 1;
        let mut now = Counters { seen: 20, filtered: 5, lost: 2, ..then.clone() };
        now.rows.insert(key(1), Row { count: 9, sent: 4, lost: 2 });
        now.rows.insert(key(3), Row { count: 2, sent: 2, lost: 0 });
        now.other.count = 2;
        let new = now.since(&then);
        assert_eq!((new.seen, new.filtered, new.lost, new.other.count), (10, 3, 1, 1));
        assert_eq!(new.rows.len(), 2, "a key without new drops is none");
        assert_eq!(new.rows[&key(1)], Row { count: 4, sent: 1, lost: 1 });
        assert_eq!(new.rows[&key(3)], Row { count: 2, sent: 2, lost: 0 });
    }

    #[test]
    fn every_drop_is_in_exactly_one_place() {
        let mut counters = Counters { seen: 1000, filtered: 100, lost: 7, ..Counters::default() };
        counters.rows.insert(key(1), Row { count: 593, sent: 20, lost: 3 });
        counters.rows.insert(key(2), Row { count: 300, sent: 20, lost: 4 });
        counters.add_missed(5);
        counters.seen += 50;
        counters.rows.insert(key(3), Row { count: 50, sent: 20, lost: 0 });
        let books = Accounting::balance(&counters, 17, 20, |key| match key.location {
            1 => Outcome::Shown,
            2 => Outcome::Benign,
            _ => Outcome::Unselected,
        });
        let expected = Accounting {
            seen: 1055,
            shown: 17,
            suppressed: 926,
            filtered: 100,
            lost: 12,
            benign: 296,
            unselected: 50,
        };
        assert_eq!(books, expected);
        assert!(books.holds());
    }

    #[test]
    fn books_that_show_more_than_was_seen_do_not_hold() {
        let counters = Counters { seen: 1, ..Counters::default() };
        assert!(!Accounting::balance(&counters, 2, 0, |_| Outcome::Shown).holds());
    }

    proptest::proptest! {
        #[test]
        fn the_books_balance_whatever_the_kernel_counted(
            rows in proptest::collection::vec((0..1000_u64, 0..1000_u64, 0..1000_u64), 0..20),
            (filtered, missed, other) in (0..1000_u64, 0..1000_u64, 0..1000_u64),
            shown_part in 0..=100_u64,
        ) {
            let mut counters = Counters { seen: filtered + other, filtered, ..Counters::default() };
            counters.other.count = other;
            let (mut sent_and_wanted, mut refused) = (0, 0);
            for (location, (sent, lost, rationed)) in (0..).zip(rows) {
                let count = sent + lost + rationed;
                counters.rows.insert(key(location), Row { count, sent, lost });
                counters.seen += count;
                counters.lost += lost;
                sent_and_wanted += if location % 3 == 0 { sent } else { 0 };
                refused += if location % 3 == 1 { sent } else { 0 };
            }
            counters.add_missed(missed);
            let shown = sent_and_wanted * shown_part / 100;
            let books = Accounting::balance(&counters, shown, refused, |key| match key.location % 3 {
                0 => Outcome::Shown,
                1 => Outcome::Unselected,
                _ => Outcome::Benign,
            });
            proptest::prop_assert!(books.holds());
            proptest::prop_assert!(books.benign + books.unselected <= books.suppressed);
            proptest::prop_assert_eq!((books.shown, books.filtered), (shown, filtered));
        }
    }
}

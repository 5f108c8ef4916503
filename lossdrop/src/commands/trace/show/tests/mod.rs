mod runs;

use std::{cell::RefCell, rc::Rc};

use lossdrop_common::{DropKey, Event};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    capture::Needs,
    kernel::{counters::Row, layout::Layout},
    testing::{self, batch, diagnosis::block_on, fault, noise},
};

/// Keeps what it was given.
#[derive(Clone, Debug, Default)]
struct Kept(Rc<RefCell<(String, Option<Summary>)>>);

impl Sink for Kept {
    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn take(&mut self, drop: &Drop<'_>) {
        self.0.borrow_mut().0.push_str(if drop.described.benign() { "noise\n" } else { "fault\n" });
    }

    fn end(&mut self, summary: &Summary) {
        self.0.borrow_mut().1 = Some(summary.clone());
    }
}

impl Kept {
    /// A word for each drop, but for those that were asked for before.
    fn words(&self) -> String {
        std::mem::take(&mut self.0.borrow_mut().0)
    }
}

/// What the kernel counts where it sends every event and drops nothing else.
fn counted<'a>(events: impl IntoIterator<Item = &'a Event>) -> Counters {
    let mut counters = Counters::default();
    for event in events {
        counters.seen += 1;
        *counters.rows.entry(event.key).or_default() += Row { count: 1, sent: 1, lost: 0 };
    }
    counters
}

/// Shows a batch after the other.
struct Showing {
    observer: Observer,
    show: Show,
    kept: Kept,
}

fn showing(limits: Limits) -> Showing {
    let (kept, mut sinks) = (Kept::default(), Sinks::default());
    sinks.push(kept.clone());
    Showing { observer: testing::observer(), show: Show::new(limits, sinks), kept }
}

impl Showing {
    /// The words for one batch.
    fn words(&mut self, batch: &Batch) -> String {
        block_on(self.observer.observe(batch, &mut self.show));
        self.kept.words()
    }

    fn balanced(&mut self, counters: &Counters) -> Accounting {
        let summary = self.show.summary(counters, Duration::ZERO, &mut self.observer.describer);
        assert!(summary.accounting.holds(), "{summary:?}");
        summary.accounting
    }
}

#[test]
fn noise_is_hidden_unless_all_is_asked_for_and_counted_either_way() {
    let events = [fault(), noise(), noise(), fault()];
    let mut some = showing(Limits::default());
    assert_eq!(some.words(&batch(&events)), "fault\nfault\n");
    let books = some.balanced(&counted(&events));
    assert_eq!((books.seen, books.shown, books.suppressed, books.benign), (4, 2, 2, 2));
    let mut all = showing(Limits { all: true, ..Limits::default() });
    assert_eq!(all.words(&batch(&events)), "fault\nnoise\nnoise\nfault\n");
    let books = all.balanced(&counted(&events));
    assert_eq!((books.seen, books.shown, books.suppressed, books.benign), (4, 4, 0, 0));
}

#[test]
fn what_is_not_selected_is_counted_and_named_in_the_books() {
    let events = [fault(), noise(), noise(), fault()];
    let mut counters = counted(&events);
    let rationed = Row { count: 100, sent: 0, lost: 10 };
    *counters.rows.entry(fault().key).or_default() += rationed;
    counters.seen += rationed.count;
    counters.lost += rationed.lost;
    let select = |cause: &[&str], severity: &[Severity]| {
        let cause = cause.iter().map(|cause| cause.parse().expect("known")).collect();
        Limits { selection: Selection { cause, severity: severity.to_vec() }, ..Limits::default() }
    };
    for (limits, lines, [shown, suppressed, benign, unselected]) in [
        (select(&["mtu"], &[]), "", [0, 94, 2, 92]),
        (select(&["netfilter"], &[]), "fault\nfault\n", [2, 92, 2, 0]),
        (select(&[], &[Severity::Fault]), "", [0, 94, 2, 92]),
        (Limits { all: true, ..select(&[], &[Severity::Benign]) }, "noise\nnoise\n", [2, 92, 0, 92]),
        (select(&[], &[Severity::Policy, Severity::Fault]), "fault\nfault\n", [2, 92, 2, 0]),
    ] {
        let mut showing = showing(limits);
        assert_eq!(showing.words(&batch(&events)), lines);
        let books = showing.balanced(&counters);
        let found = [books.shown, books.suppressed, books.benign, books.unselected];
        assert_eq!(found, [shown, suppressed, benign, unselected]);
    }
}

#[test]
fn the_rate_holds_for_each_key_by_itself() {
    let mut showing = showing(Limits { all: true, rate: Some(2), ..Limits::default() });
    let storm = [&[fault(); 10][..], &[noise()]].concat();
    assert_eq!(showing.words(&batch(&storm)), "fault\nfault\nnoise\n");
    let later = Event { ktime_ns: fault().ktime_ns + 500_000_000, ..fault() };
    assert_eq!(showing.words(&batch(&[later; 5])), "fault\n");
    let books = showing.balanced(&counted(storm.iter().chain(&[later; 5])));
    assert_eq!((books.seen, books.shown, books.suppressed, books.benign), (16, 4, 12, 0));
}

#[test]
fn events_of_several_cpus_out_of_order_do_not_break_the_ration() {
    let mut showing = showing(Limits { rate: Some(1), ..Limits::default() });
    let at = |ktime_ns| Event { ktime_ns, ..fault() };
    let events = [5_000_000_000, 1_000_000_000, 0, u64::MAX, 0].map(at);
    assert_eq!(showing.words(&batch(&events)), "fault\nfault\n");
}

#[test]
fn an_event_that_cannot_be_decoded_is_counted_as_suppressed() {
    let mut events = batch(&[fault()]);
    events.push(b"garbage");
    events.push(&[]);
    events.push(&testing::bytes(Layout::default(), &fault(), None, &[], &[]));
    let mut showing = showing(Limits::default());
    assert_eq!(showing.words(&events), "fault\nfault\n");
    let books = showing.balanced(&counted(&[fault(); 4]));
    assert_eq!((books.shown, books.suppressed), (2, 2));
}

proptest! {
    #[test]
    fn the_books_balance_whatever_comes(
        kinds in vec(vec(0..3_u8, 0..20), 0..6),
        cause in proptest::option::of(prop_oneof![Just("netfilter"), Just("socket/closed-port")]),
        (all, rate, count) in (any::<bool>(), proptest::option::of(1..10_u32), proptest::option::of(1..30_u64)),
        (rationed, lost, filtered, missed, other) in (0..100_u64, 0..100_u64, 0..100_u64, 0..100_u64, 0..100_u64),
    ) {
        let cause = cause.map(|cause| cause.parse().expect("known"));
        let selection = Selection { cause: cause.into_iter().collect(), severity: Vec::new() };
        let mut showing = showing(Limits { all, selection, rate, count, ..Limits::default() });
        let mut counters = Counters::default();
        let mut lines = 0;
        for kinds in kinds {
            let mut batch = Batch::default();
            for kind in kinds {
                let event = if kind == 1 { noise() } else { fault() };
                let bytes = testing::bytes(Layout::default(), &event, None, &[], &[]);
                batch.push(if kind == 2 { &bytes[1..] } else { &bytes });
                counters.seen += 1;
                *counters.rows.entry(event.key).or_default() += Row { count: 1, sent: 1, lost: 0 };
            }
            lines += showing.words(&batch).lines().count() as u64;
        }
        for event in [fault(), noise()] {
            *counters.rows.entry(event.key).or_default() += Row { count: rationed + lost, sent: 0, lost };
            counters.seen += rationed + lost;
            counters.lost += lost;
        }
        counters.seen += filtered + other;
        counters.filtered = filtered;
        counters.other.count = other;
        counters.add_missed(missed);
        let books = showing.balanced(&counters);
        prop_assert_eq!((books.seen, books.shown, books.filtered), (counters.seen, lines, filtered));
        prop_assert_eq!(books.lost, 2 * lost + missed);
        prop_assert!(books.benign + books.unselected <= books.suppressed);
        prop_assert!(count.is_none_or(|count| lines <= count));
    }
}

#[test]
fn the_summary_groups_keys_by_reason_and_place() {
    let elsewhere = |event: Event| Event { key: DropKey { ifindex: 7, ..event.key }, ..event };
    let nowhere = Event { key: DropKey { location: 0x10, ..fault().key }, ..fault() };
    let events = [fault(), elsewhere(fault()), fault(), noise(), elsewhere(noise()), nowhere];
    let groups = groups(&counted(&events), &mut testing::describer());
    let reported: Vec<_> =
        groups.iter().map(|group| (group.symbol.as_str(), group.count, group.benign())).collect();
    assert_eq!(reported, [("nf_hook_slow", 3, false), ("tcp_v4_rcv", 2, true), ("0x10", 1, false)]);
}

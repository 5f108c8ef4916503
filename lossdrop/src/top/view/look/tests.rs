use super::*;

const FULL: Look = Look { theme: Theme::Dark, utf8: true };
const ASCII: Look = Look { theme: Theme::Mono, utf8: false };

#[test]
fn rates_take_six_cells_at_the_most() {
    let reported =
        [0.0, 0.04, 0.4, 9.94, 9.96, 12.3, 1204.4, 99_999.0, 120_400.0, 1_234_567.0, 45e6, 3.4e9, 2e12];
    let expected =
        ["0", "0", "0.4", "9.9", "10", "12", "1,204", "99,999", "120k", "1.2M", "45M", "3.4G", "2.0T"];
    assert_eq!(reported.map(rate), expected);
}

#[test]
fn a_share_that_is_something_is_not_nothing() {
    assert_eq!(
        [0.0, 0.000_02, 0.005, 0.006, 0.966, 1.0].map(percent),
        ["0%", "<1%", "<1%", "1%", "97%", "100%"]
    );
}

#[test]
fn spans_are_reported_in_the_unit_that_suits() {
    assert_eq!([8.0, 2.5, 119.0, 150.0, 7200.0].map(span), ["8 s", "2.5 s", "119 s", "2.5 min", "2 h"]);
}

#[test]
fn only_nothing_is_drawn_as_nothing() {
    assert_eq!(FULL.spark(&[0.0, 0.01, 4.0, 8.0], 8), " ▁▄█");
    assert_eq!(ASCII.spark(&[0.0, 0.01, 3.5, 7.0], 8), " .=#");
    assert_eq!(FULL.spark(&[8.0, 1.0, 1.0], 2), "▁▁");
    assert_eq!(FULL.spark(&[], 2), "");
}

#[test]
fn text_is_cut_by_cells_and_the_cut_is_marked() {
    assert_eq!(FULL.fit("netfilter rule", 14), "netfilter rule");
    assert_eq!(FULL.fit("netfilter rule", 13), "netfilter ru…");
    assert_eq!(ASCII.fit("netfilter rule", 13), "netfilter ru~");
    assert_eq!(FULL.fit("漢字漢字", 6), "漢字…");
    assert_eq!(FULL.fit("x", 0), "");
}

#[test]
fn what_is_not_ascii_has_a_stand_in() {
    assert_eq!(ASCII.clean("a → b · ≤ 漢 ö \x1b"), "a -> b - <= ?? ? ?");
    assert_eq!(FULL.clean("a → b ö \x1b"), "a → b ö ?");
}

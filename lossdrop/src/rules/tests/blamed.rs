//! Who is to blame, by matches and by counters.

use super::*;
use crate::knowledge::{Family, Hook};

fn candidate(handle: u64, sure: bool, delta: Option<u64>) -> Candidate {
    Candidate {
        what: What::Rule {
            position: 1,
            handle: Some(handle),
            text: "drop".to_owned(),
            verdict: Verdict::Drop,
            element: None,
            by_chance: false,
            ct_invalid: false,
        },
        api: Api::Nft,
        family: Family::Inet,
        table: "lab".to_owned(),
        chain: "input".to_owned(),
        hook: Hook::Input,
        path: Vec::new(),
        sure,
        delta,
        exact: delta.is_some(),
        tool: "nft".to_owned(),
    }
}

fn shares(blame: &Blame) -> Vec<(String, u64, Certainty)> {
    let share = |culprit: &Culprit| {
        let name = culprit.candidate.name();
        (name.rsplit(' ').next().expect("a handle").to_owned(), culprit.count, culprit.certainty)
    };
    blame.culprits.iter().map(share).collect()
}

#[test]
fn one_candidate_with_a_fitting_counter_or_a_sure_match_is_certain() {
    for (sure, delta, certainty) in [
        (false, Some(5), Certainty::Certain),
        (true, Some(9), Certainty::Certain),
        (true, None, Certainty::Certain),
        (false, None, Certainty::Likely),
        (true, Some(3), Certainty::Likely),
    ] {
        let blame = blame(&[(vec![candidate(1, sure, delta)], 5)], 5);
        assert_eq!(shares(&blame), [("1".to_owned(), 5, certainty)], "{sure} {delta:?}");
        assert_eq!((blame.undecided.len(), blame.unexplained), (0, 0));
    }
}

#[test]
fn a_rule_whose_counter_stood_still_is_out() {
    let both = vec![candidate(1, false, Some(0)), candidate(2, true, Some(5))];
    assert_eq!(shares(&blame(&[(both, 5)], 5)), [("2".to_owned(), 5, Certainty::Certain)]);
}

#[test]
fn counters_that_add_up_split_the_packets() {
    let both = vec![candidate(1, false, Some(2)), candidate(2, true, Some(3))];
    let expected = [("2".to_owned(), 3, Certainty::Certain), ("1".to_owned(), 2, Certainty::Certain)];
    assert_eq!(shares(&blame(&[(both, 5)], 5)), expected);
}

#[test]
fn the_one_without_a_counter_gets_what_the_others_leave() {
    let both = vec![candidate(1, false, Some(2)), candidate(2, true, None)];
    let expected = [("2".to_owned(), 3, Certainty::Likely), ("1".to_owned(), 2, Certainty::Certain)];
    assert_eq!(shares(&blame(&[(both, 5)], 5)), expected);
}

#[test]
fn what_is_known_of_some_packets_tells_about_the_others() {
    let alone = vec![candidate(1, true, Some(4))];
    let both = vec![candidate(1, false, Some(4)), candidate(2, true, Some(6))];
    let expected = [("2".to_owned(), 6, Certainty::Certain), ("1".to_owned(), 4, Certainty::Certain)];
    assert_eq!(shares(&blame(&[(both, 6), (alone, 4)], 10)), expected);
}

#[test]
fn what_nothing_tells_apart_stays_undecided() {
    let both = vec![candidate(1, false, None), candidate(2, true, None)];
    let blame = blame(&[(both, 5)], 5);
    assert!(blame.culprits.is_empty());
    assert_eq!((blame.undecided[0].candidates.len(), blame.undecided[0].count), (2, 5));
}

#[test]
fn packets_without_candidates_are_unexplained_and_samples_speak_for_all() {
    assert_eq!(blame(&[(Vec::new(), 2)], 7).unexplained, 7);
    assert_eq!(blame(&[], 7).unexplained, 7);
    let one = blame(&[(vec![candidate(1, true, Some(70))], 2)], 70);
    assert_eq!(shares(&one), [("1".to_owned(), 70, Certainty::Certain)]);
}

proptest::proptest! {
    #[test]
    fn no_packet_is_lost_or_made_up(
        sampled in proptest::collection::vec(
            (proptest::collection::btree_map(0_u64..4, (proptest::bool::ANY, proptest::option::of(0_u64..9)), 0..4), 1_u64..9),
            0..6,
        ),
        more in 0_u64..9,
    ) {
        let sampled: Vec<(Vec<Candidate>, u64)> = sampled
            .into_iter()
            .map(|(candidates, count)| {
                let candidates = candidates.into_iter().map(|(handle, (sure, delta))| candidate(handle, sure, delta));
                (candidates.collect(), count)
            })
            .collect();
        let total = sampled.iter().map(|(_, count)| count).sum::<u64>() + more;
        let blame = blame(&sampled, total);
        let blamed: u64 = blame.culprits.iter().map(|culprit| culprit.count).sum();
        let undecided: u64 = blame.undecided.iter().map(|undecided| undecided.count).sum();
        proptest::prop_assert_eq!(blamed + undecided + blame.unexplained, total);
        proptest::prop_assert!(blame.undecided.iter().all(|undecided| undecided.candidates.len() > 1));
    }
}

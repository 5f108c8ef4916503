//! How many packets each candidate dropped, by what the packets match and by what the counters counted.

use super::{
    candidates::{Candidate, What},
    model::Verdict,
};

/// How sure a share of the blame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Certainty {
    /// Nothing else fits, but a condition of it could not be checked.
    Likely,
    /// Nothing else fits, and its counter or its conditions do.
    Certain,
}

/// A rule or policy with what it dropped.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Culprit {
    /// Which one.
    pub candidate: Candidate,
    /// Packets it dropped.
    pub count: u64,
    /// How sure that is.
    pub certainty: Certainty,
    /// Why, as a sentence without a full stop.
    pub why: String,
}

/// Packets of which each was dropped by one of these, and nothing says by which.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Undecided {
    /// In the order in which the kernel asks them; never fewer than two.
    pub candidates: Vec<Candidate>,
    /// Packets.
    pub count: u64,
}

/// Who dropped what. All counts together are the packets that were to be explained.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Blame {
    /// By count, the greatest first.
    pub culprits: Vec<Culprit>,
    /// What could not be kept apart.
    pub undecided: Vec<Undecided>,
    /// Packets that no rule and no policy that was read may have dropped.
    pub unexplained: u64,
}

/// Candidates by number, and how many packets have exactly these.
struct Group {
    candidates: Vec<usize>,
    count: u64,
}

/// What is known of a candidate so far.
struct Share {
    candidate: Candidate,
    count: u64,
    /// Counters distinguish it from others.
    by_counters: bool,
}

impl Share {
    /// What its counter counted and is not accounted for yet; `None` without one.
    fn left(&self) -> Option<u64> {
        Some(self.candidate.delta?.saturating_sub(self.count))
    }
}

/// Judges packets that were dropped between the two readings: the candidates of each sampled packet with how many
/// packets it stands for, of `total` in all.
pub(crate) fn blame(sampled: &[(Vec<Candidate>, u64)], total: u64) -> Blame {
    let (mut shares, mut groups) = group(sampled);
    let mut unexplained: u64 =
        groups.iter().filter(|group| group.candidates.is_empty()).map(|group| group.count).sum();
    groups.retain(|group| !group.candidates.is_empty());
    stand_for_all(&shares, &mut groups, &mut unexplained, total);
    for group in &mut groups {
        leave_out_what_counted_nothing(&shares, group);
    }
    while settle_one(&mut shares, &mut groups) {}
    let undecided = groups.into_iter().map(|group| Undecided {
        candidates: group.candidates.iter().map(|at| shares[*at].candidate.clone()).collect(),
        count: group.count,
    });
    let undecided = undecided.collect();
    let mut culprits: Vec<Culprit> = shares.into_iter().filter(|share| share.count > 0).map(judged).collect();
    culprits.sort_by_key(|culprit| std::cmp::Reverse(culprit.count));
    Blame { culprits, undecided, unexplained }
}

/// Packets of the same candidates together.
fn group(sampled: &[(Vec<Candidate>, u64)]) -> (Vec<Share>, Vec<Group>) {
    let (mut shares, mut groups): (Vec<Share>, Vec<Group>) = (Vec::new(), Vec::new());
    for (candidates, count) in sampled {
        let mut numbers = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let known = shares.iter().position(|share| share.candidate.is(candidate));
            let number = known.unwrap_or(shares.len());
            match known {
                Some(known) => shares[known].candidate.sure &= candidate.sure,
                None => {
                    shares.push(Share { candidate: candidate.clone(), count: 0, by_counters: false });
                }
            }
            numbers.push(number);
        }
        match groups.iter_mut().find(|group| group.candidates == numbers) {
            Some(group) => group.count += count,
            None => groups.push(Group { candidates: numbers, count: *count }),
        }
    }
    (shares, groups)
}

/// Packets that were dropped but not sampled. Where all samples tell the same, they speak for these as well.
fn stand_for_all(shares: &[Share], groups: &mut Vec<Group>, unexplained: &mut u64, total: u64) {
    let sampled: u64 = groups.iter().map(|group| group.count).sum::<u64>() + *unexplained;
    let rest = total.saturating_sub(sampled);
    if rest == 0 {
        return;
    }
    match groups.as_mut_slice() {
        [] => *unexplained += rest,
        [only] if *unexplained == 0 => only.count += rest,
        _ => groups.push(Group { candidates: (0..shares.len()).collect(), count: rest }),
    }
}

/// Unless none would be left: then the packets came after the second reading.
fn leave_out_what_counted_nothing(shares: &[Share], group: &mut Group) {
    let moved = |at: &usize| shares[*at].candidate.delta != Some(0);
    if group.candidates.iter().any(moved) {
        group.candidates.retain(moved);
    }
}

/// Gives one group's packets to who dropped them, if that is known by now.
fn settle_one(shares: &mut [Share], groups: &mut Vec<Group>) -> bool {
    if let Some(at) = groups.iter().position(|group| group.candidates.len() == 1) {
        let group = groups.swap_remove(at);
        shares[group.candidates[0]].count += group.count;
        return true;
    }
    let Some((at, split)) =
        groups.iter().enumerate().find_map(|(at, group)| Some((at, split(shares, group)?)))
    else {
        return false;
    };
    groups.swap_remove(at);
    for (candidate, count) in split {
        shares[candidate].count += count;
        shares[candidate].by_counters = true;
    }
    true
}

/// By what the counters have left. At the most one candidate may lack a counter of its own: it gets the rest.
fn split(shares: &[Share], group: &Group) -> Option<Vec<(usize, u64)>> {
    let (counted, uncounted): (Vec<usize>, Vec<usize>) = group
        .candidates
        .iter()
        .partition(|at| shares[**at].candidate.exact && shares[**at].candidate.delta.is_some());
    let left: Vec<(usize, u64)> =
        counted.iter().map(|at| (*at, shares[*at].left().unwrap_or_default())).collect();
    let sum: u64 = left.iter().map(|(_, left)| left).sum();
    let with_some: Vec<(usize, u64)> = left.iter().copied().filter(|(_, left)| *left > 0).collect();
    match (uncounted.as_slice(), with_some.as_slice()) {
        // The only one whose counter moved for packets that no other accounts for.
        ([], [(only, left)]) if *left >= group.count => Some(vec![(*only, group.count)]),
        ([], _) if sum == group.count => Some(with_some),
        ([rest], _) if sum <= group.count => {
            let mut split = with_some.clone();
            split.push((*rest, group.count - sum));
            Some(split)
        }
        _ => None,
    }
}

fn judged(share: Share) -> Culprit {
    let Share { candidate, count, by_counters } = share;
    let judges_itself = match &candidate.what {
        What::Rule { verdict, .. } => !matches!(verdict, Verdict::Unknown(_)),
        What::Policy => true,
    };
    let (certainty, why) = match candidate.delta {
        Some(delta) if delta >= count && candidate.exact && judges_itself => {
            (Certainty::Certain, format!("its counter rose by {delta}, and {count} were dropped"))
        }
        Some(delta) if delta >= count => {
            (Certainty::Likely, format!("its counter, which counts others as well, rose by {delta}"))
        }
        Some(delta) => (
            Certainty::Likely,
            format!("nothing else matches, but its counter rose by {delta} only for {count} packets dropped"),
        ),
        None if by_counters => (
            Certainty::Likely,
            "the counters of the other rules that match leave these packets to it".to_owned(),
        ),
        None if candidate.sure => {
            (Certainty::Certain, "the packets match it and nothing before it".to_owned())
        }
        None => (
            Certainty::Likely,
            "nothing else may have dropped the packets, though not all of its conditions could be checked"
                .to_owned(),
        ),
    };
    Culprit { candidate, count, certainty, why }
}

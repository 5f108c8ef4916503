//! Shares numbers out by weights, so that the parts are whole, their sums are kept, and none is favoured in the long run.

/// Weights, and what each has had so far.
#[derive(Clone, Debug)]
pub(crate) struct Sharer {
    weights: Vec<u64>,
    given: Vec<u64>,
    total: u64,
}

impl Sharer {
    pub(crate) fn new(weights: impl IntoIterator<Item = u64>) -> Self {
        let weights: Vec<u64> = weights.into_iter().collect();
        Self { given: vec![0; weights.len()], weights, total: 0 }
    }

    /// The parts of `count`, whose sum it is; none where there are no weights.
    pub(crate) fn share(&mut self, count: u64) -> Vec<u64> {
        let sum: u128 = self.weights.iter().map(|weight| u128::from(*weight)).sum();
        if sum == 0 {
            let mut parts = vec![0; self.weights.len()];
            if let Some(first) = parts.first_mut() {
                *first = count;
            }
            return parts;
        }
        self.total = self.total.saturating_add(count);
        let mut left = count;
        // What each should have had by now, less what it had: rounded down, never more than there is.
        let due = |weight: u64, given: u64| {
            let target = u128::from(self.total) * u128::from(weight) / sum;
            u64::try_from(target).unwrap_or(u64::MAX).saturating_sub(given)
        };
        let mut parts: Vec<u64> = Vec::with_capacity(self.weights.len());
        for (weight, given) in self.weights.iter().zip(&self.given) {
            let part = due(*weight, *given).min(left);
            left -= part;
            parts.push(part);
        }
        // Rounding leaves less than one for each that is behind: those furthest behind come first, so that none ever has
        // one more than its due, and all have theirs when the whole has been shared.
        let behind = |index: usize| {
            let due = u128::from(self.total) * u128::from(self.weights[index]);
            let had = u128::from(self.given[index] + parts[index]).saturating_mul(sum);
            due.checked_sub(had).filter(|by| *by > 0)
        };
        let mut late: Vec<(std::cmp::Reverse<u128>, usize)> = (0..parts.len())
            .filter(|_| left > 0)
            .filter_map(|index| Some((std::cmp::Reverse(behind(index)?), index)))
            .collect();
        late.sort_unstable();
        for (_, index) in late {
            if left > 0 {
                parts[index] += 1;
                left -= 1;
            }
        }
        if let Some(index) = self.weights.iter().position(|weight| *weight > 0) {
            parts[index] += left;
        }
        for (given, part) in self.given.iter_mut().zip(&parts) {
            *given += part;
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn many_small_numbers_are_shared_as_their_sum_is() {
        let mut sharer = Sharer::new([3, 1]);
        let mut sums = [0, 0];
        for _ in 0..400 {
            let parts = sharer.share(1);
            sums = [sums[0] + parts[0], sums[1] + parts[1]];
        }
        assert_eq!(sums, [300, 100]);
    }

    #[test]
    fn what_has_no_weight_gets_nothing() {
        assert_eq!(Sharer::new([0, 5]).share(7), [0, 7]);
        assert_eq!(Sharer::new([0, 0]).share(7), [7, 0]);
        assert!(Sharer::new([]).share(7).is_empty());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_invented(
            weights in proptest::collection::vec(0..1_000_000_u64, 1..20),
            counts in proptest::collection::vec(0..1_000_000_000_u64, 1..20),
        ) {
            let mut sharer = Sharer::new(weights.clone());
            for count in &counts {
                prop_assert_eq!(sharer.share(*count).iter().sum::<u64>(), *count);
            }
            // None has one more than its due, and so many together lack no more than the others have too much.
            let (sum, total) = (weights.iter().sum::<u64>(), counts.iter().sum::<u64>());
            for (weight, given) in weights.iter().zip(&sharer.given) {
                if sum > 0 {
                    let due = u128::from(total) * u128::from(*weight) / u128::from(sum);
                    prop_assert!(u128::from(*given) <= due + 1);
                    prop_assert!(u128::from(*given) + weights.len() as u128 >= due);
                }
            }
        }

        #[test]
        fn when_the_whole_has_been_shared_everyone_has_his_weight(
            weights in proptest::collection::vec(0..50_u64, 1..20),
            cuts in proptest::collection::vec(1..40_u64, 1..40),
        ) {
            let mut sharer = Sharer::new(weights.clone());
            let mut left: u64 = weights.iter().sum();
            let mut sums = vec![0; weights.len()];
            for cut in cuts.iter().cycle() {
                if left == 0 {
                    break;
                }
                for (sum, part) in sums.iter_mut().zip(sharer.share(left.min(*cut))) {
                    *sum += part;
                }
                left -= left.min(*cut);
            }
            prop_assert_eq!(sums, weights);
        }
    }
}

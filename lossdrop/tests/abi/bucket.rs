//! The token bucket, used as the kernel side and the pipeline use it: refilled when it is empty.

use lossdrop_common::{RATE_UNLIMITED, counters::refill};
use proptest::{collection::vec, prelude::*};

const SECOND: u64 = 1_000_000_000;

struct Bucket {
    rate: u64,
    tokens: u32,
    refilled_ns: u64,
}

impl Bucket {
    fn full(rate: u32, now_ns: u64) -> Self {
        Self { rate: rate.into(), tokens: rate, refilled_ns: now_ns }
    }

    fn take(&mut self, now_ns: u64) -> bool {
        if self.tokens == 0 {
            (self.tokens, self.refilled_ns) = refill(self.rate, self.refilled_ns, now_ns);
        }
        let taken = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        taken
    }
}

proptest! {
    #[test]
    fn no_second_yields_more_than_its_rate_and_the_savings_of_two(
        rate in 1..50_u32, steps in vec(0..40_000_000_u64, 1..2000)
    ) {
        let mut bucket = Bucket::full(rate, 0);
        let mut now = 0;
        let mut taken = Vec::new();
        for step in steps {
            now += step;
            if bucket.take(now) {
                taken.push(now);
            }
        }
        // What is in the bucket, what a refill brings for the time before, and what the second itself brings.
        let most = 3 * rate as usize;
        for (index, start) in taken.iter().enumerate() {
            let within = taken[index..].iter().take_while(|at| **at < start + SECOND).count();
            prop_assert!(within <= most, "{within} from {start} on, at {rate} a second");
        }
    }

    #[test]
    fn a_steady_stream_gets_its_rate_without_losing_fractions(rate in 1..1000_u32, step in 1..1_000_000_u64) {
        let mut bucket = Bucket { rate: rate.into(), tokens: 0, refilled_ns: 0 };
        let (mut now, mut taken) = (0, 0_u64);
        while now < 3 * SECOND && now / step < 10_000 {
            now += step;
            taken += u64::from(bucket.take(now));
        }
        // Every look finds at most one token: what the looks allow, or what the time has brought.
        let earned = now * u64::from(rate) / SECOND;
        let looks = now / step;
        // A refill rounds the time down to whole nanoseconds, which adds up to less than one token here.
        prop_assert!(taken <= earned + 1);
        prop_assert!(taken + 1 >= earned.min(looks), "{taken} of {earned} in {now} ns");
    }

    #[test]
    fn tokens_are_accounted_for_up_to_now_and_no_further(
        rate in prop_oneof![0..2000_u64, any::<u64>()], refilled in any::<u64>(), elapsed in 0..3 * SECOND
    ) {
        let refilled = refilled.min(u64::MAX - 3 * SECOND);
        let now = refilled + elapsed;
        let (tokens, until) = refill(rate, refilled, now);
        prop_assert!((refilled..=now).contains(&until));
        prop_assert!(u64::from(tokens) <= rate);
        prop_assert!(tokens > 0 || until == refilled || rate == 0, "a fraction is lost");
        prop_assert!(rate == 0 || elapsed < SECOND || tokens > 0);
    }

    #[test]
    fn the_whole_range_of_numbers_neither_panics_nor_turns_the_clock_back(
        rate in any::<u64>(), refilled in any::<u64>(), now in any::<u64>()
    ) {
        let (tokens, until) = refill(rate, refilled, now);
        prop_assert!(until >= refilled);
        if now <= refilled {
            prop_assert_eq!((tokens, until), (0, refilled));
        }
    }
}

#[test]
fn a_rate_of_zero_never_yields() {
    for elapsed in [0, 1, SECOND - 1, SECOND, 100 * SECOND] {
        assert_eq!(refill(0, 5, 5 + elapsed).0, 0);
    }
}

#[test]
fn a_long_pause_yields_one_second_s_worth() {
    assert_eq!(refill(100, 7, 7 + 3600 * SECOND), (100, 7 + 3600 * SECOND));
    assert_eq!(refill(100, 7, 7 + SECOND), (100, 7 + SECOND));
    assert_eq!(refill(100, 7, 7 + SECOND - 1), (99, 7 + 990_000_000));
}

#[test]
fn half_a_token_is_kept_for_the_next_look() {
    assert_eq!(refill(10, 0, 99_999_999), (0, 0));
    assert_eq!(refill(10, 0, 150_000_000), (1, 100_000_000));
    assert_eq!(refill(10, 100_000_000, 200_000_000), (1, 200_000_000));
}

#[test]
fn huge_rates_fill_the_bucket_to_its_brim() {
    for rate in [u64::from(u32::MAX), u64::from(u32::MAX) + 1, RATE_UNLIMITED] {
        assert_eq!(refill(rate, 0, SECOND), (u32::MAX, SECOND));
        assert_eq!(refill(rate, 0, SECOND - 1).0, u32::MAX - 5);
    }
}

#[test]
fn a_clock_that_goes_backwards_yields_nothing_and_costs_nothing() {
    let mut bucket = Bucket::full(1, 10 * SECOND);
    assert!(bucket.take(10 * SECOND));
    assert!(!bucket.take(9 * SECOND));
    assert!(!bucket.take(0));
    assert!(bucket.take(11 * SECOND));
}

use lossdrop_common::{FilterKinds, LenRange, MarkMatch};
use proptest::prelude::*;

#[test]
fn kinds_of_filter_are_bits_in_their_order() {
    let mut active = FilterKinds::default();
    for (bit, &kind) in FilterKinds::ALL.iter().enumerate() {
        assert_eq!(kind.0, 1 << bit);
        assert!(!active.has(kind));
        active.add(kind);
        assert!(active.has(kind));
    }
}

#[test]
fn a_mark_is_looked_at_under_the_mask_alone() {
    let low_byte = MarkMatch { value: 0x05, mask: 0xff };
    assert!(low_byte.takes(0x05) && low_byte.takes(0xffff_ff05));
    assert!(!low_byte.takes(0x15) && !low_byte.takes(0));
    let unmarked = MarkMatch { value: 0, mask: u32::MAX };
    assert!(unmarked.takes(0) && !unmarked.takes(1 << 31));
}

proptest! {
    #[test]
    fn a_mark_differs_by_the_bits_of_the_mask(mark: u32, mask: u32, bit in 0..32_u32) {
        let value = MarkMatch { value: mark & mask, mask };
        prop_assert!(value.takes(mark));
        prop_assert_eq!(value.takes(mark ^ 1 << bit), mask & 1 << bit == 0);
    }

    #[test]
    fn both_ends_belong_to_a_range_of_lengths(first in 1..u32::MAX, more: u32) {
        let last = first.saturating_add(more).min(u32::MAX - 1);
        let range = LenRange { first, last };
        prop_assert!(range.takes(first) && range.takes(last) && range.takes(first.midpoint(last)));
        prop_assert!(!range.takes(first - 1) && !range.takes(last + 1));
    }
}

//! The exact counters: each CPU finds its row of the key by itself, without helper calls or atomics. Nobody else
//! writes the row: programs do not migrate, and `Totals::depth` keeps an interrupt's run of the program out.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    helpers::generated::{bpf_jiffies64, bpf_ktime_get_ns},
    macros::map,
    maps::Array,
};
use lossdrop_common::{DropKey, PROBES, RATE_UNLIMITED, Slot, counters::refill};

use crate::config::config;

/// Rows of every CPU, one CPU after the other: `Config::slots` keyed ones, then the `other` row.
#[map]
static SLOTS: Array<Slot> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Counts the drop and returns its row: the key's, or the CPU's `other` row where the table has no room.
#[inline(always)]
pub(crate) fn count(cpu: u32, key: &DropKey) -> Option<*mut Slot> {
    let slots = config!(slots);
    let first = cpu * (slots + 1);
    let home = key.hash();
    let mut probe = 0;
    while probe < PROBES {
        let slot = SLOTS.get_ptr_mut(first + (home.wrapping_add(probe) & (slots - 1)))?;
        // SAFETY: an element of the map, which only this CPU writes.
        let row = unsafe { &mut *slot };
        if row.count == 0 {
            row.key = *key;
            fill_bucket(row);
            row.count = 1;
            return Some(slot);
        }
        if row.key.same(key) {
            row.count += 1;
            return Some(slot);
        }
        probe += 1;
    }
    let slot = SLOTS.get_ptr_mut(first + slots)?;
    // SAFETY: as above.
    let row = unsafe { &mut *slot };
    if row.count == 0 {
        fill_bucket(row);
    }
    row.count += 1;
    Some(slot)
}

/// A new key may send a second's worth at once.
#[inline(always)]
fn fill_bucket(row: &mut Slot) {
    row.tokens = u32::try_from(config!(rate)).unwrap_or(u32::MAX);
    // SAFETY: a helper without arguments.
    row.refilled_ns = unsafe { bpf_ktime_get_ns() };
}

/// Whether the row's bucket has a token for a detail event; takes it.
///
/// The clock is asked only when the bucket is empty, and then once a jiffy: under a storm it costs nothing.
#[inline(always)]
pub(crate) fn take_token(row: &mut Slot) -> bool {
    let rate = config!(rate);
    if rate == RATE_UNLIMITED {
        return true;
    }
    if row.tokens == 0 {
        // SAFETY: a helper without arguments.
        let jiffy = unsafe { bpf_jiffies64() } as u32;
        if row.jiffy == jiffy {
            return false;
        }
        row.jiffy = jiffy;
        // SAFETY: a helper without arguments.
        let now = unsafe { bpf_ktime_get_ns() };
        (row.tokens, row.refilled_ns) = refill(rate, row.refilled_ns, now);
        if row.tokens == 0 {
            return false;
        }
    }
    row.tokens -= 1;
    true
}

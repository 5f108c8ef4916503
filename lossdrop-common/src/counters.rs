//! The exact counters: one table of rows a CPU, which user space reads through a shared mapping.

use crate::DropKey;

/// Rows that a key may be found in, counted from the one that its hash names. A key that finds them all taken is
/// counted in the CPU's `other` row.
pub const PROBES: u32 = 16;

/// A row: how often a key was dropped on one CPU. Free while `count` is 0. One cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(8))]
pub struct Slot {
    pub key: DropKey,
    /// Drops that passed the filter.
    pub count: u64,
    /// Of `count`: detail events handed to the ring buffer.
    pub sent: u64,
    /// Of `count`: detail events that the ring buffer had no room for.
    pub lost: u64,
    /// `CLOCK_MONOTONIC` of the last refill of the bucket, in nanoseconds.
    pub refilled_ns: u64,
    /// What is left in the bucket.
    pub tokens: u32,
    /// The low half of `jiffies` at the last look at the clock.
    pub jiffy: u32,
}

/// One CPU's totals. One cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Totals {
    /// Drops that the program was called for.
    pub seen: u64,
    /// Of `seen`: refused by a filter.
    pub filtered: u64,
    /// Of `seen`: came while the program was already running on this CPU (an interrupt); neither filtered nor
    /// keyed, and counted as lost. Kernels since 6.2 do not call the program then and count for themselves
    /// (`bpf_prog_info.recursion_misses`).
    pub nested: u64,
    /// How deep the program is in itself right now.
    pub depth: u64,
    pub _pad: [u64; 4],
}

/// Fills an empty token bucket: the tokens that have come in since `refilled_ns` at `rate` a second, at most a second's
/// worth (and, for a rate of at least 1, never less than 1 after a second), and the time up to which they are
/// accounted for.
#[inline(always)]
pub const fn refill(rate: u64, refilled_ns: u64, now_ns: u64) -> (u32, u64) {
    const SECOND: u64 = 1_000_000_000;
    let elapsed = now_ns.saturating_sub(refilled_ns);
    if elapsed >= SECOND {
        return (if rate > u32::MAX as u64 { u32::MAX } else { rate as u32 }, now_ns);
    }
    // Below 2^32 * 10^9, which fits.
    let rate = if rate > u32::MAX as u64 { u32::MAX as u64 } else { rate };
    let tokens = elapsed * rate / SECOND;
    // Without the check for a rate of 0, the division could panic, which BPF has no way to.
    if tokens == 0 || rate == 0 {
        return (0, refilled_ns);
    }
    (tokens as u32, refilled_ns + tokens * SECOND / rate)
}

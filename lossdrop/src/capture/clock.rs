//! The clocks: the kernel counts from its start, people from 1970.

use nix::time::{ClockId, clock_gettime};

/// From the kernel's time to the time of day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// `CLOCK_REALTIME` less `CLOCK_MONOTONIC`.
    offset_ns: i128,
}

impl Clock {
    /// The machine's, as it is now.
    pub fn now() -> Self {
        Self { offset_ns: unix_ns() - read(ClockId::CLOCK_MONOTONIC) }
    }

    /// One whose kernel started so many nanoseconds after 1970.
    pub const fn started_at(offset_ns: i128) -> Self {
        Self { offset_ns }
    }

    /// A time of the kernel's in nanoseconds since 1970, UTC.
    pub fn unix_ns(self, ktime_ns: u64) -> i128 {
        i128::from(ktime_ns) + self.offset_ns
    }
}

/// Now, in nanoseconds since 1970.
pub fn unix_ns() -> i128 {
    read(ClockId::CLOCK_REALTIME)
}

fn read(clock: ClockId) -> i128 {
    clock_gettime(clock)
        .map_or(0, |time| i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec()))
}

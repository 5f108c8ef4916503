//! Reads the ring buffer of detail events.
//!
//! Waking a sleeper costs the dropping CPU ten times the event itself. So, while drops flow, the reader looks by
//! itself, on a timer, and the kernel side wakes no reader; only when nothing has come for a while does it ask to be woken.

use std::time::Duration;

use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    counters::Mapping,
    error::{Error, Result},
};

/// How often the reader looks while drops flow.
pub const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Looks in vain before the reader asks to be woken.
const IDLE_LOOKS: u32 = 20;
/// An event that is written just while the reader goes to sleep wakes no reader; it is found after this time at the latest.
const SLEEP_AT_MOST: Duration = Duration::from_millis(50);

/// The reader's end of the ring buffer.
#[derive(Debug)]
pub struct Ring {
    events: AsyncFd<Debugged<RingBuf<MapData>>>,
    asleep: Mapping<u32>,
    idle_looks: u32,
}

/// `RingBuf` has no `Debug`.
struct Debugged<T>(T);

impl<T> std::fmt::Debug for Debugged<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RingBuf")
    }
}

impl std::os::fd::AsRawFd for Debugged<RingBuf<MapData>> {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

impl Ring {
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self> {
        let asleep = Mapping::new(ebpf, "ASLEEP", 1)?;
        let map = ebpf.take_map("EVENTS").ok_or(Error::Bytecode { missing: "EVENTS" })?;
        let events = Debugged(RingBuf::try_from(map)?);
        // SAFETY: the descriptor is the map's own, which the ring buffer keeps open as long as it lives.
        let events = unsafe { AsyncFd::register_with_interest(events, Interest::READABLE) }
            .map_err(|error| Error::Map { name: "EVENTS", source: error.into() })?;
        Ok(Self { events, asleep, idle_looks: 0 })
    }
}

impl Ring {
    /// Hands out events until there are no more or `take` wants none; true if there was one.
    pub fn read(&mut self, mut take: impl FnMut(&[u8]) -> bool) -> bool {
        // A wait that was given up half-way has not said so.
        self.asleep.set(0, 0);
        let ring = &mut self.events.get_mut().0;
        let mut had_events = false;
        while let Some(event) = ring.next() {
            had_events = true;
            if !take(&event) {
                break;
            }
        }
        if had_events {
            self.idle_looks = 0;
        }
        had_events
    }

    /// Waits until there may be something to read. While drops flow they gather for so long. Nothing is lost if the caller
    /// stops waiting.
    pub async fn wait(&mut self, gather: Duration) {
        if self.idle_looks < IDLE_LOOKS {
            self.idle_looks += 1;
            let pause = if self.idle_looks == 1 { gather } else { LOOK_EVERY };
            tokio::time::sleep(pause).await;
            return;
        }
        self.asleep.set(0, 1);
        if let Ok(Ok(mut ready)) = tokio::time::timeout(SLEEP_AT_MOST, self.events.readable()).await {
            ready.clear_ready();
            self.idle_looks = 0;
        }
        self.asleep.set(0, 0);
    }
}

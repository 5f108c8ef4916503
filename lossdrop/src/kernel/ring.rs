//! Reads the ring buffer of detail events.
//!
//! Waking a sleeper costs the dropping CPU ten times the event itself. So, while drops flow, the reader looks by
//! itself, on a timer, and the kernel side wakes nobody; only when nothing has come for a while does it ask to be woken.

use std::time::Duration;

use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use tokio::io::{Interest, unix::AsyncFd};

use super::counters::Mapping;
use crate::{
    error::{Error, Result},
    source::{Batch, Source},
};

/// How often the reader looks while drops flow.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Looks in vain before the reader asks to be woken.
const IDLE_LOOKS: u32 = 20;
/// An event that is written just while the reader goes to sleep wakes nobody; it is found after this time at the latest.
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

impl Source for Ring {
    fn read(&mut self, batch: &mut Batch) -> bool {
        batch.clear();
        let ring = &mut self.events.get_mut().0;
        while !batch.is_full() {
            let Some(event) = ring.next() else { break };
            batch.push(&event);
        }
        !batch.is_empty()
    }

    async fn wait(&mut self, had_events: bool) {
        if had_events {
            self.idle_looks = 0;
        }
        if self.idle_looks < IDLE_LOOKS {
            self.idle_looks += 1;
            tokio::time::sleep(LOOK_EVERY).await;
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

//! Events are collected from before the first survey until after the last, so that no counter counts a drop that was not
//! traced.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    pin::pin,
    time::{Duration, Instant},
};

use super::collect::{Collected, Collector};
use crate::{
    capture::{AT_ONCE, Batch, Capture, Next},
    drops::Observer,
    kernel::counters::Counters,
    text::thousands,
};

/// How often the progress is reported.
const PROGRESS: Duration = Duration::from_secs(1);

/// Drops on their way from the kernel into groups.
#[derive(Debug)]
pub(crate) struct Watch {
    capture: Capture,
    observer: Observer,
    collector: Collector,
    batch: Batch,
}

impl Watch {
    pub(crate) fn new(capture: Capture, observer: Observer, collector: Collector) -> Self {
        Self { capture, observer, collector, batch: Batch::default() }
    }

    /// Collects until `end` is ready; `progress` tells how far it is.
    pub(crate) async fn until<T>(&mut self, end: impl Future<Output = T>, progress: Option<Progress>) -> T {
        let mut end = pin!(end);
        let mut ticks = tokio::time::interval(PROGRESS);
        let ended = loop {
            tokio::select! {
                biased;
                ended = &mut end => break ended,
                _ = ticks.tick() => {
                    self.capture.tick();
                    if let Some(progress) = &progress {
                        progress.tell(self.capture.counters().seen);
                    }
                }
                next = self.capture.next(&mut self.batch, AT_ONCE) => if next == Next::Drops {
                    self.observer.observe(&self.batch, &mut self.collector).await;
                }
            }
        };
        if let Some(progress) = progress {
            progress.clear();
        }
        ended
    }

    /// Ends the capture, and takes in what is still to be read.
    pub(crate) async fn finish(mut self) -> (Counters, Collected) {
        let counters = self.capture.stop();
        while self.capture.read(&mut self.batch) {
            self.observer.observe(&self.batch, &mut self.collector).await;
        }
        let collected = self.collector.finish(&counters, &mut self.observer.describer);
        (counters, collected)
    }
}

/// A line on a terminal that says how far it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    start: Instant,
    duration: Duration,
    shown: bool,
}

impl Progress {
    pub(crate) fn new(duration: Duration) -> Self {
        Self { start: Instant::now(), duration, shown: stderr().is_terminal() }
    }

    fn tell(&self, seen: u64) {
        if self.shown {
            // Best effort: stderr may be closed.
            let _ = write!(
                stderr(),
                "\r\x1b[Klossdrop: {} s of {} s, {} drops seen (Ctrl-C ends it now)",
                self.start.elapsed().as_secs(),
                self.duration.as_secs(),
                thousands(seen)
            );
        }
    }

    fn clear(&self) {
        if self.shown {
            // As above.
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests;

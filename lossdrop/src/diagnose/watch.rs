//! Events are collected from before the first survey until after the last, so that no counter counts a drop that was not
//! traced.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    pin::pin,
    time::{Duration, Instant},
};

use super::collect::Collector;
use crate::{
    accounting::Counters,
    output::text::thousands,
    source::{Batch, Source},
    trace::Watched,
};

/// How often the progress is told.
const PROGRESS: Duration = Duration::from_secs(1);

/// Drops on their way from the kernel into groups.
#[derive(Debug)]
pub struct Watch<S, W> {
    source: S,
    watched: W,
    pub collector: Collector,
    batch: Batch,
}

impl<S: Source, W: Watched> Watch<S, W> {
    pub fn new(source: S, watched: W, collector: Collector) -> Self {
        Self { source, watched, collector, batch: Batch::default() }
    }

    /// Collects until `end` is ready; `progress` tells how far it is.
    pub async fn until<T>(&mut self, end: impl Future<Output = T>, progress: Option<Progress>) -> T {
        let mut end = pin!(end);
        let mut ticks = tokio::time::interval(PROGRESS);
        let ended = loop {
            let had_events = self.source.read(&mut self.batch);
            if had_events {
                self.collector.process(&self.batch).await;
            }
            tokio::select! {
                biased;
                ended = &mut end => break ended,
                _ = ticks.tick() => {
                    self.watched.tick();
                    if let Some(progress) = &progress {
                        progress.tell(self.watched.counters().seen);
                    }
                }
                () = self.source.wait(had_events) => {}
            }
        };
        if let Some(progress) = progress {
            progress.clear();
        }
        ended
    }

    /// Takes the program off, and what is left in the ring buffer in.
    pub async fn finish(mut self) -> (Counters, Collector) {
        let counters = self.watched.stop();
        while self.source.read(&mut self.batch) {
            self.collector.process(&self.batch).await;
        }
        (counters, self.collector)
    }
}

/// A line on a terminal that says how far it is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    start: Instant,
    duration: Duration,
    shown: bool,
}

impl Progress {
    pub fn new(duration: Duration) -> Self {
        Self { start: Instant::now(), duration, shown: stderr().is_terminal() }
    }

    fn tell(&self, seen: u64) {
        if self.shown {
            // Nobody needs to read it.
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

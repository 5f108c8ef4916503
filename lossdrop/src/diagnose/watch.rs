//! The time between the two surveys: events are collected until something ends it.

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

/// Collects until `duration` has passed or `stop` is ready. Returns the final counters and how long it took.
pub async fn watch<S: Source>(
    mut source: S,
    watched: &mut impl Watched,
    collector: &mut Collector,
    duration: Duration,
    stop: impl Future<Output = ()>,
) -> (Counters, Duration) {
    let start = Instant::now();
    let progress = Progress { start, duration, shown: stderr().is_terminal() };
    let mut stop = pin!(stop);
    let mut end = pin!(tokio::time::sleep(duration));
    let mut ticks = tokio::time::interval(PROGRESS);
    let mut batch = Batch::default();
    loop {
        let had_events = source.read(&mut batch);
        if had_events {
            collector.process(&batch).await;
        }
        tokio::select! {
            biased;
            () = &mut stop => break,
            () = &mut end => break,
            _ = ticks.tick() => {
                watched.tick();
                progress.tell(watched.counters().seen);
            }
            () = source.wait(had_events) => {}
        }
    }
    let counters = watched.stop();
    while source.read(&mut batch) {
        collector.process(&batch).await;
    }
    progress.clear();
    (counters, start.elapsed())
}

/// A line on a terminal that says how far it is.
struct Progress {
    start: Instant,
    duration: Duration,
    shown: bool,
}

impl Progress {
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

//! What is shown of the drops, and when that ends.

use std::{
    collections::HashMap,
    pin::pin,
    time::{Duration, Instant},
};

use log::{debug, info, warn};
use lossdrop_common::Event;

use crate::{
    capture::{AT_ONCE, Batch, Capture, Next},
    drops::{
        Drop, Observer, Reader,
        accounting::{Accounting, Outcome},
        describe::{Described, Describer},
        ration::Buckets,
        select::Selection,
    },
    error::Result,
    kernel::counters::Counters,
    knowledge::{Kind, Severity},
    output::{Group, Sink, Sinks, Summary},
};

/// What is shown, and when it ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    /// Show benign noise, too.
    pub(super) all: bool,
    /// Show only these verdicts.
    pub(super) selection: Selection,
    /// Lines a second for each key; `None` for no limit. The kernel rations each CPU; this holds for all together.
    pub(super) rate: Option<u32>,
    /// End after so many lines.
    pub(super) count: Option<u64>,
    /// End after this time.
    pub(super) duration: Option<Duration>,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Signal,
    Count,
    Duration,
    /// Our output has no reader any more.
    PipeClosed,
    /// The capture has no more drops.
    Over,
}

/// Hands the drops that are to be shown to the sinks, and counts them.
#[derive(Debug)]
pub(super) struct Show {
    limits: Limits,
    sinks: Sinks,
    shown: u64,
    /// Details that the selection refused.
    refused: u64,
    buckets: Option<Buckets>,
}

impl Show {
    pub(super) fn new(limits: Limits, sinks: Sinks) -> Self {
        let buckets = limits.rate.map(Buckets::new);
        Self { limits, sinks, shown: 0, refused: 0, buckets }
    }

    /// So many lines were written as `--count` asks for.
    fn is_full(&self) -> bool {
        self.limits.count.is_some_and(|count| self.shown >= count)
    }

    fn hides(&self, described: &Described) -> bool {
        !self.limits.all && described.benign()
    }

    /// What becomes of drops that are only counted.
    fn outcome(&self, described: &Described) -> Outcome {
        if self.hides(described) {
            Outcome::Benign
        } else if self.limits.selection.takes(&described.assessment) {
            Outcome::Shown
        } else {
            Outcome::Unselected
        }
    }

    /// Balances the books.
    fn summary(&self, counters: &Counters, elapsed: Duration, describer: &mut Describer) -> Summary {
        let accounting = Accounting::balance(counters, self.shown, self.refused, |key| {
            self.outcome(&describer.describe(key))
        });
        let groups = groups(counters, describer);
        Summary { accounting, elapsed, groups, other: counters.other.count }
    }
}

/// What was counted, by reason, kind and place.
fn groups(counters: &Counters, describer: &mut Describer) -> Vec<Group> {
    let mut groups: HashMap<(Option<String>, String, &Kind, Severity), Group> = HashMap::new();
    for (key, row) in &counters.rows {
        let described = describer.describe(key);
        let symbol = described.symbol.clone().unwrap_or_else(|| described.location.clone());
        groups
            .entry((
                described.reason.clone(),
                symbol.clone(),
                described.assessment.kind,
                described.assessment.severity,
            ))
            .or_insert_with(|| Group {
                reason: described.reason.clone(),
                symbol,
                kind: described.assessment.kind,
                severity: described.assessment.severity,
                meaning: described.meaning,
                count: 0,
            })
            .count += row.count;
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by(|a, b| {
        b.count.cmp(&a.count).then_with(|| (&a.reason, &a.symbol).cmp(&(&b.reason, &b.symbol)))
    });
    groups
}

impl Reader for Show {
    fn wants(&mut self, _event: &Event, described: &Described) -> bool {
        !self.hides(described)
    }

    fn takes(&mut self, drop: &Drop<'_>) -> bool {
        if !self.limits.selection.takes(&drop.verdict.assessment) {
            self.refused += 1;
            return false;
        }
        let event = &drop.event;
        self.buckets.as_mut().is_none_or(|buckets| buckets.take(&event.key, event.ktime_ns))
    }

    fn read(&mut self, drop: &Drop<'_>) {
        if !self.is_full() {
            self.sinks.take(drop);
            self.shown += 1;
        }
    }
}

/// Runs until something ends it, then shows what is left and the summary.
pub(super) async fn run(
    capture: &mut Capture,
    observer: &mut Observer,
    show: &mut Show,
    stop: impl Future<Output = ()>,
) -> Result<End> {
    /// How often the kernel's counters are looked at for losses.
    const CHECK_LOSSES: Duration = Duration::from_secs(1);
    let start = Instant::now();
    let mut stop = pin!(stop);
    let duration = show.limits.duration;
    let mut deadline = pin!(async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    });
    let mut checks = tokio::time::interval(CHECK_LOSSES);
    let mut batch = Batch::default();
    let mut lost = 0;
    show.sinks.begin();
    let end = loop {
        // While a sink is behind, drops wait in the ring buffer, which counts what it has no room for.
        let is_ready = show.sinks.offer();
        if show.is_full() {
            break End::Count;
        }
        if show.sinks.is_closed() {
            break End::PipeClosed;
        }
        tokio::select! {
            biased;
            () = &mut stop => break End::Signal,
            () = &mut deadline => break End::Duration,
            _ = checks.tick() => {
                capture.tick();
                let now = capture.counters().lost;
                if now > lost {
                    warn!("{now} details lost so far: the ring buffer was full (--buffer makes it larger)");
                }
                lost = now;
            }
            next = capture.next(&mut batch, AT_ONCE), if is_ready => match next {
                Next::Drops => observer.observe(&batch, show).await,
                Next::Nothing => {}
                Next::End => break End::Over,
            },
            () = tokio::time::sleep(AT_ONCE), if !is_ready => {}
        }
    };
    debug!("ending: {end:?}");
    let counters = capture.stop();
    while capture.read(&mut batch) {
        observer.observe(&batch, show).await;
    }
    let summary = show.summary(&counters, start.elapsed(), &mut observer.describer);
    info!("{}", summary.accounting);
    show.sinks.end(&summary);
    match show.sinks.close() {
        Err(error) if error.is_reader_gone() => Ok(End::PipeClosed),
        // A disk that is full ends the run like a reader who is gone, and is an error.
        closed => closed.map(|()| end),
    }
}

#[cfg(test)]
mod tests;

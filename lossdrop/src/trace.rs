//! `lossdrop trace`: events in, lines out, and the books at the end.

use std::{
    collections::HashMap,
    io::{self, Write},
    os::fd::AsFd,
    pin::pin,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use log::{debug, info, warn};
use lossdrop_common::{DropKey, Event, counters::refill, event::bytes_of};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{
    accounting::{Accounting, Counters, Fate},
    decode::{Decoded, Layout},
    describe::{Described, Describer},
    error::{Error, Result},
    judge::{Seen, judge},
    knowledge::{Kind, Severity},
    output::{DropView, Group, Output, Summary},
    resolve::Resolver,
    sanitize::sanitize_bytes,
    select::Selection,
    source::{Batch, Source},
    verdict::Verdict,
};

/// What is shown, and when it ends.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Show benign noise, too.
    pub all: bool,
    /// Show only these verdicts.
    pub selection: Selection,
    /// Show the stack: it may be in an event for the sake of a verdict alone.
    pub stack: bool,
    /// Lines a second for each key; `None` for no limit. The kernel rations each CPU; this holds for all together.
    pub rate: Option<u32>,
    /// End after so many lines.
    pub count: Option<u64>,
    /// End after this time.
    pub duration: Option<Duration>,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Signal,
    Count,
    Duration,
    /// Nobody reads our output any more.
    PipeClosed,
}

/// Buckets at which all begin anew: more keys than the kernel's table usually holds.
const BUCKETS_AT_MOST: usize = 65_536;

/// From events to lines.
#[derive(Debug)]
pub struct Pipeline<O> {
    pub describer: Describer,
    resolver: Resolver,
    output: O,
    layout: Layout,
    limits: Limits,
    shown: u64,
    /// Details that the selection refused.
    refused: u64,
    buckets: HashMap<DropKey, (u32, u64)>,
    /// `CLOCK_REALTIME` less `CLOCK_MONOTONIC`.
    clock_offset_ns: i128,
}

impl<O: Output> Pipeline<O> {
    pub fn new(describer: Describer, output: O, layout: Layout, limits: Limits) -> Self {
        Self {
            describer,
            resolver: Resolver::default(),
            output,
            layout,
            limits,
            shown: 0,
            refused: 0,
            buckets: HashMap::new(),
            clock_offset_ns: clock_offset_ns(),
        }
    }

    /// So many lines were written as `--count` asks for.
    fn is_full(&self) -> bool {
        self.limits.count.is_some_and(|count| self.shown >= count)
    }

    /// Writes the lines of a batch.
    pub async fn process(&mut self, batch: &Batch, out: &mut Vec<u8>) {
        self.clock_offset_ns = clock_offset_ns();
        let mut events = Vec::with_capacity(batch.len());
        for bytes in batch.iter() {
            match self.layout.decode(bytes) {
                Ok(decoded) => events.extend(self.judge(&decoded).map(|verdict| (decoded, verdict))),
                Err(error) => warn!("{error}"),
            }
        }
        let own = events.iter().map(|(decoded, _)| (decoded.event.key.netns, decoded.event.socket_ino));
        let peers = events.iter().filter_map(|(decoded, _)| Some((decoded.facts()?.peer.netns, 0)));
        self.resolver.prepare(own.chain(peers)).await;
        for (decoded, verdict) in &events {
            if self.is_full() {
                break;
            }
            self.show(decoded, verdict, out);
        }
    }

    /// The verdict on a drop that is to be shown.
    fn judge(&mut self, decoded: &Decoded<'_>) -> Option<Verdict> {
        let event = &decoded.event;
        self.describer.keep_up(decoded.stack());
        let described = self.describer.describe(&event.key);
        if self.hides(&described) {
            return None;
        }
        let facts = decoded.facts();
        let frames = self.describer.frames(decoded.stack());
        let verdict = judge(
            &described,
            &Seen { event, facts: facts.as_ref(), frames: &frames, packet: decoded.packet },
        );
        if !self.limits.selection.takes(&verdict) {
            self.refused += 1;
            return None;
        }
        self.is_within_ration(event).then_some(verdict)
    }

    fn hides(&self, described: &Described) -> bool {
        !self.limits.all && described.benign()
    }

    fn is_within_ration(&mut self, event: &Event) -> bool {
        let Some(rate) = self.limits.rate else { return true };
        if self.buckets.len() >= BUCKETS_AT_MOST {
            self.buckets.clear();
        }
        let (tokens, refilled_ns) = self.buckets.entry(event.key).or_insert((rate, event.ktime_ns));
        if *tokens == 0 {
            (*tokens, *refilled_ns) = refill(rate.into(), *refilled_ns, event.ktime_ns);
        }
        let wanted = *tokens > 0;
        *tokens = tokens.saturating_sub(1);
        wanted
    }

    fn show(&mut self, decoded: &Decoded<'_>, verdict: &Verdict, out: &mut Vec<u8>) {
        let event = &decoded.event;
        let described = self.describer.describe(&event.key);
        let ifname = bytes_of(event.ifname);
        let facts = decoded.facts();
        let stack = self.limits.stack.then(|| self.describer.stack(decoded.stack()));
        let view = DropView {
            event,
            unix_ns: i128::from(event.ktime_ns) + self.clock_offset_ns,
            described: &described,
            verdict,
            netns: self.resolver.netns(event.key.netns),
            iface: &sanitize_bytes(&ifname),
            owner: self.resolver.owner(event.socket_ino),
            stack: stack.as_deref(),
            facts: facts.as_ref(),
            peer_netns: facts.and_then(|facts| self.resolver.netns(facts.peer.netns)),
            packet: decoded.packet,
        };
        self.output.drop(&view, out);
        self.shown += 1;
    }

    /// What becomes of drops that are only counted.
    fn fate(&mut self, key: &DropKey) -> Fate {
        let described = self.describer.describe(key);
        if self.hides(&described) {
            Fate::Benign
        } else if self.limits.selection.takes(&Verdict::of(&described)) {
            Fate::Shown
        } else {
            Fate::Unselected
        }
    }

    /// Balances the books and writes the summary.
    pub fn finish(&mut self, counters: &Counters, elapsed: Duration, out: &mut Vec<u8>) -> Accounting {
        let (shown, refused) = (self.shown, self.refused);
        let accounting = Accounting::balance(counters, shown, refused, |key| self.fate(key));
        let mut groups: HashMap<(Option<String>, String, &Kind, Severity), Group> = HashMap::new();
        for (key, row) in &counters.rows {
            let described = self.describer.describe(key);
            let symbol = described.symbol.clone().unwrap_or_else(|| described.location.clone());
            groups
                .entry((described.reason.clone(), symbol.clone(), described.kind, described.severity))
                .or_insert_with(|| Group {
                    reason: described.reason.clone(),
                    symbol,
                    kind: described.kind,
                    severity: described.severity,
                    meaning: described.meaning,
                    count: 0,
                })
                .count += row.count;
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_by(|a, b| {
            b.count.cmp(&a.count).then_with(|| (&a.reason, &a.symbol).cmp(&(&b.reason, &b.symbol)))
        });
        self.output.end(&Summary { accounting, elapsed, groups, other: counters.other.count }, out);
        accounting
    }

    pub fn begin(&mut self, out: &mut Vec<u8>) {
        self.output.begin(out);
    }
}

/// The kernel's side of a run, as the run sees it.
pub trait Watched {
    /// Takes the program off and returns the final counters.
    fn stop(&mut self) -> Counters;
    /// The counters so far.
    fn counters(&mut self) -> Counters;
    /// Called now and then.
    fn tick(&mut self) {}
}

/// Runs until something ends it, then writes what is left and the summary.
pub async fn run<S: Source, O: Output>(
    mut source: S,
    watched: &mut impl Watched,
    pipeline: &mut Pipeline<O>,
    writer: &mut Writer,
    stop: impl Future<Output = ()>,
) -> Result<End> {
    /// How often the kernel's counters are looked at for losses.
    const CHECK_LOSSES: Duration = Duration::from_secs(1);
    let start = Instant::now();
    let mut stop = pin!(stop);
    let duration = pipeline.limits.duration;
    let mut deadline = pin!(async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    });
    let mut checks = tokio::time::interval(CHECK_LOSSES);
    let mut batch = Batch::default();
    let mut out = Vec::new();
    let mut lost = 0;
    pipeline.begin(&mut out);
    let end = loop {
        // While the writer is behind, events wait in the ring buffer, which counts what it has no room for.
        let had_events = writer.offer(&mut out) && source.read(&mut batch);
        if had_events {
            pipeline.process(&batch, &mut out).await;
            writer.offer(&mut out);
        }
        if pipeline.is_full() {
            break End::Count;
        }
        if writer.is_closed() {
            break End::PipeClosed;
        }
        tokio::select! {
            biased;
            () = &mut stop => break End::Signal,
            () = &mut deadline => break End::Duration,
            _ = checks.tick() => {
                watched.tick();
                let now = watched.counters().lost;
                if now > lost {
                    warn!("{now} details lost so far: the ring buffer was full (--buffer makes it larger)");
                }
                lost = now;
            }
            () = source.wait(had_events) => {}
        }
    };
    debug!("ending: {end:?}");
    let counters = watched.stop();
    while source.read(&mut batch) {
        if end != End::PipeClosed {
            pipeline.process(&batch, &mut out).await;
        }
    }
    let books = pipeline.finish(&counters, start.elapsed(), &mut out);
    info!("{books}");
    match writer.close(out) {
        // A disk that is full ends the run like a reader who is gone, and is an error.
        Err(_) if end == End::PipeClosed && reader_is_gone(io::stdout()) => Ok(end),
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(End::PipeClosed),
        Err(error) => Err(error),
        Ok(()) => Ok(end),
    }
}

/// Writes to the output on a thread of its own, so that a reader who is slow or gone never keeps us from ending.
#[derive(Debug)]
pub struct Writer {
    buffers: Option<SyncSender<Vec<u8>>>,
    result: Receiver<io::Result<()>>,
    thread: Option<JoinHandle<()>>,
    failed: Option<io::Error>,
}

/// Buffers that may wait for the writer.
const WAITING: usize = 4;
/// How long a reader may take for the last lines.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Writer {
    pub fn new(mut output: impl Write + Send + 'static) -> Self {
        let (buffers, incoming) = sync_channel::<Vec<u8>>(WAITING);
        let (outcome, result) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            let written = incoming.into_iter().try_for_each(|buffer| {
                output.write_all(&buffer)?;
                output.flush()
            });
            // Nobody listens only when the run is over.
            let _ = outcome.send(written);
        });
        Self { buffers: Some(buffers), result, thread: Some(thread), failed: None }
    }

    /// Hands the buffer over if there is room; true if it is empty afterwards.
    pub(crate) fn offer(&mut self, buffer: &mut Vec<u8>) -> bool {
        if buffer.is_empty() {
            return true;
        }
        let Some(buffers) = &self.buffers else { return false };
        match buffers.try_send(std::mem::take(buffer)) {
            Ok(()) => true,
            Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => {
                *buffer = back;
                false
            }
        }
    }

    /// The output failed, or nobody reads it any more.
    pub(crate) fn is_closed(&mut self) -> bool {
        if let Ok(Err(error)) = self.result.try_recv() {
            self.failed = Some(error);
        }
        self.failed.is_some() || reader_is_gone(io::stdout().as_fd())
    }

    /// Writes the last buffer and waits for the end, but not for a reader who has stopped reading.
    pub(crate) fn close(&mut self, mut last: Vec<u8>) -> Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error.into());
        }
        let deadline = Instant::now() + LAST_WORDS;
        while !self.offer(&mut last) {
            if let Ok(Err(error)) = self.result.try_recv() {
                return Err(error.into());
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(
                    "whoever reads the output has stopped reading; the end is lost",
                )
                .into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.buffers = None;
        match self.result.recv_timeout(LAST_WORDS) {
            Ok(result) => {
                if let Some(thread) = self.thread.take() {
                    // It has sent its result, its last act.
                    let _ = thread.join();
                }
                Ok(result?)
            }
            Err(_) => {
                Err(io::Error::other("whoever reads the output has stopped reading; the end is lost").into())
            }
        }
    }
}

/// A pipe without a reader says so before anything is written to it.
fn reader_is_gone(output: impl AsFd) -> bool {
    let mut fds = [PollFd::new(output.as_fd(), PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
        && fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR))
}

/// Now, in nanoseconds since 1970.
pub(crate) fn unix_ns() -> i128 {
    read_clock(nix::time::ClockId::CLOCK_REALTIME)
}

pub(crate) fn clock_offset_ns() -> i128 {
    unix_ns() - read_clock(nix::time::ClockId::CLOCK_MONOTONIC)
}

fn read_clock(clock: nix::time::ClockId) -> i128 {
    nix::time::clock_gettime(clock)
        .map_or(0, |time| i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec()))
}

#[cfg(test)]
mod tests;

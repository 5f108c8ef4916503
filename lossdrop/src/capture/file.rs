//! Drops recorded earlier: events as they crossed the ring buffer, with the names of the kernel that wrote them. No
//! privilege is needed to read them.

use std::{collections::VecDeque, fs, io::BufReader, path::Path};

use lossdrop_common::DropKey;

use super::{Batch, Clock};
use crate::{
    error::{Error, Result},
    kernel::{
        Names,
        counters::{Counters, Row},
        layout::Layout,
        reasons::Reasons,
        symbols::Symbols,
    },
};

/// A recording: batches, and what the kernel had counted when each was read.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    names: Names,
    steps: VecDeque<(Batch, Counters)>,
    /// Of the batches that were handed out.
    counters: Counters,
    /// At the end of it all.
    last: Counters,
}

impl Recording {
    /// One without drops.
    pub fn new(names: Names) -> Self {
        Self { names, ..Self::default() }
    }

    /// Adds a batch, and what the kernel has counted in all when it is read.
    pub fn push(&mut self, batch: Batch, counters: Counters) {
        self.last = counters.clone();
        self.steps.push_back((batch, counters));
    }

    /// What the kernel had counted at the end.
    pub fn end(&mut self, counters: Counters) {
        self.last = counters;
    }

    /// Reads a folder: `layout` (bytes of facts, stack and packet in an event), `0.event`, `1.event`, … each in the order of
    /// the numbers, `reasons` (`NUMBER NAME` a line), `kallsyms` in the kernel's format, and `clock` (nanoseconds from 1970 to
    /// the kernel's start).
    pub fn open(folder: &Path) -> Result<Self> {
        let broken = |why: String| Error::Recording { path: folder.to_owned(), why };
        let text = |name: &str| {
            fs::read_to_string(folder.join(name)).map_err(|error| broken(format!("{name}: {error}")))
        };
        let numbers: Vec<i128> = text("layout")?
            .split_whitespace()
            .chain(text("clock")?.split_whitespace())
            .map(|word| word.parse().map_err(|_| broken(format!("{word:?} is no number"))))
            .collect::<Result<_>>()?;
        let [facts, stack_bytes, snaplen, offset_ns] = numbers[..] else {
            return Err(broken("layout wants three numbers and clock one".to_owned()));
        };
        let bytes = |number: i128| {
            usize::try_from(number).map_err(|_| broken(format!("{number} is no number of bytes")))
        };
        let layout = Layout {
            facts: facts != 0,
            stack_bytes: bytes(stack_bytes)?,
            snaplen: bytes(snaplen)?,
            withheld: 0,
        };
        let mut recording =
            Self::new(Names { reasons: reasons(&text("reasons")?), symbols: symbols(folder)?.into() });
        let mut batch = Batch::new(layout, Clock::started_at(offset_ns));
        while let Ok(event) = fs::read(folder.join(format!("{}.event", batch.len()))) {
            batch.push(&event);
        }
        let counters = counted(&batch);
        recording.push(batch, counters);
        Ok(recording)
    }

    /// Changes what has been counted by now.
    #[cfg(test)]
    pub(crate) fn count(&mut self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.counters);
        self.last = self.counters.clone();
    }

    pub(super) fn is_over(&self) -> bool {
        self.steps.is_empty()
    }

    pub(super) fn names(&self) -> Names {
        self.names.clone()
    }

    pub(super) fn read(&mut self, batch: &mut Batch) -> bool {
        match self.steps.pop_front() {
            Some((recorded, counters)) => {
                (*batch, self.counters) = (recorded, counters);
                true
            }
            None => {
                batch.begin(Layout::default(), Clock::default());
                false
            }
        }
    }

    pub(super) fn counters(&self) -> Counters {
        self.counters.clone()
    }

    pub(super) fn stop(&mut self) -> Counters {
        self.last.clone()
    }
}

/// What a kernel counts that sends each of these and drops nothing else.
fn counted(batch: &Batch) -> Counters {
    let mut counters = Counters::default();
    for key in batch.iter().filter_map(key) {
        counters.seen += 1;
        *counters.rows.entry(key).or_default() += Row { count: 1, sent: 1, lost: 0 };
    }
    counters
}

/// An event begins with its key.
fn key(event: &[u8]) -> Option<DropKey> {
    let (location, rest) = event.split_first_chunk()?;
    let (reason, rest) = rest.split_first_chunk()?;
    let (netns, rest) = rest.split_first_chunk()?;
    let (ifindex, rest) = rest.split_first_chunk()?;
    let [l3, l4, shape @ ..] = rest.first_chunk::<4>()?;
    let [reason, netns, ifindex] = [reason, netns, ifindex].map(|word| u32::from_ne_bytes(*word));
    let (location, shape) = (u64::from_ne_bytes(*location), u16::from_ne_bytes(*shape));
    Some(DropKey { location, reason, netns, ifindex, l3: *l3, l4: *l4, shape })
}

/// Lines of a number and a name.
fn reasons(text: &str) -> Option<Reasons> {
    let lines = text.lines().filter_map(|line| {
        let (number, name) = line.split_once(' ')?;
        Some((number.parse().ok()?, name.to_owned()))
    });
    Some(Reasons::from_names(lines)).filter(|reasons| !reasons.is_empty())
}

fn symbols(folder: &Path) -> Result<Symbols> {
    let path = folder.join("kallsyms");
    let broken = |error: std::io::Error| Error::Recording { path: path.clone(), why: error.to_string() };
    Symbols::read(BufReader::new(fs::File::open(&path).map_err(broken)?)).map_err(broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capture::{AT_ONCE, Capture, Next},
        testing::{self, diagnosis::block_on},
    };

    fn batch(event: &[u8]) -> Batch {
        let mut batch = Batch::default();
        batch.push(event);
        batch
    }

    #[test]
    fn a_recording_is_handed_out_batch_by_batch_with_its_counters_then_nothing() {
        let seen = |seen| Counters { seen, ..Counters::default() };
        let mut recording = Recording::default();
        recording.push(batch(b"a"), seen(1));
        recording.push(batch(b"b"), seen(5));
        let mut capture = Capture::from(recording);
        assert_eq!(capture.counters(), Counters::default());
        let mut read = Batch::default();
        for (event, counted) in [(b"a", 1), (b"b", 5)] {
            assert_eq!(block_on(capture.next(&mut read, AT_ONCE)), Next::Drops);
            assert_eq!(read.iter().collect::<Vec<_>>(), [event]);
            assert_eq!(capture.counters(), seen(counted));
        }
        assert_eq!(block_on(capture.next(&mut read, AT_ONCE)), Next::End);
        assert!(!capture.read(&mut read) && read.is_empty());
        assert_eq!(capture.stop(), seen(5));
    }

    #[test]
    fn the_drops_recorded_for_the_tests_are_counted_by_their_keys() {
        let mut capture = Capture::from(testing::recording());
        let mut batch = Batch::default();
        assert!(capture.read(&mut batch));
        assert_eq!(batch.iter().collect::<Vec<_>>(), testing::RECORDED);
        assert_eq!(batch.layout, testing::RECORDED_LAYOUT);
        let counters = capture.stop();
        assert_eq!((counters.seen, counters.counted(), counters.lost), (5, 5, 0));
        let names = capture.names();
        assert!(names.reasons.is_some_and(|reasons| reasons.len() == 2) && names.symbols.len() > 10);
    }

    #[test]
    fn what_is_no_recording_is_reported_in_a_sentence() {
        let error = Recording::open(Path::new("/no/such/folder")).expect_err("there is none").to_string();
        assert!(error.starts_with("/no/such/folder is no recording: layout: "), "{error}");
    }
}

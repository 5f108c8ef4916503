//! What came in each of the last intervals, by unit: any grouping's history is a sum of it.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::Sharer;

/// A refresh's worth of drops.
#[derive(Clone, Debug)]
pub(super) struct Interval {
    pub(super) span: Duration,
    /// New drops by the unit's index.
    pub(super) parts: Vec<(u32, u64)>,
    /// New drops for whose key the kernel's table had no room.
    pub(super) other: u64,
}

impl Interval {
    /// Never 0, so that a rate is a number.
    pub(super) fn seconds(&self) -> f64 {
        self.span.as_secs_f64().max(1e-3)
    }
}

/// The last intervals, the latest last.
#[derive(Clone, Debug)]
pub(super) struct History {
    intervals: VecDeque<Interval>,
    at_most: usize,
}

impl History {
    pub(super) fn new(at_most: usize) -> Self {
        Self { intervals: VecDeque::new(), at_most: at_most.max(1) }
    }

    pub(super) fn push(&mut self, span: Duration, parts: Vec<(u32, u64)>, other: u64) {
        if self.intervals.len() >= self.at_most {
            self.intervals.pop_front();
        }
        self.intervals.push_back(Interval { span, parts, other });
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Interval> + ExactSizeIterator {
        self.intervals.iter()
    }

    /// Drops of units have got another case: they are in these units now, by these weights.
    pub(super) fn settle(&mut self, moved: &HashMap<u32, Vec<(u32, u64)>>) {
        // One for all intervals: their parts are together what the units got.
        let mut sharers: HashMap<u32, Sharer> = HashMap::new();
        for interval in &mut self.intervals {
            if interval.parts.iter().all(|(unit, _)| !moved.contains_key(unit)) {
                continue;
            }
            let parts = std::mem::take(&mut interval.parts);
            for (unit, count) in parts {
                let Some(to) = moved.get(&unit).filter(|to| !to.is_empty()) else {
                    interval.parts.push((unit, count));
                    continue;
                };
                let sharer =
                    sharers.entry(unit).or_insert_with(|| Sharer::new(to.iter().map(|(_, weight)| *weight)));
                let shared = to.iter().map(|(unit, _)| *unit).zip(sharer.share(count));
                interval.parts.extend(shared.filter(|(_, count)| *count > 0));
            }
        }
    }
}

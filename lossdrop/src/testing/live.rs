//! Drops for the live view, made up: as the observer makes them, as the kernel counts them, as a search names them.

use std::time::Duration;

use lossdrop_common::{DropKey, Event};

use super::{
    diagnosis::{UDP, event, finding, verdict},
    dropped,
};
use crate::{
    diagnose::{build::Named, finding::Culprit, group::GroupKey},
    drops::{Drop, select::Selection},
    kernel::counters::{Counters, Row},
    knowledge::{Assessment, Confidence, Kind},
    live::lens::{GroupBy, Lens, SortBy},
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A datagram to a port in a namespace; drops at different locations have different keys.
pub(crate) fn datagram(netns: u32, location: u64, port: u16) -> Event {
    let event = event(netns, UDP, port, 60);
    Event { key: DropKey { location: 0xffff_0000_0000_1000 + location, ..event.key }, ..event }
}

/// A drop with this verdict.
pub(crate) fn judged(kind: &'static Kind, event: Event) -> Drop<'static> {
    Drop { verdict: verdict(kind), ..dropped(&event) }
}

/// What the kernel has counted, with nothing filtered or lost.
pub(crate) fn counters(rows: impl IntoIterator<Item = (DropKey, u64)>) -> Counters {
    let mut counters = Counters::default();
    for (key, count) in rows {
        counters.seen += count;
        *counters.rows.entry(key).or_default() += Row { count, sent: 0, lost: 0 };
    }
    counters
}

/// A culprit whose these parts of groups are.
pub(crate) fn named(
    kind: &'static Kind,
    netns: u32,
    culprit: Culprit,
    parts: impl IntoIterator<Item = (GroupKey, u64)>,
) -> Named {
    let parts: Vec<(GroupKey, u64)> = parts.into_iter().collect();
    let count = parts.iter().map(|(_, count)| count).sum();
    Named {
        assessment: Assessment::new(kind, Confidence::Certain),
        netns,
        finding: Some(finding(kind, count, culprit.clone(), [])),
        culprit: Some(culprit),
        parts,
        sample: None,
    }
}

pub(crate) fn lens(group: GroupBy) -> Lens {
    Lens { group, sort: SortBy::Severity, reversed: false, benign: false, selection: Selection::default() }
}

//! Everything about one row.

use std::{collections::HashMap, time::Duration};

use super::{Cause, CauseId, Model, Recent, UNKNOWN};
use crate::{
    diagnose::finding::Flow,
    drops::{Kept, packet},
    live::{
        detail::{CauseDetail, Packet, RowDetail},
        lens::{GroupBy, Lens, Row, RowKey},
    },
};

/// Causes that a page shows.
const CAUSES: usize = 8;
/// Flows that a page shows.
const FLOWS: usize = 10;

/// Drops by cause and by flow.
#[derive(Debug, Default)]
struct Tallies {
    causes: HashMap<CauseId, u64>,
    flows: HashMap<u32, u64>,
}

impl Model {
    /// What there is to know of a row now.
    pub(crate) fn detail(&self, row: &Row, lens: &Lens, now: Duration) -> RowDetail {
        let mut tallies = self.tallies(lens, |key| key == row.key);
        let sample = |cause| self.sample(row.key, cause, lens.group);
        self.page_of(row, tallies.remove(&row.key).unwrap_or_default(), sample, now)
    }

    /// The causes of all rows, for a frame that shows no packets: one pass over the drops, not one for each row.
    pub(crate) fn causes_of_rows(&self, rows: &[Row], lens: &Lens, now: Duration) -> Vec<RowDetail> {
        let mut tallies = self.tallies(lens, |_| true);
        let of_row =
            |row: &Row| self.page_of(row, tallies.remove(&row.key).unwrap_or_default(), |_| None, now);
        rows.iter().map(of_row).collect()
    }

    /// Drops by cause and by flow, of the rows that are wanted.
    fn tallies(&self, lens: &Lens, is_wanted: impl Fn(RowKey) -> bool) -> HashMap<RowKey, Tallies> {
        let mut tallies: HashMap<RowKey, Tallies> = HashMap::new();
        self.each_cause(|unit, _, cause, total| {
            let key = self.row_key(&unit.key, cause, lens.group);
            if is_wanted(key) && self.shows(lens, cause) {
                let Tallies { causes, flows } = tallies.entry(key).or_default();
                *causes.entry(cause).or_default() += total;
                *flows.entry(unit.key.flow).or_default() += total;
            }
        });
        tallies
    }

    fn page_of<'a>(
        &'a self,
        row: &Row,
        Tallies { causes, flows }: Tallies,
        sample: impl Fn(Option<CauseId>) -> Option<&'a Kept>,
        now: Duration,
    ) -> RowDetail {
        let mut causes: Vec<(CauseId, u64)> = causes.into_iter().collect();
        causes.sort_by_key(|(id, total)| {
            let severity = self.causes.get(*id).map(|cause| cause.assessment.severity);
            (std::cmp::Reverse((severity, *total)), *id)
        });
        let sample = sample(causes.first().map(|(id, _)| *id));
        RowDetail {
            row: row.clone(),
            flows: self.flows(flows),
            stack: sample.map(|sample| sample.frames.to_vec()).unwrap_or_default(),
            sample: sample.map(|sample| self.packet(sample)),
            causes: causes
                .iter()
                .take(CAUSES)
                .filter_map(|(id, total)| Some(cause_detail(self.causes.get(*id)?, *total, now)))
                .collect(),
            interval_s: self.history.iter().next_back().map_or(1.0, super::history::Interval::seconds),
        }
    }

    /// The causes that a unit's drops may have.
    fn causes_of(&self, cause: CauseId) -> Vec<CauseId> {
        match self.causes.resolve(cause) {
            [] => vec![cause],
            parts => parts.iter().map(|(cause, _)| *cause).collect(),
        }
    }

    fn flows(&self, flows: HashMap<u32, u64>) -> Vec<Flow> {
        let mut flows: Vec<Flow> = flows
            .into_iter()
            .filter(|(flow, _)| *flow != UNKNOWN)
            .filter_map(|(flow, count)| Some(Flow { flow: self.names.flows.name(flow)?.to_owned(), count }))
            .collect();
        flows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.flow.cmp(&b.flow)));
        flows.truncate(FLOWS);
        flows
    }

    /// A drop of the row: one that is known to be the culprit's, else the last of those that look alike.
    fn sample(&self, row: RowKey, cause: Option<CauseId>, group: GroupBy) -> Option<&Kept> {
        if matches!(group, GroupBy::Cause | GroupBy::Rule)
            && let Some(sample) =
                cause.and_then(|id| self.causes.get(id)).and_then(|cause| cause.sample.as_ref())
        {
            return Some(sample);
        }
        let of_row = |recent: &&Recent| {
            let causes = self.causes_of(recent.unit.cause);
            causes.iter().any(|cause| self.row_key(&recent.unit, *cause, group) == row)
        };
        let last = self.recent.iter().rev().find(of_row).or_else(|| self.of_key.values().find(of_row));
        last.map(|recent| &recent.sample)
    }

    fn packet(&self, sample: &Kept) -> Packet {
        let key = &sample.event.key;
        let place = self.names.words_of(key).map(|words| match &words.described.reason {
            Some(reason) => format!("{reason} at {}", words.described.location),
            None => words.described.location.clone(),
        });
        Packet {
            line: packet::line(&sample.event),
            unix_ns: sample.unix_ns,
            place: place.unwrap_or_default(),
            netns: self.names.netns_name(key.netns),
            iface: sample.iface(),
            owner: sample
                .owner
                .as_ref()
                .map(|owner| format!("{}[{}]", owner.comm, owner.pid))
                .unwrap_or_default(),
            bytes: sample.packet.to_vec(),
        }
    }
}

fn cause_detail(cause: &Cause, total: u64, now: Duration) -> CauseDetail {
    CauseDetail {
        cause: cause.assessment.kind.words(),
        severity: cause.assessment.severity,
        confidence: cause.assessment.confidence,
        total,
        meaning: cause.assessment.kind.title.to_owned(),
        evidence: cause.evidence.clone(),
        finding: cause.finding.clone(),
        age_s: now.saturating_sub(cause.at).as_secs(),
    }
}

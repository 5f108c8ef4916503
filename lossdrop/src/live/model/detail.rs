//! Everything about one row.

use std::{collections::HashMap, time::Duration};

use super::{Case, CaseId, Model, Recent, UNKNOWN};
use crate::{
    diagnose::finding::Flow,
    drops::{Kept, packet},
    live::{
        detail::{CaseDetail, Packet, RowDetail},
        lens::{GroupBy, Lens, Row, RowKey},
    },
};

/// Cases that a page shows.
const CAUSES: usize = 8;
/// Flows that a page shows.
const FLOWS: usize = 10;

/// Drops by case and by flow.
#[derive(Debug, Default)]
struct Tallies {
    cases: HashMap<CaseId, u64>,
    flows: HashMap<u32, u64>,
}

impl Model {
    /// What there is to know of a row now.
    pub(crate) fn detail(&self, row: &Row, lens: &Lens, now: Duration) -> RowDetail {
        let mut tallies = self.tallies(lens, |key| key == row.key);
        let sample = |case| self.sample(row.key, case, lens.group);
        self.page_of(row, tallies.remove(&row.key).unwrap_or_default(), sample, now)
    }

    /// The cases of all rows, for a frame that shows no packets: one pass over the drops, not one for each row.
    pub(crate) fn cases_of_rows(&self, rows: &[Row], lens: &Lens, now: Duration) -> Vec<RowDetail> {
        let mut tallies = self.tallies(lens, |_| true);
        let of_row =
            |row: &Row| self.page_of(row, tallies.remove(&row.key).unwrap_or_default(), |_| None, now);
        rows.iter().map(of_row).collect()
    }

    /// Drops by case and by flow, of the rows that are wanted.
    fn tallies(&self, lens: &Lens, is_wanted: impl Fn(RowKey) -> bool) -> HashMap<RowKey, Tallies> {
        let mut tallies: HashMap<RowKey, Tallies> = HashMap::new();
        self.each_case(|unit, _, case, total| {
            let key = self.row_key(&unit.key, case, lens.group);
            if is_wanted(key) && self.shows(lens, case) {
                let Tallies { cases, flows } = tallies.entry(key).or_default();
                *cases.entry(case).or_default() += total;
                *flows.entry(unit.key.flow).or_default() += total;
            }
        });
        tallies
    }

    fn page_of<'a>(
        &'a self,
        row: &Row,
        Tallies { cases, flows }: Tallies,
        sample: impl Fn(Option<CaseId>) -> Option<&'a Kept>,
        now: Duration,
    ) -> RowDetail {
        let mut cases: Vec<(CaseId, u64)> = cases.into_iter().collect();
        cases.sort_by_key(|(id, total)| {
            let severity = self.cases.get(*id).map(|case| case.assessment.severity);
            (std::cmp::Reverse((severity, *total)), *id)
        });
        let sample = sample(cases.first().map(|(id, _)| *id));
        RowDetail {
            row: row.clone(),
            flows: self.flows(flows),
            stack: sample.map(|sample| sample.frames.to_vec()).unwrap_or_default(),
            sample: sample.map(|sample| self.packet(sample)),
            cases: cases
                .iter()
                .take(CAUSES)
                .filter_map(|(id, total)| Some(case_detail(self.cases.get(*id)?, *total, now)))
                .collect(),
            interval_s: self.history.iter().next_back().map_or(1.0, super::history::Interval::seconds),
        }
    }

    /// The cases that a unit's drops may have.
    fn cases_of(&self, case: CaseId) -> Vec<CaseId> {
        match self.cases.resolve(case) {
            [] => vec![case],
            parts => parts.iter().map(|(case, _)| *case).collect(),
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
    fn sample(&self, row: RowKey, case: Option<CaseId>, group: GroupBy) -> Option<&Kept> {
        if matches!(group, GroupBy::Cause | GroupBy::Rule)
            && let Some(sample) = case.and_then(|id| self.cases.get(id)).and_then(|case| case.sample.as_ref())
        {
            return Some(sample);
        }
        let of_row = |recent: &&Recent| {
            let cases = self.cases_of(recent.unit.case);
            cases.iter().any(|case| self.row_key(&recent.unit, *case, group) == row)
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

fn case_detail(case: &Case, total: u64, now: Duration) -> CaseDetail {
    CaseDetail {
        kind: case.assessment.kind.words(),
        severity: case.assessment.severity,
        confidence: case.assessment.confidence,
        total,
        meaning: case.assessment.kind.title.to_owned(),
        evidence: case.evidence.clone(),
        finding: case.finding.clone(),
        age_s: now.saturating_sub(case.at).as_secs(),
    }
}

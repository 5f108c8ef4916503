//! Rows from units, as a lens shows them.

use std::collections::{HashMap, HashSet};

use lossdrop_common::DropKey;

use super::{Case, CaseId, Model, UNKNOWN, Unit, UnitKey, names};
use crate::{
    diagnose::finding::{Culprit, Object},
    knowledge::{Cause, Kind, Severity},
    live::lens::{GroupBy, Lens, Mix, Row, RowKey, Table},
};

/// The row of drops for whose key the kernel's table had no room.
const NO_KEY: u64 = u64::MAX;
/// Intervals of which a rate in the last minute is made.
const MINUTE_S: f64 = 60.0;

/// What a unit, or its part of a case, adds to.
#[derive(Clone, Copy, Debug)]
struct Piece {
    unit: u32,
    row: usize,
    /// Of the unit's drops.
    part: f64,
}

/// A row while it grows.
#[derive(Debug)]
struct Growing {
    key: RowKey,
    total: u64,
    exact: bool,
    severity: Severity,
    cases: Tally,
    reasons: Tally,
    locations: Tally,
    netns: Tally,
    /// Drops in each interval.
    history: Vec<f64>,
}

/// Numbers of things, and how many drops each has.
#[derive(Clone, Debug, Default)]
struct Tally(Vec<(u32, u64)>);

impl Tally {
    /// A row may have thousands: what is not the same as the last one is summed up in the end.
    fn add(&mut self, what: u32, count: u64) {
        match self.0.last_mut() {
            Some((known, sum)) if *known == what => *sum += count,
            _ => self.0.push((what, count)),
        }
    }

    /// Words for the most frequent, and how many others have other words.
    fn mix(self, word: impl Fn(u32) -> String) -> Mix {
        self.mix_by(word, |_| Severity::Benign)
    }

    /// Words for the worst, and of those for the most frequent.
    fn mix_by(mut self, word: impl Fn(u32) -> String, severity: impl Fn(u32) -> Severity) -> Mix {
        let mut words: HashMap<String, (Severity, u64)> = HashMap::new();
        self.0.sort_unstable();
        for same in self.0.chunk_by(|a, b| a.0 == b.0) {
            let (worst, sum) = words.entry(word(same[0].0)).or_insert((Severity::Benign, 0));
            *worst = severity(same[0].0).max(*worst);
            *sum += same.iter().map(|(_, count)| count).sum::<u64>();
        }
        let others = words.len().saturating_sub(1);
        let most = words.into_iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(&a.0)));
        Mix { most: most.map(|(word, _)| word).unwrap_or_default(), others }
    }
}

impl Model {
    /// The rows, in no order.
    pub(crate) fn table(&self, lens: &Lens) -> Table {
        let mut table = Table::default();
        let mut rows = Rows::default();
        let pieces = self.pieces(lens, &mut table, &mut rows);
        if self.other > 0 && lens.selection.is_everything() {
            let row = rows.row(RowKey { group: lens.group, id: NO_KEY }, self.history.iter().len());
            let row = &mut rows.all[row];
            row.total = self.other;
            row.severity = Severity::Capacity;
            for (slot, interval) in row.history.iter_mut().zip(self.history.iter()) {
                #[expect(clippy::cast_precision_loss, reason = "a rate")]
                let other = interval.other as f64;
                *slot += other;
            }
        } else {
            table.unselected += self.other;
        }
        self.spread_history(&pieces, &mut rows);
        table.shown = rows.all.iter().map(|row| row.total).sum();
        let shown = table.shown;
        table.rows = rows.all.into_iter().map(|row| self.row(row, shown)).collect();
        table
    }

    /// Each unit's parts, and the row of each; what is hidden is only counted.
    fn pieces(&self, lens: &Lens, table: &mut Table, rows: &mut Rows) -> Vec<Piece> {
        let mut pieces = Vec::with_capacity(self.units.len());
        let mut hidden: HashSet<DropKey> = HashSet::new();
        self.each_case(|unit, index, case, total| {
            let Some(known) = self.cases.get(case) else { return };
            let is_sure = unit.exact.case && total == unit.total;
            let hide = if !lens.selection.takes(&known.assessment) {
                &mut table.unselected
            } else if hides(lens, known.assessment.severity) {
                &mut table.benign
            } else {
                pieces.push(self.piece(lens, (unit, index), (case, known, total), rows));
                return;
            };
            *hide += total;
            if !is_sure {
                hidden.insert(unit.key.key);
            }
        });
        // Where it is a guess what is hidden, so is the rest.
        for piece in &pieces {
            let unit = &self.units[piece.unit as usize];
            if hidden.contains(&unit.key.key) && !(unit.exact.case && is_whole(piece.part)) {
                rows.all[piece.row].exact = false;
            }
        }
        pieces
    }

    /// The drops of each unit by their case: its own, or those of the culprits that its group had last.
    pub(super) fn each_case(&self, mut visit: impl FnMut(&Unit, u32, CaseId, u64)) {
        let mut sharers: HashMap<CaseId, super::Sharer> = HashMap::new();
        for (index, unit) in (0..).zip(&self.units) {
            if unit.total == 0 {
                continue;
            }
            let weights = self.cases.resolve(unit.key.case);
            if weights.len() < 2 {
                visit(unit, index, weights.first().map_or(unit.key.case, |(case, _)| *case), unit.total);
                continue;
            }
            let sharer = sharers
                .entry(unit.key.case)
                .or_insert_with(|| super::Sharer::new(weights.iter().map(|(_, weight)| *weight)));
            for ((case, _), total) in weights.iter().zip(sharer.share(unit.total)) {
                if total > 0 {
                    visit(unit, index, *case, total);
                }
            }
        }
    }

    /// Whether a case's drops are in the rows.
    pub(super) fn shows(&self, lens: &Lens, case: CaseId) -> bool {
        self.cases.get(case).is_some_and(|known| {
            lens.selection.takes(&known.assessment) && !hides(lens, known.assessment.severity)
        })
    }

    fn piece(
        &self,
        lens: &Lens,
        (unit, index): (&Unit, u32),
        (case, known, total): (CaseId, &Case, u64),
        rows: &mut Rows,
    ) -> Piece {
        #[expect(clippy::cast_precision_loss, reason = "a part of a rate")]
        let part = total as f64 / unit.total as f64;
        let number = rows.row(self.row_key(&unit.key, case, lens.group), self.history.iter().len());
        let row = &mut rows.all[number];
        row.total += total;
        row.exact &= match lens.group {
            GroupBy::Reason | GroupBy::Location | GroupBy::Device | GroupBy::Namespace => true,
            GroupBy::Cause | GroupBy::Rule => unit.exact.case && is_whole(part),
            GroupBy::Process | GroupBy::Port | GroupBy::Flow => unit.exact.flow,
        };
        row.severity = row.severity.max(known.assessment.severity);
        row.cases.add(case, total);
        row.netns.add(unit.key.key.netns, total);
        if let Some(words) = self.names.words_of(&unit.key.key) {
            row.reasons.add(words.reason, total);
            row.locations.add(words.location, total);
        }
        Piece { unit: index, row: number, part }
    }

    pub(super) fn row_key(&self, unit: &UnitKey, case: CaseId, group: GroupBy) -> RowKey {
        let key = &unit.key;
        let words = self.names.words_of(key);
        let id = match group {
            GroupBy::Cause => case.into(),
            GroupBy::Reason => words.map_or(UNKNOWN, |words| words.reason).into(),
            GroupBy::Location => words.map_or(UNKNOWN, |words| words.location).into(),
            GroupBy::Device => u64::from(key.netns) << 32 | u64::from(key.ifindex),
            GroupBy::Namespace => key.netns.into(),
            GroupBy::Process => unit.owner.into(),
            GroupBy::Port => unit.port.into(),
            GroupBy::Flow => unit.flow.into(),
            GroupBy::Rule => self.cases.rule(case).into(),
        };
        RowKey { group, id }
    }

    /// Adds what each interval held to the rows.
    fn spread_history(&self, pieces: &[Piece], rows: &mut Rows) {
        let mut of_unit: HashMap<u32, Vec<&Piece>> = HashMap::new();
        for piece in pieces {
            of_unit.entry(piece.unit).or_default().push(piece);
        }
        for (at, interval) in self.history.iter().enumerate() {
            for (unit, count) in &interval.parts {
                for piece in of_unit.get(unit).into_iter().flatten() {
                    #[expect(clippy::cast_precision_loss, reason = "a rate")]
                    let part = *count as f64 * piece.part;
                    rows.all[piece.row].history[at] += part;
                }
            }
        }
    }

    fn row(&self, row: Growing, shown: u64) -> Row {
        let Growing { cases, reasons, locations, netns, .. } = row;
        let (minute, span) =
            last_minute(self.history.iter().map(super::history::Interval::seconds), &row.history);
        let history: Vec<f64> = row
            .history
            .iter()
            .zip(self.history.iter())
            .map(|(count, interval)| count / interval.seconds())
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let share = if shown == 0 { 0.0 } else { row.total as f64 / shown as f64 };
        let no_key = row.key.id == NO_KEY;
        let severity = |id| self.cases.get(id).map_or(Severity::Benign, |case| case.assessment.severity);
        let case = |id| self.cases.get(id).map_or_else(String::new, |case| case.assessment.kind.words());
        Row {
            name: if no_key { "more kinds than --keys".to_owned() } else { self.row_name(row.key) },
            severity: row.severity,
            culprit: cases.clone().mix_by(|id| self.culprit_word(id), severity),
            cause: if no_key {
                Mix { most: "unknown".to_owned(), others: 0 }
            } else {
                cases.mix_by(case, severity)
            },
            reason: reasons.mix(|word| self.names.words.name(word).unwrap_or("-").to_owned()),
            location: locations.mix(|word| self.names.words.name(word).unwrap_or("-").to_owned()),
            netns: netns.mix(|inum| self.names.netns_name(inum)),
            total: row.total,
            exact: row.exact,
            rate: history.last().copied().unwrap_or(0.0),
            rate_1m: if span > 0.0 { minute / span } else { 0.0 },
            share,
            key: row.key,
            history,
        }
    }

    fn row_name(&self, key: RowKey) -> String {
        let number = u32::try_from(key.id).unwrap_or(UNKNOWN);
        let or = |name: Option<&str>, none: &str| name.unwrap_or(none).to_owned();
        match key.group {
            GroupBy::Cause => {
                self.cases.get(number).map_or_else(String::new, |case| case.assessment.kind.words())
            }
            GroupBy::Reason | GroupBy::Location => or(self.names.words.name(number), "-"),
            GroupBy::Device => {
                let (netns, ifindex) = (key.id >> 32, key.id & u64::from(u32::MAX));
                let [netns, ifindex] = [netns, ifindex].map(|half| u32::try_from(half).unwrap_or(0));
                self.names.device_name(netns, ifindex)
            }
            GroupBy::Namespace => self.names.netns_name(number),
            GroupBy::Process => or(self.names.owners.name(number), "no process known"),
            GroupBy::Port if number == UNKNOWN => "no port".to_owned(),
            GroupBy::Port => names::port_name(number),
            GroupBy::Flow => or(self.names.flows.name(number), "other flows"),
            GroupBy::Rule => or(self.cases.rule_name(number), "no rule"),
        }
    }

    /// The culprit of a case, else what stands for it.
    pub(super) fn culprit_word(&self, id: CaseId) -> String {
        let Some(case) = self.cases.get(id) else { return String::new() };
        match &case.culprit {
            Some(Culprit { name, text, .. }) if text.is_empty() => name.clone(),
            Some(Culprit { r#type: Object::Rule, name, text, .. }) => format!("{name} {text}"),
            Some(Culprit { name, text, .. }) => format!("{name} ({text})"),
            None => case.target().unwrap_or_default(),
        }
    }
}

/// Rows by their keys.
#[derive(Debug, Default)]
struct Rows {
    all: Vec<Growing>,
    by_key: HashMap<RowKey, usize>,
}

impl Rows {
    fn row(&mut self, key: RowKey, intervals: usize) -> usize {
        *self.by_key.entry(key).or_insert_with(|| {
            self.all.push(Growing {
                key,
                total: 0,
                exact: true,
                severity: Severity::Benign,
                cases: Tally::default(),
                reasons: Tally::default(),
                locations: Tally::default(),
                netns: Tally::default(),
                history: vec![0.0; intervals],
            });
            self.all.len() - 1
        })
    }
}

fn is_whole(part: f64) -> bool {
    (part - 1.0).abs() < f64::EPSILON
}

/// Noise that is not asked for.
fn hides(lens: &Lens, severity: Severity) -> bool {
    severity == Severity::Benign && !lens.benign && !lens.selection.names_benign()
}

/// Drops in the last minute, and how long that is: the counting may have begun later.
fn last_minute(spans: impl DoubleEndedIterator<Item = f64>, counts: &[f64]) -> (f64, f64) {
    let mut sum = (0.0, 0.0);
    for (span, count) in spans.rev().zip(counts.iter().rev()) {
        if sum.1 >= MINUTE_S {
            break;
        }
        sum = (sum.0 + count, sum.1 + span);
    }
    sum
}

/// Rules have rows of their own; so have those that stand for one.
pub(super) fn is_rule(kind: &Kind, culprit: &Culprit) -> bool {
    kind.cause == Cause::Netfilter
        && matches!(
            culprit.r#type,
            Object::Rule | Object::Rules | Object::Chain | Object::Nfqueue | Object::Others
        )
}

//! What there is to know of a row: the findings of `lossdrop diagnose` for its cases, its flows, a packet, a stack.

use super::lens::Row;
use crate::{
    diagnose::finding::{Finding, Flow},
    knowledge::{Confidence, Severity},
};

/// A row, opened.
#[derive(Clone, Debug)]
pub(crate) struct RowDetail {
    pub row: Row,
    /// Its cases, the worst first.
    pub cases: Vec<CaseDetail>,
    /// The most frequent first, in drops reported in detail.
    pub flows: Vec<Flow>,
    pub sample: Option<Packet>,
    /// The functions of the kernel that the sample came through, innermost first.
    pub stack: Vec<String>,
    /// Seconds that an interval of the history takes.
    pub interval_s: f64,
}

impl RowDetail {
    /// The commands that make it stop, in the order in which they are shown.
    pub(crate) fn fixes(&self) -> impl Iterator<Item = &str> {
        self.cases
            .iter()
            .filter_map(|case| case.finding.as_ref())
            .flat_map(|finding| finding.fixes.iter())
            .map(|fix| fix.command.as_str())
    }
}

/// A case of a row.
#[derive(Clone, Debug)]
pub(crate) struct CaseDetail {
    /// `mtu veth-peer`.
    pub kind: String,
    pub severity: Severity,
    pub confidence: Confidence,
    /// Of the row's drops.
    pub total: u64,
    /// What the case means in general; stands for the finding while there is none.
    pub meaning: String,
    pub evidence: Vec<String>,
    /// As of a little while ago.
    pub finding: Option<Finding>,
    /// How long ago that is, in seconds.
    pub age_s: u64,
}

/// A packet that was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// `10.0.0.1:2711 → 10.0.0.2:80 TCP [S] len 40`.
    pub line: String,
    /// Nanoseconds since 1970, UTC.
    pub unix_ns: i128,
    /// `reason at location`.
    pub place: String,
    pub netns: String,
    pub iface: String,
    /// `curl[812]`; empty where no process is known.
    pub owner: String,
    /// From the network header on.
    pub bytes: Vec<u8>,
}

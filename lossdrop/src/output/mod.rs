//! What the user sees: a drop, and the summary at the end, as text or as JSON.

pub mod diagnosis;
mod facts;
pub mod json;
pub mod packet;
pub mod text;

use std::time::Duration;

use lossdrop_common::{Event, Facts};

use crate::{
    accounting::Accounting,
    describe::Described,
    knowledge::{Kind, Severity},
    owners::Owner,
    verdict::Verdict,
};

/// A drop with everything that is known of it.
#[derive(Clone, Copy, Debug)]
pub struct DropView<'a> {
    pub event: &'a Event,
    /// Nanoseconds since 1970, UTC.
    pub unix_ns: i128,
    pub described: &'a Described,
    pub verdict: &'a Verdict,
    /// The namespace's name, if something leads there.
    pub netns: Option<&'a str>,
    /// Empty for no device.
    pub iface: &'a str,
    pub owner: Option<&'a Owner>,
    /// `None` unless asked for.
    pub stack: Option<&'a [String]>,
    /// `None` where the kernel program was not asked for them.
    pub facts: Option<&'a Facts>,
    /// The name of the namespace of a veth's other end, if something leads there.
    pub peer_netns: Option<&'a str>,
    /// From the network header on.
    pub packet: &'a [u8],
}

/// Drops of one reason and cause at one location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub reason: Option<String>,
    pub symbol: String,
    pub kind: &'static Kind,
    pub severity: Severity,
    pub meaning: &'static str,
    pub count: u64,
}

impl Group {
    pub fn benign(&self) -> bool {
        self.severity == Severity::Benign
    }
}

/// How a run went.
#[derive(Clone, Debug)]
pub struct Summary {
    pub accounting: Accounting,
    pub elapsed: Duration,
    /// The most frequent first.
    pub groups: Vec<Group>,
    /// Drops for whose key the kernel's table had no room: counted, and in no group.
    pub other: u64,
}

/// A way to write drops down. Everything is appended to `out`.
pub trait Output {
    /// Before the first drop.
    fn begin(&mut self, out: &mut Vec<u8>);
    fn drop(&mut self, drop: &DropView<'_>, out: &mut Vec<u8>);
    /// After the last drop.
    fn end(&mut self, summary: &Summary, out: &mut Vec<u8>);
}

#[cfg(test)]
mod tests;

//! The table of causes: one entry for each thing that can be the matter with a dropped packet.
//!
//! Rows of [`REASONS`](super::REASONS) and [`LOCATIONS`](super::LOCATIONS) say how a cause is recognised; its entry here
//! says what it means and what helps.

mod bpf;
mod device;
mod housekeeping;
mod mtu;
mod netfilter;
mod queue;
mod routing;
mod socket;
mod tcp;

pub use bpf::*;
pub use device::*;
pub use housekeeping::*;
pub use mtu::*;
pub use netfilter::*;
pub use queue::*;
pub use routing::*;
pub use socket::*;
pub use tcp::*;

use std::cmp::Ordering;

use super::{Cause, LOCATIONS, REASONS, Severity};

/// A cause.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    pub cause: Cause,
    /// Unique within its cause: `veth-peer`.
    pub slug: &'static str,
    /// Of a drop that is no noise.
    pub severity: Severity,
    /// A few words, as a heading: "frames over the peer's MTU".
    pub title: &'static str,
    /// What usually brings it about, the most frequent first.
    pub causes: &'static [&'static str],
    /// What to look at, commands in backquotes, with what to put in their place in capitals.
    pub look: &'static [&'static str],
    /// What helps, commands in backquotes.
    pub fixes: &'static [&'static str],
}

impl Kind {
    /// For a column: `mtu veth-peer`.
    pub fn words(&self) -> String {
        match self.cause {
            Cause::Unknown => self.slug.to_owned(),
            cause => format!("{cause} {}", self.slug),
        }
    }
}

impl Kind {
    /// The reasons by which it is recognised.
    pub fn reasons(&self) -> Vec<&'static str> {
        REASONS.iter().filter(|row| row.kind == self).map(|row| row.name).collect()
    }

    /// The functions by which it is recognised, each once; some only with a reason or a condition.
    pub fn functions(&self) -> Vec<&'static str> {
        let mut functions = Vec::new();
        for symbol in LOCATIONS.iter().filter(|row| row.kind == self).flat_map(|row| row.symbols) {
            if !functions.contains(symbol) {
                functions.push(*symbol);
            }
        }
        functions
    }
}

impl Ord for Kind {
    /// By their names.
    fn cmp(&self, other: &Self) -> Ordering {
        (self.cause.as_str(), self.slug).cmp(&(other.cause.as_str(), other.slug))
    }
}

impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for Kind {
    /// `mtu/veth-peer`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{}/{}", self.cause, self.slug))
    }
}

/// A part of the table: its entries, each a static of its own, and the list of them.
macro_rules! kinds {
    ($part:ident: $($name:ident: $cause:ident / $slug:literal $severity:ident {
        $title:literal,
        causes: $causes:tt,
        look: $look:tt,
        fixes: $fixes:tt,
    })+) => {
        $(pub static $name: $crate::knowledge::Kind = $crate::knowledge::Kind {
            cause: $crate::knowledge::Cause::$cause,
            slug: $slug,
            severity: $crate::knowledge::Severity::$severity,
            title: $title,
            causes: &$causes,
            look: &$look,
            fixes: &$fixes,
        };)+

        pub(super) const $part: &[&$crate::knowledge::Kind] = &[$(&$name),+];
    };
}
use kinds;

const PARTS: [&[&Kind]; 9] = [NETFILTER, MTU, QUEUE, SOCKET, ROUTING, TCP, BPF, DEVICE, HOUSEKEEPING];

const COUNT: usize = {
    let (mut count, mut part) = (0, 0);
    while part < PARTS.len() {
        count += PARTS[part].len();
        part += 1;
    }
    count
};

/// Every kind, cause by cause.
pub static KINDS: &[&Kind] = &{
    let mut all = [&UNKNOWN_UNKNOWN; COUNT];
    let (mut rest, mut part) = (all.as_mut_slice(), 0);
    while part < PARTS.len() {
        let (these, others) = rest.split_at_mut(PARTS[part].len());
        these.copy_from_slice(PARTS[part]);
        (rest, part) = (others, part + 1);
    }
    all
};

/// The cause with this name, as it is displayed: `mtu/veth-peer`.
pub fn kind(name: &str) -> Option<&'static Kind> {
    let (cause, slug) = name.split_once('/')?;
    KINDS.iter().copied().find(|kind| kind.cause.as_str() == cause && kind.slug == slug)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn kinds_stand_cause_by_cause_and_each_has_a_name_of_its_own() {
        assert!(KINDS.is_sorted_by_key(|kind| kind.cause));
        let names: HashSet<String> = KINDS.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), KINDS.len());
        for known in KINDS {
            assert_eq!(kind(&known.to_string()), Some(*known));
            assert!(known.slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        }
        assert_eq!((kind("mtu"), kind("mtu/nothing"), kind("")), (None, None, None));
    }

    #[test]
    fn every_cause_has_a_kind() {
        let causes: HashSet<Cause> = KINDS.iter().map(|kind| kind.cause).collect();
        assert_eq!(causes.len(), Cause::ALL.len());
    }

    #[test]
    fn every_cause_has_a_heading_and_advice_in_short_phrases() {
        for kind in KINDS {
            assert!(!kind.title.is_empty() && kind.title.chars().count() <= 70, "{kind}: {}", kind.title);
            for (list, most) in [(kind.causes, 4), (kind.look, 4), (kind.fixes, 4)] {
                assert!((1..=most).contains(&list.len()), "{kind}: {list:?}");
                for phrase in list {
                    assert!(!phrase.is_empty() && !phrase.ends_with('.'), "{kind}: {phrase}");
                    assert!(phrase.matches('`').count().is_multiple_of(2), "{kind}: {phrase}");
                    let words = phrase.split('`').step_by(2).flat_map(str::split_whitespace).count();
                    assert!(words <= 25, "{kind}: {words} words: {phrase}");
                }
            }
        }
    }

    #[test]
    fn housekeeping_is_benign() {
        for kind in KINDS.iter().filter(|kind| kind.cause == Cause::Housekeeping) {
            assert_eq!(kind.severity, Severity::Benign, "{kind}");
        }
    }
}

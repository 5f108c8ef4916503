//! A survey of the whole machine: counters and tables of every namespace, and the rules of those that are watched.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use crate::{
    capture::clock::unix_ns,
    identity::namespaces::{self, Namespaces},
    machine::{Machine, for_each},
    rules::{self, Ruleset},
};

/// The longest that a survey may take. What is not read by then is missing, and a note says so.
pub(crate) const LIMIT: Duration = Duration::from_secs(15);
/// Namespaces whose rules are read at the same time.
const THREADS: usize = 2;

/// The rules of a namespace at one time.
#[derive(Clone, Debug, Default)]
pub(crate) struct RulesRead {
    pub ruleset: Ruleset,
    /// They are all of them.
    pub complete: bool,
    /// When the reading began and when it had ended, in nanoseconds since 1970.
    pub began: i128,
    pub ended: i128,
}

/// What was there at one time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    pub machine: Machine,
    pub rules: BTreeMap<u32, RulesRead>,
    /// What could not be read, and what follows from it.
    pub notes: BTreeSet<String>,
}

/// The namespaces that there are, with those that were `known` and may be gone by now, and a survey of the machine.
pub(crate) fn survey(wanted: &BTreeSet<u32>, known: Namespaces) -> (Namespaces, Survey) {
    let namespaces = Namespaces::scan().or(known);
    let survey = take(&namespaces, wanted);
    (namespaces, survey)
}

/// Surveys the machine; `wanted`: the namespaces that are watched, all if it is empty.
fn take(namespaces: &Namespaces, wanted: &BTreeSet<u32>) -> Survey {
    let deadline = Instant::now() + LIMIT;
    // Counters of all: a veth's other end may be in any of them.
    let machine = Machine::take(namespaces, &BTreeSet::new(), deadline);
    let mut notes: BTreeSet<String> =
        machine.gaps.iter().map(|gap| note(&gap.what, &gap.consequence)).collect();
    let rules = read_rules(namespaces, wanted, deadline, &mut notes);
    Survey { machine, rules, notes }
}

/// What is missing, and what cannot be said without it.
fn note(what: &str, consequence: &str) -> String {
    format!("{}: {}", what.trim_end_matches('.'), consequence.trim_end_matches('.'))
}

fn read_rules(
    namespaces: &Namespaces,
    wanted: &BTreeSet<u32>,
    deadline: Instant,
    notes: &mut BTreeSet<String>,
) -> BTreeMap<u32, RulesRead> {
    let asked_for = |inum: &u32| wanted.is_empty() || wanted.contains(inum);
    let inums: Vec<u32> = namespaces.iter().map(|(inum, _)| inum).filter(asked_for).collect();
    let all = namespaces.clone();
    let read = move |inum| {
        let path = all.get(inum).map(|known| known.path.clone()).unwrap_or_default();
        let began = unix_ns();
        let (ruleset, gaps) = rules::read(&path, deadline);
        let read = RulesRead { ruleset, complete: gaps.is_empty(), began, ended: unix_ns() };
        // Nothing is missing of a namespace that disappeared meanwhile.
        let gaps = if namespaces::inum(&path) == Some(inum) { gaps } else { Vec::new() };
        (read, gaps)
    };
    let mut found = BTreeMap::new();
    let late = for_each(inums, THREADS, deadline, read, |inum, (read, gaps)| {
        notes.extend(gaps.iter().map(|gap| note(&gap.what, &gap.consequence)));
        found.insert(inum, read);
    });
    for inum in late {
        let name = namespaces.get(inum).map_or("?", |known| &known.name);
        notes.insert(format!(
            "the rules of namespace {name} could not be read in {} s: which of them dropped packets stays open",
            LIMIT.as_secs()
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{
        identity::{Identity, Namespace},
        testing::diagnosis::WEB,
    };

    #[test]
    fn a_note_is_one_sentence_of_two() {
        assert_eq!(
            note("nft is not installed.", "Its rules are not known."),
            "nft is not installed: Its rules are not known"
        );
    }

    fn nowhere() -> Namespaces {
        let path = PathBuf::from("/no/such/namespace");
        Namespaces::from_known([(WEB, Namespace::new(Identity::Named("web".to_owned()), path))])
    }

    #[test]
    fn a_namespace_that_has_gone_has_no_rules_and_nothing_is_said_to_be_missing() {
        let mut notes = BTreeSet::new();
        let rules = read_rules(&nowhere(), &BTreeSet::new(), Instant::now() + LIMIT, &mut notes);
        assert!(!rules[&WEB].complete && rules[&WEB].ruleset.tables.is_empty());
        assert!(rules[&WEB].began <= rules[&WEB].ended);
        assert!(notes.is_empty(), "{notes:?}");
    }

    #[test]
    fn only_the_rules_of_what_is_watched_are_read() {
        let mut notes = BTreeSet::new();
        let rules = read_rules(&nowhere(), &[WEB + 1].into(), Instant::now() + LIMIT, &mut notes);
        assert!(rules.is_empty() && notes.is_empty());
    }
}

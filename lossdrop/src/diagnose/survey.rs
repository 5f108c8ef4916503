//! A look at the whole machine: counters and tables of every namespace, and the rules of those that are watched.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use crate::{
    machine::Machine,
    namespaces::Namespaces,
    rules::{self, Ruleset},
};

/// The longest that a survey may take. What is not read by then is missing, and a note says so.
pub const LIMIT: Duration = Duration::from_secs(5);
/// Namespaces whose rules are read at the same time.
const THREADS: usize = 2;

/// What was there at one time.
#[derive(Debug, Default)]
pub struct Survey {
    pub machine: Machine,
    /// Rules, and whether they are all of them.
    pub rules: BTreeMap<u32, (Ruleset, bool)>,
    /// What could not be read, and what follows from it.
    pub notes: BTreeSet<String>,
}

/// Looks at the machine; `wanted`: the namespaces that are watched, all if it is empty.
pub fn take(namespaces: &Namespaces, wanted: &BTreeSet<u32>) -> Survey {
    let deadline = Instant::now() + LIMIT;
    // Counters of all: a veth's other end may be in any of them.
    let machine = Machine::take(namespaces, &BTreeSet::new(), deadline);
    let mut notes: BTreeSet<String> =
        machine.gaps.iter().map(|gap| format!("{}: {}", gap.what, gap.consequence)).collect();
    let rules = read_rules(namespaces, wanted, deadline, &mut notes);
    Survey { machine, rules, notes }
}

fn read_rules(
    namespaces: &Namespaces,
    wanted: &BTreeSet<u32>,
    deadline: Instant,
    notes: &mut BTreeSet<String>,
) -> BTreeMap<u32, (Ruleset, bool)> {
    let queue: VecDeque<(u32, PathBuf)> = namespaces
        .iter()
        .filter(|(inum, _)| wanted.is_empty() || wanted.contains(inum))
        .map(|(inum, namespace)| (inum, namespace.path.clone()))
        .collect();
    let names: BTreeMap<u32, String> =
        namespaces.iter().map(|(inum, namespace)| (inum, namespace.name.clone())).collect();
    let mut missing: BTreeSet<u32> = queue.iter().map(|(inum, _)| *inum).collect();
    let queue = Arc::new(Mutex::new(queue));
    let (sender, results) = mpsc::channel();
    for _ in 0..THREADS.min(missing.len()) {
        let (queue, sender) = (Arc::clone(&queue), sender.clone());
        thread::spawn(move || {
            let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            while let Some((inum, path)) = next() {
                if sender.send((inum, rules::read(&path, deadline))).is_err() {
                    break;
                }
            }
        });
    }
    drop(sender);
    let mut found = BTreeMap::new();
    while let Ok((inum, (ruleset, gaps))) =
        results.recv_timeout(deadline.saturating_duration_since(Instant::now()))
    {
        missing.remove(&inum);
        notes.extend(gaps.iter().map(|gap| format!("{}: {}", gap.what, gap.consequence)));
        found.insert(inum, (ruleset, gaps.is_empty()));
    }
    for inum in missing {
        let name = names.get(&inum).map_or("?", String::as_str);
        notes.insert(format!(
            "the rules of namespace {name} could not be read in {} s: no rule of it is named",
            LIMIT.as_secs()
        ));
    }
    found
}

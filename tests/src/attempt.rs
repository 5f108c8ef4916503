//! Many scenarios, each tried in the same way, some at the same time.
//!
//! | variable | what it does |
//! |---|---|
//! | `LOSSDROP_SCENARIO` | names of scenarios or parts of them, divided by commas: only these |
//! | `LOSSDROP_SIDE_BY_SIDE` | how many are tried at the same time; fewer on a slow (emulated) machine |
//! | `LOSSDROP_LAB_REPORT` | a file to which a line of JSON is appended for each scenario |

use std::collections::VecDeque;
use std::env;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::Result;

use crate::need::Need;
use crate::report::{Outcome, Tried};
use crate::scenario::Scenario;

/// Scenarios some of whose drops the kernel makes in a timer. Once in some hundred runs it counts such a drop and calls none
/// of the programs that are attached to the tracepoint, whoever's they are: these are tried once more.
const IN_A_TIMER: [&str; 3] = ["neighbour-unreachable", "neighbour-unreachable-v6", "neighbour-queue-full"];

/// Tries the scenarios that the environment asks for, each as soon as one is done, and tells what became of it. `way` is
/// what the report calls it; `side_by_side` holds if nothing else is asked for.
///
/// # Panics
/// When some failed, with their names; when there are none.
pub fn all(
    way: &str,
    side_by_side: usize,
    scenarios: impl Iterator<Item = &'static Scenario>,
    attempt: impl Fn(&Scenario) -> Result<()> + Sync,
) {
    let wanted = env::var("LOSSDROP_SCENARIO").unwrap_or_default();
    let asked = env::var("LOSSDROP_SIDE_BY_SIDE").ok().and_then(|count| count.parse().ok());
    let (alone, together): (Vec<_>, Vec<_>) = scenarios
        .filter(|scenario| wanted.split(',').any(|part| scenario.name.contains(part)))
        .partition(|scenario| scenario.needs.contains(&Need::OwnMachine));
    assert!(!(alone.is_empty() && together.is_empty()), "no scenario is called {wanted}");
    let try_it = |scenario: &Scenario| tell(way, scenario, &attempt);
    let mut failures = each(together, asked.unwrap_or(side_by_side), try_it);
    // These change what the others rest on.
    failures.extend(each(alone, 1, try_it));
    assert!(failures.is_empty(), "{} failed: {}", failures.len(), failures.join(", "));
}

/// Returns the names of those that failed.
fn each(
    scenarios: Vec<&'static Scenario>,
    side_by_side: usize,
    succeeds: impl Fn(&Scenario) -> bool + Sync,
) -> Vec<&'static str> {
    let (waiting, failures) = (Mutex::new(VecDeque::from(scenarios)), Mutex::new(Vec::new()));
    let next = || lock(&waiting).pop_front();
    let work = || {
        while let Some(scenario) = next() {
            if !succeeds(scenario) {
                lock(&failures).push(scenario.name);
            }
        }
    };
    thread::scope(|scope| (0..side_by_side).for_each(|_| drop(scope.spawn(work))));
    failures.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns whether it did not fail.
fn tell(way: &str, scenario: &Scenario, attempt: impl Fn(&Scenario) -> Result<()>) -> bool {
    let start = Instant::now();
    let outcome = match &scenario.missing()[..] {
        [] => {
            let again = |error: anyhow::Error| {
                if !IN_A_TIMER.contains(&scenario.name) {
                    return Err(error);
                }
                println!("{}: tried once more after {error:#}\n", scenario.name);
                attempt(scenario)
            };
            let tried = attempt(scenario).or_else(again);
            tried.map_or_else(|error| Outcome::Failed(format!("{error:#}")), |()| Outcome::Passed)
        }
        missing => Outcome::Skipped(missing.join("; ")),
    };
    let seconds = start.elapsed().as_secs_f64();
    match &outcome {
        Outcome::Passed => println!("{}: passed in {seconds:.1} s", scenario.name),
        Outcome::Skipped(missing) => println!("{}: skipped: {missing}", scenario.name),
        Outcome::Failed(why) => println!("{}: failed after {seconds:.1} s: {why}\n", scenario.name),
    }
    let succeeds = !matches!(outcome, Outcome::Failed(_));
    let tried = Tried { scenario: scenario.name.to_owned(), way: way.to_owned(), outcome, seconds };
    tried.tell().expect("the report can be written");
    succeeds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_once_more_is_there() {
        for name in IN_A_TIMER {
            assert!(Scenario::find(name).is_some(), "{name}");
        }
    }
}

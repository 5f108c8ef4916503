//! `cargo xtask lab`: real drops to look at, until Ctrl-C.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lossdrop_lab::{Lab, Scenario, Shot};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// From the end of one round to the start of the next.
const PACE: Duration = Duration::from_secs(1);

/// Lists the scenarios, or runs one round after round until it is interrupted.
pub(crate) fn run(scenario: Option<&str>) -> Result<()> {
    let Some(name) = scenario else {
        list();
        return Ok(());
    };
    let scenario = Scenario::find(name).with_context(|| unknown(name))?;
    ensure!(
        lossdrop_lab::is_root(),
        "the lab makes network namespaces, which takes root: run `sudo -E cargo xtask lab {name}`"
    );
    let missing = scenario.missing();
    ensure!(missing.is_empty(), "the scenario {name} can't run here: {}", missing.join("; "));
    let stop = stop_signals()?;
    let mut lab =
        scenario.set_up().with_context(|| format!("cannot set up the scenario {}", scenario.name))?;
    introduce(scenario, &*lab);
    let ended = rounds(&mut *lab, &stop);
    let namespaces = names(&*lab);
    drop(lab);
    println!("\nRemoved: {}.", namespaces.join(", "));
    ended
}

fn list() {
    let width = Scenario::all().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    println!("Scenarios, each in network namespaces of its own:\n");
    for Scenario { name, summary, .. } in Scenario::all() {
        println!("  {name:width$}  {summary}");
    }
    println!("\nRun one with  sudo -E cargo xtask lab <name>  and watch it from another terminal.");
}

fn unknown(name: &str) -> String {
    let words: Vec<_> = name.split('-').filter(|word| word.len() > 2).collect();
    let all = || Scenario::all().map(|scenario| scenario.name);
    let near: Vec<_> = all().filter(|known| words.iter().any(|word| known.contains(word))).collect();
    if near.is_empty() {
        format!("no scenario {name:?}; there are {}", all().collect::<Vec<_>>().join(", "))
    } else {
        format!("no scenario {name:?}; did you mean {}?", near.join(", "))
    }
}

/// A message for each request to end; without it a signal would leave the namespaces behind.
fn stop_signals() -> Result<Receiver<()>> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot listen for Ctrl-C")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for _ in signals.forever() {
            if sender.send(()).is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}

fn introduce(scenario: &Scenario, lab: &dyn Lab) {
    let namespaces = lab.namespaces();
    let shown: Vec<_> = namespaces.iter().map(|ns| format!("{} (net:[{}])", ns.name(), ns.inum())).collect();
    println!("{}: {}\n", scenario.name, scenario.summary);
    println!("  in      {}", shown.join("\n          "));
    println!("  sends   {}", scenario.packets);
    println!("  watch   {}    in another terminal", scenario.watch);
    println!("  end     Ctrl-C, which removes the namespaces\n");
}

fn names(lab: &dyn Lab) -> Vec<String> {
    lab.namespaces().iter().map(|ns| ns.name().to_owned()).collect()
}

/// Fires until a signal comes. The totals are kept by cause: reason and function.
fn rounds(lab: &mut dyn Lab, stop: &Receiver<()>) -> Result<()> {
    let mut totals = BTreeMap::new();
    for round in 1u64.. {
        match lab.fire() {
            Ok(shot) => report(round, &shot, &mut totals),
            // Ctrl-C reaches the tools that the lab runs, too: their failure is then no failure.
            Err(_) if stop.recv_timeout(PACE).is_ok() => break,
            Err(error) => return Err(error.context(format!("round {round}"))),
        }
        match stop.recv_timeout(PACE) {
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Ok(()) => break,
            Err(mpsc::RecvTimeoutError::Disconnected) => bail!("no longer notified of Ctrl-C"),
        }
    }
    Ok(())
}

fn report(round: u64, shot: &Shot, totals: &mut BTreeMap<(&'static str, &'static str), u64>) {
    for expected in &shot.expected {
        *totals.entry((expected.reason, expected.symbols[0])).or_default() += expected.count;
    }
    let mut dropped: Vec<_> = shot.expected.iter().map(ToString::to_string).collect();
    if shot.untraced > 0 {
        dropped.push(format!("{} lost without a drop", shot.untraced));
    }
    let sums: Vec<_> =
        totals.iter().map(|((reason, symbol), sum)| format!("{sum} {reason} at {symbol}")).collect();
    if dropped.is_empty() {
        println!("round {round}: nothing that matters; only benign drops");
    } else {
        println!("round {round}: {}   (so far {})", dropped.join("; "), sums.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_scenario_is_answered_with_near_names() {
        let reported = run(Some("udp-closed")).unwrap_err().to_string();
        assert!(reported.contains("udp-closed-port-v6"), "{reported}");
        assert!(!reported.contains("container"), "{reported}");
        assert!(unknown("xyz").contains("container-mtu-and-firewall"));
    }
}

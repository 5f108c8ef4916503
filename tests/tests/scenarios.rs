//! Every scenario of the lab, watched: each expected drop is shown in its exact number with all its facts, and nothing
//! else but noise.

use std::env;

use anyhow::{Context, Result, ensure};
use lossdrop_lab::attempt;
use lossdrop_lab::wait::{LIMIT, wait_until};
use lossdrop_lab::{Expected, Lab, Lossdrop, Need, Netns, OWN_MACHINE, Output, Scenario, Shot};
use serde_json::Value;

/// Scenarios watched at the same time.
const SIDE_BY_SIDE: usize = 5;

#[test]
fn every_scenario_shows_exactly_what_was_dropped() {
    // That one has a file of its own.
    let watched = Scenario::all().filter(|known| known.name != "flood-with-a-rare-drop");
    attempt::all("trace", SIDE_BY_SIDE, watched, shows_exactly_what_was_dropped);
}

/// Two watch side by side: one shows all, the other hides what is benign.
fn shows_exactly_what_was_dropped(scenario: &Scenario) -> Result<()> {
    let mut lab = scenario.set_up()?;
    let args = ["--json", "--rate", "unlimited", "--snaplen", "0"];
    let with_all = [&args[..], &["--all"]].concat();
    let [all, some]: [Lossdrop; 2] = Lossdrop::watch_each(&lab.namespaces(), &[&with_all, &args])?
        .try_into()
        .ok()
        .context("two were started")?;

    // The owners and the names of namespaces come from /proc, and late on a busy machine: never wrong, but a first round
    // may lack them.
    let mut shot = Shot::default();
    wait_until("every kind of drop has all its names", LIMIT, || {
        shot.absorb(lab.fire()?);
        for running in [&all, &some] {
            running.wait_for_shot(&shot)?;
        }
        let (all, some) = (all.drops(), some.drops());
        Ok(shot.expected.iter().all(|expected| [&all, &some].iter().all(|drops| named(expected, drops))))
    })?;
    let (all, some) = (all.stop()?, some.stop()?);

    for output in [&all, &some] {
        // All that is expected is there, so what is lost is noise: an interrupt's, while the program ran. That is rare where
        // the machine is not emulated.
        match env::var_os(OWN_MACHINE) {
            Some(_) => output.says_what_it_counts()?,
            None => output.is_complete()?,
        }
        shot.check(&output.drops)?;
        right_names(&*lab, &shot, output)?;
        for expected in &shot.expected {
            let alike = shot.expected.iter().filter(|other| same_group(expected, other));
            let expected_count: u64 = alike.map(|alike| alike.count).sum();
            ensure!(output.counted(expected) >= expected_count, "{expected}: {}", output.summary);
        }
    }
    // One shows all; the other hides what the first marks as benign, and counts it.
    ensure!(all.total("suppressed")? == 0, "{}", all.summary);
    ensure!(some.drops.iter().all(|drop| drop["benign"] == false), "{some}");
    ensure!(some.total("suppressed")? == some.total("suppressed_benign")?, "{}", some.summary);
    // A connection's remains may come late, when only the second one still watches.
    let of_tcp = |symbol: &Value| {
        symbol.as_str().is_some_and(|symbol| symbol.starts_with("tcp_") || symbol == "sk_stream_kill_queues")
    };
    let shown =
        all.drops.iter().filter(|drop| drop["benign"] == true && of_tcp(&drop["symbol"])).count() as u64;
    let counted = some.groups().filter(|group| group["benign"] == true && of_tcp(&group["symbol"]));
    let counted: u64 = counted.filter_map(|group| group["count"].as_u64()).sum();
    ensure!(counted >= shown, "{counted} hidden of {shown}: {}", some.summary);
    ensure!(!all.drops.is_empty() || shot.untraced > 0, "nothing was dropped: {}", all.summary);
    Ok(())
}

/// Whether the last of these drops is shown with the name of its namespace and its owner, which older kernels do not tell.
fn named(expected: &Expected, drops: &[Value]) -> bool {
    let last = expected.among(drops).last();
    last.is_none_or(|drop| {
        (expected.netns.is_none() || !drop["netns"]["name"].is_null())
            && (expected.owner.is_none() || !drop["owner"].is_null() || Need::RX_SK.missing().is_some())
    })
}

/// A name may be missing where the machine is busy, but never wrong.
fn right_names(lab: &dyn Lab, shot: &Shot, output: &Output) -> Result<()> {
    for drop in &output.drops {
        let own = |ns: &&Netns| drop["netns"]["inum"] == ns.inum();
        let ns = lab.namespaces().into_iter().find(own).with_context(|| format!("not ours: {drop}"))?;
        let name = &drop["netns"]["name"];
        ensure!(name.is_null() || name == ns.name(), "{drop}");
    }
    for expected in &shot.expected {
        for drop in expected.among(&output.drops) {
            ensure!(drop["benign"] == false, "called benign: {drop}");
            // Where none is expected, it may be a socket of ours that the kernel found early.
            let right = u64::from(expected.owner.unwrap_or_else(std::process::id));
            ensure!(drop["owner"].is_null() || drop["owner"]["pid"] == right, "{drop}");
        }
    }
    Ok(())
}

fn same_group(one: &Expected, other: &Expected) -> bool {
    one.reason == other.reason && one.symbols == other.symbols
}

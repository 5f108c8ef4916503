//! Under a storm of drops, everything is counted exactly, and a rare drop of another cause is never hidden.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lossdrop_lab::lossdrop::trace_command;
use lossdrop_lab::traffic::{icmp_echo, udp_send};
use lossdrop_lab::wait::{LIMIT, wait_until};
use lossdrop_lab::{Expected, Flood, Lab, Lossdrop, Output};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

const STORM: u64 = 1_000_000;
const RARES: u64 = 10;
/// A million drops take two or three seconds here; a slow machine may take its time, but not forever.
const AT_MOST: Duration = Duration::from_secs(60);

/// Two causes, and how often the kernel's own counters say that each dropped a packet.
struct Storm {
    flood: Expected,
    rare: Expected,
}

/// At least [`STORM`] datagrams against the rule from one CPU, and meanwhile, every 100 ms, one to a closed port.
fn storm(lab: &Flood) -> Result<Storm> {
    const CHUNK: u64 = 100_000;
    const PACE: Duration = Duration::from_millis(100);
    let start = Instant::now();
    let cpu = available_parallelism().map_or(0, |cpus| cpus.get() - 1);
    let (over, rares) = (AtomicBool::new(false), AtomicU64::new(0));
    let storm = thread::scope(|scope| {
        let beside = scope.spawn(|| {
            let mut all = lab.rare(1)?;
            while !over.load(Ordering::Relaxed) {
                thread::sleep(PACE);
                all.count += lab.rare(1)?.count;
                rares.store(all.count, Ordering::Relaxed);
            }
            anyhow::Ok(all)
        });
        let flood = || {
            let mut all = lab.flood(CHUNK, cpu)?.1;
            while all.count < STORM || rares.load(Ordering::Relaxed) < RARES {
                ensure!(!beside.is_finished(), "the rare drops have ended");
                all.count += lab.flood(CHUNK, cpu)?.1.count;
            }
            Ok(all)
        };
        let flood = flood();
        over.store(true, Ordering::Relaxed);
        let rare = beside.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause))?;
        anyhow::Ok(Storm { flood: flood?, rare })
    })?;
    ensure!(lab.counted()? == storm.flood.count, "the rule's counter agrees");
    ensure!(start.elapsed() < AT_MOST, "took {:?}", start.elapsed());
    Ok(storm)
}

/// The kernel calls no program for a drop that interrupts it; such a drop is reported as lost, and in no group.
fn counts_exactly(output: &Output, expected: &Expected) -> Result<()> {
    let (counted, lost) = (output.counted(expected), output.total("lost")?);
    ensure!(
        counted == expected.count || (counted < expected.count && expected.count <= counted + lost),
        "{counted} of {expected}: {}",
        output.summary
    );
    Ok(())
}

#[test]
fn a_storm_is_counted_to_the_last_packet_and_hides_no_rare_drop() -> Result<()> {
    let lab = Flood::new()?;
    let running = Lossdrop::watch(&[lab.netns()], &["--json"])?;
    let Storm { flood, rare } = storm(&lab)?;
    running.wait_for_drops("every rare drop", |drops| rare.among(drops).count() as u64 >= rare.count)?;
    let output = running.stop()?;

    output.balances()?;
    counts_exactly(&output, &flood)?;
    counts_exactly(&output, &rare)?;
    ensure!(rare.count >= RARES && rare.among(&output.drops).count() as u64 == rare.count);
    let shown = flood.among(&output.drops).count() as u64;
    ensure!(shown >= 100, "{shown} of the storm's details, though 100 a second are allowed");
    ensure!(shown + rare.count == output.drops.len() as u64, "something else was shown");
    ensure!(output.total("shown")? == output.drops.len() as u64);
    ensure!(
        output.rationed()? + output.total("lost")? == flood.count - shown,
        "what was not shown was suppressed: {}",
        output.summary
    );
    Ok(())
}

/// Watches without a ration; the storm's lines are counted, not kept.
fn unrationed(lab: &Flood, args: &[&str]) -> Result<(Lossdrop, Arc<AtomicU64>)> {
    let lines = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&lines);
    let args = [&["--json", "--rate", "unlimited", "--snaplen", "0"], args].concat();
    let running = Lossdrop::spawn_keeping(&mut trace_command(&[lab.netns()], &args)?, move |line| {
        let storm = line.contains(r#""reason":"NETFILTER_DROP""#) && line.ends_with('}');
        let storm = storm && line.starts_with(r#"{"type":"drop""#);
        counter.fetch_add(u64::from(storm), Ordering::Relaxed);
        !storm
    })?;
    Ok((running.ready()?, lines))
}

#[test]
fn without_a_ration_every_drop_of_a_storm_is_shown_or_reported_lost() -> Result<()> {
    let lab = Flood::new()?;
    let (running, lines) = unrationed(&lab, &[])?;
    let Storm { flood, rare } = storm(&lab)?;
    running.signal(Signal::SIGINT)?;
    // What waits in the ring buffer is still written.
    let output = running.finish(AT_MOST)?;

    output.balances()?;
    counts_exactly(&output, &flood)?;
    counts_exactly(&output, &rare)?;
    let (storm, rares) = (lines.load(Ordering::Relaxed), rare.among(&output.drops).count() as u64);
    let lost = output.total("lost")?;
    ensure!(output.total("shown")? == storm + rares && rares == output.drops.len() as u64);
    ensure!(output.rationed()? == 0, "{}", output.summary);
    ensure!(
        storm + rares + lost == flood.count + rare.count,
        "{storm} and {rares} shown: {}",
        output.summary
    );
    Ok(())
}

#[test]
fn a_tiny_ring_buffer_loses_details_and_says_how_many() -> Result<()> {
    let lab = Flood::new()?;
    let (running, lines) = unrationed(&lab, &["--buffer", "4K"])?;
    let cpu = available_parallelism().map_or(0, |cpus| cpus.get() - 1);
    let (_, flood) = lab.flood(100_000, cpu)?;
    running.signal(Signal::SIGINT)?;
    let output = running.finish(AT_MOST)?;

    output.balances()?;
    counts_exactly(&output, &flood)?;
    let (shown, lost) = (lines.load(Ordering::Relaxed), output.total("lost")?);
    ensure!(shown > 0 && lost > 0 && shown + lost == flood.count, "{shown} shown: {}", output.summary);
    ensure!(output.total("shown")? == shown && output.rationed()? == 0);
    Ok(())
}

#[test]
fn losses_are_reported_while_they_happen() -> Result<()> {
    let lab = Flood::new()?;
    let (running, _) = unrationed(&lab, &["--buffer", "4K"])?;
    let cpu = available_parallelism().map_or(0, |cpus| cpus.get() - 1);
    lab.flood(50_000, cpu)?;
    wait_until("a warning of losses", LIMIT, || {
        Ok(running
            .stderr()
            .iter()
            .any(|line| line.contains("details lost so far") && line.contains("--buffer")))
    })?;
    running.stop()?.balances()
}

#[test]
fn the_scenario_of_the_lab_is_counted_exactly_though_its_details_are_rationed() -> Result<()> {
    let mut lab = Flood::new()?;
    let running = Lossdrop::watch(&[lab.netns()], &["--json", "--rate", "5"])?;
    let shot = lab.fire()?;
    let rare = shot.expected.last().cloned();
    running.wait_for_drops("the rare drop", |drops| {
        rare.iter().all(|rare| rare.among(drops).count() as u64 == rare.count)
    })?;
    let output = running.stop()?;
    output.balances()?;
    for expected in &shot.expected {
        counts_exactly(&output, expected)?;
        let shown = expected.among(&output.drops).count() as u64;
        ensure!(shown >= expected.count.min(5), "{shown} shown of {expected}");
    }
    Ok(())
}

#[test]
fn kinds_that_find_the_key_table_full_are_counted_all_the_same() -> Result<()> {
    let lab = Flood::new()?;
    let running = Lossdrop::watch(&[lab.netns()], &["--json", "--keys", "1", "--all"])?;
    lab.netns().sh("nft add rule inet lab input icmp type echo-request counter drop")?;
    let home = Ipv4Addr::LOCALHOST;
    // Three kinds on one CPU, which has a row for one.
    let (flood, rare, pings) =
        on_cpu_0(|| Ok((lab.flood(1_000, 0)?.1, lab.rare(7)?, icmp_echo(lab.netns(), home, home, 1, 9)?)))?;
    let expected = flood.count + rare.count + pings;
    // A last one, so that what was sent before has arrived.
    udp_send(lab.netns(), (home, 0).into(), (home, 9997).into(), 1, 16)?;
    running.wait_for_drops("the last one", |drops| drops.iter().any(|drop| drop["dst_port"] == 9997))?;
    let output = running.stop()?;

    output.balances()?;
    ensure!(output.total("other")? > 0, "all kinds found room: {}", output.summary);
    // The tool that reads the rule's counter may leave buffers of its own behind.
    let benign = output.drops.iter().filter(|drop| drop["benign"] == true).count() as u64;
    let (passed, lost) = (output.passed()? - benign, output.total("lost")?);
    ensure!(passed <= expected + 1 && expected < passed + lost + 1, "{expected}: {}", output.summary);
    ensure!(rare.among(&output.drops).count() as u64 == rare.count, "{output}");
    Ok(())
}

/// Runs `work`, and the threads that it starts, on the first CPU.
fn on_cpu_0<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let pinned = || {
        let mut cpus = CpuSet::new();
        cpus.set(0)?;
        sched_setaffinity(Pid::from_raw(0), &cpus)?;
        work()
    };
    thread::scope(|scope| scope.spawn(pinned).join()).unwrap_or_else(|cause| std::panic::resume_unwind(cause))
}

//! Several instances side by side, both ways to attach, and names that change hands while one watches.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, ensure};
use lossdrop_lab::output::facts;
use lossdrop_lab::traffic::udp_send;
use lossdrop_lab::wait::{LIMIT, wait_until};
use lossdrop_lab::{Lab, Lossdrop, Netns, Output, Scenario, Shot};
use serde_json::Value;

/// Scenarios of every kind: with a device, without one, with sockets, with routes, of both families.
const SCENARIOS: [&str; 7] = [
    "container-mtu-and-firewall",
    "udp-closed-port-v6",
    "nft-inet-drop",
    "output-rule",
    "udp-rcvbuf-full",
    "qdisc-full",
    "neighbour-unreachable",
];

/// Two instances with these arguments, which watch one round of all [`SCENARIOS`].
fn watched(args: [&[&str]; 2]) -> Result<(Shot, [Output; 2])> {
    let labs: Result<Vec<_>> = SCENARIOS
        .iter()
        .map(|name| Scenario::find(name).with_context(|| format!("no scenario {name}"))?.set_up())
        .collect();
    let mut labs = labs?;
    let namespaces: Vec<_> = labs.iter().flat_map(|lab| lab.namespaces()).collect();
    let both = Lossdrop::watch_each(&namespaces, &args)?;
    let mut shot = Shot::default();
    for lab in &mut labs {
        shot.absorb(lab.fire()?);
    }
    for running in &both {
        running.wait_for_shot(&shot)?;
    }
    let outputs: Result<Vec<_>> = both.into_iter().map(Lossdrop::stop).collect();
    let outputs: [Output; 2] = outputs?.try_into().ok().context("two were started")?;
    for output in &outputs {
        output.is_complete()?;
        shot.check(&output.drops)?;
    }
    Ok((shot, outputs))
}

/// The kernel's own buffers, which carry no packet, are freed in their own time, perhaps before or after the other one
/// watches.
fn in_time(what: &&Value) -> bool {
    what["benign"] == false || what["symbol"].as_str().is_some_and(|symbol| symbol.starts_with("tcp_"))
}

fn are_alike([one, other]: &[Output; 2]) -> Result<()> {
    let drops = |output: &Output| facts(output.drops.iter().filter(in_time));
    let (left, right) = (drops(one), drops(other));
    for (left, right) in left.iter().zip(&right) {
        ensure!(left == right, "\n{left}\n{right}");
    }
    ensure!(left.len() == right.len(), "{} and {} drops", left.len(), right.len());
    let groups = |output: &Output| output.groups().filter(in_time).cloned().collect::<Vec<_>>();
    ensure!(groups(one) == groups(other), "{}\n{}", one.summary, other.summary);
    Ok(())
}

#[test]
fn two_at_once_see_the_same() -> Result<()> {
    let args = &["--json", "--all"][..];
    let (shot, outputs) = watched([args, args])?;
    ensure!(shot.total() > 30, "{shot}");
    are_alike(&outputs)
}

#[test]
fn a_raw_tracepoint_shows_the_same_as_tp_btf() -> Result<()> {
    let common = ["--json", "--all", "--attach"];
    let (shot, outputs) =
        watched([&[&common[..], &["tp-btf"]].concat(), &[&common[..], &["raw-tp"]].concat()])?;
    ensure!(shot.total() > 30, "{shot}");
    for (output, how) in outputs.iter().zip(["through tp_btf;", "through raw_tracepoint;"]) {
        ensure!(output.stderr.len() == 1 && output.stderr[0].contains(how), "{output}");
    }
    are_alike(&outputs)
}

#[test]
fn each_has_its_own_ration_and_its_own_end() -> Result<()> {
    let mut lab = lossdrop_lab::UdpClosedPort::v4(20)?;
    let args = [
        &["--json"][..],
        &["--json", "--count", "3"],
        &["--json", "--rate", "1"],
        &["--json", "--port", "1-9998"],
    ];
    let running = Lossdrop::watch_each(&lab.namespaces(), &args)?;
    let shot = lab.fire()?;
    running[0].wait_for_shot(&shot)?;
    let mut outputs = Vec::new();
    for (index, running) in running.into_iter().enumerate() {
        outputs.push(if index == 1 { running.finish(LIMIT) } else { running.stop() }?);
    }
    let shown = |index: usize| outputs[index].total("shown");
    for output in &outputs {
        output.is_complete()?;
    }
    ensure!(shown(0)? == 20 && shown(1)? == 3 && shown(3)? == 0);
    // One a second, and a round takes less than that, or not much more.
    ensure!((1..=5).contains(&shown(2)?), "{}", outputs[2].summary);
    ensure!(shown(2)? + outputs[2].rationed()? == 20, "{}", outputs[2].summary);
    ensure!(outputs[3].total("filtered")? >= 20, "{}", outputs[3].summary);
    Ok(())
}

/// One datagram to a closed port of the loopback.
fn drop_one(ns: &Netns) -> Result<()> {
    let home = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    udp_send(ns, home(0), home(9999), 1, 16)?;
    Ok(())
}

/// Drops one after the other until one is shown with the name of its namespace; returns the name.
fn name_shown(running: &Lossdrop, ns: &Netns) -> Result<String> {
    let mut name = None;
    wait_until("a drop has the name of its namespace", LIMIT, || {
        let before = running.drops().len();
        drop_one(ns)?;
        running.wait_for_drops("the drop", |drops| drops.len() > before)?;
        name = running.drops().last().and_then(|drop| drop["netns"]["name"].as_str().map(str::to_owned));
        Ok(name.is_some())
    })?;
    name.context("no name")
}

#[test]
fn a_namespace_that_takes_over_the_number_of_a_gone_one_is_not_called_by_its_name() -> Result<()> {
    // The kernel gives the lowest number that is free; another test may be quicker, so there are several tries.
    for _ in 0..5 {
        let first = Netns::new("first")?;
        let inum = first.inum();
        let running = Lossdrop::watch(&[&first], &["--json", "--rate", "unlimited"])?;
        let called = name_shown(&running, &first)?;
        ensure!(called == first.name(), "{called}");
        drop(first);
        let mut heirs = Vec::new();
        let found = wait_until("the number is free again", LIMIT / 4, || {
            heirs.push(Netns::new("heir")?);
            Ok(heirs.iter().any(|heir: &Netns| heir.inum() == inum))
        });
        let Some(heir) = heirs.iter().find(|heir| heir.inum() == inum).filter(|_| found.is_ok()) else {
            continue;
        };
        let called = name_shown(&running, heir)?;
        ensure!(called == heir.name(), "{} is called {called}", heir.name());
        return running.stop()?.is_complete();
    }
    anyhow::bail!("no namespace ever got the number of one that was gone")
}

#[test]
fn a_namespace_that_is_made_while_it_watches_gets_its_name() -> Result<()> {
    // Whatever drops elsewhere meanwhile, port and protocol single out this test's own.
    let running = Lossdrop::watch(&[], &["--json", "--port", "9999", "--proto", "udp"])?;
    let late = Netns::new("late")?;
    wait_until("a drop has the name of its namespace", LIMIT, || {
        let own = |drop: &&Value| drop["netns"]["inum"] == late.inum();
        let before = running.drops().iter().filter(own).count();
        drop_one(&late)?;
        running.wait_for_drops("the drop", |drops| drops.iter().filter(own).count() > before)?;
        let drops = running.drops();
        let name = &drops.iter().rfind(own).context("gone")?["netns"]["name"];
        ensure!(name.is_null() || name == late.name(), "{} is called {name}", late.name());
        Ok(!name.is_null())
    })?;
    running.stop()?.balances()
}

//! Causes, looked at one by one: the facts beside the count that the table of scenarios does not hold.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixDatagram;

use anyhow::{Result, ensure};
use lossdrop_lab::traffic::{framed_udp, udp_bind};
use lossdrop_lab::veth::End;
use lossdrop_lab::wait::{LIMIT, wait_until};
use lossdrop_lab::{Container, Lab, Lossdrop, Netns, OutputRule, Pair, RcvBuf, Shot};
use nix::sys::socket::{ControlMessage, MsgFlags, recvmsg, sendmsg};
use serde_json::Value;

fn symbol_of(drop: &Value) -> &str {
    drop["symbol"].as_str().unwrap_or_default()
}

/// That the drop names the namespace and the device, each by number and name.
fn at(drop: &Value, ns: &Netns, dev: &str) -> Result<()> {
    ensure!(drop["netns"]["inum"] == ns.inum(), "not in {}: {drop}", ns.name());
    let name = &drop["netns"]["name"];
    // Late on a busy machine, but never wrong.
    ensure!(name.is_null() || name == ns.name(), "not called {}: {drop}", ns.name());
    ensure!(drop["iface"]["name"] == dev && drop["iface"]["index"] == ns.ifindex(dev)?, "not {dev}: {drop}");
    Ok(())
}

/// The story of the README: what the drops say is what the rule's and the device's own counters say.
fn container(tool: &'static str) -> Result<()> {
    let mut lab = Container::new(tool, 40)?;
    let namespaces = lab.namespaces();
    let running = Lossdrop::watch(&namespaces, &["--json", "--port", "80"])?;
    let before = lab.counted()?;
    let shot = lab.fire()?;
    let after = lab.counted()?;
    running.wait_for_shot(&shot)?;
    let output = running.stop()?;
    output.is_complete()?;
    let (host, web) = lab.ends();
    let (by_rule, by_mtu): (Vec<_>, Vec<_>) =
        output.drops.iter().partition(|drop| drop["reason"] == "NETFILTER_DROP");

    ensure!(by_rule.len() as u64 == after.0 - before.0, "the rule counts {}: {output}", after.0 - before.0);
    let mut syns = BTreeMap::new();
    for drop in by_rule {
        at(drop, web, "eth0")?;
        ensure!(drop["iface"]["mtu"] == 100 && drop["cause"] == "netfilter", "{drop}");
        ensure!(["nft_do_chain", "nf_hook_slow"].contains(&symbol_of(drop)), "{drop}");
        ensure!(drop["l3"] == "ipv4" && drop["proto"] == "tcp", "{drop}");
        ensure!(drop["src_ip"] == "10.0.0.1" && drop["dst_ip"] == "10.0.0.2" && drop["dst_port"] == 80);
        if drop["tcp_flags"] == "S" {
            *syns.entry(drop["src_port"].as_u64()).or_insert(0) += 1;
        }
    }
    ensure!(syns.values().all(|count| *count == 1), "a SYN is dropped once: {syns:?}");

    ensure!(by_mtu.len() as u64 == after.1 - before.1, "eth0 counts {}: {output}", after.1 - before.1);
    let mut gets = BTreeSet::new();
    for drop in by_mtu {
        // Where it died: at the sender's end, which has the larger MTU.
        at(drop, host, "veth0")?;
        ensure!(drop["iface"]["mtu"] == 1500 && drop["cause"] == "mtu", "{drop}");
        ensure!(symbol_of(drop).starts_with("__dev_forward_skb"), "{drop}");
        ensure!(
            drop["src_ip"] == "10.0.0.1" && drop["dst_ip"] == "10.0.0.2" && drop["dst_port"] == 80,
            "{drop}"
        );
        gets.insert(drop["src_port"].as_u64());
        // A GET of 79 bytes behind 52 bytes of headers.
        ensure!(drop["len"] == 131 && drop["proto"] == "tcp", "{drop}");
        ensure!(drop["tcp_flags"].as_str().is_some_and(|flags| !flags.contains('S')), "{drop}");
    }
    ensure!(gets.len() as u64 == lab.lost_gets, "each GET has a flow of its own: {gets:?}");
    Ok(())
}

#[test]
fn the_container_with_nft_iptables_loses_what_its_counters_say() -> Result<()> {
    container("iptables-nft")
}

#[test]
fn the_container_with_legacy_iptables_loses_what_its_counters_say() -> Result<()> {
    container("iptables-legacy")
}

/// Fires until a drop has its owner, which comes from `/proc` and late on a busy machine; returns the drops.
fn fire_until_owned(lab: &mut dyn Lab, args: &[&str]) -> Result<Vec<Value>> {
    let running = Lossdrop::watch(&lab.namespaces(), args)?;
    let mut shot = Shot::default();
    wait_until("a drop has an owner", LIMIT, || {
        shot.absorb(lab.fire()?);
        running.wait_for_shot(&shot)?;
        Ok(running.drops().iter().any(|drop| !drop["owner"].is_null()))
    })?;
    let output = running.stop()?;
    output.is_complete()?;
    shot.check(&output.drops)?;
    Ok(output.drops)
}

fn comm(pid: u32) -> Result<String> {
    Ok(std::fs::read_to_string(format!("/proc/{pid}/comm"))?.trim_end().to_owned())
}

#[test]
fn a_full_receive_buffer_is_owned_by_the_process_that_holds_the_socket() -> Result<()> {
    let mut lab = RcvBuf::held_by_child(10)?;
    let drops = fire_until_owned(&mut lab, &["--json"])?;
    // The child sleeps: whatever ran while the packets died, it was not the owner.
    for owner in drops.iter().map(|drop| &drop["owner"]).filter(|owner| !owner.is_null()) {
        ensure!(owner["pid"] == lab.owner() && owner["comm"] == "sleep", "{owner}");
        let cgroup = std::fs::read_to_string(format!("/proc/{}/cgroup", lab.owner()))?;
        ensure!(owner["cgroup"].as_str().is_some_and(|path| cgroup.contains(path)), "{owner}: {cgroup}");
    }
    Ok(())
}

#[test]
fn an_owner_that_was_not_found_is_looked_for_again() -> Result<()> {
    let pair = Pair::v4()?;
    let deaf = udp_bind(&pair.server, (Pair::SERVER_V4, 5140).into(), Some(1))?;
    // Rounds follow each other faster than the usual ration lets drops be reported.
    let running = Lossdrop::watch(&pair.namespaces(), &["--json", "--rate", "100000"])?;
    // On its way from one process to another, a socket belongs to none.
    let (from, to) = UnixDatagram::pair()?;
    let fds = [deaf.as_raw_fd()];
    sendmsg::<()>(
        from.as_raw_fd(),
        &[IoSlice::new(b"x")],
        &[ControlMessage::ScmRights(&fds)],
        MsgFlags::empty(),
        None,
    )?;
    drop(deaf);
    let round = || -> Result<Value> {
        let before = running.drops().len();
        pair.send_v4(5140, 10, 100)?;
        running.wait_for_drops("a drop", |drops| drops.len() > before)?;
        Ok(running.drops().pop().unwrap_or_default()["owner"].take())
    };
    for _ in 0..3 {
        let owner = round()?;
        ensure!(owner.is_null(), "nobody holds it: {owner}");
    }

    let mut space = nix::cmsg_space!([RawFd; 1]);
    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    let got = recvmsg::<()>(to.as_raw_fd(), &mut bytes, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    ensure!(got.cmsgs()?.count() == 1, "the socket has arrived, and stays open until this process ends");
    wait_until("the owner is found", LIMIT, || {
        let owner = round()?;
        ensure!(owner.is_null() || owner["pid"] == std::process::id(), "{owner}");
        Ok(!owner.is_null())
    })?;
    running.stop()?.is_complete()
}

#[test]
fn an_output_rule_is_placed_by_the_packets_socket_and_owned_by_its_sender() -> Result<()> {
    for tool in ["iptables-nft", "iptables-legacy"] {
        let mut lab = OutputRule::new(tool, 4)?;
        let drops = fire_until_owned(&mut lab, &["--json"])?;
        let client = lab.namespaces()[0];
        for drop in &drops {
            ensure!(drop["netns"]["inum"] == client.inum(), "{tool}: {drop}");
            let owner = &drop["owner"];
            let us = std::process::id();
            ensure!(owner.is_null() || (owner["pid"] == us && owner["comm"] == comm(us)?), "{tool}: {owner}");
        }
    }
    Ok(())
}

#[test]
fn a_vlan_without_a_device_is_a_fault_and_a_frame_for_another_host_is_none() -> Result<()> {
    let pair = Pair::v4()?;
    let Pair { client, server } = &pair;
    let own = End::new(server, "eth0", &[]).mac()?;
    let other = "02:00:00:00:00:99";
    let (src, dst) = (SocketAddrV4::new(Pair::CLIENT_V4, 1000), SocketAddrV4::new(Pair::SERVER_V4, 2000));
    let args = ["--json", "--port", "2000"];
    let running = Lossdrop::watch_each(&pair.namespaces(), &[&args, &[&args[..], &["--all"]].concat()])?;
    for (mac, tags, count) in
        [(&*own, &[42][..], 3), (other, &[], 4), (other, &[42], 5), (&own, &[], 1), (&own, &[42, 43], 2)]
    {
        framed_udp(client, "eth0", mac, tags, src, dst, count, 16)?;
    }
    // Three for a VLAN that is not here, two for a VLAN in it, nine for another host, one for a closed port.
    running[1].wait_for_drops("all are shown", |drops| drops.len() >= 15)?;
    let outputs: Result<Vec<_>> = running.into_iter().map(Lossdrop::stop).collect();
    let [some, all] = &outputs?[..] else { unreachable!("two were started") };
    some.is_complete()?;
    all.is_complete()?;

    let mut counts = BTreeMap::new();
    for drop in &all.drops {
        at(drop, server, "eth0")?;
        ensure!(drop["src_port"] == 1000 && drop["proto"] == "udp" && drop["len"] == 44, "{drop}");
        // The kernel has taken the tag out before it gives the frame up.
        ensure!(drop["vlan"].is_null(), "{drop}");
        let (reason, cause) = (drop["reason"].as_str(), drop["cause"].as_str());
        *counts.entry((reason.unwrap_or("-"), cause.unwrap_or("-"), drop["benign"] == true)).or_insert(0) +=
            1;
    }
    let count = |reason, cause, benign| counts.get(&(reason, cause, benign)).copied().unwrap_or(0);
    ensure!(count("OTHERHOST", "device", false) == 3, "{counts:?}");
    ensure!(count("OTHERHOST", "housekeeping", true) == 9, "{counts:?}");
    ensure!(count("NO_SOCKET", "socket", false) == 1, "{counts:?}");
    let nested: u64 =
        counts.iter().filter(|(key, _)| key.0 == "UNHANDLED_PROTO" && !key.2).map(|(_, n)| n).sum();
    ensure!(nested == 2 && counts.values().sum::<u64>() == 15, "{counts:?}");
    ensure!(some.drops.iter().all(|drop| drop["benign"] == false) && some.total("shown")? == 6);
    ensure!(some.total("suppressed")? == 9 && some.total("suppressed_benign")? == 9, "{}", some.summary);
    Ok(())
}

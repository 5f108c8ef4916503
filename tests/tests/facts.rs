//! What the kernel knew when the packet died: the other end of the cable, the queue, the socket.

use anyhow::{Context, Result, ensure};
use lossdrop_lab::{Container, Lab, Lossdrop, Output, Qdisc, RcvBuf};
use serde_json::Value;

/// A round of the lab, watched in each way of attaching.
fn watch_each_way(mut lab: impl Lab, check: impl Fn(&Output) -> Result<()>) -> Result<()> {
    for attach in ["tp-btf", "raw-tp"] {
        let running = Lossdrop::watch(&lab.namespaces(), &["--json", "--attach", attach])?;
        let shot = lab.fire()?;
        running.wait_for_shot(&shot)?;
        let output = running.stop()?;
        output.is_complete()?;
        check(&output).with_context(|| format!("{attach}: {output}"))?;
    }
    Ok(())
}

/// The drops at a function, of which there is at least one.
fn dropped_at<'a>(output: &'a Output, symbols: &[&str]) -> Result<Vec<&'a Value>> {
    let at = |drop: &&Value| drop["symbol"].as_str().is_some_and(|symbol| symbols.contains(&symbol));
    let drops: Vec<_> = output.drops.iter().filter(at).collect();
    ensure!(!drops.is_empty(), "nothing was dropped at {symbols:?}");
    Ok(drops)
}

#[test]
fn a_packet_too_big_for_the_other_end_of_the_cable_names_that_end() -> Result<()> {
    let lab = Container::new("iptables", 2)?;
    let (_, container) = lab.ends();
    let (inum, name) = (container.inum(), container.name().to_owned());
    watch_each_way(lab, |output| {
        for drop in dropped_at(output, &["__dev_forward_skb2", "__dev_forward_skb"])? {
            let peer = &drop["peer"];
            ensure!(drop["iface"]["name"] == "veth0" && drop["iface"]["mtu"] == 1500, "{drop}");
            ensure!(peer["name"] == "eth0" && peer["mtu"] == 100, "{drop}");
            ensure!(peer["netns"]["inum"] == inum, "{drop}");
            ensure!(peer["netns"]["name"].is_null() || peer["netns"]["name"] == *name, "{drop}");
        }
        // What the rule drops, if anything, has come through the cable already.
        for drop in output.drops.iter().filter(|drop| drop["reason"] == "NETFILTER_DROP") {
            ensure!(drop["peer"]["name"] == "veth0" && drop["peer"]["mtu"] == 1500, "{drop}");
        }
        Ok(())
    })
}

#[test]
fn a_full_queue_has_its_kind_and_what_is_in_it() -> Result<()> {
    watch_each_way(Qdisc::tbf(20)?, |output| {
        for drop in dropped_at(output, &["__dev_queue_xmit"])? {
            let qdisc = &drop["qdisc"];
            ensure!(qdisc["kind"] == "tbf", "{drop}");
            ensure!(qdisc["handle"].as_str().is_some_and(|handle| handle.ends_with(':')), "{drop}");
            ensure!(qdisc["qlen"].as_u64() > Some(0) && qdisc["backlog"].as_u64() > Some(400), "{drop}");
        }
        Ok(())
    })
}

#[test]
fn a_full_socket_has_its_limit_and_what_is_in_it() -> Result<()> {
    watch_each_way(RcvBuf::held_by_child(10)?, |output| {
        let drops = dropped_at(output, &["udp_queue_rcv_one_skb", "__udp_queue_rcv_skb"])?;
        for drop in &drops {
            let socket = &drop["socket"];
            let [rmem, rcvbuf] = ["rmem", "rcvbuf"].map(|name| socket[name].as_u64());
            ensure!(socket["port"] == 5140 && rcvbuf > Some(0), "{drop}");
            // What is in it and one more packet were too much.
            ensure!(rmem.unwrap_or(0) * 2 > rcvbuf.unwrap_or(0), "{drop}");
        }
        let counted = |drop: &&Value| drop["socket"]["drops"].as_u64();
        let (first, last) = (drops.first().and_then(counted), drops.last().and_then(counted));
        ensure!(last > first, "{first:?} to {last:?}");
        Ok(())
    })
}

#[test]
fn without_rations_nothing_is_looked_up_but_the_packet() -> Result<()> {
    let mut lab = RcvBuf::held_by_child(10)?;
    let running = Lossdrop::watch(&lab.namespaces(), &["--json", "--rate", "unlimited"])?;
    let shot = lab.fire()?;
    running.wait_for_shot(&shot)?;
    let output = running.stop()?;
    output.is_complete()?;
    ensure!(output.drops.iter().all(|drop| drop.get("socket").is_none()), "{output}");
    Ok(())
}

//! The lab itself: each scenario's number agrees with a counter of the kernel that the scenario did not take it from.

use std::fs;
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result, ensure};
use lossdrop_lab::counters::{Nstat, link_stats, nstat};
use lossdrop_lab::wait::{LIMIT, wait_until};
use lossdrop_lab::{
    CloseNoise, Container, Flood, Lab, Neighbour, Netns, NftDrop, OutputRule, Qdisc, RcvBuf, Scenario, Shot,
    TcpClosedPort, UdpClosedPort,
};

/// Fires twice (a second round starts from what the first one left behind) and returns both shots.
fn rounds(lab: &mut dyn Lab) -> Result<[Shot; 2]> {
    Ok([lab.fire()?, lab.fire()?])
}

fn total(shots: &[Shot]) -> u64 {
    shots.iter().map(Shot::total).sum()
}

/// What each of the expected causes dropped over both rounds.
fn by_reason(shots: &[Shot], reason: &str) -> u64 {
    let all = shots.iter().flat_map(|shot| &shot.expected);
    all.filter(|expected| expected.reason == reason).map(|expected| expected.count).sum()
}

#[test]
fn a_namespace_is_gone_with_its_guard_and_so_is_what_ran_inside() -> Result<()> {
    let ns = Netns::new("gone")?;
    let path = ns.path();
    ensure!(path.exists());
    let mut child = ns.command("sleep").arg("60").spawn()?;
    let joined = format!("/proc/{}/ns/net", child.id());
    wait_until("the child has joined", LIMIT, || Ok(fs::metadata(&joined)?.ino() == ns.inum()))?;
    drop(ns);
    ensure!(!path.exists(), "{} is still there", path.display());
    ensure!(!child.wait()?.success(), "sleep was not killed");
    Ok(())
}

#[test]
fn every_scenario_of_the_table_fires_and_leaves_nothing_behind() -> Result<()> {
    for scenario in Scenario::all() {
        if let Some(missing) = scenario.missing().first() {
            eprintln!("{} is skipped: {missing}", scenario.name);
            continue;
        }
        let shot = || {
            let mut lab = scenario.set_up()?;
            let paths: Vec<_> = lab.namespaces().iter().map(|ns| ns.path()).collect();
            ensure!(!paths.is_empty() && paths.iter().all(|path| path.exists()));
            let shot = lab.fire()?;
            drop(lab);
            ensure!(paths.iter().all(|path| !path.exists()), "left behind: {paths:?}");
            Ok(shot)
        };
        let shot = shot().with_context(|| scenario.name)?;
        ensure!(
            shot.total() + shot.untraced > 0 || !shot.noise.is_empty(),
            "{} drops nothing",
            scenario.name
        );
    }
    Ok(())
}

#[test]
fn a_command_that_fails_in_a_namespace_says_which_and_why() -> Result<()> {
    let failure = Netns::new("sh")?.sh("echo over here >&2; exit 3").unwrap_err().to_string();
    ensure!(failure.contains("exit 3") && failure.contains("over here"), "{failure}");
    Ok(())
}

#[test]
fn the_container_loses_as_many_requests_at_eth0_as_its_peer_counts() -> Result<()> {
    let mut lab = Container::new("iptables", 20)?;
    let shots = rounds(&mut lab)?;
    let (rule, mtu) = lab.counted()?;
    ensure!(by_reason(&shots, "NETFILTER_DROP") == rule, "rule {rule}: {shots:?}");
    ensure!(by_reason(&shots, "NOT_SPECIFIED") == mtu && mtu >= 2 * lab.lost_gets, "mtu {mtu}: {shots:?}");
    let (host, container) = lab.ends();
    ensure!(link_stats(host, "veth0")?.tx_dropped == mtu, "the same packets are tx_dropped of veth0");
    // Everything else that left the host reached the container, and met the rule before TCP.
    let arrived = Nstat::read(container)?;
    ensure!(arrived.get("IpInReceives") - arrived.get("IpInDelivers") == rule, "rule {rule}");
    Ok(())
}

#[test]
fn the_container_works_with_legacy_iptables_too() -> Result<()> {
    let mut lab = Container::new("iptables-legacy", 10)?;
    let shot = lab.fire()?;
    ensure!(shot.total() == lab.counted()?.0 + lab.counted()?.1);
    Ok(())
}

#[test]
fn datagrams_to_a_closed_port_are_counted_as_no_ports() -> Result<()> {
    for (mut lab, delivered) in
        [(UdpClosedPort::v4(7)?, "IpInDelivers"), (UdpClosedPort::v6(7)?, "Udp6NoPorts")]
    {
        let shots = rounds(&mut lab)?;
        let counted = nstat(lab.ends().1, delivered)?;
        ensure!(total(&shots) == 14 && counted == 14, "{delivered} {counted}: {shots:?}");
    }
    Ok(())
}

#[test]
fn syns_to_a_closed_port_are_all_answered_with_rst() -> Result<()> {
    let mut lab = TcpClosedPort::new(9)?;
    let shots = rounds(&mut lab)?;
    let server = Nstat::read(lab.namespaces()[1])?;
    ensure!(total(&shots) == 18 && server.get("TcpInSegs") == 18, "{shots:?}");
    // A wrong checksum would be dropped elsewhere.
    ensure!(server.get("TcpInCsumErrors") == 0 && server.get("IpInHdrErrors") == 0);
    Ok(())
}

#[test]
fn an_inet_rule_counts_both_families() -> Result<()> {
    let mut lab = NftDrop::new(4)?;
    let shots = rounds(&mut lab)?;
    ensure!(total(&shots) == 16 && lab.counted()? == 16, "{shots:?}");
    ensure!(nstat(lab.namespaces()[1], "UdpNoPorts")? == 0, "nothing passed the rule");
    Ok(())
}

#[test]
fn an_output_rule_refuses_each_send() -> Result<()> {
    for tool in ["iptables", "iptables-legacy"] {
        let mut lab = OutputRule::new(tool, 5)?;
        let shots = rounds(&mut lab)?;
        ensure!(total(&shots) == 10 && lab.counted()? == 10, "{tool}: {shots:?}");
        ensure!(shots[0].expected[0].owner == Some(std::process::id()));
    }
    Ok(())
}

#[test]
fn a_full_receive_buffer_loses_what_the_protocol_counts() -> Result<()> {
    for mut lab in [RcvBuf::held_here(10)?, RcvBuf::held_by_child(10)?] {
        let shots = rounds(&mut lab)?;
        let errors = nstat(lab.namespaces()[1], "UdpRcvbufErrors")?;
        ensure!(total(&shots) == errors, "UdpRcvbufErrors {errors}: {shots:?}");
        ensure!(shots[1].total() == 10, "nobody reads: all of the second round is lost: {shots:?}");
    }
    Ok(())
}

#[test]
fn a_socket_held_by_a_child_has_the_child_as_its_owner() -> Result<()> {
    let lab = RcvBuf::held_by_child(1)?;
    ensure!(lab.owner() != std::process::id());
    let holds = fs::read_link(format!("/proc/{}/fd/0", lab.owner()))?;
    ensure!(holds.to_string_lossy().starts_with("socket:"), "{}", holds.display());
    Ok(())
}

#[test]
fn an_unreachable_neighbour_loses_every_datagram() -> Result<()> {
    let mut lab = Neighbour::new(3)?;
    let shots = rounds(&mut lab)?;
    let client = lab.namespaces()[0];
    let link = link_stats(client, "eth0")?;
    let arp = link.tx_packets;
    ensure!(total(&shots) == 6 && nstat(client, "UdpOutDatagrams")? == 6, "{shots:?}");
    ensure!(arp <= 4, "{arp} frames left: more than the ARP requests");
    Ok(())
}

#[test]
fn a_full_qdisc_loses_what_the_senders_socket_counts() -> Result<()> {
    for mut lab in [Qdisc::tbf(20)?, Qdisc::htb_leaf(20)?] {
        let shots = rounds(&mut lab)?;
        let errors = nstat(lab.namespaces()[0], "UdpSndbufErrors")?;
        ensure!(total(&shots) == errors && errors > 0, "UdpSndbufErrors {errors}: {shots:?}");
    }
    Ok(())
}

#[test]
fn a_flood_is_counted_to_the_last_datagram_and_the_rare_drop_beside_it() -> Result<()> {
    let lab = Flood::new()?;
    // No multiple of the batch.
    let (report, storm) = lab.flood(10_001, 0)?;
    let rare = lab.rare(2)?;
    ensure!(report.accepted == 10_001 && storm.count == 10_001, "{report:?}");
    let counted = Nstat::read(lab.netns())?;
    ensure!(rare.count == 2 && counted.get("UdpNoPorts") == 2);
    ensure!(counted.get("UdpOutDatagrams") == 10_003, "{}", counted.get("UdpOutDatagrams"));
    Ok(())
}

#[test]
fn ordinary_connections_lose_nothing() -> Result<()> {
    let mut lab = CloseNoise::new(5)?;
    let shots = rounds(&mut lab)?;
    ensure!(total(&shots) == 0);
    let server = Nstat::read(lab.namespaces()[1])?;
    ensure!(server.get("TcpPassiveOpens") == 10 && server.get("TcpRetransSegs") == 0);
    Ok(())
}

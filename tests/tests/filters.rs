//! The filters, in the kernel: each kind by itself and together with others, against drops of every kind of packet.
//!
//! One instance without filters says what was dropped; what the others show must be exactly that part of it which their
//! filters describe.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use lossdrop_lab::lossdrop::trace_command;
use lossdrop_lab::output::facts;
use lossdrop_lab::traffic::{
    Fragment, arp_request, framed_udp, icmp_echo, icmpv6_echo, ipv4_fragments, ipv6_ext_udp, tcp_syn,
    udp_bind, udp_send, udp_send_through,
};
use lossdrop_lab::veth::End;
use lossdrop_lab::wait::{LIMIT, wait_until};
use lossdrop_lab::{Lossdrop, Netns, Pair};
use nix::sys::socket::{setsockopt, sockopt};
use serde_json::Value;

/// Packets that are dropped, what they are called, and how many of each there are.
struct Round {
    dropped: &'static [(&'static str, usize)],
    fire: fn(&Pair) -> Result<()>,
    describe: fn(&Pair, &Value) -> String,
}

impl Round {
    fn total(&self) -> usize {
        self.dropped.iter().map(|(_, count)| count).sum()
    }
}

/// Every kind of packet: where, why, which, and how often.
const KINDS: Round = Round { dropped: DROPPED, fire, describe };
const DROPPED: &[(&str, usize)] = &[
    ("server eth0 NETFILTER_DROP udp 10.0.0.1:1001 10.0.0.2:2001", 2),
    ("server eth0 NETFILTER_DROP udp 10.0.0.1:1002 10.0.0.2:53", 1),
    // A fragment that carries the ports, and one that does not.
    ("server eth0 NETFILTER_DROP udp 10.0.0.1:1053 10.0.0.2:53", 1),
    ("server eth0 NETFILTER_DROP udp 10.0.0.1:- 10.0.0.2:-", 1),
    ("server eth0 NETFILTER_DROP tcp 10.0.0.1:3000 10.0.0.2:80", 1),
    ("server eth0 NETFILTER_DROP tcp 10.0.0.1:3001 10.0.0.2:80", 1),
    ("server eth0 NETFILTER_DROP tcp 10.0.0.1:3002 10.0.0.2:80", 1),
    ("server eth0 NETFILTER_DROP icmp 10.0.0.1:- 10.0.0.2:-", 2),
    ("server eth0 NETFILTER_DROP arp 10.0.0.1:- 10.0.0.2:-", 2),
    ("server eth0 NETFILTER_DROP udp fd00::1:1001 fd00::2:2001", 3),
    // Behind two extension headers.
    ("server eth0 NETFILTER_DROP udp fd00::1:1053 fd00::2:53", 2),
    ("server eth0 NETFILTER_DROP icmpv6 fd00::1:- fd00::2:-", 1),
    // Behind the tag of a VLAN that the server does not have.
    ("server eth0 OTHERHOST udp 10.0.0.1:1001 10.0.0.2:2001", 2),
    ("server lo NETFILTER_DROP udp 10.0.0.2:1003 10.0.0.2:2003", 2),
    ("client lo NO_SOCKET udp 10.0.0.1:1004 10.0.0.1:2001", 3),
];

fn fire(Pair { client, server }: &Pair) -> Result<()> {
    let (a, b) = (Pair::CLIENT_V4, Pair::SERVER_V4);
    let (a6, b6) = (Pair::CLIENT_V6, Pair::SERVER_V6);
    let v4 = |ip, port| SocketAddrV4::new(ip, port);
    let udp = |ns, from: (_, u16), to: (_, u16), count| {
        udp_send(ns, SocketAddr::from(from), SocketAddr::from(to), count, 16)
    };
    udp(client, (a, 1001), (b, 2001), 2)?;
    udp(client, (a, 1002), (b, 53), 1)?;
    for which in [Fragment::First, Fragment::NonFirst] {
        ipv4_fragments(client, v4(a, 1053), v4(b, 53), which, 7, 1)?;
    }
    tcp_syn(client, a, 3000..3003, v4(b, 80))?;
    icmp_echo(client, a, b, 1, 2)?;
    arp_request(client, "eth0", a, b, 2)?;
    let (from, to) = (SocketAddrV6::new(a6, 1001, 0, 0), SocketAddrV6::new(b6, 2001, 0, 0));
    udp_send(client, from.into(), to.into(), 3, 16)?;
    ipv6_ext_udp(client, SocketAddrV6::new(a6, 1053, 0, 0), SocketAddrV6::new(b6, 53, 0, 0), 2, 16)?;
    icmpv6_echo(client, a6, b6, 1, 1)?;
    let mac = End::new(server, "eth0", &[]).mac()?;
    framed_udp(client, "eth0", &mac, &[42], v4(a, 1001), v4(b, 2001), 2, 16)?;
    udp(server, (b, 1003), (b, 2003), 2)?;
    udp(client, (a, 1004), (a, 2001), 3)?;
    Ok(())
}

/// As in [`DROPPED`].
fn describe(pair: &Pair, drop: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let port = |value: &Value| value.as_u64().map_or("-".to_owned(), |port| port.to_string());
    let netns = match drop["netns"]["inum"].as_u64() {
        Some(inum) if inum == pair.client.inum() => "client",
        Some(inum) if inum == pair.server.inum() => "server",
        _ => "elsewhere",
    };
    let proto = if drop["l3"] == "arp" { "arp".to_owned() } else { text(&drop["proto"]) };
    format!(
        "{netns} {} {} {proto} {}:{} {}:{}",
        text(&drop["iface"]["name"]),
        text(&drop["reason"]),
        text(&drop["src_ip"]),
        port(&drop["src_port"]),
        text(&drop["dst_ip"]),
        port(&drop["dst_port"])
    )
}

/// A filter, which of a round's drops it lets pass, and how many drops these are (so that none is checked in vain).
struct Case<'a> {
    args: Vec<&'a str>,
    passes: fn(&str) -> bool,
    count: usize,
}

fn case<'a>(args: &'a str, passes: fn(&str) -> bool, count: usize) -> Case<'a> {
    Case { args: args.split(' ').collect(), passes, count }
}

/// `within`: the namespaces that every instance is restricted to.
fn check(round: &Round, pair: &Pair, within: &[&Netns], cases: &[Case<'_>]) -> Result<()> {
    let (total, describe) = (round.total(), round.describe);
    let base = Lossdrop::watch(&pair.namespaces(), &["--json", "--buffer", "256K"])?;
    let started: Result<Vec<_>> = cases
        .iter()
        .map(|case| {
            let args = [&["--json", "--buffer", "256K"], &case.args[..]].concat();
            Lossdrop::spawn(&mut trace_command(within, &args)?)
        })
        .collect();
    let filtered: Result<Vec<_>> = started?.into_iter().map(Lossdrop::ready).collect();

    (round.fire)(pair)?;
    base.wait_for_drops("every drop is shown", |drops| drops.len() >= total)?;
    let base = base.stop()?;
    base.is_complete()?;
    let mut dropped = BTreeMap::new();
    for drop in &base.drops {
        *dropped.entry(describe(pair, drop)).or_insert(0) += 1;
    }
    let expected = round.dropped.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect();
    ensure!(dropped == expected, "dropped {dropped:#?}\nexpected {expected:#?}");

    for (case, running) in cases.iter().zip(filtered?) {
        let args = case.args.join(" ");
        running
            .wait_for_drops("what passes is shown", |drops| drops.len() >= case.count)
            .with_context(|| args.clone())?;
        let output = running.stop()?;
        output.is_complete().with_context(|| args.clone())?;
        let passing = base.drops.iter().filter(|drop| (case.passes)(&describe(pair, drop)));
        let passing = facts(passing);
        ensure!(passing.len() == case.count, "{args}: {} of {total} pass", passing.len());
        ensure!(facts(&output.drops) == passing, "{args}: expected\n{}\n{output}", passing.join("\n"));
        let refused = (total - case.count) as u64;
        ensure!(output.total("filtered")? >= refused, "{args}: {}", output.summary);
        ensure!(output.passed()? >= case.count as u64, "{args}: {}", output.summary);
    }
    Ok(())
}

#[test]
fn ports_match_as_number_range_or_service_and_in_their_direction() -> Result<()> {
    let pair = Pair::deaf()?;
    let mut cases = vec![
        case("--port 2001", |drop| drop.contains(":2001"), 10),
        case("--port 1001", |drop| drop.contains(":1001"), 7),
        case("--port 2000-2003", |drop| drop.contains(":200"), 12),
        case("--port 53 --port 80", |drop| drop.ends_with(":53") || drop.ends_with(":80"), 7),
        case("--sport 1001", |drop| drop.contains(":1001 "), 7),
        case("--sport 2001", |_| false, 0),
        case("--sport 3001-3999", |drop| drop.contains(":3001 ") || drop.contains(":3002 "), 2),
        case("--dport 1000-1999", |_| false, 0),
        case("--sport 1000-1999 --dport 2003", |drop| drop.ends_with(":2003"), 2),
    ];
    let services = std::fs::read_to_string("/etc/services").unwrap_or_default();
    let domain = if services.contains("\ndomain") { "--dport domain" } else { "--dport 53" };
    cases.push(case(domain, |drop| drop.ends_with(":53"), 4));
    check(&KINDS, &pair, &pair.namespaces(), &cases)
}

#[test]
fn hosts_match_as_address_or_prefix_of_their_family_and_in_their_direction() -> Result<()> {
    let pair = Pair::deaf()?;
    let cases = [
        case("--host 10.0.0.1", |drop| drop.contains("10.0.0.1:"), 17),
        case("--host fd00::2", |drop| drop.contains("fd00::2:"), 6),
        case("--host 10.0.0.2/31", |drop| drop.contains("10.0.0.2:"), 16),
        case("--host 0.0.0.0/0", |drop| !drop.contains("fd00"), 19),
        case("--host ::/0", |drop| drop.contains("fd00"), 6),
        case("--host 192.0.2.1 --host fd00::1", |drop| drop.contains("fd00"), 6),
        case("--src 10.0.0.2", |drop| drop.contains(" 10.0.0.2:1003"), 2),
        case("--dst 10.0.0.1", |drop| drop.contains("client"), 3),
        case(
            "--src 10.0.0.0/24 --dst 10.0.0.2 --host 10.0.0.1",
            |drop| drop.contains(" 10.0.0.1:") && drop.contains(" 10.0.0.2:"),
            14,
        ),
    ];
    check(&KINDS, &pair, &pair.namespaces(), &cases)
}

#[test]
fn protocols_match_by_name_and_number() -> Result<()> {
    let pair = Pair::deaf()?;
    let cases = [
        case("--proto tcp", |drop| drop.contains(" tcp "), 3),
        case("--proto udp", |drop| drop.contains(" udp "), 17),
        case("--proto icmp", |drop| drop.contains(" icmp "), 2),
        case("--proto icmpv6", |drop| drop.contains(" icmpv6 "), 1),
        case("--proto arp", |drop| drop.contains(" arp "), 2),
        case("--proto 58 --proto ARP", |drop| drop.contains(" icmpv6 ") || drop.contains(" arp "), 3),
        case("--proto sctp", |_| false, 0),
    ];
    check(&KINDS, &pair, &pair.namespaces(), &cases)
}

#[test]
fn devices_and_reasons_match_and_every_kind_must() -> Result<()> {
    let pair = Pair::deaf()?;
    let cases = [
        case("--iface lo", |drop| drop.contains(" lo "), 5),
        case("--iface eth0", |drop| drop.contains(" eth0 "), 20),
        case("--iface lo --iface eth0", |_| true, 25),
        case("--reason OTHERHOST", |drop| drop.contains(" OTHERHOST "), 2),
        case("--reason OTHERHOST --reason no_socket", |drop| !drop.contains(" NETFILTER_DROP "), 5),
        case(
            "--reason NETFILTER_DROP --iface eth0 --proto udp --dport 2001 --src 10.0.0.1 --host 10.0.0.2",
            |drop| drop == "server eth0 NETFILTER_DROP udp 10.0.0.1:1001 10.0.0.2:2001",
            2,
        ),
        case("--reason NETFILTER_DROP --iface lo --dport 2001", |_| false, 0),
    ];
    check(&KINDS, &pair, &pair.namespaces(), &cases)
}

/// Marks and lengths by the IP header: to a closed port on the sender's own loopback, since a mark does not leave its namespace.
const SIZED: Round = Round { dropped: SIZES, fire: fire_sized, describe: describe_sized };
const SIZES: &[(&str, usize)] = &[
    ("mark 0 len 44", 1),
    ("mark 0x10 len 128", 2),
    ("mark 0x11 len 1400", 3),
    ("mark 0x80000010 len 1401", 4),
    // IPv6, whose header counts what is behind it.
    ("mark 0x20 len 64", 5),
    // ARP, which has no length of its own.
    ("mark 0 len 28", 2),
];
/// The drop has no mark in it: the source's port says which it was sent with.
const MARKS: &[(u16, u32, usize, u64)] =
    &[(4001, 0, 16, 1), (4002, 0x10, 100, 2), (4003, 0x11, 1372, 3), (4004, 0x8000_0010, 1373, 4)];
const MARK_V6: (u16, u32, usize, u64) = (4005, 0x20, 16, 5);

fn fire_sized(pair: &Pair) -> Result<()> {
    let send = |home: IpAddr, (port, mark, payload, count)| {
        let socket = udp_bind(&pair.client, SocketAddr::from((home, port)), None)?;
        setsockopt(&socket, sockopt::Mark, &mark)?;
        let sent = udp_send_through(&socket, SocketAddr::from((home, 2001)), count, payload);
        ensure!(sent.accepted == count, "{sent:?}");
        Ok(())
    };
    MARKS.iter().try_for_each(|sent| send(Pair::CLIENT_V4.into(), *sent))?;
    send(Pair::CLIENT_V6.into(), MARK_V6)?;
    arp_request(&pair.client, "eth0", Pair::CLIENT_V4, Pair::SERVER_V4, 2)?;
    Ok(())
}

fn describe_sized(_: &Pair, drop: &Value) -> String {
    let mut marks = MARKS.iter().chain([&MARK_V6]);
    let mark = marks.find(|(port, ..)| drop["src_port"] == *port).map_or(0, |(_, mark, ..)| *mark);
    let mark = if mark == 0 { "0".to_owned() } else { format!("{mark:#x}") };
    format!("mark {mark} len {}", drop["len"])
}

#[test]
fn marks_match_by_value_and_under_a_mask() -> Result<()> {
    let pair = Pair::deaf()?;
    let cases = [
        case("--mark 0x10", |drop| drop.contains("mark 0x10 "), 2),
        case("--mark 16", |drop| drop.contains("mark 0x10 "), 2),
        case("--mark 0x10/0xff", |drop| drop.contains("mark 0x10 ") || drop.contains("mark 0x80000010 "), 6),
        case("--mark 16/0x10", |drop| drop.contains("10 ") || drop.contains("11 "), 9),
        case("--mark 0x80000000/0x80000000", |drop| drop.contains("0x8"), 4),
        case("--mark 0", |drop| drop.contains("mark 0 "), 3),
        case("--mark 0/0xf", |drop| !drop.contains("11 "), 14),
        case("--mark 0/0", |_| true, 17),
        case("--mark 0x11 --mark 0x20", |drop| drop.contains("11 ") || drop.contains("20 "), 8),
        case("--mark 0x12", |_| false, 0),
        case("--mark 0x10/0x10 --len 1400-", |drop| drop.contains("len 140"), 7),
    ];
    check(&SIZED, &pair, &pair.namespaces(), &cases)
}

#[test]
fn lengths_match_as_number_or_range_with_and_without_an_end() -> Result<()> {
    let pair = Pair::deaf()?;
    let cases = [
        case("--len 1400", |drop| drop.ends_with(" 1400"), 3),
        case("--len 1401-", |drop| drop.ends_with(" 1401"), 4),
        case("--len 1402-", |_| false, 0),
        case("--len 0-64", |drop| [" 44", " 64", " 28"].iter().any(|len| drop.ends_with(len)), 8),
        case("--len 45-63", |_| false, 0),
        case("--len 44-128", |drop| [" 44", " 64", " 128"].iter().any(|len| drop.ends_with(len)), 8),
        case(
            "--len 28 --len 128-1400",
            |drop| [" 28", "128", "1400"].iter().any(|len| drop.ends_with(len)),
            7,
        ),
        case("--len 0-", |_| true, 17),
        case("--len 64 --host fd00::1", |drop| drop.ends_with(" 64"), 5),
        case("--len 64 --host 10.0.0.1", |_| false, 0),
    ];
    check(&SIZED, &pair, &pair.namespaces(), &cases)
}

/// A process in a namespace; gone with its guard.
struct Inhabitant(Child);

impl Inhabitant {
    fn new(ns: &Netns) -> Result<Self> {
        let mut child = ns.command("sleep");
        let child = Self(child.arg("600").stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        let link = format!("/proc/{}/ns/net", child.0.id());
        let inside = format!("net:[{}]", ns.inum());
        wait_until("sleep is in its namespace", LIMIT, || {
            Ok(std::fs::read_link(&link)?.to_string_lossy() == inside)
        })?;
        Ok(child)
    }
}

impl Drop for Inhabitant {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn namespaces_match_by_name_path_process_and_number() -> Result<()> {
    let pair = Pair::deaf()?;
    let inhabitant = Inhabitant::new(&pair.server)?;
    let empty = Netns::new("empty")?;
    let path = format!("--netns {}", pair.server.path().display());
    let name = format!("--netns {}", pair.client.name());
    let (pid, inum) =
        (format!("--netns pid:{}", inhabitant.0.id()), format!("--netns {}", pair.server.inum()));
    let both = format!("{name} {inum}");
    let other = format!("--netns {}", empty.name());
    let more = format!("{name} --iface lo --dport 2001");
    let cases = [
        case(&name, |drop| drop.starts_with("client"), 3),
        case(&path, |drop| drop.starts_with("server"), 22),
        case(&pid, |drop| drop.starts_with("server"), 22),
        case(&inum, |drop| drop.starts_with("server"), 22),
        case(&both, |_| true, 25),
        case(&other, |_| false, 0),
        case(&more, |drop| drop.starts_with("client"), 3),
    ];
    check(&KINDS, &pair, &[], &cases)
}

//! What the kernel says in a namespace is what was set up there.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lossdrop::identity::Namespaces;
use lossdrop::machine::{
    self, Hook, Limit, Machine, Moved, NetState, Query, Route, RouteKind, Scope, attached, delta,
    reverse_path, route, sysctl,
};
use lossdrop_lab::Netns;
use lossdrop_lab::traffic::{udp_bind, udp_send};
use lossdrop_lab::veth::{End, Neighbours, veth};
use lossdrop_lab::wait::{LIMIT, wait_until};

const SRC: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1)), 40000);
const DST: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 1, 0, 2)), 5140);

fn hosts() -> Result<(Netns, Netns)> {
    let (a, b) = (Netns::new("a")?, Netns::new("b")?);
    let far = End::new(&b, "eth1", &["10.1.0.2/24", "fd01::2/64"]);
    veth(End::new(&a, "eth0", &["10.1.0.1/24", "fd01::1/64"]), far, Neighbours::Permanent)?;
    Ok((a, b))
}

fn number(netns: &Netns) -> Result<u32> {
    Ok(netns.inum().try_into()?)
}

fn take(wanted: &[&Netns]) -> Result<Machine> {
    let wanted = wanted.iter().map(|netns| number(netns)).collect::<Result<BTreeSet<u32>>>()?;
    let machine = Machine::take(&Namespaces::scan(), &wanted, Instant::now() + LIMIT);
    ensure!(machine.gaps.is_empty(), "{:?}", machine.gaps);
    Ok(machine)
}

fn state<'a>(machine: &'a Machine, netns: &Netns) -> Result<&'a NetState> {
    machine.netns.get(&number(netns)?).context("it was not read")
}

fn moved(moved: &[Moved], name: &str, scope: impl Fn(&Scope) -> bool) -> u64 {
    moved.iter().filter(|moved| moved.name == name && scope(&moved.scope)).map(|moved| moved.delta).sum()
}

#[test]
fn each_end_of_a_veth_pair_knows_the_other_and_its_namespace() -> Result<()> {
    let (a, b) = hosts()?;
    b.ip(&["link set eth1 mtu 1400"])?;
    let machine = take(&[&a, &b])?;
    let near = state(&machine, &a)?.link_named("eth0").context("no eth0")?;
    let (there, far) = machine.peer(near).context("no peer")?;
    ensure!((there.inum, far.name.as_str(), far.mtu) == (number(&b)?, "eth1", 1400), "{far:?}");
    let (back, again) = machine.peer(far).context("no peer")?;
    ensure!((back.inum, again) == (number(&a)?, near));
    ensure!(near.kind.as_deref() == Some("veth") && near.is_up() && near.carrier, "{near:?}");
    ensure!(near.driver_stats.keys().any(|name| name.ends_with("xdp_drops")), "{near:?}");
    ensure!((near.operstate, near.header_len) == ("UP", 14), "{near:?}");
    let addresses: Vec<String> =
        state(&machine, &b)?.addresses.iter().map(|address| address.address.to_string()).collect();
    ensure!(
        ["10.1.0.2", "fd01::2"].iter().all(|wanted| addresses.iter().any(|found| found == wanted)),
        "{addresses:?}"
    );
    let known = &state(&machine, &a)?.neighbours;
    let neighbour = known.iter().find(|neighbour| neighbour.address == DST.ip()).context("no neighbour")?;
    ensure!(neighbour.state.name() == "PERMANENT", "{neighbour:?}");
    Ok(())
}

#[test]
fn a_pair_in_one_namespace_has_its_peer_there() -> Result<()> {
    let a = Netns::new("a")?;
    a.ip(&[
        "link add left type veth peer name right",
        "link add bridge0 type bridge",
        "link set left master bridge0",
    ])?;
    a.ip(&["link add vx type vxlan id 77 dstport 4789", "link set dev left type bridge_slave isolated on"])?;
    let machine = take(&[&a])?;
    let state = state(&machine, &a)?;
    let left = state.link_named("left").context("no left")?;
    ensure!(machine.peer(left).context("no peer")?.1.name == "right", "{left:?}");
    ensure!(left.master == state.link_named("bridge0").map(|bridge| bridge.index), "{left:?}");
    ensure!(left.bridge_port.is_some_and(|port| port.isolated && port.flood), "{left:?}");
    ensure!(state.link_named("vx").context("no vx")?.vni == Some(77));
    Ok(())
}

#[test]
fn a_token_bucket_tells_its_limit_burst_and_losses() -> Result<()> {
    let (a, b) = hosts()?;
    a.sh("tc qdisc add dev eth0 root handle 8001: tbf rate 8mbit burst 1600 limit 3000")?;
    let before = take(&[&a])?;
    udp_send(&a, SRC, DST, 50, 1000)?;
    let after = take(&[&a])?;
    let tbf = state(&after, &a)?.qdiscs.iter().find(|qdisc| qdisc.kind == "tbf").context("no tbf")?;
    ensure!((tbf.handle.as_str(), tbf.parent.as_str()) == ("8001:", "root"), "{tbf:?}");
    ensure!(tbf.limit == Some(Limit::Bytes(3000)) && tbf.burst == Some(1600), "{tbf:?}");
    ensure!(tbf.rate == Some(1_000_000), "{tbf:?}");
    let drops = moved(
        &delta(&before, &after),
        "drops",
        |scope| matches!(scope, Scope::Qdisc { kind, .. } if kind == "tbf"),
    );
    ensure!(drops > 0 && drops == u64::from(tbf.counters.drops), "{drops}, {tbf:?}");
    drop(b);
    Ok(())
}

#[test]
fn the_hidden_queue_of_a_class_is_seen_too() -> Result<()> {
    let (a, _b) = hosts()?;
    a.sh("tc qdisc add dev eth0 root handle 1: htb default 10 && tc class add dev eth0 parent 1: classid 1:10 htb rate 1mbit ceil 8mbit")?;
    let machine = take(&[&a])?;
    let state = state(&machine, &a)?;
    let class = state.classes.iter().find(|class| class.handle == "1:10").context("no class")?;
    ensure!((class.rate, class.ceil) == (Some(125_000), Some(1_000_000)), "{class:?}");
    ensure!(class.burst.is_some_and(|burst| (1000..100_000).contains(&burst)), "{class:?}");
    ensure!(
        state.qdiscs.iter().any(|qdisc| qdisc.kind == "pfifo" && qdisc.parent == "1:10"),
        "{:?}",
        state.qdiscs
    );
    Ok(())
}

#[test]
fn a_listener_tells_its_queue_and_the_connections_it_lost() -> Result<()> {
    let a = Netns::new("a")?;
    let at: SocketAddr = "127.0.0.1:8080".parse()?;
    let listener = a.run(|| Ok(TcpListener::bind(at)?))?;
    a.run(|| Ok(nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(1)?)?))?;
    let before = take(&[&a])?;
    // One more than the backlog gets in; the rest ask in vain.
    let clients = a.run(|| {
        Ok((0..4)
            .filter_map(|_| TcpStream::connect_timeout(&at, Duration::from_millis(200)).ok())
            .collect::<Vec<_>>())
    })?;
    ensure!(clients.len() == 2, "{}", clients.len());
    let after = take(&[&a])?;
    let found = &state(&after, &a)?.listeners;
    let found = found.iter().find(|listener| listener.port == 8080).context("no listener")?;
    ensure!((found.queued, found.backlog) == (2, 1) && found.address == at.ip(), "{found:?}");
    let moved_here = delta(&before, &after);
    let lost = moved(&moved_here, "drops", |scope| matches!(scope, Scope::Listener { port: 8080, .. }));
    ensure!(
        lost >= 2 && lost == moved(&moved_here, "TcpExtListenDrops", |scope| *scope == Scope::Snmp),
        "{lost}"
    );
    Ok(())
}

#[test]
fn a_udp_socket_tells_what_it_had_no_room_for() -> Result<()> {
    let (a, b) = hosts()?;
    let socket = udp_bind(&b, DST, Some(4096))?;
    let before = take(&[&b])?;
    udp_send(&a, SRC, DST, 50, 1000)?;
    let read = || -> Result<u64> {
        let moved_here = delta(&before, &take(&[&b])?);
        Ok(moved(&moved_here, "drops", |scope| matches!(scope, Scope::UdpSocket { port: 5140, .. })))
    };
    wait_until("the socket is full", LIMIT, || Ok(read()? > 0))?;
    let after = take(&[&b])?;
    let found = state(&after, &b)?.udp.iter().find(|socket| socket.port == 5140).context("no socket")?;
    ensure!(found.address == DST.ip() && found.rmem > 0 && found.rcvbuf > 0, "{found:?}");
    let errors = moved(&delta(&before, &after), "UdpRcvbufErrors", |scope| *scope == Scope::Snmp);
    ensure!(errors == u64::from(found.drops), "{errors}, {found:?}");
    drop(socket);
    Ok(())
}

#[test]
fn one_datagram_to_a_closed_port_moves_one_counter_by_one() -> Result<()> {
    let (a, b) = hosts()?;
    let before = take(&[&b])?;
    udp_send(&a, SRC, DST, 1, 100)?;
    let no_ports =
        || Ok(moved(&delta(&before, &take(&[&b])?), "UdpNoPorts", |scope| *scope == Scope::Snmp) == 1);
    wait_until("UdpNoPorts moves", LIMIT, no_ports)?;
    let at = delta(&before, &take(&[&b])?)
        .iter()
        .find(|moved| moved.name == "UdpNoPorts")
        .and_then(|moved| moved.netns);
    ensure!(at == Some(number(&b)?));
    Ok(())
}

#[test]
fn connections_are_counted_where_they_are_tracked() -> Result<()> {
    let (a, b) = hosts()?;
    ensure!(state(&take(&[&b])?, &b)?.nfqueues.is_empty());
    b.sh("nft add table inet t && nft 'add chain inet t c { type filter hook input priority 0; }'")?;
    b.sh("nft add rule inet t c ct state new accept")?;
    udp_send(&a, SRC, DST, 1, 100)?;
    let count = || Ok(state(&take(&[&b])?, &b)?.conntrack.as_ref().is_some_and(|table| table.count == 1));
    wait_until("the connection is tracked", LIMIT, count)?;
    let machine = take(&[&b])?;
    let table = state(&machine, &b)?.conntrack.as_ref().context("no table")?;
    ensure!(table.max > 0 && table.stats.contains_key("insert_failed"), "{table:?}");
    Ok(())
}

fn ask(netns: &Netns, dst: &str) -> Result<Route> {
    route(&netns.path(), Query::to(dst.parse()?), LIMIT).with_context(|| format!("no answer for {dst}"))
}

#[test]
fn refusing_routes_are_named_in_both_families() -> Result<()> {
    let (a, _b) = hosts()?;
    for (kind, v4, v6) in [
        (RouteKind::Blackhole, "10.9.0.0/16", "fd09::/32"),
        (RouteKind::Prohibit, "10.10.0.0/16", "fd10::/32"),
        (RouteKind::Unreachable, "10.11.0.0/16", "fd11::/32"),
    ] {
        a.ip(&[&format!("route add {} {v4}", kind.name()), &format!("route add {} {v6}", kind.name())])?;
        for (prefix, inside) in [(v4, v4.replace("0.0/16", "1.1")), (v6, v6.replace("/32", "1"))] {
            let found = ask(&a, &inside)?;
            ensure!(found.kind == kind && found.dst == prefix.parse().ok(), "{inside}: {found:?}");
        }
    }
    for nowhere in ["10.12.0.1", "fd12::1"] {
        let found = ask(&a, nowhere)?;
        ensure!(found.kind == RouteKind::NoRoute && found.dst.is_none(), "{nowhere}: {found:?}");
    }
    Ok(())
}

#[test]
fn a_route_tells_the_entry_that_matched_and_its_mtu() -> Result<()> {
    let (a, _b) = hosts()?;
    a.ip(&["route add 10.20.0.0/16 via 10.1.0.2 mtu 1300", "route add fd20::/32 via fd01::2 mtu 1300"])?;
    for (dst, prefix, gateway) in
        [("10.20.1.1", "10.20.0.0/16", "10.1.0.2"), ("fd20::1", "fd20::/32", "fd01::2")]
    {
        let found = ask(&a, dst)?;
        ensure!(found.kind == RouteKind::Unicast && found.dst == prefix.parse().ok(), "{found:?}");
        ensure!(found.oif.as_ref().is_some_and(|(_, name)| name == "eth0"), "{found:?}");
        ensure!(
            (found.gateway, found.mtu, found.table) == (gateway.parse().ok(), Some(1300), Some(254)),
            "{found:?}"
        );
    }
    ensure!(ask(&a, "10.1.0.1")?.kind == RouteKind::Local);
    Ok(())
}

#[test]
fn what_arrives_is_judged_by_its_source_and_device() -> Result<()> {
    let (_a, b) = hosts()?;
    b.ip(&["link add side type veth peer name other", "link set side up", "link set other up"])?;
    b.sysctl("net/ipv4/conf/all/rp_filter", "1")?;
    b.sysctl("net/ipv4/ip_forward", "1")?;
    let arrives = |src: &str, dev: &str| -> Result<Route> {
        let query = Query { src: src.parse().ok(), iif: Some(b.ifindex(dev)?), ..Query::to(DST.ip()) };
        route(&b.path(), query, LIMIT).context("no answer")
    };
    ensure!(arrives("10.1.0.1", "eth1")?.kind == RouteKind::Local);
    ensure!(arrives("10.1.0.1", "side")?.kind == RouteKind::ReversePath);
    ensure!(arrives("10.1.0.2", "eth1")?.kind == RouteKind::Martian);
    let foreign = Query { src: "10.1.0.9".parse().ok(), ..Query::to(SRC.ip()) };
    ensure!(route(&b.path(), foreign, LIMIT).context("no answer")?.kind == RouteKind::Martian);
    b.sysctl("net/ipv4/ip_forward", "0")?;
    let forward =
        Query { src: Some(SRC.ip()), iif: Some(b.ifindex("eth1")?), ..Query::to("10.1.0.7".parse()?) };
    let found = route(&b.path(), forward, LIMIT).context("no answer")?;
    ensure!(found.kind == RouteKind::Unreachable && found.dst.is_none(), "{found:?}");
    let back = reverse_path(&b.path(), SRC.ip(), None, LIMIT).context("no answer")?;
    ensure!(back.oif.as_ref().is_some_and(|(_, name)| name == "eth1"), "{back:?}");
    ensure!(sysctl(&b.path(), "net.ipv4.conf.all.rp_filter", LIMIT).as_deref() == Some("1"));
    ensure!(sysctl(&b.path(), "net.ipv4.ip_forward", LIMIT).as_deref() == Some("0"));
    Ok(())
}

#[test]
fn filters_on_a_device_s_way_in_and_out_are_listed() -> Result<()> {
    let (a, _b) = hosts()?;
    let index = a.ifindex("eth0")?;
    ensure!(attached(&a.path(), index, LIMIT)? == machine::Attached::default());
    a.sh("tc qdisc add dev eth0 clsact")?;
    a.sh("tc filter add dev eth0 ingress pref 5 protocol ip u32 match ip dst 10.9.0.0/16 flowid 1:1")?;
    a.sh("tc filter add dev eth0 egress pref 7 protocol all matchall classid 1:2").or_else(|_| {
        a.sh("tc filter add dev eth0 egress pref 7 protocol all u32 match u32 0 0 flowid 1:2")
    })?;
    let found = attached(&a.path(), index, LIMIT)?;
    let listed: Vec<_> = found.filters.iter().map(|filter| (filter.hook, filter.preference)).collect();
    ensure!(listed.contains(&(Hook::Ingress, 5)) && listed.contains(&(Hook::Egress, 7)), "{found:?}");
    ensure!(!found.filters.iter().any(machine::Filter::drops), "{found:?}");
    ensure!(take(&[&a])?.netns.values().flat_map(|state| &state.qdiscs).any(machine::Qdisc::is_hook));
    Ok(())
}

#[test]
fn what_is_not_read_in_time_is_a_gap_and_what_has_gone_is_none() -> Result<()> {
    let a = Netns::new("a")?;
    let namespaces = Namespaces::scan();
    let late = Machine::take(&namespaces, &BTreeSet::from([number(&a)?]), Instant::now());
    ensure!(late.gaps.iter().any(|gap| gap.what.contains(a.name())), "{:?}", late.gaps);
    let gone = Machine::take(&namespaces, &BTreeSet::from([1]), Instant::now() + LIMIT);
    ensure!(gone.netns.is_empty() && gone.gaps.is_empty(), "{:?}", gone.gaps);
    Ok(())
}

#[test]
fn the_thread_that_asks_stays_where_it_is() -> Result<()> {
    let a = Netns::new("a")?;
    let here = || fs::read_link("/proc/thread-self/ns/net");
    let before = here()?;
    take(&[&a])?;
    ask(&a, "127.0.0.1")?;
    ensure!(here()? == before);
    Ok(())
}

//! Packets that no socket sends arrive as what they claim to be: rules of the receiver tell them apart and count them.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::Duration;

use anyhow::{Result, ensure};
use lossdrop_lab::Netns;
use lossdrop_lab::counters::{Nstat, link_stats, nft_counters, nstat};
use lossdrop_lab::traffic::{
    Fragment, HttpServer, UdpSink, arp_request, framed_udp, http_get, icmp_echo, icmpv6_echo, ipv4_fragments,
    ipv6_ext_udp, tcp_syn, udp_send,
};
use lossdrop_lab::veth::{End, Neighbours, veth};
use lossdrop_lab::wait::{LIMIT, wait_until};

const SRC: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const DST: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);

struct Hosts {
    a: Netns,
    b: Netns,
    mac: String,
}

fn hosts() -> Result<Hosts> {
    let (a, b) = (Netns::new("a")?, Netns::new("b")?);
    let far = End::new(&b, "eth1", &["10.1.0.2/24", "fd01::2/64"]);
    veth(End::new(&a, "eth0", &["10.1.0.1/24", "fd01::1/64"]), far, Neighbours::Permanent)?;
    let mac = far.mac()?;
    Ok(Hosts { a, b, mac })
}

/// Waits until the rule has counted (and dropped, at the earliest hook) `count` packets.
fn counted_by(ns: &Netns, rule: &str, count: u64, send: impl FnOnce() -> Result<u64>) -> Result<()> {
    ns.sh("nft add table inet t && nft 'add chain inet t c { type filter hook prerouting priority -450; }'")?;
    ns.sh(&format!("nft 'add rule inet t c {rule} counter drop'"))?;
    ensure!(send()? == count);
    wait_until(rule, LIMIT, || Ok(nft_counters(ns, "inet", "t")? == [count]))
}

#[test]
fn syns_come_from_the_ports_asked_for() -> Result<()> {
    let Hosts { a, b, .. } = hosts()?;
    counted_by(&b, "tcp sport 2000-2008 tcp flags syn tcp dport 80", 9, || {
        tcp_syn(&a, SRC, 2000..2009, SocketAddrV4::new(DST, 80))
    })
}

#[test]
fn fragments_are_first_or_not_first_as_asked() -> Result<()> {
    for (which, rule) in [
        (Fragment::First, "ip frag-off & 0x3fff == 0x2000 udp dport 53"),
        (Fragment::NonFirst, "ip frag-off & 0x3fff == 8 ip protocol udp"),
    ] {
        let Hosts { a, b, .. } = hosts()?;
        let (src, dst) = (SocketAddrV4::new(SRC, 1053), SocketAddrV4::new(DST, 53));
        counted_by(&b, rule, 4, || ipv4_fragments(&a, src, dst, which, 100, 4))?;
    }
    Ok(())
}

#[test]
fn two_fragments_of_one_datagram_are_put_together() -> Result<()> {
    let Hosts { a, b, .. } = hosts()?;
    let (src, dst) = (SocketAddrV4::new(SRC, 1053), SocketAddrV4::new(DST, 53));
    for which in [Fragment::First, Fragment::NonFirst] {
        ipv4_fragments(&a, src, dst, which, 100, 4)?;
    }
    wait_until("closed port reached", LIMIT, || Ok(nstat(&b, "UdpNoPorts")? == 4))?;
    ensure!(nstat(&b, "IpReasmOKs")? == 4 && nstat(&b, "UdpInCsumErrors")? == 0);
    Ok(())
}

#[test]
fn udp_behind_extension_headers_reaches_the_socket_layer() -> Result<()> {
    let Hosts { a, b, .. } = hosts()?;
    let (src, dst): (SocketAddrV6, SocketAddrV6) = ("[fd01::1]:1053".parse()?, "[fd01::2]:53".parse()?);
    ipv6_ext_udp(&a, src, dst, 5, 16)?;
    wait_until("closed port reached", LIMIT, || Ok(nstat(&b, "Udp6NoPorts")? == 5))?;
    ensure!(nstat(&b, "Udp6InCsumErrors")? == 0);
    Ok(())
}

#[test]
fn a_priority_tagged_frame_is_untagged_and_a_foreign_vlan_goes_no_further() -> Result<()> {
    let Hosts { a, b, mac } = hosts()?;
    let (src, dst) = (SocketAddrV4::new(SRC, 1053), SocketAddrV4::new(DST, 53));
    ensure!(framed_udp(&a, "eth0", &mac, &[42], src, dst, 6, 16)? == 6);
    ensure!(framed_udp(&a, "eth0", &mac, &[0], src, dst, 3, 16)? == 3);
    wait_until("priority-tagged frames delivered", LIMIT, || Ok(nstat(&b, "UdpNoPorts")? == 3))?;
    // All of them came over the cable; those of VLAN 42 were OTHERHOST for a host without that VLAN.
    ensure!(link_stats(&b, "eth1")?.rx_packets >= 9);
    Ok(())
}

#[test]
fn echo_requests_are_answered() -> Result<()> {
    let Hosts { a, b, .. } = hosts()?;
    ensure!(icmp_echo(&a, SRC, DST, 7, 5)? == 5);
    wait_until("echo replies", LIMIT, || Ok(nstat(&a, "IcmpInEchoReps")? == 5))?;
    ensure!(nstat(&b, "IcmpInCsumErrors")? == 0);
    let (src, dst) = ("fd01::1".parse()?, "fd01::2".parse()?);
    ensure!(icmpv6_echo(&a, src, dst, 7, 5)? == 5);
    wait_until("echo replies", LIMIT, || Ok(nstat(&a, "Icmp6InEchoReplies")? == 5))?;
    ensure!(nstat(&b, "Icmp6InErrors")? == 0);
    Ok(())
}

#[test]
fn an_arp_request_is_heard_by_the_other_side() -> Result<()> {
    let Hosts { a, b, .. } = hosts()?;
    b.sh("nft add table arp t && nft 'add chain arp t c { type filter hook input priority 0; }'")?;
    b.sh(
        "nft add rule arp t c arp operation request arp saddr ip 10.1.0.1 arp daddr ip 10.1.0.9 counter drop",
    )?;
    ensure!(arp_request(&a, "eth0", SRC, [10, 1, 0, 9].into(), 4)? == 4);
    wait_until("requests counted", LIMIT, || Ok(nft_counters(&b, "arp", "t")? == [4]))
}

#[test]
fn what_a_sink_reads_is_lost_nowhere() -> Result<()> {
    let Hosts { a, b, .. } = hosts()?;
    for (from, to) in [("10.1.0.1:0", "10.1.0.2:5000"), ("[fd01::1]:0", "[fd01::2]:5000")] {
        let (from, to): (SocketAddr, SocketAddr) = (from.parse()?, to.parse()?);
        let _sink = UdpSink::start(&b, to)?;
        let counter = if to.is_ipv4() { "UdpInDatagrams" } else { "Udp6InDatagrams" };
        ensure!(udp_send(&a, from, to, 5, 10)?.accepted == 5);
        wait_until(counter, LIMIT, || Ok(nstat(&b, counter)? >= 5))?;
    }
    let after = Nstat::read(&b)?;
    ensure!(after.get("UdpNoPorts") + after.get("Udp6NoPorts") == 0);
    Ok(())
}

#[test]
fn a_get_is_answered_and_its_server_stops() -> Result<()> {
    let Hosts { a, b, .. } = hosts()?;
    let server = HttpServer::start(&b, SocketAddr::from((DST, 80)))?;
    let get = http_get(&a, server.address(), LIMIT, || Ok(false))?;
    ensure!(get.status.as_deref() == Some("HTTP/1.1 200 OK") && get.local.ip() == SRC, "{get:?}");
    let to = server.address();
    drop(server);
    ensure!(http_get(&a, to, Duration::from_millis(200), || Ok(false)).is_err(), "the port is closed");
    Ok(())
}

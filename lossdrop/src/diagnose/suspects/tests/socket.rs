use std::net::IpAddr;

use super::*;
use crate::{
    identity::owners::Owner,
    machine::{Listener, NetState, Scope, UdpSocket},
    testing::diagnosis::moved,
};

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn at(l4: u8, kind: &'static Kind) -> Group {
    let target = Target::Port(l4, address("10.0.0.2"), 9);
    group(kind, target, [60, 70].map(|len| sample(event(WEB, l4, 9, len), Some(facts()))))
}

fn owner() -> Owner {
    Owner { pid: 812, comm: "syslogd".to_owned(), cgroup: String::new() }
}

/// One UDP socket and one listener at port 9 of the address.
fn machine_at(bound: &str) -> Context {
    let (address, port) = (address(bound), 9);
    let udp = UdpSocket { address, port, inode: 5, rmem: 1, rcvbuf: 2, drops: 0 };
    let listener = Listener { address, port, queued: 0, backlog: 1, inode: 6, drops: 0 };
    let mut context = context();
    context.after = machine([NetState { udp: vec![udp], listeners: vec![listener], ..state(WEB, []) }]);
    context.owners.insert(5, owner());
    context
}

#[test]
fn a_closed_port_is_reported_with_what_is_bound_elsewhere() {
    insta::assert_snapshot!(reported(at(UDP, &kinds::SOCKET_CLOSED_PORT), &machine_at("127.0.0.1")));
    let nothing = reported(at(UDP, &kinds::SOCKET_CLOSED_PORT), &context());
    assert!(!nothing.contains("at the address"), "{nothing}");
    let tcp = reported(at(TCP, &kinds::SOCKET_CLOSED_PORT), &machine_at("127.0.0.1"));
    assert!(tcp.contains("listens on tcp port 9") && tcp.contains("gets an RST"), "{tcp}");
    assert!(tcp.contains("see ip netns exec web ss -lntp 'sport = :9'"), "{tcp}");
}

#[test]
fn a_full_receive_buffer_is_its_reader_s() {
    insta::assert_snapshot!(reported(at(UDP, &kinds::SOCKET_RCVBUF), &machine_at("10.0.0.2")));
    let unknown = reported(at(UDP, &kinds::SOCKET_RCVBUF), &context());
    assert!(unknown.contains("The process that reads it does not read fast enough"), "{unknown}");
}

#[test]
fn a_socket_that_is_bound_to_any_address_is_found_too() {
    let reported = reported(at(UDP, &kinds::SOCKET_RCVBUF), &machine_at("0.0.0.0"));
    assert!(reported.contains("syslogd[812]"), "{reported}");
}

#[test]
fn the_packet_s_own_socket_comes_before_any_other() {
    let own = Owner { pid: 1, comm: "own".to_owned(), cgroup: String::new() };
    let one = Kept { owner: Some(own), ..sample(event(WEB, UDP, 9, 60), Some(facts())) };
    let target = Target::Port(UDP, address("10.0.0.2"), 9);
    let reported = reported(group(&kinds::SOCKET_RCVBUF, target, [one]), &machine_at("10.0.0.2"));
    assert!(reported.contains("own[1]") && !reported.contains("syslogd"), "{reported}");
}

#[test]
fn a_full_backlog_is_reported_with_its_bytes() {
    insta::assert_snapshot!(reported(at(TCP, &kinds::SOCKET_BACKLOG), &machine_at("10.0.0.2")));
}

#[test]
fn a_filter_on_a_socket_is_reported() {
    insta::assert_snapshot!(reported(at(UDP, &kinds::SOCKET_FILTER), &context()));
}

#[test]
fn a_protocol_that_nobody_handles_has_its_number() {
    let target = Target::Port(47, address("10.0.0.2"), 0);
    let one = sample(event(WEB, 47, 0, 60), None);
    let reported = reported(group(&kinds::SOCKET_PROTOCOL, target, [one]), &context());
    assert!(reported.contains("culprit: protocol | IP protocol 47"), "{reported}");
}

#[test]
fn a_socket_s_name_has_its_protocol_and_brackets_where_they_belong() {
    assert_eq!(socket_name(UDP, address("10.0.0.2"), 53), "udp 10.0.0.2:53");
    assert_eq!(socket_name(TCP, address("fd00::2"), 80), "tcp [fd00::2]:80");
    assert_eq!(socket_name(UDP, address("10.0.0.2"), 0), "udp 10.0.0.2");
}

/// Without a reason, two datagrams to a closed port; what the counters make of it.
fn counted(l4: u8, moves: &[(&str, u64)]) -> (String, Confidence) {
    let mut group = at(l4, &kinds::SOCKET_CLOSED_PORT);
    group.verdict.assessment.confidence = Confidence::Possible;
    let moves = moves.iter().map(|(name, delta)| moved(WEB, Scope::Snmp, name, *delta));
    let context = Context { moved: moves.collect(), ..context() };
    recount(&mut group, &context);
    let (_, suspect) = suspects(group, &context).remove(0);
    (suspect.assessment.kind.to_string(), suspect.assessment.confidence)
}

#[test]
fn counters_tell_what_a_kernel_without_reasons_drops_in_one_function() {
    for (l4, moves, kind, confidence) in [
        (UDP, &[("UdpNoPorts", 2)][..], "socket/closed-port", Confidence::Possible),
        (UDP, &[("UdpInCsumErrors", 2), ("UdpInErrors", 2)], "checksum/udp", Confidence::Certain),
        (UDP, &[("UdpInCsumErrors", 3), ("UdpInErrors", 3)], "checksum/udp", Confidence::Likely),
        (UDP, &[("UdpInErrors", 2)], "malformed/length", Confidence::Certain),
        (UDP, &[("UdpInCsumErrors", 2), ("UdpNoPorts", 2)], "socket/closed-port", Confidence::Possible),
        (UDP, &[("UdpInCsumErrors", 1)], "socket/closed-port", Confidence::Possible),
        (TCP, &[("TcpOutRsts", 2)], "socket/closed-port", Confidence::Certain),
        (TCP, &[("TcpOutRsts", 3)], "socket/closed-port", Confidence::Possible),
        (TCP, &[("TcpInCsumErrors", 2)], "checksum/tcp", Confidence::Certain),
    ] {
        assert_eq!(counted(l4, moves), (kind.to_owned(), confidence), "{moves:?}");
    }
}

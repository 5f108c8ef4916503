use super::*;
use crate::{
    identity::owners::Owner,
    machine::NetState,
    testing::diagnosis::{EDGE, TCP, UDP, WEB, context, key, link, machine, moved, of_link, state},
};

fn part(kind: &'static Kind, netns: u32, l4: u8, count: u64) -> Part {
    Part { finding: Some(0), kind, key: key(netns, l4), count, netns, device: String::new(), benign: false }
}

fn listener(port: u16, queued: u32, inode: u32) -> Listener {
    let address = "10.0.0.2".parse().expect("an address");
    Listener { address, port, queued, backlog: 128, inode, drops: 0 }
}

/// A machine of one namespace with these listeners, where these counters of its protocols moved.
fn machine_with(listeners: &[Listener], counters: &[(&str, u64)]) -> Context {
    let mut context = context();
    let state = NetState { listeners: listeners.to_vec(), ..state(WEB, []) };
    context.after = machine([state]);
    context.moved = counters.iter().map(|(name, delta)| moved(WEB, Scope::Snmp, name, *delta)).collect();
    context
}

fn lost(context: &Context, traced: &[Part]) -> Vec<(String, u64)> {
    findings(context, traced)
        .into_iter()
        .map(|(finding, part)| {
            assert_eq!((finding.count, finding.traced), (part.count, false));
            (finding.assessment.kind.to_string(), finding.count)
        })
        .collect()
}

#[test]
fn what_the_accept_queue_lost_is_what_was_counted_and_not_traced() {
    let context = machine_with(&[], &[("TcpExtListenOverflows", 5)]);
    let of = |count: u64| lost(&context, &[part(&kinds::SOCKET_ACCEPT_QUEUE, WEB, TCP, count)]);
    assert_eq!(of(0), [("socket/accept-queue".to_owned(), 5)]);
    assert_eq!(of(2), [("socket/accept-queue".to_owned(), 3)]);
    assert_eq!(of(5), []);
    assert_eq!(of(9), []);
    let elsewhere = [part(&kinds::SOCKET_ACCEPT_QUEUE, EDGE, TCP, 5)];
    assert_eq!(lost(&context, &elsewhere), [("socket/accept-queue".to_owned(), 5)]);
}

#[test]
fn the_listener_whose_own_count_moved_is_the_culprit() {
    let mut context =
        machine_with(&[listener(80, 200, 11), listener(443, 129, 12)], &[("TcpExtListenOverflows", 5)]);
    let scope = Scope::Listener { address: "10.0.0.2".parse().expect("an address"), port: 443, inode: 12 };
    context.moved.push(moved(WEB, scope, "drops", 5));
    let owner = Owner { pid: 812, comm: "nginx".to_owned(), cgroup: String::new() };
    context.owners.insert(12, owner);
    let (finding, _) = findings(&context, &[]).remove(0);
    let culprit = finding.culprit.expect("a culprit");
    assert_eq!((culprit.name.as_str(), culprit.text.as_str()), ("tcp 10.0.0.2:443", "nginx[812]"));
    assert_eq!(culprit.more["process"]["pid"], 812);
    assert_eq!(finding.assessment.confidence, Confidence::Certain);
    assert_eq!(finding.numbers, [("backlog", 128), ("queued", 129), ("lost", 5)].into());
    assert!(
        finding.explanation.contains("nginx[812] does not accept fast enough"),
        "{}",
        finding.explanation
    );
    assert_eq!(finding.look[0].command, "ip netns exec web ss -lnt");
}

#[test]
fn else_it_is_one_whose_queue_is_over_its_limit_else_nobody() {
    let over = machine_with(&[listener(22, 128, 1), listener(80, 129, 2)], &[("TcpExtListenOverflows", 1)]);
    let (finding, _) = findings(&over, &[]).remove(0);
    assert_eq!(finding.culprit.expect("a culprit").name, "tcp 10.0.0.2:80");
    let none = machine_with(&[listener(22, 128, 1)], &[("TcpExtListenOverflows", 1)]);
    let (finding, _) = findings(&none, &[]).remove(0);
    assert_eq!((finding.culprit, finding.assessment.confidence), (None, Confidence::Likely));
    assert_eq!(finding.title, "the accept queue of a listener is full");
}

#[test]
fn refused_handshakes_are_a_full_syn_queue_with_two_ways_out() {
    let context = machine_with(&[listener(80, 129, 2)], &[("TcpExtTCPReqQFullDrop", 4)]);
    let (finding, _) = findings(&context, &[]).remove(0);
    assert_eq!((finding.assessment.kind, finding.count), (&kinds::SOCKET_SYN_QUEUE, 4));
    let commands: Vec<&str> = finding.fixes.iter().map(|fix| fix.command.as_str()).collect();
    assert_eq!(
        commands,
        [
            "ip netns exec web sysctl -w net.ipv4.tcp_syncookies=1",
            "ip netns exec web sysctl -w net.ipv4.tcp_max_syn_backlog=8192"
        ]
    );
}

#[test]
fn a_datagram_that_died_on_its_way_out_is_not_lost_twice() {
    let context = machine_with(&[], &[("UdpSndbufErrors", 7), ("Udp6SndbufErrors", 1)]);
    let of = |parts: &[Part]| lost(&context, parts);
    assert_eq!(of(&[]), [("socket/send-buffer".to_owned(), 8)]);
    assert_eq!(of(&[part(&kinds::MTU_VETH_PEER, WEB, UDP, 3)]), [("socket/send-buffer".to_owned(), 5)]);
    assert_eq!(of(&[part(&kinds::QUEUE_QDISC_LIMIT, WEB, UDP, 8)]), []);
    // Neither what is no UDP, nor what had arrived.
    assert_eq!(of(&[part(&kinds::MTU_VETH_PEER, WEB, TCP, 8)]).len(), 1);
    assert_eq!(of(&[part(&kinds::SOCKET_CLOSED_PORT, WEB, UDP, 8)]).len(), 1);
}

#[test]
fn a_card_s_overflow_and_its_errors_are_reported_with_what_its_driver_counts() {
    let mut context = context();
    context.after = machine([state(WEB, [link(2, "eth0", 1500), link(3, "eth1", 1500)])]);
    let driver = |index: u32, name: &str| Scope::Driver { index, name: name.to_owned() };
    context.moved = vec![
        moved(WEB, of_link(2, "eth0"), "rx_missed_errors", 30),
        moved(WEB, of_link(2, "eth0"), "rx_fifo_errors", 4),
        moved(WEB, of_link(2, "eth0"), "rx_packets", 999),
        moved(WEB, driver(2, "eth0"), "rx_no_buffer", 34),
        moved(WEB, driver(3, "eth1"), "rx_other", 1),
        moved(WEB, of_link(3, "eth1"), "rx_crc_errors", 2),
    ];
    let found = findings(&context, &[]);
    let reported: Vec<(String, u64)> =
        found.iter().map(|(finding, _)| (finding.title.clone(), finding.count)).collect();
    assert_eq!(
        reported,
        [
            ("the receive ring of eth0 overflows".to_owned(), 34),
            ("eth1 gets or sends damaged frames".to_owned(), 2)
        ]
    );
    let (overflow, _) = &found[0];
    assert_eq!(overflow.numbers, [("rx_missed_errors", 30), ("rx_fifo_errors", 4)].into());
    assert!(overflow.explanation.contains("The driver says: rx_no_buffer +34."), "{}", overflow.explanation);
    assert_eq!(overflow.look[1].command, "ip netns exec web ethtool -g eth0");
}

#[test]
fn nothing_is_lost_where_nothing_moved() {
    let context = machine_with(&[listener(80, 129, 2)], &[]);
    assert_eq!(lost(&context, &[]), []);
}

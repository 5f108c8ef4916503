use super::*;
use crate::{
    diagnose::finding::{Culprit, Object},
    knowledge::kinds,
    machine::{Conntrack, NetState},
    testing::diagnosis::{EDGE, WEB, context, finding, machine, moved, of_link, state},
};

fn whats(context: &Context, findings: &[Finding]) -> Vec<String> {
    ruled_out(context, findings).into_iter().map(|ruled_out| ruled_out.what).collect()
}

fn with(scope: Scope, name: &str) -> Context {
    let mut context = context();
    context.moved = vec![moved(WEB, scope, name, 1)];
    context
}

#[test]
fn on_a_quiet_machine_everything_is_ruled_out() {
    let all = ruled_out(&context(), &[]);
    assert_eq!(all.len(), CHECKS.len());
    assert!(all.iter().all(|one| one.numbers.values().all(|number| *number == 0)), "{all:?}");
}

#[test]
fn a_counter_that_moved_speaks_against_its_check_alone() {
    let qdisc =
        Scope::Qdisc { index: 2, kind: "tbf".to_owned(), handle: "1:".to_owned(), parent: "root".to_owned() };
    for (scope, name, what) in [
        (qdisc, "drops", "no qdisc drops"),
        (Scope::Softnet { cpu: 0 }, "dropped", "CPU backlog 0"),
        (of_link(2, "eth0"), "rx_crc_errors", "no NIC errors"),
        (Scope::Snmp, "TcpExtListenDrops", "no listen overflows"),
        (Scope::Snmp, "Ip6OutNoRoutes", "no route failures"),
        (Scope::Snmp, "Udp6RcvbufErrors", "no receive buffer overflows"),
        (Scope::Snmp, "UdpInCsumErrors", "no checksum errors"),
    ] {
        let left = whats(&with(scope, name), &[]);
        assert!(!left.contains(&what.to_owned()), "{name}: {left:?}");
        assert_eq!(left.len(), CHECKS.len() - 1, "{name}");
    }
    for (scope, name) in [
        (of_link(2, "eth0"), "tx_aborted_errors"),
        (of_link(2, "eth0"), "rx_packets"),
        (Scope::Snmp, "UdpInDatagrams"),
    ] {
        assert_eq!(whats(&with(scope, name), &[]).len(), CHECKS.len(), "{name}");
    }
}

#[test]
fn a_finding_speaks_against_its_check_though_no_counter_moved() {
    for (kind, what) in [
        (&kinds::QUEUE_NETEM, "no qdisc drops"),
        (&kinds::QUEUE_CPU_BACKLOG, "CPU backlog 0"),
        (&kinds::DEVICE_NIC_OVERFLOW, "no NIC errors"),
        (&kinds::SOCKET_ACCEPT_QUEUE, "no listen overflows"),
        (&kinds::ROUTING_NO_ROUTE, "no route failures"),
        (&kinds::SOCKET_RCVBUF, "no receive buffer overflows"),
        (&kinds::CHECKSUM_IP, "no checksum errors"),
    ] {
        let left = whats(&context(), &[finding(kind, 1, Culprit::new(Object::Device, "eth0"), [])]);
        assert!(!left.contains(&what.to_owned()) && left.len() == CHECKS.len() - 1, "{kind}: {left:?}");
    }
}

fn tracked(tables: [(u32, u64, u64); 2]) -> Context {
    let mut context = context();
    context.after = machine(tables.map(|(inum, count, max)| {
        let conntrack = Some(Conntrack { count, max, ..Conntrack::default() });
        NetState { conntrack, ..state(inum, []) }
    }));
    context
}

#[test]
fn the_fullest_table_of_connections_is_reported_unless_it_is_full_or_found_guilty() {
    let reported = ruled_out(&tracked([(WEB, 90, 100), (EDGE, 500, 1000)]), &[]);
    assert_eq!(reported[0].what, "conntrack 90 of 100 in namespace web");
    assert_eq!(reported[0].numbers, [("entries", 90), ("max", 100)].into());
    let full = whats(&tracked([(WEB, 100, 100), (EDGE, 500, 1000)]), &[]);
    assert!(!full.iter().any(|what| what.starts_with("conntrack")), "{full:?}");
    let culprit = Culprit::new(Object::Conntrack, "conntrack table");
    let guilty = [finding(&kinds::NETFILTER_CONNTRACK_FULL, 1, culprit, [])];
    let left = whats(&tracked([(WEB, 90, 100), (EDGE, 500, 1000)]), &guilty);
    assert!(!left.iter().any(|what| what.starts_with("conntrack")), "{left:?}");
    let unlimited = whats(&tracked([(WEB, 90, 0), (EDGE, 0, 0)]), &[]);
    assert_eq!(unlimited.len(), CHECKS.len());
}

use super::*;
use crate::{
    diagnose::finding::{Culprit, Object},
    testing::diagnosis::{EDGE, TCP, UDP, WEB, context, key, link, machine, moved, of_link, state},
};

#[test]
fn no_counter_is_listed_twice_for_the_same_place() {
    let mut seen = std::collections::HashSet::new();
    for known in COUNTERS {
        let place = format!("{:?} {} {:?} {:?}", known.of, known.name, known.place, known.l3);
        assert!(seen.insert(place), "{} is listed twice", known.name);
    }
}

/// So many drops of a kind, reported by the first finding, whose culprit is in the same namespace.
fn part(kind: &'static Kind, netns: u32, l4: u8, count: u64) -> Part {
    Part { finding: Some(0), kind, key: key(netns, l4), count, netns, device: String::new(), benign: false }
}

/// The one line for a counter that moved, whatever the parts.
fn line_of(moved: Moved, parts: &[Part]) -> CounterLine {
    let mut context = context();
    context.moved = vec![moved];
    let mut lines = lines(&context, parts, &[]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

fn qdisc(index: u32) -> Scope {
    Scope::Qdisc { index, kind: "tbf".to_owned(), handle: "8001:".to_owned(), parent: "root".to_owned() }
}

#[test]
fn a_queue_s_counter_is_explained_by_drops_at_its_device_only() {
    let drops = part(&kinds::QUEUE_QDISC_LIMIT, WEB, UDP, 5);
    let here = line_of(moved(WEB, qdisc(2), "drops", 5), std::slice::from_ref(&drops));
    assert_eq!((here.explained, here.findings), (5, vec![1]));
    let elsewhere = line_of(moved(WEB, qdisc(3), "drops", 5), std::slice::from_ref(&drops));
    assert_eq!((elsewhere.explained, elsewhere.findings.len()), (0, 0));
    let other_netns = line_of(moved(EDGE, qdisc(2), "drops", 5), &[drops]);
    assert_eq!(other_netns.explained, 0);
    let other_kind = [part(&kinds::SOCKET_CLOSED_PORT, WEB, UDP, 5)];
    assert_eq!(line_of(moved(WEB, qdisc(2), "drops", 5), &other_kind).explained, 0);
}

#[test]
fn a_veth_s_loss_is_reported_at_both_ends_and_said_to_be_the_same() {
    // The packet was at the sender's end; the culprit is the other.
    let lost = Part { netns: WEB, device: "eth0".to_owned(), ..part(&kinds::MTU_VETH_PEER, EDGE, TCP, 3) };
    let near = line_of(moved(EDGE, of_link(2, "veth0"), "tx_dropped", 3), std::slice::from_ref(&lost));
    assert_eq!((near.explained, near.findings), (3, vec![1]));
    assert_eq!(near.remark, "the same packets, counted at both ends of the veth");
    let far = line_of(moved(WEB, of_link(9, "eth0"), "rx_dropped", 3), std::slice::from_ref(&lost));
    assert_eq!((far.explained, far.remark.as_str(), far.scope.as_str()), (3, "", "web eth0"));
    let other = line_of(moved(WEB, of_link(9, "eth1"), "rx_dropped", 3), &[lost]);
    assert_eq!(other.explained, 0);
}

#[test]
fn a_counter_of_a_protocol_is_of_its_namespace_and_of_its_protocols() {
    let no_ports = |name: &str, parts: &[Part]| line_of(moved(WEB, Scope::Snmp, name, 4), parts).explained;
    let udp = part(&kinds::SOCKET_CLOSED_PORT, WEB, UDP, 4);
    assert_eq!(no_ports("UdpNoPorts", std::slice::from_ref(&udp)), 4);
    assert_eq!(no_ports("Udp6NoPorts", std::slice::from_ref(&udp)), 0);
    assert_eq!(no_ports("UdpNoPorts", &[part(&kinds::SOCKET_CLOSED_PORT, WEB, TCP, 4)]), 0);
    assert_eq!(no_ports("UdpNoPorts", &[part(&kinds::SOCKET_CLOSED_PORT, EDGE, UDP, 4)]), 0);
    let six = Part { key: DropKey { l3: L3::Ipv6 as u8, ..udp.key }, ..udp };
    assert_eq!((no_ports("Udp6NoPorts", std::slice::from_ref(&six)), no_ports("UdpNoPorts", &[six])), (4, 0));
}

#[test]
fn a_cpu_s_counter_is_explained_by_drops_anywhere() {
    let softnet = Moved { netns: None, ..moved(0, Scope::Softnet { cpu: 1 }, "dropped", 6) };
    let parts = [
        part(&kinds::QUEUE_CPU_BACKLOG, WEB, UDP, 2),
        Part { finding: Some(3), ..part(&kinds::QUEUE_CPU_BACKLOG, EDGE, TCP, 4) },
    ];
    let line = line_of(softnet, &parts);
    assert_eq!((line.explained, line.findings, line.scope.as_str()), (6, vec![1, 4], "cpu 1"));
}

#[test]
fn noise_explains_a_counter_too_and_is_called_so() {
    let parts = [
        part(&kinds::HOUSEKEEPING_UNHANDLED_PROTOCOL, WEB, 0, 2),
        Part { finding: None, benign: true, ..part(&kinds::HOUSEKEEPING_UNHANDLED_PROTOCOL, WEB, 0, 3) },
    ];
    let line = line_of(moved(WEB, of_link(2, "veth0"), "rx_nohandler", 5), &parts);
    assert_eq!((line.explained, line.findings, line.remark.as_str()), (5, vec![1], "3 of them benign"));
}

#[test]
fn what_nothing_explains_stays_open_and_the_counter_says_what_else_moves_it() {
    let parts = [part(&kinds::ROUTING_NO_ROUTE, WEB, UDP, 2)];
    let line = line_of(moved(WEB, Scope::Snmp, "IpOutNoRoutes", 5), &parts);
    assert_eq!((line.delta, line.explained), (5, 2));
    assert_eq!(line.remark, "also sends that failed with an error and never made a packet");
    let all = line_of(moved(WEB, Scope::Snmp, "IpOutNoRoutes", 2), &parts);
    assert_eq!((all.explained, all.remark.as_str()), (2, ""));
}

#[test]
fn more_drops_than_a_counter_counted_explain_no_more_than_that() {
    let line =
        line_of(moved(WEB, Scope::Snmp, "UdpNoPorts", 4), &[part(&kinds::SOCKET_CLOSED_PORT, WEB, UDP, 9)]);
    assert_eq!((line.delta, line.explained), (4, 4));
}

#[test]
fn counters_that_repeat_others_or_tell_of_no_loss_have_no_line_and_the_rest_are_in_order() {
    let mut context = context();
    context.after = machine([state(WEB, [link(2, "eth0", 1500)])]);
    let driver = Scope::Driver { index: 2, name: "eth0".to_owned() };
    context.moved = vec![
        moved(WEB, qdisc(2), "drops", 1),
        moved(WEB, driver, "rx_dropped", 1),
        moved(WEB, of_link(2, "eth0"), "rx_packets", 9),
        moved(WEB, Scope::Conntrack, "drop", 1),
        moved(EDGE, Scope::NfQueue { number: 3 }, "queue_dropped", 1),
        moved(WEB, Scope::Snmp, "UdpNoPorts", 1),
        moved(WEB, Scope::Snmp, "IpInReceives", 1),
    ];
    let scopes: Vec<String> = lines(&context, &[], &[]).into_iter().map(|line| line.scope).collect();
    assert_eq!(scopes, ["edge nfqueue 3", "web", "web conntrack", "web eth0 qdisc tbf 8001:"]);
}

#[test]
fn a_guilty_rule_s_counter_is_reported_with_the_finding() {
    let finding = |packets: Option<u64>| {
        crate::testing::diagnosis::finding(
            &kinds::NETFILTER_RULE,
            6,
            Culprit::new(Object::Rule, "nft inet lab input handle 3"),
            packets.map(|packets| ("packets", packets)),
        )
    };
    let findings = [finding(None), finding(Some(8)), finding(Some(0))];
    let lines = lines(&context(), &[], &findings);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((line.scope.as_str(), line.name.as_str()), ("web nft inet lab input handle 3", "packets"));
    assert_eq!((line.delta, line.explained, &line.findings[..]), (8, 6, &[2][..]));
}

#[test]
fn what_was_not_selected_explains_a_counter_without_a_word() {
    let part = Part { finding: None, ..part(&kinds::SOCKET_CLOSED_PORT, WEB, UDP, 4) };
    let line = line_of(moved(WEB, Scope::Snmp, "UdpNoPorts", 4), &[part]);
    assert_eq!((line.explained, line.findings.len(), line.remark.as_str()), (4, 0, ""));
}

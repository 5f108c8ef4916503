//! What users see, as snapshots: after a change that is meant, `INSTA_UPDATE=always cargo test -p lossdrop` writes them
//! anew.

use std::{io, path::PathBuf};

use jiff::tz::TimeZone;
use lossdrop_common::{
    DropKey, Event, Facts, L3, Shape,
    facts::{PacketFacts, QdiscFacts, RouteFacts, SocketFacts},
};

use super::{json::Json, text::Text, *};
use crate::{
    drops::{describe::Described, packet},
    identity::{Identity, Namespace, Owner},
    knowledge::kinds,
    testing::{self, address, fault, ipv4, name, noise, packet as event},
};

/// 2026-01-02T03:04:05.678901234Z.
const TIME: i128 = 1_767_323_045_678_901_234;

const UDP: u8 = 17;

fn ipv6(l4: u8, shape: &[Shape]) -> DropKey {
    DropKey { l3: L3::Ipv6 as u8, netns: 4_026_531_840, ..ipv4(l4, shape) }
}

fn icmp(key: DropKey, (icmp_type, icmp_code): (u8, u8), src: &str, dst: &str) -> Event {
    let event = event(key, src, dst, None);
    Event { icmp_type, icmp_code, flags: Event::HAS_ADDRESSES | Event::HAS_ICMP, ..event }
}

/// A drop of each kind that looks different.
fn variety() -> Vec<Event> {
    let at = |location, key| DropKey { location, reason: testing::NO_SOCKET, ..key };
    let udp_receive = 0xffff_0000_0000_2040;
    let udp =
        event(at(udp_receive, ipv4(UDP, &[Shape::PAYLOAD])), "10.99.0.1", "10.99.0.2", Some((5353, 53)));
    let arp = DropKey { l3: L3::Arp as u8, reason: testing::NOT_SPECIFIED, ..ipv4(0, &[Shape::BROADCAST]) };
    vec![
        fault(),
        noise(),
        event(at(udp_receive, ipv6(UDP, &[])), "2001:db8::1", "2001:db8::2", Some((40000, 53))),
        Event { vlan_tci: 0xe007, ..udp },
        Event { flags: Event::HAS_ADDRESSES, key: DropKey { shape: Shape::FRAGMENT.0, ..udp.key }, ..udp },
        icmp(at(0x1234, ipv4(1, &[])), (3, 4), "192.0.2.1", "10.99.0.1"),
        icmp(at(0x1234, ipv6(58, &[Shape::MULTICAST])), (135, 0), "fe80::1", "ff02::1:ff00:2"),
        event(DropKey { reason: 77, ..at(0x1234, ipv4(47, &[])) }, "10.99.0.1", "10.99.0.2", None),
        Event { ethertype: 0x0806, ..event(arp, "10.99.0.1", "10.99.0.2", None) },
        Event {
            key: DropKey { ifindex: 3, ..DropKey::default() },
            ethertype: 0x88cc,
            len: 214,
            vlan_tci: Event::NO_VLAN,
            ifname: name("fifteen-bytes-x"),
            ..Event::default()
        },
        Event { vlan_tci: Event::NO_VLAN, ..Event::default() },
        // No namespace leads to it by a name, and its headers were cut off.
        Event { key: DropKey { netns: 42, ..fault().key }, flags: 0, src: [0; 2], dst: [0; 2], ..fault() },
    ]
}

/// What is known beside the event.
#[derive(Default)]
struct Beside<'a> {
    owner: Option<Owner>,
    stack: &'a [u64],
    facts: Option<&'a Facts>,
    packet: &'a [u8],
}

fn rendered(format: &mut impl Format, events: &[Event], beside: &Beside<'_>) -> String {
    let [web, container] =
        ["web", "container"].map(|name| Namespace::new(Identity::Named(name.to_owned()), PathBuf::new()));
    let mut out = Vec::new();
    format.begin(&mut out);
    for (event, index) in events.iter().zip(0..) {
        let drop = Drop {
            unix_ns: TIME + index * 1_000_000,
            netns: (event.key.netns > 100).then_some(&web),
            peer_netns: beside.facts.map(|_| &container),
            owner: beside.owner.as_ref(),
            ..testing::dropped_with(event, beside.facts, beside.stack, beside.packet)
        };
        format.drop(&drop, &mut out);
    }
    readable(out)
}

/// Escapes as a character that can be read.
fn readable(out: Vec<u8>) -> String {
    String::from_utf8(out).expect("text").replace('\x1b', "␛")
}

fn text(color: bool) -> Text {
    Text::new(color, 0, false, TimeZone::UTC)
}

#[test]
fn text_shows_every_kind_of_packet_in_columns() {
    insta::assert_snapshot!(rendered(&mut text(false), &variety(), &Beside::default()));
}

#[test]
fn colour_tells_faults_from_noise() {
    insta::assert_snapshot!(rendered(&mut text(true), &[fault(), noise()], &Beside::default()));
}

#[test]
fn text_shows_owner_stack_and_bytes_where_they_were_asked_for() {
    let owner = Owner { pid: 4711, comm: "nginx".to_owned(), cgroup: "/system.slice/nginx".to_owned() };
    let stack = [0xffff_0000_0000_1010, 0xffff_0000_0000_38c3];
    let packet: Vec<u8> = (0x1a..0x40).collect();
    let beside = Beside { owner: Some(owner), stack: &stack, packet: &packet, ..Beside::default() };
    insta::assert_snapshot!(rendered(&mut Text::new(false, 128, true, TimeZone::UTC), &[fault()], &beside));
}

#[test]
fn a_long_name_widens_its_column_for_the_lines_that_follow_up_to_a_limit() {
    let mut text = text(false);
    let long = Event { ifname: name("fifteen-bytes-x"), ..fault() };
    let dev = |line: &str| line.find("10.99").expect("an address");
    let lines = rendered(&mut text, &[fault(), long, fault()], &Beside::default());
    let columns: Vec<usize> = lines.lines().skip(1).map(dev).collect();
    assert_eq!([columns[1] - columns[0], columns[2] - columns[0]], [9, 9], "{lines}");
    let plain = testing::dropped(&fault());
    let described = Described { reason: Some("R".repeat(60)), ..(*plain.described).clone() };
    let mut out = Vec::new();
    text.drop(&Drop { described: described.into(), ..testing::dropped(&fault()) }, &mut out);
    text.drop(&plain, &mut out);
    let last = readable(out).lines().nth(1).expect("two lines").to_owned();
    assert_eq!(last.find("nf_hook_slow"), Some(12 + 2 + 18 + 2 + 40 + 2), "{last}");
}

#[test]
fn json_has_a_line_for_every_kind_of_packet() {
    insta::assert_snapshot!(rendered(&mut Json::default(), &variety(), &Beside::default()));
}

#[test]
fn json_has_owner_stack_and_bytes_where_they_are_known() {
    let owner = Owner { pid: 4711, comm: "a \"b\"".to_owned(), cgroup: "/".to_owned() };
    let stack = [0xffff_0000_0000_1010];
    let beside =
        Beside { owner: Some(owner), stack: &stack, packet: &[0x45, 0x00, 0xff], ..Beside::default() };
    let line = rendered(&mut Json::new(128, true), &[fault()], &beside);
    let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(value["owner"], serde_json::json!({"pid": 4711, "comm": "a \"b\"", "cgroup": "/"}));
    assert_eq!(
        (&value["stack"], &value["packet"]),
        (&serde_json::json!(["nf_hook_slow+0x10"]), &"4500ff".into())
    );
}

#[test]
fn json_has_what_the_kernel_knew_and_nothing_that_it_did_not_know() {
    const NAMES: [&str; 6] = ["gso_size", "route", "peer", "qdisc", "socket", "netfilter"];
    let reported = |facts: &Facts| {
        let beside = Beside { facts: Some(facts), ..Beside::default() };
        let line = rendered(&mut Json::default(), &[fault()], &beside);
        let mut drop: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        drop.as_object_mut().expect("an object").retain(|name, _| NAMES.contains(&name.as_str()));
        drop
    };
    let all = testing::facts();
    insta::assert_snapshot!(serde_json::to_string_pretty(&reported(&all)).expect("JSON"));
    assert_eq!(reported(&Facts::default()), serde_json::json!({}));
    let groups =
        [(Facts::ROUTE, "route"), (Facts::PEER, "peer"), (Facts::QDISC, "qdisc"), (Facts::SOCKET, "socket")];
    for (present, name) in groups {
        let packet = PacketFacts { gso_size: 0, ..all.packet };
        let object = reported(&Facts { present, packet, ..all });
        assert_eq!(object.as_object().expect("an object").keys().collect::<Vec<_>>(), [name]);
    }
}

#[test]
fn what_does_not_hold_for_a_queue_or_a_socket_is_not_reported() {
    let reported = |facts: &Facts| {
        let beside = Beside { facts: Some(facts), ..Beside::default() };
        let line = rendered(&mut Json::default(), &[fault()], &beside);
        serde_json::from_str::<serde_json::Value>(&line).expect("JSON")
    };
    let facts = testing::facts();
    let qdisc = |qdisc| reported(&Facts { qdisc, ..facts })["qdisc"].take();
    assert_eq!(
        qdisc(QdiscFacts { flags: QdiscFacts::PER_CPU, ..facts.qdisc }),
        serde_json::json!({"kind": "tbf", "handle": "8001:", "limit": 0})
    );
    assert_eq!(qdisc(QdiscFacts { kind: name("noqueue"), ..facts.qdisc }), serde_json::Value::Null);
    let connected = Facts { socket: SocketFacts { state: 1, ..facts.socket }, ..facts };
    assert_eq!(reported(&connected)["socket"].get("accept_queue"), None);
    let by_device = Facts { route: RouteFacts { route_mtu: 0, ..facts.route }, ..facts };
    assert_eq!(
        (&reported(&by_device)["route"]["mtu"], &reported(&facts)["route"]["mtu"]),
        (&1500.into(), &1400.into())
    );
}

#[test]
fn json_tells_the_time_to_the_nanosecond() {
    let events = [fault(), noise()];
    let lines = rendered(&mut Json::default(), &events, &Beside::default());
    let times: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["ts"].clone())
        .collect();
    assert_eq!(times, ["2026-01-02T03:04:05.678901234Z", "2026-01-02T03:04:05.679901234Z"]);
}

#[test]
fn a_segment_without_flags_has_empty_brackets_and_a_truncated_one_none() {
    let bare = Event { tcp_flags: 0, ..event(ipv4(6, &[]), "10.99.0.1", "10.99.0.2", Some((1, 2))) };
    assert_eq!(packet::line(&bare), "10.99.0.1:1 → 10.99.0.2:2 TCP [] len 60");
    let truncated = Event { flags: bare.flags & !Event::HAS_TCP_FLAGS, ..bare };
    assert_eq!(packet::line(&truncated), "10.99.0.1:1 → 10.99.0.2:2 TCP len 60");
}

#[test]
fn every_tcp_flag_has_a_letter() {
    assert_eq!(packet::tcp_flags(0xff), "SFRPAUEC");
    assert_eq!(packet::tcp_flags(0x12), "SA");
    assert_eq!(packet::tcp_flags(0), "");
}

#[test]
fn icmp_messages_have_their_usual_names() {
    for (l4, kind, code, words) in [
        (1, 8, 0, "ICMP echo request"),
        (1, 0, 0, "ICMP echo reply"),
        (1, 3, 1, "ICMP unreachable"),
        (1, 5, 0, "ICMP redirect"),
        (1, 11, 0, "ICMP time exceeded"),
        (1, 13, 7, "ICMP type 13 code 7"),
        (1, 129, 0, "ICMP type 129 code 0"),
        (58, 2, 0, "ICMPv6 too big"),
        (58, 134, 0, "ICMPv6 router advertisement"),
        (58, 136, 0, "ICMPv6 neighbour advertisement"),
        (58, 143, 0, "ICMPv6 MLD report"),
        (58, 8, 0, "ICMPv6 type 8 code 0"),
    ] {
        let event = icmp(ipv4(l4, &[]), (kind, code), "10.0.0.1", "10.0.0.2");
        assert_eq!(packet::line(&event), format!("10.0.0.1 → 10.0.0.2 {words} len 60"));
    }
}

#[test]
fn addresses_are_reported_only_where_they_were_read() {
    let unread = Event { flags: Event::HAS_PORTS, ..fault() };
    assert_eq!((packet::addresses(&unread), packet::ports(&fault())), (None, Some((41234, 80))));
    assert_eq!(address("::1"), [0, 1_u64.to_be()]);
}

fn group(index: u64, benign: bool) -> Group {
    Group {
        reason: (index != 2).then(|| format!("REASON_{index}")),
        symbol: format!("function_{index}"),
        kind: if benign { &kinds::HOUSEKEEPING_CLOSING } else { &kinds::NETFILTER_DROP },
        severity: if benign { Severity::Benign } else { Severity::Policy },
        meaning: "what it means",
        count: 1_234_567 / (index + 1),
    }
}

fn summary(books: [u64; 7], groups: Vec<Group>, other: u64) -> Summary {
    let [seen, shown, suppressed, filtered, lost, benign, unselected] = books;
    let accounting = Accounting { seen, shown, suppressed, filtered, lost, benign, unselected };
    assert!(accounting.holds());
    Summary { accounting, elapsed: Duration::from_millis(9240), groups, other }
}

fn ended(format: &mut impl Format, summary: &Summary) -> String {
    let mut out = Vec::new();
    format.end(summary, &mut out);
    readable(out)
}

#[test]
fn the_summary_balances_the_books_in_every_case() {
    let cases = [
        ("no drops", summary([0; 7], vec![], 0)),
        ("one drop", summary([1, 1, 0, 0, 0, 0, 0], vec![Group { count: 1, ..group(0, false) }], 0)),
        ("benign only", summary([617_283, 0, 617_283, 0, 0, 617_283, 0], vec![group(1, true)], 0)),
        ("filtered", summary([1000, 0, 0, 1000, 0, 0, 0], vec![], 0)),
        ("lost", summary([411_522, 20, 411_502 - 7, 0, 7, 0, 0], vec![group(2, false)], 0)),
        ("not selected", summary([1000, 100, 900, 0, 0, 0, 650], vec![group(0, false)], 0)),
        ("other", summary([1_234_667, 5, 1_234_662, 0, 0, 0, 0], vec![group(0, false)], 100)),
    ];
    let text = cases.map(|(what, summary)| format!("--- {what}{}", ended(&mut text(false), &summary)));
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn losses_are_red() {
    let summary = summary([10, 3, 0, 0, 7, 0, 0], vec![group(0, false), group(1, true)], 0);
    insta::assert_snapshot!(ended(&mut text(true), &summary));
}

#[test]
fn more_than_twenty_kinds_are_summed_up_in_a_line() {
    let groups = (0..23).map(|index| group(index, false)).collect();
    let text = ended(&mut text(false), &summary([1, 1, 0, 0, 0, 0, 0], groups, 0));
    assert!(text.contains("function_19") && !text.contains("function_20"), "{text}");
    // 58,788 + 56,116 + 53,676
    assert!(text.contains("  168,580  of other kinds (--json lists all)"), "{text}");
}

#[test]
fn the_summary_in_json_has_all_kinds() {
    let groups = (0..23).map(|index| group(index, index % 2 == 0)).collect();
    let line = ended(&mut Json::default(), &summary([10, 3, 4, 1, 2, 4, 0], groups, 1));
    let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(value["groups"].as_array().map(Vec::len), Some(23));
    assert_eq!(value["groups"][2]["reason"], serde_json::Value::Null);
    let books = [
        "type",
        "seen",
        "shown",
        "suppressed",
        "filtered",
        "lost",
        "suppressed_benign",
        "suppressed_unselected",
        "other",
    ];
    let found = books.map(|field| value[field].to_string());
    assert_eq!(found, ["\"summary\"", "10", "3", "4", "1", "2", "4", "0", "1"]);
    assert_eq!(value["duration_s"], 9.24);
    assert!(line.ends_with("}\n") && line.matches('\n').count() == 1);
}

#[test]
fn a_time_that_no_calendar_has_is_a_dash() {
    let mut out = Vec::new();
    let drop = Drop { unix_ns: i128::MAX, ..testing::dropped(&fault()) };
    text(false).drop(&drop, &mut out);
    Json::default().drop(&drop, &mut out);
    assert!(readable(out).starts_with("-             netfilter drop      NETFILTER_DROP"));
}

/// Ends like this.
struct Closing(Option<Error>);

impl Sink for Closing {
    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn take(&mut self, _drop: &Drop<'_>) {}

    fn end(&mut self, _summary: &Summary) {}

    fn close(&mut self) -> Result<()> {
        self.0.take().map_or(Ok(()), Err)
    }
}

#[test]
fn a_sink_that_fails_is_not_hidden_by_one_whose_reader_is_gone() {
    let [gone, full] = [io::ErrorKind::BrokenPipe, io::ErrorKind::StorageFull];
    for (ends, is_gone) in
        [(&[gone, full][..], Some(false)), (&[full, gone], Some(false)), (&[gone], Some(true)), (&[], None)]
    {
        let mut sinks = Sinks::default();
        sinks.push(Closing(None));
        for end in ends {
            sinks.push(Closing(Some(Error::Output((*end).into()))));
        }
        assert_eq!(sinks.close().err().map(|error| error.is_reader_gone()), is_gone, "{ends:?}");
        assert!(sinks.close().is_ok(), "each was closed");
    }
}

//! What users see, as snapshots: `INSTA_UPDATE=always cargo test -p lossdrop` writes them anew.

use super::*;
use crate::{
    diagnose::finding::{Benign, Culprit, Fix, Object, RuledOut},
    knowledge::{Assessment, Confidence, kinds},
    testing::diagnosis::finding,
};

fn flow(flow: &str, count: u64) -> Flow {
    Flow { flow: flow.to_owned(), count }
}

fn mtu() -> Finding {
    let culprit = Culprit::new(Object::Device, "eth0").text("MTU 100");
    Finding {
        title: "frames over 118 bytes die at eth0 of namespace ld-23138-1-web".to_owned(),
        netns: Some("ld-23138-1-web".to_owned()),
        first_ts: Some("2026-01-02T03:04:05.678901234Z".to_owned()),
        last_ts: Some("2026-01-02T03:04:06.5Z".to_owned()),
        sizes: [(105, 1), (131, 1200), (1500, 30)].map(|(len, count)| Size { len, count }).to_vec(),
        flows: vec![
            flow("10.0.0.1:41564 → 10.0.0.2:80 TCP", 1200),
            flow("[2001:db8:0:1:0:ff:fe00:1]:41564 → [2001:db8:0:1:0:ff:fe00:2]:8080 TCP", 31),
        ],
        explanation: "eth0 of namespace ld-23138-1-web has MTU 100; its peer veth0 sends with MTU 1500. The kernel lets IP packets \
                      of up to 104 bytes pass and drops the longer ones without telling the sender: no ICMP."
            .to_owned(),
        fixes: vec![
            Fix::new("ip -n ld-23138-1-web link set eth0 mtu 1500", "both ends then agree"),
            Fix::new(
                "ip -n ld-23138-0-host link set veth0 mtu 100",
                "both ends small: senders on this side then fragment, or get EMSGSIZE",
            ),
        ],
        look: vec![Fix::new("ip -n ld-23138-1-web -s link show dev eth0", "RX: dropped")],
        ..finding(&kinds::MTU_VETH_PEER, 1231, culprit, [("largest_ip", 104), ("mtu", 100)])
    }
}

fn rule() -> Finding {
    let culprit = Culprit::new(Object::Rule, "iptables filter INPUT rule 1").text(
        "-A INPUT -p tcp -m tcp --dport 80 -m statistic --mode random --probability 0.29999999981 -j DROP",
    );
    Finding {
        assessment: Assessment {
            severity: Severity::Fault,
            ..Assessment::new(&kinds::NETFILTER_RULE, Confidence::Certain)
        },
        title: "a rule drops by chance or by rate".to_owned(),
        flows: vec![flow("10.0.0.1:10000 → 10.0.0.2:80 TCP", 1)],
        fixes: vec![Fix::new(
            "ip netns exec ld-23138-1-web iptables -w -t filter -D INPUT -p tcp -m tcp --dport 80 -m statistic --mode random \
             --probability 0.29999999981 -j DROP",
            "Deletes iptables filter INPUT rule 1.",
        )],
        ..finding(&kinds::NETFILTER_RULE, 19, culprit, [("packets", 19)])
    }
}

fn buffer() -> Finding {
    let culprit = Culprit::new(Object::Socket, "udp 10.0.0.2:5140").text("syslogd[812]");
    Finding {
        assessment: Assessment::new(&kinds::SOCKET_RCVBUF, Confidence::Likely),
        exact: false,
        title: "the receive buffer of udp 10.0.0.2:5140 is full".to_owned(),
        look: vec![Fix::new(
            "ip netns exec web ss -uanmp 'sport = :5140'",
            "r: bytes waiting now, rb: the limit",
        )],
        ..finding(&kinds::SOCKET_RCVBUF, 52_410, culprit, [])
    }
}

fn untraced() -> Finding {
    Finding {
        traced: false,
        assessment: Assessment::new(&kinds::SOCKET_SEND_BUFFER, Confidence::Likely),
        culprit: None,
        title: "UDP sockets have no room to send".to_owned(),
        ..finding(&kinds::SOCKET_SEND_BUFFER, 1, Culprit::new(Object::Socket, ""), [])
    }
}

fn counter(
    scope: &str,
    name: &str,
    (delta, explained): (u64, u64),
    findings: &[usize],
    remark: &str,
) -> CounterLine {
    CounterLine {
        scope: scope.to_owned(),
        name: name.to_owned(),
        delta,
        explained,
        findings: findings.to_vec(),
        remark: remark.to_owned(),
    }
}

fn full() -> Diagnosis {
    Diagnosis {
        v: 1,
        findings: vec![mtu(), rule(), buffer(), untraced()],
        counters: vec![
            counter("ld-23138-0-host", "IpOutNoRoutes", (2, 0), &[], "also sends that failed with an error and never made a packet"),
            counter("ld-23138-0-host veth0", "tx_dropped", (1231, 1231), &[1], "the same packets, counted at both ends of the veth"),
            counter("ld-23138-1-web eth0", "rx_dropped", (1240, 1231), &[1], "3 of them benign"),
            counter("web", "UdpRcvbufErrors", (52_410, 52_410), &[3, 4], ""),
            counter("web iptables filter INPUT rule 1", "packets", (19, 19), &[2], ""),
        ],
        ruled_out: ["conntrack 182 of 262144", "no qdisc drops", "CPU backlog 0", "no NIC errors", "no route failures"]
            .map(|what| RuledOut { what: what.to_owned(), numbers: [].into() })
            .to_vec(),
        benign: [(&kinds::TCP_RESET, 29), (&kinds::TCP_CLOSING, 1021)]
            .map(|(kind, count)| Benign { kind, count })
            .to_vec(),
        notes: vec![
            "nft is not installed: Rules of nft and of the iptables made of it are not known".to_owned(),
            "99 details found no room in the ring buffer (--buffer makes it larger): all drops are counted, and those are reported by \
             their kind alone"
                .to_owned(),
        ],
        accounting: Accounting { seen: 1_054_717, shown: 53_660, suppressed: 1050, filtered: 1_000_000, lost: 7, ..Accounting::default() },
        duration_s: 10.04,
        kernel: "Linux 6.18.44".to_owned(),
        host: "box".to_owned(),
    }
}

fn empty() -> Diagnosis {
    Diagnosis {
        v: 1,
        findings: Vec::new(),
        counters: Vec::new(),
        benign: Vec::new(),
        notes: Vec::new(),
        accounting: Accounting { seen: 1, filtered: 1, ..Accounting::default() },
        ..full()
    }
}

fn drawn(width: usize, diagnosis: &Diagnosis) -> String {
    Paper { color: false, width: Some(width) }.draw(diagnosis)
}

#[test]
fn a_full_diagnosis_on_60_columns() {
    insta::assert_snapshot!(drawn(60, &full()));
}

#[test]
fn a_full_diagnosis_on_80_columns() {
    insta::assert_snapshot!(drawn(80, &full()));
}

#[test]
fn a_full_diagnosis_on_120_columns() {
    insta::assert_snapshot!(drawn(120, &full()));
}

#[test]
fn colour_tells_severities_and_what_is_not_explained() {
    let text = Paper { color: true, width: Some(120) }.draw(&full());
    insta::assert_snapshot!(text.replace('\x1b', "␛"));
}

#[test]
fn nothing_is_the_matter() {
    insta::assert_snapshot!(drawn(80, &empty()));
}

/// The escape sequences of colours, taken out.
fn plain(text: &str) -> String {
    let mut parts = text.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[test]
fn colour_changes_nothing_but_the_colour() {
    for width in [60, 80, 100, 120] {
        let colored = Paper { color: true, width: Some(width) }.draw(&full());
        assert_eq!(plain(&colored), drawn(width, &full()), "{width}");
    }
}

#[test]
fn nothing_but_a_command_is_longer_than_the_line() {
    for (wanted, width) in [(10, 60), (60, 60), (73, 73), (80, 80), (100, 100), (120, 120), (400, 120)] {
        for line in drawn(wanted, &full()).lines() {
            let is_command = ["fix ", "or  ", "see ", "-A INPUT "]
                .iter()
                .any(|label| line.trim_start().starts_with(label));
            assert!(is_command || line.chars().count() <= width, "{wanted}: {line}");
            assert_eq!(line, line.trim_end(), "{wanted}");
        }
    }
}

#[test]
fn no_word_is_taken_apart_or_left_out() {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let Finding { explanation, .. } = mtu();
    let drawn = words(&drawn(60, &full())).join(" ");
    assert!(drawn.contains(&words(&explanation).join(" ")), "{drawn}");
}

#[test]
fn without_a_terminal_lines_are_as_long_as_on_the_widest() {
    assert_eq!(Paper { color: false, width: None }.draw(&full()), drawn(400, &full()));
}

#[test]
fn of_many_lengths_the_most_frequent_are_shown_in_their_order_and_the_rest_is_counted() {
    let sizes: Vec<Size> = (0..12).map(|n| Size { len: 1000 - n, count: u64::from(n) + 1 }).collect();
    let text = histogram(&sizes, None);
    let lens: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(lens, ["989", "990", "991", "992", "993", "994", "995", "996", "other"]);
    assert!(text.ends_with("other  10\n"), "{text}");
    assert_eq!(text.matches('█').count(), [24, 22, 20, 18, 16, 14, 12, 10].iter().sum::<usize>());
}

#[test]
fn the_time_of_day_is_reported_however_short_it_is() {
    assert_eq!(clock("2026-01-02T03:04:05.678901234Z"), "03:04:05.678");
    assert_eq!(clock("2026-01-02T03:04:05.5Z"), "03:04:05.5");
    assert_eq!(clock("2026-01-02T03:04:05Z"), "03:04:05");
}

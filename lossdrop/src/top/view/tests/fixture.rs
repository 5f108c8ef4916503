//! One machine, made up: a rule that drops by chance, a veth with a small MTU, a reader of UDP that is too slow.

use std::time::Duration;

use crate::{
    diagnose::finding::{Culprit, Finding, Fix, Flow, Object, Size},
    drops::accounting::Accounting,
    knowledge::{Assessment, Confidence, Severity, kinds},
    live::{
        detail::{CaseDetail, Packet, RowDetail},
        lens::{GroupBy, Lens, Mix, Row, RowKey, SortBy, Table},
    },
    testing::diagnosis::finding,
    top::state::{Asked, Header, Mode, Prompt, State},
};

/// 2026-01-02T03:04:05.678901234Z.
pub(crate) const TIME: i128 = 1_767_323_045_678_901_234;

/// An IPv4 packet of 131 bytes that a veth did not let through: `GET / HTTP/1.1`.
pub(crate) const REQUEST: [u8; 70] = [
    0x45, 0x00, 0x00, 0x83, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x06, 0x0a, 0x2d, 0x0a, 0x00, 0x00, 0x01, 0x0a,
    0x00, 0x00, 0x02, 0xc7, 0x5a, 0x00, 0x50, 0x3d, 0x8a, 0x11, 0x02, 0x77, 0x01, 0xfe, 0x90, 0x80, 0x18,
    0x01, 0xf6, 0x14, 0x5d, 0x00, 0x00, 0x01, 0x01, 0x08, 0x0a, 0x9a, 0x10, 0x4f, 0x22, 0x11, 0x2c, 0x80,
    0x05, b'G', b'E', b'T', b' ', b'/', b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1', b'\r', b'\n',
    b'H', b'o',
];

pub(crate) fn mix(most: &str, others: usize) -> Mix {
    Mix { most: most.to_owned(), others }
}

pub(crate) fn key(group: GroupBy, id: u64) -> RowKey {
    RowKey { group, id }
}

/// As many values as there are cells in the widest trend, and more.
fn trend(values: &[u32], scale: f64) -> Vec<f64> {
    let cycle = values.iter().copied().cycle().take(64);
    cycle.map(|value| f64::from(value) * scale).collect()
}

fn rule_row() -> Row {
    Row {
        key: key(GroupBy::Cause, 1),
        name: "netfilter rule".to_owned(),
        severity: Severity::Fault,
        cause: mix("netfilter rule", 0),
        culprit: mix("iptables filter INPUT rule 1", 0),
        reason: mix("NETFILTER_DROP", 0),
        location: mix("nft_do_chain", 0),
        netns: mix("web", 0),
        total: 181_020,
        exact: true,
        rate: 1187.4,
        rate_1m: 961.0,
        share: 0.966,
        history: trend(&[5, 6, 7, 7, 7, 8, 7, 7, 0, 3], 148.0),
    }
}

fn mtu_row() -> Row {
    Row {
        key: key(GroupBy::Cause, 2),
        name: "mtu veth-peer".to_owned(),
        severity: Severity::Fault,
        cause: mix("mtu veth-peer", 0),
        culprit: mix("eth0 (MTU 100)", 0),
        reason: mix("", 0),
        location: mix("__dev_forward_skb2", 0),
        netns: mix("host", 0),
        total: 4310,
        exact: true,
        rate: 12.0,
        rate_1m: 15.2,
        share: 0.023,
        history: trend(&[1, 2, 2, 2, 2, 2, 2, 12], 1.0),
    }
}

fn buffer_row() -> Row {
    Row {
        key: key(GroupBy::Cause, 3),
        name: "socket rcvbuf".to_owned(),
        severity: Severity::Capacity,
        cause: mix("socket rcvbuf", 0),
        culprit: mix("udp 10.0.0.2:5140 syslogd[812]", 2),
        reason: mix("SOCKET_RCVBUFF", 0),
        location: mix("__udp_enqueue_schedule_skb", 1),
        netns: mix("container:syslog-7f9c", 0),
        total: 2001,
        exact: false,
        rate: 5.3,
        rate_1m: 4.4,
        share: 0.011,
        history: trend(&[1, 1, 3, 1, 0, 0, 2, 1], 2.0),
    }
}

fn port_row() -> Row {
    Row {
        key: key(GroupBy::Cause, 4),
        name: "socket no-listener".to_owned(),
        severity: Severity::Policy,
        cause: mix("socket no-listener", 0),
        culprit: mix("", 0),
        reason: mix("NO_SOCKET", 0),
        location: mix("__udp4_lib_rcv", 0),
        netns: mix("host", 0),
        total: 3,
        exact: true,
        rate: 0.0,
        rate_1m: 0.05,
        share: 0.000_02,
        history: trend(&[0, 0, 0, 0, 0, 1, 0], 1.0),
    }
}

fn noise_row() -> Row {
    Row {
        key: key(GroupBy::Cause, 5),
        name: "housekeeping tcp-closing".to_owned(),
        severity: Severity::Benign,
        cause: mix("housekeeping tcp-closing", 0),
        culprit: mix("", 0),
        reason: mix("NO_SOCKET", 0),
        location: mix("tcp_v4_rcv", 0),
        netns: mix("web", 3),
        total: 402,
        exact: true,
        rate: 0.4,
        rate_1m: 0.4,
        share: 0.002,
        history: trend(&[1, 0, 0], 1.0),
    }
}

fn rows() -> Vec<Row> {
    vec![rule_row(), mtu_row(), buffer_row(), port_row(), noise_row()]
}

/// Grouped by cause, with the second row selected.
pub(crate) fn state() -> State {
    State {
        header: Header {
            host: "web-7".to_owned(),
            kernel: "6.18.0-12-generic".to_owned(),
            up: Duration::from_secs(192),
            unix_ns: TIME,
            interval: Duration::from_secs(1),
            rate: 1204.3,
            rate_1m: 981.0,
            history: trend(&[2, 3, 5, 7, 7, 6, 5, 7, 8, 7], 150.0),
            books: Accounting {
                seen: 187_736,
                shown: 2114,
                suppressed: 185_622,
                filtered: 0,
                lost: 0,
                ..Accounting::default()
            },
            benign: 402,
            unselected: 0,
            details_lost: 0,
            filter: "port 80".to_owned(),
        },
        table: Table { rows: rows(), shown: 187_334, benign: 402, unselected: 0 },
        lens: Lens {
            group: GroupBy::Cause,
            sort: SortBy::Rate,
            reversed: false,
            benign: false,
            selection: crate::drops::select::Selection::default(),
        },
        paused: false,
        selected: Some(key(GroupBy::Cause, 2)),
        offset: 0,
        mode: Mode::Table,
        message: None,
        order: Vec::new(),
        chosen: true,
    }
}

/// The same drops, by something else.
pub(crate) fn grouped(group: GroupBy, names: [&str; 5]) -> State {
    let mut state = state();
    state.lens.group = group;
    for (row, name) in state.table.rows.iter_mut().zip(names) {
        row.name = name.to_owned();
        row.key.group = group;
    }
    state.table.rows[0].cause.others = 2;
    state.selected = Some(key(group, 1));
    state
}

pub(crate) fn devices() -> State {
    grouped(GroupBy::Device, ["eth0", "veth0", "veth7f9c21ab", "lo", "-"])
}

pub(crate) fn flows() -> State {
    grouped(
        GroupBy::Flow,
        [
            "10.0.0.1:2711 → 10.0.0.2:80 TCP",
            "10.0.0.1:51034 → 10.0.0.2:80 TCP",
            "[2001:db8:0:1:0:ff:fe00:1]:41564 → [2001:db8:0:1:0:ff:fe00:2]:5140 UDP",
            "10.0.0.9:4500 → 10.0.0.2:4501 UDP",
            "10.0.0.2:80 → 10.0.0.1:2700 TCP",
        ],
    )
}

pub(crate) fn empty() -> State {
    let mut state = state();
    state.table = Table { rows: Vec::new(), shown: 0, benign: 402, unselected: 12 };
    state.header.books =
        Accounting { seen: 414, shown: 0, suppressed: 414, filtered: 1907, lost: 0, ..Accounting::default() };
    state.header.unselected = 12;
    [state.header.rate, state.header.rate_1m] = [0.0; 2];
    state.header.history = vec![0.0; 30];
    state.selected = None;
    state
}

pub(crate) fn asking(what: Asked, text: &str, error: Option<&str>) -> State {
    let prompt = Prompt {
        what,
        text: text.to_owned(),
        cursor: text.chars().count(),
        error: error.map(str::to_owned),
        opened: None,
    };
    State { mode: Mode::Prompt(prompt), ..state() }
}

fn flow(flow: &str, count: u64) -> Flow {
    Flow { flow: flow.to_owned(), count }
}

fn mtu_finding() -> Finding {
    let numbers = [("largest_ip", 104), ("limit", 118), ("mtu", 100), ("sender_mtu", 1500)];
    Finding {
        title: "frames over 118 bytes die at eth0 of namespace web".to_owned(),
        first_ts: Some("2026-01-02T03:04:05.678901234Z".to_owned()),
        last_ts: Some("2026-01-02T03:04:06.5Z".to_owned()),
        sizes: [(105, 1), (131, 4209), (1500, 100)].map(|(len, count)| Size { len, count }).to_vec(),
        explanation: "eth0 of namespace web has MTU 100; its peer veth0 sends with MTU 1500. The kernel lets IP packets of up to \
                      104 bytes pass (MTU + 4, room for a VLAN tag) and drops the longer ones without telling the sender: no \
                      ICMP. A SYN (40 to 60 bytes) passes, a request of 131 bytes never does: connections open, then hang."
            .to_owned(),
        evidence: vec![
            "the device at the other end of the veth has MTU 100, the packet had 131 bytes".to_owned(),
            "tx_dropped of veth0 rose by as much".to_owned(),
        ],
        fixes: vec![
            Fix::new("ip -n web link set eth0 mtu 1500", "both ends then agree"),
            Fix::new(
                "ip link set veth0 mtu 100",
                "both ends small: senders on this host then fragment, or get EMSGSIZE",
            ),
        ],
        look: vec![Fix::new("ip -n web -s link show dev eth0", "RX: dropped")],
        ..finding(&kinds::MTU_VETH_PEER, 4310, Culprit::new(Object::Device, "eth0").text("MTU 100"), numbers)
    }
}

fn rule_finding() -> Finding {
    let culprit = Culprit::new(Object::Rule, "iptables filter INPUT rule 1").text(
        "-A INPUT -p tcp -m tcp --dport 80 -m statistic --mode random --probability 0.29999999981 -j DROP",
    );
    Finding {
        assessment: Assessment {
            severity: Severity::Fault,
            ..Assessment::new(&kinds::NETFILTER_RULE, Confidence::Certain)
        },
        title: "a rule drops by chance or by rate".to_owned(),
        explanation:
            "A rule was set up that drops at random. Its counter rose by 6, and 6 packets were dropped."
                .to_owned(),
        fixes: vec![Fix::new(
            "ip netns exec web iptables -w -t filter -D INPUT -p tcp -m tcp --dport 80 -m statistic --mode random \
             --probability 0.29999999981 -j DROP",
            "Deletes iptables filter INPUT rule 1.",
        )],
        ..finding(&kinds::NETFILTER_RULE, 6, culprit, [("packets", 6)])
    }
}

fn case(row: &Row, finding: Option<Finding>) -> CaseDetail {
    CaseDetail {
        kind: row.cause.most.clone(),
        severity: row.severity,
        confidence: finding.as_ref().map_or(Confidence::Likely, |finding| finding.assessment.confidence),
        total: row.total,
        meaning: "The packet is longer than what the other end of the veth takes.".to_owned(),
        evidence: vec![
            "the kernel gave no reason, and __dev_forward_skb2 drops for the length alone".to_owned(),
        ],
        finding,
        age_s: 3,
    }
}

fn detail_of(row: Row, cases: Vec<CaseDetail>) -> RowDetail {
    RowDetail {
        row,
        cases,
        flows: vec![
            flow("10.0.0.1:51034 → 10.0.0.2:80 TCP", 1204),
            flow("[2001:db8:0:1:0:ff:fe00:1]:41564 → [2001:db8:0:1:0:ff:fe00:2]:8080 TCP", 31),
        ],
        sample: Some(Packet {
            line: "10.0.0.1:51034 → 10.0.0.2:80 TCP [PA] len 131".to_owned(),
            unix_ns: TIME,
            place: "NOT_SPECIFIED at __dev_forward_skb2".to_owned(),
            netns: "host".to_owned(),
            iface: "veth0".to_owned(),
            owner: "curl[812]".to_owned(),
            bytes: REQUEST.to_vec(),
        }),
        stack: [
            "__dev_forward_skb2+0x1a4",
            "veth_xmit+0x8c",
            "dev_hard_start_xmit+0x5f",
            "ip_finish_output2+0x2c0",
        ]
        .map(str::to_owned)
        .to_vec(),
        interval_s: 1.0,
    }
}

pub(crate) fn mtu_detail() -> RowDetail {
    let case = case(&mtu_row(), Some(mtu_finding()));
    detail_of(mtu_row(), vec![case])
}

pub(crate) fn rule_detail() -> RowDetail {
    let case = case(&rule_row(), Some(rule_finding()));
    detail_of(rule_row(), vec![case])
}

/// Two cases, and the culprit of none is known yet; no packet was reported in detail.
pub(crate) fn unexplained_detail() -> RowDetail {
    let row = devices().table.rows.swap_remove(0);
    let cases = vec![case(&mtu_row(), None), case(&buffer_row(), None)];
    RowDetail { flows: Vec::new(), sample: None, stack: Vec::new(), ..detail_of(row, cases) }
}

pub(crate) fn opened(detail: RowDetail, scroll: usize) -> State {
    State { mode: Mode::Detail { detail: Box::new(detail), scroll }, ..state() }
}

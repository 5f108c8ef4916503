//! Each refinement both ways: where the facts bear it out, and where they do not.

use lossdrop_common::{DropKey, Facts, Shape, facts::PacketFacts};

use super::*;
use crate::{
    drops::describe::Described,
    knowledge::{
        Assessment,
        Confidence::{Certain, Likely, Possible},
    },
    testing::{self, facts, ipv4},
};

const INPUT: [&str; 4] = ["nft_do_chain", "nft_do_chain_inet", "nf_hook_slow", "ip_local_deliver"];

/// The verdict on a drop that its key describes so.
fn judged(
    described: Described,
    event: &Event,
    facts: Option<&Facts>,
    frames: &[&'static str],
    packet: &[u8],
) -> Verdict {
    let verdict = Verdict::of(&described);
    let mut drop = Drop {
        described: described.into(),
        verdict,
        frames: frames.to_vec(),
        ..testing::dropped_with(event, facts, &[], packet)
    };
    judge(&mut drop);
    drop.verdict
}

fn seen_by(
    kind: &'static Kind,
    event: &Event,
    facts: Option<&Facts>,
    frames: &[&'static str],
    packet: &[u8],
) -> Verdict {
    let described = Described {
        reason: None,
        location: "somewhere".to_owned(),
        symbol: None,
        assessment: Assessment::new(kind, Likely),
        meaning: "",
    };
    judged(described, event, facts, frames, packet)
}

fn refined(kind: &'static Kind, event: &Event, facts: &Facts) -> Verdict {
    seen_by(kind, event, Some(facts), &[], &[])
}

/// A UDP datagram of so many bytes of IP in a frame of so many.
fn packet(len: u32, skb_len: u32) -> Event {
    let event = testing::packet(ipv4(17, &[]), "10.0.0.1", "10.0.0.2", Some((1, 2)));
    Event { len, skb_len, ..event }
}

/// As [`facts`], of a packet that is no aggregate.
fn single() -> Facts {
    Facts { packet: PacketFacts { gso_size: 0, gso_segs: 0, ..facts().packet }, ..facts() }
}

fn is(verdict: &Verdict, kind: &'static Kind, confidence: Confidence) {
    assert_eq!((verdict.assessment.kind, verdict.assessment.confidence), (kind, confidence), "{verdict:?}");
    assert_eq!(verdict.assessment.severity, kind.severity);
}

#[test]
fn a_frame_over_the_peer_s_limit_dies_of_its_size_and_not_one_byte_earlier() {
    let kind = &kinds::MTU_VETH_PEER;
    let over = refined(kind, &packet(105, 119), &single());
    is(&over, kind, Certain);
    assert_eq!(over.evidence, ["frame of 119 bytes > 118: MTU 100 of eth0, 14 of header, 4 of slack"]);
    let within = refined(kind, &packet(104, 118), &single());
    is(&within, kind, Possible);
    assert_eq!(within.evidence, ["yet 118 bytes are within the limit of 118"]);
}

#[test]
fn an_aggregate_is_no_frame_that_is_too_long() {
    let unknown = Facts { present: single().present | withheld::SEGMENTS, ..single() };
    for maybe in [facts(), unknown] {
        let verdict = refined(&kinds::MTU_VETH_PEER, &packet(9000, 9014), &maybe);
        is(&verdict, &kinds::MTU_VETH_PEER, Possible);
        assert!(verdict.evidence.is_empty(), "{verdict:?}");
    }
    is(&refined(&kinds::MTU_BRIDGE_PORT, &packet(9000, 9014), &facts()), &kinds::MTU_BRIDGE_PORT, Likely);
}

#[test]
fn a_peer_that_is_down_refuses_frames_of_any_size() {
    let mut facts = single();
    facts.peer.flags &= !UP;
    let verdict = refined(&kinds::MTU_VETH_PEER, &packet(40, 54), &facts);
    is(&verdict, &kinds::DEVICE_DOWN, Certain);
    assert_eq!(verdict.evidence, ["eth0, the veth's other end, is down"]);
}

#[test]
fn without_facts_nothing_is_refined() {
    for kind in [
        &kinds::MTU_VETH_PEER,
        &kinds::MTU_BRIDGE_PORT,
        &kinds::MTU_FORWARD,
        &kinds::QUEUE_QDISC_LIMIT,
        &kinds::SOCKET_RCVBUF,
        &kinds::ROUTING_REFUSED,
        &kinds::NETFILTER_DROP,
    ] {
        let verdict = seen_by(kind, &packet(9000, 9014), None, &[], &[]);
        is(&verdict, kind, Likely);
        assert!(verdict.evidence.is_empty(), "{verdict:?}");
        let nothing = Facts { present: 0, ..single() };
        assert_eq!(refined(kind, &packet(9000, 9014), &nothing), verdict);
    }
}

#[test]
fn a_bridge_port_limits_frames_by_its_own_mtu() {
    let kind = &kinds::MTU_BRIDGE_PORT;
    is(&refined(kind, &packet(1505, 1519), &single()), kind, Certain);
    is(&refined(kind, &packet(1504, 1518), &single()), kind, Likely);
    let mut facts = single();
    facts.device.flags &= !UP;
    is(&refined(kind, &packet(40, 54), &facts), &kinds::DEVICE_DOWN, Certain);
}

#[test]
fn iptables_under_a_bridge_measures_without_the_header() {
    let kind = &kinds::MTU_BRIDGE_NETFILTER;
    is(&refined(kind, &packet(1501, 1501), &single()), kind, Certain);
    is(&refined(kind, &packet(1500, 1500), &single()), kind, Likely);
    is(&refined(kind, &Event { mtu: 0, ..packet(1501, 1501) }, &single()), kind, Likely);
}

#[test]
fn what_leaves_is_measured_by_its_route_else_by_its_device() {
    let kind = &kinds::MTU_OUTPUT;
    let verdict = refined(kind, &packet(1401, 1401), &single());
    is(&verdict, kind, Certain);
    assert_eq!(verdict.evidence, ["1401 bytes > MTU 1400"]);
    is(&refined(kind, &packet(1400, 1400), &single()), kind, Likely);
    let no_route = Facts { present: single().present & !Facts::ROUTE, ..single() };
    is(&refined(kind, &packet(1401, 1401), &no_route), kind, Likely);
    is(&refined(kind, &packet(1501, 1501), &no_route), kind, Certain);
    let mut by_device = single();
    by_device.route.route_mtu = 0;
    is(&refined(kind, &packet(1500, 1500), &by_device), kind, Likely);
    is(&refined(kind, &packet(1501, 1501), &by_device), kind, Certain);
    let reported = refined(&kinds::MTU_FORWARD, &packet(1401, 1401), &single());
    assert_eq!(reported.evidence, ["1401 bytes, route MTU 1400"]);
}

#[test]
fn what_a_router_refused_without_a_reason_had_no_ttl_left_or_was_too_long() {
    let kind = &kinds::ROUTING_REFUSED;
    let forward = ["ip_forward", "ip_rcv"];
    let with_ttl = |ttl: u8| {
        let mut header = vec![0x45; 20];
        header[8] = ttl;
        header
    };
    let small = packet(60, 60);
    is(&seen_by(kind, &small, Some(&single()), &forward, &with_ttl(1)), &kinds::ROUTING_TTL, Certain);
    is(&seen_by(kind, &small, Some(&single()), &forward, &with_ttl(2)), kind, Likely);
    is(&seen_by(kind, &small, Some(&single()), &["ip_rcv"], &with_ttl(1)), kind, Likely);
    let long = packet(1401, 1401);
    is(&seen_by(kind, &long, Some(&single()), &forward, &with_ttl(64)), &kinds::MTU_FORWARD, Certain);
    is(&seen_by(kind, &packet(1400, 1400), Some(&single()), &forward, &with_ttl(64)), kind, Likely);
    is(&seen_by(kind, &long, None, &forward, &with_ttl(64)), kind, Likely);
    // IPv6 has its hop limit elsewhere.
    let key = DropKey { l3: L3::Ipv6 as u8, ..ipv4(17, &[]) };
    let six = testing::packet(key, "fd00::1", "fd00::2", Some((1, 2)));
    let mut header = vec![64; 40];
    header[7] = 0;
    is(&seen_by(kind, &six, None, &["ip6_forward"], &header), &kinds::ROUTING_TTL, Certain);
    header[7..9].copy_from_slice(&[2, 0]);
    is(&seen_by(kind, &six, None, &["ip6_forward"], &header), kind, Likely);
}

#[test]
fn the_queue_s_kind_says_whether_it_was_full_managed_on_purpose_or_not_there() {
    let kind = &kinds::QUEUE_QDISC_LIMIT;
    let of = |name: &str, limit: u32, qlen: u32| {
        let mut facts = single();
        (facts.qdisc.kind, facts.qdisc.limit, facts.qdisc.qlen) = (testing::name(name), limit, qlen);
        refined(kind, &packet(60, 74), &facts)
    };
    is(&of("noop", 0, 0), &kinds::QUEUE_DEVICE_DOWN, Certain);
    is(&of("netem", 1000, 3), &kinds::QUEUE_NETEM, Likely);
    is(&of("fq_codel", 1024, 3), &kinds::QUEUE_QDISC_AQM, Likely);
    is(&of("red", 0, 3), &kinds::QUEUE_QDISC_AQM, Likely);
    let full = of("fq_codel", 1024, 1024);
    is(&full, kind, Likely);
    assert_eq!(full.evidence, ["root fq_codel 8001: held 1024 packets, 2084 bytes"]);
    is(&of("tbf", 0, 2), kind, Likely);
}

#[test]
fn a_full_receive_buffer_is_reported_with_its_bytes() {
    let verdict = refined(&kinds::SOCKET_RCVBUF, &packet(60, 74), &single());
    assert_eq!(verdict.evidence, ["receive buffer 4609 of 4608 bytes"]);
}

fn icmp(l3: L3, (icmp_type, icmp_code): (u8, u8)) -> Event {
    let key = DropKey { l3: l3 as u8, ..ipv4(1, &[]) };
    let (src, dst) = if l3 == L3::Ipv6 { ("fd00::9", "fd00::1") } else { ("192.0.2.9", "10.0.0.1") };
    let event = testing::packet(key, src, dst, None);
    Event { icmp_type, icmp_code, flags: Event::HAS_ADDRESSES | Event::HAS_ICMP, ..event }
}

#[test]
fn a_firewall_that_eats_the_message_of_the_path_mtu_makes_a_black_hole() {
    let kind = &kinds::NETFILTER_DROP;
    let judged = |event: &Event, frames: &[&'static str]| seen_by(kind, event, None, frames, &[]);
    let eaten = judged(&icmp(L3::Ipv4, (3, 4)), &INPUT);
    is(&eaten, &kinds::NETFILTER_PMTU_BLACKHOLE, Certain);
    assert_eq!(
        eaten.evidence,
        [
            "at the hook INPUT, by the stack; nf_tables evaluated its rules",
            "the packet is a router's message that another packet was too big"
        ]
    );
    is(&judged(&icmp(L3::Ipv6, (2, 0)), &INPUT), &kinds::NETFILTER_PMTU_BLACKHOLE, Certain);
    let own = judged(&icmp(L3::Ipv4, (3, 4)), &["nf_hook_slow", "__ip_local_out", "__icmp_send"]);
    assert!(own.evidence.iter().any(|line| line.contains("this host's own")), "{own:?}");
    for other in [icmp(L3::Ipv4, (3, 3)), icmp(L3::Ipv4, (2, 0)), icmp(L3::Ipv6, (3, 4)), packet(60, 60)] {
        is(&judged(&other, &INPUT), kind, Likely);
    }
}

#[test]
fn what_was_on_its_way_to_a_program_died_of_nobody_listening() {
    let kind = &kinds::NETFILTER_DROP;
    let frames = ["nf_queue", "nf_hook_slow", "ip_local_deliver"];
    let verdict = seen_by(kind, &packet(60, 60), None, &frames, &[]);
    is(&verdict, &kinds::NETFILTER_NFQUEUE_NO_LISTENER, Likely);
    is(&seen_by(kind, &packet(60, 60), None, &frames[1..], &[]), kind, Likely);
}

#[test]
fn noise_is_never_refined() {
    let mut described = (*testing::describer().describe(&testing::noise().key)).clone();
    described.assessment.kind = &kinds::MTU_VETH_PEER;
    let key = ipv4(6, &[Shape::RST]);
    let event = Event { skb_len: 9000, ..testing::packet(key, "10.0.0.1", "10.0.0.2", None) };
    let verdict = judged(described, &event, Some(&single()), &[], &[]);
    assert_eq!(
        (verdict.assessment.kind, verdict.assessment.severity),
        (&kinds::MTU_VETH_PEER, Severity::Benign)
    );
}

#[test]
fn a_drop_whose_cause_is_not_known_is_reported_with_all_that_is_known() {
    let event = testing::fault();
    let described = Described {
        reason: Some("NOT_SPECIFIED".to_owned()),
        location: "nf_hook_slow+0x10".to_owned(),
        symbol: Some("nf_hook_slow".to_owned()),
        assessment: Assessment::new(&kinds::UNKNOWN_UNKNOWN, Possible),
        meaning: "",
    };
    let frames = ["sk_skb_reason_drop", "nf_hook_slow", "ip_local_deliver", "ip_rcv"];
    let [evidence] = &judged(described, &event, None, &frames, &[]).evidence[..] else {
        panic!("one sentence")
    };
    assert_eq!(
        evidence,
        "dropped at nf_hook_slow+0x10 with NOT_SPECIFIED, called by ip_local_deliver ← ip_rcv"
    );
}

use lossdrop_common::{Facts, Shape};

use super::*;
use crate::{
    capture::Batch,
    drops::packet,
    kernel::counters::Row,
    knowledge::{Assessment, kinds},
    testing::{
        self,
        diagnosis::{UDP, WEB, event},
    },
};

/// What becomes of these events, with these counts.
async fn collect(batch: &Batch, counters: &Counters) -> Collected {
    let (mut observer, mut collector) = (testing::observer(), Collector::default());
    observer.observe(batch, &mut collector).await;
    collector.finish(counters, &mut observer.describer)
}

fn counters(rows: &[(DropKey, u64)]) -> Counters {
    let mut counters = Counters::default();
    for (key, count) in rows {
        counters.rows.insert(*key, Row { count: *count, sent: *count, lost: 0 });
        counters.seen += count;
    }
    counters
}

#[tokio::test]
async fn drops_of_one_cause_are_one_group_with_the_kernel_s_exact_count() {
    let fault = testing::fault();
    let collected = collect(&testing::batch([&fault, &fault]), &counters(&[(fault.key, 1000)])).await;
    assert_eq!(collected.groups.len(), 1);
    let group = &collected.groups[0];
    assert_eq!((group.count, group.detailed, group.exact), (1000, 2, true));
    assert_eq!(group.verdict.assessment.kind, &kinds::NETFILTER_DROP);
    assert_eq!(group.top_flows()[0].flow, "10.99.0.1:41234 → 10.99.0.2:80 TCP");
}

#[tokio::test]
async fn noise_is_counted_by_its_kind_and_is_no_group() {
    let collected =
        collect(&testing::batch([&testing::noise()]), &counters(&[(testing::noise().key, 7)])).await;
    assert!(collected.groups.is_empty());
    assert_eq!(collected.benign.values().map(|(_, count)| *count).sum::<u64>(), 7);
}

#[tokio::test]
async fn a_key_without_details_is_a_group_all_the_same() {
    let collected = collect(&Batch::default(), &counters(&[(testing::fault().key, 5)])).await;
    assert_eq!(collected.groups.iter().map(|group| group.count).sum::<u64>(), 5);
    assert!(collected.groups[0].sample().is_none());
}

const UDP_RECEIVE: u64 = 0xffff_0000_0000_2010;

/// A datagram for a closed port.
fn closed(port: u16) -> Event {
    let event = event(WEB, UDP, port, 60);
    let key = DropKey { location: UDP_RECEIVE, reason: testing::NO_SOCKET, ..event.key };
    Event { key, ..event }
}

fn to(dst: &str, event: Event) -> Event {
    Event { dst: testing::address(dst), ..event }
}

async fn collected(events: &[Event], rows: &[(DropKey, u64)]) -> Collected {
    collect(&testing::batch(events), &counters(rows)).await
}

#[tokio::test]
async fn closed_ports_are_kept_apart_by_address_and_port() {
    let events = [closed(1), closed(2), closed(1), to("10.0.0.3", closed(1))];
    let collected = collected(&events, &[(closed(1).key, 4)]).await;
    let counts: Vec<(u64, bool)> = collected.groups.iter().map(|group| (group.count, group.exact)).collect();
    assert_eq!(counts, [(2, true), (1, true), (1, true)]);
    let address = "10.0.0.2".parse().expect("an address");
    assert_eq!(collected.groups[0].key.target, Target::Port(UDP, address, 1));
}

#[tokio::test]
async fn groups_that_share_a_key_and_were_not_all_reported_are_not_exact_and_lose_nothing() {
    let collected = collected(&[closed(1), closed(2), closed(2)], &[(closed(1).key, 1000)]).await;
    assert_eq!(collected.groups.iter().map(|group| group.count).sum::<u64>(), 1000);
    assert!(collected.groups.iter().all(|group| !group.exact));
}

#[tokio::test]
async fn beyond_the_limit_of_groups_drops_are_reported_by_their_kind_alone() {
    let ports = u16::try_from(GROUPS_AT_MOST).expect("a port") + 100;
    let events: Vec<Event> = (0..ports).map(closed).collect();
    let collected = collected(&events, &[(closed(0).key, ports.into())]).await;
    assert_eq!(collected.groups.len(), GROUPS_AT_MOST + 1);
    let last = collected.groups.last().expect("groups");
    assert_eq!((&last.key.target, last.count, last.exact), (&Target::None, 100, true));
    assert_eq!(collected.groups.iter().map(|group| group.count).sum::<u64>(), u64::from(ports));
}

/// What tells a drop of this kind apart.
fn target(kind: &'static Kind, event: &Event, facts: Option<&Facts>, frames: &[&'static str]) -> Target {
    let drop = testing::dropped_with(event, facts, &[], &[]);
    let assessment = Assessment { kind, ..drop.verdict.assessment };
    let verdict = Verdict { assessment, ..drop.verdict.clone() };
    Target::of(&Drop { verdict, frames: frames.to_vec(), ..drop })
}

#[test]
fn drops_of_netfilter_are_kept_apart_by_their_hook_and_others_by_nothing() {
    let fault = testing::fault();
    let event = testing::packet(fault.key, "10.0.0.1", "10.0.0.2", Some((1, 2)));
    let target = |kind: &'static Kind, frames: &[&'static str]| target(kind, &event, None, frames);
    let frames = ["nf_hook_slow", "ip_forward"];
    assert_eq!(target(&kinds::NETFILTER_DROP, &frames), Target::Hook("FORWARD".to_owned()));
    assert_eq!(target(&kinds::NETFILTER_DROP, &[]), Target::Hook(String::new()));
    let (src, dst) = packet::addresses(&event).expect("addresses");
    assert_eq!(target(&kinds::ROUTING_NO_ROUTE, &[]), Target::Path(src, dst));
    assert_eq!(target(&kinds::NEIGHBOUR_UNREACHABLE, &[]), Target::Destination(dst));
    assert_eq!(target(&kinds::TCP_STATE, &[]), Target::Port(6, dst, 2));
    for kind in [&kinds::QUEUE_QDISC_LIMIT, &kinds::BPF_XDP, &kinds::DEVICE_DOWN, &kinds::MTU_VETH_PEER] {
        assert_eq!(target(kind, &frames), Target::None);
    }
}

#[test]
fn mtu_drops_are_kept_apart_by_the_device_of_the_route_and_foreign_vlans_by_their_tag() {
    let event = Event { vlan_tci: 0x2007, ..closed(1) };
    let target = |kind| target(kind, &event, Some(&testing::facts()), &[]);
    assert_eq!(target(&kinds::MTU_FORWARD), Target::Number(2));
    assert_eq!(target(&kinds::DEVICE_FOREIGN_VLAN), Target::Number(7));
}

#[test]
fn a_packet_without_ports_or_addresses_has_a_target_all_the_same() {
    let fragment = Event {
        key: DropKey { shape: Shape::FRAGMENT.0, ..closed(1).key },
        flags: Event::HAS_ADDRESSES,
        ..closed(1)
    };
    let target = |event: &Event| target(&kinds::SOCKET_CLOSED_PORT, event, None, &[]);
    assert!(matches!(target(&fragment), Target::Port(UDP, _, 0)), "{:?}", target(&fragment));
    assert_eq!(target(&Event { flags: 0, ..fragment }), Target::None);
}

#[tokio::test]
async fn noise_is_reported_by_kind_and_by_key() {
    let other = Event { key: DropKey { netns: WEB, ..testing::noise().key }, ..testing::noise() };
    let rows = [(testing::noise().key, 7), (other.key, 3)];
    let collected = collected(&[testing::noise(), other], &rows).await;
    let kinds: Vec<u64> = collected.benign.values().map(|(_, count)| *count).collect();
    assert_eq!(kinds, [10]);
    assert_eq!(collected.noise.iter().map(|(.., count)| *count).sum::<u64>(), 10);
}

#[tokio::test]
async fn bytes_that_are_no_event_are_passed_over() {
    let mut batch = testing::batch([&closed(1)]);
    batch.push(b"nonsense");
    let collected = collect(&batch, &counters(&[(closed(1).key, 2)])).await;
    assert_eq!((collected.groups.len(), collected.groups[0].detailed, collected.groups[0].count), (1, 1, 2));
}

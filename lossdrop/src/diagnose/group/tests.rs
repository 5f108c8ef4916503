use super::*;
use crate::{
    knowledge::{Confidence, kinds},
    testing::diagnosis::{EDGE, UDP, WEB, event, group, sample},
};

#[test]
fn a_key_of_one_group_is_all_that_group_s() {
    assert_eq!(share_out(1000, &[3]), (vec![1000], true));
    assert_eq!(share_out(3, &[3]), (vec![3], true));
    assert_eq!(share_out(7, &[0, 2]), (vec![0, 7], true));
}

#[test]
fn drops_that_were_all_reported_in_detail_are_shared_out_exactly() {
    assert_eq!(share_out(10, &[3, 7]), (vec![3, 7], true));
}

#[test]
fn drops_that_were_not_all_reported_are_shared_out_in_proportion() {
    assert_eq!(share_out(1000, &[1, 3]), (vec![250, 750], false));
    assert_eq!(share_out(10, &[1, 1, 1]), (vec![4, 3, 3], false));
}

#[test]
fn without_details_nobody_gets_anything() {
    assert_eq!(share_out(5, &[0, 0]), (vec![0, 0], false));
    assert_eq!(share_out(0, &[]), (vec![], true));
}

proptest::proptest! {
    #[test]
    fn nothing_is_lost_or_made_up_by_sharing_out(
        detailed in proptest::collection::vec(0..1000_u64, 1..8), more in 0..100_000_u64,
    ) {
        let reported: u64 = detailed.iter().sum();
        proptest::prop_assume!(reported > 0);
        let (parts, _) = share_out(reported + more, &detailed);
        proptest::prop_assert_eq!(parts.iter().sum::<u64>(), reported + more);
        proptest::prop_assert!(parts.iter().zip(&detailed).all(|(part, own)| part >= own));
    }
}

fn sent(netns: u32, port: u16, len: u32) -> Kept {
    sample(event(netns, UDP, port, len), None)
}

#[test]
fn flows_lengths_and_samples_are_kept_up_to_their_limits_and_drops_are_all_counted() {
    let samples = (0..2000_u16).map(|n| sent(WEB, n, 100 + u32::from(n)));
    let group = group(&kinds::SOCKET_CLOSED_PORT, Target::None, samples);
    assert_eq!((group.count, group.detailed), (2000, 2000));
    assert_eq!(group.flows.len(), FLOWS_AT_MOST);
    assert_eq!(group.sizes.len(), SIZES_AT_MOST);
    assert_eq!(group.samples.len(), SAMPLES);
    assert_eq!(group.top_flows().len(), FLOWS_SHOWN);
}

#[test]
fn known_flows_and_lengths_are_counted_on_beyond_the_limit() {
    let known = sent(WEB, 0, 100);
    let samples = (0..2000_u16).map(|n| sent(WEB, n, 100 + u32::from(n))).chain([known.clone(), known]);
    let group = group(&kinds::SOCKET_CLOSED_PORT, Target::None, samples);
    assert_eq!(group.top_flows()[0].flow, "10.0.0.1:40000 → 10.0.0.2:0 UDP");
    assert_eq!(group.top_flows()[0].count, 3);
    assert_eq!(group.sizes()[0], Size { len: 100, count: 3 });
    assert_eq!(group.size_range(), Some((100, 163)));
}

#[test]
fn the_most_frequent_flows_come_first_then_by_name() {
    let samples = [3, 1, 2, 1].map(|port| sent(WEB, port, 100));
    let ports: Vec<String> = group(&kinds::SOCKET_CLOSED_PORT, Target::None, samples)
        .top_flows()
        .into_iter()
        .map(|flow| format!("{} {}", &flow.flow["10.0.0.1:40000 → 10.0.0.2:".len()..], flow.count))
        .collect();
    assert_eq!(ports, ["1 UDP 2", "2 UDP 1", "3 UDP 1"]);
}

#[test]
fn a_group_takes_in_all_of_another() {
    let at = |unix_ns: i128, sample: Kept| Kept { unix_ns, ..sample };
    let mut one = group(&kinds::SOCKET_CLOSED_PORT, Target::None, [at(50, sent(WEB, 1, 100))]);
    let two = [at(20, sent(WEB, 1, 100)), at(90, sent(EDGE, 2, 200))];
    let mut other = group(&kinds::SOCKET_CLOSED_PORT, Target::None, two);
    other.exact = false;
    other.verdict.assessment.confidence = Confidence::Possible;
    one.absorb(other);
    assert_eq!((one.count, one.detailed, one.exact), (3, 3, false));
    assert_eq!((one.first_ns, one.last_ns), (20, 90));
    assert_eq!(one.verdict.assessment.confidence, Confidence::Possible);
    assert_eq!(one.keys.values().copied().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(one.top_flows()[0].count, 2);
    assert_eq!(one.size_range(), Some((100, 200)));
    let many = group(&kinds::SOCKET_CLOSED_PORT, Target::None, (0..300).map(|n| sent(WEB, n, 100)));
    one.absorb(many);
    assert_eq!((one.samples.len(), one.count), (SAMPLES, 303));
}

#[test]
fn a_part_has_its_count_and_the_keys_of_its_samples_and_shares_it_out_among_them() {
    let samples = [sent(WEB, 1, 100), sent(WEB, 1, 100), sent(EDGE, 2, 100)];
    let whole = group(&kinds::NETFILTER_DROP, Target::Hook("INPUT".to_owned()), samples);
    let part = whole.part(300, whole.samples.iter().cloned());
    assert_eq!((part.count, part.detailed), (300, 3));
    assert_eq!(part.key, whole.key);
    let of = |netns: u32| part.keys.iter().find(|(key, _)| key.netns == netns).map(|(_, count)| *count);
    assert_eq!((of(WEB), of(EDGE)), (Some(200), Some(100)));
    let none = whole.part(5, std::iter::empty());
    assert_eq!((none.count, none.detailed, none.keys.len()), (5, 0, 0));
}

#[test]
fn a_group_without_details_has_no_lengths() {
    let group = group(&kinds::NETFILTER_DROP, Target::None, []);
    assert_eq!((group.size_range(), group.sizes().len(), group.top_flows().len()), (None, 0, 0));
    assert!(group.addresses().is_none());
}

#[test]
fn a_flow_has_both_its_ends_in_either_version_of_ip_and_no_flags() {
    use crate::testing::{ipv4, packet};
    use lossdrop_common::{DropKey, L3, parse::IPPROTO_TCP};

    let six = |l4| DropKey { l3: L3::Ipv6 as u8, ..ipv4(l4, &[]) };
    for (key, src, dst, words) in [
        (ipv4(IPPROTO_TCP, &[]), "10.0.0.1", "10.0.0.2", "10.0.0.1:7 → 10.0.0.2:9 TCP"),
        (six(IPPROTO_TCP), "fd00::1", "fd00::2", "[fd00::1]:7 → [fd00::2]:9 TCP"),
        (six(UDP), "fd00::1", "fd00::2", "[fd00::1]:7 → [fd00::2]:9 UDP"),
    ] {
        let event = Event { tcp_flags: 2, ..packet(key, src, dst, Some((7, 9))) };
        assert_eq!(flow(&event), words);
    }
}

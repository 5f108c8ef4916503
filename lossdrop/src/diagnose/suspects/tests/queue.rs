use super::*;
use crate::machine::{Counters, Limit, NetState, Qdisc};

fn qdisc(kind: &str, handle: &str, parent: &str, drops: u32) -> Qdisc {
    Qdisc {
        index: 2,
        kind: kind.to_owned(),
        handle: handle.to_owned(),
        parent: parent.to_owned(),
        counters: Counters { drops, qlen: 3, backlog: 3000, ..Counters::default() },
        ..Qdisc::default()
    }
}

fn tbf(drops: u32, burst: u64) -> Qdisc {
    Qdisc {
        limit: Some(Limit::Bytes(3000)),
        rate: Some(1_000_000),
        burst: Some(burst),
        ..qdisc("tbf", "8001:", "root", drops)
    }
}

/// These queues on `veth0`, of which nothing had been dropped before.
fn machine_with(qdiscs: &[Qdisc]) -> Context {
    let mut context = context();
    let before = qdiscs.iter().cloned().map(|qdisc| Qdisc { counters: Counters::default(), ..qdisc });
    let of = |qdiscs: Vec<Qdisc>| machine([NetState { qdiscs, ..state(WEB, [link(2, "veth0", 1500)]) }]);
    context.before = of(before.collect());
    context.after = of(qdiscs.to_vec());
    context
}

fn reported_of(kind: &'static Kind, qdiscs: &[Qdisc]) -> String {
    reported(group(kind, Target::None, datagrams(WEB, [1000, 1400])), &machine_with(qdiscs))
}

#[test]
fn a_full_token_bucket_is_reported_with_its_rate_and_can_be_made_larger() {
    insta::assert_snapshot!(reported_of(&kinds::QUEUE_QDISC_LIMIT, &[tbf(2, 1600)]));
}

#[test]
fn a_frame_that_is_larger_than_the_bucket_never_passes() {
    insta::assert_snapshot!(reported_of(&kinds::QUEUE_QDISC_LIMIT, &[tbf(2, 1000)]));
    // One of both would fit.
    let some = reported_of(&kinds::QUEUE_QDISC_LIMIT, &[tbf(2, 1200)]);
    assert!(some.starts_with("2 × queue/qdisc-limit"), "{some}");
}

#[test]
fn the_leaf_that_dropped_is_the_culprit_not_the_root_that_repeats_it() {
    let leaf = Qdisc { limit: Some(Limit::Packets(10)), ..qdisc("pfifo", "10:", "1:10", 2) };
    let quiet = qdisc("pfifo", "20:", "1:20", 0);
    let reported = reported_of(&kinds::QUEUE_QDISC_LIMIT, &[qdisc("htb", "1:", "root", 2), leaf, quiet]);
    assert!(reported.contains("culprit: qdisc | pfifo 10: on veth0 | limit 10 packets"), "{reported}");
    let change = "fix tc -n web qdisc change dev veth0 parent 1:10 handle 10: pfifo limit 1000";
    assert!(reported.contains(change), "{reported}");
}

#[test]
fn a_queue_that_the_kernel_made_by_itself_is_replaced() {
    let hidden = Qdisc { limit: Some(Limit::Packets(10)), ..qdisc("pfifo", "0:", "1:10", 2) };
    let reported = reported_of(&kinds::QUEUE_QDISC_LIMIT, &[qdisc("htb", "1:", "root", 2), hidden]);
    assert!(
        reported.contains("fix tc -n web qdisc replace dev veth0 parent 1:10 pfifo limit 1000"),
        "{reported}"
    );
    assert!(reported.contains("culprit: qdisc | pfifo on veth0"), "{reported}");
    let of_tbf = qdisc("bfifo", "0:", "8001:", 2);
    let reported = reported_of(&kinds::QUEUE_QDISC_LIMIT, &[tbf(2, 1600), of_tbf]);
    assert!(reported.contains("culprit: qdisc | tbf 8001: on veth0"), "{reported}");
}

#[test]
fn the_queue_of_the_device_itself_is_made_longer_with_the_device() {
    let fifo = Qdisc { limit: Some(Limit::Packets(100)), ..qdisc("pfifo_fast", "0:", "root", 2) };
    let reported = reported_of(&kinds::QUEUE_QDISC_LIMIT, &[fifo]);
    assert!(reported.contains("fix ip -n web link set veth0 txqueuelen 1000"), "{reported}");
}

#[test]
fn netem_drops_on_purpose_only_if_it_is_reported_to() {
    let netem = Qdisc { limit: Some(Limit::Packets(1000)), ..qdisc("netem", "1:", "root", 2) };
    insta::assert_snapshot!(reported_of(&kinds::QUEUE_NETEM, &[Qdisc { loses: true, ..netem.clone() }]));
    let full = reported_of(&kinds::QUEUE_NETEM, &[netem]);
    assert!(full.starts_with("2 × queue/qdisc-limit capacity"), "{full}");
}

#[test]
fn fewer_drops_than_were_traced_make_it_less_sure() {
    assert!(
        reported_of(&kinds::QUEUE_QDISC_AQM, &[tbf(2, 1600)])
            .starts_with("2 × queue/qdisc-aqm capacity certain")
    );
    assert!(
        reported_of(&kinds::QUEUE_QDISC_AQM, &[tbf(1, 1600)])
            .starts_with("2 × queue/qdisc-aqm capacity likely")
    );
}

#[test]
fn a_queue_that_is_gone_is_known_by_what_was_reported_with_the_drops() {
    let one = sample(event(WEB, UDP, 9, 1000), Some(facts()));
    let reported = reported(group(&kinds::QUEUE_QDISC_LIMIT, Target::None, [one]), &context());
    assert!(reported.contains("culprit: qdisc | tbf 8001: on veth0"), "{reported}");
}

#[test]
fn a_cpu_s_input_queue_is_limited_for_all_and_only_the_host_changes_it() {
    let mut context = context();
    context.after.sysctls.insert("net.core.netdev_max_backlog".to_owned(), "2000".to_owned());
    insta::assert_snapshot!(reported(
        group(&kinds::QUEUE_CPU_BACKLOG, Target::None, datagrams(WEB, [60, 70])),
        &context
    ));
}

#[test]
fn a_tun_device_has_a_ring_of_its_own_length() {
    let mut context = context();
    let tap = crate::machine::Link { txqlen: 500, ..link(2, "veth0", 1500) };
    context.after = machine([state(WEB, [tap])]);
    insta::assert_snapshot!(reported(
        group(&kinds::QUEUE_TUN_RING, Target::None, datagrams(WEB, [60, 70])),
        &context
    ));
}

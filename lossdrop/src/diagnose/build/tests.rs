use lossdrop_common::{DropKey, Event};
use proptest::prelude::*;

use super::*;
use crate::{
    diagnose::{
        collect::Collector,
        finding::{Fix, Object},
        group::Target,
    },
    kernel::counters::Row,
    knowledge::{Confidence, kinds},
    testing::{
        self,
        diagnosis::{EDGE, UDP, WEB, block_on, event, finding as found, group, key, namespaces, sample},
        fault, noise,
    },
};

/// `__udp4_lib_rcv` of the describer.
const UDP_RECEIVE: u64 = 0xffff_0000_0000_2010;

fn closed(netns: u32, port: u16) -> Event {
    let event = event(netns, UDP, port, 60);
    Event { key: DropKey { location: UDP_RECEIVE, reason: testing::NO_SOCKET, ..event.key }, ..event }
}

/// What the kernel counts where it tells of every event.
fn counted<'a>(events: impl IntoIterator<Item = &'a Event>) -> Counters {
    let mut counters = Counters::default();
    for event in events {
        counters.seen += 1;
        *counters.rows.entry(event.key).or_default() += Row { count: 1, sent: 1, lost: 0 };
    }
    counters
}

/// A diagnosis of these events and counters, on a machine of which nothing else is known.
fn diagnosed(events: &[Event], counters: Counters) -> Diagnosis {
    within(Scope::default(), events, counters)
}

/// As [`diagnosed`], of what was asked for.
fn within(scope: Scope, events: &[Event], counters: Counters) -> Diagnosis {
    let (mut observer, mut collector) = (testing::observer(), Collector::default());
    block_on(observer.observe(&testing::batch(events), &mut collector));
    diagnosis(Evidence {
        namespaces: namespaces(),
        before: Survey::default(),
        after: Survey::default(),
        collected: collector.finish(&counters, &mut observer.describer),
        counters,
        elapsed: Duration::from_secs(1),
        scope,
        kernel: "6.18".to_owned(),
        host: "box".to_owned(),
    })
}

fn name(finding: &Finding) -> &str {
    finding.culprit.as_ref().map_or("", |culprit| culprit.name.as_str())
}

/// A scan of so many ports: one datagram to the first, two to the second, and so on.
fn scan(netns: u32, ports: u16) -> Vec<Event> {
    (1..=ports).flat_map(|port| (0..port).map(move |_| closed(netns, port))).collect()
}

#[test]
fn a_scan_of_fifty_closed_ports_is_seven_findings_and_one_of_all_others() {
    let events = scan(WEB, 50);
    let diagnosis = diagnosed(&events, counted(&events));
    let counts: Vec<u64> = diagnosis.findings.iter().map(|finding| finding.count).collect();
    let others = (1..=43).sum::<u64>();
    assert_eq!(counts, [others, 50, 49, 48, 47, 46, 45, 44]);
    assert_eq!(diagnosis.findings.iter().map(|finding| finding.count).sum::<u64>(), 1275);
    let others = diagnosis.findings[0].culprit.as_ref().expect("a culprit");
    assert_eq!((others.r#type, others.name.as_str()), (Object::Port, "43 others"));
    assert!(others.text.starts_with("udp 10.0.0.2:") && others.text.ends_with(", …"), "{}", others.text);
    assert_eq!(others.text.matches("udp 10.0.0.2:").count(), 5);
    assert_eq!(name(&diagnosis.findings[1]), "udp 10.0.0.2:50");
    assert!(
        diagnosis.findings.iter().all(|finding| finding.exact && finding.netns.as_deref() == Some("web"))
    );
    assert_eq!(diagnosis.accounting, Accounting { seen: 1275, shown: 1275, ..Accounting::default() });
}

#[test]
fn eight_of_a_kind_are_reported_one_by_one_and_each_namespace_has_its_own_eight() {
    let events: Vec<Event> = [scan(WEB, 8), scan(EDGE, 8)].concat();
    let diagnosis = diagnosed(&events, counted(&events));
    assert_eq!(diagnosis.findings.len(), 16);
    assert!(diagnosis.findings.iter().all(|finding| name(finding).starts_with("udp 10.0.0.2:")));
}

#[test]
fn drops_of_one_culprit_are_one_finding_wherever_the_packets_were() {
    let of_device = |ifindex: u32| {
        let event = closed(WEB, 9);
        Event { key: DropKey { ifindex, ..event.key }, ..event }
    };
    let events = [of_device(2), of_device(3), of_device(3)];
    let diagnosis = diagnosed(&events, counted(&events));
    assert_eq!(diagnosis.findings.len(), 1);
    assert_eq!(diagnosis.findings[0].count, 3);
}

#[test]
fn the_worst_comes_first_then_the_sure_then_the_frequent() {
    let of = |kind: &'static Kind, severity: Severity, confidence: Confidence, count: u64, name: &str| {
        let assessment = Assessment { kind, severity, confidence };
        Finding { assessment, ..found(kind, count, Culprit::new(Object::Rule, name), []) }
    };
    use Confidence::{Certain, Likely, Possible};
    use Severity::{Capacity, Fault, Policy};
    let port = &kinds::SOCKET_CLOSED_PORT;
    let rule = &kinds::NETFILTER_RULE;
    let sorted = [
        of(port, Fault, Certain, 9, "frequent"),
        of(port, Fault, Certain, 3, "a name"),
        of(port, Fault, Certain, 3, "b name"),
        of(port, Fault, Likely, 900, "less sure"),
        of(port, Fault, Possible, 900, "least sure"),
        of(rule, Fault, Certain, 1000, "a fault by chance only"),
        of(&kinds::SOCKET_RCVBUF, Capacity, Certain, 1000, "a limit"),
        of(rule, Policy, Certain, 1000, "asked for"),
    ];
    let mut mixed: Vec<Finding> = sorted.iter().rev().cloned().collect();
    mixed.sort_by_cached_key(rank);
    let names = |findings: &[Finding]| findings.iter().map(|one| name(one).to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&mixed), names(&sorted));
}

#[test]
fn the_worst_finding_decides_whether_all_is_well() {
    let mut diagnosis = diagnosed(&[], Counters::default());
    assert!(is_healthy(&diagnosis));
    assert_eq!((diagnosis.findings.len(), diagnosis.severity()), (0, Severity::Benign));
    let of = |kind: &'static Kind| found(kind, 1, Culprit::new(Object::Rule, "it"), []);
    for (kind, healthy) in
        [(&kinds::NETFILTER_RULE, true), (&kinds::SOCKET_RCVBUF, false), (&kinds::MTU_VETH_PEER, false)]
    {
        diagnosis.findings = vec![of(&kinds::NETFILTER_POLICY), of(kind)];
        assert_eq!(is_healthy(&diagnosis), healthy, "{kind}");
    }
}

#[test]
fn noise_is_reported_by_kind_the_most_frequent_first_and_is_no_finding() {
    let mut counters = counted(&[noise()]);
    counters.rows.insert(noise().key, Row { count: 70, sent: 1, lost: 0 });
    counters.seen = 70;
    let diagnosis = diagnosed(&[noise()], counters);
    assert!(diagnosis.findings.is_empty());
    assert_eq!(diagnosis.benign.iter().map(|noise| noise.count).collect::<Vec<_>>(), [70]);
    assert_eq!(diagnosis.accounting.suppressed, 70);
}

#[test]
fn what_was_lost_is_reported_in_the_notes_and_in_the_books() {
    let mut counters = counted(&[fault()]);
    counters.rows.insert(fault().key, Row { count: 100, sent: 1, lost: 99 });
    counters.seen = 100;
    counters.lost = 99;
    counters.other = Row { count: 5, ..Row::default() };
    counters.seen += 5;
    counters.filtered = 3;
    counters.seen += 3;
    counters.add_missed(2);
    let diagnosis = diagnosed(&[fault()], counters);
    assert_eq!(
        diagnosis.accounting,
        Accounting { seen: 110, shown: 100, suppressed: 5, filtered: 3, lost: 2, ..Accounting::default() }
    );
    let [keys, details] = &diagnosis.notes[..] else { panic!("{:?}", diagnosis.notes) };
    assert!(keys.starts_with("5 drops are of kinds") && keys.contains("--keys"), "{keys}");
    assert!(
        details.contains("ring buffer (--buffer makes it larger): 99;") && details.contains("--buffer"),
        "{details}"
    );
    assert_eq!(diagnosis.findings[0].count, 100);
}

#[test]
fn what_was_not_selected_is_counted_and_reported_in_a_note() {
    let events = [fault(), closed(WEB, 9), closed(WEB, 9)];
    let cause = vec!["socket".parse().expect("known")];
    let selection = Selection { cause, ..Selection::default() };
    let diagnosis = within(Scope { selection, ..Scope::default() }, &events, counted(&events));
    assert_eq!(diagnosis.findings.iter().map(name).collect::<Vec<_>>(), ["udp 10.0.0.2:9"]);
    assert_eq!(
        diagnosis.accounting,
        Accounting { seen: 3, shown: 2, suppressed: 1, unselected: 1, ..Accounting::default() }
    );
    let [note] = &diagnosis.notes[..] else { panic!("{:?}", diagnosis.notes) };
    assert!(note.starts_with("drops of other causes than cause socket: 1,"), "{note}");
}

#[test]
fn notes_of_both_surveys_are_reported_once() {
    let survey = |note: &str| Survey { notes: [note.to_owned()].into(), ..Survey::default() };
    let evidence = |before: Survey, after: Survey| Evidence {
        namespaces: namespaces(),
        before,
        after,
        collected: Collector::default().finish(&Counters::default(), &mut testing::describer()),
        counters: Counters::default(),
        elapsed: Duration::ZERO,
        scope: Scope::default(),
        kernel: String::new(),
        host: String::new(),
    };
    let notes = |before, after| diagnosis(evidence(survey(before), survey(after))).notes;
    assert_eq!(notes("nft is not installed", "nft is not installed"), ["nft is not installed"]);
    assert_eq!(notes("b", "a"), ["a", "b"]);
}

#[test]
fn a_finding_without_details_has_no_times() {
    let diagnosis = diagnosed(&[], counted(&[fault()]));
    let [finding] = &diagnosis.findings[..] else { panic!("{:?}", diagnosis.findings) };
    assert_eq!((finding.count, &finding.first_ts, &finding.last_ts), (1, &None, &None));
    let reported = diagnosed(&[fault()], counted(&[fault()]));
    assert!(reported.findings[0].first_ts.as_ref().is_some_and(|time| time.ends_with('Z')));
}

#[test]
fn a_suspect_s_device_is_where_its_counters_are_looked_for() {
    let at = group(&kinds::DEVICE_DRIVER, Target::None, [sample(event(WEB, UDP, 9, 60), None)]);
    let context = testing::diagnosis::context();
    let (group, suspect) = suspects(at, &context).remove(0);
    let reported = parts(&group, &suspect);
    let [part] = &reported[..] else { panic!("{reported:?}") };
    assert_eq!((part.device.as_str(), part.netns, part.count), ("veth0", WEB, 1));
    assert_eq!(part.key, key(WEB, UDP));
    let reported = finding(&group, &suspect, &context);
    assert_eq!(reported.fixes, Vec::<Fix>::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_books_balance_and_every_counted_drop_is_a_finding_or_noise(
        rows in proptest::collection::vec((0..4_u64, 1..9_u32, 1..500_u64, 0..3_usize), 0..20),
        (filtered, other, missed) in (0..1000_u64, 0..1000_u64, 0..1000_u64),
    ) {
        let mut counters = Counters { seen: filtered + other, filtered, ..Counters::default() };
        counters.other.count = other;
        let mut events = Vec::new();
        for (what, netns, count, details) in rows {
            let event = match what {
                0 => fault(),
                1 => noise(),
                2 => closed(WEB, 9),
                _ => event(WEB, UDP, 9, 60),
            };
            let event = Event { key: DropKey { netns, ..event.key }, ..event };
            if counters.rows.contains_key(&event.key) {
                continue;
            }
            let sent = count.min(details as u64);
            counters.rows.insert(event.key, Row { count, sent, lost: 0 });
            counters.seen += count;
            events.extend((0..sent).map(|_| event));
        }
        counters.add_missed(missed);
        let diagnosis = diagnosed(&events, counters.clone());
        let books = diagnosis.accounting;
        prop_assert_eq!(books.seen, books.shown + books.suppressed + books.filtered + books.lost);
        prop_assert_eq!((books.seen, books.filtered, books.lost), (counters.seen, filtered, missed));
        let found: u64 = diagnosis.findings.iter().map(|finding| finding.count).sum();
        let noise: u64 = diagnosis.benign.iter().map(|noise| noise.count).sum();
        prop_assert_eq!((found, noise + other), (books.shown, books.suppressed));
    }
}

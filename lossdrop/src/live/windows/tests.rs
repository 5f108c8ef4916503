use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::{
    diagnose::group::{GroupKey, Target},
    knowledge::kinds,
    testing::{
        self,
        diagnosis::{block_on, namespaces},
        live::{counters, datagram, judged},
    },
};

/// No process is in these namespaces.
const NETNS: u32 = 42;

fn survey(_: &BTreeSet<u32>, known: Namespaces) -> (Namespaces, Survey) {
    (known.or(namespaces()), Survey::default())
}

fn broken(_: &BTreeSet<u32>, _: Namespaces) -> (Namespaces, Survey) {
    panic!("this survey fails, as the test wants it");
}

fn windows() -> Windows {
    Windows::new(survey, BTreeSet::new(), Namespaces::default())
}

fn drop_at(port: u16) -> Drop<'static> {
    judged(&kinds::SOCKET_CLOSED_PORT, datagram(NETNS, 0, port))
}

fn counted(count: u64) -> Counters {
    counters([(datagram(NETNS, 0, 1).key, count)])
}

/// Waits for what is under way, and goes on with it.
async fn step(windows: &mut Windows, counters: &Counters) -> Progress {
    let progress = windows.progress().await.expect("no panic");
    windows.advance(&progress, counters, &mut testing::describer());
    progress
}

/// As if so much time had gone by.
fn later(windows: &mut Windows, time: Duration) {
    let ago = |then: Instant| then.checked_sub(time).expect("the machine is up for a while");
    (windows.last, windows.began) = (ago(windows.last), ago(windows.began));
}

fn groups(progress: &Progress) -> Vec<(GroupKey, u64)> {
    let Progress::Named(named) = progress else { panic!("{progress:?}") };
    let mut parts: Vec<(GroupKey, u64)> = named.iter().flat_map(|named| named.parts.clone()).collect();
    parts.sort();
    parts
}

fn ports(progress: &Progress) -> Vec<(u16, u64)> {
    let port = |(key, count): (GroupKey, u64)| match key.target {
        Target::Port(_, _, port) => (port, count),
        other => panic!("{other:?}"),
    };
    groups(progress).into_iter().map(port).collect()
}

#[test]
fn the_first_survey_is_at_once_and_a_search_follows_the_second() {
    block_on(async {
        let mut windows = windows();
        assert!(!windows.is_idle());
        windows.read(&drop_at(9));
        assert!(matches!(step(&mut windows, &counted(1)).await, Progress::Surveyed(_)));
        assert!(windows.is_idle(), "one survey finds no culprit");
        windows.ask();
        later(&mut windows, PAUSE);
        windows.begin(&counted(3), false);
        let Progress::Surveyed(found) = step(&mut windows, &counted(3)).await else { panic!("a look first") };
        assert_eq!(found.0.get(NETNS).map(|netns| netns.name.as_str()), Some("web"));
        assert!(!windows.is_idle(), "the search is under way");
        assert_eq!(ports(&step(&mut windows, &counted(3)).await), [(9, 3)]);
        assert!(windows.is_idle());
    });
}

#[test]
fn drops_while_the_machine_is_surveyed_at_belong_to_both_windows() {
    block_on(async {
        let mut windows = windows();
        windows.read(&drop_at(1));
        step(&mut windows, &counted(1)).await;
        windows.ask();
        later(&mut windows, PAUSE);
        windows.begin(&counted(1), false);
        windows.read(&drop_at(2));
        step(&mut windows, &counted(2)).await;
        windows.read(&drop_at(3));
        assert_eq!(ports(&step(&mut windows, &counted(3)).await), [(1, 1), (2, 1)]);
        windows.ask();
        later(&mut windows, PAUSE);
        windows.begin(&counted(3), false);
        step(&mut windows, &counted(3)).await;
        assert_eq!(ports(&step(&mut windows, &counted(3)).await), [(2, 1), (3, 1)]);
    });
}

#[test]
fn a_survey_is_due_when_it_is_asked_for_or_somebody_has_no_name_or_it_was_long_ago() {
    block_on(async {
        let mut windows = windows();
        step(&mut windows, &counted(1)).await;
        windows.counted = counted(1);
        windows.has_searched = true;
        assert!(!windows.is_due(&counted(1), true), "no two looks in a second");
        later(&mut windows, PAUSE);
        assert!(windows.is_due(&counted(1), true));
        assert!(!windows.is_due(&counted(1), false));
        later(&mut windows, AGAIN);
        assert!(windows.is_due(&counted(2), false), "there were drops since");
        assert!(!windows.is_due(&counted(1), false), "there were none");
        windows.ask();
        assert!(windows.is_due(&counted(1), false));
    });
}

#[test]
fn surveys_take_no_more_than_their_part_of_the_time_unless_the_user_asks() {
    block_on(async {
        let mut windows = windows();
        step(&mut windows, &counted(1)).await;
        later(&mut windows, AGAIN);
        (windows.took, windows.spent) = (3 * CREDIT, 3 * CREDIT);
        assert!(windows.is_due(&counted(2), true), "the first search costs what it costs");
        windows.has_searched = true;
        assert!(!windows.is_due(&counted(2), true) && !windows.is_due(&counted(2), false));
        later(&mut windows, 5 * CREDIT * DUTY_UNNAMED);
        assert!(windows.is_due(&counted(2), true) && !windows.is_due(&counted(2), false));
        later(&mut windows, 5 * CREDIT * DUTY);
        assert!(windows.is_due(&counted(2), false));
        (windows.took, windows.spent) = (900 * CREDIT, 900 * CREDIT);
        windows.ask();
        assert!(windows.is_due(&counted(2), false));
    });
}

#[test]
fn a_search_is_paid_for_like_a_survey() {
    block_on(async {
        let mut windows = windows();
        step(&mut windows, &counted(1)).await;
        windows.ask();
        later(&mut windows, PAUSE);
        windows.begin(&counted(1), false);
        step(&mut windows, &counted(1)).await;
        let before = windows.spent;
        // As if it had taken all the time that this process has had.
        windows.used = Duration::ZERO;
        let all = cpu_time();
        step(&mut windows, &counted(1)).await;
        assert!(all > Duration::ZERO);
        assert!(windows.spent >= before + all && windows.took >= all, "{windows:?}");
    });
}

#[test]
fn a_survey_that_fails_is_given_up_and_another_follows_but_not_at_once_and_not_for_ever() {
    block_on(async {
        let mut windows = Windows::new(broken, BTreeSet::new(), Namespaces::default());
        windows.read(&drop_at(9));
        assert!(windows.progress().await.is_err());
        windows.give_up();
        windows.begin(&counted(1), true);
        assert!(windows.running.is_none(), "no two looks in a second");
        later(&mut windows, PAUSE);
        windows.begin(&counted(1), true);
        assert!(windows.running.is_some());
        assert!(windows.progress().await.is_err());
        windows.give_up();
        windows.spent = 2 * CREDIT;
        later(&mut windows, PAUSE);
        windows.begin(&counted(1), true);
        assert!(windows.running.is_none(), "those that fail cost as much");
        windows.surveyor = survey;
        windows.ask();
        windows.begin(&counted(1), true);
        assert!(matches!(step(&mut windows, &counted(1)).await, Progress::Surveyed(_)));
        // What came meanwhile is not lost.
        windows.ask();
        later(&mut windows, PAUSE);
        windows.begin(&counted(1), false);
        step(&mut windows, &counted(1)).await;
        assert_eq!(ports(&step(&mut windows, &counted(1)).await), [(9, 1)]);
    });
}

#[test]
fn a_second_survey_that_fails_leaves_the_drops_to_the_next() {
    block_on(async {
        let mut windows = windows();
        windows.read(&drop_at(1));
        step(&mut windows, &counted(1)).await;
        windows.surveyor = broken;
        windows.ask();
        later(&mut windows, PAUSE);
        windows.begin(&counted(1), false);
        windows.read(&drop_at(2));
        assert!(windows.progress().await.is_err());
        windows.give_up();
        windows.surveyor = survey;
        windows.ask();
        later(&mut windows, PAUSE);
        windows.begin(&counted(2), false);
        step(&mut windows, &counted(2)).await;
        assert_eq!(ports(&step(&mut windows, &counted(2)).await), [(1, 1), (2, 1)]);
    });
}

#[test]
fn after_a_reset_only_what_comes_then_is_searched_for() {
    block_on(async {
        let mut windows = windows();
        windows.read(&drop_at(1));
        step(&mut windows, &counted(1)).await;
        windows.reset([NETNS].into());
        assert_eq!((windows.wanted(), windows.is_idle()), (&[NETNS].into(), false));
        windows.read(&drop_at(2));
        step(&mut windows, &counted(1)).await;
        windows.ask();
        later(&mut windows, PAUSE);
        windows.begin(&counted(1), false);
        step(&mut windows, &counted(1)).await;
        assert_eq!(ports(&step(&mut windows, &counted(1)).await), [(2, 1)]);
    });
}

#[test]
fn however_often_it_is_reset_one_survey_is_under_way_at_a_time() {
    static LOOKS: AtomicU32 = AtomicU32::new(0);
    fn counts(_: &BTreeSet<u32>, known: Namespaces) -> (Namespaces, Survey) {
        LOOKS.fetch_add(1, Ordering::SeqCst);
        (known, Survey::default())
    }
    block_on(async {
        let mut windows = Windows::new(counts, BTreeSet::new(), Namespaces::default());
        for _ in 0..20 {
            windows.reset(BTreeSet::new());
        }
        assert!(windows.is_stale());
        // That one began before the last reset: it is only waited for.
        step(&mut windows, &counted(0)).await;
        assert!(windows.before.is_none() && !windows.is_stale());
        step(&mut windows, &counted(0)).await;
        assert!(windows.before.is_some() && windows.is_idle());
        assert_eq!(LOOKS.load(Ordering::SeqCst), 2);
    });
}

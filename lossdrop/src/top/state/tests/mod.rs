mod prompts;
mod random;

use std::collections::HashMap;

use lossdrop_common::DropKey;

use super::*;
use crate::{
    diagnose::{
        finding::{Culprit, Fix, Object},
        group::{GroupKey, Target},
    },
    knowledge::{Kind, kinds},
    testing::{
        self,
        diagnosis::WEB,
        live::{SECOND, counters, datagram, judged, lens, named},
    },
    top::keys::BINDINGS,
};

const PAGE: usize = 4;
const EXTENT: Extent = Extent { page: PAGE, lines: 10 };

/// Drops so far at ports of a namespace, each of its own key.
#[derive(Debug)]
struct Drops {
    model: Model,
    counts: HashMap<DropKey, u64>,
}

impl Drops {
    fn new() -> Self {
        Self { model: Model::new(60), counts: HashMap::new() }
    }

    /// A second, with these drops of these kinds at these ports.
    fn second(&mut self, new: &[(&'static Kind, u16, u64)]) {
        for (kind, port, count) in new {
            let event = datagram(WEB, u64::from(*port) * 8, *port);
            self.model.add(&judged(kind, event), target(*port));
            *self.counts.entry(event.key).or_default() += count;
        }
        let counted = counters(self.counts.iter().map(|(key, count)| (*key, *count)));
        self.model.refresh(&counted, SECOND, &mut testing::describer());
    }

    fn name(&mut self, kind: &'static Kind, port: u16, name: &str) {
        let key = datagram(WEB, u64::from(port) * 8, port).key;
        let group = GroupKey::new(kind, &key, target(port));
        let mut named = named(kind, WEB, Culprit::new(Object::Port, name), [(group, 1)]);
        let fix = Fix::new(format!("fix {name}"), "it helps");
        named.finding.iter_mut().for_each(|finding| finding.fixes.push(fix.clone()));
        self.model.learn(vec![named], SECOND);
    }
}

fn target(port: u16) -> Target {
    Target::Port(testing::diagnosis::UDP, "10.0.0.2".parse().expect("an address"), port)
}

const FAULT: &Kind = &kinds::SOCKET_CLOSED_PORT;
const POLICY: &Kind = &kinds::NETFILTER_RULE;

fn empty() -> State {
    State::new(lens(GroupBy::Cause), Header { filter: "none".to_owned(), ..Header::default() })
}

/// Six faults, by their rates: at the ports 1 to 6.
fn six() -> (State, Drops) {
    let mut drops = Drops::new();
    drops.second(&[1, 2, 3, 4, 5, 6].map(|port| (FAULT, port, 700 - 100 * u64::from(port))));
    let mut state = empty();
    state.show(&drops.model);
    (state, drops)
}

fn culprits(state: &State) -> Vec<String> {
    let port = |row: &Row| row.culprit.most.rsplit(':').next().unwrap_or_default().to_owned();
    state.table.rows.iter().map(port).collect()
}

fn selected(state: &State) -> String {
    state.selected_row().expect("a row is selected").culprit.most.clone()
}

fn do_all(state: &mut State, drops: &Drops, actions: &[Action]) {
    for action in actions {
        state.act(*action, &drops.model, EXTENT);
    }
}

#[test]
fn an_empty_table_has_rates_that_are_zero_and_not_less() {
    let mut state = empty();
    state.show(&Model::new(60));
    assert!(state.header.rate.is_sign_positive() && state.header.rate_1m.is_sign_positive());
    assert_eq!((state.selected, state.selected_index()), (None, None));
    for binding in BINDINGS {
        let mut state = empty();
        state.act(binding.action, &Model::new(60), Extent { page: 0, lines: 0 });
    }
}

#[test]
fn keys_move_the_selection_by_a_row_a_page_or_to_the_ends() {
    let (mut state, drops) = six();
    for (action, index, offset) in [
        (Action::Down, 1, 0),
        (Action::PageDown, 5, 2),
        (Action::Down, 5, 2),
        (Action::Up, 4, 2),
        (Action::PageUp, 0, 0),
        (Action::Up, 0, 0),
        (Action::Last, 5, 2),
        (Action::First, 0, 0),
    ] {
        assert!(state.act(action, &drops.model, EXTENT).is_none());
        assert_eq!((state.selected_index(), state.offset), (Some(index), offset), "{action:?}");
    }
}

#[test]
fn a_page_scrolls_and_ends_with_its_last_line() {
    let (mut state, drops) = six();
    for open in [Action::Open, Action::Help] {
        state.act(open, &drops.model, EXTENT);
        for (action, line) in [
            (Action::Down, 1),
            (Action::PageDown, 5),
            (Action::PageDown, 6),
            (Action::Up, 5),
            (Action::PageUp, 1),
            (Action::Last, 6),
            (Action::First, 0),
            (Action::Up, 0),
        ] {
            state.act(action, &drops.model, EXTENT);
            let (Mode::Detail { scroll, .. } | Mode::Help { scroll }) = state.mode else {
                panic!("{:?}", state.mode)
            };
            assert_eq!(scroll, line, "{action:?}");
        }
        assert_eq!(state.selected_index(), Some(0));
    }
}

#[test]
fn pages_and_menus_are_closed_by_what_opened_them_and_by_what_quits() {
    let (mut state, drops) = six();
    for open in [Action::Open, Action::Help] {
        for close in [open, Action::Back, Action::Quit] {
            state.act(open, &drops.model, EXTENT);
            assert!(!matches!(state.mode, Mode::Table), "{open:?}");
            assert!(state.act(close, &drops.model, EXTENT).is_none(), "{close:?} quits only from the table");
            assert!(matches!(state.mode, Mode::Table), "{open:?} {close:?}");
        }
    }
    for open in [Action::GroupMenu, Action::SortMenu] {
        for close in [open, Action::Back, Action::Quit] {
            state.act(open, &drops.model, EXTENT);
            state.act(Action::Down, &drops.model, EXTENT);
            assert!(state.act(close, &drops.model, EXTENT).is_none());
            assert!(matches!(state.mode, Mode::Table));
            assert_eq!((state.lens.group, state.lens.sort), (GroupBy::Cause, SortBy::Severity));
        }
    }
    for quit in [Action::Back, Action::Quit] {
        assert!(matches!(state.act(quit, &drops.model, EXTENT), Some(Effect::Quit)));
    }
}

#[test]
fn a_row_that_is_opened_is_looked_for() {
    let (mut state, drops) = six();
    state.act(Action::Down, &drops.model, EXTENT);
    assert!(matches!(state.act(Action::Open, &drops.model, EXTENT), Some(Effect::Survey)));
    let opened = state.opened().expect("a row").row.clone();
    assert_eq!(Some(opened.key), state.selected);
    let nothing = &mut empty();
    assert!(nothing.act(Action::Open, &drops.model, EXTENT).is_none());
    assert!(matches!(nothing.mode, Mode::Table));
}

#[test]
fn menus_begin_at_what_is_in_use_and_choose_by_enter() {
    let (mut state, drops) = six();
    state.lens.group = GroupBy::Port;
    state.act(Action::GroupMenu, &drops.model, EXTENT);
    assert!(matches!(state.mode, Mode::GroupMenu { chosen: 6 }));
    do_all(&mut state, &drops, &[Action::Down, Action::Down, Action::Down]);
    assert!(matches!(state.mode, Mode::GroupMenu { chosen: 8 }));
    assert!(matches!(state.act(Action::Open, &drops.model, EXTENT), Some(Effect::Refresh)));
    assert!(matches!((&state.mode, state.lens.group), (Mode::Table, GroupBy::Rule)));
    do_all(&mut state, &drops, &[Action::SortMenu, Action::Last, Action::Open]);
    assert!(matches!((&state.mode, state.lens.sort), (Mode::Table, SortBy::Name)));
    do_all(&mut state, &drops, &[Action::SortMenu, Action::First]);
    state.choose(99);
    assert!(matches!(state.mode, Mode::SortMenu { chosen: 3 }));
}

#[test]
fn another_grouping_begins_at_the_top_and_the_same_one_stays_where_it_is() {
    let (mut state, drops) = six();
    do_all(&mut state, &drops, &[Action::Last, Action::Group(GroupBy::Cause)]);
    assert_eq!((state.selected_index(), state.offset), (Some(5), 2));
    state.act(Action::Group(GroupBy::Port), &drops.model, EXTENT);
    assert_eq!((state.selected, state.offset, state.order.len()), (None, 0, 0));
    state.show(&drops.model);
    assert_eq!(state.selected_index(), Some(0));
    assert_eq!(state.selected.map(|key| key.group), Some(GroupBy::Port));
}

#[test]
fn the_same_order_twice_is_reversed_and_another_one_is_not() {
    let (mut state, drops) = six();
    let mut order = |action| {
        assert!(matches!(state.act(action, &drops.model, EXTENT), Some(Effect::Refresh)));
        state.show(&drops.model);
        (culprits(&state).concat(), state.lens.reversed)
    };
    assert_eq!(order(Action::Sort(SortBy::Total)), ("123456".to_owned(), false));
    assert_eq!(order(Action::Sort(SortBy::Total)), ("654321".to_owned(), true));
    assert_eq!(order(Action::Sort(SortBy::Total)), ("123456".to_owned(), false));
    assert_eq!(order(Action::Reverse), ("654321".to_owned(), true));
    assert_eq!(order(Action::Sort(SortBy::Rate)), ("123456".to_owned(), false));
}

#[test]
fn pausing_hiding_and_the_rest_are_switched_or_handed_on() {
    let (mut state, drops) = six();
    for on in [true, false] {
        assert!(matches!(state.act(Action::Pause, &drops.model, EXTENT), Some(Effect::Refresh)));
        assert!(matches!(state.act(Action::Benign, &drops.model, EXTENT), Some(Effect::Refresh)));
        assert_eq!((state.paused, state.lens.benign), (on, on));
    }
    assert!(matches!(state.act(Action::Reset, &drops.model, EXTENT), Some(Effect::Reset)));
    assert!(matches!(state.act(Action::Redraw, &drops.model, EXTENT), Some(Effect::Redraw)));
    assert!(matches!(state.act(Action::Suspend, &drops.model, EXTENT), Some(Effect::Suspend)));
}

#[test]
fn a_command_is_copied_from_the_open_row() {
    let (mut state, mut drops) = six();
    assert!(state.act(Action::Copy, &drops.model, EXTENT).is_none());
    assert!(state.message.as_ref().is_some_and(|message| message.text.contains("open a row first")));
    state.act(Action::Open, &drops.model, EXTENT);
    assert!(state.message.is_none(), "a message goes with the next key");
    assert!(state.act(Action::Copy, &drops.model, EXTENT).is_none());
    assert!(state.message.as_ref().is_some_and(|message| message.text.contains("no command")));
    drops.name(FAULT, 1, "first");
    state.show(&drops.model);
    let Some(Effect::Copy(command)) = state.act(Action::Copy, &drops.model, EXTENT) else {
        panic!("no copy")
    };
    assert_eq!(command, "fix first");
}

#[test]
fn the_selection_stays_with_its_row_when_others_overtake_it() {
    let (mut state, mut drops) = six();
    do_all(&mut state, &drops, &[Action::Down]);
    let name = selected(&state);
    drops.second(&[(FAULT, 6, 190_000), (FAULT, 5, 80_000)]);
    state.show(&drops.model);
    assert_eq!(culprits(&state).concat(), "651234");
    assert_eq!((selected(&state), state.selected_index()), (name, Some(3)));
}

#[test]
fn a_row_whose_culprit_is_named_keeps_its_place_its_selection_and_its_page() {
    let mut drops = Drops::new();
    drops.second(&[(FAULT, 1, 102), (FAULT, 2, 101), (FAULT, 3, 100)]);
    let mut state = empty();
    state.show(&drops.model);
    do_all(&mut state, &drops, &[Action::Open]);
    let before = state.selected;
    drops.name(FAULT, 1, "known");
    state.show(&drops.model);
    assert_ne!(state.selected, before);
    assert_eq!((selected(&state).as_str(), state.selected_index()), ("known", Some(0)));
    assert_eq!(state.opened().map(|detail| detail.row.culprit.most.as_str()), Some("known"));
}

#[test]
fn a_row_that_is_gone_leaves_the_selection_in_its_place() {
    let (mut state, mut drops) = six();
    drops.second(&[(POLICY, 7, 1)]);
    state.show(&drops.model);
    do_all(&mut state, &drops, &[Action::Last]);
    assert_eq!(state.selected_index(), Some(6));
    state.lens.selection.severity = vec![crate::knowledge::Severity::Fault];
    state.show(&drops.model);
    assert_eq!(state.selected_index(), Some(5));
}

#[test]
fn the_wheel_moves_what_is_open() {
    let (mut state, drops) = six();
    state.wheel(3, EXTENT);
    assert_eq!(state.selected_index(), Some(3));
    state.wheel(-9, EXTENT);
    assert_eq!(state.selected_index(), Some(0));
    state.act(Action::Help, &drops.model, EXTENT);
    state.wheel(3, EXTENT);
    assert!(matches!(state.mode, Mode::Help { scroll: 3 }));
    state.wheel(30, EXTENT);
    assert!(matches!(state.mode, Mode::Help { scroll: 6 }));
    state.act(Action::SortMenu, &drops.model, EXTENT);
    state.wheel(3, EXTENT);
    assert!(matches!(state.mode, Mode::SortMenu { chosen: 1 }));
}

#[test]
fn what_is_forgotten_is_neither_open_nor_selected() {
    let (mut state, drops) = six();
    do_all(&mut state, &drops, &[Action::Last, Action::Open, Action::Pause]);
    state.forget();
    assert!(matches!(state.mode, Mode::Table));
    assert_eq!((state.selected, state.offset, state.paused, state.order.len()), (None, 0, false, 0));
    do_all(&mut state, &drops, &[Action::First, Action::Open, Action::Write]);
    state.forget();
    assert!(matches!(&state.mode, Mode::Prompt(prompt) if prompt.opened.is_none()));
}

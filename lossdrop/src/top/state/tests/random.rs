//! Whatever is pressed, on whatever table.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Act(usize, usize),
    Edit(Edit),
    Wheel(isize),
    Choose(usize),
    Select(usize),
    Second(Vec<(bool, u16, u64)>),
    Name(u16, u8),
    Show,
    Forget,
}

fn edits() -> impl Strategy<Value = Edit> {
    prop_oneof![
        any::<char>().prop_map(Edit::Insert),
        Just(Edit::Backspace),
        Just(Edit::Delete),
        Just(Edit::Left),
        Just(Edit::Right),
        Just(Edit::Start),
        Just(Edit::End),
        Just(Edit::Clear),
        Just(Edit::Accept),
        Just(Edit::Cancel),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let drops = proptest::collection::vec((any::<bool>(), 1..12_u16, 1..500_u64), 0..6);
    let step = prop_oneof![
        6 => (any::<usize>(), 0..8_usize).prop_map(|(action, page)| Step::Act(action, page)),
        3 => edits().prop_map(Step::Edit),
        1 => any::<isize>().prop_map(Step::Wheel),
        1 => any::<usize>().prop_map(Step::Choose),
        1 => (0..20_usize).prop_map(Step::Select),
        2 => drops.prop_map(Step::Second),
        1 => (1..12_u16, 0..4_u8).prop_map(|(port, name)| Step::Name(port, name)),
        2 => Just(Step::Show),
        1 => Just(Step::Forget),
    ];
    proptest::collection::vec(step, 0..60)
}

fn actions() -> Vec<Action> {
    let bound = BINDINGS.iter().map(|binding| binding.action);
    let groups = GroupBy::ALL.iter().map(|group| Action::Group(*group));
    bound.chain(groups).chain(SortBy::ALL.iter().map(|sort| Action::Sort(*sort))).collect()
}

/// What must hold at any time.
fn check(state: &State, is_shown: bool) -> Result<(), TestCaseError> {
    if is_shown {
        prop_assert_eq!(state.selected.is_some(), !state.table.rows.is_empty());
        prop_assert_eq!(state.selected_index().is_some(), state.selected.is_some());
    }
    match &state.mode {
        Mode::GroupMenu { chosen } => prop_assert!(*chosen < GroupBy::ALL.len()),
        Mode::SortMenu { chosen } => prop_assert!(*chosen < SortBy::ALL.len()),
        Mode::Prompt(prompt) => prop_assert!(prompt.cursor <= prompt.text.chars().count()),
        Mode::Detail { scroll, .. } | Mode::Help { scroll } => prop_assert!(*scroll <= EXTENT.lines),
        Mode::Table => {}
    }
    Ok(())
}

proptest! {
    #[test]
    fn nothing_panics_and_what_is_selected_is_there(steps in steps()) {
        let actions = actions();
        let (mut state, mut drops) = six();
        for step in steps {
            let mut effect = None;
            let mut moved_on = None;
            match step {
                Step::Act(at, page) => {
                    let action = actions[at % actions.len()];
                    let is_typing = matches!(state.mode, Mode::Prompt(_));
                    if !is_typing {
                        let in_table = matches!(state.mode, Mode::Table);
                        effect = state.act(action, &drops.model, Extent { page, lines: 10 });
                        moved_on = Some(page).filter(|_| in_table && is_move(action));
                    }
                }
                Step::Edit(edit) => effect = state.edit(edit),
                Step::Wheel(lines) => state.wheel(lines, EXTENT),
                Step::Choose(index) => state.choose(index),
                Step::Select(index) => {
                    state.select(index, PAGE);
                    moved_on = Some(PAGE).filter(|_| index < state.table.rows.len());
                }
                Step::Second(new) => {
                    let new: Vec<_> = new
                        .into_iter()
                        .map(|(is_fault, port, count)| (if is_fault { FAULT } else { POLICY }, port, count))
                        .collect();
                    drops.second(&new);
                    state.show(&drops.model);
                }
                Step::Name(port, name) => {
                    drops.name(FAULT, port, &format!("culprit {name}"));
                    state.show(&drops.model);
                }
                Step::Show => state.show(&drops.model),
                Step::Forget => {
                    state.forget();
                    state.show(&drops.model);
                }
            }
            if let Some(effect) = effect {
                match effect {
                    Effect::Filter(_, selection) => state.lens.selection = selection,
                    Effect::Refresh
                    | Effect::Survey
                    | Effect::Quit
                    | Effect::Write(_)
                    | Effect::Copy(_)
                    | Effect::Reset
                    | Effect::Redraw
                    | Effect::Suspend => {}
                }
                state.show(&drops.model);
            }
            check(&state, true)?;
            if let (Some(page), Some(index)) = (moved_on, state.selected_index()) {
                prop_assert!(state.offset <= index && index < state.offset + page.max(1));
            }
        }
    }

    #[test]
    fn rows_of_steady_rates_stay_where_they_are_while_their_culprits_are_named(
        ports in proptest::collection::vec(1..7_u16, 0..20),
        noise in proptest::collection::vec(proptest::collection::vec(0..8_u64, 6), 1..8),
    ) {
        let mut drops = Drops::new();
        let mut state = empty();
        let second = |drops: &mut Drops, noise: &[u64]| {
            let new: Vec<_> = (1..=6).zip(noise).map(|(port, more)| (FAULT, port, 100 + more)).collect();
            drops.second(&new);
        };
        second(&mut drops, &[0; 6]);
        state.show(&drops.model);
        let port_of = |state: &State| state.table.rows.iter().map(port).collect::<Vec<u64>>();
        let before = port_of(&state);
        for (noise, port) in noise.iter().zip(ports.iter().chain(std::iter::repeat(&1))) {
            second(&mut drops, noise);
            drops.name(FAULT, *port, &format!("culprit {port}"));
            state.show(&drops.model);
            prop_assert_eq!(&port_of(&state), &before);
        }
    }
}

/// The port of a row, by its culprit's name or by what stands for it.
fn port(row: &Row) -> u64 {
    let digits = row.culprit.most.rsplit([':', ' ']).next().unwrap_or_default();
    digits.parse().expect("a port")
}

//! Lines that are typed.

use super::*;

fn prompt(state: &State) -> &Prompt {
    match &state.mode {
        Mode::Prompt(prompt) => prompt,
        other => panic!("{other:?}"),
    }
}

fn typed(state: &mut State, text: &str) {
    for char in text.chars() {
        assert!(state.edit(Edit::Insert(char)).is_none());
    }
}

#[test]
fn a_line_is_edited_in_characters_however_many_bytes_they_have() {
    let (mut state, drops) = six();
    state.act(Action::Filter, &drops.model, EXTENT);
    typed(&mut state, "a→ü");
    for (edit, text, cursor) in [
        (Edit::Left, "a→ü", 2),
        (Edit::Backspace, "aü", 1),
        (Edit::Insert('€'), "a€ü", 2),
        (Edit::Delete, "a€", 2),
        (Edit::Delete, "a€", 2),
        (Edit::Right, "a€", 2),
        (Edit::Start, "a€", 0),
        (Edit::Backspace, "a€", 0),
        (Edit::Left, "a€", 0),
        (Edit::Delete, "€", 0),
        (Edit::End, "€", 1),
        (Edit::Clear, "", 0),
    ] {
        assert!(state.edit(edit).is_none());
        let prompt = prompt(&state);
        assert_eq!((prompt.text.as_str(), prompt.cursor), (text, cursor), "{edit:?}");
    }
}

#[test]
fn a_filter_that_is_wrong_stays_with_what_is_wrong_until_it_is_changed() {
    let (mut state, drops) = six();
    state.act(Action::Filter, &drops.model, EXTENT);
    typed(&mut state, "prot tcp");
    assert!(state.edit(Edit::Accept).is_none());
    assert_eq!(prompt(&state).text, "prot tcp");
    assert!(prompt(&state).error.as_ref().is_some_and(|error| error.contains("did you mean")));
    state.edit(Edit::Left);
    assert_eq!(prompt(&state).error, None);
}

#[test]
fn a_filter_that_is_understood_is_handed_on_and_the_line_stays_until_it_works() {
    let (mut state, drops) = six();
    state.header.filter = "port 80|443, host 10.0.0.1".to_owned();
    state.lens.selection.cause = vec!["mtu".parse().expect("known"), "socket".parse().expect("known")];
    state.act(Action::Filter, &drops.model, EXTENT);
    assert_eq!(prompt(&state).text, "port 80|443 host 10.0.0.1 cause mtu cause socket");
    assert_eq!(prompt(&state).cursor, prompt(&state).text.chars().count());
    let Some(Effect::Filter(filter, selection)) = state.edit(Edit::Accept) else { panic!("no filter") };
    assert_eq!(filter.to_string(), state.header.filter);
    assert_eq!(selection.to_string(), state.lens.selection.to_string());
    state.refuse("not here".to_owned());
    assert_eq!(prompt(&state).error.as_deref(), Some("not here"));
}

#[test]
fn no_filter_is_an_empty_line_and_an_empty_line_is_no_filter() {
    let (mut state, drops) = six();
    state.act(Action::Filter, &drops.model, EXTENT);
    assert_eq!(prompt(&state).text, "");
    let Some(Effect::Filter(filter, selection)) = state.edit(Edit::Accept) else { panic!("no filter") };
    assert_eq!((filter.to_string().as_str(), selection.is_everything()), ("none", true));
}

#[test]
fn a_line_that_is_cancelled_leads_back_to_where_it_was_asked_for() {
    let (mut state, drops) = six();
    for ask in [Action::Filter, Action::Write] {
        state.act(ask, &drops.model, EXTENT);
        assert!(state.opened().is_none());
        state.edit(Edit::Cancel);
        assert!(matches!(state.mode, Mode::Table));
        do_all(&mut state, &drops, &[Action::Open, Action::Down, Action::Down, ask]);
        let open = state.opened().expect("still there").row.key;
        assert!(state.edit(Edit::Cancel).is_none());
        assert!(matches!(&state.mode, Mode::Detail { detail, scroll: 2 } if detail.row.key == open));
        do_all(&mut state, &drops, &[Action::Back, Action::Help, ask]);
        state.edit(Edit::Cancel);
        assert!(matches!(state.mode, Mode::Table));
    }
}

#[test]
fn a_file_is_called_by_the_time_and_must_be_called_somehow() {
    let (mut state, drops) = six();
    state.header.unix_ns = 1_767_323_045_678_901_234;
    state.act(Action::Write, &drops.model, EXTENT);
    assert_eq!(prompt(&state).text, "lossdrop-20260102-030405.txt");
    let Some(Effect::Write(name)) = state.edit(Edit::Accept) else { panic!("no file") };
    assert_eq!(name, "lossdrop-20260102-030405.txt");
    state.edit(Edit::Clear);
    typed(&mut state, "  ");
    assert!(state.edit(Edit::Accept).is_none());
    assert_eq!(prompt(&state).error.as_deref(), Some("the name of a file is wanted"));
    typed(&mut state, "x ");
    assert!(matches!(state.edit(Edit::Accept), Some(Effect::Write(name)) if name == "x"));
}

#[test]
fn without_a_line_nothing_is_edited_and_refusals_are_messages() {
    let (mut state, _) = six();
    for edit in [Edit::Insert('q'), Edit::Accept, Edit::Cancel, Edit::Clear] {
        assert!(state.edit(edit).is_none());
    }
    state.close_prompt();
    assert!(matches!(state.mode, Mode::Table));
    state.refuse("no".to_owned());
    assert_eq!(state.message, Some(Message { text: "no".to_owned(), is_error: true }));
}

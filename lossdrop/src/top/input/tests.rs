use std::collections::HashSet;

use super::*;
use crate::top::state::{Asked, Prompt};

fn prompt() -> Mode {
    Mode::Prompt(Prompt { what: Asked::Filter, text: String::new(), cursor: 0, error: None, opened: None })
}

fn pressed(code: KeyCode, modifiers: KeyModifiers) -> Event {
    Event::Key(KeyEvent::new(code, modifiers))
}

fn letter(char: char) -> Event {
    pressed(KeyCode::Char(char), KeyModifiers::NONE)
}

/// The key of a name in the table.
fn named(name: &str) -> (KeyCode, KeyModifiers) {
    let code = match name {
        "↑" => KeyCode::Up,
        "↓" => KeyCode::Down,
        "PgUp" => KeyCode::PageUp,
        "PgDn" => KeyCode::PageDown,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "Enter" => KeyCode::Enter,
        "Tab" => KeyCode::Tab,
        "Esc" => KeyCode::Esc,
        "Space" => KeyCode::Char(' '),
        _ => {
            let (control, letter) = match name.strip_prefix("Ctrl-") {
                Some(letter) => (KeyModifiers::CONTROL, letter.to_ascii_lowercase()),
                None => (KeyModifiers::NONE, name.to_owned()),
            };
            let mut chars = letter.chars();
            let (Some(char), None) = (chars.next(), chars.next()) else { panic!("no such key: {name}") };
            return (KeyCode::Char(char), control);
        }
    };
    (code, KeyModifiers::NONE)
}

/// All keys, and what they are for.
fn keys() -> Vec<(KeyCode, KeyModifiers, Action)> {
    let bound = BINDINGS.iter().flat_map(|binding| {
        binding.keys.split(' ').map(|name| {
            let (code, modifiers) = named(name);
            (code, modifiers, binding.action)
        })
    });
    let plain = |char, action| (KeyCode::Char(char), KeyModifiers::NONE, action);
    let groups = GroupBy::ALL.iter().map(|group| plain(group.key(), Action::Group(*group)));
    let sorts = SortBy::ALL.iter().map(|sort| plain(sort.key(), Action::Sort(*sort)));
    bound.chain(groups).chain(sorts).collect()
}

#[test]
fn every_key_of_the_table_does_what_stands_beside_it() {
    for (code, modifiers, action) in keys() {
        for mode in [Mode::Table, Mode::Help { scroll: 0 }, Mode::SortMenu { chosen: 0 }] {
            assert_eq!(input(&pressed(code, modifiers), &mode), Some(Input::Act(action)), "{code:?}");
        }
    }
    // Terminals tell of Shift beside the capital letter.
    let shifted = pressed(KeyCode::Char('G'), KeyModifiers::SHIFT);
    assert_eq!(input(&shifted, &Mode::Table), Some(Input::Act(Action::Last)));
}

#[test]
fn no_two_bindings_share_a_key() {
    let all = keys();
    let different: HashSet<(KeyCode, KeyModifiers)> =
        all.iter().map(|(code, with, _)| (*code, *with)).collect();
    assert_eq!(different.len(), all.len());
    let actions: HashSet<String> = BINDINGS.iter().map(|binding| format!("{:?}", binding.action)).collect();
    assert_eq!(actions.len(), BINDINGS.len(), "an action has one line in the help");
}

#[test]
fn a_key_that_is_let_go_does_nothing_and_one_that_is_held_goes_on() {
    for (code, modifiers, action) in keys() {
        let of = |kind| Event::Key(KeyEvent { kind, ..KeyEvent::new(code, modifiers) });
        assert_eq!(input(&of(KeyEventKind::Release), &Mode::Table), None);
        assert_eq!(input(&of(KeyEventKind::Release), &prompt()), None);
        assert_eq!(input(&of(KeyEventKind::Repeat), &Mode::Table), Some(Input::Act(action)));
    }
}

#[test]
fn control_and_alt_with_a_key_are_not_the_key() {
    let bound: HashSet<(KeyCode, KeyModifiers)> =
        keys().into_iter().map(|(code, with, _)| (code, with)).collect();
    for (code, _, _) in keys() {
        for with in [KeyModifiers::CONTROL, KeyModifiers::ALT, KeyModifiers::CONTROL | KeyModifiers::ALT] {
            if !bound.contains(&(code, with)) {
                assert_eq!(input(&pressed(code, with), &Mode::Table), None, "{with:?} {code:?}");
            }
        }
    }
}

#[test]
fn in_a_line_letters_are_text_whatever_they_are_bound_to() {
    for char in "qgsSRTN1/?bi wcrhjkGä→".chars() {
        assert_eq!(input(&letter(char), &prompt()), Some(Input::Edit(Edit::Insert(char))));
    }
    assert_eq!(input(&letter('\u{7}'), &prompt()), None, "bells are no text");
}

#[test]
fn a_line_is_edited_as_in_a_shell() {
    let none = KeyModifiers::NONE;
    let control = KeyModifiers::CONTROL;
    for (code, modifiers, edit) in [
        (KeyCode::Enter, none, Some(Edit::Accept)),
        (KeyCode::Esc, none, Some(Edit::Cancel)),
        (KeyCode::Char('c'), control, Some(Edit::Cancel)),
        (KeyCode::Backspace, none, Some(Edit::Backspace)),
        (KeyCode::Delete, none, Some(Edit::Delete)),
        (KeyCode::Left, none, Some(Edit::Left)),
        (KeyCode::Right, none, Some(Edit::Right)),
        (KeyCode::Home, none, Some(Edit::Start)),
        (KeyCode::Char('a'), control, Some(Edit::Start)),
        (KeyCode::End, none, Some(Edit::End)),
        (KeyCode::Char('e'), control, Some(Edit::End)),
        (KeyCode::Char('u'), control, Some(Edit::Clear)),
        (KeyCode::Char('x'), control, None),
        (KeyCode::Char('x'), KeyModifiers::ALT, None),
        (KeyCode::Tab, none, None),
        (KeyCode::Up, none, None),
    ] {
        assert_eq!(
            input(&pressed(code, modifiers), &prompt()),
            edit.map(Input::Edit),
            "{modifiers:?} {code:?}"
        );
    }
}

#[test]
fn the_mouse_clicks_with_its_left_button_and_scrolls_with_its_wheel() {
    let mouse = |kind| Event::Mouse(MouseEvent { kind, column: 7, row: 3, modifiers: KeyModifiers::NONE });
    let of = |kind| input(&mouse(kind), &Mode::Table);
    assert_eq!(of(MouseEventKind::Down(MouseButton::Left)), Some(Input::Click { column: 7, row: 3 }));
    assert_eq!(of(MouseEventKind::ScrollDown), Some(Input::Wheel(3)));
    assert_eq!(of(MouseEventKind::ScrollUp), Some(Input::Wheel(-3)));
    for nothing in [
        MouseEventKind::Down(MouseButton::Right),
        MouseEventKind::Up(MouseButton::Left),
        MouseEventKind::Drag(MouseButton::Left),
        MouseEventKind::Moved,
        MouseEventKind::ScrollLeft,
    ] {
        assert_eq!(of(nothing), None, "{nothing:?}");
    }
}

#[test]
fn a_new_size_is_reported_and_what_means_nothing_is_not() {
    assert_eq!(input(&Event::Resize(80, 24), &prompt()), Some(Input::Resize));
    for nothing in [Event::FocusGained, Event::FocusLost, Event::Paste("q".to_owned())] {
        assert_eq!(input(&nothing, &Mode::Table), None);
    }
    assert_eq!(input(&letter('x'), &Mode::Table), None);
}

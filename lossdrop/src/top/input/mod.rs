//! From what the terminal tells to what the user wants.

use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

use super::{
    keys::{Action, BINDINGS},
    state::{Edit, Mode},
};
use crate::live::lens::{GroupBy, SortBy};

/// Rows that a step of the wheel moves.
const WHEEL: isize = 3;

/// What the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Act(Action),
    Edit(Edit),
    Click {
        column: u16,
        row: u16,
    },
    /// Lines, downwards.
    Wheel(isize),
    Resize,
}

/// What an event means in this mode; `None` for nothing.
pub(crate) fn input(event: &Event, mode: &Mode) -> Option<Input> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => match mode {
            Mode::Prompt(_) => edit(key).map(Input::Edit),
            Mode::Table
            | Mode::Detail { .. }
            | Mode::Help { .. }
            | Mode::GroupMenu { .. }
            | Mode::SortMenu { .. } => action(key).map(Input::Act),
        },
        Event::Mouse(mouse) => of_mouse(mouse),
        Event::Resize(_, _) => Some(Input::Resize),
        Event::Key(_) | Event::FocusGained | Event::FocusLost | Event::Paste(_) => None,
    }
}

fn of_mouse(mouse: &MouseEvent) -> Option<Input> {
    match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) => {
            Some(Input::Click { column: mouse.column, row: mouse.row })
        }
        MouseEventKind::ScrollDown => Some(Input::Wheel(WHEEL)),
        MouseEventKind::ScrollUp => Some(Input::Wheel(-WHEEL)),
        _ => None,
    }
}

/// By the table of keys, and the keys of the groupings and orders.
fn action(key: &KeyEvent) -> Option<Action> {
    let bound = BINDINGS.iter().find(|binding| binding.keys.split(' ').any(|name| is(key, name)));
    if let Some(binding) = bound {
        return Some(binding.action);
    }
    let KeyCode::Char(char) = key.code else { return None };
    if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
        return None;
    }
    let group = GroupBy::ALL.iter().find(|group| group.key() == char).map(|group| Action::Group(*group));
    group.or_else(|| SortBy::ALL.iter().find(|sort| sort.key() == char).map(|sort| Action::Sort(*sort)))
}

/// Whether a key is the one with this name in the table.
fn is(key: &KeyEvent, name: &str) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if let Some(letter) = name.strip_prefix("Ctrl-") {
        let pressed = match key.code {
            KeyCode::Char(char) => char.to_ascii_uppercase(),
            _ => return false,
        };
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        return control && !alt && letter.chars().eq([pressed]);
    }
    if control || key.modifiers.contains(KeyModifiers::ALT) {
        return false;
    }
    match (name, key.code) {
        ("↑", code) => code == KeyCode::Up,
        ("↓", code) => code == KeyCode::Down,
        ("PgUp", code) => code == KeyCode::PageUp,
        ("PgDn", code) => code == KeyCode::PageDown,
        ("Home", code) => code == KeyCode::Home,
        ("End", code) => code == KeyCode::End,
        ("Enter", code) => code == KeyCode::Enter,
        ("Tab", code) => code == KeyCode::Tab,
        ("Esc", code) => code == KeyCode::Esc,
        ("Space", code) => code == KeyCode::Char(' '),
        (name, KeyCode::Char(char)) => name.chars().eq([char]),
        _ => false,
    }
}

/// In a line, as shells do it.
fn edit(key: &KeyEvent) -> Option<Edit> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if key.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    Some(match key.code {
        KeyCode::Enter => Edit::Accept,
        KeyCode::Esc => Edit::Cancel,
        KeyCode::Backspace => Edit::Backspace,
        KeyCode::Delete => Edit::Delete,
        KeyCode::Left => Edit::Left,
        KeyCode::Right => Edit::Right,
        KeyCode::Home => Edit::Start,
        KeyCode::End => Edit::End,
        KeyCode::Char('c') if control => Edit::Cancel,
        KeyCode::Char('u') if control => Edit::Clear,
        KeyCode::Char('a') if control => Edit::Start,
        KeyCode::Char('e') if control => Edit::End,
        KeyCode::Char(char) if !control && !char.is_control() => Edit::Insert(char),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;

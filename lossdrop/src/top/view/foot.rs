//! The last lines: a message, and the keys or what is being typed.

use ratatui::{
    layout::{Position, Rect},
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::look::Look;
use crate::top::{
    keys::{Action, BINDINGS},
    state::{Asked, Mode, Prompt, State},
};

/// Lines of the longest message.
const MESSAGE: usize = 3;
/// Screens that are lower have one line for message and keys together.
const ROOMY: u16 = 16;

/// What is to be said, and whether it is an error.
fn reported(state: &State) -> Option<(&str, bool)> {
    let help = |prompt: &Prompt| match prompt.what {
        Asked::Filter => {
            "e.g. port 80 host 10.0.0.1 cause mtu severity fault; none for none. Enter uses it, Esc leaves it"
        }
        Asked::File => "text, or JSON if the name ends in .json. Enter writes, Esc does not",
    };
    match &state.mode {
        Mode::Prompt(prompt) => {
            Some(prompt.error.as_ref().map_or((help(prompt), false), |error| (error.as_str(), true)))
        }
        _ => state.message.as_ref().map(|message| (message.text.as_str(), message.is_error)),
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    textwrap::wrap(text, width.max(1)).into_iter().take(MESSAGE).map(std::borrow::Cow::into_owned).collect()
}

/// Lines for a screen of that size.
pub(super) fn height(area: Rect, state: &State) -> u16 {
    let asks = matches!(state.mode, Mode::Prompt(_));
    let message = reported(state).map_or(0, |(text, _)| wrapped(text, area.width.into()).len());
    let message = u16::try_from(message).unwrap_or(1);
    match area.height {
        0..4 => u16::from(asks),
        // An error is worth rows of the table; help is not.
        4..ROOMY if asks && reported(state).is_some_and(|(_, is_error)| is_error) => {
            1 + message.min(area.height / 4)
        }
        4..ROOMY => 1,
        ROOMY.. => 1 + message.max(1),
    }
}

/// The lines for that part of the screen, with the position in a page.
pub(super) fn lines(state: &State, look: Look, foot: Rect, position: &str) -> Vec<Line<'static>> {
    let (width, height) = (usize::from(foot.width), usize::from(foot.height));
    let last = match &state.mode {
        Mode::Prompt(prompt) => Line::from(typed(prompt, look, width).0),
        _ => keys(state, look, width, position),
    };
    let is_prompt = matches!(state.mode, Mode::Prompt(_));
    let mut lines: Vec<Line<'static>> = Vec::new();
    if let Some((text, is_error)) = reported(state) {
        let style = match (is_error, is_prompt) {
            (true, _) => look.alarm(),
            (false, true) => Look::dim(),
            (false, false) => Look::bold(),
        };
        // Where there is one line, a message is worth more than the keys.
        let room = if height == 1 && !is_prompt { 1 } else { height.saturating_sub(1) };
        let text = look.clean(text);
        lines = match room {
            1 => vec![Line::styled(look.fit(&text, width), style)],
            _ => wrapped(&text, width).into_iter().take(room).map(|line| Line::styled(line, style)).collect(),
        };
    }
    if lines.len() < height {
        lines.resize(height - 1, Line::default());
        lines.push(last);
    }
    lines
}

/// Where the cursor stands.
pub(super) fn cursor(state: &State, look: Look, foot: Rect) -> Option<Position> {
    let Mode::Prompt(prompt) = &state.mode else { return None };
    if foot.is_empty() {
        return None;
    }
    let (_, before) = typed(prompt, look, foot.width.into());
    let x = u16::try_from(before).unwrap_or(u16::MAX).min(foot.width - 1);
    Some(Position { x: foot.x + x, y: foot.bottom() - 1 })
}

/// What was typed, and the cells before the cursor. What has no room goes to the left.
fn typed(prompt: &Prompt, look: Look, width: usize) -> (Vec<Span<'static>>, usize) {
    let label = match prompt.what {
        Asked::Filter => "filter: ",
        Asked::File => "write to: ",
    };
    let split = prompt.text.char_indices().nth(prompt.cursor).map_or(prompt.text.len(), |(at, _)| at);
    let (before, after) = prompt.text.split_at(split);
    let (mut before, after) = (look.clean(before), look.clean(after));
    let room = width.saturating_sub(label.len() + 1);
    while before.width() > room {
        before.remove(0);
    }
    let cells = label.len() + before.width();
    let text = format!("{before}{after}");
    (vec![Span::styled(label, Look::bold()), Span::raw(text)], cells)
}

/// The keys that matter here. The last ones go first where there is no room, but the ways out and the help stay.
fn keys(state: &State, look: Look, width: usize, position: &str) -> Line<'static> {
    let width = width.saturating_sub(if position.is_empty() { 0 } else { position.width() + 2 });
    let mut hints: Vec<(String, &str)> = match state.mode {
        Mode::Detail { .. } | Mode::Help { .. } => page_hints(look),
        _ => table_hints(look),
    };
    let cells = |hints: &[(String, &str)]| -> usize {
        hints.iter().map(|(key, word)| 3 + key.width() + word.width()).sum::<usize>().saturating_sub(2)
    };
    while cells(&hints) > width {
        let stays = |word: &str| matches!(word, "help" | "quit" | "back");
        let Some(goes) = hints.iter().rposition(|(_, word)| !stays(word)).or(hints.len().checked_sub(1))
        else {
            break;
        };
        hints.remove(goes);
    }
    let mut spans = Vec::new();
    let used = cells(&hints);
    for (index, (key, word)) in hints.into_iter().enumerate() {
        spans.push(Span::raw(if index == 0 { "" } else { "  " }));
        spans.push(Span::styled(key, Look::bold()));
        spans.push(Span::raw(format!(" {word}")));
    }
    if !position.is_empty() {
        spans.push(Span::raw(" ".repeat(width.saturating_sub(used) + 2)));
        spans.push(Span::raw(position.to_owned()));
    }
    Line::from(spans)
}

/// The first of an action's keys.
fn key(action: Action, look: Look) -> String {
    let keys = BINDINGS.iter().find(|binding| binding.action == action).map_or("", |binding| binding.keys);
    look.clean(keys.split(' ').next().unwrap_or(""))
}

/// Up and down, as one.
fn arrows(look: Look) -> String {
    format!("{}{}{}", key(Action::Up, look), look.pick("", "/"), key(Action::Down, look))
}

fn table_hints(look: Look) -> Vec<(String, &'static str)> {
    let hinted = BINDINGS.iter().filter(|binding| !binding.hint.is_empty());
    hinted
        .map(|binding| match binding.action {
            Action::Down => (arrows(look), binding.hint),
            action => (key(action, look), binding.hint),
        })
        .collect()
}

/// What the keys do in a page.
fn page_hints(look: Look) -> Vec<(String, &'static str)> {
    let words = [(Action::Back, "back"), (Action::Copy, "copy the fix"), (Action::Write, "write")];
    let mut hints = vec![(arrows(look), "scroll")];
    hints.extend(words.map(|(action, word)| (key(action, look), word)));
    hints.push((key(Action::Help, look), "help"));
    hints
}

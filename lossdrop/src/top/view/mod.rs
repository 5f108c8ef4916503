//! What `lossdrop top` draws: a pure function of the [`State`], for a terminal of any size.
//!
//! Everything becomes lines of styled text first, so that a frame for a file ([`super::frame`]) is the same as one for the
//! screen.

pub(super) mod detail;
mod flow;
mod foot;
pub(super) mod header;
mod help;
mod look;
mod menu;
mod packet;
mod page;
pub(super) mod table;

use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::Line,
};

pub(crate) use self::look::{Look, Theme};
use self::page::Page;
use super::state::{Mode, State};
use crate::live::lens::SortBy;

/// What a click means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    /// A row, by its index in the table.
    Row(usize),
    /// The head of a column that sorts.
    Sort(SortBy),
    /// An entry of the menu that is open.
    Choice(usize),
}

/// The parts of the screen, from top to bottom. No number changes their heights, so that nothing jumps while it grows.
struct Parts {
    head: Rect,
    body: Rect,
    foot: Rect,
}

impl Parts {
    fn of(area: Rect, state: &State) -> Self {
        let foot = foot::height(area, state).min(area.height);
        let rest = area.height - foot;
        let head = match state.mode {
            Mode::Detail { .. } | Mode::Help { .. } => page::title_height(area.height),
            _ => header::height(area.height),
        }
        .min(rest);
        let part = |y, height| Rect { y: area.y + y, height, ..area };
        Self { head: part(0, head), body: part(head, rest - head), foot: part(rest, foot) }
    }
}

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, state: &State, look: &Look) {
    let area = frame.area();
    let parts = Parts::of(area, state);
    match open_page(state, area.width, *look) {
        Some((title, page, scroll)) => {
            put(frame, parts.head, title);
            put(frame, parts.body, page.lines.into_iter().skip(scroll));
        }
        None => {
            put(frame, parts.head, header::lines(state, *look, parts.head));
            put(frame, parts.body, table::screen(state, *look, parts.body));
        }
    }
    put(frame, parts.foot, foot::lines(state, *look, parts.foot, &position(parts.body, state, *look)));
    if let Some(cursor) = foot::cursor(state, *look, parts.foot) {
        frame.set_cursor_position(cursor);
    }
    menu::draw(frame, area, state, *look);
}

/// Lines from the top of a part on; what has no room is left out.
fn put(frame: &mut Frame<'_>, part: Rect, lines: impl IntoIterator<Item = Line<'static>>) {
    for (y, line) in (part.top()..part.bottom()).zip(lines) {
        frame.buffer_mut().set_line(part.x, y, &line, part.width);
    }
}

/// Title and lines of the page that is open, and how many of them are above the screen.
fn open_page(state: &State, width: u16, look: Look) -> Option<(Vec<Line<'static>>, Page, usize)> {
    let width = usize::from(width);
    match &state.mode {
        Mode::Detail { detail, scroll } => {
            Some((detail::title(detail, look, width), detail::page(detail, look, width), *scroll))
        }
        Mode::Help { scroll } => Some((help::title(look, width), help::page(look, width), *scroll)),
        Mode::Table | Mode::GroupMenu { .. } | Mode::SortMenu { .. } | Mode::Prompt(_) => None,
    }
}

/// `12–34/80`: which lines of a page are seen; empty where all are.
fn position(body: Rect, state: &State, look: Look) -> String {
    let Some((_, page, scroll)) = open_page(state, body.width, look) else { return String::new() };
    let (all, seen) = (page.lines.len(), usize::from(body.height));
    if all <= seen {
        return String::new();
    }
    let last = scroll.saturating_add(seen).min(all);
    format!("{}{}{last}/{all}", scroll.saturating_add(1).min(all), look.pick("–", "-"))
}

/// What a click at a cell means.
pub(crate) fn hit(area: Rect, state: &State, look: &Look, column: u16, row: u16) -> Option<Hit> {
    let position = Position { x: column, y: row };
    match state.mode {
        Mode::GroupMenu { .. } | Mode::SortMenu { .. } => menu::hit(area, state, position).map(Hit::Choice),
        Mode::Table => {
            let body = Parts::of(area, state).body;
            body.contains(position).then(|| table::hit(state, *look, body, position)).flatten()
        }
        Mode::Detail { .. } | Mode::Help { .. } | Mode::Prompt(_) => None,
    }
}

/// How many rows of the table, or lines of the page that is open, fit; at least one.
pub(crate) fn page(area: Rect, state: &State) -> usize {
    let body = usize::from(Parts::of(area, state).body.height);
    match state.mode {
        Mode::Detail { .. } | Mode::Help { .. } => body,
        // Its head takes one.
        _ => body.saturating_sub(1),
    }
    .max(1)
}

/// How many lines the page that is open has; none for the table.
pub(crate) fn lines(area: Rect, state: &State, look: &Look) -> usize {
    open_page(state, area.width, *look).map_or(0, |(_, page, _)| page.lines.len())
}

#[cfg(test)]
pub(super) mod tests;

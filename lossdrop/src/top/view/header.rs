//! The lines above the table: how fast packets die, and where every one of them went.

use std::time::Duration;

use ratatui::{layout::Rect, style::Style, text::Line};

use super::{
    flow::{Item, flow},
    look::{Look, rate},
};
use crate::{text::thousands, top::state::State};

/// Cells that the first line keeps for the trend, where it is wide enough.
const TREND: usize = 8;
const LONGEST_TREND: usize = 60;
/// Below this the first line is for numbers alone.
const ROOMY: usize = 60;
/// The importance of what must be seen on the smallest screen.
const URGENT: u8 = 9;

/// Lines for a screen so high. The last of four is empty unless there is a lot to say.
pub(super) fn height(screen: u16) -> u16 {
    match screen {
        0..8 => 1,
        8..12 => 2,
        12..20 => 3,
        20.. => 4,
    }
}

/// The lines for that part of the screen.
pub(super) fn lines(state: &State, look: Look, part: Rect) -> Vec<Line<'static>> {
    all(state, look, usize::from(part.width), usize::from(part.height))
}

/// At most so many lines.
pub(crate) fn all(state: &State, look: Look, width: usize, most: usize) -> Vec<Line<'static>> {
    let mut items = summary(state);
    let mut books = books(state, look);
    books.extend(lens(state));
    if most == 1 {
        items.splice(0..0, books.iter().filter(|item| item.importance >= URGENT).cloned());
    }
    let mut lines = vec![first(state, look, width, items)];
    lines.extend(flow(books, look, width, most.saturating_sub(1)));
    lines
}

fn summary(state: &State) -> Vec<Item> {
    let header = &state.header;
    vec![
        Item::new(2, "lossdrop").style(Look::bold()),
        Item::new(5, header.host.as_str()),
        Item::new(1, header.kernel.as_str()),
        Item::new(6, format!("up {}", clock(header.up))),
        Item::new(10, format!("drops {}/s", rate(header.rate))).style(Look::bold()),
        Item::new(4, format!("1m {}/s", rate(header.rate_1m))),
        Item::new(8, format!("total {}", thousands(state.table.shown))),
    ]
}

/// In one line, with the trend in what is left of it.
fn first(state: &State, look: Look, width: usize, items: Vec<Item>) -> Line<'static> {
    let kept = if width < ROOMY { 0 } else { TREND + 2 };
    let mut line = flow(items, look, width - kept, 1).pop().unwrap_or_default();
    let cells = width.saturating_sub(line.width() + 2).min(LONGEST_TREND);
    if kept > 0 && cells >= TREND {
        line.push_span(look.span(&format!("  {}", look.spark(&state.header.history, cells)), Style::new()));
    }
    line
}

/// Where every drop went, and how it is looked at. Losses are loud.
fn books(state: &State, look: Look) -> Vec<Item> {
    let header = &state.header;
    let books = header.books;
    let lost = format!("lost {}", thousands(books.lost));
    let mut items = vec![
        Item::new(5, format!("seen {}", thousands(books.seen))),
        Item::new(3, format!("= shown {}", thousands(books.shown))).close(),
        Item::new(3, format!("+ suppressed {}", thousands(books.suppressed))).close(),
        Item::new(3, format!("+ filtered {} +", thousands(books.filtered))).close(),
        if books.lost == 0 { Item::new(5, lost) } else { Item::new(URGENT, lost).style(look.alarm()) }
            .close(),
    ];
    if header.details_lost > 0 {
        let text = format!("details lost {}", thousands(header.details_lost));
        items.push(Item::new(6, text).style(look.alarm()));
    }
    if state.lens.benign {
        items.push(Item::new(4, "benign shown (b)").style(Look::dim()));
    } else if header.benign > 0 {
        let text = format!("benign {} hidden (b)", thousands(header.benign));
        items.push(Item::new(4, text).style(Look::dim()));
    }
    items
}

/// What is asked for, and in which order it is shown.
fn lens(state: &State) -> Vec<Item> {
    let State { header, lens, .. } = state;
    let filtered = !matches!(header.filter.as_str(), "" | "none");
    let mut items = vec![match filtered {
        true => Item::new(6, format!("filter {}", header.filter)).style(Look::bold()),
        false => Item::new(2, "filter none"),
    }];
    if !lens.selection.is_everything() {
        items.push(Item::new(7, lens.selection.to_string()).style(Look::bold()));
    }
    items.push(Item::new(1, format!("by {}", lens.group.word())));
    let reversed = if lens.reversed { " reversed" } else { "" };
    items.push(Item::new(1, format!("sort {}{reversed}", lens.sort.word())));
    if state.paused {
        items.push(Item::new(10, "PAUSED").style(Look::bold().patch(Look::reversed())));
    }
    items
}

/// `00:03:12`, `2d 03:04:05`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let days = if seconds < 86_400 { String::new() } else { format!("{}d ", seconds / 86_400) };
    format!("{days}{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

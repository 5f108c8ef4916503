//! The menus: small boxes in the middle of the screen.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    style::Style,
    symbols::border,
    text::{Line, Span},
    widgets::{Block, Clear},
};

use super::look::{Look, pad};
use crate::{
    live::lens::{GroupBy, SortBy},
    top::state::{Mode, State},
};

/// Cells of an entry: a mark, the key, the word.
const ENTRY: u16 = 18;

const ASCII: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// A menu that is open.
struct Menu {
    title: &'static str,
    /// Keys and words, and whether it is so now.
    entries: Vec<(char, &'static str, bool)>,
    chosen: usize,
}

impl Menu {
    fn of(state: &State) -> Option<Self> {
        let lens = &state.lens;
        match state.mode {
            Mode::GroupMenu { chosen } => {
                let entry = |by: &GroupBy| (by.key(), by.word(), *by == lens.group);
                Some(Self { title: " group by ", entries: GroupBy::ALL.iter().map(entry).collect(), chosen })
            }
            Mode::SortMenu { chosen } => {
                let entry = |by: &SortBy| (by.key(), by.word(), *by == lens.sort);
                Some(Self { title: " sort by ", entries: SortBy::ALL.iter().map(entry).collect(), chosen })
            }
            Mode::Table | Mode::Detail { .. } | Mode::Help { .. } | Mode::Prompt(_) => None,
        }
    }

    /// The box, its inside, and the first entry that is seen.
    fn place(&self, area: Rect) -> (Rect, Rect, usize) {
        let entries = u16::try_from(self.entries.len()).unwrap_or(u16::MAX);
        let (width, height) = ((ENTRY + 2).min(area.width), (entries + 2).min(area.height));
        let (x, y) = (area.x + (area.width - width) / 2, area.y + (area.height - height) / 2);
        let outer = Rect { x, y, width, height };
        let inner = Block::bordered().inner(outer);
        let first = (self.chosen + 1).saturating_sub(inner.height.into());
        (outer, inner, first)
    }

    fn entry(&self, index: usize, look: Look) -> Line<'static> {
        let (key, word, is_so) = self.entries[index];
        let mark = if is_so { look.pick("•", "*") } else { " " };
        let text = pad(&format!(" {word}"), usize::from(ENTRY) - 4, false);
        let line = Line::from(vec![
            Span::raw(format!(" {mark} ")),
            Span::styled(key.to_string(), Look::bold()),
            Span::raw(text),
        ]);
        line.style(if index == self.chosen { Look::reversed() } else { Style::new() })
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look) {
    let Some(menu) = Menu::of(state) else { return };
    let (outer, inner, first) = menu.place(area);
    let set = if look.utf8 { border::PLAIN } else { ASCII };
    frame.render_widget(Clear, outer);
    frame.render_widget(Block::bordered().border_set(set).title(menu.title), outer);
    let entries = (first..menu.entries.len()).map(|index| menu.entry(index, look));
    super::put(frame, inner, entries);
}

/// The entry at a cell.
pub(super) fn hit(area: Rect, state: &State, position: Position) -> Option<usize> {
    let menu = Menu::of(state)?;
    let (_, inner, first) = menu.place(area);
    let index = first + usize::from(position.y.checked_sub(inner.y)?);
    (inner.contains(position) && index < menu.entries.len()).then_some(index)
}

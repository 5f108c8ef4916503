//! Items in lines, as many as have room.

use ratatui::{
    style::Style,
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::look::Look;

/// A piece of text that is never parted.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    text: String,
    style: Style,
    /// What is least goes first where there is no room.
    pub(crate) importance: u8,
    /// Blanks before it.
    gap: usize,
}

impl Item {
    pub(crate) fn new(importance: u8, text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::new(), importance, gap: 2 }
    }

    pub(crate) fn style(self, style: Style) -> Self {
        Self { style, ..self }
    }

    /// Belongs to the item before it.
    pub(crate) fn close(self) -> Self {
        Self { gap: 1, ..self }
    }
}

/// The items in at most so many lines.
pub(crate) fn flow(mut items: Vec<Item>, look: Look, width: usize, most: usize) -> Vec<Line<'static>> {
    for item in &mut items {
        item.text = look.fit(&item.text, width);
    }
    items.retain(|item| !item.text.is_empty());
    loop {
        let lines = wrap(&items, width);
        let least = items.iter().map(|item| item.importance).min();
        let greatest = items.iter().map(|item| item.importance).max();
        if lines.len() <= most || least == greatest {
            return lines.into_iter().take(most).collect();
        }
        items.retain(|item| Some(item.importance) != least);
    }
}

fn wrap(items: &[Item], width: usize) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'static>> = Vec::new();
    let mut used = 0;
    for item in items {
        let cells = item.text.width();
        match lines.last_mut() {
            Some(line) if used + item.gap + cells <= width => {
                line.push_span(Span::raw(" ".repeat(item.gap)));
                line.push_span(Span::styled(item.text.clone(), item.style));
                used += item.gap + cells;
            }
            _ => {
                lines.push(Line::from(Span::styled(item.text.clone(), item.style)));
                used = cells;
            }
        }
    }
    lines
}

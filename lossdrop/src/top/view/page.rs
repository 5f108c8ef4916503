//! Pages of text, longer than the screen.

use ratatui::{
    style::Style,
    text::{Line, Span},
};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::look::{Look, pad};

/// Words need some cells, even if they are cut then.
const NARROWEST: usize = 8;

/// Lines, and how to add to them.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) look: Look,
    pub(crate) width: usize,
    /// For a file: what is to be copied stays whole.
    pub(crate) whole: bool,
    pub(crate) lines: Vec<Line<'static>>,
}

impl Page {
    pub(crate) fn new(look: Look, width: usize) -> Self {
        Self { look, width, whole: false, lines: Vec::new() }
    }

    pub(crate) fn push(&mut self, spans: Vec<Span<'static>>) {
        self.lines.push(Line::from(spans));
    }

    /// Parts what follows from what was before.
    pub(crate) fn blank(&mut self) {
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
    }

    pub(crate) fn heading(&mut self, text: &str) {
        self.blank();
        self.push(vec![self.look.span(text, Look::head())]);
    }

    /// Text in as many lines as it takes, so far to the right; none for none.
    pub(crate) fn wrap(&mut self, indent: usize, style: Style, text: &str) {
        if !text.is_empty() {
            self.beside(Span::raw(" ".repeat(indent)), style, text);
        }
    }

    /// The same beside a label, with everything below the first word.
    pub(crate) fn beside(&mut self, label: Span<'static>, style: Style, text: &str) {
        let indent = label.content.width();
        let text = self.look.clean(text);
        let options = textwrap::Options::new(self.width.saturating_sub(indent).max(NARROWEST))
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        let mut label = Some(label);
        for line in textwrap::wrap(&text, options) {
            let label = label.take().unwrap_or_else(|| Span::raw(" ".repeat(indent)));
            self.push(vec![label, Span::styled(line.into_owned(), style)]);
        }
    }

    /// Short things beside a label, as many in a line as there is room for; none is parted.
    pub(crate) fn list(&mut self, label: Span<'static>, gap: usize, items: impl IntoIterator<Item = String>) {
        let indent = label.content.width();
        let mut label = Some(label);
        let mut line = String::new();
        for item in items.into_iter().map(Some).chain([None]) {
            let item = item.map(|item| self.look.clean(&item));
            let more = item.as_ref().map_or(usize::MAX / 2, |item| gap + item.width());
            if !line.is_empty() && indent + line.width() + more > self.width {
                let label = label.take().unwrap_or_else(|| Span::raw(" ".repeat(indent)));
                self.beside(label, Style::new(), &std::mem::take(&mut line));
            }
            line.push_str(&" ".repeat(if line.is_empty() { 0 } else { gap }));
            line.push_str(&item.unwrap_or_default());
        }
    }

    /// What is to be copied: it begins at the first cell, goes on at the first cell, and nothing stands between.
    pub(crate) fn verbatim(&mut self, style: Style, text: &str) {
        let text = self.look.clean(text);
        let width = if self.whole { usize::MAX } else { self.width.max(1) };
        let mut line = String::new();
        let mut used = 0;
        for c in text.chars() {
            let cells = c.width().unwrap_or(0);
            if used + cells > width {
                self.push(vec![Span::styled(std::mem::take(&mut line), style)]);
                used = 0;
            }
            line.push(c);
            used += cells;
        }
        self.push(vec![Span::styled(line, style)]);
    }
}

/// The title of a page, from edge to edge.
pub(crate) fn bar(text: &str, look: Look, width: usize) -> Line<'static> {
    Line::styled(pad(&look.fit(text, width), width, false), Look::bold().patch(Look::reversed()))
}

/// Lines of a page's title on a screen so high; the last of three is empty.
pub(crate) fn title_height(screen: u16) -> u16 {
    match screen {
        0..12 => 1,
        12..30 => 2,
        30.. => 3,
    }
}

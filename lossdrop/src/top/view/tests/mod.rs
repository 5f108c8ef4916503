//! What users see, as snapshots: `INSTA_UPDATE=always cargo test -p lossdrop` writes them anew.

pub(in crate::top) mod fixture;
mod pages;
mod random;
mod screens;
mod themes;

use ratatui::{Terminal, backend::TestBackend, buffer::Buffer, layout::Rect};

use super::*;

pub(in crate::top) const DARK: Look = Look { theme: Theme::Dark, utf8: true };
pub(in crate::top) const ASCII: Look = Look { theme: Theme::Mono, utf8: false };

/// The screen, and where the cursor is.
fn drawn(state: &State, look: Look, width: u16, height: u16) -> (Buffer, Position) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal.draw(|frame| draw(frame, state, &look)).expect("a frame");
    let cursor = terminal.get_cursor_position().expect("a cursor");
    (terminal.backend().buffer().clone(), cursor)
}

/// The screen's lines, with a frame, so that its edges are seen.
fn screen(state: &State, look: Look, (width, height): (u16, u16)) -> String {
    let (buffer, _) = drawn(state, look, width, height);
    let edge = "─".repeat(width.into());
    let lines: String = texts(&buffer).iter().map(|line| format!("│{line}│\n")).collect();
    format!("┌{edge}┐\n{lines}└{edge}┘")
}

fn texts(buffer: &Buffer) -> Vec<String> {
    let Rect { width, height, .. } = buffer.area;
    let cell = |x, y| buffer.cell((x, y)).map_or("", |cell| cell.symbol());
    (0..height)
        .map(|y| {
            let mut line = String::new();
            let mut x = 0;
            while x < width {
                line.push_str(cell(x, y));
                x += u16::try_from(unicode_width::UnicodeWidthStr::width(cell(x, y)).max(1)).expect("a cell");
            }
            line
        })
        .collect()
}

/// The screen at several sizes.
fn screens(state: &State, look: Look, sizes: &[(u16, u16)]) -> String {
    let screens = sizes
        .iter()
        .map(|(width, height)| format!("{width} x {height}\n{}", screen(state, look, (*width, *height))));
    screens.collect::<Vec<_>>().join("\n\n")
}

fn area(width: u16, height: u16) -> Rect {
    Rect { x: 0, y: 0, width, height }
}

//! What the themes promise.

use ratatui::{
    buffer::Cell,
    style::{Color, Modifier},
};

use super::{fixture::*, *};
use crate::top::state::{Asked, Message};

fn states() -> Vec<State> {
    let mut loud = state();
    loud.header.books.lost = 3;
    loud.header.details_lost = 4;
    loud.paused = true;
    loud.message = Some(Message { text: "no such file".to_owned(), is_error: true });
    let help = State { mode: Mode::Help { scroll: 0 }, ..state() };
    let menu = State { mode: Mode::GroupMenu { chosen: 1 }, ..state() };
    let details = [mtu_detail(), unexplained_detail()].map(|detail| opened(detail, 0));
    let states = [state(), devices(), empty(), loud, help, menu, asking(Asked::Filter, "x", Some("y"))];
    states.into_iter().chain(details).collect()
}

/// Every cell of every screen.
fn cells(theme: Theme) -> Vec<Cell> {
    let look = Look { theme, utf8: true };
    states().iter().flat_map(|state| drawn(state, look, 120, 60).0.content().to_vec()).collect()
}

#[test]
fn mono_has_no_colour_and_the_others_have_no_background() {
    assert!(cells(Theme::Mono).iter().all(|cell| cell.fg == Color::Reset));
    for theme in [Theme::Mono, Theme::Light, Theme::Dark] {
        assert!(cells(theme).iter().all(|cell| cell.bg == Color::Reset), "{theme:?}");
    }
}

#[test]
fn light_has_only_colours_that_can_be_read_on_white() {
    let readable = [Color::Reset, Color::Red, Color::Magenta, Color::Blue];
    assert!(cells(Theme::Light).iter().all(|cell| readable.contains(&cell.fg)));
    assert!(cells(Theme::Light).iter().any(|cell| cell.fg == Color::Blue));
}

/// The first cell of a text.
fn cell_of(state: &State, theme: Theme, text: &str) -> Cell {
    let (buffer, _) = drawn(state, Look { theme, utf8: true }, 120, 24);
    let lines = texts(&buffer);
    let y = lines.iter().position(|line| line.contains(text)).expect(text);
    let x = lines[y].split(text).next().map(|before| before.chars().count()).expect(text);
    buffer.content()[y * 120 + x].clone()
}

#[test]
fn a_severity_is_a_colour_and_a_letter() {
    let colours = ["F  netfilter", "C  socket", "P  socket", "B  housekeeping"]
        .map(|text| cell_of(&state(), Theme::Dark, text).fg);
    assert_eq!(colours, [Color::LightRed, Color::LightMagenta, Color::Yellow, Color::Reset]);
    assert!(cell_of(&state(), Theme::Mono, "B  housekeeping").modifier.contains(Modifier::DIM));
}

#[test]
fn losses_are_loud_and_only_losses() {
    let quiet = cell_of(&state(), Theme::Dark, "lost 0");
    assert_eq!((quiet.fg, quiet.modifier), (Color::Reset, Modifier::empty()));
    let mut state = state();
    state.header.books.lost = 3;
    let loud = cell_of(&state, Theme::Dark, "lost 3");
    assert_eq!((loud.fg, loud.modifier), (Color::LightRed, Modifier::BOLD));
}

#[test]
fn the_selected_row_is_reversed_from_edge_to_edge() {
    let (buffer, _) = drawn(&state(), DARK, 80, 24);
    let y = texts(&buffer).iter().position(|line| line.contains("▶F  mtu")).expect("a row");
    let line = &buffer.content()[y * 80..(y + 1) * 80];
    assert!(line.iter().all(|cell| cell.modifier.contains(Modifier::REVERSED)));
    let above = &buffer.content()[(y - 1) * 80..y * 80];
    assert!(!above.iter().any(|cell| cell.modifier.contains(Modifier::REVERSED)));
}

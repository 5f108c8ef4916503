//! The mouse, as terminals tell of it.

use anyhow::{Context, Result};
use lossdrop_lab::tmux::Screen;

use crate::Story;
use crate::table::{column, head, rows, says, selected};

/// Buttons of the SGR encoding.
const LEFT: u8 = 0;
const WHEEL_UP: u8 = 64;
const WHEEL_DOWN: u8 = 65;

impl Story {
    /// A press at a cell, counted from 0.
    fn press(&self, button: u8, column: usize, line: usize) -> Result<()> {
        self.terminal.send_text(&format!("\x1b[<{button};{};{}M", column + 1, line + 1))
    }

    fn is_selected(&self, index: usize) -> Result<Screen> {
        self.terminal.wait_for(&format!("row {index} is selected"), |screen| selected(screen) == Some(index))
    }

    /// By flow and name, so that there are more than two rows and they stay where they are.
    fn by_flow(&self) -> Result<Screen> {
        self.terminal.send_keys(&["8", "N", "Home"])?;
        self.terminal.wait_for("flows", |screen| {
            says(screen, "FLOW▲") && rows(screen).len() > 3 && selected(screen) == Some(0)
        })
    }
}

#[test]
fn a_click_selects_a_row_and_another_one_opens_it() -> Result<()> {
    let story = Story::named()?;
    let screen = story.by_flow()?;
    let row = &rows(&screen)[2];
    story.press(LEFT, 20, row.line)?;
    story.is_selected(2)?;
    story.press(LEFT, 40, row.line)?;
    let name = row.text.split_whitespace().nth(1).context("no name")?;
    story.terminal.wait_for("the row is open", |screen| {
        screen[0].starts_with(" FAULT  ") && screen[0].contains(name)
    })?;
    Ok(())
}

#[test]
fn the_wheel_moves_the_selection_and_scrolls_a_page() -> Result<()> {
    let story = Story::named()?;
    story.by_flow()?;
    story.press(WHEEL_DOWN, 20, 10)?;
    story.is_selected(3)?;
    story.press(WHEEL_UP, 20, 10)?;
    story.is_selected(0)?;
    story.terminal.send_keys(&["1"])?;
    story.wait_until_named()?;
    let page = story.open_mtu()?;
    let fourth = page[2 + 3 + 1].clone();
    story.press(WHEEL_DOWN, 20, 10)?;
    story.terminal.wait_for("three lines on", |screen| screen[3] == fourth || screen[2] == fourth)?;
    Ok(())
}

#[test]
fn a_click_on_a_head_sorts_by_it_and_another_one_turns_it_round() -> Result<()> {
    let story = Story::named()?;
    let screen = story.terminal.screen()?;
    let line = head(&screen).context("no heads")?;
    let at = column(&screen[line], "RATE/s").context("no RATE/s")?;
    story.press(LEFT, at + 2, line)?;
    story.terminal.wait_for_text("RATE/s▼")?;
    story.press(LEFT, at + 2, line)?;
    story.terminal.wait_for_text("RATE/s▲")?;
    Ok(())
}

#[test]
fn a_click_in_a_menu_chooses() -> Result<()> {
    let story = Story::named()?;
    story.terminal.send_keys(&["g"])?;
    let menu = story.terminal.wait_for_text(" group by ─")?;
    let line = menu.iter().position(|line| line.contains(" 7 port")).context("no port")?;
    let at = column(&menu[line], "port").context("no port")?;
    story.press(LEFT, at, line)?;
    story.terminal.wait_for_text("by port ")?;
    story.wait_for_sum("by port")?;
    Ok(())
}

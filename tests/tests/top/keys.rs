//! What single keys do: hold, begin anew, write, help; and a screen that changes its size.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use lossdrop_lab::lossdrop::top_command;
use lossdrop_lab::tmux::Screen;
use lossdrop_lab::{Folder, Lab, Lossdrop};
use serde_json::Value;

use crate::table::{balances, head, number, rows, says, sum};
use crate::{FAST, Story};

#[test]
fn a_screen_that_is_held_stands_still_and_then_catches_up() -> Result<()> {
    let mut story = Story::named()?;
    story.terminal.send_keys(&["Space"])?;
    let held = story.terminal.wait_for_text("PAUSED")?;
    // Somebody else tells when the drops have come and some intervals have passed.
    let frames = ["--json", "--interval", "300ms"];
    let other = Lossdrop::launch(&mut top_command(&story.lab.namespaces(), &frames)?)?;
    let before = story.shot.total();
    story.fire()?;
    let new = story.shot.total() - before;
    let said = |line: &String| line.contains(&format!("\"shown\":{new},"));
    other.wait_for("four frames with all of them", |lines| {
        lines.iter().filter(|line| said(line)).count() >= 4
    })?;
    ensure!(story.terminal.screen()? == held, "{held:#?}\n{:#?}", story.terminal.screen()?);
    story.terminal.send_keys(&["Space"])?;
    let screen = story.wait_until_named()?;
    ensure!(!says(&screen, "PAUSED"), "{screen:#?}");
    balances(&screen)
}

#[test]
fn counts_begin_anew_when_asked_to() -> Result<()> {
    let mut story = Story::named()?;
    story.terminal.send_keys(&["r"])?;
    let screen = story.terminal.wait_for_text("no drops so far")?;
    ensure!(rows(&screen).is_empty() && number(&screen, "shown")? == 0, "{screen:#?}");
    story.shot = story.lab.fire()?;
    balances(&story.wait_until_named()?)
}

impl Story {
    /// Asks for a file.
    fn write(&self, path: &str) -> Result<()> {
        self.terminal.send_keys(&["w"])?;
        self.terminal.wait_for_text("write to: ")?;
        self.terminal.send_keys(&["C-u"])?;
        self.terminal.enter(path)
    }
}

#[test]
fn what_is_seen_is_written_as_text_and_as_json() -> Result<()> {
    let story = Story::named()?;
    let folder = Folder::new()?;
    let [text, json, page] = ["drops.txt", "drops.json", "page.txt"].map(|name| folder.path().join(name));
    let written = |path: &std::path::Path| -> Result<String> {
        story.write(&path.to_string_lossy())?;
        story.terminal.wait_for_text(&format!("written to {}", path.display()))?;
        ensure!(fs::metadata(path)?.permissions().mode() & 0o777 == 0o600, "others can read it");
        Ok(fs::read_to_string(path)?)
    };
    let lines: Vec<String> = written(&text)?.lines().map(str::to_owned).collect();
    ensure!(sum(&lines) == story.shot.total() && rows(&lines).len() == 2, "{lines:#?}");
    balances(&lines)?;

    let frame: Value = serde_json::from_str(&written(&json)?)?;
    let totals: Vec<_> =
        frame["rows"].as_array().context("no rows")?.iter().map(|row| &row["total"]).collect();
    ensure!(frame["accounting"]["shown"] == story.shot.total() && totals.len() == 2, "{frame}");
    ensure!(totals.iter().filter_map(|total| total.as_u64()).sum::<u64>() == story.shot.total(), "{frame}");

    story.open_mtu()?;
    let page = written(&page)?;
    let (_, web) = story.names();
    let fix = format!("ip -n {web} link set eth0 mtu 1500");
    ensure!(page.starts_with(" FAULT  mtu veth-peer") && page.lines().any(|line| line == fix), "{page}");
    Ok(())
}

#[test]
fn a_file_that_is_there_is_not_written_over() -> Result<()> {
    let story = Story::named()?;
    let folder = Folder::new()?;
    let path = folder.path().join("mine.txt");
    fs::write(&path, "mine")?;
    story.write(&path.to_string_lossy())?;
    story.terminal.wait_for_text("exists already: give another name")?;
    ensure!(fs::read_to_string(&path)? == "mine");
    // What was typed is still there to be changed.
    story.terminal.send_keys(&["BSpace", "BSpace", "BSpace", "BSpace"])?;
    story.terminal.enter("-2.txt")?;
    story.terminal.wait_for_text("written to ")?;
    ensure!(folder.path().join("mine-2.txt").is_file());
    story.write("/proc/no/such/folder.txt")?;
    story.terminal.wait_for_text("cannot write /proc/no/such/folder.txt: No such file or directory")?;
    Ok(())
}

#[test]
fn the_help_tells_the_keys_and_goes_away() -> Result<()> {
    let story = Story::open(FAST)?;
    story.terminal.send_keys(&["?"])?;
    let help = story.terminal.wait_for_text("PgDn Ctrl-F")?;
    ensure!(says(&help, "begin to count anew") && says(&help, "why, and what to type"), "{help:#?}");
    story.terminal.send_keys(&["End"])?;
    story.terminal.wait_for_text("Marks")?;
    story.terminal.send_keys(&["q"])?;
    story.terminal.wait_for_text("no drops so far")?;
    Ok(())
}

#[test]
fn the_table_follows_the_size_of_the_screen() -> Result<()> {
    let story = Story::named()?;
    let wide = story.wait_until_named()?;
    story.terminal.resize(60, 20)?;
    let narrow = story.terminal.wait_for("a table of 60 cells", |screen| {
        let head = screen.iter().find(|line| line.contains("CULPRIT"));
        screen.len() == 20
            && head.is_some_and(|head| head.ends_with("RATE/s"))
            && screen.last().is_some_and(|foot| foot.contains("q quit"))
    })?;
    ensure!(says(&narrow, "netfilter rule") && says(&narrow, "mtu veth-peer"), "{narrow:#?}");
    ensure!(narrow.iter().all(|line| line.chars().count() <= 60), "{narrow:#?}");
    story.terminal.resize(100, 30)?;
    let back = story.wait_until_named()?;
    let heads = |screen: &Screen| head(screen).map(|head| screen[head].clone());
    ensure!(heads(&back) == heads(&wide) && back.last() == wide.last(), "{wide:#?}\n{back:#?}");
    Ok(())
}

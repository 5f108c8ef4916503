//! The live view, as it is read off a screen.

use anyhow::{Context, Result, ensure};
use lossdrop_lab::tmux::Screen;

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) text: String,
    pub(crate) total: u64,
    /// No share by a sample, which has a `~`.
    pub(crate) is_exact: bool,
    /// `F`, `C`, `P` or `B`.
    pub(crate) severity: Option<char>,
    pub(crate) is_selected: bool,
    /// The line of the screen that it stands on, from 0.
    pub(crate) line: usize,
}

/// The line of the heads.
pub(crate) fn head(screen: &Screen) -> Option<usize> {
    screen.iter().position(|line| line.contains(" S") && line.contains("TOTAL"))
}

/// The cell, from 0, in which a text begins.
pub(crate) fn column(line: &str, text: &str) -> Option<usize> {
    line.find(text).map(|at| line[..at].chars().count())
}

/// The rows that are on the screen.
pub(crate) fn rows(screen: &Screen) -> Vec<Row> {
    let Some(head) = head(screen) else { return Vec::new() };
    let Some(end) = total_ends(&screen[head]) else { return Vec::new() };
    let lines = screen.iter().enumerate().skip(head + 1).take_while(|(_, line)| !line.is_empty());
    let rows = lines.filter_map(|(line, text)| {
        let cells: String = text.chars().take(end).collect();
        let number = cells.split_whitespace().last()?;
        Some(Row {
            text: text.clone(),
            total: number.trim_start_matches('~').replace(',', "").parse().ok()?,
            is_exact: !number.starts_with('~'),
            severity: text.chars().nth(1),
            is_selected: text.starts_with('▶'),
            line,
        })
    });
    rows.collect()
}

/// The numbers of that column end where its head does, mark and all.
fn total_ends(head: &str) -> Option<usize> {
    let marked = ["TOTAL▼", "TOTAL▲", "TOTAL"].into_iter().find(|title| head.contains(title))?;
    column(head, marked).map(|start| start + marked.chars().count())
}

/// The only row that has all these words.
pub(crate) fn row(screen: &Screen, words: &[&str]) -> Option<Row> {
    let mut found = rows(screen).into_iter().filter(|row| words.iter().all(|word| row.text.contains(word)));
    found.next().filter(|_| found.next().is_none())
}

pub(crate) fn sum(screen: &Screen) -> u64 {
    rows(screen).iter().map(|row| row.total).sum()
}

pub(crate) fn selected(screen: &Screen) -> Option<usize> {
    rows(screen).iter().position(|row| row.is_selected)
}

/// What stands above the table, in one line.
pub(crate) fn header(screen: &Screen) -> String {
    let lines = &screen[..head(screen).unwrap_or(screen.len())];
    lines.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The number behind a word of the header.
pub(crate) fn number(screen: &Screen, word: &str) -> Result<u64> {
    let header = header(screen);
    let mut words = header.split(' ').skip_while(|have| *have != word).skip(1);
    let number = words.next().with_context(|| format!("no {word} in {header:?}"))?;
    number.replace(',', "").parse().with_context(|| format!("{word} {number}"))
}

/// That every drop is in one place.
pub(crate) fn balances(screen: &Screen) -> Result<()> {
    let [seen, shown, suppressed, filtered, lost] =
        ["seen", "shown", "suppressed", "filtered", "lost"].map(|word| number(screen, word));
    let header = header(screen);
    ensure!(seen? == shown? + suppressed? + filtered? + lost?, "the books do not balance: {header}");
    Ok(())
}

/// That the words stand on the screen.
pub(crate) fn says(screen: &Screen, words: &str) -> bool {
    screen.iter().any(|line| line.contains(words))
}

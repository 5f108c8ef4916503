//! The table: which columns have room, and what stands in their cells.

use ratatui::{
    layout::{Position, Rect},
    style::Style,
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::{
    Hit,
    look::{self, Look, pad},
    page::Page,
};
use crate::{
    live::lens::{GroupBy, Mix, Row, SortBy, Table},
    text::thousands,
    top::state::State,
};

/// What a cell is made of.
struct Cell<'a> {
    look: Look,
    row: &'a Row,
    width: usize,
}

impl Cell<'_> {
    /// Cut so that the number of the others stays.
    fn mix(&self, mix: &Mix) -> String {
        if mix.others == 0 {
            return mix.to_string();
        }
        let others = format!(" +{}", mix.others);
        let room = self.width.saturating_sub(others.len());
        format!("{}{others}", self.look.fit(&Mix { others: 0, ..mix.clone() }.to_string(), room))
    }

    fn total(&self) -> String {
        let about = if self.row.exact { "" } else { "~" };
        let text = format!("{about}{}", thousands(self.row.total));
        if text.len() <= self.width { text } else { format!("{about}{}", look::large(self.row.total as f64)) }
    }
}

/// A column.
struct Column {
    head: fn(&State, usize) -> String,
    /// Cells: at the least, what is comfortable, and at the most.
    widths: fn(GroupBy) -> [usize; 3],
    /// What is least goes first where there is no room.
    importance: fn(GroupBy) -> u8,
    right: bool,
    sort: fn(GroupBy) -> Option<SortBy>,
    /// Shown with this grouping.
    stands: fn(GroupBy) -> bool,
    style: fn(Look, &Row) -> Style,
    cell: fn(&Cell<'_>) -> String,
}

/// Cells of the longest trend.
const TREND: usize = 30;
/// From this importance on a column may be narrower than is comfortable.
const ESSENTIAL: u8 = 7;

fn always(_: GroupBy) -> bool {
    true
}

fn never(_: GroupBy) -> Option<SortBy> {
    None
}

fn plain(_: Look, _: &Row) -> Style {
    Style::new()
}

fn faint(_: Look, _: &Row) -> Style {
    Look::dim()
}

fn severe(look: Look, row: &Row) -> Style {
    look.severity(row.severity)
}

/// From left to right.
static COLUMNS: &[Column] = &[
    Column {
        head: |_, _| "S".to_owned(),
        widths: |_| [1, 1, 1],
        importance: |_| 10,
        right: false,
        sort: |_| Some(SortBy::Severity),
        stands: always,
        style: severe,
        cell: |cell| cell.row.severity.as_str()[..1].to_ascii_uppercase(),
    },
    Column {
        head: |state, _| state.lens.group.title(),
        widths: |group| match group {
            GroupBy::Flow => [8, 34, 90],
            GroupBy::Rule => [8, 28, 60],
            GroupBy::Location | GroupBy::Reason => [8, 20, 48],
            _ => [8, 14, 40],
        },
        importance: |_| 9,
        right: false,
        sort: |_| Some(SortBy::Name),
        stands: |group| group != GroupBy::Cause,
        style: |_, _| Look::bold(),
        cell: |cell| cell.row.name.clone(),
    },
    Column {
        head: |_, _| "CAUSE".to_owned(),
        widths: |_| [8, 14, 32],
        importance: |_| 8,
        right: false,
        sort: |group| (group == GroupBy::Cause).then_some(SortBy::Name),
        stands: always,
        style: severe,
        cell: |cell| cell.mix(&cell.row.cause),
    },
    Column {
        head: |_, _| "CULPRIT".to_owned(),
        widths: |group| if group == GroupBy::Cause { [8, 28, 90] } else { [8, 18, 60] },
        // The first column says more where it is not the cause.
        importance: |group| if group == GroupBy::Cause { 7 } else { 5 },
        right: false,
        sort: never,
        // Rules are culprits.
        stands: |group| group != GroupBy::Rule,
        style: plain,
        cell: |cell| cell.mix(&cell.row.culprit),
    },
    Column {
        head: |_, _| "REASON".to_owned(),
        widths: |_| [14, 14, 32],
        importance: |_| 2,
        right: false,
        sort: never,
        stands: |group| group != GroupBy::Reason,
        style: plain,
        cell: |cell| cell.mix(&cell.row.reason),
    },
    Column {
        head: |_, _| "LOCATION".to_owned(),
        widths: |_| [16, 16, 40],
        importance: |_| 1,
        right: false,
        sort: never,
        stands: |group| group != GroupBy::Location,
        style: plain,
        cell: |cell| cell.mix(&cell.row.location),
    },
    Column {
        head: |_, _| "NETNS".to_owned(),
        widths: |_| [8, 8, 24],
        importance: |_| 5,
        right: false,
        sort: never,
        stands: |group| group != GroupBy::Namespace,
        style: plain,
        cell: |cell| cell.mix(&cell.row.netns),
    },
    Column {
        head: |_, _| "RATE/s".to_owned(),
        widths: |_| [7, 7, 7],
        importance: |_| 11,
        right: true,
        sort: |_| Some(SortBy::Rate),
        stands: always,
        style: |_, _| Look::bold(),
        cell: |cell| look::rate(cell.row.rate),
    },
    Column {
        head: |_, _| "TOTAL".to_owned(),
        widths: |_| [9, 9, 16],
        importance: |_| 6,
        right: true,
        sort: |_| Some(SortBy::Total),
        stands: always,
        style: plain,
        cell: |cell| cell.total(),
    },
    Column {
        head: |_, _| "SHARE".to_owned(),
        widths: |_| [5, 5, 5],
        importance: |_| 3,
        right: true,
        sort: never,
        stands: always,
        style: plain,
        cell: |cell| look::percent(cell.row.share),
    },
    Column {
        head: |state, width| look::span(state.header.interval.as_secs_f64() * width as f64),
        widths: |_| [8, 8, TREND],
        importance: |_| 4,
        right: false,
        sort: never,
        stands: always,
        style: faint,
        cell: |cell| {
            pad(&cell.look.spark(&cell.row.history, cell.width.min(TREND)), cell.width.min(TREND), true)
        },
    },
];

/// A column that has room.
struct Placed {
    column: &'static Column,
    /// Its place among all columns.
    index: usize,
    /// The first cell.
    x: usize,
    width: usize,
}

/// Cells before the sentence that stands for an empty table.
const INDENT: usize = 2;
/// The cell before the first column, for the selected row's mark.
const MARK: usize = 1;
/// Below this columns stand close.
const ROOMY: usize = 60;

const fn gap(width: usize) -> usize {
    if width < ROOMY { 1 } else { 2 }
}

/// The columns that have room, from left to right.
fn place(state: &State, look: Look, width: usize) -> Vec<Placed> {
    let group = state.lens.group;
    let mut placed = admitted(state, width);
    let taken: usize = placed.iter().map(|column| column.width + gap(width)).sum();
    let mut spare = (width + gap(width)).saturating_sub(MARK + taken);
    // Up to what is comfortable, then up to what the cells hold, the most important first.
    let wishes: Vec<usize> = placed.iter().map(|placed| wish(placed.column, state, look)).collect();
    for limit in [1, 2] {
        for (Placed { column, width, .. }, wish) in placed.iter_mut().zip(&wishes) {
            let most = (column.widths)(group)[limit];
            let more = (*wish).min(most).saturating_sub(*width).min(spare);
            *width += more;
            spare -= more;
        }
    }
    let elastic = |placed: &&mut Placed| {
        let Column { right, importance, widths, .. } = placed.column;
        !right && importance(group) >= ESSENTIAL && widths(group)[2] > 1
    };
    if let Some(elastic) = placed.iter_mut().filter(elastic).last() {
        elastic.width += spare;
    }
    placed.sort_by_key(|placed| placed.index);
    let mut x = MARK;
    for placed in &mut placed {
        placed.x = x;
        x += placed.width + gap(width);
    }
    placed
}

/// The columns that have room, at their least width, the most important first: the essential ones as long as they fit at all,
/// others only if they make none of them uncomfortable.
fn admitted(state: &State, width: usize) -> Vec<Placed> {
    let group = state.lens.group;
    let mut wanted: Vec<(u8, usize, &Column)> = COLUMNS
        .iter()
        .enumerate()
        .filter(|(_, column)| (column.stands)(group))
        .map(|(index, column)| (importance(column, state), index, column))
        .collect();
    wanted.sort_by_key(|(importance, ..)| std::cmp::Reverse(*importance));
    let mut placed: Vec<Placed> = Vec::new();
    let [mut least, mut comfortable] = [MARK; 2];
    for (importance, index, column) in wanted {
        let [at_least, comfort, _] = (column.widths)(group);
        let before = if placed.is_empty() { 0 } else { gap(width) };
        least += before + at_least;
        comfortable += before + comfort;
        if (if importance >= ESSENTIAL { least } else { comfortable }) > width {
            break;
        }
        placed.push(Placed { column, index, x: 0, width: at_least });
    }
    placed
}

/// What the rows are sorted by is to be seen.
fn importance(column: &Column, state: &State) -> u8 {
    let (sorts, own) = ((column.sort)(state.lens.group), (column.importance)(state.lens.group));
    if sorts == Some(state.lens.sort) { own.max(ESSENTIAL + 1) } else { own }
}

/// Cells that the widest entry takes.
fn wish(column: &Column, state: &State, look: Look) -> usize {
    let entry = |row| look.clean(&(column.cell)(&Cell { look, row, width: usize::MAX })).width();
    let head = look.clean(&(column.head)(state, 0)).width();
    state.table.rows.iter().map(entry).max().unwrap_or(0).max(head)
}

/// The heads; that of the column that sorts is marked.
fn head(state: &State, look: Look, placed: &[Placed], width: usize) -> Line<'static> {
    let mut line = Vec::new();
    let mut x = 0;
    for placed in placed {
        let text = title(state, look, placed);
        let x_of = if placed.column.right { placed.x + placed.width - text.width() } else { placed.x };
        line.push(Span::raw(" ".repeat(x_of.saturating_sub(x))));
        x = x.max(x_of) + text.width();
        line.push(Span::raw(text));
    }
    line.push(Span::raw(" ".repeat(width.saturating_sub(x))));
    Line::from(line).style(Look::head())
}

fn title(state: &State, look: Look, placed: &Placed) -> String {
    let lens = &state.lens;
    let title = (placed.column.head)(state, placed.width);
    if (placed.column.sort)(lens.group) != Some(lens.sort) {
        return look.fit(&title, placed.width);
    }
    // Names begin with the first, numbers with the largest.
    let up = (lens.sort == SortBy::Name) != lens.reversed;
    let mark = if up { look.pick("▲", "^") } else { look.pick("▼", "v") };
    // The head of a column of one cell takes the gap, too.
    let title = look.fit(&title, placed.width.saturating_sub(1).max(1));
    format!("{title}{mark}")
}

fn line(row: &Row, look: Look, placed: &[Placed], width: usize, selected: bool) -> Line<'static> {
    let mark = if selected { look.pick("▶", ">") } else { " " };
    let mut line = vec![Span::raw(mark)];
    let mut x = MARK;
    for Placed { column, x: from, width, .. } in placed {
        line.push(Span::raw(" ".repeat(from.saturating_sub(x))));
        let text = look.fit(&(column.cell)(&Cell { look, row, width: *width }), *width);
        line.push(Span::styled(pad(&text, *width, column.right), (column.style)(look, row)));
        x = from + width;
    }
    line.push(Span::raw(" ".repeat(width.saturating_sub(x))));
    Line::from(line).style(if selected { Look::reversed() } else { Style::new() })
}

/// Instead of a table without rows: what is not among them.
fn empty(state: &State, look: Look, width: usize) -> Vec<Line<'static>> {
    let header = &state.header;
    let mut page = Page::new(look, width);
    page.wrap(INDENT, Look::bold(), "no drops so far");
    let hidden = [
        (header.benign, "benign drops are hidden (b shows them)"),
        (header.unselected, "drops are of causes or severities that were not asked for (/ changes that)"),
        (header.books.filtered, "drops are not what the filter asks for (/ changes it)"),
    ];
    for (count, what) in hidden.into_iter().filter(|(count, _)| *count > 0) {
        page.wrap(INDENT, Style::new(), &format!("{} {what}", thousands(count)));
    }
    page.lines
}

/// The heads and the rows that are on the screen.
pub(super) fn screen(state: &State, look: Look, body: Rect) -> Vec<Line<'static>> {
    let Table { rows, .. } = &state.table;
    if rows.is_empty() {
        return empty(state, look, body.width.into());
    }
    let width = usize::from(body.width);
    let placed = place(state, look, width);
    let seen = rows.iter().skip(state.offset).take(body.height.into());
    let selected = |row: &Row| state.selected == Some(row.key);
    let lines = seen.map(|row| line(row, look, &placed, width, selected(row)));
    std::iter::once(head(state, look, &placed, width)).chain(lines).collect()
}

/// The heads and all rows, for a file.
pub(crate) fn all(state: &State, look: Look, width: usize) -> Vec<Line<'static>> {
    if state.table.rows.is_empty() {
        return empty(state, look, width);
    }
    let placed = place(state, look, width);
    let lines = state.table.rows.iter().map(|row| line(row, look, &placed, width, false));
    std::iter::once(head(state, look, &placed, width)).chain(lines).collect()
}

/// What a click into the table means.
pub(super) fn hit(state: &State, look: Look, body: Rect, position: Position) -> Option<Hit> {
    if state.table.rows.is_empty() {
        return None;
    }
    let below = usize::from(position.y - body.y);
    if let Some(row) = below.checked_sub(1) {
        let index = state.offset + row;
        return (index < state.table.rows.len()).then_some(Hit::Row(index));
    }
    let x = usize::from(position.x - body.x);
    let placed = place(state, look, body.width.into());
    let column = placed.iter().rfind(|placed| placed.x <= x && x <= placed.x + placed.width)?;
    (column.column.sort)(state.lens.group).map(Hit::Sort)
}

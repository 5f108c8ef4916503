//! What is on the screen, and what the user did to it. It knows no terminal.

mod order;

use std::{mem, time::Duration};

use super::keys::Action;
use crate::{
    drops::accounting::Accounting,
    drops::select::Selection,
    filter::{FilterArgs, FilterLine},
    live::{
        detail::RowDetail,
        lens::{GroupBy, Lens, Row, RowKey, SortBy, Table},
        model::Model,
    },
};

/// What every frame says of the whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Header {
    pub host: String,
    /// As `uname -r` says.
    pub kernel: String,
    /// Since the counting began.
    pub up: Duration,
    /// Nanoseconds since 1970, UTC: when the counters were read.
    pub unix_ns: i128,
    pub interval: Duration,
    /// Drops a second that are shown: in the last interval, and in the last minute.
    pub rate: f64,
    pub rate_1m: f64,
    /// The same in each interval, the latest last.
    pub history: Vec<f64>,
    pub books: Accounting,
    /// Noise that is hidden.
    pub benign: u64,
    /// Drops that the selection refuses.
    pub unselected: u64,
    /// Details that the ring buffer had no room for; their drops are counted.
    pub details_lost: u64,
    /// As typed; "none" for none.
    pub filter: String,
}

/// What keys do.
#[derive(Clone, Debug)]
pub(crate) enum Mode {
    /// The table.
    Table,
    /// A row, opened, scrolled down by so many lines.
    Detail {
        detail: Box<RowDetail>,
        scroll: usize,
    },
    Help {
        scroll: usize,
    },
    GroupMenu {
        chosen: usize,
    },
    SortMenu {
        chosen: usize,
    },
    /// A line is typed.
    Prompt(Prompt),
}

/// A line that the user types.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    pub what: Asked,
    pub text: String,
    /// In characters.
    pub cursor: usize,
    /// What was wrong with it.
    pub error: Option<String>,
    /// The row that was open, and how far it was scrolled: back there it goes.
    pub opened: Option<(Box<RowDetail>, usize)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Filter,
    File,
}

/// Something to tell, at the bottom of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub text: String,
    pub is_error: bool,
}

/// Everything that a frame is drawn from.
#[derive(Debug)]
pub(crate) struct State {
    pub header: Header,
    pub table: Table,
    pub lens: Lens,
    /// The screen is held still.
    pub paused: bool,
    pub selected: Option<RowKey>,
    /// The user has selected it: else it is the first row, whichever that is.
    pub chosen: bool,
    /// Rows above the first one on the screen.
    pub offset: usize,
    pub mode: Mode,
    pub message: Option<Message>,
    /// The order of the rows at the last refresh: they keep it unless one clearly overtakes.
    pub order: Vec<RowKey>,
}

/// What the terminal shows of the state: how far a page goes, and how many lines the open one has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub page: usize,
    pub lines: usize,
}

/// A change to the line that is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    Insert(char),
    Backspace,
    Delete,
    Left,
    Right,
    Start,
    End,
    /// The whole line.
    Clear,
    Accept,
    Cancel,
}

/// What the state cannot do by itself.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// The table is to be made anew.
    Refresh,
    /// A row was opened: its culprit is to be looked for now.
    Survey,
    Quit,
    Filter(Box<FilterArgs>, Selection),
    Write(String),
    Copy(String),
    Reset,
    Redraw,
    Suspend,
}

impl State {
    pub(crate) fn new(lens: Lens, header: Header) -> Self {
        Self {
            header,
            table: Table::default(),
            lens,
            paused: false,
            selected: None,
            chosen: false,
            offset: 0,
            mode: Mode::Table,
            message: None,
            order: Vec::new(),
        }
    }

    /// Makes the table of what has come.
    pub(crate) fn show(&mut self, model: &Model) {
        let mut table = model.table(&self.lens);
        // A row whose culprit is named meanwhile keeps its place.
        let before: Vec<RowKey> = self.order.iter().map(|key| model.follow(*key).unwrap_or(*key)).collect();
        order::sort(&mut table.rows, &self.lens, &before);
        self.order = table.rows.iter().map(|row| row.key).collect();
        // The sum of nothing is -0.0.
        let shown = |rate: fn(&Row) -> f64| table.rows.iter().map(rate).sum::<f64>() + 0.0;
        let intervals = table.rows.iter().map(|row| row.history.len()).max().unwrap_or(0);
        let at = |index: usize| table.rows.iter().filter_map(|row| row.history.get(index)).sum::<f64>() + 0.0;
        let header = &mut self.header;
        header.rate = shown(|row| row.rate);
        header.rate_1m = shown(|row| row.rate_1m);
        header.history = (0..intervals).map(at).collect();
        header.benign = table.benign;
        header.unselected = table.unselected;
        header.details_lost = model.details_lost();
        header.books = model.books(&table);
        let index = self.selected_index().filter(|_| self.chosen);
        self.table = table;
        self.keep_selection(model, index);
        self.reopen(model);
    }

    /// The index of the selected row.
    pub(crate) fn selected_index(&self) -> Option<usize> {
        let selected = self.selected?;
        self.table.rows.iter().position(|row| row.key == selected)
    }

    pub(crate) fn selected_row(&self) -> Option<&Row> {
        self.table.rows.get(self.selected_index()?)
    }

    /// The selection stays with its row, else with what became of it, else in its place.
    fn keep_selection(&mut self, model: &Model, index: Option<usize>) {
        self.selected = self.selected.filter(|_| self.chosen);
        let follow = self.selected.and_then(|key| model.follow(key));
        let has = |key: RowKey| self.table.rows.iter().any(|row| row.key == key);
        let in_place = || {
            let last = self.table.rows.len().checked_sub(1)?;
            Some(self.table.rows[index.unwrap_or(0).min(last)].key)
        };
        self.selected =
            self.selected.filter(|key| has(*key)).or(follow.filter(|key| has(*key))).or_else(in_place);
    }

    /// An open row shows what is known of it now.
    fn reopen(&mut self, model: &Model) {
        let Mode::Detail { detail, .. } = &mut self.mode else { return };
        let key = detail.row.key;
        let wanted = [Some(key), model.follow(key)];
        let row =
            wanted.into_iter().flatten().find_map(|key| self.table.rows.iter().find(|row| row.key == key));
        if let Some(row) = row {
            **detail = model.detail(row, &self.lens, self.header.up);
        }
    }

    /// Opens the selected row.
    pub(crate) fn open(&mut self, model: &Model) {
        if let Some(row) = self.selected_row() {
            let detail = Box::new(model.detail(row, &self.lens, self.header.up));
            self.mode = Mode::Detail { detail, scroll: 0 };
            self.chosen = true;
        }
    }

    /// The rows' numbers mean others from now on: nothing is open, selected or in order.
    pub(crate) fn forget(&mut self) {
        match &mut self.mode {
            Mode::Detail { .. } => self.mode = Mode::Table,
            Mode::Prompt(prompt) => prompt.opened = None,
            Mode::Table | Mode::Help { .. } | Mode::GroupMenu { .. } | Mode::SortMenu { .. } => {}
        }
        (self.paused, self.selected, self.chosen, self.offset) = (false, None, false, 0);
        self.order.clear();
    }

    pub(crate) fn say(&mut self, text: impl Into<String>, is_error: bool) {
        self.message = Some(Message { text: text.into(), is_error });
    }

    /// Does what a key stands for; the rest is for others to do.
    pub(crate) fn act(&mut self, action: Action, model: &Model, extent: Extent) -> Option<Effect> {
        self.message = None;
        match &mut self.mode {
            Mode::GroupMenu { chosen } | Mode::SortMenu { chosen } if is_move(action) => {
                *chosen = chosen.saturating_add_signed(step(action, 1));
                self.clamp_menu();
                None
            }
            Mode::Detail { scroll, .. } | Mode::Help { scroll } if is_move(action) => {
                let last = extent.lines.saturating_sub(extent.page);
                *scroll = scroll.saturating_add_signed(step(action, extent.page)).min(last);
                None
            }
            Mode::Table if is_move(action) => {
                self.select_by(step(action, extent.page), extent.page);
                None
            }
            Mode::GroupMenu { chosen } if action == Action::Open => {
                let group = GroupBy::ALL.get(*chosen).copied()?;
                Some(self.group(group))
            }
            Mode::SortMenu { chosen } if action == Action::Open => {
                let sort = SortBy::ALL.get(*chosen).copied()?;
                Some(self.sort(sort))
            }
            Mode::Table => self.act_on_table(action, model),
            _ => self.act_on_page(action),
        }
    }

    fn act_on_table(&mut self, action: Action, model: &Model) -> Option<Effect> {
        match action {
            Action::Open => {
                self.open(model);
                matches!(self.mode, Mode::Detail { .. }).then_some(Effect::Survey)
            }
            Action::Back | Action::Quit => Some(Effect::Quit),
            other => self.act_anywhere(other),
        }
    }

    /// Pages and menus close by the keys that quit, and by the one that opened them.
    fn act_on_page(&mut self, action: Action) -> Option<Effect> {
        let opened_by = match &self.mode {
            Mode::Detail { .. } => Action::Open,
            Mode::Help { .. } => Action::Help,
            Mode::GroupMenu { .. } => Action::GroupMenu,
            Mode::SortMenu { .. } => Action::SortMenu,
            Mode::Table | Mode::Prompt(_) => Action::Back,
        };
        if action == opened_by || matches!(action, Action::Back | Action::Quit) {
            self.mode = Mode::Table;
            return None;
        }
        self.act_anywhere(action)
    }

    fn act_anywhere(&mut self, action: Action) -> Option<Effect> {
        match action {
            Action::Help => self.mode = Mode::Help { scroll: 0 },
            Action::GroupMenu => self.mode = Mode::GroupMenu { chosen: place(GroupBy::ALL, self.lens.group) },
            Action::SortMenu => self.mode = Mode::SortMenu { chosen: place(SortBy::ALL, self.lens.sort) },
            Action::Group(group) => return Some(self.group(group)),
            Action::Sort(sort) => return Some(self.sort(sort)),
            Action::Reverse => {
                self.lens.reversed = !self.lens.reversed;
                self.order.clear();
                return Some(Effect::Refresh);
            }
            Action::Pause => {
                self.paused = !self.paused;
                return Some(Effect::Refresh);
            }
            Action::Benign => {
                self.lens.benign = !self.lens.benign;
                return Some(Effect::Refresh);
            }
            Action::Filter => self.ask(Asked::Filter, self.filter_line()),
            Action::Write => self.ask(Asked::File, self.file_name()),
            Action::Copy => return self.copy(),
            Action::Reset => return Some(Effect::Reset),
            Action::Redraw => return Some(Effect::Redraw),
            Action::Suspend => return Some(Effect::Suspend),
            Action::Up
            | Action::Down
            | Action::PageUp
            | Action::PageDown
            | Action::First
            | Action::Last
            | Action::Open
            | Action::Back
            | Action::Quit => {}
        }
        None
    }

    fn group(&mut self, group: GroupBy) -> Effect {
        self.mode = Mode::Table;
        if self.lens.group != group {
            self.lens.group = group;
            (self.selected, self.chosen, self.offset) = (None, false, 0);
            self.order.clear();
        }
        Effect::Refresh
    }

    fn sort(&mut self, sort: SortBy) -> Effect {
        if !matches!(self.mode, Mode::Detail { .. } | Mode::Help { .. }) {
            self.mode = Mode::Table;
        }
        self.lens.reversed = self.lens.sort == sort && !self.lens.reversed;
        self.lens.sort = sort;
        self.order.clear();
        Effect::Refresh
    }

    fn copy(&mut self) -> Option<Effect> {
        let Mode::Detail { detail, .. } = &self.mode else {
            self.say("open a row first (Enter): its commands can be copied", false);
            return None;
        };
        let fix = detail.fixes().next().map(str::to_owned);
        if fix.is_none() {
            self.say("there is no command to copy", false);
        }
        fix.map(Effect::Copy)
    }

    /// Moves the selection, and the rows so that it is seen.
    pub(crate) fn select_by(&mut self, by: isize, page: usize) {
        let Some(last) = self.table.rows.len().checked_sub(1) else { return };
        let index = self.selected_index().unwrap_or(0).saturating_add_signed(by).min(last);
        self.select(index, page);
    }

    pub(crate) fn select(&mut self, index: usize, page: usize) {
        let Some(row) = self.table.rows.get(index) else { return };
        (self.selected, self.chosen) = (Some(row.key), true);
        self.scroll_to_selection(page);
    }

    /// So that the selected row is on a screen of so many rows.
    pub(crate) fn scroll_to_selection(&mut self, page: usize) {
        let page = page.max(1);
        let index = self.selected_index().unwrap_or(0);
        let most = self.table.rows.len().saturating_sub(page);
        self.offset = self.offset.min(index).max((index + 1).saturating_sub(page)).min(most);
    }

    /// The wheel moves what lies beneath it: the rows, or the lines of a page.
    pub(crate) fn wheel(&mut self, lines: isize, extent: Extent) {
        match &mut self.mode {
            Mode::Table => self.select_by(lines, extent.page),
            Mode::Detail { scroll, .. } | Mode::Help { scroll } => {
                let last = extent.lines.saturating_sub(extent.page);
                *scroll = scroll.saturating_add_signed(lines).min(last);
            }
            Mode::GroupMenu { chosen } | Mode::SortMenu { chosen } => {
                *chosen = chosen.saturating_add_signed(lines.signum());
                self.clamp_menu();
            }
            Mode::Prompt(_) => {}
        }
    }

    /// The entry of the open menu.
    pub(crate) fn choose(&mut self, index: usize) {
        if let Mode::GroupMenu { chosen } | Mode::SortMenu { chosen } = &mut self.mode {
            *chosen = index;
        }
        self.clamp_menu();
    }

    fn clamp_menu(&mut self) {
        match &mut self.mode {
            Mode::GroupMenu { chosen } => *chosen = (*chosen).min(GroupBy::ALL.len() - 1),
            Mode::SortMenu { chosen } => *chosen = (*chosen).min(SortBy::ALL.len() - 1),
            Mode::Table | Mode::Detail { .. } | Mode::Help { .. } | Mode::Prompt(_) => {}
        }
    }

    fn ask(&mut self, what: Asked, text: String) {
        let cursor = text.chars().count();
        let opened = match mem::replace(&mut self.mode, Mode::Table) {
            Mode::Detail { detail, scroll } => Some((detail, scroll)),
            Mode::Table
            | Mode::Help { .. }
            | Mode::GroupMenu { .. }
            | Mode::SortMenu { .. }
            | Mode::Prompt(_) => None,
        };
        self.mode = Mode::Prompt(Prompt { what, text, cursor, error: None, opened });
    }

    /// The filters in use, as they can be typed.
    fn filter_line(&self) -> String {
        let filter = Some(self.header.filter.as_str()).filter(|filter| *filter != "none");
        let selection = self.lens.selection.to_string();
        let parts = filter.into_iter().chain(Some(selection.as_str()).filter(|text| !text.is_empty()));
        parts.collect::<Vec<_>>().join(" ").replace(", ", " ")
    }

    fn file_name(&self) -> String {
        let time = jiff::Timestamp::from_nanosecond(self.header.unix_ns).unwrap_or_default();
        format!("lossdrop-{}.txt", time.strftime("%Y%m%d-%H%M%S"))
    }

    /// Changes the line that is typed. One that cannot be understood stays, with what is wrong.
    pub(crate) fn edit(&mut self, edit: Edit) -> Option<Effect> {
        let Mode::Prompt(prompt) = &mut self.mode else { return None };
        let Prompt { what, text, cursor, error, opened: _ } = prompt;
        let byte = |text: &str, at: usize| text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte);
        let len = text.chars().count();
        match edit {
            Edit::Insert(char) => {
                text.insert(byte(text, *cursor), char);
                *cursor += 1;
            }
            Edit::Backspace if *cursor > 0 => {
                *cursor -= 1;
                text.remove(byte(text, *cursor));
            }
            Edit::Delete if *cursor < len => {
                text.remove(byte(text, *cursor));
            }
            Edit::Left => *cursor = cursor.saturating_sub(1),
            Edit::Right => *cursor = (*cursor + 1).min(len),
            Edit::Start => *cursor = 0,
            Edit::End => *cursor = len,
            Edit::Clear => (*text, *cursor) = (String::new(), 0),
            Edit::Backspace | Edit::Delete => {}
            Edit::Cancel => {
                self.close_prompt();
                return None;
            }
            Edit::Accept => {
                let effect = match what {
                    Asked::Filter => FilterLine::parse(text)
                        .map(|line| Effect::Filter(Box::new(line.filter), line.selection)),
                    Asked::File if text.trim().is_empty() => Err("the name of a file is wanted".to_owned()),
                    Asked::File => Ok(Effect::Write(text.trim().to_owned())),
                };
                // The mode ends when the effect has worked.
                return effect.map_err(|message| *error = Some(message)).ok();
            }
        }
        *error = None;
        None
    }

    /// Back to where the line was asked for.
    pub(crate) fn close_prompt(&mut self) {
        if let Mode::Prompt(prompt) = &mut self.mode {
            self.mode = match prompt.opened.take() {
                Some((detail, scroll)) => Mode::Detail { detail, scroll },
                None => Mode::Table,
            };
        }
    }

    /// The row that is open, or was when a line was asked for.
    pub(crate) fn opened(&self) -> Option<&RowDetail> {
        match &self.mode {
            Mode::Detail { detail, .. } => Some(detail),
            Mode::Prompt(prompt) => prompt.opened.as_ref().map(|(detail, _)| &**detail),
            Mode::Table | Mode::Help { .. } | Mode::GroupMenu { .. } | Mode::SortMenu { .. } => None,
        }
    }

    /// What was typed did not work: it stays, with what is wrong.
    pub(crate) fn refuse(&mut self, message: String) {
        match &mut self.mode {
            Mode::Prompt(prompt) => prompt.error = Some(message),
            _ => self.say(message, true),
        }
    }
}

fn is_move(action: Action) -> bool {
    matches!(
        action,
        Action::Up | Action::Down | Action::PageUp | Action::PageDown | Action::First | Action::Last
    )
}

/// How far a key moves, where a page has so many lines.
fn step(action: Action, page: usize) -> isize {
    /// Further than anything is long, and never an overflow.
    const FAR: isize = isize::MAX / 4;
    let page = isize::try_from(page.max(1)).unwrap_or(FAR);
    match action {
        Action::Up => -1,
        Action::Down => 1,
        Action::PageUp => -page,
        Action::PageDown => page,
        Action::First => -FAR,
        Action::Last => FAR,
        _ => 0,
    }
}

fn place<T: PartialEq>(all: &[T], one: T) -> usize {
    all.iter().position(|known| *known == one).unwrap_or(0)
}

#[cfg(test)]
mod tests;

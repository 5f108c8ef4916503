//! The keys: one table for the dispatch, the help, and the documentation.

use crate::live::lens::{GroupBy, SortBy};

/// What the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Open,
    Back,
    Quit,
    Help,
    GroupMenu,
    SortMenu,
    Group(GroupBy),
    Sort(SortBy),
    Reverse,
    Pause,
    Benign,
    Filter,
    Write,
    Reset,
    Copy,
    Suspend,
    Redraw,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding {
    pub action: Action,
    /// The names of the keys, as the user sees them.
    pub keys: &'static str,
    pub help: &'static str,
    /// A word for the last line of the screen; empty for what does not stand there.
    pub hint: &'static str,
}

const fn binding(action: Action, keys: &'static str, help: &'static str, hint: &'static str) -> Binding {
    Binding { action, keys, help, hint }
}

/// All of them, in the order of the help. [`GroupBy`] and [`SortBy`] have keys of their own beside these.
pub(crate) const BINDINGS: &[Binding] = &[
    binding(Action::Up, "↑ k", "the row above; in a page, up", ""),
    binding(Action::Down, "↓ j", "the row below; in a page, down", "select"),
    binding(Action::PageUp, "PgUp Ctrl-B", "a page up", ""),
    binding(Action::PageDown, "PgDn Ctrl-F", "a page down", ""),
    binding(Action::First, "Home", "the first row", ""),
    binding(Action::Last, "End G", "the last row", ""),
    binding(
        Action::Open,
        "Enter Tab",
        "why, and what to type: the finding, flows, a packet, the stack, the history",
        "why & fix",
    ),
    binding(Action::Back, "Esc", "back; from the table, quit", ""),
    binding(
        Action::GroupMenu,
        "g",
        "group by cause, reason, location, device, namespace, process, port, flow or rule",
        "group",
    ),
    binding(Action::SortMenu, "s", "sort by severity, rate, total or name", "sort"),
    binding(Action::Reverse, "i", "reverse the order", ""),
    binding(
        Action::Filter,
        "/",
        "filter: port 80 host 10.0.0.1 cause mtu severity fault; counts begin anew where the kernel filters",
        "filter",
    ),
    binding(Action::Benign, "b", "show or hide benign noise", "benign"),
    binding(Action::Pause, "Space", "hold the screen still; counting goes on", "pause"),
    binding(
        Action::Write,
        "w",
        "write what is seen to a file, as text, or as JSON if its name ends so",
        "write",
    ),
    binding(Action::Copy, "c", "copy the first command that helps to the terminal's clipboard (OSC 52)", ""),
    binding(Action::Reset, "r", "begin to count anew", ""),
    binding(Action::Redraw, "Ctrl-L", "draw the screen anew", ""),
    binding(Action::Suspend, "Ctrl-Z", "to the shell; fg comes back", ""),
    binding(Action::Help, "? h", "these keys", "help"),
    binding(Action::Quit, "q Ctrl-C", "quit; from a page, back to the table", "quit"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `docs/top.md`.
    fn documented() -> String {
        let mut text = "| key | |\n|---|---|\n".to_owned();
        let mut row = |keys: &str, help: &str| {
            let keys: Vec<String> = keys.split(' ').map(|key| format!("`{key}`")).collect();
            text.push_str(&format!("| {} | {help} |\n", keys.join(" ")));
        };
        for binding in BINDINGS {
            row(binding.keys, binding.help);
        }
        for group in GroupBy::ALL {
            row(&group.key().to_string(), &format!("group by {}", group.word()));
        }
        for sort in SortBy::ALL {
            row(&sort.key().to_string(), &format!("sort by {}; again, reversed", sort.word()));
        }
        text.push_str("| mouse | a click selects a row, a second one opens it; one on a column's head sorts; the wheel moves |\n");
        text
    }

    #[test]
    fn the_documentation_has_every_key() {
        let document = include_str!("../../../docs/top.md");
        assert!(document.contains(&documented()), "docs/top.md wants this table:\n{}", documented());
    }

    #[test]
    fn every_action_is_reported_in_a_few_words() {
        for binding in BINDINGS {
            assert!(!binding.keys.is_empty() && !binding.help.is_empty(), "{binding:?}");
            assert!(binding.help.len() <= 100, "{binding:?}");
        }
    }
}

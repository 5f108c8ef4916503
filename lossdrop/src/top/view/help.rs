//! The keys and the marks, explained.

use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::{
    look::{Look, pad},
    page::{self, Page},
};
use crate::{
    knowledge::Severity,
    live::lens::{GroupBy, SortBy},
    top::keys::BINDINGS,
};

/// Cells of the left column.
const KEYS: usize = 13;
/// Below this there is one column.
const NARROW: usize = 36;

const MOUSE: [(&str, &str); 3] = [
    ("row", "a click selects it, one on the selected row opens it"),
    ("head", "a click sorts by it, a second one reverses"),
    ("wheel", "up and down"),
];

const MARKS: [(&str, &str); 3] = [
    ("~", "before a total: about; the kernel's exact count was shared by a sample"),
    ("+2", "behind a name: the most frequent, and how many others there are"),
    ("lost", "drops that nothing here tells of; it should be 0"),
];

fn meaning(severity: Severity) -> (&'static str, &'static str) {
    match severity {
        Severity::Fault => ("F fault", "something is wrong"),
        Severity::Capacity => ("C capacity", "a limit was hit"),
        Severity::Policy => ("P policy", "it was asked for"),
        Severity::Benign => ("B benign", "normal work; hidden unless b shows it"),
    }
}

pub(super) fn title(look: Look, width: usize) -> Vec<Line<'static>> {
    vec![page::bar(" lossdrop top: keys and marks", look, width)]
}

pub(super) fn page(look: Look, width: usize) -> Page {
    let mut page = Page::new(look, width);
    for binding in BINDINGS {
        entry(&mut page, binding.keys, binding.help);
    }
    page.heading("Group by");
    page.list(Span::raw("  "), 3, GroupBy::ALL.iter().map(|by| format!("{} {}", by.key(), by.word())));
    page.heading("Sort by");
    page.list(Span::raw("  "), 3, SortBy::ALL.iter().map(|by| format!("{} {}", by.key(), by.word())));
    page.heading("Mouse");
    for (what, text) in MOUSE {
        entry(&mut page, what, text);
    }
    page.heading("Severity");
    for severity in Severity::ALL.into_iter().rev() {
        let (name, text) = meaning(severity);
        entry(&mut page, name, text);
    }
    page.heading("Marks");
    for (what, text) in MARKS {
        entry(&mut page, what, text);
    }
    page
}

/// A key and what it does, beside each other or below.
fn entry(page: &mut Page, what: &str, text: &str) {
    let what = page.look.clean(what);
    if page.width < NARROW {
        page.wrap(2, Look::bold(), &what);
        page.wrap(4, Style::new(), text);
        return;
    }
    let first = format!("  {}", pad(&what, KEYS, false));
    page.beside(Span::styled(first, Look::bold()), Style::new(), text);
}

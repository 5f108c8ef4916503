//! The explanation for people, in lines of at most [`WIDTH`] characters.

use std::fmt::Write as _;

use super::{
    Subject,
    json::{kinds_of, noise},
    refinements, when,
};
use crate::{
    kernel::reasons::Reasons,
    knowledge::{Cause, KINDS, Kind, Location, Reason, Severity},
};

const WIDTH: usize = 96;

/// The text behind its beginning, wrapped between words; each line after the first is indented as far as the beginning
/// is long. A line that one word or command fills may be longer.
fn wrapped(beginning: &str, text: &str) -> String {
    let indent = beginning.chars().count();
    let (mut lines, mut column) = (beginning.to_owned(), indent);
    for word in words(text) {
        let len = word.chars().count();
        if column > indent && column + 1 + len > WIDTH {
            // Writing to a String does not fail.
            let _ = write!(lines, "\n{:indent$}", "");
            column = indent;
        } else if column > indent {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(&word);
        column += len;
    }
    lines
}

/// Words, where a command in backquotes is one: it is to be copied.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match words.last_mut() {
            Some(last) if !last.matches('`').count().is_multiple_of(2) => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

/// A name and what belongs to it, in columns.
fn field(name: &str, value: &str, out: &mut String) {
    let _ = writeln!(out, "{}", wrapped(&format!("  {name:<11} "), value));
}

/// A list under its heading.
fn list(heading: &str, items: &[&str], out: &mut String) {
    let _ = writeln!(out, "\n{heading}");
    for item in items {
        let _ = writeln!(out, "{}", wrapped("  - ", item));
    }
}

fn advice(kind: &Kind, out: &mut String) {
    list("Usual causes", kind.causes, out);
    list("What to look at", kind.look, out);
    list("What helps", kind.fixes, out);
}

/// A meaning, and where it is not always the same severity, when it is which.
fn judged(severity: Severity, noise: &str) -> String {
    match noise {
        "never" => severity.to_string(),
        "always" => "benign: hidden by default".to_owned(),
        when => format!("benign {when}, else {severity}"),
    }
}

fn row(row: &Location, out: &mut String) {
    field("applies", &when(row), out);
    field("meaning", row.meaning, out);
    field("kind", &format!("{}: {}", row.kind, row.kind.title), out);
    field("severity", &judged(row.severity, noise(&row.noise)), out);
    field("confidence", row.confidence.as_str(), out);
}

fn reason(reason: &Reason, reasons: &Reasons, out: &mut String) {
    let number = match reasons.number(reason.name) {
        Some(number) => format!(" (number {number} on this kernel)"),
        None if reasons.is_empty() => String::new(),
        None => " (this kernel does not have it)".to_owned(),
    };
    let _ = writeln!(out, "{}, a drop reason{number}\n", reason.name);
    field("meaning", reason.meaning, out);
    field("kind", &format!("{}: {}", reason.kind, reason.kind.title), out);
    field("severity", &judged(reason.severity, noise(&reason.noise)), out);
    field("confidence", reason.confidence.as_str(), out);
    if reason.kind.cause != Cause::Unknown {
        advice(reason.kind, out);
    }
    for refined in refinements(reason) {
        let functions = refined.symbols.join(", ");
        let _ = writeln!(out, "\n{}", wrapped("It means something else in ", &functions));
        row(refined, out);
    }
    if matches!(reason.name, "NOT_SPECIFIED" | "NOT_DROPPED_YET" | "QUEUE_PURGE") {
        let _ = writeln!(out, "\nThe function decides: lossdrop explain FUNCTION");
    }
}

fn function(name: &str, rows: &[&'static Location], out: &mut String) {
    let _ = writeln!(out, "{name}, a function of the kernel that drops packets");
    for found in rows {
        out.push('\n');
        row(found, out);
    }
    let kinds = kinds_of(rows);
    for kind in &kinds {
        if kinds.len() > 1 {
            let _ = writeln!(out, "\n--- {kind}: {}", kind.title);
        }
        advice(kind, out);
    }
}

fn kind(kind: &Kind, out: &mut String) {
    let _ = writeln!(out, "{kind}: {}\n", kind.title);
    field("severity", kind.severity.as_str(), out);
    let (reasons, functions) = (kind.reasons(), kind.functions());
    if !reasons.is_empty() {
        field("reasons", &reasons.join(", "), out);
    }
    if !functions.is_empty() {
        field("functions", &functions.join(", "), out);
    }
    if reasons.is_empty() && functions.is_empty() {
        field("recognised", "by the facts of the drop, or by counters", out);
    }
    advice(kind, out);
}

fn cause(cause: Cause, out: &mut String) {
    let kinds = || KINDS.iter().filter(|kind| kind.cause == cause);
    let _ = writeln!(out, "{cause}, a cause of drops: its kinds\n");
    let width = kinds().map(|kind| kind.to_string().len()).max().unwrap_or(0);
    for kind in kinds() {
        let beginning = format!("  {kind:<width$}  {:<8}  ", kind.severity);
        let _ = writeln!(out, "{}", wrapped(&beginning, kind.title));
    }
    let _ = writeln!(out, "\nMore of each: lossdrop explain KIND");
}

pub(super) fn explanation(subject: &Subject, reasons: &Reasons) -> String {
    let mut out = String::new();
    match subject {
        Subject::Reason(row) => reason(row, reasons, &mut out),
        Subject::Function(name, rows) => function(name, rows, &mut out),
        Subject::Kind(known) => kind(known, &mut out),
        Subject::Cause(known) => cause(*known, &mut out),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_between_words_and_indented() {
        let text = wrapped("  - ", "word ".repeat(40).trim_end());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH && !line.ends_with(' ')), "{text}");
        assert!(lines[0].starts_with("  - word word") && lines[1].starts_with("    word"), "{text}");
        let command = format!("`{}`", "word ".repeat(10).trim_end());
        let text = wrapped("  - ", &format!("{} {command}, end", "word ".repeat(15)));
        assert_eq!(text.lines().nth(1), Some(format!("    {command}, end").as_str()));
        let long = "w".repeat(WIDTH + 10);
        assert_eq!(wrapped("  - ", &format!("{long} end")), format!("  - {long}\n    end"));
    }
}

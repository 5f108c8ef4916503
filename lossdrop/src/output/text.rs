//! Aligned lines for people.

use std::{fmt::Write as _, io::Write as _};

use anstyle::{AnsiColor, Style};
use jiff::{Timestamp, tz::TimeZone};

use super::{Format, Group, Summary};
use crate::{
    capture::Needs,
    drops::{Drop, packet},
    knowledge::Severity,
    text::{duration, thousands},
};

const TITLES: [&str; 7] = ["TIME", "CAUSE", "REASON", "WHERE", "NETNS", "DEV", "PACKET"];
/// The columns' widths to begin with. A longer entry widens its column for the lines that follow.
const WIDTHS: [usize; 6] = [12, 18, 15, 24, 16, 6];
/// No entry widens its column beyond this.
const WIDEST: usize = 40;
/// Rows of the summary.
const GROUPS: usize = 20;

/// Writes lines for people.
#[derive(Debug)]
pub(crate) struct Text {
    color: bool,
    /// Bytes of each packet to dump; 0 for no dump.
    hex: u32,
    /// Show the stack.
    stack: bool,
    zone: TimeZone,
    widths: [usize; 6],
}

impl Text {
    /// `hex`: bytes of each packet to dump, 0 for no dump.
    pub(crate) fn new(color: bool, hex: u32, stack: bool, zone: TimeZone) -> Self {
        Self { color, hex, stack, zone, widths: WIDTHS }
    }

    fn styled(&self, style: Style, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// The cells, padded to their columns, in their styles; the last column is as wide as it is.
    fn row(&mut self, cells: [(&str, Style); 7], out: &mut Vec<u8>) {
        let mut line = String::new();
        for (column, (text, style)) in cells.iter().enumerate() {
            line.push_str(&self.styled(*style, text));
            if let Some(width) = self.widths.get_mut(column) {
                let len = text.chars().count();
                *width = (*width).max(len.min(WIDEST));
                line.extend(std::iter::repeat_n(' ', width.saturating_sub(len) + 2));
            }
        }
        line.push('\n');
        out.extend_from_slice(line.as_bytes());
    }

    fn time(&self, unix_ns: i128) -> String {
        match Timestamp::from_nanosecond(unix_ns) {
            Ok(time) => time.to_zoned(self.zone.clone()).strftime("%H:%M:%S%.3f").to_string(),
            Err(_) => "-".to_owned(),
        }
    }
}

/// The colour of a severity.
fn style(severity: Severity) -> Style {
    match severity {
        Severity::Fault => AnsiColor::Red.on_default(),
        Severity::Capacity => AnsiColor::Magenta.on_default(),
        Severity::Policy => AnsiColor::Yellow.on_default(),
        Severity::Benign => Style::new().dimmed(),
    }
}

impl Format for Text {
    fn needs(&self) -> Needs {
        Needs { snaplen: self.hex, stack: self.stack, facts: false }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        let bold = Style::new().bold();
        self.row(TITLES.map(|title| (title, bold)), out);
    }

    fn drop(&mut self, drop: &Drop<'_>, out: &mut Vec<u8>) {
        let described = &drop.described;
        let dim = Style::new().dimmed();
        let verdict = &drop.verdict;
        let plain = if verdict.assessment.severity == Severity::Benign { dim } else { Style::new() };
        let time = self.time(drop.unix_ns);
        let inum = format!("net:{}", drop.event.key.netns);
        let netns = match drop.event.key.netns {
            0 => "-",
            _ => drop.netns.map_or(inum.as_str(), |netns| &netns.name),
        };
        let iface = drop.iface();
        let iface = if iface.is_empty() { "-" } else { &iface };
        let mut what = packet::line(&drop.event);
        if let Some(owner) = drop.owner {
            // Writing to a String does not fail.
            let _ = write!(what, "  {}[{}]", owner.comm, owner.pid);
        }
        let reason = described.reason.as_deref().unwrap_or("-");
        self.row(
            [
                (&time, dim),
                (&verdict.assessment.kind.words(), style(verdict.assessment.severity)),
                (reason, plain),
                (&described.location, plain),
                (netns, plain),
                (iface, plain),
                (&what, plain),
            ],
            out,
        );
        let stack = if self.stack { drop.stack() } else { Vec::new() };
        for frame in stack {
            let line = self.styled(dim, &format!("              {frame}"));
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        }
        if self.hex > 0 {
            dump(drop.packet, out);
        }
    }

    fn end(&mut self, summary: &Summary, out: &mut Vec<u8>) {
        let text = self.summary(summary);
        out.extend_from_slice(text.as_bytes());
    }
}

impl Text {
    fn summary(&self, summary: &Summary) -> String {
        let books = summary.accounting;
        let mut lines = vec![String::new()];
        let total: u64 = summary.groups.iter().map(|group| group.count).sum::<u64>() + summary.other;
        lines.push(format!("{} in {}", drops(total), duration(summary.elapsed)));
        let width = |text: fn(&Group) -> usize| summary.groups.iter().map(text).max().unwrap_or(0);
        let reasons = width(|group| group.reason.as_deref().unwrap_or("-").len());
        let symbols = width(|group| group.symbol.len());
        let causes = width(|group| group.kind.words().len());
        for group in summary.groups.iter().take(GROUPS) {
            let reason = format!("{:<reasons$}", group.reason.as_deref().unwrap_or("-"));
            let cause = format!("{:<causes$}", group.kind.words());
            let noise = if group.benign() { "noise: " } else { "" };
            lines.push(format!(
                "{:>9}  {}  {reason}  {:<symbols$}  {}",
                thousands(group.count),
                self.styled(style(group.severity), &cause),
                group.symbol,
                self.styled(Style::new().dimmed(), &format!("{noise}{}", group.meaning)),
            ));
        }
        let rest = summary.groups.get(GROUPS..).unwrap_or_default();
        if !rest.is_empty() {
            let count = rest.iter().map(|group| group.count).sum();
            lines.push(format!("{:>9}  of other kinds (--json lists all)", thousands(count)));
        }
        if summary.other != 0 {
            lines.push(format!(
                "{:>9}  of kinds for which the key table had no room (--keys makes it larger)",
                thousands(summary.other)
            ));
        }
        let [parts @ .., lost] = books.terms();
        let red = AnsiColor::Red.on_default().bold();
        let lost = if books.lost == 0 { lost } else { self.styled(red, &lost) };
        lines.push(format!("{} {lost}", parts.join(" ")));
        let rationed = books.suppressed.saturating_sub(books.benign + books.unselected);
        if books.benign != 0 {
            lines.push(format!("suppressed: {} benign (--all shows them)", thousands(books.benign)));
        }
        if books.unselected != 0 {
            lines.push(format!(
                "suppressed: {} of causes and severities that were not asked for (--cause, --severity)",
                thousands(books.unselected)
            ));
        }
        if rationed != 0 {
            lines.push(format!(
                "suppressed: {} counted without detail (--rate raises the ration)",
                thousands(rationed)
            ));
        }
        if books.lost != 0 {
            lines.push(
                "lost: counted above, but their details found no room (--buffer makes it larger)".to_owned(),
            );
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

fn drops(count: u64) -> String {
    if count == 1 { "1 drop".to_owned() } else { format!("{} drops", thousands(count)) }
}

/// 16 bytes a line, with their offset and as text.
fn dump(bytes: &[u8], out: &mut Vec<u8>) {
    for (row, chunk) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String =
            chunk.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect();
        // Writing to a Vec does not fail.
        let _ = writeln!(out, "              {:04x}  {:<47}  {text}", row * 16, hex.join(" "));
    }
}

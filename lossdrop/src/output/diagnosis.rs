//! A diagnosis for people.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::text::thousands;
use crate::{
    diagnose::finding::{CounterLine, Diagnosis, Finding, Size},
    knowledge::Severity,
};

/// Where the text of a finding begins.
const INDENT: &str = "             ";
/// The text's width on a terminal that is wider, or on none.
const WIDEST: usize = 120;
const NARROWEST: usize = 60;
/// Cells of a histogram's longest bar.
const BAR: u64 = 24;
/// Lengths that a histogram shows.
const SIZES: usize = 8;

/// How it is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Paper {
    pub color: bool,
    /// Columns of the terminal; `None` for no terminal.
    pub width: Option<usize>,
}

impl Paper {
    fn width(self) -> usize {
        self.width.unwrap_or(WIDEST).clamp(NARROWEST, WIDEST)
    }

    fn styled(self, style: Style, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// The text in lines that fit, all of them indented.
    fn wrap(self, text: &str) -> String {
        let options = textwrap::Options::new(self.width()).initial_indent(INDENT).subsequent_indent(INDENT);
        textwrap::fill(text, options)
    }

    /// The whole of it.
    pub fn draw(self, diagnosis: &Diagnosis) -> String {
        let mut out = self.headline(diagnosis);
        for (index, finding) in diagnosis.findings.iter().enumerate() {
            out.push('\n');
            out.push_str(&self.finding(index + 1, finding));
        }
        if !diagnosis.counters.is_empty() {
            out.push('\n');
            out.push_str(&self.counters(&diagnosis.counters));
        }
        out.push('\n');
        if !diagnosis.ruled_out.is_empty() {
            let ruled_out: Vec<&str> =
                diagnosis.ruled_out.iter().map(|ruled_out| ruled_out.what.as_str()).collect();
            out.push_str(&self.list("Ruled out:", &ruled_out.join(" · ")));
        }
        if !diagnosis.benign.is_empty() {
            let noise: Vec<String> = diagnosis
                .benign
                .iter()
                .map(|noise| format!("{} {}", thousands(noise.count), noise.kind.title))
                .collect();
            let total: u64 = diagnosis.benign.iter().map(|noise| noise.count).sum();
            out.push_str(&self.list("Benign:", &format!("{} ({})", thousands(total), noise.join(" · "))));
        }
        for note in &diagnosis.notes {
            out.push_str(&self.list("Note:", note));
        }
        let books = diagnosis.accounting;
        let lost = format!("lost {}", thousands(books.lost));
        let red = AnsiColor::Red.on_default().bold();
        // Writing to a String does not fail, here and below.
        let _ = writeln!(
            out,
            "seen {} = shown {} + suppressed {} + filtered {} + {}",
            thousands(books.seen),
            thousands(books.shown),
            thousands(books.suppressed),
            thousands(books.filtered),
            if books.lost == 0 { lost } else { self.styled(red, &lost) },
        );
        out
    }

    fn headline(self, diagnosis: &Diagnosis) -> String {
        let traced: u64 =
            diagnosis.findings.iter().filter(|finding| finding.traced).map(|finding| finding.count).sum();
        let unexplained: u64 = diagnosis
            .findings
            .iter()
            .filter(|finding| finding.cause == "unknown")
            .map(|finding| finding.count)
            .sum();
        let benign: u64 = diagnosis.benign.iter().map(|noise| noise.count).sum();
        let books = diagnosis.accounting;
        let text = format!(
            "Watched {:.1} s on {} (Linux {}): {} seen, {} explained, {} benign, {} unexplained, {} filtered, {} lost.",
            diagnosis.duration_s,
            diagnosis.host,
            diagnosis.kernel,
            drops(books.seen),
            thousands(traced - unexplained),
            thousands(benign),
            thousands(unexplained),
            thousands(books.filtered),
            thousands(books.lost),
        );
        let mut text = textwrap::fill(&text, self.width());
        text.push('\n');
        if diagnosis.findings.is_empty() {
            text.push_str("Nothing is the matter: no drop that anybody waits for.\n");
        }
        text
    }

    fn finding(self, number: usize, finding: &Finding) -> String {
        let severity = finding.severity.as_str().to_ascii_uppercase();
        let what = format!("{}: {}", finding.cause, finding.title);
        let unit =
            if finding.traced { drops(finding.count) } else { format!("{} lost", thousands(finding.count)) };
        let about = if finding.exact { "" } else { "about " };
        let right = format!("{about}{unit}   {}", finding.confidence);
        let left = 13 + what.chars().count();
        let gap = self.width().saturating_sub(left + right.chars().count()).max(3);
        let mut out = format!(
            "{:<3}{}{}{}{right}\n",
            number,
            self.styled(severity_style(finding.severity), &format!("{severity:<10}")),
            self.styled(Style::new().bold(), &what),
            " ".repeat(gap),
        );
        if let Some(culprit) = &finding.culprit {
            let netns = finding.netns.as_deref().map_or_else(String::new, |name| format!(", netns {name}"));
            let _ = writeln!(out, "{INDENT}{}{netns}", self.styled(Style::new().bold(), &culprit.name));
            if !culprit.text.is_empty() {
                let _ = writeln!(out, "{INDENT}  {}", culprit.text);
            }
        }
        out.push_str(&self.wrap(&finding.explanation));
        out.push('\n');
        if !finding.sizes.is_empty() {
            out.push_str(&histogram(&finding.sizes, finding.numbers.get("largest_ip").copied()));
        }
        let since = match (&finding.first_ts, &finding.last_ts) {
            (Some(first), Some(last)) => format!("from {} to {}", clock(first), clock(last)),
            _ => String::new(),
        };
        if !since.is_empty() {
            let _ = writeln!(out, "{INDENT}{}", self.styled(Style::new().dimmed(), &since));
        }
        let width = finding.flows.iter().map(|flow| flow.flow.chars().count()).max().unwrap_or(0);
        for flow in &finding.flows {
            let _ = writeln!(out, "{INDENT}{:<width$}   {}", flow.flow, thousands(flow.count));
        }
        for (index, fix) in finding.fixes.iter().enumerate() {
            let label = if index == 0 { "fix" } else { "or" };
            let command = self.styled(AnsiColor::Green.on_default(), &fix.command);
            let _ = writeln!(out, "{INDENT}{label:<4}{command}");
            if !fix.effect.is_empty() {
                let indent = format!("{INDENT}      ");
                let options =
                    textwrap::Options::new(self.width()).initial_indent(&indent).subsequent_indent(&indent);
                let _ = writeln!(out, "{}", textwrap::fill(&fix.effect, options));
            }
        }
        out
    }

    fn counters(self, counters: &[CounterLine]) -> String {
        let width = |text: fn(&CounterLine) -> &str| {
            counters.iter().map(|line| text(line).chars().count()).max().unwrap_or(0)
        };
        let scopes = width(|line| &line.scope);
        let names = width(|line| &line.name);
        let title = format!("{:<1$}", "Counters that moved", scopes + names + 4);
        let mut out = format!("{}    delta   explained\n", self.styled(Style::new().bold(), &title));
        for line in counters {
            let by = match line.findings.len() {
                0 => String::new(),
                1 => format!("finding {}", line.findings[0]),
                _ => {
                    let numbers: Vec<String> = line.findings.iter().map(ToString::to_string).collect();
                    format!("findings {}", numbers.join(", "))
                }
            };
            let remarks: Vec<&str> =
                [by.as_str(), line.remark.as_str()].into_iter().filter(|text| !text.is_empty()).collect();
            let missing = line.delta.saturating_sub(line.explained);
            let explained = if missing == 0 {
                "all".to_owned()
            } else if line.explained == 0 {
                self.styled(AnsiColor::Yellow.on_default(), "none")
            } else {
                self.styled(AnsiColor::Yellow.on_default(), &format!("{} of them", thousands(line.explained)))
            };
            let _ = writeln!(
                out,
                "  {:<scopes$}  {:<names$} {:>8}   {explained}  {}",
                line.scope,
                line.name,
                thousands(line.delta),
                remarks.join(", "),
            );
        }
        out
    }

    /// A heading and a text that may take several lines.
    fn list(self, heading: &str, text: &str) -> String {
        let options = textwrap::Options::new(self.width()).subsequent_indent("  ");
        let filled = textwrap::fill(&format!("{heading} {text}"), options);
        format!("{}\n", filled.replacen(heading, &self.styled(Style::new().bold(), heading), 1))
    }
}

fn severity_style(severity: Severity) -> Style {
    match severity {
        Severity::Fault => AnsiColor::Red.on_default().bold(),
        Severity::Capacity => AnsiColor::Magenta.on_default().bold(),
        Severity::Policy => AnsiColor::Yellow.on_default().bold(),
        Severity::Benign => Style::new().dimmed(),
    }
}

fn drops(count: u64) -> String {
    if count == 1 { "1 drop".to_owned() } else { format!("{} drops", thousands(count)) }
}

/// The time of day in RFC 3339, to a thousandth of a second.
fn clock(timestamp: &str) -> &str {
    timestamp.get(11..23).unwrap_or(timestamp)
}

/// A bar for each length, and where the largest that passes lies among them.
fn histogram(sizes: &[Size], passes: Option<u64>) -> String {
    let mut shown: Vec<Size> = sizes.to_vec();
    // The most frequent ones, back in their order.
    shown.sort_by_key(|size| std::cmp::Reverse(size.count));
    let rest: u64 = shown.iter().skip(SIZES).map(|size| size.count).sum();
    shown.truncate(SIZES);
    shown.sort_by_key(|size| size.len);
    let most = shown.iter().map(|size| size.count).max().unwrap_or(1);
    let mut out = format!("{INDENT}IP lengths dropped, in bytes:\n");
    if let Some(passes) = passes {
        let _ = writeln!(out, "{INDENT}{passes:>7}  the largest that passes");
    }
    for Size { len, count } in shown {
        let cells = (count * BAR).div_ceil(most);
        let bar: String = std::iter::repeat_n('█', usize::try_from(cells).unwrap_or(1)).collect();
        let _ = writeln!(out, "{INDENT}{len:>7}  {bar} {}", thousands(count));
    }
    if rest > 0 {
        let _ = writeln!(out, "{INDENT}  other  {}", thousands(rest));
    }
    out
}

#[cfg(test)]
mod tests;

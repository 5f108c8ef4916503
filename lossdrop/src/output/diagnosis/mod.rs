//! A diagnosis for people.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::{
    diagnose::finding::{CounterLine, Culprit, Diagnosis, Finding, Flow, Object, Size},
    drops::accounting::Accounting,
    knowledge::{Cause, Severity},
    text::thousands,
};

/// Where the text of a finding begins.
const INDENT: &str = "             ";
/// The text's width on a terminal that is wider, or on none.
const WIDEST: usize = 120;
const NARROWEST: usize = 60;
/// The longest text of a culprit that stands beside its name.
const SHORT: usize = 24;
/// Cells of a histogram's longest bar.
const BAR: u64 = 24;
/// Lengths that a histogram shows.
const SIZES: usize = 8;
/// Cells of a counter's delta, with the gaps beside it.
const DELTA: usize = 12;
/// Cells that a remark beside a counter needs at least; else it has lines of its own.
const REMARK: usize = 24;

/// How it is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paper {
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

    /// The text in lines that fit, with what each begins with. Words are not taken apart: names and commands are to be
    /// copied.
    fn fill(self, first: &str, rest: &str, text: &str) -> String {
        let options = textwrap::Options::new(self.width())
            .initial_indent(first)
            .subsequent_indent(rest)
            .word_splitter(textwrap::WordSplitter::NoHyphenation)
            .break_words(false);
        textwrap::fill(text, options)
    }

    /// As the text of a finding.
    fn wrap(self, text: &str) -> String {
        self.fill(INDENT, INDENT, text)
    }

    /// The whole of it.
    pub(crate) fn draw(self, diagnosis: &Diagnosis) -> String {
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
        out.push_str(&self.books(diagnosis.accounting));
        out
    }

    /// In one line if it fits; losses are red.
    fn books(self, books: Accounting) -> String {
        let [parts @ .., lost] = books.terms();
        let text = self.fill("", "  ", &parts.join(" "));
        let last = text.lines().last().map_or(0, str::len);
        let gap = if last + 1 + lost.len() <= self.width() { " " } else { "\n  " };
        let style = if books.lost == 0 { Style::new() } else { AnsiColor::Red.on_default().bold() };
        format!("{text}{gap}{}\n", self.styled(style, &lost))
    }

    fn headline(self, diagnosis: &Diagnosis) -> String {
        let traced: u64 =
            diagnosis.findings.iter().filter(|finding| finding.traced).map(|finding| finding.count).sum();
        let unexplained: u64 = diagnosis
            .findings
            .iter()
            .filter(|finding| finding.assessment.kind.cause == Cause::Unknown)
            .map(|finding| finding.count)
            .sum();
        let benign: u64 = diagnosis.benign.iter().map(|noise| noise.count).sum();
        let books = diagnosis.accounting;
        let text = format!(
            "Watched {:.1} s on {} ({}): {} seen, {} explained, {} benign, {} unexplained, {} filtered, {} lost.",
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
        let mut text = self.fill("", "", &text);
        text.push('\n');
        if diagnosis.findings.is_empty() {
            text.push_str("Nothing is the matter: no drop that anybody waits for.\n");
        }
        text
    }

    fn finding(self, number: usize, finding: &Finding) -> String {
        let mut out = self.title(number, finding);
        out.push_str(&self.culprit(finding));
        out.push_str(&self.wrap(&finding.explanation));
        out.push('\n');
        if !finding.sizes.is_empty() {
            out.push_str(&histogram(&finding.sizes, finding.numbers.get("largest_ip").copied()));
        }
        if let (Some(first), Some(last)) = (&finding.first_ts, &finding.last_ts) {
            let since = format!("from {} to {} UTC", clock(first), clock(last));
            // Writing to a String does not fail, here and below.
            let _ = writeln!(out, "{INDENT}{}", self.styled(Style::new().dimmed(), &since));
        }
        out.push_str(&self.flows(&finding.flows));
        let fixes =
            finding.fixes.iter().enumerate().map(|(index, fix)| (if index == 0 { "fix" } else { "or" }, fix));
        for (label, fix) in fixes.chain(finding.look.iter().map(|look| ("see", look))) {
            let command = self.styled(AnsiColor::Green.on_default(), &fix.command);
            let _ = writeln!(out, "{INDENT}{label:<4}{command}");
            if !fix.effect.is_empty() {
                let indent = format!("{INDENT}      ");
                let _ = writeln!(out, "{}", self.fill(&indent, &indent, &fix.effect));
            }
        }
        out
    }

    /// Number, severity, title, and to the right the count and how sure it is; below where there is no room.
    fn title(self, number: usize, finding: &Finding) -> String {
        let severity = format!("{:<10}", finding.assessment.severity.as_str().to_ascii_uppercase());
        let head =
            format!("{number:<3}{}", self.styled(severity_style(finding.assessment.severity), &severity));
        let what = format!("{}: {}", finding.assessment.kind.cause, finding.title);
        let unit =
            if finding.traced { drops(finding.count) } else { format!("{} lost", thousands(finding.count)) };
        let about = if finding.exact { "" } else { "about " };
        let right = format!("{about}{unit}   {}", finding.assessment.confidence);
        let bold = Style::new().bold();
        let taken = INDENT.len() + what.chars().count() + right.chars().count();
        match self.width().checked_sub(taken) {
            Some(gap @ 3..) => format!("{head}{}{}{right}\n", self.styled(bold, &what), " ".repeat(gap)),
            _ => {
                let filled = self.wrap(&what);
                let lines: Vec<String> =
                    filled.lines().map(|line| self.styled(bold, line.trim_start())).collect();
                format!("{head}{}\n{INDENT}{right}\n", lines.join(&format!("\n{INDENT}")))
            }
        }
    }

    fn culprit(self, finding: &Finding) -> String {
        let netns = finding.netns.as_ref().map(|name| format!("netns {name}"));
        let Some(culprit) = &finding.culprit else {
            return netns.map_or_else(String::new, |netns| format!("{}\n", self.wrap(&netns)));
        };
        let netns = netns.map_or_else(String::new, |netns| format!(", {netns}"));
        let Culprit { r#type, name, text, .. } = culprit;
        // A word or two stand beside the name; a rule's text has a line of its own, to be copied.
        let short = !text.is_empty() && text.len() <= SHORT;
        let beside = if short { format!(" ({text})") } else { String::new() };
        let line = self.wrap(&format!("{name}{beside}{netns}"));
        let mut out =
            format!("{}\n", line.replacen(name.as_str(), &self.styled(Style::new().bold(), name), 1));
        if !text.is_empty() && !short {
            let indent = format!("{INDENT}  ");
            let text = if *r#type == Object::Rule {
                format!("{indent}{text}")
            } else {
                self.fill(&indent, &indent, text)
            };
            let _ = writeln!(out, "{text}");
        }
        out
    }

    fn flows(self, flows: &[Flow]) -> String {
        let width = flows.iter().map(|flow| flow.flow.chars().count()).max().unwrap_or(0);
        let mut out = String::new();
        for Flow { flow, count } in flows {
            let line = format!("{INDENT}{flow:<width$}   {}", thousands(*count));
            if line.chars().count() <= self.width() {
                out.push_str(&line);
            } else {
                let indent = format!("{INDENT}  ");
                out.push_str(&self.fill(INDENT, &indent, &format!("{flow}   {}", thousands(*count))));
            }
            out.push('\n');
        }
        out
    }

    /// A table; on a narrow terminal, scopes are headings.
    fn counters(self, counters: &[CounterLine]) -> String {
        let title = "Counters that moved";
        let widest = |cells: fn(&CounterLine) -> usize| counters.iter().map(cells).max().unwrap_or(0);
        let scopes = widest(|line| line.scope.chars().count());
        let names = widest(|line| line.name.chars().count());
        let explains = widest(|line| explained(line).chars().count()).max("explained".len());
        let wide = 2 + scopes + 2 + names;
        let is_table = wide + DELTA + explains + 2 + REMARK <= self.width();
        let first = if is_table { wide } else { 4 + names }.max(title.len());
        let head = self.styled(Style::new().bold(), &format!("{title:<first$}"));
        let mut out = format!("{head} {:>8}   explained\n", "delta");
        let mut heading = None;
        for line in counters {
            let what = if is_table {
                format!("  {:<scopes$}  {}", line.scope, line.name)
            } else {
                if heading.replace(&line.scope) != Some(&line.scope) {
                    let _ = writeln!(out, "  {}", line.scope);
                }
                format!("    {}", line.name)
            };
            let explained = explained(line);
            let padding = " ".repeat(explains - explained.chars().count());
            let style =
                if line.delta > line.explained { AnsiColor::Yellow.on_default() } else { Style::new() };
            let explained = self.styled(style, &explained);
            let row = format!("{what:<first$} {:>8}   {explained}{padding}", thousands(line.delta));
            out.push_str(&self.remarked(&row, first + DELTA + explains, &remarks(line)));
        }
        out
    }

    /// A row of so many cells with its remarks: beside it, or below where there is no room.
    fn remarked(self, row: &str, cells: usize, remarks: &str) -> String {
        if remarks.is_empty() {
            return format!("{}\n", row.trim_end());
        }
        if cells + 2 + remarks.chars().count().min(REMARK) <= self.width() {
            let indent = " ".repeat(cells + 2);
            let filled = self.fill(&indent, &indent, remarks);
            return format!("{row}  {}\n", filled.trim_start());
        }
        format!("{}\n{}\n", row.trim_end(), self.fill("      ", "      ", remarks))
    }

    /// A heading and a text that may take several lines.
    fn list(self, heading: &str, text: &str) -> String {
        let filled = self.fill("", "  ", &format!("{heading} {text}"));
        format!("{}\n", filled.replacen(heading, &self.styled(Style::new().bold(), heading), 1))
    }
}

/// How much of a counter's delta is explained.
fn explained(line: &CounterLine) -> String {
    match line.explained {
        all if all >= line.delta => "all".to_owned(),
        0 => "none".to_owned(),
        some => format!("{} of them", thousands(some)),
    }
}

/// By which findings a counter is explained, and what else there is to say.
fn remarks(line: &CounterLine) -> String {
    let numbers: Vec<String> = line.findings.iter().map(ToString::to_string).collect();
    let by = match numbers.len() {
        0 => String::new(),
        1 => format!("finding {}", numbers[0]),
        _ => format!("findings {}", numbers.join(", ")),
    };
    let words: Vec<&str> =
        [by.as_str(), line.remark.as_str()].into_iter().filter(|text| !text.is_empty()).collect();
    words.join(", ")
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

/// The time of day in RFC 3339, to a thousandth of a second at the most.
pub(crate) fn clock(timestamp: &str) -> &str {
    let time = timestamp.split_once('T').map_or(timestamp, |(_, time)| time.trim_end_matches('Z'));
    time.get(..12).unwrap_or(time)
}

/// The lengths that a histogram shows.
pub(crate) struct Lengths {
    /// The most frequent ones, the shortest first.
    pub(crate) shown: Vec<Size>,
    /// Drops of other lengths.
    pub(crate) rest: u64,
}

impl Lengths {
    pub(crate) fn of(sizes: &[Size]) -> Self {
        let mut shown: Vec<Size> = sizes.to_vec();
        shown.sort_by_key(|size| std::cmp::Reverse(size.count));
        let rest: u64 = shown.iter().skip(SIZES).map(|size| size.count).sum();
        shown.truncate(SIZES);
        shown.sort_by_key(|size| size.len);
        Self { shown, rest }
    }
}

/// A bar for each length, and where the largest that passes lies among them.
fn histogram(sizes: &[Size], passes: Option<u64>) -> String {
    let Lengths { shown, rest } = Lengths::of(sizes);
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

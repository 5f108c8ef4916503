//! The page of a row: why, and what to type; then what it was seen by.

use jiff::Timestamp;
use ratatui::{
    style::Style,
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::{
    flow::{Item, flow},
    look::{self, Look, largest, level, pad, percent, rate},
    packet,
    page::{Page, bar},
};
use crate::{
    diagnose::finding::{Culprit, Finding, Object},
    live::{
        detail::{CaseDetail, Packet, RowDetail},
        lens::{GroupBy, Row},
    },
    output::diagnosis::{Lengths, clock},
    text::thousands,
};

/// Cells before the text of a finding.
const INDENT: usize = 2;
/// The longest text of a culprit that stands beside its name.
const SHORT: usize = 24;
/// Cells of a histogram's longest bar.
const BAR: usize = 24;
/// Lines of the history.
const HEIGHT: usize = 5;
/// Cells of the longest history.
const LONGEST: usize = 120;

/// Which row it is, and its numbers.
pub(super) fn title(detail: &RowDetail, look: Look, width: usize) -> Vec<Line<'static>> {
    let row = &detail.row;
    let name = if row.key.group == GroupBy::Cause { String::new() } else { format!("{}: ", row.name) };
    let culprit = if row.culprit.most.is_empty() { String::new() } else { format!(", {}", row.culprit) };
    let severity = row.severity.as_str().to_ascii_uppercase();
    let mut numbers = vec![
        Item::new(10, format!(" {}/s", rate(row.rate))).style(Look::bold()),
        Item::new(4, format!("1m {}/s", rate(row.rate_1m))),
        Item::new(8, format!("total {}", total(row.total, row.exact))),
        Item::new(6, format!("{} of what is shown", percent(row.share))),
    ];
    let places = [(3, "netns", &row.netns), (2, "reason", &row.reason), (1, "at", &row.location)];
    let places = places.into_iter().filter(|(.., mix)| !mix.most.is_empty());
    numbers.extend(places.map(|(importance, name, mix)| Item::new(importance, format!("{name} {mix}"))));
    let mut lines = vec![bar(&format!(" {severity}  {name}{}{culprit}", row.cause), look, width)];
    lines.extend(flow(numbers, look, width, 1));
    lines
}

fn total(total: u64, exact: bool) -> String {
    format!("{}{}", if exact { "" } else { "~" }, thousands(total))
}

/// All of it, for the screen.
pub(super) fn page(detail: &RowDetail, look: Look, width: usize) -> Page {
    let mut page = Page::new(look, width);
    fill(&mut page, detail);
    page
}

/// All of it, for a file: what is to be copied stays whole.
pub(crate) fn whole(detail: &RowDetail, look: Look, width: usize) -> Vec<Line<'static>> {
    let mut page = Page { whole: true, ..Page::new(look, width) };
    fill(&mut page, detail);
    let mut lines = title(detail, look, width);
    lines.push(Line::default());
    lines.extend(page.lines);
    lines
}

fn fill(page: &mut Page, detail: &RowDetail) {
    for case in &detail.cases {
        page.blank();
        match &case.finding {
            Some(finding) => explained(page, detail, case, finding),
            None => unexplained(page, detail, case),
        }
    }
    flows(page, detail);
    history(page, &detail.row, detail.interval_s);
    if let Some(packet) = &detail.sample {
        sample(page, packet);
    }
    if !detail.stack.is_empty() {
        page.heading("Kernel stack");
        for function in &detail.stack {
            page.wrap(INDENT, Style::new(), function);
        }
    }
}

/// Severity and what it is, and below how sure, and how often.
fn heading(page: &mut Page, detail: &RowDetail, case: &CaseDetail, title: &str, age: &str) {
    let severity = format!("{}  ", case.severity.as_str().to_ascii_uppercase());
    let label = page.look.span(&severity, page.look.severity(case.severity));
    page.beside(label, Look::bold(), title);
    let drops = total(case.total, detail.row.exact);
    let unit = if case.total == 1 { "drop" } else { "drops" };
    page.wrap(INDENT, Look::dim(), &format!("{}, {drops} {unit}{age}", case.confidence));
}

fn unexplained(page: &mut Page, detail: &RowDetail, case: &CaseDetail) {
    heading(page, detail, case, &case.kind, "");
    page.wrap(INDENT, Style::new(), &case.meaning);
    evidence(page, &case.evidence);
    page.wrap(INDENT, Look::bold(), "looking for the culprit…");
}

/// As `lossdrop diagnose` says it; the commands stand before the numbers, so that they are on the first screen.
fn explained(page: &mut Page, detail: &RowDetail, case: &CaseDetail, finding: &Finding) {
    let age = format!(", as of {} ago", look::span(case.age_s as f64));
    heading(page, detail, case, &format!("{}: {}", finding.assessment.kind.cause, finding.title), &age);
    culprit(page, finding);
    page.wrap(INDENT, Style::new(), &finding.explanation);
    commands(page, finding);
    if let (Some(first), Some(last)) = (&finding.first_ts, &finding.last_ts) {
        page.wrap(INDENT, Look::dim(), &format!("from {} to {} UTC", clock(first), clock(last)));
    }
    sizes(page, finding);
    let numbers = finding.numbers.iter().map(|(name, value)| format!("{name} {}", thousands(*value)));
    page.list(Span::raw(" ".repeat(INDENT)), 3, numbers);
    evidence(page, &finding.evidence);
}

fn culprit(page: &mut Page, finding: &Finding) {
    let netns = finding.netns.as_ref().map(|netns| format!("netns {netns}"));
    let Some(Culprit { r#type, name, text, .. }) = &finding.culprit else {
        page.wrap(INDENT, Style::new(), &netns.unwrap_or_default());
        return;
    };
    let short = !text.is_empty() && text.width() <= SHORT;
    let beside = if short { format!(" ({text})") } else { String::new() };
    let netns = netns.map_or_else(String::new, |netns| format!(", {netns}"));
    page.wrap(INDENT, Look::bold(), &format!("{name}{beside}{netns}"));
    if page.whole && *r#type == Object::Rule {
        page.push(vec![page.look.span(&format!("{}{text}", " ".repeat(INDENT + 2)), Style::new())]);
    } else if !short {
        page.wrap(INDENT + 2, Style::new(), text);
    }
}

/// Each on lines of its own, with what it does below.
fn commands(page: &mut Page, finding: &Finding) {
    let fixes = finding.fixes.iter().enumerate();
    let fixes = fixes.map(|(index, fix)| (if index == 0 { "fix" } else { "or" }, fix));
    for (label, fix) in fixes.chain(finding.look.iter().map(|look| ("see", look))) {
        page.wrap(INDENT, Look::bold(), label);
        page.verbatim(page.look.command(), &fix.command);
        page.wrap(INDENT + 4, Look::dim(), &fix.effect);
    }
}

/// A bar for each length, and where the largest that passes lies among them.
fn sizes(page: &mut Page, finding: &Finding) {
    if finding.sizes.is_empty() {
        return;
    }
    page.wrap(INDENT, Style::new(), "IP lengths dropped, in bytes:");
    if let Some(passes) = finding.numbers.get("largest_ip") {
        page.wrap(INDENT, Style::new(), &format!("{passes:>7}  the largest that passes"));
    }
    let Lengths { shown, rest } = Lengths::of(&finding.sizes);
    let most = shown.iter().map(|size| size.count).max().unwrap_or(1);
    for size in shown {
        let cells = level(size.count as f64, most as f64, BAR);
        let bar = page.look.blocks().last().unwrap_or(&"").repeat(cells);
        page.wrap(INDENT, Style::new(), &format!("{:>7}  {bar} {}", size.len, thousands(size.count)));
    }
    if rest > 0 {
        page.wrap(INDENT, Style::new(), &format!("  other  {}", thousands(rest)));
    }
}

fn evidence(page: &mut Page, evidence: &[String]) {
    for text in evidence {
        let bullet = page.look.span(&format!("{}· ", " ".repeat(INDENT)), Look::dim());
        page.beside(bullet, Style::new(), text);
    }
}

fn flows(page: &mut Page, detail: &RowDetail) {
    if detail.flows.is_empty() {
        return;
    }
    page.heading("Top flows, in drops reported in detail");
    let look = page.look;
    let counts = detail.flows.iter().map(|flow| thousands(flow.count));
    let width = counts.clone().map(|count| count.len()).max().unwrap_or(0) + INDENT;
    for (flow, count) in detail.flows.iter().zip(counts) {
        let count = Span::styled(format!("{}  ", pad(&count, width, true)), Look::bold());
        page.beside(count, Style::new(), &look.clean(&flow.flow));
    }
}

/// Bars in several lines, the latest to the right.
fn history(page: &mut Page, row: &Row, interval_s: f64) {
    let look = page.look;
    let max = largest(&row.history);
    let label = rate(max);
    let margin = INDENT + label.len() + 2;
    let cells = page.width.saturating_sub(margin).clamp(1, LONGEST);
    let values = &row.history[row.history.len().saturating_sub(cells)..];
    if values.is_empty() {
        return;
    }
    let [max, min] = [largest(values), values.iter().copied().fold(f64::INFINITY, f64::min)];
    let seconds = interval_s * values.len() as f64;
    page.heading("History");
    let text = format!("{}, from {} to {} drops/s", look::span(seconds), rate(min), rate(max));
    page.wrap(INDENT, Style::new(), &text);
    let blocks = look.blocks();
    let full = blocks.len() - 1;
    for line in (0..HEIGHT).rev() {
        let label = if line + 1 == HEIGHT { rate(max) } else { String::new() };
        let block =
            |value: &f64| blocks[level(*value, max, HEIGHT * full).saturating_sub(line * full).min(full)];
        let bars: String = values.iter().map(block).collect();
        let axis = format!("{}{} ", pad(&label, margin - 2, true), look.pick("│", "|"));
        page.push(vec![look.span(&axis, Look::dim()), Span::raw(bars)]);
    }
    let axis = format!("{}{}", pad("0", margin - 2, true), look.pick("└", "+"));
    let rule = look.pick("─", "-").repeat(values.len() + 1);
    page.push(vec![look.span(&axis, Look::dim()), look.span(&rule, Look::dim())]);
}

fn sample(page: &mut Page, packet: &Packet) {
    page.heading("Sample packet");
    page.wrap(INDENT, Look::bold(), &packet.line);
    let time = Timestamp::from_nanosecond(packet.unix_ns).unwrap_or_default();
    let mut about = vec![time.strftime("%F %T%.6f UTC").to_string()];
    let named =
        [("", &packet.place), ("netns ", &packet.netns), ("dev ", &packet.iface), ("owner ", &packet.owner)];
    about.extend(
        named.iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| format!("{name}{text}")),
    );
    page.list(Span::raw(" ".repeat(INDENT)), 3, about);
    for (layer, fields) in packet::decode(&packet.bytes) {
        let label = page.look.span(&format!("{}{layer:<6}", " ".repeat(INDENT)), Look::bold());
        page.list(label, 2, fields);
    }
    if !packet.bytes.is_empty() {
        page.blank();
    }
    for line in packet::dump(&packet.bytes, page.width.saturating_sub(INDENT)) {
        page.wrap(INDENT, Style::new(), &line);
    }
}

//! A terminal's screen as SVG. Each word has its place, and bars are drawn, so that no reader's font moves a column.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};

/// Of a cell, in pixels.
const WIDTH: f64 = 8.4;
const HEIGHT: f64 = 18.0;
/// From the top of a cell to the line that letters stand on.
const BASELINE: f64 = 13.5;
const FONT: f64 = 14.0;
const MARGIN: f64 = 16.0;
const FONTS: &str =
    "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace";

const BACKGROUND: &str = "#16181d";
const FOREGROUND: &str = "#d4d7dd";
/// Black, red, green, yellow, blue, magenta, cyan, white; then the bright ones.
const PALETTE: [&str; 16] = [
    "#3a3f4b", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d4d7dd", "#5c6370",
    "#ff7b86", "#b5e890", "#f5d08a", "#82c4ff", "#dd9bf0", "#7fd6e0", "#ffffff",
];
/// From the bottom up, in eighths.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// How a cell looks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Style {
    foreground: Option<u8>,
    background: Option<u8>,
    bold: bool,
    dim: bool,
    underlined: bool,
    reversed: bool,
}

impl Style {
    fn fill(self) -> &'static str {
        match (self.reversed, self.foreground, self.background) {
            (false, Some(colour), _) | (true, _, Some(colour)) => PALETTE[usize::from(colour)],
            (false, None, _) => FOREGROUND,
            (true, _, None) => BACKGROUND,
        }
    }

    /// What is behind the letters, where that is not the background of all.
    fn behind(self) -> Option<&'static str> {
        match (self.reversed, self.foreground, self.background) {
            (true, Some(colour), _) | (false, _, Some(colour)) => Some(PALETTE[usize::from(colour)]),
            (true, None, _) => Some(FOREGROUND),
            (false, _, None) => None,
        }
    }

    /// By the numbers of an SGR sequence.
    fn apply(&mut self, codes: &str) -> Result<()> {
        let mut codes = codes.split(';').map(|code| if code.is_empty() { Ok(0) } else { code.parse::<u8>() });
        while let Some(code) = codes.next().transpose()? {
            match code {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                4 => self.underlined = true,
                7 => self.reversed = true,
                22 => (self.bold, self.dim) = (false, false),
                24 => self.underlined = false,
                27 => self.reversed = false,
                30..=37 => self.foreground = Some(code - 30),
                40..=47 => self.background = Some(code - 40),
                90..=97 => self.foreground = Some(code - 90 + 8),
                39 => self.foreground = None,
                49 => self.background = None,
                38 | 48 => {
                    let (kind, colour) = (codes.next().transpose()?, codes.next().transpose()?);
                    let colour =
                        colour.filter(|colour| kind == Some(5) && usize::from(*colour) < PALETTE.len());
                    let colour = colour.context("a colour beyond the sixteen of every terminal")?;
                    *if code == 38 { &mut self.foreground } else { &mut self.background } = Some(colour);
                }
                _ => bail!("no picture of SGR {code}"),
            }
        }
        Ok(())
    }
}

type Cell = (char, Style);

/// The cells of each line of what `tmux capture-pane -e` says.
fn cells(screen: &str) -> Result<Vec<Vec<Cell>>> {
    let mut style = Style::default();
    let mut lines = Vec::new();
    for line in screen.lines() {
        let mut cells = Vec::new();
        let mut rest = line;
        while let Some(char) = rest.chars().next() {
            if let Some(sequence) = rest.strip_prefix("\x1b[") {
                let (codes, after) = sequence.split_once('m').context("a sequence that is no SGR")?;
                style.apply(codes)?;
                rest = after;
            } else {
                cells.push((char, style));
                rest = &rest[char.len_utf8()..];
            }
        }
        lines.push(cells);
    }
    Ok(lines)
}

/// A screen with its escape sequences as an SVG file; only styles that the live view uses.
pub(crate) fn draw(screen: &str, cols: usize, rows: usize) -> Result<String> {
    let (width, height) = (cols as f64 * WIDTH + 2.0 * MARGIN, rows as f64 * HEIGHT + 2.0 * MARGIN);
    let mut svg = String::new();
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"{FONTS}\" font-size=\"{FONT}\">"
    )?;
    writeln!(svg, "<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>")?;
    for (row, line) in cells(screen)?.iter().enumerate() {
        let top = MARGIN + row as f64 * HEIGHT;
        for (start, run) in (Runs { line, at: 0, joins: alike }) {
            behind(&mut svg, start, run, top)?;
        }
        for (start, run) in (Runs { line, at: 0, joins: alike_and_of_a_kind }) {
            write_run(&mut svg, start, run, top)?;
        }
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// Cells that belong together, each with the first one's column.
struct Runs<'a> {
    line: &'a [Cell],
    at: usize,
    joins: fn(Cell, Cell) -> bool,
}

impl<'a> Iterator for Runs<'a> {
    type Item = (usize, &'a [Cell]);

    fn next(&mut self) -> Option<Self::Item> {
        let (start, first) = (self.at, *self.line.get(self.at)?);
        let rest = &self.line[start..];
        let len = rest.iter().position(|cell| !(self.joins)(first, *cell)).unwrap_or(rest.len());
        self.at += len;
        Some((start, &rest[..len]))
    }
}

fn alike(one: Cell, next: Cell) -> bool {
    one.1 == next.1
}

fn alike_and_of_a_kind(one: Cell, next: Cell) -> bool {
    alike(one, next) && is_letter(one.0) == is_letter(next.0)
}

/// What is drawn as text.
fn is_letter(char: char) -> bool {
    char != ' ' && !BARS.contains(&char)
}

fn x(column: usize) -> f64 {
    MARGIN + column as f64 * WIDTH
}

fn rect(svg: &mut String, [x, y, width, height]: [f64; 4], fill: &str, opacity: &str) -> Result<()> {
    Ok(writeln!(
        svg,
        "<rect x=\"{x:.1}\" y=\"{y:.2}\" width=\"{width:.1}\" height=\"{height:.2}\" fill=\"{fill}\"{opacity} \
         shape-rendering=\"crispEdges\"/>"
    )?)
}

fn behind(svg: &mut String, start: usize, run: &[Cell], top: f64) -> Result<()> {
    let style = run[0].1;
    let width = run.len() as f64 * WIDTH;
    if let Some(colour) = style.behind() {
        rect(svg, [x(start), top, width, HEIGHT], colour, "")?;
    }
    if style.underlined {
        rect(svg, [x(start), top + HEIGHT - 2.0, width, 1.0], style.fill(), "")?;
    }
    Ok(())
}

fn write_run(svg: &mut String, start: usize, run: &[Cell], top: f64) -> Result<()> {
    let (first, style) = run[0];
    let opacity = if style.dim { " fill-opacity=\"0.6\"" } else { "" };
    if is_letter(first) {
        let weight = if style.bold { " font-weight=\"bold\"" } else { "" };
        let text: String = run.iter().map(|(char, _)| escape(*char)).collect();
        writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" textLength=\"{:.1}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{}\"{weight}{opacity}>{text}</text>",
            x(start),
            top + BASELINE,
            run.len() as f64 * WIDTH,
            style.fill()
        )?;
        return Ok(());
    }
    let bars = Runs { line: run, at: 0, joins: |one, next| one.0 == next.0 };
    for (column, bar) in bars {
        if let Some(eighths) = BARS.iter().position(|known| *known == bar[0].0) {
            let (width, height) = (bar.len() as f64 * WIDTH, HEIGHT * (eighths + 1) as f64 / 8.0);
            rect(svg, [x(start + column), top + HEIGHT - height, width, height], style.fill(), opacity)?;
        }
    }
    Ok(())
}

fn escape(char: char) -> String {
    match char {
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '&' => "&amp;".to_owned(),
        char => char.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_holds_until_it_is_changed_also_over_the_end_of_a_line() {
        let lines = cells("\x1b[1;38;5;9mF\n\x1b[0mx\x1b[7my").expect("SGR alone");
        let bold = Style { bold: true, foreground: Some(9), ..Style::default() };
        let reversed = Style { reversed: true, ..Style::default() };
        assert_eq!(lines, [vec![('F', bold)], vec![('x', Style::default()), ('y', reversed)]]);
    }

    #[test]
    fn words_have_their_places_and_bars_are_drawn() {
        let svg = draw("a <b>  █▄", 20, 1).expect("SGR alone");
        assert!(svg.contains(">&lt;b&gt;</text>"), "{svg}");
        assert!(svg.contains("<text x=\"32.8\"") && svg.contains("textLength=\"25.2\""), "{svg}");
        assert!(svg.contains("height=\"18.00\"") && svg.contains("height=\"9.00\""), "{svg}");
    }

    #[test]
    fn what_there_is_no_picture_of_is_an_error() {
        for screen in ["\x1b[5mx", "\x1b[38;2;1;2;3mx", "\x1b[38;5;99mx", "\x1b[2J"] {
            assert!(draw(screen, 10, 1).is_err(), "{screen:?}");
        }
    }
}

//! Colours and glyphs, and text that is safe and fits.

use ratatui::{
    style::{Color, Modifier, Style},
    text::Span,
};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::{
    knowledge::Severity,
    text::{sanitize::sanitize, thousands},
};

/// How it is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub theme: Theme,
    /// Glyphs beyond ASCII.
    pub utf8: bool,
}

/// Only the colours that every terminal has, and never a background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    Dark,
    /// What can be read on white.
    Light,
    /// No colour at all.
    Mono,
}

/// From nothing to full. The first stands for zero alone.
const BLOCKS: &[&str] = &[" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const ASCII_BLOCKS: &[&str] = &[" ", ".", ":", "-", "=", "+", "*", "#"];

impl Look {
    fn color(self, dark: Color, light: Color) -> Style {
        match self.theme {
            Theme::Dark => Style::new().fg(dark),
            Theme::Light => Style::new().fg(light),
            Theme::Mono => Style::new(),
        }
    }

    pub(crate) fn severity(self, severity: Severity) -> Style {
        match severity {
            Severity::Fault => self.color(Color::LightRed, Color::Red).add_modifier(Modifier::BOLD),
            Severity::Capacity => {
                self.color(Color::LightMagenta, Color::Magenta).add_modifier(Modifier::BOLD)
            }
            Severity::Policy => self.color(Color::Yellow, Color::Blue),
            Severity::Benign => Self::dim(),
        }
    }

    /// Losses and errors.
    pub(crate) fn alarm(self) -> Style {
        self.color(Color::LightRed, Color::Red).add_modifier(Modifier::BOLD)
    }

    /// What is to be typed.
    pub(crate) fn command(self) -> Style {
        self.color(Color::LightGreen, Color::Blue).add_modifier(Modifier::BOLD)
    }

    pub(crate) fn bold() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Not dark grey: several palettes have the background there.
    pub(crate) fn dim() -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What is selected.
    pub(crate) fn reversed() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// A heading.
    pub(crate) fn head() -> Style {
        Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
    }

    /// One or the other, by what the terminal can show.
    pub(crate) const fn pick(self, utf8: &'static str, ascii: &'static str) -> &'static str {
        if self.utf8 { utf8 } else { ascii }
    }

    /// No control characters, and only ASCII where there is nothing else.
    pub(crate) fn clean(self, text: &str) -> String {
        let text = sanitize(text);
        if self.utf8 || text.is_ascii() {
            return text.into_owned();
        }
        let mut out = String::new();
        for c in text.chars() {
            match c {
                '\0'..='\x7f' => out.push(c),
                '→' => out.push_str("->"),
                '←' => out.push_str("<-"),
                '↑' => out.push_str("Up"),
                '↓' => out.push_str("Down"),
                '–' | '—' | '·' => out.push('-'),
                '…' => out.push_str("..."),
                '×' => out.push('x'),
                '≤' => out.push_str("<="),
                '≥' => out.push_str(">="),
                'µ' => out.push('u'),
                _ => out.extend(std::iter::repeat_n('?', c.width().unwrap_or(1))),
            }
        }
        out
    }

    /// The text, cleaned, in a style.
    pub(crate) fn span(self, text: &str, style: Style) -> Span<'static> {
        Span::styled(self.clean(text), style)
    }

    /// The text, cleaned, and cut where it is too wide for so many cells.
    pub(crate) fn fit(self, text: &str, cells: usize) -> String {
        let mut text = self.clean(text);
        if text.width() <= cells {
            return text;
        }
        let Some(room) = cells.checked_sub(1) else { return String::new() };
        while text.width() > room {
            text.pop();
        }
        text.push_str(self.pick("…", "~"));
        text
    }

    /// From nothing to full.
    pub(crate) const fn blocks(self) -> &'static [&'static str] {
        if self.utf8 { BLOCKS } else { ASCII_BLOCKS }
    }

    /// The latest values, one a cell, by the largest of all.
    pub(crate) fn spark(self, values: &[f64], cells: usize) -> String {
        let blocks = self.blocks();
        let max = largest(values);
        let level = |value: &f64| blocks[level(*value, max, blocks.len() - 1)];
        values[values.len().saturating_sub(cells)..].iter().map(level).collect()
    }
}

pub(crate) fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// A value as one of so many steps; zero only for zero.
pub(crate) fn level(value: f64, max: f64, steps: usize) -> usize {
    if value <= 0.0 || max <= 0.0 {
        return 0;
    }
    (1..steps).find(|step| value * steps as f64 <= max * *step as f64).unwrap_or(steps)
}

/// Filled with blanks to so many cells.
pub(crate) fn pad(text: &str, cells: usize, right: bool) -> String {
    let blanks = " ".repeat(cells.saturating_sub(text.width()));
    if right { format!("{blanks}{text}") } else { format!("{text}{blanks}") }
}

/// `0.4`, `12`, `1,204`, `120k`, `1.2M`: six cells at the most.
pub(crate) fn rate(rate: f64) -> String {
    match rate {
        ..0.05 => "0".to_owned(),
        ..9.95 => format!("{rate:.1}"),
        ..99_999.5 => format!("{rate:.0}").parse().map_or_else(|_| "?".to_owned(), thousands),
        ..999_500.0 => format!("{:.0}k", rate / 1e3),
        _ => large(rate),
    }
}

/// `1.2M`, `12M`, `3.4G`.
pub(crate) fn large(number: f64) -> String {
    let (number, unit) = match number {
        ..999.5e6 => (number / 1e6, 'M'),
        ..999.5e9 => (number / 1e9, 'G'),
        _ => (number / 1e12, 'T'),
    };
    if number < 9.95 { format!("{number:.1}{unit}") } else { format!("{number:.0}{unit}") }
}

/// `97%`; `<1%` for what is little but something.
pub(crate) fn percent(share: f64) -> String {
    match share * 100.0 {
        ..=0.0 => "0%".to_owned(),
        ..=0.5 => "<1%".to_owned(),
        percent => format!("{percent:.0}%"),
    }
}

/// `30 s`, `2.5 min`, `1 h`.
pub(crate) fn span(seconds: f64) -> String {
    let (number, unit) = match seconds {
        ..120.0 => (seconds, "s"),
        ..7200.0 => (seconds / 60.0, "min"),
        _ => (seconds / 3600.0, "h"),
    };
    let text = format!("{number:.1}");
    format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests;

//! `lossdrop top`: the live view, or frames of it.

use std::{
    io::{IsTerminal as _, Write as _, stderr, stdout},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::{Globals, asked_to_stop, block_on};
use crate::{
    capture::{Capture, Needs, live::Start, tuning::Tuning},
    diagnose::survey,
    drops::{Observer, accounting::Accounting, select::Selection},
    filter::{self, FilterArgs},
    identity::Namespaces,
    kernel::KernelInfo,
    live::{
        lens::{GroupBy, Lens, SortBy},
        windows::Windows,
    },
    output::writer::Writer,
    text::{sanitize::sanitize, span::Span},
    top::{
        app::{self, App, Started, Starter},
        frame,
        state::{Header, State},
        view::{Look, Theme},
    },
};

/// Details a second of each kind of drop and CPU: enough for flows and culprits, and a storm costs no more for it.
const RATE: u32 = 50;
/// Columns of a frame of text where there is no terminal.
const WIDTH: usize = 160;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Time between two refreshes: 500ms, 1s, 1m (at least 100ms)
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    pub interval: Span,
    /// Print one frame of text after an interval, and end
    #[arg(long, conflicts_with_all = ["frames", "batch"])]
    pub once: bool,
    /// Print frames of text, one an interval, instead of the live view
    #[arg(long)]
    pub batch: bool,
    /// Print so many frames, and end
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub frames: Option<u64>,
    /// Print each frame as a JSON object in a line
    #[arg(long)]
    pub json: bool,
    /// What the drops of a row have in common
    #[arg(long, value_name = "WHAT", default_value = "cause")]
    pub group: GroupBy,
    /// The order of the rows
    #[arg(long, value_name = "WHAT", default_value = "severity")]
    pub sort: SortBy,
    /// The other way round
    #[arg(long)]
    pub reverse: bool,
    /// Show benign noise, too
    #[arg(long)]
    pub all: bool,
    /// Colours: auto goes by NO_COLOR and COLORFGBG
    #[arg(long, value_name = "THEME", default_value = "auto")]
    pub theme: ThemeArg,
    /// Draw with ASCII alone; by default, if the locale is not UTF-8
    #[arg(long)]
    pub ascii: bool,
    #[command(flatten)]
    pub tuning: Tuning,
    // Last: their headings would hold for what follows.
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub filter: FilterArgs,
}
/// A theme, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ThemeArg {
    Auto,
    Dark,
    Light,
    Mono,
}

/// Not so short that the machine has nothing else to do.
fn interval(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    if span.0 < Duration::from_millis(100) {
        return Err("100ms is the shortest interval".to_owned());
    }
    Ok(span)
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<()> {
    let frames = if args.once { Some(1) } else { args.frames };
    let batch = args.batch || args.json || frames.is_some() || !stdout().is_terminal();
    if !batch && std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb") {
        bail!(
            "this terminal cannot show a live view (TERM is dumb or not set): --batch prints frames of text"
        );
    }
    let start = globals.start()?;
    let look = Look { theme: theme(args.theme), utf8: !args.ascii && is_utf8() };
    block_on(async {
        let stop = asked_to_stop()?;
        let state = State::new(args.lens(), args.header(&start.info));
        let release = start.info.release.clone();
        let mut starter = starter(start, args.tuning);
        let started = starter(&args.filter)?;
        if batch {
            // Best effort: stderr may be closed.
            let _ = writeln!(stderr(), "lossdrop: watching Linux {release}; filter: {}", args.filter);
        }
        let windows = Windows::new(survey::survey, started.netns.clone(), Namespaces::default());
        let observer = Observer::new(started.capture.names());
        let mut app = App::new(started, starter, observer, windows, state, args.interval.0);
        if batch {
            let width = terminal_size::terminal_size().map_or(WIDTH, |(width, _)| width.0.into());
            let print = |app: &App| match args.json {
                true => format!("{}\n", frame::json(&app.state, &app.details())),
                false => frame::text(&app.state, &look, width) + "\n",
            };
            app::batch(&mut app, print, frames, &mut Writer::to(stdout())?, stop).await?;
        } else {
            app::run(&mut app, look, stop).await?;
        }
        let (books, watched) = app.finish();
        // Best effort: stderr may be closed.
        let _ = writeln!(stderr(), "{}", last_line(&books, watched));
        Ok(())
    })
}

/// `lossdrop: 192.0 s: seen 187,331 = shown … + …`.
fn last_line(books: &Accounting, watched: Duration) -> String {
    format!("lossdrop: {:.1} s: {books}", watched.as_secs_f64())
}

/// Starts the kernel's side, as often as the filters change.
fn starter(start: Start, tuning: Tuning) -> Starter {
    Box::new(move |args: &FilterArgs| {
        let began = Instant::now();
        let filter = args.resolve(&start.info, Namespaces::scan)?;
        let netns = filter.numbers(filter::NETNS);
        let live = start.capture(tuning.options(filter, Needs::CULPRITS, Some(RATE)))?;
        Ok(Started { capture: Capture::from(live), filter: args.clone(), netns, began })
    })
}

impl Args {
    fn lens(&self) -> Lens {
        Lens {
            group: self.group,
            sort: self.sort,
            reversed: self.reverse,
            benign: self.all,
            selection: self.selection.clone(),
        }
    }

    fn header(&self, info: &KernelInfo) -> Header {
        let host = nix::sys::utsname::uname().map(|uname| uname.nodename().to_string_lossy().into_owned());
        Header {
            host: sanitize(&host.unwrap_or_default()).into_owned(),
            kernel: info.release.clone(),
            interval: self.interval.0,
            filter: self.filter.to_string(),
            ..Header::default()
        }
    }
}

/// As asked for, else as the environment tells: `NO_COLOR`, and `COLORFGBG`, whose last number is the background.
fn theme(asked: ThemeArg) -> Theme {
    match asked {
        ThemeArg::Dark => Theme::Dark,
        ThemeArg::Light => Theme::Light,
        ThemeArg::Mono => Theme::Mono,
        ThemeArg::Auto if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) => Theme::Mono,
        ThemeArg::Auto => match std::env::var("COLORFGBG") {
            Ok(colors) if is_light(&colors) => Theme::Light,
            Ok(_) | Err(_) => Theme::Dark,
        },
    }
}

/// White, or light grey.
fn is_light(colors: &str) -> bool {
    matches!(colors.rsplit(';').next(), Some("7" | "15"))
}

/// The locale, by the first variable of those that decide it.
fn is_utf8() -> bool {
    let set = |name: &&str| std::env::var(name).is_ok_and(|value| !value.is_empty());
    let locale =
        ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find(set).and_then(|name| std::env::var(name).ok());
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_background_is_the_last_number() {
        assert!(is_light("0;15") && is_light("0;default;7"));
        assert!(!is_light("15;0") && !is_light("") && !is_light("7;8"));
    }

    #[test]
    fn the_last_line_is_the_books() {
        let books = Accounting {
            seen: 1500,
            shown: 1000,
            suppressed: 300,
            filtered: 200,
            lost: 0,
            ..Accounting::default()
        };
        assert_eq!(
            last_line(&books, Duration::from_millis(2500)),
            "lossdrop: 2.5 s: seen 1,500 = shown 1,000 + suppressed 300 + filtered 200 + lost 0"
        );
    }
}

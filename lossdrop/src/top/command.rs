//! The command from its arguments to its end.

use std::{
    io::{IsTerminal as _, Write as _, stderr, stdout},
    path::Path,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::{
    app::{self, App, Started, Starter},
    frame,
    lens::Lens,
    state::{Header, State},
    view::{Look, Theme},
    windows::Windows,
};
use crate::{
    cli::{ThemeArg, TopArgs},
    commands::{Live, asked_to_stop, describer, kernel_facts, options_for_culprits, own_stdout, runtime},
    diagnose::{collect::Witness, finding::Books, survey},
    filter::FilterArgs,
    kernel::{Kernel, KernelFacts, Options, ring::Ring},
    namespaces::Namespaces,
    output::text::thousands,
    sanitize::sanitize,
    trace::Writer,
};

/// Details a second of each kind of drop and CPU: enough for flows and culprits, and a storm costs no more for it.
const RATE: u32 = 50;
/// Columns of a frame of text where there is no terminal.
const WIDTH: usize = 160;

pub fn run(args: &TopArgs, btf: Option<&Path>, debug: bool) -> Result<()> {
    let frames = if args.once { Some(1) } else { args.frames };
    let batch = args.batch || args.json || frames.is_some() || !stdout().is_terminal();
    if !batch && std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb") {
        bail!(
            "this terminal cannot show a live view (TERM is dumb or not set): --batch prints frames of text"
        );
    }
    let facts = Rc::new(kernel_facts(btf)?);
    let describer = describer(&facts)?;
    let layout = facts.layout(&options(args, &facts, &args.filter, debug)?);
    let look = Look { theme: theme(args), utf8: !args.ascii && is_utf8() };
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let stop = asked_to_stop()?;
        let mut starter = starter(args, &facts, debug);
        let started = starter(&args.filter).map_err(anyhow::Error::msg)?;
        if batch {
            // Nobody needs to read it.
            let _ = writeln!(stderr(), "lossdrop: watching Linux {}; filter: {}", facts.release, args.filter);
        }
        let state = State::new(lens(args), header(args, &facts));
        let windows = Windows::new(survey::look, started.netns.clone(), Namespaces::default());
        let witness = Witness::new(describer, layout);
        let mut app = App::new(started, starter, witness, windows, state, args.interval.0);
        if batch {
            let width = terminal_size::terminal_size().map_or(WIDTH, |(width, _)| width.0.into());
            let print = |app: &App<_, _>| match args.json {
                true => format!("{}\n", frame::json(&app.state, &app.details())),
                false => frame::text(&app.state, &look, width) + "\n",
            };
            let mut writer = Writer::new(std::fs::File::from(own_stdout()?));
            app::batch(&mut app, print, frames, &mut writer, stop).await?;
        } else {
            app::run(&mut app, look, stop).await?;
        }
        let (books, watched) = app.finish();
        // Nobody needs to read it.
        let _ = writeln!(stderr(), "{}", last_words(books, watched));
        Ok(())
    });
    // A look at the machine that is still under way must not keep us.
    runtime.shutdown_background();
    result
}

/// `187,331 drops in 192 s: seen … = shown … + …`.
fn last_words(books: Books, watched: Duration) -> String {
    let Books { seen, shown, suppressed, filtered, lost } = books;
    let [seen, shown, suppressed, filtered, lost] = [seen, shown, suppressed, filtered, lost].map(thousands);
    format!(
        "lossdrop: {:.1} s: seen {seen} = shown {shown} + suppressed {suppressed} + filtered {filtered} + lost {lost}",
        watched.as_secs_f64()
    )
}

fn options(
    args: &TopArgs,
    facts: &KernelFacts,
    filter: &FilterArgs,
    debug: bool,
) -> crate::error::Result<Options> {
    let filter = filter.resolve(&facts.reasons, Namespaces::scan)?;
    Ok(options_for_culprits(&args.tuning, filter, RATE, debug))
}

fn starter(args: &TopArgs, facts: &Rc<KernelFacts>, debug: bool) -> Starter<Ring, Live> {
    let (facts, args) = (Rc::clone(facts), args.clone());
    Box::new(move |filter| {
        let began = Instant::now();
        let start = || {
            let options = options(&args, &facts, filter, debug)?;
            let netns = options.filter.netns.clone();
            let (kernel, source) = Kernel::start(&facts, &options)?;
            Ok::<_, crate::error::Error>(Started { source, watched: Live::new(kernel, debug), netns, began })
        };
        start().map_err(|error| error.to_string())
    })
}

fn lens(args: &TopArgs) -> Lens {
    Lens {
        group: args.group,
        sort: args.sort,
        reversed: args.reverse,
        benign: args.all,
        selection: args.selection.clone(),
    }
}

fn header(args: &TopArgs, facts: &KernelFacts) -> Header {
    let host = nix::sys::utsname::uname().map(|uname| uname.nodename().to_string_lossy().into_owned());
    Header {
        host: sanitize(&host.unwrap_or_default()).into_owned(),
        kernel: facts.release.clone(),
        interval: args.interval.0,
        filter: args.filter.to_string(),
        ..Header::default()
    }
}

/// As asked for, else as the environment tells: `NO_COLOR`, and `COLORFGBG`, whose last number is the background.
fn theme(args: &TopArgs) -> Theme {
    match args.theme {
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
    fn the_last_words_are_the_books() {
        let books = Books { seen: 1500, shown: 1000, suppressed: 300, filtered: 200, lost: 0 };
        assert_eq!(
            last_words(books, Duration::from_millis(2500)),
            "lossdrop: 2.5 s: seen 1,500 = shown 1,000 + suppressed 300 + filtered 200 + lost 0"
        );
    }
}

//! `lossdrop trace`: a line for every drop as it happens, and where all of them went.

mod show;

use std::{
    io::{Write as _, stderr, stdout},
    path::PathBuf,
};

use anyhow::Result;
use jiff::tz::TimeZone;
use log::debug;
use lossdrop_common::MAX_SNAPLEN;

use self::show::{Limits, Show};
use super::{Globals, asked_to_stop, block_on, wants_color};
use crate::{
    capture::{
        Capture, Needs,
        tuning::{Rate, Tuning},
    },
    drops::{Observer, select::Selection},
    filter::FilterArgs,
    identity::Namespaces,
    kernel::{Filter, KernelInfo, Options, load::Way},
    output::{Lines, Sink as _, Sinks, json::Json, text::Text, writer::Writer},
    text::span::Span,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show benign noise, too
    #[arg(long)]
    pub all: bool,
    /// Show the kernel stack of each drop
    #[arg(long)]
    pub stack: bool,
    /// Bytes of each packet to take, from its IP header on
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = clap::value_parser!(u32).range(0..=MAX_SNAPLEN as i64))]
    pub snaplen: u32,
    /// Dump those bytes below each line (JSON always has them)
    #[arg(long, conflicts_with = "json")]
    pub hex: bool,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Write the same drops to this file as well, one JSON object a line; it must not exist yet
    #[arg(long, value_name = "FILE")]
    pub json_file: Option<PathBuf>,
    /// End after this many lines
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End after this time: 500ms, 10s, 5m, 1h
    #[arg(long, value_name = "TIME")]
    pub duration: Option<Span>,
    /// Lines a second for each kind of drop (reason, location, device, …), or "unlimited"; the rest is only counted
    #[arg(long, value_name = "LINES", default_value = "100")]
    pub rate: Rate,
    #[command(flatten)]
    pub tuning: Tuning,
    // Last: their headings would hold for what follows.
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub filter: FilterArgs,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<()> {
    let start = globals.start()?;
    let filter = args.filter.resolve(&start.info, Namespaces::scan)?;
    let sinks = args.sinks()?;
    block_on(async {
        let stop = asked_to_stop()?;
        let live = start.capture(args.options(filter, sinks.needs()))?;
        // Best effort: stderr may be closed.
        let _ = writeln!(stderr(), "lossdrop: watching {}", args.headline(&start.info, live.way()));
        let mut capture = Capture::from(live);
        let mut observer = Observer::new(capture.names());
        let mut show = Show::new(args.limits(), sinks);
        let end = show::run(&mut capture, &mut observer, &mut show, stop).await?;
        debug!("ended: {end:?}");
        Ok(())
    })
}

impl Args {
    /// Benign noise was asked for, by `--all` or by its name.
    fn shows_benign(&self) -> bool {
        self.all || self.selection.names_benign()
    }

    fn limits(&self) -> Limits {
        Limits {
            all: self.shows_benign(),
            selection: self.selection.clone(),
            rate: self.rate.0,
            count: self.count,
            duration: self.duration.map(|Span(duration)| duration),
        }
    }

    /// How the kernel side is to work for sinks that need this. A verdict needs more, and details that are rationed can bear
    /// it.
    fn options(&self, filter: Filter, needs: Needs) -> Options {
        let verdict = self.rate.0.map_or(Needs::default(), |_| Needs::VERDICT);
        self.tuning.options(filter, needs.and(verdict), self.rate.0)
    }

    /// Where the drops go: whoever else wants them has a line here.
    fn sinks(&self) -> Result<Sinks> {
        let json = || Json::new(self.snaplen, self.stack);
        let mut sinks = Sinks::default();
        let screen = Writer::to(stdout())?;
        if self.json {
            sinks.push(Lines::new(json(), screen));
        } else {
            let hex = if self.hex { self.snaplen } else { 0 };
            sinks.push(Lines::new(Text::new(wants_color(), hex, self.stack, TimeZone::system()), screen));
        }
        if let Some(path) = &self.json_file {
            sinks.push(Lines::new(json(), Writer::create(path)?));
        }
        Ok(sinks)
    }

    /// `Linux 6.18.44 through tp_btf; filter: port 80; only cause mtu; benign drops hidden (--all shows them)`.
    fn headline(&self, info: &KernelInfo, way: Way) -> String {
        let noise =
            if self.shows_benign() { "benign drops shown" } else { "benign drops hidden (--all shows them)" };
        let selection = match &self.selection {
            everything if everything.is_everything() => String::new(),
            selection => format!("; only {selection}"),
        };
        format!("Linux {} through {}; filter: {}{selection}; {noise}", info.release, way.name(), self.filter)
    }
}

#[cfg(test)]
mod tests;

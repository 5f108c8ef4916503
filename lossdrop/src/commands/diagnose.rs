//! `lossdrop diagnose`: watches for a while, then says what is the matter, who is responsible, and what to type.

use std::{
    collections::BTreeSet,
    io::{self, Write as _, stderr, stdout},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context as _, Result};
use tokio::task::spawn_blocking;

use super::{Globals, asked_to_stop, block_on, wants_color};
use crate::{
    capture::{Capture, Needs, live::Start, tuning::Tuning},
    diagnose::{
        build::{self, Evidence, Scope},
        collect::Collector,
        finding::Diagnosis,
        survey::{self, Survey},
        watch::{Progress, Watch},
    },
    drops::{Observer, select::Selection},
    filter::{self, FilterArgs},
    identity::Namespaces,
    output::diagnosis::Paper,
    text::{sanitize::sanitize, span::Span},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Watch for this time: 500ms, 10s, 5m, 1h; Ctrl-C ends it early with what there is
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub duration: Span,
    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub tuning: Tuning,
    // Last: their headings would hold for what follows.
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// A capacity that was hit, or a fault.
const FOUND: u8 = 3;
/// Details a second of each kind of drop and CPU: enough for a culprit, and a storm costs no more for it.
const RATE: u32 = 1000;

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    let start = globals.start()?;
    let diagnosis = block_on(diagnose(args, &start))?;
    match print(&diagnosis, args.json) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    Ok(if build::is_healthy(&diagnosis) { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

async fn diagnose(args: &Args, start: &Start) -> Result<Diagnosis> {
    let filter = args.filter.resolve(&start.info, Namespaces::scan)?;
    let scope = Scope {
        netns: filter.numbers(filter::NETNS),
        filter: (!filter.is_empty()).then(|| args.filter.to_string()),
        selection: args.selection.clone(),
    };
    let stop = asked_to_stop()?;
    let wanted = scope.netns.clone();
    let duration = args.duration.0;
    let live = start.capture(args.tuning.options(filter, Needs::CULPRITS, Some(RATE)))?;
    let how = live.way().name();
    let capture = Capture::from(live);
    let observer = Observer::new(capture.names());
    let mut watch = Watch::new(capture, observer, Collector::default());
    let (namespaces, before) = watch.until(survey(wanted.clone(), Namespaces::default()), None).await?;
    // Best effort: stderr may be closed.
    let _ = writeln!(
        stderr(),
        "lossdrop: watching for {} s on Linux {} through {how}; filter: {}",
        duration.as_secs_f64(),
        start.info.release,
        args.filter
    );
    let began = Instant::now();
    let end = async {
        tokio::select! {
            () = stop => {}
            () = tokio::time::sleep(duration) => {}
        }
    };
    watch.until(end, Some(Progress::new(duration))).await;
    let elapsed = began.elapsed();
    // One that is gone by now is still to be named.
    let (namespaces, after) = watch.until(survey(wanted, namespaces), None).await?;
    let (counters, collected) = watch.finish().await;
    let kernel = start.info.release.clone();
    spawn_blocking(move || {
        let host = nix::sys::utsname::uname().map(|uname| uname.nodename().to_string_lossy().into_owned());
        build::diagnosis(Evidence {
            namespaces,
            before,
            after,
            collected,
            counters,
            elapsed,
            kernel,
            scope,
            host: sanitize(&host.unwrap_or_default()).into_owned(),
        })
    })
    .await
    .context("the search for culprits failed")
}

/// A survey on a thread of its own; `known`: namespaces that were there earlier.
async fn survey(wanted: BTreeSet<u32>, known: Namespaces) -> Result<(Namespaces, Survey)> {
    let survey = move || survey::survey(&wanted, known);
    spawn_blocking(survey).await.context("the survey of the machine failed")
}

fn print(diagnosis: &Diagnosis, json: bool) -> io::Result<()> {
    let mut out = io::BufWriter::new(stdout().lock());
    if json {
        serde_json::to_writer(&mut out, diagnosis)?;
        writeln!(out)?;
    } else {
        let width =
            terminal_size::terminal_size().map(|(terminal_size::Width(columns), _)| usize::from(columns));
        out.write_all(Paper { color: wants_color(), width }.draw(diagnosis).as_bytes())?;
    }
    out.flush()
}

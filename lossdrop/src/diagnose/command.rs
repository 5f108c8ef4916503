//! The command from its arguments to its exit code.

use std::{
    collections::BTreeSet,
    io::{self, Write as _, stderr, stdout},
    path::Path,
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context as _, Result};
use tokio::task::spawn_blocking;

use super::{
    build::{self, Evidence, Scope},
    collect::Collector,
    finding::Diagnosis,
    survey::{self, Survey},
    watch::{Progress, Watch},
};
use crate::{
    cli::DiagnoseArgs,
    commands::{Live, asked_to_stop, describer, kernel_facts, options_for_culprits, runtime, wants_color},
    kernel::{Kernel, KernelFacts, Options},
    namespaces::Namespaces,
    output::diagnosis::Paper,
    sanitize::sanitize,
};

/// A capacity that was hit, or a fault.
const FOUND: u8 = 3;
/// Details a second of each kind of drop and CPU: enough for a culprit, and a storm costs no more for it.
const RATE: u32 = 1000;

pub fn run(args: &DiagnoseArgs, btf: Option<&Path>, debug: bool) -> Result<ExitCode> {
    let facts = kernel_facts(btf)?;
    let filter = args.filter.resolve(&facts.reasons, Namespaces::scan)?;
    let options = options_for_culprits(&args.tuning, filter, RATE, debug);
    let runtime = runtime()?;
    let diagnosis = runtime.block_on(diagnose(args, &facts, &options));
    // A look-up that is still under way must not keep us.
    runtime.shutdown_background();
    let diagnosis = diagnosis?;
    match print(&diagnosis, args.json) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    Ok(if build::is_healthy(&diagnosis) { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

async fn diagnose(args: &DiagnoseArgs, facts: &KernelFacts, options: &Options) -> Result<Diagnosis> {
    let stop = asked_to_stop()?;
    let collector = Collector::new(describer(facts)?, facts.layout(options));
    let wanted = options.filter.netns.clone();
    let duration = args.duration.0;
    let (kernel, ring) = Kernel::start(facts, options)?;
    let how = kernel.way.name();
    let mut watch = Watch::new(ring, Live::new(kernel, options.debug), collector);
    let (namespaces, before) = watch.until(look(wanted.clone(), Namespaces::default()), None).await?;
    // Nobody needs to read it.
    let _ = writeln!(
        stderr(),
        "lossdrop: watching for {} s on Linux {} through {how}; filter: {}",
        duration.as_secs_f64(),
        facts.release,
        args.filter
    );
    let start = Instant::now();
    let end = async {
        tokio::select! {
            () = stop => {}
            () = tokio::time::sleep(duration) => {}
        }
    };
    watch.until(end, Some(Progress::new(duration))).await;
    let elapsed = start.elapsed();
    // One that is gone by now is still to be named.
    let (namespaces, after) = watch.until(look(wanted, namespaces), None).await?;
    let (counters, collector) = watch.finish().await;
    let collected = collector.finish(&counters);
    let kernel = facts.release.clone();
    let scope = Scope {
        netns: options.filter.netns.clone(),
        filter: (!options.filter.is_empty()).then(|| args.filter.to_string()),
        selection: args.selection.clone(),
    };
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
async fn look(wanted: BTreeSet<u32>, known: Namespaces) -> Result<(Namespaces, Survey)> {
    let look = move || survey::look(&wanted, known);
    spawn_blocking(look).await.context("the look at the machine failed")
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

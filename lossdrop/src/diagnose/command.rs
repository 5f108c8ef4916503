//! The command from its arguments to its exit code.

use std::{
    collections::BTreeSet,
    io::{self, Write as _, stderr, stdout},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use tokio::task::spawn_blocking;

use super::{
    build::{self, Evidence},
    collect::Collector,
    finding::Diagnosis,
    survey,
    watch::watch,
};
use crate::{
    cli::DiagnoseArgs,
    commands::{Live, asked_to_stop, describer, kernel_facts, runtime, wants_color},
    kernel::{Kernel, KernelFacts, Options},
    namespaces::Namespaces,
    output::diagnosis::Paper,
    sanitize::sanitize,
};

/// A capacity that was hit, or a fault.
const FOUND: u8 = 3;
/// Details a second of each kind of drop and CPU: enough for a culprit, and a storm costs no more for it.
const RATE: u32 = 1000;
/// What rules look at lies in front; the inner headers of tunnels and ICMP errors are behind.
const SNAPLEN: u32 = 128;

pub fn run(args: &DiagnoseArgs, debug: bool) -> Result<ExitCode> {
    let facts = kernel_facts()?;
    let options = Options {
        attach: args.tuning.attach.map(Into::into),
        filter: args.filter.resolve(&facts.reasons, Namespaces::scan)?,
        rate: Some(RATE),
        snaplen: SNAPLEN,
        stack: true,
        facts: true,
        keys: args.tuning.keys.0,
        ring_bytes: args.tuning.buffer.0,
        debug,
    };
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
    let describer = describer(facts)?;
    let wanted: BTreeSet<u32> = options.filter.netns.clone();
    let (namespaces, before) = {
        let wanted = wanted.clone();
        spawn_blocking(move || {
            let namespaces = Namespaces::scan();
            let survey = survey::take(&namespaces, &wanted);
            (namespaces, survey)
        })
        .await
        .context("the first look at the machine failed")?
    };
    let layout = options.layout();
    let (kernel, ring) = Kernel::start(facts, options)?;
    // Nobody needs to read it.
    let _ = writeln!(
        stderr(),
        "lossdrop: watching for {} s on Linux {} through {}; filter: {}",
        args.duration.0.as_secs_f64(),
        facts.release,
        kernel.how(),
        args.filter
    );
    let mut live = Live::new(kernel, options.debug);
    let mut collector = Collector::new(describer, layout);
    let (counters, elapsed) = watch(ring, &mut live, &mut collector, args.duration.0, stop).await;
    let (release, collected) = (facts.release.clone(), collector.finish(&counters));
    spawn_blocking(move || {
        // One that is gone by now is still to be named.
        let namespaces = Namespaces::scan().or(namespaces);
        let after = survey::take(&namespaces, &wanted);
        let host = nix::sys::utsname::uname().map(|uname| uname.nodename().to_string_lossy().into_owned());
        build::diagnosis(Evidence {
            namespaces,
            before,
            after,
            collected,
            counters,
            elapsed,
            kernel: release,
            host: sanitize(&host.unwrap_or_default()).into_owned(),
        })
    })
    .await
    .context("the last look at the machine failed")
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

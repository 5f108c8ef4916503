//! From the command line to what runs.

use std::{
    io::{Write as _, stderr, stdout},
    os::fd::OwnedFd,
    path::Path,
    process::ExitCode,
};

use anstream::{AutoStream, ColorChoice};
use anyhow::{Context as _, Result};
use aya_log::EbpfLogger;
use log::{debug, info, warn};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    accounting::Counters,
    check, cli,
    cli::{Cli, Command, TraceArgs, Tuning},
    describe::Describer,
    diagnose, explain,
    filter::KernelFilter,
    kernel::{Kernel, KernelFacts, Options},
    messages::Messages,
    namespaces::Namespaces,
    output::{json::Json, text::Text},
    reasons,
    symbols::Symbols,
    top,
    trace::{self, Limits, Pipeline, Watched, Writer},
};

/// Runs the command; errors are for the user to read.
pub fn run(cli: &Cli) -> Result<ExitCode> {
    init_log(cli.verbose);
    let btf = cli.btf.as_deref();
    match &cli.command {
        Command::Trace(args) => trace_command(args, btf, cli.verbose >= 2).map(|()| ExitCode::SUCCESS),
        Command::Diagnose(args) => diagnose::command::run(args, btf, cli.verbose >= 2),
        Command::Top(args) => top::command::run(args, btf, cli.verbose >= 2).map(|()| ExitCode::SUCCESS),
        Command::Check { json } => check::run(btf, *json),
        Command::Explain { subject, json } => explain::run(subject, btf, *json).map(|()| ExitCode::SUCCESS),
        Command::Reasons { json } => reasons::run(btf, *json).map(|()| ExitCode::SUCCESS),
    }
}

fn init_log(verbose: u8) {
    let level = match verbose {
        0 => log::LevelFilter::Warn,
        1 => log::LevelFilter::Info,
        _ => log::LevelFilter::Debug,
    };
    env_logger::Builder::new()
        .target(env_logger::Target::Pipe(Box::new(Messages)))
        .filter_level(level)
        // aya tells of every relocation.
        .filter_module("aya_obj", log::LevelFilter::Warn)
        .filter_module("aya", log::LevelFilter::Warn)
        .format(|out, record| {
            writeln!(out, "lossdrop: {}: {}", record.level().as_str().to_ascii_lowercase(), record.args())
        })
        .init();
}

/// What every command that watches begins with.
pub(crate) fn kernel_facts(btf: Option<&Path>) -> Result<KernelFacts> {
    check::require(btf)?;
    let facts = KernelFacts::gather(btf)?;
    if let Some(contradiction) = &facts.contradiction {
        warn!("{contradiction}");
    }
    for missing in &facts.missing {
        warn!("{missing}");
    }
    for missing in &facts.missing_facts {
        info!("{missing}");
    }
    Ok(facts)
}

/// Names for the running kernel's numbers.
pub(crate) fn describer(facts: &KernelFacts) -> Result<Describer> {
    let symbols = Symbols::load().context("cannot read /proc/kallsyms")?;
    if symbols.is_empty() {
        warn!(
            "the kernel hides its addresses (kernel.kptr_restrict, or no CAP_SYSLOG): locations are shown as numbers"
        );
    }
    Ok(Describer::new(facts.has_reason().then(|| facts.reasons.clone()), symbols))
}

pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build()
}

/// Ready when somebody asks us to end.
pub(crate) fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// Standard output takes colours.
pub(crate) fn wants_color() -> bool {
    // anstream takes any terminal for a colourful one where the variable CI is set.
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !dumb && AutoStream::choice(&stdout()) != ColorChoice::Never
}

fn trace_command(args: &TraceArgs, btf: Option<&Path>, debug: bool) -> Result<()> {
    let facts = kernel_facts(btf)?;
    let options = trace_options(args, &facts, debug)?;
    let describer = describer(&facts)?;
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        if args.json {
            trace_with(args, &facts, &options, describer, Json::default()).await
        } else {
            trace_with(
                args,
                &facts,
                &options,
                describer,
                Text::new(wants_color(), args.hex, jiff::tz::TimeZone::system()),
            )
            .await
        }
    });
    // A look-up that is still under way must not keep us.
    runtime.shutdown_background();
    result
}

/// How the kernel side is to work for `trace`.
pub(crate) fn trace_options(args: &TraceArgs, facts: &KernelFacts, debug: bool) -> Result<Options> {
    Ok(Options {
        attach: args.tuning.attach.map(Into::into),
        filter: args.filter.resolve(&facts.reasons, Namespaces::scan)?,
        rate: args.rate.0,
        // The bytes go nowhere but into JSON and the dump.
        snaplen: if args.json || args.hex { args.snaplen } else { 0 },
        // A verdict needs both, and details that are rationed can bear them.
        stack: args.stack || args.rate.0.is_some(),
        facts: args.rate.0.is_some(),
        probes: args.rate.0.is_some() && !args.tuning.no_probes,
        keys: args.tuning.keys.0,
        ring_bytes: args.tuning.buffer.0,
        debug,
    })
}

/// How the kernel side is to work where culprits are looked for; `rate`: details a second of each kind of drop and CPU.
pub(crate) fn options_for_culprits(tuning: &Tuning, filter: KernelFilter, rate: u32, debug: bool) -> Options {
    /// What rules look at lies in front; the inner headers of tunnels and ICMP errors are behind.
    const SNAPLEN: u32 = 128;
    Options {
        attach: tuning.attach.map(Into::into),
        filter,
        rate: Some(rate),
        snaplen: SNAPLEN,
        stack: true,
        facts: true,
        probes: !tuning.no_probes,
        keys: tuning.keys.0,
        ring_bytes: tuning.buffer.0,
        debug,
    }
}

async fn trace_with<O: crate::output::Output>(
    args: &TraceArgs,
    facts: &KernelFacts,
    options: &Options,
    describer: Describer,
    output: O,
) -> Result<()> {
    let stop = asked_to_stop()?;
    let limits = Limits {
        all: args.shows_benign(),
        selection: args.selection.clone(),
        stack: args.stack,
        rate: args.rate.0,
        count: args.count,
        duration: args.duration.map(|cli::Span(duration)| duration),
    };
    let layout = facts.layout(options);
    let (kernel, ring) = Kernel::start(facts, options)?;
    let mut live = Live::new(kernel, options.debug);
    // Nobody needs to read it.
    let _ = writeln!(stderr(), "lossdrop: watching {}", headline(args, facts, &live.kernel));
    let mut pipeline = Pipeline::new(describer, output, layout, limits);
    let mut writer = Writer::new(std::fs::File::from(own_stdout()?));
    let end = trace::run(ring, &mut live, &mut pipeline, &mut writer, stop).await?;
    debug!("ended: {end:?}");
    Ok(())
}

/// Standard output without the lock and the buffer of `std::io::Stdout`.
pub(crate) fn own_stdout() -> std::io::Result<OwnedFd> {
    std::os::fd::AsFd::as_fd(&stdout()).try_clone_to_owned()
}

/// `Linux 6.18.44 through tp_btf; filter: port 80; only cause mtu; benign drops hidden (--all shows them)`.
fn headline(args: &TraceArgs, facts: &KernelFacts, kernel: &Kernel) -> String {
    let noise =
        if args.shows_benign() { "benign drops shown" } else { "benign drops hidden (--all shows them)" };
    let how = kernel.way.name();
    let selection = match &args.selection {
        everything if everything.is_everything() => String::new(),
        selection => format!("; only {selection}"),
    };
    format!("Linux {} through {how}; filter: {}{selection}; {noise}", facts.release, args.filter)
}

/// The kernel program while it runs.
pub(crate) struct Live {
    kernel: Kernel,
    log: Option<EbpfLogger<&'static dyn log::Log>>,
}

impl Live {
    pub(crate) fn new(mut kernel: Kernel, debug: bool) -> Self {
        let log = debug.then(|| EbpfLogger::init(kernel.ebpf_mut()));
        let log =
            log.and_then(|log| log.inspect_err(|error| debug!("no log from the kernel side: {error}")).ok());
        Self { kernel, log }
    }
}

impl Watched for Live {
    fn stop(&mut self) -> Counters {
        self.kernel.detach();
        self.tick();
        let mut counters = self.kernel.counters.read();
        counters.add_missed(self.kernel.missed());
        counters
    }

    fn counters(&mut self) -> Counters {
        self.kernel.counters.read()
    }

    fn tick(&mut self) {
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }
}

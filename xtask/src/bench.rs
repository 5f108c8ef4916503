//! `cargo xtask bench`: what watching costs the kernel, for each dropped packet, beside what people use today.
//!
//! A loopback flood of small UDP datagrams runs into an nftables rule. The sender has the last CPU, the tool under
//! test the first. All cases alternate in one run, and each is compared with the bare flood of its own round.

use std::{
    ffi::OsStr,
    fs,
    io::Read as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, available_parallelism},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use aya::{Btf, Ebpf, programs::BtfTracePoint};
use lossdrop_lab::{
    Flood,
    wait::{LIMIT, wait_until},
};
use nix::{
    pty::{OpenptyResult, Winsize, openpty},
    sys::signal::{Signal, kill},
    unistd::{Pid, SysconfVar, sysconf},
};
use tempfile::NamedTempFile;

use crate::root;

/// What stands below it in `docs/benchmarks.md` is written by `--write`.
const MARKER: &str = "<!-- measured by cargo xtask bench --write -->";
/// Runs the program that is this script's `$0`, with the tracing folders that it looks for.
const WITH_TRACING: &str = "mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug; \
                            mountpoint -q /sys/kernel/tracing || mount -t tracefs none /sys/kernel/tracing; \
                            exec \"$0\" \"$@\"";
/// How often every case runs.
const ROUNDS: usize = 5;
/// Datagrams of one flood.
const PACKETS: u64 = 400_000;

/// Something to measure.
struct Case {
    name: &'static str,
    kind: Kind,
}

enum Kind {
    /// Nothing is attached.
    Bare,
    /// An empty `tp_btf` program.
    Empty,
    Lossdrop(&'static [&'static str]),
    Peer {
        program: &'static str,
        args: &'static [&'static str],
    },
}

const CASES: [Case; 7] = [
    Case { name: "nothing attached", kind: Kind::Bare },
    Case { name: "an empty program", kind: Kind::Empty },
    Case { name: "lossdrop trace", kind: Kind::Lossdrop(&["trace"]) },
    Case {
        name: "lossdrop trace --all --rate unlimited --json",
        kind: Kind::Lossdrop(&["trace", "--all", "--rate", "unlimited", "--json"]),
    },
    Case { name: "lossdrop trace --port 1 (refuses all)", kind: Kind::Lossdrop(&["trace", "--port", "1"]) },
    Case {
        name: "bpftrace: count by location and reason",
        kind: Kind::Peer {
            program: "bpftrace",
            args: &["-e", "tracepoint:skb:kfree_skb { @[args->location, args->reason] = count(); }"],
        },
    },
    Case {
        name: "perf record -e skb:kfree_skb",
        kind: Kind::Peer {
            program: "perf",
            args: &["record", "-a", "-e", "skb:kfree_skb", "-o", "/dev/null"],
        },
    },
];
const BARE: usize = 0;
const EMPTY: usize = 1;
const DEFAULT: usize = 2;
const FULL: usize = 3;
const REFUSED: usize = 4;
const BPFTRACE: usize = 5;
const PERF: usize = 6;

/// One flood under one case.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    ns_per_packet: f64,
    /// Share of one CPU, by the tool itself.
    cpu: f64,
    rss_mib: f64,
    /// What the tool says that it saw, and lost.
    seen: Option<u64>,
    lost: Option<u64>,
}

/// `before`: another binary of lossdrop, which is measured beside this one.
pub(crate) fn run(write: bool, only_top: bool, before: Option<&Path>) -> Result<()> {
    let binary = root().join("target/release/lossdrop");
    crate::run(
        Command::new(env!("CARGO")).args(["build", "--release", "-p", "lossdrop"]).current_dir(root()),
    )?;
    let lab = Flood::new()?;
    let sender = available_parallelism()?.get() - 1;
    ensure!(sender > 0, "the benchmark needs two CPUs");
    if only_top {
        println!("{}", top(&binary, &lab, sender)?);
        return Ok(());
    }
    let present: Vec<bool> = CASES.iter().map(is_present).collect();
    let mut samples: Vec<Vec<Sample>> = CASES.iter().map(|_| Vec::new()).collect();
    let mut samples_before = samples.clone();
    // The first flood warms up caches and the namespace's tables.
    lab.flood(PACKETS / 4, sender)?;
    for round in 1..=ROUNDS {
        for (index, case) in CASES.iter().enumerate().filter(|(index, _)| present[*index]) {
            let sample = measure(case, &binary, &lab, sender).with_context(|| case.name.to_owned())?;
            eprintln!(
                "round {round} of {ROUNDS}: {:<45} {:6.0} ns per packet",
                case.name, sample.ns_per_packet
            );
            samples[index].push(sample);
            if let (Some(before), Kind::Lossdrop(_)) = (before, &case.kind) {
                samples_before[index].push(measure(case, before, &lab, sender).context("the one before")?);
            }
        }
    }
    if before.is_some() {
        println!("{}", comparison(&samples_before, &samples));
    }
    let report = format!("{}\n{}", report(&samples), top(&binary, &lab, sender)?);
    println!("{report}");
    if write {
        let path = root().join("docs/benchmarks.md");
        let document = fs::read_to_string(&path)?;
        let (head, _) = document.split_once(MARKER).context("docs/benchmarks.md has lost its marker")?;
        fs::write(path, format!("{head}{MARKER}\n\n{report}"))?;
    }
    Ok(())
}

fn is_present(case: &Case) -> bool {
    match &case.kind {
        Kind::Bare | Kind::Empty | Kind::Lossdrop(_) => true,
        Kind::Peer { program, .. } => Command::new(program).arg("--version").output().is_ok(),
    }
}

fn measure(case: &Case, binary: &Path, lab: &Flood, sender: usize) -> Result<Sample> {
    match &case.kind {
        Kind::Bare => flood(lab, sender),
        Kind::Empty => {
            let object = fs::read(root().join("lossdrop/bpf/lossdrop.o"))?;
            let mut ebpf = Ebpf::load(&object)?;
            let program: &mut BtfTracePoint =
                ebpf.program_mut("trial_empty").context("no trial_empty")?.try_into()?;
            program.load("kfree_skb", &Btf::from_sys_fs()?)?;
            program.attach()?;
            flood(lab, sender)
        }
        Kind::Lossdrop(args) => {
            let mut args = args.to_vec();
            // The details go where they cost nothing; what was seen is reported on stderr.
            args.push("-v");
            let tool = Tool::start(binary.as_os_str(), &args, "lossdrop: watching", Duration::ZERO)?;
            let (mut sample, reported) = tool.watch(lab, sender)?;
            sample.seen = Some(number_after(&reported, "seen")?);
            sample.lost = Some(number_after(&reported, "lost")?);
            Ok(sample)
        }
        // What a peer says is in a format of its own, and is checked by hand; it is given time to attach.
        Kind::Peer { program, args } => {
            // Some machines have the folders of tracing not mounted; the mount is the peer's own.
            let mut shell = vec!["--mount", "sh", "-c", WITH_TRACING, program];
            shell.extend_from_slice(args);
            let tool = Tool::start("unshare".as_ref(), &shell, "", Duration::from_secs(3))?;
            Ok(tool.watch(lab, sender)?.0)
        }
    }
}

fn flood(lab: &Flood, sender: usize) -> Result<Sample> {
    let (report, _) = lab.flood(PACKETS, sender)?;
    Ok(Sample { ns_per_packet: report.elapsed.as_nanos() as f64 / PACKETS as f64, ..Sample::default() })
}

/// A tool under test, on the first CPU.
struct Tool {
    child: Child,
    stderr: NamedTempFile,
}

impl Tool {
    fn start(program: &OsStr, args: &[&str], ready: &str, at_least: Duration) -> Result<Self> {
        let stderr = NamedTempFile::new()?;
        let child = Command::new("taskset")
            .args(["--cpu-list", "0"])
            .arg(program)
            .args(args)
            .stdout(Stdio::null())
            .stderr(stderr.reopen()?)
            .spawn()
            .context("cannot run taskset")?;
        let tool = Self { child, stderr };
        let started = Instant::now();
        wait_until("the tool is ready", LIMIT, || {
            Ok(started.elapsed() >= at_least && fs::read_to_string(tool.stderr.path())?.contains(ready))
        })?;
        Ok(tool)
    }

    /// Floods, ends the tool, and returns what it wrote to stderr, too.
    fn watch(mut self, lab: &Flood, sender: usize) -> Result<(Sample, String)> {
        let before = self.cpu_time()?;
        let start = Instant::now();
        let mut sample = flood(lab, sender)?;
        let busy = self.cpu_time()? - before;
        sample.cpu = busy.as_secs_f64() / start.elapsed().as_secs_f64();
        sample.rss_mib = self.rss_mib()?;
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGINT)?;
        self.child.wait()?;
        Ok((sample, fs::read_to_string(self.stderr.path())?))
    }

    /// User and system time so far.
    fn cpu_time(&self) -> Result<Duration> {
        self.times(2)
    }

    /// The same with the children that have ended.
    fn cpu_time_with_children(&self) -> Result<Duration> {
        self.times(4)
    }

    /// The sum of so many of the times in `/proc/PID/stat`.
    fn times(&self, count: usize) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Behind the name, which may hold blanks, the times are the 12th field to the 15th.
        let behind = stat.rsplit_once(')').context("no name")?.1.split_ascii_whitespace();
        let times: Result<Vec<u64>, _> = behind.skip(11).take(count).map(str::parse).collect();
        let ticks: u64 = times?.iter().sum();
        let per_second = sysconf(SysconfVar::CLK_TCK)?.context("no clock tick")?;
        Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
    }

    fn rss_mib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // Ended long ago, unless something failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `lossdrop top` costs while the flood goes on, in a terminal of 120 columns and 30 lines: its own CPU time, and that of the
/// tools that it asks for rules, from when it has named the rule.
fn top(binary: &Path, lab: &Flood, sender: usize) -> Result<String> {
    const LASTS: Duration = Duration::from_secs(30);
    const WARM_UP: Duration = Duration::from_secs(5);
    let size = Winsize { ws_row: 30, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
    let OpenptyResult { master, slave } = openpty(Some(&size), None)?;
    let stderr = NamedTempFile::new()?;
    let child = Command::new("taskset")
        .args(["--cpu-list", "0"])
        .arg(binary)
        .arg("top")
        .env("TERM", "xterm-256color")
        .env("LC_ALL", "C.UTF-8")
        .stdin(slave.try_clone()?)
        .stdout(slave)
        .stderr(stderr.reopen()?)
        .spawn()
        .context("cannot run taskset")?;
    let mut tool = Tool { child, stderr };
    let screen = Arc::new(AtomicU64::new(0));
    let drawn = Arc::clone(&screen);
    // It ends with the terminal.
    thread::spawn(move || {
        let mut master = fs::File::from(master);
        let mut bytes = [0; 65_536];
        while let Ok(len @ 1..) = master.read(&mut bytes) {
            drawn.fetch_add(len as u64, Ordering::Relaxed);
        }
    });
    wait_until("the live view is drawn", LIMIT, || Ok(screen.load(Ordering::Relaxed) > 0))?;
    let mut sent = flood_for(lab, sender, WARM_UP)?.0;
    let before = tool.cpu_time_with_children()?;
    let (packets, took) = flood_for(lab, sender, LASTS)?;
    let busy = tool.cpu_time_with_children()? - before;
    sent += packets;
    let rss = tool.rss_mib()?;
    kill(Pid::from_raw(i32::try_from(tool.child.id())?), Signal::SIGTERM)?;
    tool.child.wait()?;
    let reported = fs::read_to_string(tool.stderr.path())?.replace(',', "");
    let (seen, lost) = (number_after(&reported, "seen")?, number_after(&reported, "lost")?);
    Ok(format!(
        "`lossdrop top`, live, while {:.0} packets a second are dropped for {:.0} s: {:.2} % of one CPU (goal: below 2 %), the tools that \
         it asks for rules included; {rss:.0} MiB; {:.2} % seen, {lost} lost.\n",
        packets as f64 / took.as_secs_f64(),
        took.as_secs_f64(),
        busy.as_secs_f64() / took.as_secs_f64() * 100.0,
        seen as f64 / sent as f64 * 100.0,
    ))
}

/// Floods until the time is over; returns the datagrams and how long they took.
fn flood_for(lab: &Flood, sender: usize, time: Duration) -> Result<(u64, Duration)> {
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < time {
        lab.flood(PACKETS, sender)?;
        sent += PACKETS;
    }
    Ok((sent, start.elapsed()))
}

/// The number behind the last `word` in the text.
fn number_after(text: &str, word: &str) -> Result<u64> {
    let rest = text.rsplit_once(&format!("{word} ")).with_context(|| format!("no {word:?} in {text:?}"))?.1;
    let digits = rest.split(|c: char| !c.is_ascii_digit() && c != ',').next().unwrap_or_default();
    Ok(digits.replace(',', "").parse()?)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What has become slower or larger, and by how much one and the same binary differs from round to round.
fn comparison(before: &[Vec<Sample>], now: &[Vec<Sample>]) -> String {
    let mut text = "| ns per packet, and RSS in MiB | before | now | now / before, of each round | RSS before | RSS now |\n\
                    |---|---|---|---|---|---|\n"
        .to_owned();
    for ((case, before), now) in
        CASES.iter().zip(before).zip(now).filter(|((_, before), _)| !before.is_empty())
    {
        let of = |samples: &[Sample], field: fn(&Sample) -> f64| median(samples.iter().map(field));
        let ratios: Vec<f64> =
            now.iter().zip(before).map(|(now, before)| now.ns_per_packet / before.ns_per_packet).collect();
        let (least, most) =
            ratios.iter().fold((f64::MAX, 0.0_f64), |(a, b), ratio| (a.min(*ratio), b.max(*ratio)));
        text.push_str(&format!(
            "| {} | {:.0} | {:.0} | {:.3} ({least:.3} to {most:.3}) | {:.1} | {:.1} |\n",
            case.name,
            of(before, |sample| sample.ns_per_packet),
            of(now, |sample| sample.ns_per_packet),
            median(ratios.iter().copied()),
            of(before, |sample| sample.rss_mib),
            of(now, |sample| sample.rss_mib),
        ));
    }
    text
}

/// What each case adds to a packet: the median of the differences to the bare flood of the same round.
fn added(samples: &[Vec<Sample>], case: usize) -> Option<f64> {
    (!samples[case].is_empty()).then(|| {
        let pairs = samples[case].iter().zip(&samples[BARE]);
        median(pairs.map(|(sample, bare)| sample.ns_per_packet - bare.ns_per_packet))
    })
}

fn report(samples: &[Vec<Sample>]) -> String {
    let mut text = String::new();
    text.push_str(&format!(
        "Linux {}, {}, {} CPUs. {ROUNDS} rounds of {PACKETS} datagrams; {:.0} ns per datagram with nothing attached.\n\n",
        release(),
        cpu_model(),
        available_parallelism().map_or(0, usize::from),
        median(samples[BARE].iter().map(|sample| sample.ns_per_packet)),
    ));
    text.push_str(
        "| tool | added ns per drop | seen / sent | lost | its CPU | RSS MiB |\n|---|---|---|---|---|---|\n",
    );
    for (index, case) in CASES.iter().enumerate().skip(1) {
        let Some(ns) = added(samples, index) else {
            text.push_str(&format!("| {} | not installed | | | | |\n", case.name));
            continue;
        };
        let of = |field: fn(&Sample) -> f64| median(samples[index].iter().map(field));
        let sum = |field: fn(&Sample) -> Option<u64>| samples[index].iter().map(field).sum::<Option<u64>>();
        let sent = PACKETS * samples[index].len() as u64;
        let seen = sum(|sample| sample.seen)
            .map_or("–".to_owned(), |seen| format!("{:.2} %", seen as f64 * 100.0 / sent as f64));
        let lost = sum(|sample| sample.lost).map_or("–".to_owned(), |lost| lost.to_string());
        let (cpu, rss) = match case.kind {
            Kind::Bare | Kind::Empty => ("–".to_owned(), "–".to_owned()),
            Kind::Lossdrop(_) | Kind::Peer { .. } => (
                format!("{:.0} %", of(|sample| sample.cpu) * 100.0),
                format!("{:.0}", of(|sample| sample.rss_mib)),
            ),
        };
        text.push_str(&format!("| {} | {ns:.0} | {seen} | {lost} | {cpu} | {rss} |\n", case.name));
    }
    text.push_str("\n| goal | wanted | measured |\n|---|---|---|\n");
    for (goal, case, other, wanted) in [
        ("default, against bpftrace's count", DEFAULT, BPFTRACE, 0.7),
        ("full detail, against perf record", FULL, PERF, 0.35),
        ("refused, against the empty program", REFUSED, EMPTY, 1.5),
    ] {
        let measured = match (added(samples, case), added(samples, other)) {
            (Some(case), Some(other)) => format!("{:.2}", case / other),
            _ => "–".to_owned(),
        };
        text.push_str(&format!("| {goal} | ≤ {wanted} | {measured} |\n"));
    }
    text
}

fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

fn cpu_model() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or("unknown CPU", |(_, name)| name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_the_books_write_it() {
        let books = "lossdrop: info: seen 1,400,123 = shown 100 + suppressed 1,400,023 + filtered 0 + lost 0";
        let read = |word| number_after(books, word).ok();
        assert_eq!(
            (read("seen"), read("suppressed"), read("lost")),
            (Some(1_400_123), Some(1_400_023), Some(0))
        );
        assert_eq!(read("hidden"), None);
    }
}

//! However a run ends, it ends soon, with its books in order and nothing said that is no fault.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lossdrop_lab::counters::nstat;
use lossdrop_lab::lossdrop::{START_LIMIT, trace_command};
use lossdrop_lab::wait::{LIMIT, wait_until};
use lossdrop_lab::{Lab, Lossdrop, Pair, UdpClosedPort};
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, pipe};

const CLOSED: u16 = 9999;
/// The one line on standard error of a run without faults.
const WATCHING: &str = "lossdrop: watching ";

fn only_watching(stderr: &[String]) -> bool {
    stderr.len() == 1 && stderr[0].starts_with(WATCHING)
}

#[test]
fn a_count_ends_the_run_after_so_many_lines() -> Result<()> {
    let mut lab = UdpClosedPort::v4(10)?;
    let running = Lossdrop::watch(&lab.namespaces(), &["--json", "--count", "7"])?;
    lab.fire()?;
    let output = running.finish(LIMIT)?;
    output.is_complete()?;
    ensure!(output.drops.len() == 7 && output.stdout.len() == 8, "{output}");
    ensure!(output.total("shown")? == 7 && output.total("suppressed")? <= 3, "{}", output.summary);
    ensure!(only_watching(&output.stderr), "{output}");
    Ok(())
}

#[test]
fn a_count_that_is_reached_in_several_bursts_is_exact() -> Result<()> {
    let mut lab = UdpClosedPort::v4(4)?;
    let running = Lossdrop::watch(&lab.namespaces(), &["--json", "--count", "6"])?;
    lab.fire()?;
    running.wait_for_drops("the first burst", |drops| drops.len() == 4)?;
    lab.fire()?;
    let output = running.finish(LIMIT)?;
    output.is_complete()?;
    ensure!(output.drops.len() == 6, "{output}");
    Ok(())
}

#[test]
fn a_duration_ends_the_run_by_itself() -> Result<()> {
    let mut lab = UdpClosedPort::v4(3)?;
    let running = Lossdrop::watch(&lab.namespaces(), &["--json", "--duration", "1500ms"])?;
    let start = Instant::now();
    lab.fire()?;
    let output = running.finish(LIMIT)?;
    let took = start.elapsed();
    output.is_complete()?;
    ensure!(output.drops.len() == 3 && only_watching(&output.stderr), "{output}");
    let said = output.summary["duration_s"].as_f64().context("no duration")?;
    ensure!((1.5..8.0).contains(&said), "{said} s");
    ensure!(took < Duration::from_secs(8), "{took:?}");
    Ok(())
}

#[test]
fn each_signal_that_asks_for_it_ends_the_run_in_order() -> Result<()> {
    let mut lab = UdpClosedPort::v4(2)?;
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let running = Lossdrop::watch(&lab.namespaces(), &["--json"])?;
        let shot = lab.fire()?;
        running.wait_for_shot(&shot)?;
        let start = Instant::now();
        running.signal(signal)?;
        let output = running.finish(LIMIT)?;
        output.is_complete().context(signal)?;
        shot.check(&output.drops)?;
        ensure!(output.drops.len() == 2 && only_watching(&output.stderr), "{signal}: {output}");
        ensure!(start.elapsed() < Duration::from_secs(3), "{signal}: {:?}", start.elapsed());
    }
    Ok(())
}

#[test]
fn what_was_dropped_just_before_the_end_is_still_shown() -> Result<()> {
    let lab = UdpClosedPort::v4(50)?;
    let (client, server) = lab.ends();
    let running = Lossdrop::watch(&[client, server], &["--json"])?;
    let sent = lossdrop_lab::traffic::udp_send(
        client,
        (Pair::CLIENT_V4, 0).into(),
        (Pair::SERVER_V4, CLOSED).into(),
        50,
        16,
    )?;
    wait_until("all have arrived", LIMIT, || Ok(nstat(server, "IpInDelivers")? >= sent.accepted))?;
    let output = running.stop()?;
    output.is_complete()?;
    ensure!(output.drops.len() == 50, "{} of 50", output.drops.len());
    Ok(())
}

/// A lossdrop whose standard output is the test's own business; killed when dropped.
struct Bare(Child);

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Bare {
    /// Returns once it watches.
    fn start(command: &mut Command) -> Result<(Self, BufReader<ChildStderr>)> {
        let mut child = Self(command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?);
        let mut stderr = BufReader::new(child.0.stderr.take().context("no standard error")?);
        let mut line = String::new();
        stderr.read_line(&mut line)?;
        ensure!(line.starts_with(WATCHING), "{line}");
        Ok((child, stderr))
    }

    fn end(&mut self, limit: Duration) -> Result<ExitStatus> {
        let mut status = None;
        wait_until("lossdrop ends", limit, || {
            status = self.0.try_wait()?;
            Ok(status.is_some())
        })?;
        status.context("no status")
    }
}

fn rest(mut stderr: impl Read) -> Result<String> {
    let mut text = String::new();
    stderr.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn a_reader_who_leaves_ends_the_run_at_once_and_without_a_word() -> Result<()> {
    let mut lab = UdpClosedPort::v4(1)?;
    for args in [&[][..], &["--json"]] {
        let (mut bare, stderr) = Bare::start(trace_command(&lab.namespaces(), args)?.stdout(Stdio::piped()))?;
        let mut stdout = BufReader::new(bare.0.stdout.take().context("no standard output")?);
        lab.fire()?;
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        ensure!(line.starts_with("TIME ") || line.starts_with("{\"type\":\"drop\""), "{line}");
        // No drop comes any more, and nothing is written.
        drop(stdout);
        let status = bare.end(Duration::from_secs(3))?;
        let said = rest(stderr)?;
        ensure!(status.success() && said.is_empty(), "{status}: {said}");
    }
    Ok(())
}

#[test]
fn a_pipeline_into_head_ends_well() -> Result<()> {
    let lab = UdpClosedPort::v4(1)?;
    let mut shell = Command::new("sh");
    let pipeline = "{ \"$@\"; echo \"exit $?\" >&2; } | head -n 1";
    shell.args(["-c", pipeline, "sh"]);
    let traced = trace_command(&lab.namespaces(), &[])?;
    shell.arg(traced.get_program()).args(traced.get_args());
    let output = Lossdrop::spawn(&mut shell)?.finish(START_LIMIT)?;
    ensure!(output.stdout.len() == 1 && output.stdout[0].starts_with("TIME "), "{output}");
    ensure!(output.stderr.len() == 2 && output.stderr[1] == "exit 0", "{output}");
    Ok(())
}

#[test]
fn a_reader_who_stops_reading_does_not_keep_it_from_ending() -> Result<()> {
    let mut lab = UdpClosedPort::v4(200)?;
    let (unread, full) = pipe()?;
    fcntl(&full, FcntlArg::F_SETPIPE_SZ(4096))?;
    let mut command = trace_command(&lab.namespaces(), &["--json", "--rate", "unlimited"])?;
    let (mut bare, stderr) = Bare::start(command.stdout(full.try_clone()?))?;
    let has_room = || -> Result<bool> {
        let mut fds = [PollFd::new(full.as_fd(), PollFlags::POLLOUT)];
        Ok(poll(&mut fds, PollTimeout::ZERO)? > 0)
    };
    for _ in 0..10 {
        lab.fire()?;
    }
    wait_until("the pipe is full", LIMIT, || Ok(!has_room()?))?;

    let start = Instant::now();
    kill(Pid::from_raw(i32::try_from(bare.0.id())?), Signal::SIGTERM)?;
    let status = bare.end(LIMIT)?;
    drop(unread);
    let said = rest(stderr)?;
    ensure!(start.elapsed() < Duration::from_secs(6), "{:?}: {said}", start.elapsed());
    ensure!(status.code() == Some(1), "{status}: {said}");
    ensure!(said.lines().count() == 1 && said.contains("stopped reading"), "{said}");
    Ok(())
}

#[test]
fn a_full_disk_is_an_error_in_one_line() -> Result<()> {
    let lab = UdpClosedPort::v4(1)?;
    let full = File::options().write(true).open("/dev/full")?;
    let mut command = trace_command(&lab.namespaces(), &[])?;
    let (mut bare, stderr) = Bare::start(command.stdout(full))?;
    let status = bare.end(LIMIT)?;
    let said = rest(stderr)?;
    ensure!(status.code() == Some(1), "{status}: {said}");
    ensure!(said.lines().count() == 1 && said.contains("No space left"), "{said}");
    Ok(())
}

#[test]
fn nobody_needs_to_read_its_standard_error() -> Result<()> {
    for (args, code) in [(&["--duration", "1ms"][..], 0), (&["--netns", "no such"], 2)] {
        let (reader, writer) = pipe()?;
        drop(reader);
        let mut command = trace_command(&[], args)?;
        let mut bare = Bare(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer).spawn()?);
        let status = bare.end(START_LIMIT)?;
        ensure!(status.code() == Some(code), "{args:?}: {status}");
    }
    Ok(())
}

#[test]
fn a_verbose_run_tells_its_books_beside_its_output() -> Result<()> {
    let mut lab = UdpClosedPort::v4(2)?;
    let running = Lossdrop::watch(&lab.namespaces(), &["--json", "-vv"])?;
    let shot = lab.fire()?;
    running.wait_for_shot(&shot)?;
    let output = running.stop()?;
    output.is_complete()?;
    shot.check(&output.drops)?;
    let books = ["seen", "shown", "suppressed", "filtered", "lost"].map(|name| output.total(name));
    let [seen, shown, suppressed, filtered, lost] = books;
    let said = format!(
        "lossdrop: info: seen {} = shown {} + suppressed {} + filtered {} + lost {}",
        seen?, shown?, suppressed?, filtered?, lost?
    );
    ensure!(output.stderr.contains(&said), "{said}: {output}");
    ensure!(output.stderr.iter().all(|line| line.starts_with("lossdrop: ")), "{output}");
    Ok(())
}

#[test]
fn it_needs_no_standard_input() -> Result<()> {
    let mut lab = UdpClosedPort::v4(2)?;
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" <&-", "sh"]);
    let traced = trace_command(&lab.namespaces(), &["--json"])?;
    let running = Lossdrop::launch(shell.arg(traced.get_program()).args(traced.get_args()))?;
    let shot = lab.fire()?;
    running.wait_for_shot(&shot)?;
    let output = running.stop()?;
    output.is_complete()?;
    shot.check(&output.drops)
}

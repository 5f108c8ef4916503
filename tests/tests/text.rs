//! The lines for people: columns, the summary, colours only where they are wanted, and nothing that steers a terminal.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lossdrop_lab::lossdrop::trace_command;
use lossdrop_lab::traffic::udp_send;
use lossdrop_lab::wait::{LIMIT, wait_until};
use lossdrop_lab::{Installed, Lab, Lossdrop, Netns, Pair, RcvBuf, UdpClosedPort};
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const ESCAPE: char = '\x1b';

fn columns(line: &str, titles: &[&str]) -> Result<Vec<usize>> {
    titles.iter().map(|title| line.find(title).with_context(|| format!("no {title}: {line}"))).collect()
}

#[test]
fn lines_stand_in_columns_under_their_titles() -> Result<()> {
    let pair = Pair::deaf()?;
    let running = Lossdrop::watch(&pair.namespaces(), &[])?;
    for _ in 0..2 {
        pair.send_v4(53, 2, 16)?;
        pair.send_v6(53, 2, 16)?;
    }
    running.wait_for("eight drops", |lines| lines.len() >= 9)?;
    let output = running.stop()?;
    let titles = ["TIME", "CAUSE", "REASON", "WHERE", "NETNS", "DEV", "PACKET"];
    let header = columns(&output.stdout[0], &titles)?;
    ensure!(header.is_sorted() && header[0] == 0, "{}", output.stdout[0]);

    let inum = format!("net:{}", pair.server.inum());
    for line in &output.stdout[1..9] {
        // The name of the namespace may come late.
        let netns = if line.contains(&inum) { &inum } else { pair.server.name() };
        let at = columns(line, &["netfilter drop", "NETFILTER_DROP", "nft_do_chain+0x", netns, " eth0 "])?;
        ensure!(at[..4] == header[1..5] && at[4] > at[3] + netns.len(), "{line}");
        let (time, rest) = line.split_at(header[1]);
        let form: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        ensure!(form == "00:00:00.000  ", "{time:?}");
        ensure!(rest.is_ascii() || rest.contains(" → "), "{line}");
        let (v4, v6) = ("10.0.0.1:", "[fd00::1]:");
        let port = line.split_once(if line.contains(v4) { v4 } else { v6 }).context("no source")?.1;
        let (port, packet) = port.split_once(' ').context("no packet")?;
        let port: u16 = port.parse()?;
        ensure!(port > 1024, "{line}");
        ensure!(["→ 10.0.0.2:53 UDP len 44", "→ [fd00::2]:53 UDP len 64"].contains(&packet), "{line}");
    }
    // Once a name has widened its column, the ones behind it stay where they are.
    let devices: Result<Vec<_>> = output.stdout[5..9].iter().map(|line| columns(line, &[" eth0 "])).collect();
    let devices = devices?;
    ensure!(devices.iter().all(|at| *at == devices[0]), "{output}");
    Ok(())
}

/// `1,234` in a line.
fn number(text: &str) -> Result<u64> {
    text.trim().replace(',', "").parse().with_context(|| format!("no number: {text:?}"))
}

#[test]
fn the_summary_names_each_kind_and_balances_the_books() -> Result<()> {
    let pair = Pair::deaf()?;
    let running = Lossdrop::watch(&pair.namespaces(), &["--rate", "10", "--dport", "53"])?;
    pair.send_v4(53, 1500, 16)?;
    let home = |port: u16| std::net::SocketAddr::from((Pair::CLIENT_V4, port));
    udp_send(&pair.client, home(0), home(53), 3, 16)?;
    running.wait_for("the last drops", |lines| {
        lines.iter().filter(|line| line.contains("NO_SOCKET")).count() == 3
    })?;
    let output = running.stop()?;
    let summary: Vec<_> = output.stdout.iter().skip_while(|line| !line.is_empty()).skip(1).collect();
    ensure!(summary[0].starts_with("1,503 drops in ") && summary[0].ends_with(" s"), "{summary:#?}");
    let row = |index: usize| summary[index].split_whitespace().take(5).collect::<Vec<_>>();
    let most = ["1,500", "netfilter", "drop", "NETFILTER_DROP", "nft_do_chain"];
    ensure!(row(1) == most, "the most frequent first: {summary:#?}");
    ensure!(row(2)[..4] == ["3", "socket", "closed-port", "NO_SOCKET"], "{summary:#?}");

    let books = summary.iter().find_map(|line| line.strip_prefix("seen ")).context("no books")?;
    let (seen, rest) = books.split_once(" = shown ").context("no shown")?;
    let (shown, rest) = rest.split_once(" + suppressed ").context("no suppressed")?;
    let (suppressed, rest) = rest.split_once(" + filtered ").context("no filtered")?;
    let (filtered, lost) = rest.split_once(" + lost ").context("no lost")?;
    let [seen, shown, suppressed, filtered, lost] = [seen, shown, suppressed, filtered, lost].map(number);
    let (shown, suppressed) = (shown?, suppressed?);
    ensure!(seen? == shown + suppressed + filtered? + lost?, "{books}");
    let lines = output.stdout.iter().filter(|line| line.contains(" UDP len ")).count() as u64;
    ensure!(shown == lines && shown + suppressed == 1503, "{lines} lines: {books}");
    let said =
        format!("suppressed: {} counted without detail (--rate raises the ration)", thousands(suppressed));
    ensure!(summary.iter().any(|line| **line == said), "{said:?}: {summary:#?}");
    Ok(())
}

fn thousands(number: u64) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", number / 1000, number % 1000) }
}

#[test]
fn hidden_noise_is_counted_in_the_summary() -> Result<()> {
    let mut lab = lossdrop_lab::CloseNoise::new(3)?;
    let running = Lossdrop::watch(&lab.namespaces(), &[])?;
    lab.fire()?;
    let output = running.stop()?;
    ensure!(output.stdout[1].is_empty(), "nothing is shown: {output}");
    let noise = output.stdout.iter().filter(|line| line.contains("  noise: ")).count();
    let hidden = output.stdout.iter().any(|line| line.ends_with(" benign (--all shows them)"));
    ensure!(noise > 0 && hidden, "{output}");
    Ok(())
}

#[test]
fn a_pipe_gets_no_escape_sequences() -> Result<()> {
    let mut lab = UdpClosedPort::v4(2)?;
    let mut command = trace_command(&lab.namespaces(), &["--all", "--hex", "--stack"])?;
    let running = Lossdrop::launch(command.env("TERM", "xterm-256color").env_remove("NO_COLOR"))?;
    lab.fire()?;
    running.wait_for("drops", |lines| lines.iter().any(|line| line.contains("0020  ")))?;
    let output = running.stop()?;
    ensure!(output.stdout.iter().chain(&output.stderr).all(|line| !line.contains(ESCAPE)), "{output}");
    Ok(())
}

/// What appears on a terminal when two drops are traced.
fn on_a_terminal(prepare: impl FnOnce(&mut Command)) -> Result<String> {
    let mut lab = UdpClosedPort::v4(2)?;
    let terminal = openpty(None, None)?;
    let screen = Arc::new(Mutex::new(String::new()));
    let seen = || screen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (mut master, shown) = (File::from(terminal.master), Arc::clone(&screen));
    let reader = thread::spawn(move || {
        let mut chunk = [0; 4096];
        // The end of a terminal is an error.
        while let Ok(len @ 1..) = master.read(&mut chunk) {
            let text = String::from_utf8_lossy(&chunk[..len]).into_owned();
            shown.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
        }
    });
    let mut command = trace_command(&lab.namespaces(), &[])?;
    command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
    prepare(&mut command);
    command.stdin(Stdio::null()).stdout(terminal.slave.try_clone()?).stderr(terminal.slave);
    let mut child = command.spawn()?;
    // The command keeps its own copies of the terminal.
    drop(command);
    let mut watched = || -> Result<()> {
        wait_until("it watches", Duration::from_secs(60), || Ok(seen().contains("lossdrop: watching")))?;
        lab.fire()?;
        wait_until("both drops", LIMIT, || Ok(seen().matches(":9999").count() == 2))?;
        kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?;
        wait_until("the summary", LIMIT, || Ok(seen().contains("seen ")))
    };
    let watched = watched();
    let _ = kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM);
    let status = child.wait()?;
    let _ = reader.join();
    watched.with_context(seen)?;
    ensure!(status.success(), "{status}: {}", seen());
    Ok(seen())
}

#[test]
fn a_terminal_gets_colours() -> Result<()> {
    let screen = on_a_terminal(|_| {})?;
    // The cause is in a colour, and every style ends before the line does.
    let drop = screen.lines().find(|line| line.contains(":9999")).context("no drop")?;
    let at = drop.find("socket closed-port").with_context(|| format!("{drop:?}"))?;
    ensure!(drop[..at].ends_with("\x1b[31m"), "{drop:?}");
    ensure!(drop[at..].starts_with("socket closed-port\x1b[0m"), "{drop:?}");
    let styles = screen.matches(ESCAPE).count();
    ensure!(styles > 4 && screen.matches("\x1b[0m").count() == styles / 2, "{screen:?}");
    Ok(())
}

#[test]
fn a_terminal_that_wants_no_colours_gets_none() -> Result<()> {
    for (variable, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let screen = on_a_terminal(|command| _ = command.env(variable, value))?;
        ensure!(!screen.contains(ESCAPE) && screen.contains("NO_SOCKET"), "{variable}={value}: {screen:?}");
    }
    Ok(())
}

#[test]
fn a_process_that_calls_itself_an_escape_sequence_does_not_reach_the_terminal() -> Result<()> {
    // The kernel takes a program's name from its file.
    let program = Installed::new(&which("sleep")?, "\x1b[31mevil\u{9b}\x07")?;
    let mut lab = RcvBuf::held_by(program.path(), 5)?;
    let owner = format!("?[31mevil??[{}]", lab.owner());
    let both = Lossdrop::watch_each(&lab.namespaces(), &[&[], &["--json"]])?;
    wait_until("the owner is shown", LIMIT, || {
        let shot = lab.fire()?;
        both[1].wait_for_shot(&shot)?;
        let named = both[1].drops().iter().any(|drop| drop["owner"]["comm"] == "?[31mevil??");
        Ok(named
            && both[0].wait_for("the owner", |lines| lines.iter().any(|line| line.ends_with(&owner))).is_ok())
    })?;
    for running in both {
        let output = running.stop()?;
        ensure!(output.stdout.iter().all(|line| !line.contains(|c: char| c.is_control())), "{output}");
    }
    Ok(())
}

#[test]
fn neither_does_a_namespace_nor_a_device_of_such_a_name() -> Result<()> {
    let ns = Netns::new("\x1b[7mnet")?;
    ns.ip(&["link set lo down", "link set lo name \x1b[35mlo", "link set \x1b[35mlo up"])?;
    // Such a name can't be typed as it is.
    let inum = ns.inum().to_string();
    let both = Lossdrop::watch_each(&[], &[&["--netns", &inum], &["--netns", &inum, "--json"]])?;
    let called = ns.name().replace(ESCAPE, "?");
    wait_until("the names are shown", LIMIT, || {
        udp_send(&ns, "127.0.0.1:0".parse()?, "127.0.0.1:9".parse()?, 1, 16)?;
        both[0].wait_for("a drop", |lines| lines.iter().any(|line| line.contains(" ?[35mlo ")))?;
        let named = both[1].drops().iter().any(|drop| drop["netns"]["name"] == *called);
        Ok(named
            && both[0].wait_for("the name", |lines| lines.iter().any(|line| line.contains(&called))).is_ok())
    })?;
    for running in both {
        let output = running.stop()?;
        let lines = output.stdout.iter().chain(&output.stderr);
        ensure!(lines.clone().all(|line| !line.contains(|c: char| c.is_control())), "{output}");
    }
    Ok(())
}

fn which(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").context("no PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file());
    found.with_context(|| format!("no {program}"))
}
